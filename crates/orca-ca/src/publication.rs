//! Putting the newest CRL where readers look for it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use orca_messages::text;
use orca_pki::revocation::CertificateRevocationList;

use crate::config::{Config, PublishTarget};
use crate::delivery;
use crate::error::{Error, PublishFailure, io_message};
use crate::place::{PUBLISH_LOCK, Place};
use crate::record::Site;
use crate::store::Store;

/// Mode of a published CRL: it is public, the gateway reads it as another user.
const MODE: u32 = 0o644;

/// `ca.crl` in the folder of the zips.
pub fn main_file(config: &Config) -> PathBuf {
    config.certs_dir.join("ca.crl")
}

/// Brings every file up to the newest CRL of the register. Under a lock, and reading the register
/// after the lock is held: whoever comes last writes the newest.
///
/// # Errors
/// The register cannot be read. A place that cannot be written is no error here but a
/// [`PublishFailure`].
pub fn publish(
    place: &Place,
    config: &Config,
    store: &impl Store,
    site: &Site,
) -> Result<Vec<PublishFailure>, Error> {
    let _lock = lock(place)?;
    let Some(crl) = store.newest_crl(site)? else {
        return Ok(Vec::new());
    };
    let mut failures = Vec::new();
    if let Err(error) = delivery::make_folder(&config.certs_dir, place.owner) {
        failures.push(failure(&config.certs_dir, &error));
        return Ok(failures);
    }
    failures.extend(bring_up(place, &main_file(config), &crl));
    for target in &config.crl_publish {
        match target {
            PublishTarget::File(path) => failures.extend(bring_up(place, path, &crl)),
            PublishTarget::Gateway(address) => failures.push(PublishFailure {
                target: address.clone(),
                cause: text!(
                    "ゲートウェイへの送信には、この版はまだ対応していません",
                    "this version cannot send a CRL to a gateway yet"
                ),
            }),
        }
    }
    Ok(failures)
}

/// Whether some file is missing or older than the register: the sign of a command that was killed.
///
/// # Errors
/// The register cannot be read.
pub fn lags(config: &Config, store: &impl Store, site: &Site) -> Result<bool, Error> {
    let Some(crl) = store.newest_crl(site)? else {
        return Ok(false);
    };
    let pem = crl.to_pem();
    let files = config.crl_publish.iter().filter_map(|target| match target {
        PublishTarget::File(path) => Some(path.clone()),
        PublishTarget::Gateway(_) => None,
    });
    Ok(std::iter::once(main_file(config))
        .chain(files)
        .any(|path| !is_current(&path, &pem)))
}

fn is_current(path: &Path, pem: &str) -> bool {
    fs::read(path).is_ok_and(|content| content == pem.as_bytes())
}

fn bring_up(place: &Place, path: &Path, crl: &CertificateRevocationList) -> Option<PublishFailure> {
    let pem = crl.to_pem();
    if is_current(path, &pem) {
        return None;
    }
    delivery::replace(path, pem.as_bytes(), MODE, place.owner)
        .err()
        .map(|error| failure(path, &error))
}

fn failure(path: &Path, error: &Error) -> PublishFailure {
    use orca_messages::Localize as _;
    let cause = match error {
        Error::Io { path, source } => io_message(path, source),
        other => other.message(),
    };
    PublishFailure {
        target: path.display().to_string(),
        cause,
    }
}

fn lock(place: &Place) -> Result<File, Error> {
    let path = place.beside(PUBLISH_LOCK);
    let failed = |source| Error::Io {
        path: path.clone(),
        source,
    };
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    delivery::give_to(&path, place.owner)?;
    file.lock().map_err(failed)?;
    Ok(file)
}
