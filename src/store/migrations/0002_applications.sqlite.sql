-- What applications read and write: a contract. In SQL that SQLite has known since 3.31, because
-- an application may bring its own.

-- The one table that applications write.
CREATE TABLE cases (
    case_id          TEXT NOT NULL PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    organization     TEXT NOT NULL,
    title            TEXT NOT NULL,
    owner_account_id TEXT REFERENCES accounts (account_id) ON DELETE SET NULL
);

CREATE INDEX cases_by_owner ON cases (owner_account_id);

-- The live accounts, with the permissions in effect.
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
        SELECT json_group_array(effective.permission)
        FROM (
            SELECT own.value AS permission FROM json_each(a.grants) AS own
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
FROM accounts AS a;
