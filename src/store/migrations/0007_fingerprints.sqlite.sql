-- What of a person a directory has, beside the revision: permissions change with others' accounts.
ALTER TABLE confirmations ADD COLUMN fingerprint TEXT;
-- A directory that is taken out keeps what it confirmed: it may be put back.
ALTER TABLE directories ADD COLUMN in_use BOOLEAN NOT NULL DEFAULT TRUE;
