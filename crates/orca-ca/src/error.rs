//! Everything that can go wrong at the CA.

use std::path::PathBuf;

use jiff::Timestamp;
use orca_messages::Text;
use orca_pki::encryption::EncryptionError;
use orca_pki::issuance::IssuanceError;
use orca_pki::key::KeyError;
use orca_pki::lint::Refused;
use orca_pki::profile::CertificateProfile;
use orca_pki::serial::SerialNumber;

use crate::config::ConfigError;

mod messages;

pub(crate) use messages::io_message;

/// Why the CA did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A line of WebORCA's configuration file that is no plain assignment concerns a key of ours.
    #[error("{path}:{line}: {key} stands in a line that is no plain assignment")]
    ConfNotPlain {
        /// The file.
        path: PathBuf,
        /// From 1 on.
        line: usize,
        /// The key.
        key: String,
    },
    /// Services cannot read files in a home folder.
    #[error("{path} lies in a home folder")]
    HomeFolder {
        /// The folder named.
        path: PathBuf,
    },
    /// There is no such user or group.
    #[error("there is no user or group {name}")]
    NoSuchUser {
        /// As it was typed.
        name: String,
    },
    /// A server certificate is needed and a client's was named, or the other way round.
    #[error("certificate {serial} is not for a {}", profile.name())]
    WrongProfile {
        /// Which one.
        serial: SerialNumber,
        /// What is needed.
        profile: CertificateProfile,
    },
    /// Nothing was put in place, or it was undone already.
    #[error("nothing to undo in {journal}")]
    NothingToUndo {
        /// Where it would be remembered.
        journal: PathBuf,
    },
    /// The list of places for CRLs is written in a way that cannot be added to.
    #[error("{config}: :crl_publish: has to be edited by hand")]
    PublishListByHand {
        /// config.yml.
        config: PathBuf,
        /// The place to add.
        file: PathBuf,
    },
    /// The certificate is revoked already.
    #[error("certificate {serial} is already revoked")]
    AlreadyRevoked {
        /// Which one.
        serial: SerialNumber,
        /// Since when.
        at: Timestamp,
    },
    /// A CA stands where one was to be made.
    #[error("a CA exists at {config}")]
    CaExists {
        /// Its configuration.
        config: PathBuf,
    },
    /// The CA's key file, or the sealing key's, is not what it was.
    #[error("{path} is not the key of this CA")]
    CaKeyUnusable {
        /// Which file.
        path: PathBuf,
    },
    /// config.yml cannot be understood.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The CA's key lies there, its configuration does not.
    #[error("{config} is missing beside the CA's key")]
    ConfigLost {
        /// What is missing.
        config: PathBuf,
    },
    /// A CRL is signed and in the register, and could not be put where it belongs.
    #[error("the CRL could not be published to {}", failures.iter().map(|failure| failure.target.as_str()).collect::<Vec<_>>().join(", "))]
    CrlNotPublished {
        /// Where, and why not.
        failures: Vec<PublishFailure>,
        /// What was revoked by the same command.
        revoked: Vec<SerialNumber>,
    },
    /// A certificate was issued, its zip could not be written.
    #[error("certificate {serial} was issued, {cause}")]
    DeliveryFailed {
        /// Which certificate.
        serial: SerialNumber,
        /// Whether its private key is in the register.
        kept: bool,
        /// What went wrong.
        cause: Box<Self>,
    },
    /// The same serial stands twice on the command line.
    #[error("{serial} is named twice")]
    DoubledSerial {
        /// Which one.
        serial: SerialNumber,
    },
    /// A file of that name exists.
    #[error("{path} exists")]
    FileExists {
        /// Which file.
        path: PathBuf,
    },
    /// The folder belongs to another program.
    #[error("{folder} was made by another program")]
    ForeignDirectory {
        /// Which folder.
        folder: PathBuf,
    },
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The folder or file that `-o` can name could not be written.
    #[error("{path}: {source}")]
    Output {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A certificate or CRL could not be made.
    #[error(transparent)]
    Issuance(#[from] IssuanceError),
    /// A delivery could not be encrypted.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// A key could not be made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The private key of this certificate is not in the register.
    #[error("the private key of {serial} was not kept")]
    KeyNotKept {
        /// Which certificate.
        serial: SerialNumber,
    },
    /// Another valid client certificate has the name.
    #[error("{name} has the valid certificate {serial}")]
    NameInUse {
        /// The commonName.
        name: String,
        /// The certificate that has it.
        serial: SerialNumber,
    },
    /// sudo, and no CA of root's or of the user's.
    #[error("no CA at {user_config}, and root has none")]
    NoCaForRoot {
        /// Where the user's would be.
        user_config: PathBuf,
    },
    /// `HOME` is not set.
    #[error("HOME is not set")]
    NoHome,
    /// The serial was reserved and never issued.
    #[error("certificate {serial} was never finished")]
    NeverIssued {
        /// Which one.
        serial: SerialNumber,
    },
    /// The linter refuses.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The register was written by a newer version.
    #[error("{path} was written by a newer version ({version})")]
    RegisterNewer {
        /// Which file.
        path: PathBuf,
        /// Its schema version.
        version: i64,
    },
    /// The register cannot be read.
    #[error("{path}: {detail}")]
    RegisterUnreadable {
        /// Which file.
        path: PathBuf,
        /// What the database says.
        detail: String,
    },
    /// A revoked certificate's key is destroyed.
    #[error("certificate {serial} is revoked")]
    RevokedNoExport {
        /// Which one.
        serial: SerialNumber,
    },
    /// A sealed key does not open.
    #[error("the kept key of {serial} does not open")]
    SealBroken {
        /// Of which certificate.
        serial: SerialNumber,
    },
    /// A name fits several valid certificates.
    #[error("{name} has {} valid certificates", serials.len())]
    SeveralCertificates {
        /// The commonName.
        name: String,
        /// All of them.
        serials: Vec<SerialNumber>,
    },
    /// `SUDO_USER` names nobody of this machine.
    #[error("SUDO_USER names {name}, whom this machine does not know")]
    UnknownSudoUser {
        /// The value.
        name: String,
    },
    /// No valid certificate has the name.
    #[error("no valid certificate of the name {name}")]
    UnknownName {
        /// The commonName.
        name: String,
    },
    /// No certificate has the serial.
    #[error("no certificate {serial}")]
    UnknownSerial {
        /// Which one.
        serial: SerialNumber,
    },
}

impl Error {
    /// The same trouble where another `-o` would help.
    #[must_use]
    pub fn of_output(self) -> Self {
        match self {
            Self::Io { path, source } => Self::Output { path, source },
            other => other,
        }
    }
}

/// One place a CRL did not reach.
#[derive(Debug)]
pub struct PublishFailure {
    /// File or address.
    pub target: String,
    /// Why.
    pub cause: Text,
}
