//! Opening what a passphrase protects: private keys, and the safes of PKCS#12 files of any origin.

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use der::{Decode, Encode};
use pkcs12::PKCS_12_PBE_WITH_SHAAND3_KEY_TRIPLE_DES_CBC;
use pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use pkcs12::pbe_params::{EncryptedPrivateKeyInfo, Pkcs12PbeParams};
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

/// More rounds than any program writes; a file that asks for more would keep us busy for hours.
pub(crate) const MOST_ROUNDS: u32 = 20_000_000;

/// Why something stays closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecryptionError {
    /// Not what it should be, or damaged.
    #[error("cannot be read")]
    Malformed,
    /// Protected in a way that is not supported here.
    #[error("protected with an algorithm that is not supported")]
    Unsupported,
    /// The passphrase is another one.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
}

impl From<der::Error> for DecryptionError {
    fn from(_: der::Error) -> Self {
        Self::Malformed
    }
}

/// Decrypts octets with PBES2 (RFC 8018 §6.2) or pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292
/// appendix C).
///
/// # Errors
/// See [`DecryptionError`].
pub fn decrypt(
    algorithm: &AlgorithmIdentifierOwned,
    ciphertext: &[u8],
    passphrase: &str,
) -> Result<Zeroizing<Vec<u8>>, DecryptionError> {
    if algorithm.oid == PKCS_12_PBE_WITH_SHAAND3_KEY_TRIPLE_DES_CBC {
        return triple_des(algorithm, ciphertext, passphrase);
    }
    let scheme = pkcs5::EncryptionScheme::from_der(&algorithm.to_der()?)
        .map_err(|_| DecryptionError::Unsupported)?;
    let parameters = scheme.pbes2().ok_or(DecryptionError::Unsupported)?;
    if let Some(derivation) = parameters.kdf.pbkdf2()
        && derivation.iteration_count > MOST_ROUNDS
    {
        return Err(DecryptionError::Malformed);
    }
    scheme
        .decrypt(passphrase, ciphertext)
        .map(Zeroizing::new)
        .map_err(|error| match error {
            pkcs5::Error::UnsupportedAlgorithm { .. } => DecryptionError::Unsupported,
            _ => DecryptionError::WrongPassphrase,
        })
}

fn triple_des(
    algorithm: &AlgorithmIdentifierOwned,
    ciphertext: &[u8],
    passphrase: &str,
) -> Result<Zeroizing<Vec<u8>>, DecryptionError> {
    let parameters = algorithm.parameters.as_ref();
    let parameters = parameters.ok_or(DecryptionError::Malformed)?;
    let Pkcs12PbeParams { salt, iterations } = parameters.decode_as()?;
    if !u32::try_from(iterations).is_ok_and(|rounds| (1..=MOST_ROUNDS).contains(&rounds)) {
        return Err(DecryptionError::Malformed);
    }
    let derive = |purpose, length| {
        derive_key_utf8::<sha1::Sha1>(passphrase, salt.as_bytes(), purpose, iterations, length)
            .map(Zeroizing::new)
    };
    let key = derive(Pkcs12KeyType::EncryptionKey, 24)?;
    let iv = derive(Pkcs12KeyType::Iv, 8)?;
    let cipher = cbc::Decryptor::<des::TdesEde3>::new_from_slices(&key, &iv)
        .map_err(|_| DecryptionError::Malformed)?;
    cipher
        .decrypt_padded_vec::<Pkcs7>(ciphertext)
        .map(Zeroizing::new)
        .map_err(|_| DecryptionError::WrongPassphrase)
}

/// PKCS#8 DER (RFC 5958 §2) of what DER EncryptedPrivateKeyInfo (§3) protects.
///
/// # Errors
/// See [`DecryptionError`].
pub fn private_key(der: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, DecryptionError> {
    let EncryptedPrivateKeyInfo {
        encryption_algorithm,
        encrypted_data,
    } = EncryptedPrivateKeyInfo::from_der(der)?;
    decrypt(&encryption_algorithm, encrypted_data.as_bytes(), passphrase)
}

/// Whether a PEM text holds a block `ENCRYPTED PRIVATE KEY` (RFC 7468 §11), and from where on.
fn encrypted_block(pem: &str) -> Option<&str> {
    pem.find(BEGIN).and_then(|start| pem.get(start..))
}

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Whether a PEM text holds a private key under a passphrase.
pub fn is_encrypted_pem(pem: &str) -> bool {
    encrypted_block(pem).is_some()
}

/// The same as [`private_key`] from a block `ENCRYPTED PRIVATE KEY` of a PEM text.
///
/// # Errors
/// See [`DecryptionError`].
pub fn private_key_from_pem(
    pem: &str,
    passphrase: &str,
) -> Result<Zeroizing<Vec<u8>>, DecryptionError> {
    let block = encrypted_block(pem).ok_or(DecryptionError::Malformed)?;
    let end = block.find("-----END ENCRYPTED PRIVATE KEY-----");
    let end = end.ok_or(DecryptionError::Malformed)? + BEGIN.len() - 2;
    let block = block.get(..end).ok_or(DecryptionError::Malformed)?;
    let (_, der) =
        der::pem::decode_vec(block.as_bytes()).map_err(|_| DecryptionError::Malformed)?;
    private_key(&der, passphrase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::pem;
    use crate::encryption::{Scheme, encrypted_private_key_info};
    use crate::key::{KeyAlgorithm, KeyError, KeyPair};
    use crate::passphrase::Passphrase;

    fn counting(buffer: &mut [u8]) -> Result<(), KeyError> {
        for (octet, value) in buffer.iter_mut().zip(0..) {
            *octet = value;
        }
        Ok(())
    }

    #[test]
    fn a_key_comes_back_with_its_passphrase_alone() {
        let key = KeyPair::generate(KeyAlgorithm::P256).unwrap();
        let passphrase = Passphrase::generate(&mut counting).unwrap();
        for scheme in [Scheme::Aes256, Scheme::TripleDes] {
            let der = encrypted_private_key_info(&key, scheme, &passphrase, &mut counting).unwrap();
            let plain = private_key(&der, passphrase.expose()).unwrap();
            assert_eq!(plain, key.to_pkcs8().unwrap(), "{scheme:?}");
            assert_eq!(
                private_key(&der, "another"),
                Err(DecryptionError::WrongPassphrase)
            );
            let text = format!("Bag\n{}rest\n", pem("ENCRYPTED PRIVATE KEY", &der));
            let again = private_key_from_pem(&text, passphrase.expose()).unwrap();
            assert_eq!(again, plain);
        }
        assert_eq!(private_key(b"junk", "x"), Err(DecryptionError::Malformed));
        let text = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA";
        assert_eq!(
            private_key_from_pem(text, "x"),
            Err(DecryptionError::Malformed)
        );
    }
}
