//! The register: what every store can do.
//!
//! Each method is one transaction. What must be decided inside a transaction (is the name free? is
//! the zip's name free?) or made inside it (the CRL of a revocation) comes in as a closure.

use std::ops::ControlFlow;

use jiff::Timestamp;
use orca_pki::certificate::Certificate;
use orca_pki::profile::CertificateProfile;
use orca_pki::revocation::{CertificateRevocationList, CrlNumber, CrlWriter, RevocationReason};
use orca_pki::serial::SerialNumber;

use crate::error::Error;
use crate::record::{
    AuditEvent, CertificateRecord, DeliveryRecord, ListedCertificate, Reservation, Site,
};
use crate::trail::Trail;

mod sqlite;
mod word;

pub use sqlite::SqliteStore;
pub use word::Word;

/// A question asked inside the reserving transaction, with the serial that would be taken.
pub type Admit<'a> = &'a mut dyn FnMut(&SerialNumber) -> Result<(), Error>;

/// Signs a CRL inside the transaction that needs it; its entries are written already.
pub type SignCrl<'a> =
    &'a mut dyn FnMut(CrlNumber, CrlWriter) -> Result<CertificateRevocationList, Error>;

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

/// A CRL without its octets: there may be many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CrlFacts {
    /// cRLNumber.
    pub number: CrlNumber,
    /// When it was made.
    pub this_update: Timestamp,
    /// When the next one is due.
    pub next_update: Timestamp,
}

impl From<&CertificateRevocationList> for CrlFacts {
    fn from(crl: &CertificateRevocationList) -> Self {
        Self {
            number: crl.number,
            this_update: crl.this_update,
            next_update: crl.next_update,
        }
    }
}

/// Which rows a list shows.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// All.
    All,
    /// Those that have the number or contain the word; every row is looked at.
    Containing(&'a Word),
    /// Those that have exactly this number or this commonName; found through an index.
    Exactly {
        /// The serial, where the word is one.
        number: Option<u64>,
        /// The commonName.
        name: &'a str,
    },
}

/// How much of a row a list shows: every column takes its time, a million times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Columns {
    /// All but [`ListedDetails`](crate::record::ListedDetails).
    Table,
    /// All.
    Whole,
}

/// An event that counts only where it is another than the last of its subject.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// What happened.
    pub event: AuditEvent,
    /// What would be news after it, and the other way round.
    pub opposite: AuditEvent,
    /// To what, as the details of both begin.
    pub subject: &'a str,
    /// What exactly.
    pub detail: &'a str,
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

    /// The rows of one commonName in the order of their serials. Letters of either case are the same
    /// host, and different people.
    ///
    /// # Errors
    /// The register cannot be read.
    fn named(
        &self,
        site: &Site,
        common_name: &str,
        profile: Option<CertificateProfile>,
    ) -> Result<Vec<CertificateRecord>, Error>;

    /// All rows in the order of their serials, with their certificates: as long as the register.
    ///
    /// # Errors
    /// The register cannot be read.
    fn all(&self, site: &Site) -> Result<Vec<CertificateRecord>, Error>;

    /// Shows rows in the order of their serials, one after the other, until the visitor has enough.
    ///
    /// # Errors
    /// The register cannot be read.
    fn each(
        &self,
        site: &Site,
        scope: Scope<'_>,
        columns: Columns,
        visit: &mut dyn FnMut(&ListedCertificate<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error>;

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

    /// Enters a new CRL with the next number; `event` says why it was made.
    ///
    /// # Errors
    /// The CRL cannot be made, or the register fails.
    fn issue_crl(
        &mut self,
        site: &Site,
        event: AuditEvent,
        at: Timestamp,
        drop_expired_before: Timestamp,
        sign: SignCrl<'_>,
    ) -> Result<CertificateRevocationList, Error>;

    /// Number and dates of the newest CRL.
    ///
    /// # Errors
    /// The register cannot be read.
    fn newest_crl_facts(&self, site: &Site) -> Result<Option<CrlFacts>, Error>;

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
        detail: Option<&str>,
    ) -> Result<(), Error>;

    /// Writes down that something is (another) trouble or state of `subject`: nothing where the
    /// last such event of the subject says the same. The detail begins with the subject.
    ///
    /// # Errors
    /// The register cannot be written.
    fn audit_change(&mut self, site: &Site, at: Timestamp, change: Change<'_>)
    -> Result<(), Error>;

    /// The audit trail, as it stands there.
    ///
    /// # Errors
    /// The register cannot be read.
    fn trail(&self, site: &Site) -> Result<Trail, Error>;
}

/// The profile a word of the register means.
fn profile(word: &str) -> CertificateProfile {
    match word {
        "server" => CertificateProfile::Server,
        "root" => CertificateProfile::Root,
        _ => CertificateProfile::Client,
    }
}
