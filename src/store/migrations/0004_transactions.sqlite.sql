-- Transactions that last: which revision they made, and what became of them.
ALTER TABLE transactions ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
ALTER TABLE transactions ADD COLUMN superseded_at BIGINT;

CREATE INDEX transactions_in_flight ON transactions (account_id) WHERE completed_at IS NULL AND superseded_at IS NULL;

-- Whose account it was, of one that was deleted.
ALTER TABLE lifetimes ADD COLUMN owner_name TEXT;
ALTER TABLE lifetimes ADD COLUMN owner_uid TEXT;
ALTER TABLE lifetimes ADD COLUMN owner_generation BIGINT NOT NULL DEFAULT 0;

CREATE INDEX lifetimes_by_owner ON lifetimes (namespace, owner_name, owner_uid) WHERE owner_name IS NOT NULL;

-- The directories that transactions wait for, and the newest revision that each confirmed of an account.
CREATE TABLE directories (
    name TEXT NOT NULL PRIMARY KEY
);

CREATE TABLE confirmations (
    account_id TEXT   NOT NULL REFERENCES lifetimes (account_id),
    directory  TEXT   NOT NULL REFERENCES directories (name) ON DELETE CASCADE,
    revision   BIGINT NOT NULL,
    PRIMARY KEY (account_id, directory)
);

-- The last password that came from a Secret, hashed, and which version of which Secret it stood in. The column
-- password_hash has what logs in: that one, or the member's own.
ALTER TABLE accounts ADD COLUMN secret_hash TEXT;
ALTER TABLE accounts ADD COLUMN secret_version TEXT;

-- What members changed of themselves, in the order of the commits, for an operator that looks now and then. The newest stay.
CREATE TABLE member_changes (
    number     BIGINT NOT NULL PRIMARY KEY,
    account_id TEXT   NOT NULL REFERENCES lifetimes (account_id)
);
