PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO _sqlx_migrations VALUES(1,'accounts','2026-12-01 00:18:52',1,X'016153c82a0ef9614830181a6d7d2f540804d836b93394ff5ad671b4e5b612fcfcb54a4af4b9fa4581473f0e87882439',3514314);
INSERT INTO _sqlx_migrations VALUES(2,'applications','2026-12-01 00:18:52',1,X'abea98937d2dccc6451f1493086d1beac742b0ec7a3cb3251a40f7acdee0b8835e65c9c91fb7df07d91f0c92d8eb7419',4972015);
INSERT INTO _sqlx_migrations VALUES(3,'permissions','2026-12-01 00:18:52',1,X'34d438eedb389a7fabf32f16272d85193419d7e240a94884f0034d69727012c46d051cd0de900f79e3f71d40ff747f74',14618912);
INSERT INTO _sqlx_migrations VALUES(4,'transactions','2026-12-01 00:18:52',1,X'efccad1ba2beb66603a75ec2dbed46f36a83fcc44759c25748422c23d705e3e711fac23239eccce474ade49f8158be86',5102880);
INSERT INTO _sqlx_migrations VALUES(5,'billing','2026-12-01 00:18:52',1,X'4e0a6c064a155a702827a1c8f3c31bafddc4bf6cab46bd9f812f90da903a36daa72f293b86a498402c3f2e3ac85aa81f',2547587);
INSERT INTO _sqlx_migrations VALUES(6,'operators','2026-12-01 00:18:52',1,X'7d7bbda4927ad7f65dbf089db747b47d3bdc29efbfbc91949dc0d7a6139c5a8d27680e54c227f4aa46a66f5004146bfa',430949);
INSERT INTO _sqlx_migrations VALUES(7,'fingerprints','2026-12-01 00:18:52',1,X'0f34a3f553b54ea6aa272a61b5fff6cccbdf2e59bff56de75ff766afed3c8332e662592856235aa67e8a8afdec7cb859',3794002);
INSERT INTO _sqlx_migrations VALUES(8,'bounds','2026-12-01 00:18:52',1,X'b04391f6d7c48af04efef8bb4399c1d0a671f2e6c25d9c10761680613cebfc857b7a5a2efacb27e57e16795b8c8beb0b',1314490);
INSERT INTO _sqlx_migrations VALUES(9,'corrections','2026-12-01 00:18:52',1,X'c9e27ebe8fd3279896e7a36da8d0eae4501ac6b3200e1fc8155c35810cd8e2521bfdcf5e71baa9522dfb9d6df01491a5',1373030);
INSERT INTO _sqlx_migrations VALUES(10,'handles','2026-12-01 00:18:52',1,X'76bd70cdb4b0eeaaf77c517e4c85916a005795262477647074fdf5d8fce3f2c8a6c725b09c9e7b96130821f7a4d75283',4974855);
INSERT INTO _sqlx_migrations VALUES(11,'login failures','2026-12-01 00:18:52',1,X'297afe0f1fb51a75e9ecfa6605219329dc478f7136e549d7d5ab846908b6ff91098f9073fd242c4a88c5cc6e8cf24580',1286704);
CREATE TABLE organizations (
    namespace   TEXT NOT NULL PRIMARY KEY,
    customer_id TEXT NOT NULL UNIQUE
);
INSERT INTO organizations VALUES('acme','acme');
CREATE TABLE lifetimes (
    account_id TEXT   NOT NULL PRIMARY KEY,
    namespace  TEXT   NOT NULL,
    login_name TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT, owner_name TEXT, owner_uid TEXT, owner_generation BIGINT NOT NULL DEFAULT 0, state_at_creation TEXT NOT NULL DEFAULT 'Enabled'
    CHECK (state_at_creation IN ('Enabled', 'Disabled')),
    CHECK (deleted_at >= created_at)
);
INSERT INTO lifetimes VALUES('01a22ef7-f8ef-7a5f-b928-ebc9277c7b6d','acme','alice.acme',1767084332783534,NULL,NULL,NULL,0,'Enabled');
INSERT INTO lifetimes VALUES('01a22ef7-f916-7b2b-b8a7-51c852d86b04','acme','bob.acme',1767084332822954,NULL,NULL,NULL,0,'Enabled');
INSERT INTO lifetimes VALUES('01a22ef7-f932-7809-ae51-af72b5290272','acme','carol.acme',1767084332850599,NULL,NULL,NULL,0,'Enabled');
INSERT INTO lifetimes VALUES('01a22ef7-f976-7c3e-ac72-1b7615db77e6','acme','erin.acme',1767084332918823,NULL,NULL,NULL,0,'Disabled');
INSERT INTO lifetimes VALUES('01a22ef7-f9b1-718c-9b2b-fbaa50b3d466','acme','dave.acme',1767084332977252,NULL,NULL,NULL,0,'Enabled');
CREATE TABLE transactions (
    transaction_id   TEXT   NOT NULL PRIMARY KEY,
    account_id       TEXT   NOT NULL REFERENCES lifetimes (account_id),
    type             TEXT   NOT NULL,
    started_at       BIGINT NOT NULL,
    deadline_at      BIGINT NOT NULL,
    completed_at     BIGINT,
    cases_unassigned BIGINT NOT NULL DEFAULT 0
, revision BIGINT NOT NULL DEFAULT 0, superseded_at BIGINT);
INSERT INTO transactions VALUES('e388ce67-0a17-5c60-a6a0-cc4609cb9ba0','01a22ef7-f8ef-7a5f-b928-ebc9277c7b6d','Create',1767084332783534,1767085532783534,1767084332794413,0,1,NULL);
INSERT INTO transactions VALUES('48af2dd1-0200-5fe9-898d-0ed84bd0270c','01a22ef7-f916-7b2b-b8a7-51c852d86b04','Create',1767084332822954,1767085532822954,1767084332840616,0,1,NULL);
INSERT INTO transactions VALUES('b3e602c3-b635-5ef7-a724-999764c7e470','01a22ef7-f932-7809-ae51-af72b5290272','Create',1767084332850599,1767085532850599,1767084332864871,0,1,NULL);
INSERT INTO transactions VALUES('77bc00e1-02f9-558a-a1ba-d611adccac47','01a22ef7-f976-7c3e-ac72-1b7615db77e6','Create',1767084332918823,1767085532918823,1767084332937845,0,1,NULL);
INSERT INTO transactions VALUES('09a8a84b-9582-5365-8b36-8ddb9c6c17b7','01a22ef7-f9b1-718c-9b2b-fbaa50b3d466','Create',1767084332977252,1767085532977252,1767084332984198,0,1,NULL);
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
    created_at       BIGINT NOT NULL, source_mode TEXT CHECK (source_mode IN ('Inherit', 'Clone')), source_name TEXT, source_permissions TEXT, cloned_uid TEXT, cloned_generation BIGINT, cloned_at BIGINT, copied TEXT, member TEXT NOT NULL DEFAULT '{}', secret_hash TEXT, secret_version TEXT,
    UNIQUE (namespace, owner_name),
    UNIQUE (namespace, email)
);
INSERT INTO accounts VALUES('01a22ef7-f8ef-7a5f-b928-ebc9277c7b6d','acme','alice','7a709360-c26e-44aa-9d75-a6b3013cae1f',2,2,'e388ce67-0a17-5c60-a6a0-cc4609cb9ba0','alice.acme','alice@acme.example','acme.example','Enabled','administrators','[]',NULL,'[]','Alice','+1 2',NULL,NULL,'[]',NULL,1767084332783534,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}',NULL,NULL);
INSERT INTO accounts VALUES('01a22ef7-f916-7b2b-b8a7-51c852d86b04','acme','bob','e3f48226-e39c-4e87-b35b-d9cd23773688',1,1,'48af2dd1-0200-5fe9-898d-0ed84bd0270c','bob.acme','bob@acme.example','acme.example','Enabled','users','["orders:read"]','Accountant','["back-office","month-end"]','Bob "O''Neil" \ Jörg 日本 🙂','+1 602 555 0100','{"street":["1 $mart St","Box \\2 \"x\""],"locality":"Zürich","region":"AZ","postalCode":"085001","country":"US"}','America/Phoenix','["CaseAssigned","OrderDelayed","a, \"b\""]',NULL,1767084332822954,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}',NULL,NULL);
INSERT INTO accounts VALUES('01a22ef7-f932-7809-ae51-af72b5290272','acme','carol','b03535a2-936e-4dd2-9722-cd6bf61b33b5',1,1,'b3e602c3-b635-5ef7-a724-999764c7e470','carol.acme','carol@acme.example','acme.example','Enabled','users','[]','Accountant','["back-office","month-end"]','Bob "O''Neil" \ Jörg 日本 🙂','+1 602 555 0100','{"street":["1 $mart St","Box \\2 \"x\""],"locality":"Zürich","region":"AZ","postalCode":"085001","country":"US"}','America/Phoenix','["CaseAssigned","OrderDelayed","a, \"b\""]',NULL,1767084332850599,'Inherit','bob',NULL,NULL,NULL,NULL,'{"from":"bob","uid":"e3f48226-e39c-4e87-b35b-d9cd23773688","generation":1,"role":"Accountant","teams":["back-office","month-end"],"profile":{"displayName":"Bob \"O''Neil\" \\ Jörg 日本 🙂","phone":"+1 602 555 0100","address":{"street":["1 $mart St","Box \\2 \"x\""],"locality":"Zürich","region":"AZ","postalCode":"085001","country":"US"},"timeZone":"America/Phoenix","notifications":["CaseAssigned","OrderDelayed","a, \"b\""]}}','{}',NULL,NULL);
INSERT INTO accounts VALUES('01a22ef7-f976-7c3e-ac72-1b7615db77e6','acme','erin','72fdc617-0db7-4cc1-b7ad-3f4b4a2c081b',1,1,'77bc00e1-02f9-558a-a1ba-d611adccac47','erin.acme','erin@acme.example','acme.example','Disabled','users','[]',NULL,'[]','true','null',NULL,'Europe/Berlin','[]',NULL,1767084332918823,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}',NULL,NULL);
INSERT INTO accounts VALUES('01a22ef7-f9b1-718c-9b2b-fbaa50b3d466','acme','dave','fa9c2422-6ab2-469c-b5ce-6770ed2a29ce',1,2,'09a8a84b-9582-5365-8b36-8ddb9c6c17b7','dave.acme','dave@acme.example','acme.example','Enabled','mechanics','[]',NULL,'[]','Dave D.','+49 30 123','{"street":["2 Oak"],"locality":"Tempe"}','Europe/Berlin','[]','$argon2id$v=19$m=19456,t=2,p=1$moxwmfz8fWW1tvftQa8mRA$JnTSKObN3x2EiIYnoJv7WC3ZxoqGmGab50bAuQix5nc',1767084332977252,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"displayName":{"value":"Dave D.","over":"Dave"},"phone":{"value":"+49 30 123","over":"1"},"address":{"value":{"street":["2 Oak"],"locality":"Tempe"},"over":{"locality":"Tempe"}},"timeZone":{"value":"Europe/Berlin","over":null},"notifications":{"value":[],"over":["CaseClosed"]}}','$argon2id$v=19$m=19456,t=2,p=1$moxwmfz8fWW1tvftQa8mRA$JnTSKObN3x2EiIYnoJv7WC3ZxoqGmGab50bAuQix5nc','c6844fc6-c629-4496-b1bd-a3f36aad8e5d/260/password/');
CREATE TABLE groups (
    namespace    TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    full_control BOOLEAN NOT NULL,
    permissions  TEXT    NOT NULL, self_service TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (namespace, name)
);
INSERT INTO "groups" VALUES('acme','mechanics',0,'["trucks:read"]','["Name","Address","Phone","TimeZone","Notifications"]');
INSERT INTO "groups" VALUES('acme','administrators',1,'[]','[]');
INSERT INTO "groups" VALUES('acme','users',0,'[]','[]');
CREATE TABLE domains (
    namespace          TEXT    NOT NULL,
    name               TEXT    NOT NULL,
    domain             TEXT    NOT NULL,
    include_subdomains BOOLEAN NOT NULL,
    PRIMARY KEY (namespace, name),
    UNIQUE (namespace, domain)
);
INSERT INTO domains VALUES('acme','acme.example','acme.example',0);
CREATE TABLE cases (
    case_id          TEXT NOT NULL PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    organization     TEXT NOT NULL,
    title            TEXT NOT NULL,
    owner_account_id TEXT REFERENCES accounts (account_id) ON DELETE SET NULL
);
CREATE TABLE directories (
    name TEXT NOT NULL PRIMARY KEY
, in_use BOOLEAN NOT NULL DEFAULT TRUE);
INSERT INTO directories VALUES('rehearsal:///directory',1);
CREATE TABLE confirmations (
    account_id TEXT   NOT NULL REFERENCES lifetimes (account_id),
    directory  TEXT   NOT NULL REFERENCES directories (name) ON DELETE CASCADE,
    revision   BIGINT NOT NULL, fingerprint TEXT, handle TEXT,
    PRIMARY KEY (account_id, directory)
);
INSERT INTO confirmations VALUES('01a22ef7-f8ef-7a5f-b928-ebc9277c7b6d','rehearsal:///directory',2,'ede43fd16fa03b22ae8858fa02f2929f.b9c6de3c7d9adabe6a0e19948c0c212b','01a22ef7-f8ef-7a5f-b928-ebc9277c7b6d.json');
INSERT INTO confirmations VALUES('01a22ef7-f916-7b2b-b8a7-51c852d86b04','rehearsal:///directory',1,'75fc7791276fe3c000eaa0ce55eb438a.316f5ccba3fdf56ba3f2d232eddf8c72','01a22ef7-f916-7b2b-b8a7-51c852d86b04.json');
INSERT INTO confirmations VALUES('01a22ef7-f932-7809-ae51-af72b5290272','rehearsal:///directory',1,'3bc37cf1ad7a6bff6a3a4df359831a03.316f5ccba3fdf56ba3f2d232eddf8c72','01a22ef7-f932-7809-ae51-af72b5290272.json');
INSERT INTO confirmations VALUES('01a22ef7-f976-7c3e-ac72-1b7615db77e6','rehearsal:///directory',1,'5301ed5d35837238a5f50429f57f9234.2b428a88f3956a668cb1cd553ddf19e7','01a22ef7-f976-7c3e-ac72-1b7615db77e6.json');
INSERT INTO confirmations VALUES('01a22ef7-f9b1-718c-9b2b-fbaa50b3d466','rehearsal:///directory',2,'a82290aec983b892c242d4965ee6c815.cdd55cbf142d43635fb4fb93b9d0180a/8ef198e74359ac923dccdced45e09cf8','01a22ef7-f9b1-718c-9b2b-fbaa50b3d466.json');
CREATE TABLE member_changes (
    number     BIGINT NOT NULL PRIMARY KEY,
    account_id TEXT   NOT NULL REFERENCES lifetimes (account_id)
);
INSERT INTO member_changes VALUES(1,'01a22ef7-f9b1-718c-9b2b-fbaa50b3d466');
CREATE TABLE switches (
    account_id  TEXT   NOT NULL REFERENCES lifetimes (account_id),
    revision    BIGINT NOT NULL,
    switched_at BIGINT NOT NULL,
    state       TEXT   NOT NULL CHECK (state IN ('Enabled', 'Disabled')),
    PRIMARY KEY (account_id, revision)
);
CREATE TABLE closed_months (
    month       TEXT   NOT NULL PRIMARY KEY,
    time_zone   TEXT   NOT NULL,
    starts_at   BIGINT NOT NULL,
    ends_at     BIGINT NOT NULL UNIQUE,
    utc_offsets TEXT   NOT NULL,
    CHECK (ends_at > starts_at)
);
CREATE TABLE billing (
    row       BIGINT NOT NULL PRIMARY KEY CHECK (row = 1),
    time_zone TEXT   NOT NULL
);
INSERT INTO billing VALUES(1,'UTC');
CREATE TABLE leadership (
    row     BIGINT NOT NULL PRIMARY KEY CHECK (row = 1),
    cluster TEXT   NOT NULL,
    epoch   BIGINT NOT NULL
);
INSERT INTO leadership VALUES(1,'08a68b6b-d40e-4fa8-8ce4-07409c137aeb',1);
CREATE TABLE operators (
    namespaces TEXT   NOT NULL PRIMARY KEY,
    epoch      BIGINT NOT NULL UNIQUE,
    token      TEXT   NOT NULL,
    holder     TEXT   NOT NULL,
    claimed_at BIGINT NOT NULL,
    commits    BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE billing_corrections (
    number       INTEGER NOT NULL PRIMARY KEY,
    corrected_at BIGINT  NOT NULL,
    -- MonthReopened, or the column whose instant was in the future.
    what         TEXT    NOT NULL,
    -- The month, or the id of the account or transaction.
    subject      TEXT    NOT NULL,
    -- The end of the month, or the instant; in microseconds since 1970-01-01T00:00:00Z.
    was          BIGINT  NOT NULL
);
CREATE TABLE login_failures (
    account_id    TEXT   NOT NULL PRIMARY KEY,
    failures      BIGINT NOT NULL,
    turned_away   BIGINT NOT NULL,
    since         BIGINT NOT NULL,
    last          BIGINT NOT NULL,
    -- From when on a login is heard again.
    blocked_until BIGINT
);
CREATE INDEX lifetimes_by_login ON lifetimes (login_name);
CREATE INDEX transactions_by_account ON transactions (account_id);
CREATE INDEX accounts_by_group ON accounts (namespace, group_name);
CREATE INDEX accounts_by_email_domain ON accounts (namespace, email_domain);
CREATE INDEX cases_by_owner ON cases (owner_account_id);
CREATE INDEX accounts_by_source ON accounts (namespace, source_name);
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
        WITH RECURSIVE line (length, lists, next) AS (
            SELECT
                0,
                a.grants || ',' || COALESCE(a.source_permissions, '[]'),
                CASE WHEN a.source_permissions IS NULL THEN a.source_name END
            UNION ALL
            SELECT
                l.length + 1,
                s.grants || ',' || COALESCE(s.source_permissions, '[]'),
                CASE WHEN s.source_permissions IS NULL THEN s.source_name END
            FROM line AS l
            JOIN accounts AS s ON s.namespace = a.namespace AND s.owner_name = l.next
            WHERE l.length <= 32
        )
        SELECT json_group_array(effective.permission)
        FROM (
            SELECT own.value AS permission
            FROM
                -- The line is walked once: every further mention of it would walk it again.
                (SELECT MAX(l.length) AS length, group_concat(l.lists) AS lists FROM line AS l) AS whole,
                json_each('[' || CASE WHEN whole.length <= 32 THEN whole.lists ELSE a.grants END || ']') AS list,
                json_each(list.value) AS own
            UNION
            SELECT given.value
            FROM groups AS g, json_each(g.permissions) AS given
            WHERE g.namespace = a.namespace AND g.name = a.group_name
            UNION
            SELECT '*'
            FROM groups AS g
            WHERE g.namespace = a.namespace AND g.name = a.group_name AND g.full_control
            UNION
            SELECT '*'
            WHERE a.group_name = 'administrators'
              AND NOT EXISTS (SELECT 1 FROM groups AS g WHERE g.namespace = a.namespace AND g.name = a.group_name)
            ORDER BY 1
        ) AS effective
    ) AS permissions
FROM accounts AS a
;
CREATE INDEX transactions_in_flight ON transactions (account_id) WHERE completed_at IS NULL AND superseded_at IS NULL;
CREATE INDEX lifetimes_by_owner ON lifetimes (namespace, owner_name, owner_uid) WHERE owner_name IS NOT NULL;
CREATE INDEX lifetimes_by_end
    ON lifetimes (namespace, deleted_at, created_at, login_name, account_id, state_at_creation);
CREATE TRIGGER cases_inserted BEFORE INSERT ON cases
WHEN length(NEW.case_id) > 256 OR length(CAST(NEW.case_id AS BLOB)) > 1024
    OR length(NEW.organization) > 63 OR length(CAST(NEW.organization AS BLOB)) > 252
    OR length(NEW.title) > 1000 OR length(CAST(NEW.title AS BLOB)) > 4000
    OR length(CAST(NEW.owner_account_id AS BLOB)) > 36
BEGIN
    SELECT RAISE(ABORT, 'too long for a case: case_id has at most 256 characters, organization 63, title 1000, owner_account_id 36');
END;
CREATE TRIGGER cases_updated BEFORE UPDATE OF case_id, organization, title, owner_account_id ON cases
WHEN (NEW.case_id IS NOT OLD.case_id AND (length(NEW.case_id) > 256 OR length(CAST(NEW.case_id AS BLOB)) > 1024))
    OR (NEW.organization IS NOT OLD.organization
        AND (length(NEW.organization) > 63 OR length(CAST(NEW.organization AS BLOB)) > 252))
    OR (NEW.title IS NOT OLD.title AND (length(NEW.title) > 1000 OR length(CAST(NEW.title AS BLOB)) > 4000))
    OR (NEW.owner_account_id IS NOT OLD.owner_account_id AND length(CAST(NEW.owner_account_id AS BLOB)) > 36)
BEGIN
    SELECT RAISE(ABORT, 'too long for a case: case_id has at most 256 characters, organization 63, title 1000, owner_account_id 36');
END;
CREATE TRIGGER accounts_password_changed AFTER UPDATE OF password_hash ON accounts
WHEN NEW.password_hash IS NOT OLD.password_hash
BEGIN
    DELETE FROM login_failures WHERE account_id = NEW.account_id;
END;
CREATE TRIGGER accounts_enabled AFTER UPDATE OF state ON accounts
WHEN NEW.state = 'Enabled' AND OLD.state <> 'Enabled'
BEGIN
    DELETE FROM login_failures WHERE account_id = NEW.account_id;
END;
CREATE TRIGGER accounts_deleted AFTER DELETE ON accounts
BEGIN
    DELETE FROM login_failures WHERE account_id = OLD.account_id;
END;
CREATE VIEW roster_login_failures AS
SELECT account_id, failures, since, blocked_until FROM login_failures WHERE account_id <> '';
COMMIT;
