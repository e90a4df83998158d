-- Who works on the store. The cluster is known by the uid of its namespace kube-system. An epoch is never given twice; an
-- operator's commits are refused unless its epoch and its token stand here, also where the store was put back to an
-- earlier time. One row.
CREATE TABLE leadership (
    row     BIGINT NOT NULL PRIMARY KEY CHECK (row = 1),
    cluster TEXT   NOT NULL,
    epoch   BIGINT NOT NULL
);

-- The operators that work, each by its namespaces: a sorted JSON list, where an empty one stands for all. Each counts its
-- commits, and is refused where it has made more than are counted here: the store was put back to an earlier time.
CREATE TABLE operators (
    namespaces TEXT   NOT NULL PRIMARY KEY,
    epoch      BIGINT NOT NULL UNIQUE,
    token      TEXT   NOT NULL,
    holder     TEXT   NOT NULL,
    claimed_at BIGINT NOT NULL,
    commits    BIGINT NOT NULL DEFAULT 0
);
