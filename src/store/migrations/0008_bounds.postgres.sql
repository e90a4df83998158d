-- What commits wait for: the row of each organization that they are about, and the whole table for whoever must be alone.
-- Applications have no right to it, so none of them can hold up a commit that has nothing to do with it; an advisory lock
-- anybody could take who may connect.
CREATE TABLE locks (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

-- What applications write is bounded. Cases that were longer before stay, and can be changed in every other way: what is
-- checked is what a statement gives another value.
CREATE FUNCTION refuse_case() RETURNS trigger LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'too long for a case: case_id has at most 256 characters, organization 63, title 1000, owner_account_id 36'
        USING ERRCODE = 'check_violation';
END
$$;

CREATE TRIGGER cases_inserted BEFORE INSERT ON cases FOR EACH ROW
WHEN (
    char_length(NEW.case_id) > 256 OR char_length(NEW.organization) > 63 OR char_length(NEW.title) > 1000
    OR char_length(NEW.owner_account_id) > 36
)
EXECUTE FUNCTION refuse_case();

CREATE TRIGGER cases_updated BEFORE UPDATE OF case_id, organization, title, owner_account_id ON cases FOR EACH ROW
WHEN (
    (NEW.case_id <> OLD.case_id AND char_length(NEW.case_id) > 256)
    OR (NEW.organization <> OLD.organization AND char_length(NEW.organization) > 63)
    OR (NEW.title <> OLD.title AND char_length(NEW.title) > 1000)
    OR (NEW.owner_account_id IS DISTINCT FROM OLD.owner_account_id AND char_length(NEW.owner_account_id) > 36)
)
EXECUTE FUNCTION refuse_case();
