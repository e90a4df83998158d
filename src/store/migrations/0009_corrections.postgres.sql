-- What somebody corrected about bills on purpose, because a clock had been wrong: months that were closed before they were
-- over and are open again, and instants in the future that became the time of the correction. Nothing deletes these rows.
CREATE TABLE billing_corrections (
    number       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    corrected_at BIGINT NOT NULL,
    -- MonthReopened, or the column whose instant was in the future.
    what         TEXT COLLATE "C" NOT NULL,
    -- The month, or the id of the account or transaction.
    subject      TEXT COLLATE "C" NOT NULL,
    -- The end of the month, or the instant; in microseconds since 1970-01-01T00:00:00Z.
    was          BIGINT NOT NULL
);
