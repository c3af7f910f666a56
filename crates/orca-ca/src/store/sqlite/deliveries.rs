//! Rows about gateways: what each has got.

use jiff::Timestamp;
use orca_pki::revocation::CrlNumber;
use rusqlite::{Connection, Row, params};

use super::rows::moment;
use crate::record::{DeliveryRecord, Site};

pub(super) fn all(
    connection: &Connection,
    site: &Site,
) -> Result<Vec<DeliveryRecord>, rusqlite::Error> {
    let mut statement = connection.prepare(
        "SELECT gateway, number, delivered_at, failed_at, failure FROM delivery
         WHERE site = ?1 ORDER BY gateway",
    )?;
    let rows = statement.query_map(params![site.name()], record)?;
    rows.collect()
}

/// What one gateway has got.
pub(super) fn one(
    connection: &Connection,
    site: &Site,
    gateway: &str,
) -> Result<Option<DeliveryRecord>, rusqlite::Error> {
    let all = all(connection, site)?;
    Ok(all.into_iter().find(|record| record.gateway == gateway))
}

fn record(row: &Row<'_>) -> rusqlite::Result<DeliveryRecord> {
    let number: Option<i64> = row.get(1)?;
    let delivered_at: Option<i64> = row.get(2)?;
    let failed_at: Option<i64> = row.get(3)?;
    Ok(DeliveryRecord {
        gateway: row.get(0)?,
        number: number
            .and_then(|number| u64::try_from(number).ok())
            .zip(delivered_at)
            .map(|(number, at)| (CrlNumber(number), moment(at))),
        failed_at: failed_at.map(moment),
        failure: row.get(4)?,
    })
}

/// The number never goes back: two commands may report in the other order.
pub(super) fn enter(
    connection: &Connection,
    site: &Site,
    gateway: &str,
    number: CrlNumber,
    at: Timestamp,
) -> Result<(), rusqlite::Error> {
    let number = i64::try_from(number.0).unwrap_or(i64::MAX);
    connection
        .execute(
            "INSERT INTO delivery (site, gateway, number, delivered_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (site, gateway) DO UPDATE
             SET delivered_at = iif(coalesce(number, -1) < ?3, ?4, delivered_at),
                 number = max(coalesce(number, -1), ?3),
                 failed_at = NULL, failure = NULL",
            params![site.name(), gateway, number, at.as_second()],
        )
        .map(drop)
}

pub(super) fn fail(
    connection: &Connection,
    site: &Site,
    gateway: &str,
    failure: &str,
    at: Timestamp,
) -> Result<(), rusqlite::Error> {
    connection
        .execute(
            "INSERT INTO delivery (site, gateway, failed_at, failure) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (site, gateway) DO UPDATE SET failed_at = ?3, failure = ?4",
            params![site.name(), gateway, at.as_second(), failure],
        )
        .map(drop)
}
