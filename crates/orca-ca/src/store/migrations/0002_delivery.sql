-- Which CRL each gateway has got, and what went wrong since.
CREATE TABLE delivery (
    site            TEXT    NOT NULL REFERENCES authority (site),
    gateway         TEXT    NOT NULL,
    number          INTEGER,
    delivered_at    INTEGER,
    failed_at       INTEGER,
    failure         TEXT,
    PRIMARY KEY (site, gateway),
    CHECK ((number IS NULL) = (delivered_at IS NULL)),
    CHECK ((failure IS NULL) = (failed_at IS NULL))
) STRICT;
