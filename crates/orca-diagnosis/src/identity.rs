//! What a client shows of itself, read from its files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orca_pki::certificate::Certificate;
use orca_pki::decryption::{self, DecryptionError};
use orca_pki::pkcs12::reading::{self, Makeup};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

/// More is no certificate and no key.
const MOST_OCTETS: u64 = 1024 * 1024;

/// Where a certificate and its key lie.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A PKCS#12 file and the file with its passphrase.
    Pkcs12 {
        /// The `.p12`.
        file: PathBuf,
        /// The `.pass`.
        passphrase: PathBuf,
    },
    /// Two PEM files.
    Pem {
        /// The `.crt`.
        certificate: PathBuf,
        /// The `.pem`, or the `.enc.pem` with the passphrase.
        key: PathBuf,
        /// The `.pass`, where the key has one.
        passphrase: Option<PathBuf>,
    },
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The client's certificate.
    pub certificate: Certificate,
    /// What else lay in the file: the CA, intermediates.
    pub others: Vec<Certificate>,
    /// Whether the key is that of the certificate.
    pub pair: Pair,
    /// Where it comes from; none for PEM files.
    pub pkcs12: Option<Pkcs12>,
    /// Both as a client shows them.
    pub(crate) shown: Arc<CertifiedKey>,
}

/// A PKCS#12 file.
#[derive(Clone, Debug)]
pub struct Pkcs12 {
    /// The `.p12`.
    pub file: PathBuf,
    /// The `.pass`.
    pub passphrase: PathBuf,
    /// What it is made of.
    pub makeup: Makeup,
}

/// Whether key and certificate belong together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pair {
    /// The key is another certificate's.
    Differs,
    /// They do.
    Fits,
}

/// Why there is no identity.
#[derive(Debug)]
pub enum NoIdentity {
    /// The file cannot be read.
    File(PathBuf, io::Error),
    /// There is no certificate in the file.
    NoCertificate(PathBuf),
    /// There is no private key in the file, or one of an unknown kind.
    NoKey(PathBuf),
    /// The key has a passphrase, and none was given.
    PassphraseMissing(PathBuf),
    /// The passphrase is another one.
    PassphraseWrong(PathBuf),
    /// The PKCS#12 file is protected in a way that is not read here.
    Pkcs12Protected(Box<Pkcs12>),
    /// Not a PKCS#12 file.
    Pkcs12Unreadable(PathBuf),
}

/// Reads an identity.
///
/// # Errors
/// See [`NoIdentity`].
pub fn read(source: &Source) -> Result<Identity, NoIdentity> {
    match source {
        Source::Pkcs12 { file, passphrase } => from_pkcs12(file, passphrase),
        Source::Pem {
            certificate,
            key,
            passphrase,
        } => {
            let octets = content(certificate)?;
            let chain = Certificate::all_from_pem(&octets);
            let chain = chain.map_err(|_| NoIdentity::NoCertificate(certificate.clone()))?;
            let key = from_pem(key, passphrase.as_deref())?;
            assemble(chain, key, None, certificate)
        }
    }
}

/// The certificates in a PEM or DER file.
///
/// # Errors
/// The file cannot be read, or there is none in it.
pub fn certificates(file: &Path) -> Result<Vec<Certificate>, NoIdentity> {
    let octets = content(file)?;
    Certificate::all_from_pem(&octets)
        .or_else(|_| Certificate::from_der(&octets).map(|one| vec![one]))
        .map_err(|_| NoIdentity::NoCertificate(file.to_owned()))
}

fn from_pkcs12(file: &Path, passphrase: &Path) -> Result<Identity, NoIdentity> {
    let secret = passphrase_of(passphrase)?;
    let octets = content(file)?;
    let unreadable = |_| NoIdentity::Pkcs12Unreadable(file.to_owned());
    let pkcs12 = Pkcs12 {
        file: file.to_owned(),
        passphrase: passphrase.to_owned(),
        makeup: reading::makeup(&octets).map_err(unreadable)?,
    };
    let opened = reading::open(&octets, &secret).map_err(|error| match error {
        DecryptionError::Malformed => NoIdentity::Pkcs12Unreadable(file.to_owned()),
        DecryptionError::Unsupported => NoIdentity::Pkcs12Protected(Box::new(pkcs12.clone())),
        DecryptionError::WrongPassphrase => NoIdentity::PassphraseWrong(file.to_owned()),
    })?;
    let key = opened.keys.into_iter().next();
    let key = key.ok_or_else(|| NoIdentity::NoKey(file.to_owned()))?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
    assemble(opened.certificates, key, Some(pkcs12), file)
}

fn from_pem(file: &Path, passphrase: Option<&Path>) -> Result<PrivateKeyDer<'static>, NoIdentity> {
    let octets = content(file)?;
    let no_key = || NoIdentity::NoKey(file.to_owned());
    let text = std::str::from_utf8(&octets).map_err(|_| no_key())?;
    if !decryption::is_encrypted_pem(text) {
        return PrivateKeyDer::from_pem_slice(&octets).map_err(|_| no_key());
    }
    let Some(passphrase) = passphrase else {
        return Err(NoIdentity::PassphraseMissing(file.to_owned()));
    };
    let key = decryption::private_key_from_pem(text, &passphrase_of(passphrase)?);
    let key = key.map_err(|error| match error {
        DecryptionError::WrongPassphrase => NoIdentity::PassphraseWrong(file.to_owned()),
        DecryptionError::Malformed | DecryptionError::Unsupported => no_key(),
    })?;
    Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec())))
}

/// The certificate whose key it is goes first; where none is, the first that is no CA's.
fn assemble(
    mut certificates: Vec<Certificate>,
    key: PrivateKeyDer<'static>,
    pkcs12: Option<Pkcs12>,
    file: &Path,
) -> Result<Identity, NoIdentity> {
    let key = aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|_| NoIdentity::NoKey(file.to_owned()))?;
    let public = key.public_key();
    let fits = |certificate: &Certificate| {
        public
            .as_ref()
            .is_some_and(|info| info.as_ref() == certificate.public_key_info())
    };
    let own = certificates.iter().position(fits);
    let pair = match own {
        Some(_) => Pair::Fits,
        None => Pair::Differs,
    };
    let first = own
        .or_else(|| certificates.iter().position(|one| !one.is_ca()))
        .unwrap_or_default();
    if certificates.is_empty() {
        return Err(NoIdentity::NoCertificate(file.to_owned()));
    }
    let certificate = certificates.remove(first);
    let intermediates = certificates
        .iter()
        .filter(|one| one.subject() != one.issuer());
    let chain = std::iter::once(&certificate)
        .chain(intermediates)
        .map(|one| CertificateDer::from(one.der().to_vec()));
    let shown = Arc::new(CertifiedKey::new(chain.collect(), key));
    Ok(Identity {
        certificate,
        others: certificates,
        pair,
        pkcs12,
        shown,
    })
}

/// The first line; an empty passphrase is one too.
fn passphrase_of(file: &Path) -> Result<Zeroizing<String>, NoIdentity> {
    let octets = content(file)?;
    let text =
        std::str::from_utf8(&octets).map_err(|_| NoIdentity::PassphraseWrong(file.to_owned()))?;
    let line = text.split(['\r', '\n']).next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

/// A device or a pipe would keep us waiting for ever.
fn content(file: &Path) -> Result<Zeroizing<Vec<u8>>, NoIdentity> {
    use std::io::Read;
    let failed = |error| NoIdentity::File(file.to_owned(), error);
    if !fs::metadata(file).map_err(failed)?.is_file() {
        return Err(failed(io::ErrorKind::InvalidInput.into()));
    }
    let mut octets = Zeroizing::new(Vec::new());
    let opened = fs::File::open(file).map_err(failed)?;
    opened
        .take(MOST_OCTETS)
        .read_to_end(&mut octets)
        .map_err(failed)?;
    Ok(octets)
}
