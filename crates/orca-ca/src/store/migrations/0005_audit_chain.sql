-- Who, where, what exactly, and the hash over the row and the one before. Rows that an older version
-- wrote have none of these; the first row that has a hash covers them all.
ALTER TABLE audit ADD COLUMN actor  TEXT;
ALTER TABLE audit ADD COLUMN host   TEXT;
ALTER TABLE audit ADD COLUMN detail TEXT;
ALTER TABLE audit ADD COLUMN hash   BLOB;

-- How far the chain has come, signed by the CA.
CREATE TABLE audit_head (
    site            TEXT    NOT NULL PRIMARY KEY,
    sequence        INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    hash            BLOB    NOT NULL,
    signature       BLOB    NOT NULL
) STRICT;
