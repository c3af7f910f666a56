-- Look-ups by name in the order of serials, whatever the length of the register.
DROP INDEX certificate_by_name;
CREATE INDEX certificate_by_name ON certificate (site, common_name, serial);
-- Letters of either case are the same host.
CREATE INDEX certificate_by_host ON certificate (site, common_name COLLATE NOCASE, serial)
    WHERE profile = 'server';
-- All that a CRL says, so that it is made without touching the rows.
DROP INDEX certificate_revoked;
CREATE INDEX certificate_revoked ON certificate (site, serial, revoked_at, reason, not_after)
    WHERE status = 'revoked';
-- All that a list says: a row with certificate and kept key is ten times as long.
CREATE INDEX certificate_listed ON certificate (
    site, serial, profile, common_name, hosts, holder, device, status, not_after, revoked_at,
    reason, subject, fingerprint, not_before
);
