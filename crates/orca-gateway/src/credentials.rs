//! The files of HTTPS: server certificate, its key, the client authority. Start, reload and `check`
//! all load them here, so that they cannot disagree.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::{Finding, Lang, Localize, Text, render, text};
use orca_pki::certificate::{Certificate, CertificateError};
use orca_pki::name::HostName;
use orca_pki::validity::ValidityState;
use orca_pki::verification::Authorities;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::HttpsFiles;

/// Whole days left at which a server certificate is announced to expire.
pub(crate) const EXPIRING_DAYS: i64 = 30;

/// Everything HTTPS needs, loaded and fitting together.
#[derive(Debug)]
pub(crate) struct Credentials {
    server: Certificate,
    certified_key: Arc<CertifiedKey>,
    authorities: Authorities,
}

impl Credentials {
    /// Reads the three files.
    ///
    /// # Errors
    /// Everything that keeps them from being used; never an empty list.
    pub(crate) fn load(files: &HttpsFiles) -> Result<Self, Vec<CredentialsError>> {
        let chain = server_chain(&files.server_crt);
        let key = private_key(&files.server_pem);
        let authorities = authorities(&files.ca_crt);
        match (chain, key, authorities) {
            (Ok((server, chain)), Ok(key), Ok(authorities)) => {
                let certified_key =
                    certified_key(&server, chain, key, files).map_err(|error| vec![error])?;
                Ok(Self {
                    server,
                    certified_key: Arc::new(certified_key),
                    authorities,
                })
            }
            (chain, key, authorities) => Err([authorities.err(), chain.err(), key.err()]
                .into_iter()
                .flatten()
                .collect()),
        }
    }

    /// The server's own certificate.
    pub(crate) fn server(&self) -> &Certificate {
        &self.server
    }

    /// Chain and key for the handshake.
    pub(crate) fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.certified_key
    }

    /// Whose clients are accepted.
    pub(crate) fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// Whether the files say the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // The key belongs to the certificate, or it would not have been loaded.
        let der = |certificate: &Arc<Certificate>| certificate.fingerprint();
        self.certified_key.cert == other.certified_key.cert
            && self
                .authorities
                .iter()
                .map(der)
                .eq(other.authorities.iter().map(der))
    }

    /// What works and should be looked at all the same.
    pub(crate) fn warnings(&self, now: Timestamp) -> Vec<Finding> {
        [
            self.validity_warning(now),
            self.issuer_warning(),
            self.names_warning(),
        ]
        .into_iter()
        .flatten()
        .chain(self.authority_warnings(now))
        .collect()
    }

    fn validity_warning(&self, now: Timestamp) -> Option<Finding> {
        let validity = self.server.validity();
        let subject = render::one_line(&self.server.subject().one_line());
        let days = validity.days_left(now);
        let (ja, en) = both_days(validity.not_after);
        let reissue = text!(
            "orca-catool issue_server_cert で再発行し、SERVER_CRT と SERVER_PEM を置き換えてください。日レセの再起動は不要です。",
            "issue a new one with orca-catool issue_server_cert and replace SERVER_CRT and SERVER_PEM; nothing has to be restarted",
        );
        match validity.state(now) {
            ValidityState::Expired => Some(Finding::failure(
                "server-certificate-expired",
                text!(
                    "サーバ証明書({subject})の有効期限が{ja}に切れています。全端末で警告が表示されます。",
                    "the server certificate ({subject}) expired on {en}; every browser shows a warning",
                ),
                reissue,
            )),
            ValidityState::NotYetValid => Some(Finding::failure(
                "server-certificate-not-yet-valid",
                text!(
                    "サーバ証明書({subject})の有効期間がまだ始まっていません。",
                    "the server certificate ({subject}) is not valid yet",
                ),
                text!(
                    "このサーバの日付と時刻を確認してください。",
                    "check the clock of this server",
                ),
            )),
            ValidityState::Valid if days <= EXPIRING_DAYS => Some(Finding::warning(
                "server-certificate-expiring",
                text!(
                    "サーバ証明書({subject})の有効期限は{ja}です(残り{days}日)。",
                    "the server certificate ({subject}) expires on {en}, in {days} days",
                ),
                reissue,
            )),
            ValidityState::Valid => None,
        }
    }

    fn issuer_warning(&self) -> Option<Finding> {
        let issued = self
            .authorities
            .iter()
            .any(|authority| self.server.verify_signature(authority).is_ok());
        let chained = self.certified_key.cert.iter().skip(1).any(|der| {
            Certificate::from_der(der).is_ok_and(|above| {
                self.authorities
                    .iter()
                    .any(|authority| above.verify_signature(authority).is_ok())
            })
        });
        (!issued && !chained).then(|| {
            let issuer = render::one_line(&self.server.issuer().one_line());
            Finding::warning(
                "server-certificate-of-another-ca",
                text!(
                    "サーバ証明書は CA_CRT の認証局ではなく {issuer} が発行したものです。",
                    "the server certificate was issued by {issuer}, not by CA_CRT",
                ),
                text!(
                    "端末に取り込んだCA証明書がこの発行者のものか確認してください。認証局を作り直した場合は、サーバ証明書も発行し直してください。",
                    "check that the CA certificate in the browsers is that issuer's; after a new CA was made, issue the server certificate again",
                ),
            )
        })
    }

    fn names_warning(&self) -> Option<Finding> {
        self.server.host_names().is_empty().then(|| {
            Finding::failure("server-certificate-without-names",
                text!(
                    "サーバ証明書に subjectAltName がありません。ブラウザは接続を拒否します。",
                    "the server certificate has no subjectAltName; browsers refuse it",
                ),
                text!(
                    "orca-catool issue_server_cert に -c(ホスト名)または -i(アドレス)を指定して発行し直してください。",
                    "issue a new one with orca-catool issue_server_cert -c HOST or -i ADDRESS",
                ),
            )
        })
    }

    fn authority_warnings(&self, now: Timestamp) -> impl Iterator<Item = Finding> {
        self.authorities.iter().filter_map(move |authority| {
            let validity = authority.validity();
            let subject = render::one_line(&authority.subject().one_line());
            let (ja, en) = both_days(validity.not_after);
            (validity.state(now) == ValidityState::Expired).then(|| {
                Finding::failure("ca-certificate-expired",
                    text!(
                        "CA証明書({subject})の有効期限が{ja}に切れています。この認証局のクライアント証明書はすべて拒否されます。",
                        "the CA certificate ({subject}) expired on {en}; all its client certificates are refused",
                    ),
                    text!(
                        "新しい認証局を作成し、証明書を発行し直してください。",
                        "make a new CA and issue all certificates again",
                    ),
                )
            })
        })
    }

    /// Names and addresses for which browsers accept the server certificate.
    pub(crate) fn host_names(&self) -> Vec<HostName> {
        self.server.host_names()
    }
}

/// A day in both languages, in local time.
pub(crate) fn both_days(at: Timestamp) -> (String, String) {
    let zone = TimeZone::system();
    (
        render::date(at, &zone, Lang::Ja),
        render::date(at, &zone, Lang::En),
    )
}

fn server_chain(
    path: &Path,
) -> Result<(Certificate, Vec<CertificateDer<'static>>), CredentialsError> {
    let certificates = certificates(FileKey::ServerCrt, path)?;
    let chain = certificates
        .iter()
        .map(|certificate| CertificateDer::from(certificate.der().to_vec()))
        .collect();
    match certificates.into_iter().next() {
        Some(server) => Ok((server, chain)),
        None => Err(CredentialsError::NoCertificate {
            key: FileKey::ServerCrt,
            path: path.to_owned(),
        }),
    }
}

fn certificates(key: FileKey, path: &Path) -> Result<Vec<Certificate>, CredentialsError> {
    let octets = read(key, path)?;
    Certificate::all_from_pem(&octets).map_err(|error| match error {
        CertificateError::Pem => CredentialsError::NoCertificate {
            key,
            path: path.to_owned(),
        },
        source => CredentialsError::DamagedCertificate {
            key,
            path: path.to_owned(),
            source,
        },
    })
}

/// The authorities of `CA_CRT`.
///
/// # Errors
/// None can be read.
pub(crate) fn authorities(path: &Path) -> Result<Authorities, CredentialsError> {
    let certificates = certificates(FileKey::CaCrt, path)?;
    let authorities = Authorities::new(certificates.into_iter().filter(is_authority));
    if authorities.iter().next().is_none() {
        return Err(CredentialsError::NoAuthority {
            path: path.to_owned(),
        });
    }
    Ok(authorities)
}

/// basicConstraints says so, or an old root that has none and signed itself.
fn is_authority(certificate: &Certificate) -> bool {
    certificate.is_ca()
        || (!certificate.has_basic_constraints()
            && certificate.verify_signature(certificate).is_ok())
}

fn private_key(path: &Path) -> Result<Arc<dyn SigningKey>, CredentialsError> {
    let octets = zeroize::Zeroizing::new(read(FileKey::ServerPem, path)?);
    if is_encrypted(&octets) {
        return Err(CredentialsError::KeyEncrypted {
            path: path.to_owned(),
        });
    }
    let der = PrivateKeyDer::from_pem_slice(&octets).map_err(|error| match error {
        pem::Error::NoItemsFound => CredentialsError::NoKey {
            path: path.to_owned(),
        },
        _ => CredentialsError::KeyUnusable {
            path: path.to_owned(),
        },
    })?;
    any_supported_type(&der).map_err(|_| CredentialsError::KeyUnusable {
        path: path.to_owned(),
    })
}

/// PKCS#8 (RFC 5958 §3) says it in the label, the older forms in a header (RFC 1421 §4.6.1.1).
fn is_encrypted(pem: &[u8]) -> bool {
    String::from_utf8_lossy(pem).lines().any(|line| {
        line.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY")
            || (line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"))
    })
}

fn certified_key(
    server: &Certificate,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
    files: &HttpsFiles,
) -> Result<CertifiedKey, CredentialsError> {
    let fits = key
        .public_key()
        .is_some_and(|info| info.as_ref() == server.public_key_info());
    if fits {
        Ok(CertifiedKey::new(chain, key))
    } else {
        Err(CredentialsError::KeyMismatch {
            crt: files.server_crt.clone(),
            pem: files.server_pem.clone(),
        })
    }
}

fn read(key: FileKey, path: &Path) -> Result<Vec<u8>, CredentialsError> {
    std::fs::read(path).map_err(|source| {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => CredentialsError::Missing { key, path },
            _ => CredentialsError::Unreadable { key, path, source },
        }
    })
}

/// The key of the configuration that names a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FileKey {
    CaCrt,
    ServerCrt,
    ServerPem,
}

impl fmt::Display for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CaCrt => "CA_CRT",
            Self::ServerCrt => "SERVER_CRT",
            Self::ServerPem => "SERVER_PEM",
        })
    }
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error("{key}: {path}: damaged certificate")]
    DamagedCertificate {
        key: FileKey,
        path: PathBuf,
        source: CertificateError,
    },
    #[error("SERVER_PEM: {path}: key with a passphrase")]
    KeyEncrypted { path: PathBuf },
    #[error("SERVER_PEM: {pem} does not belong to {crt}")]
    KeyMismatch { crt: PathBuf, pem: PathBuf },
    #[error("SERVER_PEM: {path}: key of an unknown kind")]
    KeyUnusable { path: PathBuf },
    #[error("{key}: {path} does not exist")]
    Missing { key: FileKey, path: PathBuf },
    #[error("CA_CRT: {path}: no CA certificate")]
    NoAuthority { path: PathBuf },
    #[error("{key}: {path}: no certificate")]
    NoCertificate { key: FileKey, path: PathBuf },
    #[error("SERVER_PEM: {path}: no private key")]
    NoKey { path: PathBuf },
    #[error("{key}: {path} cannot be read")]
    Unreadable {
        key: FileKey,
        path: PathBuf,
        source: io::Error,
    },
}

impl CredentialsError {
    /// For a set that is already replaced by an older one that works.
    pub(crate) fn while_running(&self) -> Finding {
        let message = match self {
            // No word of a start.
            Self::KeyEncrypted { path } => {
                let path = path.display();
                text!(
                    "SERVER_PEM にパスフレーズ付きの鍵({path})が指定されています。",
                    "SERVER_PEM names a key with a passphrase ({path})",
                )
            }
            other => other.message(),
        };
        Finding::warning(self.id(), message, self.remedy())
    }
}

impl Localize for CredentialsError {
    fn id(&self) -> &'static str {
        match self {
            Self::DamagedCertificate { .. } => "damaged-certificate",
            Self::KeyEncrypted { .. } => "key-encrypted",
            Self::KeyMismatch { .. } => "key-mismatch",
            Self::KeyUnusable { .. } => "key-unusable",
            Self::Missing { .. } => "file-missing",
            Self::NoAuthority { .. } => "no-ca-certificate",
            Self::NoCertificate { .. } => "no-certificate-in-file",
            Self::NoKey { .. } => "no-key-in-file",
            Self::Unreadable { .. } => "file-unreadable",
        }
    }

    fn message(&self) -> Text {
        match self {
            Self::DamagedCertificate { key, path, source } => {
                let path = path.display();
                text!(
                    "{key} のファイル({path})の証明書が壊れています。",
                    "the certificate in {path} ({key}) is damaged: {source}",
                )
            }
            Self::KeyEncrypted { path } => {
                let path = path.display();
                text!(
                    "SERVER_PEM にパスフレーズ付きの鍵({path})が指定されています。このままでは起動できません。",
                    "SERVER_PEM names a key with a passphrase ({path})",
                )
            }
            Self::KeyMismatch { crt, pem } => {
                let (crt, pem) = (crt.display(), pem.display());
                text!(
                    "SERVER_PEM の鍵({pem})は SERVER_CRT の証明書({crt})のものではありません。",
                    "the key in {pem} (SERVER_PEM) does not belong to the certificate in {crt} (SERVER_CRT)",
                )
            }
            Self::KeyUnusable { path } => {
                let path = path.display();
                text!(
                    "SERVER_PEM の鍵({path})が壊れているか、対応していない種類です。",
                    "the key in {path} (SERVER_PEM) is damaged or of an unsupported kind",
                )
            }
            Self::Missing { key, path } => {
                let path = path.display();
                text!(
                    "{key} に指定されたファイル({path})がありません。",
                    "the file {path} ({key}) does not exist",
                )
            }
            Self::NoAuthority { path } => {
                let path = path.display();
                text!(
                    "CA_CRT のファイル({path})に認証局の証明書がありません。",
                    "{path} (CA_CRT) holds no CA certificate",
                )
            }
            Self::NoCertificate { key, path } => {
                let path = path.display();
                text!(
                    "{key} のファイル({path})に読み取れる証明書がありません。",
                    "{path} ({key}) holds no readable certificate",
                )
            }
            Self::NoKey { path } => {
                let path = path.display();
                text!(
                    "SERVER_PEM のファイル({path})に秘密鍵がありません。",
                    "{path} (SERVER_PEM) holds no private key",
                )
            }
            Self::Unreadable { key, path, source } => {
                let path = path.display();
                text!(
                    "{key} のファイル({path})を読み取れません({source})。",
                    "{path} ({key}) cannot be read: {source}",
                )
            }
        }
    }

    fn remedy(&self) -> Text {
        match self {
            Self::DamagedCertificate { .. } | Self::NoCertificate { .. } => text!(
                "orca-catool が作成したzipの「….crt」(CA_CRT は「ca.crt」)をコピーし直してください。",
                "copy the ….crt file (for CA_CRT: ca.crt) from the zip of orca-catool again",
            ),
            Self::KeyEncrypted { .. } | Self::KeyUnusable { .. } | Self::NoKey { .. } => text!(
                "zipの同じフォルダにある「….pem」(「….enc.pem」ではない方)を指定し、所有者を orca、権限を400にしてください。",
                "name the ….pem file of the same folder (not ….enc.pem), with owner orca and mode 400",
            ),
            Self::KeyMismatch { .. } => text!(
                "同じzipに入っている「….crt」と「….pem」の組を指定してください。",
                "name the ….crt and ….pem of one and the same zip",
            ),
            Self::Missing { key, .. } => text!(
                "ファイルを置くか、設定ファイルの {key} を正しいパスに直してください。",
                "put the file there or correct {key} in the configuration file",
            ),
            Self::NoAuthority { .. } => text!(
                "zipの「ca.crt」を指定してください。サーバ証明書ではありません。",
                "name ca.crt of the zip, not the server certificate",
            ),
            Self::Unreadable { key, source, .. }
                if source.kind() == io::ErrorKind::IsADirectory =>
            {
                text!(
                    "フォルダではなく、その中のファイルを {key} に指定してください。",
                    "name the file inside that folder in {key}, not the folder",
                )
            }
            Self::Unreadable { path, .. } => {
                let path = path.display();
                text!(
                    "所有者と権限を確認してください: sudo chown orca:orca {path}; sudo chmod 400 {path}",
                    "check owner and mode: sudo chown orca:orca {path}; sudo chmod 400 {path}",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
