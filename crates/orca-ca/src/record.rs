//! Rows of the register.

use jiff::Timestamp;
use orca_pki::certificate::{Certificate, Fingerprint};
use orca_pki::profile::CertificateProfile;
use orca_pki::revocation::{CrlNumber, RevocationReason};
use orca_pki::serial::SerialNumber;

/// One clinic with its own authority; part of every key of the store.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Site(String);

impl Site {
    /// The one site of a register beside a configuration file.
    pub fn local() -> Self {
        Self("local".to_owned())
    }

    /// The name in the register.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Where a certificate stands. There is no way back: Reserved → Issued → Revoked, or Reserved →
/// Revoked. Expiry is computed, not stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertificateStatus {
    /// The serial is taken; the certificate was not finished (a crash, or still at work).
    Reserved,
    /// Signed and recorded.
    Issued,
    /// Withdrawn.
    Revoked {
        /// Since when.
        at: Timestamp,
        /// Why, where it was said.
        reason: Option<RevocationReason>,
    },
}

/// What people see as status: revoked wins over expired.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Past notAfter.
    Expired,
    /// Serial taken, nothing issued.
    Reserved,
    /// Withdrawn.
    Revoked,
    /// Usable.
    Valid,
}

impl Standing {
    /// The word in lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Reserved => "reserved",
            Self::Revoked => "revoked",
            Self::Valid => "valid",
        }
    }
}

/// What is written down before a certificate is signed.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// Server or client.
    pub profile: CertificateProfile,
    /// One-line subject.
    pub subject: String,
    /// Its commonName.
    pub common_name: String,
    /// Hosts, as text.
    pub hosts: Vec<String>,
    /// Who holds it; register only.
    pub holder: Option<String>,
    /// On which device; register only.
    pub device: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A row of the register.
#[derive(Clone, Debug)]
pub struct CertificateRecord {
    /// Serial number.
    pub serial: SerialNumber,
    /// What was asked for.
    pub reservation: Reservation,
    /// Where it stands.
    pub status: CertificateStatus,
    /// The certificate, once issued.
    pub certificate: Option<Certificate>,
}

impl CertificateRecord {
    /// Status at a moment.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match (self.status, &self.certificate) {
            (CertificateStatus::Revoked { .. }, _) => Standing::Revoked,
            (CertificateStatus::Reserved, _) | (_, None) => Standing::Reserved,
            (CertificateStatus::Issued, Some(certificate)) => {
                if now.as_second() > certificate.validity().not_after.as_second() {
                    Standing::Expired
                } else {
                    Standing::Valid
                }
            }
        }
    }

    /// SHA-256 of the certificate, once issued.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.certificate.as_ref().map(Certificate::fingerprint)
    }
}

/// A row as lists show it: borrowed from the register, no certificate parsed.
#[derive(Clone, Copy, Debug)]
pub struct ListedCertificate<'a> {
    /// Serial number.
    pub number: u64,
    /// Server or client.
    pub profile: CertificateProfile,
    /// Its commonName.
    pub common_name: &'a str,
    /// Hosts, one a line.
    pub hosts: &'a str,
    /// Who holds it.
    pub holder: Option<&'a str>,
    /// On which device.
    pub device: Option<&'a str>,
    /// Signed, and not revoked.
    pub is_issued: bool,
    /// Last valid second, once issued.
    pub not_after: Option<Timestamp>,
    /// Since when it is revoked.
    pub revoked_at: Option<Timestamp>,
    /// None where only the columns of a table were asked for.
    pub details: Option<ListedDetails<'a>>,
}

/// What a row says beyond the columns of a table.
#[derive(Clone, Copy, Debug)]
pub struct ListedDetails<'a> {
    /// First valid second, once issued.
    pub not_before: Option<Timestamp>,
    /// Why it is revoked, where it was said.
    pub reason: Option<RevocationReason>,
    /// One-line subject.
    pub subject: &'a str,
    /// SHA-256, once issued.
    pub fingerprint: Option<Fingerprint>,
}

impl ListedCertificate<'_> {
    /// Status at a moment.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match (self.revoked_at, self.not_after) {
            (Some(_), _) => Standing::Revoked,
            (None, Some(end)) if self.is_issued => match now.as_second() > end.as_second() {
                true => Standing::Expired,
                false => Standing::Valid,
            },
            _ => Standing::Reserved,
        }
    }
}

/// Something the register remembers having happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AuditEvent {
    /// The CA was made.
    Initialized,
    /// A serial was reserved.
    Reserved,
    /// A certificate was recorded.
    Issued,
    /// A delivery was made again.
    Exported,
    /// A certificate was revoked.
    Revoked,
    /// A CRL was signed.
    CrlIssued,
    /// A CRL was signed because the one before had lived half its life.
    CrlRenewed,
    /// A file or a gateway has got a CRL.
    Published,
    /// A file or a gateway has not got a CRL.
    NotPublished,
    /// `config.yml` is another one than at the run before.
    ConfigChanged,
    /// Rows of the trail stood there that the CA had not signed.
    Unsigned,
}

impl AuditEvent {
    /// The word in the register.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initialized => "init",
            Self::Reserved => "reserve",
            Self::Issued => "issue",
            Self::Exported => "export",
            Self::Revoked => "revoke",
            Self::CrlIssued => "crl",
            Self::CrlRenewed => "crl-renewed",
            Self::Published => "publish",
            Self::NotPublished => "publish-failed",
            Self::ConfigChanged => "config",
            Self::Unsigned => "unsigned",
        }
    }
}

/// What a gateway has got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeliveryRecord {
    /// Its address, as publication writes it.
    pub gateway: String,
    /// The highest CRL number it took, and when.
    pub number: Option<(CrlNumber, Timestamp)>,
    /// When the last attempt failed, if none succeeded since.
    pub failed_at: Option<Timestamp>,
    /// Why, as publication writes it.
    pub failure: Option<String>,
}
