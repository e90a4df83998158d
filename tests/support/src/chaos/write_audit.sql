-- What notes, beside every write to what roster keeps, who made it and whose claim stood when it was committed.
CREATE SCHEMA witness;

CREATE TABLE witness.claims (
    number      BIGSERIAL PRIMARY KEY,
    application TEXT NOT NULL,
    namespaces  TEXT NOT NULL,
    epoch       BIGINT NOT NULL
);

CREATE TABLE witness.writes (
    number      BIGSERIAL PRIMARY KEY,
    transaction BIGINT NOT NULL DEFAULT txid_current(),
    application TEXT NOT NULL DEFAULT current_setting('application_name'),
    relation    TEXT NOT NULL,
    operation   TEXT NOT NULL,
    namespace   TEXT,
    -- Of the claim that stood for the namespace; NULL where none did.
    epoch       BIGINT,
    account_id  TEXT,
    revision    BIGINT,
    owner_uid   TEXT,
    generation  BIGINT
);

CREATE FUNCTION witness.claimed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO witness.claims (application, namespaces, epoch)
    VALUES (current_setting('application_name'), NEW.namespaces, NEW.epoch);
    RETURN NULL;
END
$$;

CREATE FUNCTION witness.wrote() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    content jsonb;
    place text;
BEGIN
    IF TG_OP = 'DELETE' THEN content := to_jsonb(OLD); ELSE content := to_jsonb(NEW); END IF;
    place := content->>'namespace';
    IF place IS NULL THEN
        SELECT l.namespace INTO place FROM public.lifetimes AS l WHERE l.account_id = content->>'account_id';
    END IF;
    INSERT INTO witness.writes (relation, operation, namespace, epoch, account_id, revision, owner_uid, generation)
    SELECT
        TG_TABLE_NAME, TG_OP, place,
        (SELECT MAX(o.epoch) FROM public.operators AS o WHERE o.namespaces = '[]' OR CAST(o.namespaces AS jsonb) ? place),
        content->>'account_id', CAST(content->>'revision' AS BIGINT), content->>'owner_uid',
        CAST(content->>'owner_generation' AS BIGINT);
    -- A transaction takes its time, so that faults find it under way; a database may have it take another time.
    IF TG_TABLE_NAME = 'accounts' THEN
        PERFORM pg_sleep(CAST(COALESCE(NULLIF(current_setting('witness.pause', true), ''), '0.02') AS DOUBLE PRECISION));
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER witnessed AFTER INSERT OR UPDATE OF namespaces, epoch, token ON operators FOR EACH ROW EXECUTE FUNCTION witness.claimed();

-- At the end of each transaction: what counts is whose claim stands when others come to see the write.
DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY[
        'organizations', 'lifetimes', 'switches', 'transactions', 'accounts', 'confirmations', 'groups', 'domains'
    ] LOOP
        EXECUTE format(
            'CREATE CONSTRAINT TRIGGER witnessed AFTER INSERT OR UPDATE OR DELETE ON %I '
            'DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION witness.wrote()', relation);
    END LOOP;
END
$$;
