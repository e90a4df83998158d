-- The profile as one value: a JSON object without the fields that are absent. What isn't JSON where it should be becomes
-- a text in it, so that only the account that has it can't be read, as before.
DROP VIEW roster_accounts;

ALTER TABLE accounts ADD COLUMN profile TEXT NOT NULL DEFAULT '{}';
UPDATE accounts SET profile = json_patch('{}', json_object(
    'displayName', display_name,
    'phone', phone,
    'address', CASE WHEN json_valid(address) THEN json(address) ELSE address END,
    'timeZone', time_zone,
    'notifications', CASE
        WHEN NOT json_valid(notifications) THEN notifications
        WHEN notifications <> '[]' THEN json(notifications)
    END
));

ALTER TABLE accounts DROP COLUMN display_name;
ALTER TABLE accounts DROP COLUMN phone;
ALTER TABLE accounts DROP COLUMN address;
ALTER TABLE accounts DROP COLUMN time_zone;
ALTER TABLE accounts DROP COLUMN notifications;

-- As before, but for where the name and the phone number come from.
CREATE VIEW roster_accounts AS
SELECT
    a.account_id,
    a.namespace AS organization,
    a.login_name,
    a.email,
    a.state,
    a.group_name,
    json_extract(a.profile, '$.displayName') AS display_name,
    json_extract(a.profile, '$.phone') AS phone,
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
