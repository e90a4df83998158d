-- The directory's own key of an account's entry: what a search doesn't show is asked for by it.
ALTER TABLE confirmations ADD COLUMN handle TEXT;
