-- The failed logins of an account since its last login, by `roster login` and `roster self`. Logins of nobody's are in one row
-- without an id ('').
CREATE TABLE login_failures (
    account_id    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    failures      BIGINT NOT NULL,
    turned_away   BIGINT NOT NULL,
    since         BIGINT NOT NULL,
    last          BIGINT NOT NULL,
    -- From when on a login is heard again.
    blocked_until BIGINT
);

-- A new password and enabling end the wait, and an account that goes takes its row along.
CREATE FUNCTION forget_login_failures() RETURNS trigger LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM login_failures WHERE account_id = OLD.account_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER accounts_password_changed AFTER UPDATE OF password_hash ON accounts FOR EACH ROW
WHEN (NEW.password_hash IS DISTINCT FROM OLD.password_hash)
EXECUTE FUNCTION forget_login_failures();

CREATE TRIGGER accounts_enabled AFTER UPDATE OF state ON accounts FOR EACH ROW
WHEN (NEW.state = 'Enabled' AND OLD.state <> 'Enabled')
EXECUTE FUNCTION forget_login_failures();

CREATE TRIGGER accounts_deleted AFTER DELETE ON accounts FOR EACH ROW
EXECUTE FUNCTION forget_login_failures();

-- For applications, which check passwords themselves: nobody is to be let in before blocked_until, in microseconds since
-- 1970-01-01T00:00:00Z.
CREATE VIEW roster_login_failures AS
SELECT account_id, failures, since, blocked_until FROM login_failures WHERE account_id <> '';
