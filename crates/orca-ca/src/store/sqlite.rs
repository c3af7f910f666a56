//! The register as a SQLite file.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use orca_pki::certificate::Certificate;
use orca_pki::profile::CertificateProfile;
use orca_pki::revocation::{CertificateRevocationList, CrlNumber};
use orca_pki::serial::SerialNumber;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

use super::{Admit, Change, Columns, CrlFacts, NamePolicy, RevocationOrder, Scope, SignCrl, Store};
use crate::actor::Actor;
use crate::error::Error;
use crate::record::{
    AuditEvent, CertificateRecord, DeliveryRecord, ListedCertificate, Reservation, Site,
};
use crate::scribe::Scribe;
use crate::trail::{ChainHash, Trail};

mod deliveries;
mod listing;
mod lists;
mod opening;
mod rows;
mod trail;
mod work;

use opening::{is_denied, version};
use trail::End;
use work::Work;

use rows::{COLUMNS, from_integer, record, to_integer};

/// `PRAGMA application_id` of our registers: "ORCA".
const APPLICATION_ID: i64 = 0x4f52_4341;
/// `PRAGMA user_version` of the newest schema.
const SCHEMA: i64 = MIGRATIONS.len() as i64;
/// From each version to the next; a new register takes all of them.
const MIGRATIONS: [&str; 5] = [
    include_str!("migrations/0001_register.sql"),
    include_str!("migrations/0002_delivery.sql"),
    include_str!("migrations/0003_not_before.sql"),
    include_str!("migrations/0004_indices.sql"),
    include_str!("migrations/0005_audit_chain.sql"),
];
/// The version that came with a column for what until then stood in the certificates only.
const NOT_BEFORE: i64 = 3;
/// The first version whose audit trail is a chain.
const CHAINED: i64 = 5;
/// How long a process waits for another's transaction.
const PATIENCE: Duration = Duration::from_secs(60);

/// A register in one file, opened.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    scribe: Scribe,
    end: Option<End>,
}

impl SqliteStore {
    /// Makes an empty register where the (empty) file was just created.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let mut store = Self::connect(path)?;
        store.run(|connection| connection.pragma_update(None, "application_id", APPLICATION_ID))?;
        store.migrate()?;
        Ok(store)
    }

    /// Opens a register.
    ///
    /// # Errors
    /// The file is missing, is no register, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut store = match Self::connect(path) {
            // Whoever can write the folder waits, or hears the cause.
            Err(error) if is_denied(&error) => Self::connect_to_fixed(path)?.ok_or(error)?,
            other => other?,
        };
        let (id, version): (i64, i64) = store.run(|connection| {
            let id = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
            Ok((id, version(connection)?))
        })?;
        if id != APPLICATION_ID {
            return Err(store.unreadable("not a register of orca-catool"));
        }
        if version > SCHEMA {
            return Err(Error::RegisterNewer {
                path: path.to_owned(),
                version,
            });
        }
        match store.migrate() {
            // What can only be read, can be read as it is.
            Ok(()) | Err(Error::Io { .. }) => Ok(store),
            Err(error) => Err(error),
        }
    }

    /// From now on somebody writes the audit trail; until then nobody's name stands there.
    pub fn employ(&mut self, scribe: Scribe) {
        self.scribe = scribe;
    }

    /// Number and hash of the last row of the audit trail that was written through this store.
    pub fn written(&self) -> Option<(i64, ChainHash)> {
        self.end.as_ref().map(|end| (end.sequence, end.hash))
    }

    fn over(path: &Path, connection: Connection) -> Self {
        Self {
            path: path.to_owned(),
            connection,
            scribe: Scribe::without_seal(Actor::default()),
            end: None,
        }
    }

    fn run<T>(
        &self,
        action: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, Error> {
        action(&self.connection).map_err(|error| database_error(&self.path, &error))
    }

    fn unreadable(&self, detail: &str) -> Error {
        Error::RegisterUnreadable {
            path: self.path.clone(),
            detail: detail.to_owned(),
        }
    }

    /// Runs one transaction that takes the write lock at its start, so that two processes never
    /// read the same "next serial".
    fn transaction<T>(
        &mut self,
        action: impl FnOnce(&Work<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let path = self.path.clone();
        let failed = |error: rusqlite::Error| database_error(&path, &error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let work = Work::new(transaction, &path, &self.scribe);
        let result = action(&work)?;
        let end = work.commit().map_err(failed)?;
        if end.is_some() {
            self.end = end;
        }
        Ok(result)
    }
}

/// What the database says, or what the file system says through it.
fn database_error(path: &Path, error: &rusqlite::Error) -> Error {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    let kind = match error.sqlite_error_code() {
        // The index of the write-ahead log found no room: already reading needs it.
        _ if extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => {
            Some(io::ErrorKind::StorageFull)
        }
        Some(ErrorCode::DiskFull) => Some(io::ErrorKind::StorageFull),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            Some(io::ErrorKind::PermissionDenied)
        }
        _ => None,
    };
    match kind {
        Some(kind) => Error::Io {
            path: path.to_owned(),
            source: kind.into(),
        },
        None => Error::RegisterUnreadable {
            path: path.to_owned(),
            detail: error.to_string(),
        },
    }
}

impl Store for SqliteStore {
    fn authority(&self, site: &Site) -> Result<Option<Certificate>, Error> {
        let der: Option<Vec<u8>> = self.run(|connection| {
            connection
                .query_row(
                    "SELECT certificate FROM authority WHERE site = ?1",
                    params![site.name()],
                    |row| row.get(0),
                )
                .optional()
        })?;
        der.map(|der| Certificate::from_der(&der))
            .transpose()
            .map_err(|error| self.unreadable(&error.to_string()))
    }

    fn enroll(
        &mut self,
        site: &Site,
        ca: &Certificate,
        crl: &CertificateRevocationList,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.transaction(|work| {
            work.run(|transaction| {
                transaction.execute(
                    "INSERT INTO authority (site, certificate, next_serial, created_at)
                     VALUES (?1, ?2, 2, ?3)",
                    params![site.name(), ca.der(), at.as_second()],
                )
            })?;
            work.store_crl(site, crl)?;
            let detail = ca.fingerprint().to_string();
            work.audit(site, at, AuditEvent::Initialized, Some(1), Some(&detail))
        })
    }

    fn reserve(
        &mut self,
        site: &Site,
        reservation: &Reservation,
        names: NamePolicy,
        admit: Admit<'_>,
    ) -> Result<SerialNumber, Error> {
        self.transaction(|work| {
            if names == NamePolicy::Unique
                && let Some(serial) = work.valid_holder(site, reservation)?
            {
                let name = reservation.common_name.clone();
                return Err(Error::NameInUse { name, serial });
            }
            let number: i64 = work.run(|transaction| {
                transaction.query_row(
                    "UPDATE authority SET next_serial = next_serial + 1 WHERE site = ?1
                     RETURNING next_serial - 1",
                    params![site.name()],
                    |row| row.get(0),
                )
            })?;
            let serial = from_integer(number)
                .ok_or_else(|| database_error(work.path, &rusqlite::Error::InvalidQuery))?;
            admit(&serial)?;
            work.run(|transaction| {
                transaction.execute(
                    "INSERT INTO certificate (site, serial, status, profile, subject, common_name,
                                              hosts, holder, device, reserved_at)
                     VALUES (?1, ?2, 'reserved', ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    params![
                        site.name(),
                        number,
                        reservation.profile.name(),
                        reservation.subject,
                        reservation.common_name,
                        reservation.hosts.join("\n"),
                        reservation.holder,
                        reservation.device,
                        reservation.at.as_second(),
                    ],
                )
            })?;
            let detail = format!("{} {}", reservation.profile.name(), reservation.subject);
            let (at, event) = (reservation.at, AuditEvent::Reserved);
            work.audit(site, at, event, Some(number), Some(&detail))?;
            Ok(serial)
        })
    }

    fn record(
        &mut self,
        site: &Site,
        certificate: &Certificate,
        sealed_key: Option<&[u8]>,
        at: Timestamp,
    ) -> Result<(), Error> {
        let serial = certificate.serial().clone();
        let number = to_integer(&serial)?;
        self.transaction(|work| {
            let changed = work.run(|transaction| {
                transaction.execute(
                    "UPDATE certificate
                     SET status = 'issued', issued_at = ?3, not_after = ?4, fingerprint = ?5,
                         certificate = ?6, sealed_key = ?7, not_before = ?8
                     WHERE site = ?1 AND serial = ?2 AND status = 'reserved'",
                    params![
                        site.name(),
                        number,
                        at.as_second(),
                        certificate.validity().not_after.as_second(),
                        certificate.fingerprint().0.as_slice(),
                        certificate.der(),
                        sealed_key,
                        certificate.validity().not_before.as_second(),
                    ],
                )
            })?;
            if changed != 1 {
                return Err(Error::AlreadyRevoked { serial, at });
            }
            let detail = certificate.fingerprint().to_string();
            work.audit(site, at, AuditEvent::Issued, Some(number), Some(&detail))
        })
    }

    fn find(&self, site: &Site, serial: &SerialNumber) -> Result<Option<CertificateRecord>, Error> {
        let Ok(number) = to_integer(serial) else {
            return Ok(None);
        };
        let sql = format!("SELECT {COLUMNS} FROM certificate WHERE site = ?1 AND serial = ?2");
        self.run(|connection| {
            connection
                .query_row(&sql, params![site.name(), number], record)
                .optional()
        })
    }

    fn named(
        &self,
        site: &Site,
        common_name: &str,
        profile: Option<CertificateProfile>,
    ) -> Result<Vec<CertificateRecord>, Error> {
        let condition = match profile {
            Some(CertificateProfile::Server) => {
                "common_name = ?2 COLLATE NOCASE AND profile = 'server' AND ?3 = 'server'"
            }
            _ => "common_name = ?2 AND coalesce(?3, profile) = profile",
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM certificate WHERE site = ?1 AND {condition} ORDER BY serial"
        );
        let profile = profile.map(CertificateProfile::name);
        self.run(|connection| {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(params![site.name(), common_name, profile], record)?;
            rows.collect()
        })
    }

    fn all(&self, site: &Site) -> Result<Vec<CertificateRecord>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM certificate WHERE site = ?1 ORDER BY serial");
        self.run(|connection| {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(params![site.name()], record)?;
            rows.collect()
        })
    }

    fn each(
        &self,
        site: &Site,
        scope: Scope<'_>,
        columns: Columns,
        visit: &mut dyn FnMut(&ListedCertificate<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let schema = self.run(version)?;
        self.run(|connection| listing::each(connection, schema, site, scope, columns, visit))
    }

    fn sealed_key(&self, site: &Site, serial: &SerialNumber) -> Result<Option<Vec<u8>>, Error> {
        let number = to_integer(serial)?;
        let key: Option<Option<Vec<u8>>> = self.run(|connection| {
            connection
                .query_row(
                    "SELECT sealed_key FROM certificate WHERE site = ?1 AND serial = ?2",
                    params![site.name(), number],
                    |row| row.get(0),
                )
                .optional()
        })?;
        Ok(key.flatten())
    }

    fn revoke(
        &mut self,
        site: &Site,
        order: &RevocationOrder,
        sign: SignCrl<'_>,
    ) -> Result<CertificateRevocationList, Error> {
        self.transaction(|work| {
            for serial in &order.serials {
                work.revoke_one(site, serial, order)?;
            }
            let event = AuditEvent::CrlIssued;
            work.new_crl(site, event, order.at, order.drop_expired_before, sign)
        })
    }

    fn issue_crl(
        &mut self,
        site: &Site,
        event: AuditEvent,
        at: Timestamp,
        drop_expired_before: Timestamp,
        sign: SignCrl<'_>,
    ) -> Result<CertificateRevocationList, Error> {
        self.transaction(|work| work.new_crl(site, event, at, drop_expired_before, sign))
    }

    fn newest_crl_facts(&self, site: &Site) -> Result<Option<CrlFacts>, Error> {
        self.run(|connection| lists::newest_facts(connection, site))
    }

    fn newest_crl(&self, site: &Site) -> Result<Option<CertificateRevocationList>, Error> {
        self.run(|connection| lists::newest(connection, site))
    }

    fn deliveries(&self, site: &Site) -> Result<Vec<DeliveryRecord>, Error> {
        // Read-only, and written by a version that knew no gateways.
        match self.run(version)? {
            1 => Ok(Vec::new()),
            _ => self.run(|connection| deliveries::all(connection, site)),
        }
    }

    fn delivered(
        &mut self,
        site: &Site,
        gateway: &str,
        number: CrlNumber,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.transaction(|work| {
            let before = work.run(|transaction| deliveries::one(transaction, site, gateway))?;
            work.run(|transaction| deliveries::enter(transaction, site, gateway, number, at))?;
            let is_news = before.is_none_or(|before| {
                before.failure.is_some() || before.number.is_none_or(|(known, _)| known < number)
            });
            let detail = format!("{gateway}: number {number}");
            match is_news {
                true => work.audit(site, at, AuditEvent::Published, None, Some(&detail)),
                false => Ok(()),
            }
        })
    }

    fn not_delivered(
        &mut self,
        site: &Site,
        gateway: &str,
        failure: &str,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.transaction(|work| {
            let before = work.run(|transaction| deliveries::one(transaction, site, gateway))?;
            work.run(|transaction| deliveries::fail(transaction, site, gateway, failure, at))?;
            let known = before.and_then(|before| before.failure);
            let detail = format!("{gateway}: {failure}");
            match known.as_deref() == Some(failure) {
                true => Ok(()),
                false => work.audit(site, at, AuditEvent::NotPublished, None, Some(&detail)),
            }
        })
    }

    fn audit(
        &mut self,
        site: &Site,
        at: Timestamp,
        event: AuditEvent,
        serial: Option<&SerialNumber>,
        detail: Option<&str>,
    ) -> Result<(), Error> {
        let number = serial.map(to_integer).transpose()?;
        self.transaction(|work| work.audit(site, at, event, number, detail))
    }

    fn audit_change(
        &mut self,
        site: &Site,
        at: Timestamp,
        change: Change<'_>,
    ) -> Result<(), Error> {
        let Change {
            event, opposite, ..
        } = change;
        let is_known = |connection: &Connection| {
            let last = trail::last(connection, site, [event, opposite], change.subject)?;
            let now = (event.name().to_owned(), change.detail.to_owned());
            Ok(last == Some(now))
        };
        // Most runs find nothing new, and need not wait for others.
        if self.run(version)? < CHAINED || self.run(is_known)? {
            return Ok(());
        }
        self.transaction(
            |work| match work.run(|transaction| is_known(transaction))? {
                true => Ok(()),
                false => work.audit(site, at, event, None, Some(change.detail)),
            },
        )
    }

    fn trail(&self, site: &Site) -> Result<Trail, Error> {
        let is_chained = self.run(version)? >= CHAINED;
        self.run(|connection| match is_chained {
            true => trail::chained(connection, site),
            false => trail::unchained(connection, site),
        })
    }
}
