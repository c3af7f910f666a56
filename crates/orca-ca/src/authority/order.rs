//! What an authority is asked for, and what it answers.

use std::path::PathBuf;

use orca_pki::issuance::IssuanceRequest;
use orca_pki::key::KeyAlgorithm;
use orca_pki::lint::Advice;
use orca_pki::name::CommonName;
use orca_pki::profile::NameConstraints;
use orca_pki::revocation::{CertificateRevocationList, CrlNumber};
use orca_pki::serial::SerialNumber;

use crate::store::NamePolicy;

/// Validity of a CA, in days: twenty years.
pub const CA_DAYS: u32 = 7300;

/// How a new CA is to be.
#[derive(Clone, Debug)]
pub struct InitOrder {
    /// `O` of the CA and of what it issues.
    pub organization: CommonName,
    /// `CN`; eight random digits make one where none is given, because NSS refuses a second CA of
    /// the same name and serial number.
    pub ca_name: Option<CommonName>,
    /// Validity in days.
    pub days: u32,
    /// Kind of the CA's key.
    pub key: KeyAlgorithm,
    /// What it may certify.
    pub constraints: NameConstraints,
}

impl Default for InitOrder {
    fn default() -> Self {
        Self {
            organization: CommonName::orca(),
            ca_name: None,
            days: CA_DAYS,
            key: KeyAlgorithm::P256,
            constraints: NameConstraints::default(),
        }
    }
}

/// A certificate to issue.
#[derive(Clone, Debug)]
pub struct IssueOrder {
    /// What goes into it.
    pub request: IssuanceRequest,
    /// Who holds it; register only.
    pub holder: Option<String>,
    /// On which device; register only.
    pub device: Option<String>,
    /// Whether a second valid certificate of the name is wanted.
    pub names: NamePolicy,
    /// Folder for the zip, where not the configured one.
    pub output: Option<PathBuf>,
}

/// A certificate that was issued.
#[derive(Debug)]
pub struct Issued {
    /// Its serial.
    pub serial: SerialNumber,
    /// The zip.
    pub zip: PathBuf,
    /// What the linter had to say.
    pub advice: Vec<Advice>,
    /// Valid certificates of the same profile and name that existed before.
    pub siblings: Vec<SerialNumber>,
}

/// Which certificates a command means.
#[derive(Clone, Debug)]
pub enum Selection {
    /// These.
    Serials(Vec<SerialNumber>),
    /// The valid one of a name.
    Name {
        /// commonName.
        name: String,
        /// Whether several are meant.
        several: Several,
    },
}

/// What to do where a name fits several valid certificates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Several {
    /// Take all.
    All,
    /// Refuse and list them.
    Refuse,
}

/// What a revocation did.
#[derive(Debug)]
pub struct Revoked {
    /// Which certificates.
    pub serials: Vec<SerialNumber>,
    /// The CRL that says so.
    pub crl: CrlNumber,
    /// Whether any place besides the CA's own folder has it.
    pub delivery: Delivery,
}

/// Whether a CRL goes anywhere besides the CA's own folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// `:crl_publish:` is empty: nobody was told.
    Nowhere,
    /// Every entry of `:crl_publish:` has it.
    Published,
}

/// When `issue_crl` really makes a new list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CrlAge {
    /// Always.
    Any,
    /// If the newest is older than so many seconds.
    OlderThan(i64),
}

/// What `issue_crl` came to.
#[derive(Clone, Debug)]
pub enum CrlIssue {
    /// A new list.
    Made(CertificateRevocationList),
    /// The newest is young enough.
    Kept(CertificateRevocationList),
}

impl CrlIssue {
    /// The newest list.
    pub fn newest(&self) -> &CertificateRevocationList {
        match self {
            Self::Made(crl) | Self::Kept(crl) => crl,
        }
    }
}
