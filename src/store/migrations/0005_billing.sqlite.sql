-- What a month's bill is made of beside the lifetimes. Times are microseconds since 1970-01-01T00:00:00Z.

-- The state that an account was created in, and since when it was in another. The journal has the same, but its
-- times alone don't tell the order of two entries where the clock was set back between them; revisions do.
ALTER TABLE lifetimes ADD COLUMN state_at_creation TEXT NOT NULL DEFAULT 'Enabled'
    CHECK (state_at_creation IN ('Enabled', 'Disabled'));

CREATE TABLE switches (
    account_id  TEXT   NOT NULL REFERENCES lifetimes (account_id),
    revision    BIGINT NOT NULL,
    switched_at BIGINT NOT NULL,
    state       TEXT   NOT NULL CHECK (state IN ('Enabled', 'Disabled')),
    PRIMARY KEY (account_id, revision)
);

-- What happened before: the n-th switch of an account was at its n-th revision or later, so that what comes next is
-- later than all of these. Of an account that was deleted without any, nobody knows whether it had been disabled.
INSERT INTO switches (account_id, revision, switched_at, state)
SELECT
    t.account_id,
    ROW_NUMBER() OVER (PARTITION BY t.account_id ORDER BY t.started_at),
    t.started_at,
    CASE t.type WHEN 'Disable' THEN 'Disabled' ELSE 'Enabled' END
FROM transactions AS t
WHERE t.type IN ('Disable', 'Enable');

UPDATE lifetimes SET state_at_creation = 'Disabled'
WHERE (
        NOT EXISTS (SELECT 1 FROM switches AS s WHERE s.account_id = lifetimes.account_id)
        AND EXISTS (
            SELECT 1 FROM accounts AS a WHERE a.account_id = lifetimes.account_id AND a.state = 'Disabled'
        )
    )
    OR EXISTS (
        SELECT 1 FROM switches AS s
        WHERE s.account_id = lifetimes.account_id AND s.revision = 1 AND s.state = 'Enabled'
    );

-- A month's report reads who lived in it, not everybody who ever did, and of them nothing but this.
CREATE INDEX lifetimes_by_end
    ON lifetimes (namespace, deleted_at, created_at, login_name, account_id, state_at_creation);

-- The months that are over: from the end of the one before to the end by the month's time zone. Nothing is committed
-- in them any more. How far the clocks were ahead of UTC, as a JSON list of [from when on, seconds], is written down
-- too, so that no later table of time zones changes what is written of a month.
CREATE TABLE closed_months (
    month       TEXT   NOT NULL PRIMARY KEY,
    time_zone   TEXT   NOT NULL,
    starts_at   BIGINT NOT NULL,
    ends_at     BIGINT NOT NULL UNIQUE,
    utc_offsets TEXT   NOT NULL,
    CHECK (ends_at > starts_at)
);

-- The time zone of months to come; one row.
CREATE TABLE billing (
    row       BIGINT NOT NULL PRIMARY KEY CHECK (row = 1),
    time_zone TEXT   NOT NULL
);
