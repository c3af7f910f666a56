//! Private keys at rest: the CA's own, and those kept so that a lost delivery can be made again.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use orca_pki::certificate::{Certificate, Fingerprint, pem};
use orca_pki::key::{KeyError, KeyPair};
use orca_pki::serial::SerialNumber;
use zeroize::Zeroizing;

use crate::delivery;
use crate::error::Error;
use crate::place::{CA_KEY, Owner, SEALING_KEY};
use crate::record::Site;

/// Octets of the AES-256 key.
const KEY_LENGTH: usize = 32;
/// Octets of the GCM nonce that stands before the ciphertext.
const NONCE_LENGTH: usize = 12;

/// Fills a buffer from the provider's random source.
///
/// # Errors
/// The source failed.
pub fn random(buffer: &mut [u8]) -> Result<(), KeyError> {
    aws_lc_rs::rand::fill(buffer).map_err(|_| KeyError::Provider)
}

/// The key files of a CA.
#[derive(Debug)]
pub struct Custody {
    ca_key: PathBuf,
    sealing_key: PathBuf,
}

/// What a sealed key belongs to: authenticated with it, so that rows cannot be exchanged.
#[derive(Clone, Copy, Debug)]
pub struct SealContext<'a> {
    /// Of which clinic.
    pub site: &'a Site,
    /// Of which certificate.
    pub serial: &'a SerialNumber,
    /// The certificate's SHA-256.
    pub fingerprint: Fingerprint,
}

impl Custody {
    /// The key files in a folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            ca_key: folder.join(CA_KEY),
            sealing_key: folder.join(SEALING_KEY),
        }
    }

    /// Writes the CA's key and a fresh sealing key, mode 0600.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(&self, ca_key: &KeyPair, owner: Option<Owner>) -> Result<(), Error> {
        let ca_pem = Zeroizing::new(pem("PRIVATE KEY", &ca_key.to_pkcs8()?));
        delivery::replace(&self.ca_key, ca_pem.as_bytes(), 0o600, owner)?;
        let mut sealing = Zeroizing::new([0; KEY_LENGTH]);
        random(sealing.as_mut_slice())?;
        delivery::replace(&self.sealing_key, sealing.as_slice(), 0o600, owner)
    }

    /// Loads the CA's key and makes sure it is the CA's.
    ///
    /// # Errors
    /// The file cannot be read, or holds another key.
    pub fn ca_key(&self, ca: &Certificate) -> Result<KeyPair, Error> {
        let text = read(&self.ca_key)?;
        let unusable = || Error::CaKeyUnusable {
            path: self.ca_key.clone(),
        };
        let key = KeyPair::from_pem(&text).map_err(|_| unusable())?;
        if key.public_key_info()? == ca.public_key_info() {
            Ok(key)
        } else {
            Err(unusable())
        }
    }

    /// Seals a private key for the register: nonce and AES-256-GCM ciphertext.
    ///
    /// # Errors
    /// The sealing key cannot be read.
    pub fn seal(&self, key: &KeyPair, context: SealContext<'_>) -> Result<Vec<u8>, Error> {
        let mut buffer = key.to_pkcs8()?.to_vec();
        let nonce = self
            .cipher()?
            .seal_in_place_append_tag(associated_data(context), &mut buffer)
            .map_err(|_| KeyError::Provider)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.extend_from_slice(&buffer);
        Ok(sealed)
    }

    /// Opens a sealed private key.
    ///
    /// # Errors
    /// The sealing key is another one, or the row was tampered with.
    pub fn unseal(&self, sealed: &[u8], context: SealContext<'_>) -> Result<KeyPair, Error> {
        let broken = || Error::SealBroken {
            serial: context.serial.clone(),
        };
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LENGTH).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let plaintext = self
            .cipher()?
            .open_in_place(nonce, associated_data(context), &mut buffer)
            .map_err(|_| broken())?;
        KeyPair::from_pkcs8(plaintext).map_err(|_| broken())
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, Error> {
        let key = read(&self.sealing_key)?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| Error::CaKeyUnusable {
            path: self.sealing_key.clone(),
        })
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    fs::read(path)
        .map(Zeroizing::new)
        .map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
}

fn associated_data(context: SealContext<'_>) -> Aad<Vec<u8>> {
    let SealContext {
        site,
        serial,
        fingerprint,
    } = context;
    Aad::from(
        format!(
            "orca-mtls kept key 1\n{}\n{serial}\n{fingerprint}",
            site.name()
        )
        .into_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use orca_pki::key::KeyAlgorithm;

    #[test]
    fn a_sealed_key_opens_only_in_its_own_row() {
        let folder = tempfile::tempdir().unwrap();
        let custody = Custody::in_folder(folder.path());
        custody
            .create(&KeyPair::generate(KeyAlgorithm::P256).unwrap(), None)
            .unwrap();
        let key = KeyPair::generate(KeyAlgorithm::P256).unwrap();
        let (site, one, two) = (
            Site::local(),
            SerialNumber::one(),
            SerialNumber::try_from(2).unwrap(),
        );
        let context = SealContext {
            site: &site,
            serial: &one,
            fingerprint: Fingerprint([7; 32]),
        };
        let sealed = custody.seal(&key, context).unwrap();
        let opened = custody.unseal(&sealed, context).unwrap();
        assert_eq!(opened.public_key_info(), key.public_key_info());
        let others = [
            SealContext {
                serial: &two,
                ..context
            },
            SealContext {
                fingerprint: Fingerprint([8; 32]),
                ..context
            },
        ];
        for other in others {
            let result = custody.unseal(&sealed, other);
            assert!(matches!(result, Err(Error::SealBroken { .. })));
        }
        assert!(custody.unseal(&sealed[..5], context).is_err());
        assert_ne!(
            custody.seal(&key, context).unwrap(),
            sealed,
            "a nonce is used once"
        );
    }
}
