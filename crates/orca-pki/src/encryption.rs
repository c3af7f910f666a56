//! Password-based encryption of private keys and PKCS#12 safes.

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use der::asn1::{Any, OctetString};
use der::{Decode, Encode};
use pkcs5::pbes2;
use pkcs12::PKCS_12_PBE_WITH_SHAAND3_KEY_TRIPLE_DES_CBC;
use pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use pkcs12::pbe_params::{EncryptedPrivateKeyInfo, Pkcs12PbeParams};
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use crate::key::{KeyError, KeyPair};
use crate::passphrase::{Passphrase, RandomSource};

/// Rounds of the key derivation for a passphrase of our own making: with 85 random bits the rounds
/// add nothing, and 2,048 is what every reader expects.
pub const ROUNDS: u16 = 2048;

/// How a passphrase becomes a key, and which cipher it feeds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC (RFC 8018 §6.2).
    Aes256,
    /// pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292 appendix C), which old Windows and macOS read.
    TripleDes,
}

/// Something that cannot be encoded or encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EncryptionError {
    /// ASN.1 refused a value.
    #[error("a value cannot be encoded: {0}")]
    Der(#[from] der::Error),
    /// The random source or the key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The cipher refused its parameters.
    #[error("the cipher failed")]
    Cipher,
}

/// Encrypts octets; the AlgorithmIdentifier carries salt, rounds and initialisation vector.
///
/// # Errors
/// The random source failed, or a value cannot be encoded.
pub fn encrypt(
    scheme: Scheme,
    plaintext: &[u8],
    passphrase: &Passphrase,
    random: RandomSource<'_>,
) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), EncryptionError> {
    let mut salt = [0; 16];
    random(&mut salt)?;
    match scheme {
        Scheme::Aes256 => {
            let mut iv = [0; 16];
            random(&mut iv)?;
            let parameters =
                pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS.into(), &salt, iv)
                    .map_err(|_| EncryptionError::Cipher)?;
            let scheme = pkcs5::EncryptionScheme::from(parameters);
            let ciphertext = scheme
                .encrypt(passphrase.expose(), plaintext)
                .map_err(|_| EncryptionError::Cipher)?;
            Ok((
                AlgorithmIdentifierOwned::from_der(&scheme.to_der()?)?,
                ciphertext,
            ))
        }
        Scheme::TripleDes => {
            let salt = &salt[..8];
            let derive = |purpose, length| {
                let text = passphrase.expose();
                derive_key_utf8::<sha1::Sha1>(text, salt, purpose, ROUNDS.into(), length)
                    .map(Zeroizing::new)
            };
            let key = derive(Pkcs12KeyType::EncryptionKey, 24)?;
            let iv = derive(Pkcs12KeyType::Iv, 8)?;
            let cipher = cbc::Encryptor::<des::TdesEde3>::new_from_slices(&key, &iv)
                .map_err(|_| EncryptionError::Cipher)?;
            let parameters = Pkcs12PbeParams {
                salt: OctetString::new(salt)?,
                iterations: ROUNDS.into(),
            };
            let algorithm = AlgorithmIdentifierOwned {
                oid: PKCS_12_PBE_WITH_SHAAND3_KEY_TRIPLE_DES_CBC,
                parameters: Some(Any::encode_from(&parameters)?),
            };
            Ok((algorithm, cipher.encrypt_padded_vec::<Pkcs7>(plaintext)))
        }
    }
}

/// A private key as DER EncryptedPrivateKeyInfo (RFC 5958 §3).
///
/// # Errors
/// The key, the random source or the encoding failed.
pub fn encrypted_private_key_info(
    key: &KeyPair,
    scheme: Scheme,
    passphrase: &Passphrase,
    random: RandomSource<'_>,
) -> Result<Vec<u8>, EncryptionError> {
    let plaintext = key.to_pkcs8()?;
    let (encryption_algorithm, ciphertext) = encrypt(scheme, &plaintext, passphrase, random)?;
    let encrypted_data = OctetString::new(ciphertext)?;
    Ok(EncryptedPrivateKeyInfo {
        encryption_algorithm,
        encrypted_data,
    }
    .to_der()?)
}
