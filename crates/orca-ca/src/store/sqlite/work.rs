//! One transaction on the register, and what several kinds of it do alike.

use std::path::Path;

use jiff::Timestamp;
use orca_pki::revocation::{CertificateRevocationList, CrlNumber, CrlWriter, RevocationReason};
use orca_pki::serial::SerialNumber;
use rusqlite::{OptionalExtension, Transaction, params};

use super::rows::{from_integer, moment, to_integer};
use super::trail::{End, Note, Pen};
use super::{database_error, lists};
use crate::error::Error;
use crate::record::{AuditEvent, Reservation, Site};
use crate::scribe::Scribe;
use crate::store::{RevocationOrder, SignCrl};

/// A transaction and the register's path for its errors.
pub(super) struct Work<'a> {
    transaction: Transaction<'a>,
    pub(super) path: &'a Path,
    pen: Pen<'a>,
}

impl<'a> Work<'a> {
    /// Begins; what `scribe` is told is written with it.
    pub(super) fn new(transaction: Transaction<'a>, path: &'a Path, scribe: &'a Scribe) -> Self {
        Self {
            transaction,
            path,
            pen: Pen::new(scribe),
        }
    }

    /// Makes it last, with the head of the audit trail if something was written there.
    pub(super) fn commit(self) -> Result<Option<End>, rusqlite::Error> {
        let end = self.pen.finish(&self.transaction)?;
        self.transaction.commit()?;
        Ok(end)
    }

    pub(super) fn run<T>(
        &self,
        action: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<T, Error> {
        action(&self.transaction).map_err(|error| database_error(self.path, &error))
    }

    pub(super) fn audit(
        &self,
        site: &Site,
        at: Timestamp,
        event: AuditEvent,
        serial: Option<i64>,
        detail: Option<&str>,
    ) -> Result<(), Error> {
        let note = Note {
            event,
            serial,
            detail,
        };
        self.run(|transaction| self.pen.append(transaction, site, at, note))
    }

    pub(super) fn store_crl(
        &self,
        site: &Site,
        crl: &CertificateRevocationList,
    ) -> Result<(), Error> {
        self.run(|transaction| lists::store(transaction, site, crl))
    }

    pub(super) fn new_crl(
        &self,
        site: &Site,
        event: AuditEvent,
        at: Timestamp,
        drop_expired_before: Timestamp,
        sign: SignCrl<'_>,
    ) -> Result<CertificateRevocationList, Error> {
        let newest = self.run(|transaction| lists::newest_facts(transaction, site))?;
        let newest = newest.map_or(CrlNumber(0), |newest| newest.number);
        let mut writer = CrlWriter::new();
        self.run(|transaction| lists::write(transaction, site, drop_expired_before, &mut writer))??;
        let crl = sign(newest.next(), writer)?;
        self.store_crl(site, &crl)?;
        let detail = format!("number {}", crl.number);
        self.audit(site, at, event, None, Some(&detail))?;
        Ok(crl)
    }

    pub(super) fn revoke_one(
        &self,
        site: &Site,
        serial: &SerialNumber,
        order: &RevocationOrder,
    ) -> Result<(), Error> {
        let number = to_integer(serial)?;
        let status: Option<(String, Option<i64>)> = self.run(|transaction| {
            transaction
                .query_row(
                    "SELECT status, revoked_at FROM certificate WHERE site = ?1 AND serial = ?2",
                    params![site.name(), number],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()
        })?;
        match status {
            None => {
                return Err(Error::UnknownSerial {
                    serial: serial.clone(),
                });
            }
            Some((_, Some(at))) => {
                return Err(Error::AlreadyRevoked {
                    serial: serial.clone(),
                    at: moment(at),
                });
            }
            Some((_, None)) => {}
        }
        self.run(|transaction| {
            transaction.execute(
                "UPDATE certificate
                 SET status = 'revoked', revoked_at = ?3, reason = ?4, sealed_key = NULL
                 WHERE site = ?1 AND serial = ?2",
                params![
                    site.name(),
                    number,
                    order.at.as_second(),
                    order.reason.map(RevocationReason::name)
                ],
            )
        })?;
        let reason = order.reason.map(RevocationReason::name);
        self.audit(site, order.at, AuditEvent::Revoked, Some(number), reason)
    }

    /// The newest certificate that has the name and kind of `reservation` and is valid.
    pub(super) fn valid_holder(
        &self,
        site: &Site,
        reservation: &Reservation,
    ) -> Result<Option<SerialNumber>, Error> {
        let number: Option<i64> = self.run(|transaction| {
            transaction
                .query_row(
                    "SELECT serial FROM certificate INDEXED BY certificate_by_name
                     WHERE site = ?1 AND common_name = ?2 AND profile = ?3 AND status = 'issued'
                       AND not_after >= ?4
                     ORDER BY serial DESC LIMIT 1",
                    params![
                        site.name(),
                        reservation.common_name,
                        reservation.profile.name(),
                        reservation.at.as_second()
                    ],
                    |row| row.get(0),
                )
                .optional()
        })?;
        Ok(number.and_then(from_integer))
    }
}
