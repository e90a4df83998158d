-- The profile as one value: a JSON object without the fields that are absent. What isn't JSON where it should be becomes
-- a text in it, so that only the account that has it can't be read, as before.
CREATE FUNCTION json_or_text(value text) RETURNS json LANGUAGE plpgsql
AS $$
BEGIN
    -- As jsonb for its check: json takes an escaped NUL, and no text can be read from what has one.
    RETURN CAST(CAST(value AS jsonb) AS json);
EXCEPTION WHEN OTHERS THEN
    RETURN to_json(value);
END
$$;

ALTER TABLE accounts ADD COLUMN profile TEXT COLLATE "C";
UPDATE accounts SET profile = CAST(json_strip_nulls(json_build_object(
    'displayName', display_name,
    'phone', phone,
    'address', json_or_text(address),
    'timeZone', time_zone,
    'notifications', json_or_text(NULLIF(notifications, '[]'))
)) AS text);
-- A text that has a NUL in it is refused, as in a column of its own: the view couldn't read it.
ALTER TABLE accounts
    ALTER COLUMN profile SET NOT NULL,
    ADD CHECK (CAST(profile AS json) ->> 'displayName' IS NOT NULL);

DROP FUNCTION json_or_text(text);

-- As before, but for where the name and the phone number come from. The view is replaced and not made anew, so that the
-- rights which applications have to it stay.
CREATE OR REPLACE VIEW roster_accounts AS
SELECT
    a.account_id,
    a.namespace AS organization,
    a.login_name,
    a.email,
    a.state,
    a.group_name,
    (CAST(a.profile AS json) ->> 'displayName') COLLATE "C" AS display_name,
    (CAST(a.profile AS json) ->> 'phone') COLLATE "C" AS phone,
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

ALTER TABLE accounts
    DROP COLUMN display_name,
    DROP COLUMN phone,
    DROP COLUMN address,
    DROP COLUMN time_zone,
    DROP COLUMN notifications;
