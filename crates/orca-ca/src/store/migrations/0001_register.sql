CREATE TABLE authority (
    site            TEXT    NOT NULL PRIMARY KEY,
    certificate     BLOB    NOT NULL,
    next_serial     INTEGER NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE certificate (
    site            TEXT    NOT NULL REFERENCES authority (site),
    serial          INTEGER NOT NULL,
    status          TEXT    NOT NULL CHECK (status IN ('reserved', 'issued', 'revoked')),
    profile         TEXT    NOT NULL CHECK (profile IN ('server', 'client')),
    subject         TEXT    NOT NULL,
    common_name     TEXT    NOT NULL,
    hosts           TEXT    NOT NULL,
    holder          TEXT,
    device          TEXT,
    reserved_at     INTEGER NOT NULL,
    issued_at       INTEGER,
    not_after       INTEGER,
    fingerprint     BLOB,
    certificate     BLOB,
    sealed_key      BLOB,
    revoked_at      INTEGER,
    reason          TEXT,
    PRIMARY KEY (site, serial),
    CHECK ((status = 'issued') <= (certificate IS NOT NULL)),
    CHECK ((status = 'revoked') = (revoked_at IS NOT NULL)),
    CHECK (NOT (status = 'revoked' AND sealed_key IS NOT NULL))
) STRICT;

CREATE INDEX certificate_by_name ON certificate (site, common_name);
CREATE INDEX certificate_revoked ON certificate (site, serial) WHERE status = 'revoked';

CREATE TABLE crl (
    site            TEXT    NOT NULL REFERENCES authority (site),
    number          INTEGER NOT NULL,
    this_update     INTEGER NOT NULL,
    next_update     INTEGER NOT NULL,
    der             BLOB    NOT NULL,
    PRIMARY KEY (site, number)
) STRICT;

CREATE TABLE audit (
    site            TEXT    NOT NULL,
    sequence        INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    event           TEXT    NOT NULL,
    serial          INTEGER,
    PRIMARY KEY (site, sequence)
) STRICT;
