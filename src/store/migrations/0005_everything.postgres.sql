-- What roster keeps: what the migrations of a SQLite store up to this number make. Times are microseconds since
-- 1970-01-01T00:00:00Z. Texts are compared byte by byte, as SQLite does, so that no index depends on a library's idea of
-- a language.

-- Takes a list apart as SQLite does, so that one statement serves both.
CREATE FUNCTION json_each(list text) RETURNS TABLE (value json)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT json_array_elements(CAST(list AS json)) $$;

-- Puts names and numbers together as SQLite does; of nothing it makes an empty object.
CREATE FUNCTION json_with_pair(pairs text, name text, value bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN pairs = '{}' THEN '{' ELSE left(pairs, -1) || ',' END || CAST(to_json(name) AS text) || ':' || value || '}' $$;

CREATE AGGREGATE json_group_object(text, bigint) (SFUNC = json_with_pair, STYPE = text, INITCOND = '{}');

-- The customer ID that the first account of an organization claimed, for good.
CREATE TABLE organizations (
    namespace   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    customer_id TEXT COLLATE "C" NOT NULL UNIQUE
);

-- What bills are made of: never deleted, never backdated. The owner is told of one that was deleted.
CREATE TABLE lifetimes (
    account_id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    namespace         TEXT COLLATE "C" NOT NULL,
    login_name        TEXT COLLATE "C" NOT NULL,
    created_at        BIGINT NOT NULL,
    deleted_at        BIGINT,
    owner_name        TEXT COLLATE "C",
    owner_uid         TEXT COLLATE "C",
    owner_generation  BIGINT NOT NULL DEFAULT 0,
    state_at_creation TEXT COLLATE "C" NOT NULL DEFAULT 'Enabled' CHECK (state_at_creation IN ('Enabled', 'Disabled')),
    CHECK (deleted_at >= created_at)
);

CREATE INDEX lifetimes_by_login ON lifetimes (login_name);
CREATE INDEX lifetimes_by_owner ON lifetimes (namespace, owner_name, owner_uid) WHERE owner_name IS NOT NULL;
-- A month's report reads who lived in it, not everybody who ever did, and of them nothing but this.
CREATE INDEX lifetimes_by_end
    ON lifetimes (namespace, deleted_at, created_at, login_name, account_id, state_at_creation);

-- Since when an account was in another state than before.
CREATE TABLE switches (
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES lifetimes (account_id),
    revision    BIGINT NOT NULL,
    switched_at BIGINT NOT NULL,
    state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('Enabled', 'Disabled')),
    PRIMARY KEY (account_id, revision)
);

-- The journal: which revision a transaction made, and what became of it.
CREATE TABLE transactions (
    transaction_id   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id       TEXT COLLATE "C" NOT NULL REFERENCES lifetimes (account_id),
    type             TEXT COLLATE "C" NOT NULL,
    started_at       BIGINT NOT NULL,
    deadline_at      BIGINT NOT NULL,
    completed_at     BIGINT,
    cases_unassigned BIGINT NOT NULL DEFAULT 0,
    revision         BIGINT NOT NULL DEFAULT 0,
    superseded_at    BIGINT
);

CREATE INDEX transactions_by_account ON transactions (account_id);
CREATE INDEX transactions_in_flight ON transactions (account_id) WHERE completed_at IS NULL AND superseded_at IS NULL;

-- The live accounts. The email is NULL only inside a transaction that moves addresses.
CREATE TABLE accounts (
    account_id         TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES lifetimes (account_id),
    namespace          TEXT COLLATE "C" NOT NULL,
    owner_name         TEXT COLLATE "C",
    owner_uid          TEXT COLLATE "C" NOT NULL DEFAULT '',
    owner_generation   BIGINT NOT NULL DEFAULT 0,
    revision           BIGINT NOT NULL,
    transaction_id     TEXT COLLATE "C" NOT NULL REFERENCES transactions (transaction_id),
    login_name         TEXT COLLATE "C" NOT NULL UNIQUE,
    email              TEXT COLLATE "C",
    email_domain       TEXT COLLATE "C" NOT NULL,
    state              TEXT COLLATE "C" NOT NULL CHECK (state IN ('Enabled', 'Disabled')),
    group_name         TEXT COLLATE "C" NOT NULL,
    grants             TEXT COLLATE "C" NOT NULL,
    role               TEXT COLLATE "C",
    teams              TEXT COLLATE "C" NOT NULL,
    display_name       TEXT COLLATE "C" NOT NULL,
    phone              TEXT COLLATE "C",
    address            TEXT COLLATE "C",
    time_zone          TEXT COLLATE "C",
    notifications      TEXT COLLATE "C" NOT NULL,
    -- What logs in: the last password that came from a Secret, or the member's own.
    password_hash      TEXT COLLATE "C",
    -- The last password that came from a Secret, and which version of which Secret it stood in.
    secret_hash        TEXT COLLATE "C",
    secret_version     TEXT COLLATE "C",
    created_at         BIGINT NOT NULL,
    -- Where permissions beside the listed ones come from.
    source_mode        TEXT COLLATE "C" CHECK (source_mode IN ('Inherit', 'Clone')),
    source_name        TEXT COLLATE "C",
    -- What was cloned or, on a loop, what stays of what was inherited. Nobody is followed while it is there.
    source_permissions TEXT COLLATE "C",
    cloned_uid         TEXT COLLATE "C",
    cloned_generation  BIGINT,
    cloned_at          BIGINT,
    -- What was copied when the account was created, and what the member changed themselves.
    copied             TEXT COLLATE "C",
    member             TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    UNIQUE (namespace, owner_name),
    UNIQUE (namespace, email)
);

CREATE INDEX accounts_by_group ON accounts (namespace, group_name);
CREATE INDEX accounts_by_email_domain ON accounts (namespace, email_domain);
CREATE INDEX accounts_by_source ON accounts (namespace, source_name);

-- The directories that transactions wait for, and the newest revision that each confirmed of an account.
CREATE TABLE directories (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

CREATE TABLE confirmations (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES lifetimes (account_id),
    directory  TEXT COLLATE "C" NOT NULL REFERENCES directories (name) ON DELETE CASCADE,
    revision   BIGINT NOT NULL,
    PRIMARY KEY (account_id, directory)
);

-- What members changed of themselves, in the order of the commits, for an operator that looks now and then. The newest stay.
CREATE TABLE member_changes (
    number     BIGINT NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES lifetimes (account_id)
);

-- The declared groups, with what of their own details members may change.
CREATE TABLE groups (
    namespace    TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    full_control BOOLEAN NOT NULL,
    permissions  TEXT COLLATE "C" NOT NULL,
    self_service TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    PRIMARY KEY (namespace, name)
);

-- The listed email domains, in A-labels.
CREATE TABLE domains (
    namespace          TEXT COLLATE "C" NOT NULL,
    name               TEXT COLLATE "C" NOT NULL,
    domain             TEXT COLLATE "C" NOT NULL,
    include_subdomains BOOLEAN NOT NULL,
    PRIMARY KEY (namespace, name),
    UNIQUE (namespace, domain)
);

-- The months that are over: from the end of the one before to the end by the month's time zone. Nothing is committed
-- in them any more. How far the clocks were ahead of UTC, as a JSON list of [from when on, seconds], is written down
-- too, so that no later table of time zones changes what is written of a month.
CREATE TABLE closed_months (
    month       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    time_zone   TEXT COLLATE "C" NOT NULL,
    starts_at   BIGINT NOT NULL,
    ends_at     BIGINT NOT NULL UNIQUE,
    utc_offsets TEXT COLLATE "C" NOT NULL,
    CHECK (ends_at > starts_at)
);

-- The time zone of months to come; one row.
CREATE TABLE billing (
    row       BIGINT NOT NULL PRIMARY KEY CHECK (row = 1),
    time_zone TEXT COLLATE "C" NOT NULL
);

-- From here on, what applications read and write: a contract.

-- The one table that applications write.
CREATE TABLE cases (
    case_id          TEXT COLLATE "C" NOT NULL PRIMARY KEY DEFAULT replace(CAST(gen_random_uuid() AS text), '-', ''),
    organization     TEXT COLLATE "C" NOT NULL,
    title            TEXT COLLATE "C" NOT NULL,
    owner_account_id TEXT COLLATE "C" REFERENCES accounts (account_id) ON DELETE SET NULL
);

CREATE INDEX cases_by_owner ON cases (owner_account_id);

-- The live accounts, with the permissions in effect: their own, along the line of those that they follow, and those
-- of their group. Nothing is inherited along a line of more than 32.
CREATE VIEW roster_accounts AS
SELECT
    a.account_id,
    a.namespace AS organization,
    a.login_name,
    a.email,
    a.state,
    a.group_name,
    a.display_name,
    a.phone,
    a.password_hash,
    (
        WITH RECURSIVE line (length, grants, fixed, next) AS (
            SELECT
                0,
                a.grants,
                a.source_permissions,
                CASE WHEN a.source_permissions IS NULL THEN a.source_name END
            UNION ALL
            SELECT
                l.length + 1,
                s.grants,
                s.source_permissions,
                CASE WHEN s.source_permissions IS NULL THEN s.source_name END
            FROM line AS l
            JOIN accounts AS s ON s.namespace = a.namespace AND s.owner_name = l.next
            WHERE l.length <= 32
        )
        SELECT CAST(array_to_json(COALESCE(
            array_agg(effective.permission ORDER BY effective.permission COLLATE "C"), '{}'
        )) AS text)
        FROM (
            SELECT own.value AS permission
            FROM
                line AS l,
                LATERAL (
                    SELECT json_array_elements_text(CAST(l.grants AS json)) AS value
                    UNION ALL
                    SELECT json_array_elements_text(CAST(l.fixed AS json))
                ) AS own
            WHERE l.length = 0 OR (SELECT MAX(length) FROM line) <= 32
            UNION
            SELECT given.value
            FROM groups AS g, LATERAL json_array_elements_text(CAST(g.permissions AS json)) AS given (value)
            WHERE g.namespace = a.namespace AND g.name = a.group_name
            UNION
            SELECT '*'
            FROM groups AS g
            WHERE g.namespace = a.namespace AND g.name = a.group_name AND g.full_control
            UNION
            SELECT '*'
            WHERE a.group_name = 'administrators'
              AND NOT EXISTS (SELECT 1 FROM groups AS g WHERE g.namespace = a.namespace AND g.name = a.group_name)
        ) AS effective
    ) AS permissions
FROM accounts AS a;
