-- What of a person a directory has, beside the revision: permissions change with others' accounts.
ALTER TABLE confirmations ADD COLUMN fingerprint TEXT COLLATE "C";
-- A directory that is taken out keeps what it confirmed: it may be put back.
ALTER TABLE directories ADD COLUMN in_use BOOLEAN NOT NULL DEFAULT TRUE;

-- As json_group_object of a number, of a text.
CREATE FUNCTION json_with_text(sofar text, key text, value text) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT CAST(CAST(sofar AS jsonb) || jsonb_build_object(key, value) AS text) $$;
CREATE AGGREGATE json_group_object(text, text) (SFUNC = json_with_text, STYPE = text, INITCOND = '{}');
