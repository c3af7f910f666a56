//! Revocation lists in the register: written from rows, kept as one row. They may be long, so that
//! their octets are copied in pieces, never as a whole beside themselves.

use std::io::{Read as _, Write as _};

use jiff::Timestamp;
use orca_pki::issuance::IssuanceError;
use orca_pki::revocation::{CertificateRevocationList, CrlNumber, CrlWriter};
use rusqlite::blob::ZeroBlob;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, MAIN_DB, OptionalExtension as _, Row, Transaction, params};

use super::rows::moment;
use crate::record::Site;
use crate::store::CrlFacts;

/// Adds an entry for every revoked certificate that is not long expired.
pub(super) fn write(
    transaction: &Transaction<'_>,
    site: &Site,
    drop_expired_before: Timestamp,
    writer: &mut CrlWriter,
) -> Result<Result<(), IssuanceError>, rusqlite::Error> {
    let mut statement = transaction.prepare(
        "SELECT serial, revoked_at, reason FROM certificate
         WHERE site = ?1 AND status = 'revoked' AND coalesce(not_after, ?2) >= ?2
         ORDER BY serial",
    )?;
    let mut rows = statement.query(params![site.name(), drop_expired_before.as_second()])?;
    while let Some(row) = rows.next()? {
        let serial = row.get_ref(0)?.as_i64()?;
        let octets = match u64::try_from(serial) {
            Ok(1..) => serial.to_be_bytes(),
            _ => return Err(FromSqlError::OutOfRange(serial).into()),
        };
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        let reason = row.get_ref(2)?.as_str_or_null()?;
        let reason = reason.and_then(|word| word.parse().ok());
        if let Err(error) = writer.push(&octets[zeros..], moment(row.get(1)?), reason) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// Keeps a list in place of all before it: only the newest is ever delivered, older ones would only
/// fill the disk.
pub(super) fn store(
    transaction: &Transaction<'_>,
    site: &Site,
    crl: &CertificateRevocationList,
) -> Result<(), rusqlite::Error> {
    transaction.execute("DELETE FROM crl WHERE site = ?1", params![site.name()])?;
    transaction.execute(
        "INSERT INTO crl (site, number, this_update, next_update, der)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            site.name(),
            i64::try_from(crl.number.0).unwrap_or(i64::MAX),
            crl.this_update.as_second(),
            crl.next_update.as_second(),
            ZeroBlob(crl.der.len() as u64),
        ],
    )?;
    let row = transaction.last_insert_rowid();
    let mut blob = transaction.blob_open(MAIN_DB, "crl", "der", row, false)?;
    blob.write_all(&crl.der).map_err(blob_error)?;
    blob.close()
}

pub(super) fn newest_facts(
    connection: &Connection,
    site: &Site,
) -> Result<Option<CrlFacts>, rusqlite::Error> {
    Ok(newest_row(connection, site)?.map(|(_, facts)| facts))
}

pub(super) fn newest(
    connection: &Connection,
    site: &Site,
) -> Result<Option<CertificateRevocationList>, rusqlite::Error> {
    // One view of the register for both reads: a list may be replaced at any time.
    let view = connection.unchecked_transaction()?;
    let Some((row, facts)) = newest_row(&view, site)? else {
        return Ok(None);
    };
    let mut blob = view.blob_open(MAIN_DB, "crl", "der", row, true)?;
    let mut der = Vec::with_capacity(blob.len());
    blob.read_to_end(&mut der).map_err(blob_error)?;
    Ok(Some(CertificateRevocationList {
        number: facts.number,
        this_update: facts.this_update,
        next_update: facts.next_update,
        der,
    }))
}

fn newest_row(
    connection: &Connection,
    site: &Site,
) -> Result<Option<(i64, CrlFacts)>, rusqlite::Error> {
    let read = |row: &Row<'_>| {
        let number: i64 = row.get(1)?;
        let facts = CrlFacts {
            number: CrlNumber(u64::try_from(number).unwrap_or(0)),
            this_update: moment(row.get(2)?),
            next_update: moment(row.get(3)?),
        };
        Ok((row.get(0)?, facts))
    };
    connection
        .query_row(
            "SELECT rowid, number, this_update, next_update FROM crl
             WHERE site = ?1 ORDER BY number DESC LIMIT 1",
            params![site.name()],
            read,
        )
        .optional()
}

/// What the database said when a piece could not be copied.
fn blob_error(error: std::io::Error) -> rusqlite::Error {
    match error.downcast::<rusqlite::Error>() {
        Ok(error) => error,
        Err(error) => rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
    }
}
