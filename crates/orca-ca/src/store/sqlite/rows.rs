//! Rows of the register and what they mean.

use jiff::Timestamp;
use orca_pki::certificate::Certificate;
use orca_pki::serial::SerialNumber;
use rusqlite::Row;

use crate::error::Error;
use crate::record::{CertificateRecord, CertificateStatus, Reservation};
use crate::store::profile;

/// Columns that [`record`] reads, in its order.
pub(super) const COLUMNS: &str = "serial, status, profile, subject, common_name, hosts, holder, device, \
                       reserved_at, certificate, revoked_at, reason";

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<CertificateRecord> {
    let invalid = |index, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Blob, error)
    };
    let serial = from_integer(row.get(0)?)
        .ok_or_else(|| invalid(0, "a serial number is positive".into()))?;
    let status: String = row.get(1)?;
    let word: String = row.get(2)?;
    let hosts: String = row.get(5)?;
    let der: Option<Vec<u8>> = row.get(9)?;
    let certificate = der
        .map(|der| Certificate::from_der(&der))
        .transpose()
        .map_err(|error| invalid(9, Box::new(error)))?;
    let revoked_at: Option<i64> = row.get(10)?;
    let reason: Option<String> = row.get(11)?;
    let status = match (status.as_str(), revoked_at) {
        (_, Some(at)) => CertificateStatus::Revoked {
            at: moment(at),
            reason: reason.and_then(|word| word.parse().ok()),
        },
        ("issued", None) => CertificateStatus::Issued,
        _ => CertificateStatus::Reserved,
    };
    let reservation = Reservation {
        profile: profile(&word),
        subject: row.get(3)?,
        common_name: row.get(4)?,
        hosts: hosts.lines().map(str::to_owned).collect(),
        holder: row.get(6)?,
        device: row.get(7)?,
        at: moment(row.get(8)?),
    };
    Ok(CertificateRecord {
        serial,
        reservation,
        status,
        certificate,
    })
}

pub(super) fn to_integer(serial: &SerialNumber) -> Result<i64, Error> {
    serial
        .to_u64()
        .and_then(|number| i64::try_from(number).ok())
        .ok_or_else(|| Error::UnknownSerial {
            serial: serial.clone(),
        })
}

pub(super) fn from_integer(number: i64) -> Option<SerialNumber> {
    u64::try_from(number)
        .ok()
        .and_then(|number| SerialNumber::try_from(number).ok())
}

pub(super) fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MIN)
}
