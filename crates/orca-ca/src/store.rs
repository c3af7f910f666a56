//! The register: what every store can do.
//!
//! Each method is one transaction. What must be decided inside a transaction (is the name free? is
//! the zip's name free?) or made inside it (the CRL of a revocation) comes in as a closure.

use jiff::Timestamp;
use orca_pki::certificate::Certificate;
use orca_pki::profile::CertificateProfile;
use orca_pki::revocation::{CertificateRevocationList, CrlNumber, RevocationReason, RevokedEntry};
use orca_pki::serial::SerialNumber;

use crate::error::Error;
use crate::record::{AuditEvent, CertificateRecord, DeliveryRecord, Reservation, Site};

mod sqlite;

pub use sqlite::SqliteStore;

/// A question asked inside the reserving transaction, with the serial that would be taken.
pub type Admit<'a> = &'a mut dyn FnMut(&SerialNumber) -> Result<(), Error>;

/// Makes a CRL inside the transaction that needs it.
pub type SignCrl<'a> =
    &'a mut dyn FnMut(CrlNumber, Vec<RevokedEntry>) -> Result<CertificateRevocationList, Error>;

/// Which certificates to revoke.
#[derive(Clone, Debug)]
pub struct RevocationOrder {
    /// All of them or none.
    pub serials: Vec<SerialNumber>,
    /// Why.
    pub reason: Option<RevocationReason>,
    /// Since when.
    pub at: Timestamp,
    /// Entries whose certificate expired before this moment leave the CRL (RFC 5280 §3.3: only
    /// after one more list than they expired under).
    pub drop_expired_before: Timestamp,
}

/// Who may have a name once only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NamePolicy {
    /// Refuse where a valid certificate of the same profile has the name.
    Unique,
    /// Allow any number.
    Shared,
}

/// A register of one or more sites.
pub trait Store {
    /// The CA certificate of a site, once it has one.
    ///
    /// # Errors
    /// The register cannot be read.
    fn authority(&self, site: &Site) -> Result<Option<Certificate>, Error>;

    /// Enters a new CA, which has the serial 1, and its first CRL.
    ///
    /// # Errors
    /// The site has a CA, or the register cannot be written.
    fn enroll(
        &mut self,
        site: &Site,
        ca: &Certificate,
        crl: &CertificateRevocationList,
        at: Timestamp,
    ) -> Result<(), Error>;

    /// Takes the next serial and writes down what it is for. A serial is never given twice.
    ///
    /// # Errors
    /// The name is in use, `admit` refuses (then no serial is taken), or the register fails.
    fn reserve(
        &mut self,
        site: &Site,
        reservation: &Reservation,
        names: NamePolicy,
        admit: Admit<'_>,
    ) -> Result<SerialNumber, Error>;

    /// Enters a signed certificate for a reserved serial.
    ///
    /// # Errors
    /// The serial is no longer reserved (somebody revoked it), or the register fails.
    fn record(
        &mut self,
        site: &Site,
        certificate: &Certificate,
        sealed_key: Option<&[u8]>,
        at: Timestamp,
    ) -> Result<(), Error>;

    /// One row.
    ///
    /// # Errors
    /// The register cannot be read.
    fn find(&self, site: &Site, serial: &SerialNumber) -> Result<Option<CertificateRecord>, Error>;

    /// All rows in the order of their serials, or those of one commonName.
    ///
    /// # Errors
    /// The register cannot be read.
    fn list(&self, site: &Site, common_name: Option<&str>)
    -> Result<Vec<CertificateRecord>, Error>;

    /// The sealed private key of a certificate, where it was kept.
    ///
    /// # Errors
    /// The register cannot be read.
    fn sealed_key(&self, site: &Site, serial: &SerialNumber) -> Result<Option<Vec<u8>>, Error>;

    /// Revokes, destroys the kept keys and enters the CRL that says so: all in one transaction.
    ///
    /// # Errors
    /// A serial is unknown or revoked already, or the CRL cannot be made: nothing is changed.
    fn revoke(
        &mut self,
        site: &Site,
        order: &RevocationOrder,
        sign: SignCrl<'_>,
    ) -> Result<CertificateRevocationList, Error>;

    /// Enters a new CRL with the next number.
    ///
    /// # Errors
    /// The CRL cannot be made, or the register fails.
    fn issue_crl(
        &mut self,
        site: &Site,
        at: Timestamp,
        drop_expired_before: Timestamp,
        sign: SignCrl<'_>,
    ) -> Result<CertificateRevocationList, Error>;

    /// The newest CRL.
    ///
    /// # Errors
    /// The register cannot be read.
    fn newest_crl(&self, site: &Site) -> Result<Option<CertificateRevocationList>, Error>;

    /// What every gateway has got that a CRL was ever sent to.
    ///
    /// # Errors
    /// The register cannot be read.
    fn deliveries(&self, site: &Site) -> Result<Vec<DeliveryRecord>, Error>;

    /// Notes that a gateway has this number; a lower one changes nothing but the trouble before.
    ///
    /// # Errors
    /// The register cannot be written.
    fn delivered(
        &mut self,
        site: &Site,
        gateway: &str,
        number: CrlNumber,
        at: Timestamp,
    ) -> Result<(), Error>;

    /// Notes that a gateway did not take a CRL, and why.
    ///
    /// # Errors
    /// The register cannot be written.
    fn not_delivered(
        &mut self,
        site: &Site,
        gateway: &str,
        failure: &str,
        at: Timestamp,
    ) -> Result<(), Error>;

    /// Writes an event down.
    ///
    /// # Errors
    /// The register cannot be written.
    fn audit(
        &mut self,
        site: &Site,
        at: Timestamp,
        event: AuditEvent,
        serial: Option<&SerialNumber>,
    ) -> Result<(), Error>;
}

/// The profile a word of the register means.
fn profile(word: &str) -> CertificateProfile {
    match word {
        "server" => CertificateProfile::Server,
        "root" => CertificateProfile::Root,
        _ => CertificateProfile::Client,
    }
}
