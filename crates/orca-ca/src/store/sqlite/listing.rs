//! Rows for lists, one after the other: whatever the length of the register, memory stays flat.

use std::ops::ControlFlow;

use orca_pki::certificate::{Certificate, Fingerprint};
use rusqlite::types::{FromSqlError, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::rows::moment;
use crate::record::{ListedCertificate, Site};
use crate::store::{Scope, profile};

/// Columns that [`listed`] reads, in its order; the last one is notBefore.
const COLUMNS: &str = "serial, profile, common_name, hosts, holder, device, status, not_after, \
                       revoked_at, reason, subject, fingerprint";
/// The first schema with a column for notBefore and with the index of lists.
const INDEXED: i64 = 4;

/// Shows rows in the order of their serials until the visitor has enough.
pub(super) fn each(
    connection: &Connection,
    schema: i64,
    site: &Site,
    scope: Scope<'_>,
    visit: &mut dyn FnMut(&ListedCertificate<'_>) -> ControlFlow<()>,
) -> Result<(), rusqlite::Error> {
    // A register of an older version that can only be read has neither column nor index.
    let (not_before, index) = match schema {
        INDEXED.. => ("not_before", "INDEXED BY certificate_listed"),
        _ => ("certificate", ""),
    };
    let sql = match scope {
        Scope::All => format!(
            "SELECT {COLUMNS}, {not_before} FROM certificate {index}
             WHERE site = ?1 AND ?2 IS NULL AND ?3 IS NULL ORDER BY serial"
        ),
        Scope::Exactly { .. } => format!(
            "SELECT {COLUMNS}, {not_before} FROM certificate WHERE site = ?1 AND serial IN
             (SELECT ?2 UNION SELECT serial FROM certificate WHERE site = ?1 AND common_name = ?3)
             ORDER BY serial"
        ),
    };
    let (number, name) = match scope {
        Scope::All => (None, None),
        Scope::Exactly { number, name } => (number.and_then(|n| i64::try_from(n).ok()), Some(name)),
    };
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params![site.name(), number, name])?;
    while let Some(row) = rows.next()? {
        if visit(&listed(row)?).is_break() {
            break;
        }
    }
    Ok(())
}

fn listed<'a>(row: &'a Row<'_>) -> rusqlite::Result<ListedCertificate<'a>> {
    let text = |index| -> rusqlite::Result<&str> { Ok(row.get_ref(index)?.as_str()?) };
    let remark =
        |index| -> rusqlite::Result<Option<&str>> { Ok(row.get_ref(index)?.as_str_or_null()?) };
    let time = |index| -> rusqlite::Result<Option<i64>> { row.get(index) };
    let number = row.get_ref(0)?.as_i64()?;
    Ok(ListedCertificate {
        number: u64::try_from(number).map_err(|_| FromSqlError::OutOfRange(number))?,
        profile: profile(text(1)?),
        common_name: text(2)?,
        hosts: text(3)?,
        holder: remark(4)?,
        device: remark(5)?,
        is_issued: text(6)? == "issued",
        not_after: time(7)?.map(moment),
        revoked_at: time(8)?.map(moment),
        reason: remark(9)?.and_then(|word| word.parse().ok()),
        subject: text(10)?,
        fingerprint: match row.get_ref(11)?.as_blob_or_null()? {
            Some(octets) => <[u8; 32]>::try_from(octets).ok().map(Fingerprint),
            None => None,
        },
        not_before: match row.get_ref(12)? {
            ValueRef::Integer(seconds) => Some(moment(seconds)),
            ValueRef::Blob(der) => not_before(der).map(moment),
            _ => None,
        },
    })
}

fn not_before(der: &[u8]) -> Option<i64> {
    let certificate = Certificate::from_der(der).ok()?;
    Some(certificate.validity().not_before.as_second())
}

/// Fills the column of notBefore from the certificates, once.
pub(super) fn fill_not_before(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    let mut next = transaction.prepare(
        "SELECT rowid, certificate FROM certificate
         WHERE rowid > ?1 AND certificate IS NOT NULL ORDER BY rowid LIMIT 1",
    )?;
    let mut write =
        transaction.prepare("UPDATE certificate SET not_before = ?2 WHERE rowid = ?1")?;
    let mut last = i64::MIN;
    loop {
        let row: Option<(i64, Vec<u8>)> = next
            .query_row([last], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((id, der)) = row else { return Ok(()) };
        write.execute(params![id, not_before(&der)])?;
        last = id;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_look_ups_go_through_their_indices() {
        let connection = Connection::open_in_memory().unwrap();
        for step in super::super::MIGRATIONS {
            connection.execute_batch(step).unwrap();
        }
        for (sql, index) in [
            (
                "SELECT serial, subject, not_before, fingerprint FROM certificate
                 INDEXED BY certificate_listed WHERE site = ?1 ORDER BY serial",
                "COVERING INDEX certificate_listed (site=?)",
            ),
            (
                "SELECT certificate FROM certificate WHERE site = ?1 AND common_name = ?2
                 AND coalesce(?3, profile) = profile ORDER BY serial",
                "INDEX certificate_by_name (site=? AND common_name=?)",
            ),
            (
                "SELECT certificate FROM certificate WHERE site = ?1
                 AND common_name = ?2 COLLATE NOCASE AND profile = 'server' AND ?3 = 'server'
                 ORDER BY serial",
                "INDEX certificate_by_host (site=? AND common_name=?)",
            ),
            (
                "SELECT serial FROM certificate INDEXED BY certificate_by_name
                 WHERE site = ?1 AND common_name = ?2 AND profile = ?3 AND status = 'issued' AND not_after >= ?4
                 ORDER BY serial DESC LIMIT 1",
                "INDEX certificate_by_name (site=? AND common_name=?)",
            ),
            (
                "SELECT serial, revoked_at, reason FROM certificate
                 WHERE site = ?1 AND status = 'revoked' AND coalesce(not_after, ?2) >= ?2
                 ORDER BY serial",
                "COVERING INDEX certificate_revoked (site=?)",
            ),
        ] {
            let mut plan = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap();
            let arguments = vec![rusqlite::types::Null; plan.parameter_count()];
            let steps: Vec<String> = plan
                .query_map(rusqlite::params_from_iter(arguments), |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            assert_eq!(steps.len(), 1, "nothing is sorted: {steps:?}");
            assert!(steps[0].contains(index), "{steps:?}");
        }
    }
}
