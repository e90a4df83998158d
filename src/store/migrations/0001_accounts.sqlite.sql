-- What roster keeps. Times are microseconds since 1970-01-01T00:00:00Z.

-- The customer ID that the first account of an organization claimed, for good.
CREATE TABLE organizations (
    namespace   TEXT NOT NULL PRIMARY KEY,
    customer_id TEXT NOT NULL UNIQUE
);

-- What bills are made of: never deleted, never backdated.
CREATE TABLE lifetimes (
    account_id TEXT   NOT NULL PRIMARY KEY,
    namespace  TEXT   NOT NULL,
    login_name TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT,
    CHECK (deleted_at >= created_at)
);

CREATE INDEX lifetimes_by_login ON lifetimes (login_name);

-- The journal.
CREATE TABLE transactions (
    transaction_id   TEXT   NOT NULL PRIMARY KEY,
    account_id       TEXT   NOT NULL REFERENCES lifetimes (account_id),
    type             TEXT   NOT NULL,
    started_at       BIGINT NOT NULL,
    deadline_at      BIGINT NOT NULL,
    completed_at     BIGINT,
    cases_unassigned BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX transactions_by_account ON transactions (account_id);

-- The live accounts. The email is NULL only inside a transaction that moves addresses.
CREATE TABLE accounts (
    account_id       TEXT   NOT NULL PRIMARY KEY REFERENCES lifetimes (account_id),
    namespace        TEXT   NOT NULL,
    owner_name       TEXT,
    owner_uid        TEXT   NOT NULL DEFAULT '',
    owner_generation BIGINT NOT NULL DEFAULT 0,
    revision         BIGINT NOT NULL,
    transaction_id   TEXT   NOT NULL REFERENCES transactions (transaction_id),
    login_name       TEXT   NOT NULL UNIQUE,
    email            TEXT,
    email_domain     TEXT   NOT NULL,
    state            TEXT   NOT NULL CHECK (state IN ('Enabled', 'Disabled')),
    group_name       TEXT   NOT NULL,
    grants           TEXT   NOT NULL,
    role             TEXT,
    teams            TEXT   NOT NULL,
    display_name     TEXT   NOT NULL,
    phone            TEXT,
    address          TEXT,
    time_zone        TEXT,
    notifications    TEXT   NOT NULL,
    password_hash    TEXT,
    created_at       BIGINT NOT NULL,
    UNIQUE (namespace, owner_name),
    UNIQUE (namespace, email)
);

CREATE INDEX accounts_by_group ON accounts (namespace, group_name);
CREATE INDEX accounts_by_email_domain ON accounts (namespace, email_domain);

-- The declared groups.
CREATE TABLE groups (
    namespace    TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    full_control BOOLEAN NOT NULL,
    permissions  TEXT    NOT NULL,
    PRIMARY KEY (namespace, name)
);

-- The listed email domains, in A-labels.
CREATE TABLE domains (
    namespace          TEXT    NOT NULL,
    name               TEXT    NOT NULL,
    domain             TEXT    NOT NULL,
    include_subdomains BOOLEAN NOT NULL,
    PRIMARY KEY (namespace, name),
    UNIQUE (namespace, domain)
);
