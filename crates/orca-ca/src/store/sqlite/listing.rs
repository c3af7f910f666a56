//! Rows for lists, one after the other: whatever the length of the register, memory stays flat.

use std::ops::ControlFlow;

use orca_pki::certificate::{Certificate, Fingerprint};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{FromSqlError, ToSql, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::rows::moment;
use crate::record::{ListedCertificate, ListedDetails, Site};
use crate::store::{Columns, Scope, Word, profile};

/// Columns that [`listed`] reads, in its order.
const TABLE: &str = "serial, profile, common_name, hosts, holder, device, status, not_after, \
                     revoked_at";
/// And those of [`details`], behind which comes notBefore.
const DETAILS: &str = "reason, subject, fingerprint";
/// The first schema with a column for notBefore and with the index of lists.
const INDEXED: i64 = 4;

/// Shows rows in the order of their serials until the visitor has enough.
pub(super) fn each(
    connection: &Connection,
    schema: i64,
    site: &Site,
    scope: Scope<'_>,
    columns: Columns,
    visit: &mut dyn FnMut(&ListedCertificate<'_>) -> ControlFlow<()>,
) -> Result<(), rusqlite::Error> {
    // A register of an older version that can only be read has neither column nor index.
    let (not_before, index) = match schema {
        INDEXED.. => ("not_before", "INDEXED BY certificate_listed"),
        _ => ("certificate", ""),
    };
    let columns = match columns {
        Columns::Table => TABLE.to_owned(),
        Columns::Whole => format!("{TABLE}, {DETAILS}, {not_before}"),
    };
    let name = site.name();
    match scope {
        Scope::All => {
            let sql = format!(
                "SELECT {columns} FROM certificate {index} WHERE site = ?1 ORDER BY serial"
            );
            show(connection, &sql, params![name], visit)
        }
        Scope::Containing(word) => {
            offer(connection, word.clone())?;
            let sql = format!(
                "SELECT {columns} FROM certificate {index} WHERE site = ?1
                 AND is_sought(serial, common_name, hosts, holder, device) ORDER BY serial"
            );
            show(connection, &sql, params![name], visit)
        }
        Scope::Exactly {
            number,
            name: exact,
        } => {
            let sql = format!(
                "SELECT {columns} FROM certificate WHERE site = ?1 AND serial IN
                 (SELECT ?2 UNION SELECT serial FROM certificate
                  WHERE site = ?1 AND common_name = ?3)
                 ORDER BY serial"
            );
            let number = number.and_then(|number| i64::try_from(number).ok());
            show(connection, &sql, params![name, number, exact], visit)
        }
    }
}

fn show(
    connection: &Connection,
    sql: &str,
    parameters: &[&dyn ToSql],
    visit: &mut dyn FnMut(&ListedCertificate<'_>) -> ControlFlow<()>,
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare(sql)?;
    let is_whole = statement.column_count() > DETAILS_FROM;
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        let mut listed = listed(row)?;
        if is_whole {
            listed.details = Some(details(row)?);
        }
        if visit(&listed).is_break() {
            break;
        }
    }
    Ok(())
}

/// Has SQLite itself ask for the word: of a row without it, it reads what is asked about and no more.
fn offer(connection: &Connection, word: Word) -> Result<(), rusqlite::Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("is_sought", 5, flags, move |row| {
        let number = row.get_raw(0).as_i64()?;
        let has = |index| {
            let text = row.get_raw(index).as_bytes_or_null();
            text.is_ok_and(|text| text.is_some_and(|text| word.is_part_of(text)))
        };
        let is_it = |sought| u64::try_from(number) == Ok(sought);
        Ok(word.number().is_some_and(is_it) || (1..=4).any(has))
    })
}

fn listed<'a>(row: &'a Row<'_>) -> rusqlite::Result<ListedCertificate<'a>> {
    let number = row.get_ref(0)?.as_i64()?;
    Ok(ListedCertificate {
        number: u64::try_from(number).map_err(|_| FromSqlError::OutOfRange(number))?,
        profile: profile(row.get_ref(1)?.as_str()?),
        common_name: row.get_ref(2)?.as_str()?,
        hosts: row.get_ref(3)?.as_str()?,
        holder: row.get_ref(4)?.as_str_or_null()?,
        device: row.get_ref(5)?.as_str_or_null()?,
        is_issued: row.get_ref(6)?.as_str()? == "issued",
        not_after: row.get_ref(7)?.as_i64_or_null()?.map(moment),
        revoked_at: row.get_ref(8)?.as_i64_or_null()?.map(moment),
        details: None,
    })
}

/// The first of their columns.
const DETAILS_FROM: usize = 9;

fn details<'a>(row: &'a Row<'_>) -> rusqlite::Result<ListedDetails<'a>> {
    let reason = row.get_ref(DETAILS_FROM)?.as_str_or_null()?;
    Ok(ListedDetails {
        reason: reason.and_then(|word| word.parse().ok()),
        subject: row.get_ref(DETAILS_FROM + 1)?.as_str()?,
        fingerprint: match row.get_ref(DETAILS_FROM + 2)?.as_blob_or_null()? {
            Some(octets) => <[u8; 32]>::try_from(octets).ok().map(Fingerprint),
            None => None,
        },
        not_before: match row.get_ref(DETAILS_FROM + 3)? {
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
        offer(&connection, Word::new("user")).unwrap();
        for (sql, index) in [
            (
                "SELECT serial, profile, device, status, not_after, revoked_at FROM certificate
                 INDEXED BY certificate_listed WHERE site = ?1
                 AND is_sought(serial, common_name, hosts, holder, device) ORDER BY serial",
                "COVERING INDEX certificate_listed (site=?)",
            ),
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
