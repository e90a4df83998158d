-- Where permissions beside the listed ones come from.
ALTER TABLE accounts ADD COLUMN source_mode TEXT CHECK (source_mode IN ('Inherit', 'Clone'));
ALTER TABLE accounts ADD COLUMN source_name TEXT;
-- What was cloned or, on a loop, what stays of what was inherited. Nobody is followed while it is there.
ALTER TABLE accounts ADD COLUMN source_permissions TEXT;
ALTER TABLE accounts ADD COLUMN cloned_uid TEXT;
ALTER TABLE accounts ADD COLUMN cloned_generation BIGINT;
ALTER TABLE accounts ADD COLUMN cloned_at BIGINT;
-- What was copied when the account was created, and what the member changed themselves.
ALTER TABLE accounts ADD COLUMN copied TEXT;
ALTER TABLE accounts ADD COLUMN member TEXT NOT NULL DEFAULT '{}';

CREATE INDEX accounts_by_source ON accounts (namespace, source_name);

-- Which of their own details members may change.
ALTER TABLE groups ADD COLUMN self_service TEXT NOT NULL DEFAULT '[]';

-- The live accounts, with the permissions in effect: their own, along the line of those that they follow, and those
-- of their group. Nothing is inherited along a line of more than 32.
DROP VIEW roster_accounts;
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
FROM accounts AS a;
