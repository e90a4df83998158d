-- What applications write is bounded. Cases that were longer before stay, and can be changed in every other way: what is
-- checked is what a statement gives another value. A text ends for length() at its first NUL, so its bytes count too.
CREATE TRIGGER cases_inserted BEFORE INSERT ON cases
WHEN length(NEW.case_id) > 256 OR length(CAST(NEW.case_id AS BLOB)) > 1024
    OR length(NEW.organization) > 63 OR length(CAST(NEW.organization AS BLOB)) > 252
    OR length(NEW.title) > 1000 OR length(CAST(NEW.title AS BLOB)) > 4000
    OR length(CAST(NEW.owner_account_id AS BLOB)) > 36
BEGIN
    SELECT RAISE(ABORT, 'too long for a case: case_id has at most 256 characters, organization 63, title 1000, owner_account_id 36');
END;

CREATE TRIGGER cases_updated BEFORE UPDATE OF case_id, organization, title, owner_account_id ON cases
WHEN (NEW.case_id IS NOT OLD.case_id AND (length(NEW.case_id) > 256 OR length(CAST(NEW.case_id AS BLOB)) > 1024))
    OR (NEW.organization IS NOT OLD.organization
        AND (length(NEW.organization) > 63 OR length(CAST(NEW.organization AS BLOB)) > 252))
    OR (NEW.title IS NOT OLD.title AND (length(NEW.title) > 1000 OR length(CAST(NEW.title AS BLOB)) > 4000))
    OR (NEW.owner_account_id IS NOT OLD.owner_account_id AND length(CAST(NEW.owner_account_id AS BLOB)) > 36)
BEGIN
    SELECT RAISE(ABORT, 'too long for a case: case_id has at most 256 characters, organization 63, title 1000, owner_account_id 36');
END;
