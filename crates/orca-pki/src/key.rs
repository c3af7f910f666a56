//! Key pairs, public keys and signatures.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _};
use aws_lc_rs::{digest, rsa};
use const_oid::db::rfc5912;
use der::asn1::Any;
use der::{Decode, Encode};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoRef};
use zeroize::Zeroizing;

/// A kind of key that every browser of a clinic reads. Ed25519 is not offered: NSS cannot import it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 (FIPS 186-5), signatures with SHA-256.
    P256,
    /// ECDSA on P-384, signatures with SHA-384.
    P384,
    /// RSA, 2,048 bits.
    Rsa2048,
    /// RSA, 3,072 bits.
    Rsa3072,
    /// RSA, 4,096 bits.
    Rsa4096,
}

impl KeyAlgorithm {
    /// All of them, as `--key` and `:server_key:` name them.
    pub const ALL: [Self; 5] = [
        Self::P256,
        Self::P384,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
    ];

    /// The word on the command line and in `config.yml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
        }
    }

    /// Whether keyEncipherment belongs into the keyUsage (RFC 4055 §1.2).
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The word names no [`KeyAlgorithm`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is none of p256, p384, rsa2048, rsa3072, rsa4096")]
pub struct UnknownKeyAlgorithm(pub String);

impl FromStr for KeyAlgorithm {
    type Err = UnknownKeyAlgorithm;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == word)
            .ok_or_else(|| UnknownKeyAlgorithm(word.to_owned()))
    }
}

/// What can go wrong with a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// Not PKCS#8, or not one of our algorithms.
    #[error("no private key of a supported kind")]
    Unreadable,
    /// The provider could not make or use a key.
    #[error("the cryptographic provider failed")]
    Provider,
}

/// A private key with its public half. The provider wipes it when dropped.
pub struct KeyPair {
    algorithm: KeyAlgorithm,
    inner: Inner,
}

enum Inner {
    Ecdsa(EcdsaKeyPair),
    Rsa(rsa::KeyPair),
}

impl KeyPair {
    /// A new key from the provider's random source.
    ///
    /// # Errors
    /// The provider failed.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let rsa = |size| rsa::KeyPair::generate(size).map(Inner::Rsa);
        let ecdsa = |curve| EcdsaKeyPair::generate(curve).map(Inner::Ecdsa);
        let inner = match algorithm {
            KeyAlgorithm::P256 => ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyAlgorithm::P384 => ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyAlgorithm::Rsa2048 => rsa(KeySize::Rsa2048),
            KeyAlgorithm::Rsa3072 => rsa(KeySize::Rsa3072),
            KeyAlgorithm::Rsa4096 => rsa(KeySize::Rsa4096),
        };
        Ok(Self {
            algorithm,
            inner: inner.map_err(|_| KeyError::Provider)?,
        })
    }

    /// From unencrypted PKCS#8 DER (RFC 5958).
    ///
    /// # Errors
    /// Not a key of one of our kinds.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let ecdsa = |curve| EcdsaKeyPair::from_pkcs8(curve, der).ok().map(Inner::Ecdsa);
        if let Some(inner) = ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING) {
            return Ok(Self {
                algorithm: KeyAlgorithm::P256,
                inner,
            });
        }
        if let Some(inner) = ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING) {
            return Ok(Self {
                algorithm: KeyAlgorithm::P384,
                inner,
            });
        }
        let pair = rsa::KeyPair::from_pkcs8(der).map_err(|_| KeyError::Unreadable)?;
        let algorithm = match pair.public_modulus_len() {
            256 => KeyAlgorithm::Rsa2048,
            384 => KeyAlgorithm::Rsa3072,
            512 => KeyAlgorithm::Rsa4096,
            _ => return Err(KeyError::Unreadable),
        };
        Ok(Self {
            algorithm,
            inner: Inner::Rsa(pair),
        })
    }

    /// From an unencrypted PKCS#8 PEM block, `PRIVATE KEY` (RFC 7468 §10).
    ///
    /// # Errors
    /// Not a key of one of our kinds.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::Unreadable)?;
        Self::from_pkcs8(der.secret_pkcs8_der())
    }

    /// Unencrypted PKCS#8 DER, wiped when dropped.
    ///
    /// # Errors
    /// The provider failed.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let octets = match &self.inner {
            Inner::Ecdsa(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Inner::Rsa(pair) => {
                AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map(|der| der.as_ref().to_vec())
            }
        };
        octets.map(Zeroizing::new).map_err(|_| KeyError::Provider)
    }

    /// Which kind of key this is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The public half as DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    /// The provider failed.
    pub fn public_key_info(&self) -> Result<Vec<u8>, KeyError> {
        let der: PublicKeyX509Der<'_> = match &self.inner {
            Inner::Ecdsa(pair) => pair.public_key().as_der(),
            Inner::Rsa(pair) => pair.public_key().as_der(),
        }
        .map_err(|_| KeyError::Provider)?;
        Ok(der.as_ref().to_vec())
    }

    /// The AlgorithmIdentifier of the signatures this key makes (RFC 5758 §3.2, RFC 4055 §5).
    pub fn signature_algorithm(&self) -> AlgorithmIdentifierOwned {
        match self.algorithm {
            KeyAlgorithm::P256 => AlgorithmIdentifierOwned {
                oid: rfc5912::ECDSA_WITH_SHA_256,
                parameters: None,
            },
            KeyAlgorithm::P384 => AlgorithmIdentifierOwned {
                oid: rfc5912::ECDSA_WITH_SHA_384,
                parameters: None,
            },
            _ => AlgorithmIdentifierOwned {
                oid: rfc5912::SHA_256_WITH_RSA_ENCRYPTION,
                parameters: Some(Any::null()),
            },
        }
    }

    /// Signs a message with the algorithm of [`Self::signature_algorithm`].
    ///
    /// # Errors
    /// The provider failed.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.inner {
            Inner::Ecdsa(pair) => pair.sign(&random, message).map(|s| s.as_ref().to_vec()),
            Inner::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &signature::RSA_PKCS1_SHA256,
                    &random,
                    message,
                    &mut signature,
                )
                .map(|()| signature)
            }
        }
        .map_err(|_| KeyError::Provider)
    }
}

/// Identifies a public key: SHA-256 of its DER SubjectPublicKeyInfo. Revocation is keyed by the
/// issuer's key and the serial, because names and serials alone can be imitated.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(pub [u8; 32]);

impl KeyId {
    /// Of a DER SubjectPublicKeyInfo.
    pub fn of_public_key_info(der: &[u8]) -> Self {
        Self(sha256(der))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// SHA-256 (FIPS 180-4).
pub fn sha256(message: &[u8]) -> [u8; 32] {
    let mut output = [0; 32];
    output.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    output
}

/// The signature does not verify, or uses an algorithm we do not know.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// Verifies a signature of a certificate or CRL under a DER SubjectPublicKeyInfo, with the
/// algorithms that rustls-webpki offers (no SHA-1, no MD5, RSA from 2,048 bits).
///
/// # Errors
/// See [`BadSignature`].
pub fn verify(
    public_key_info: &[u8],
    algorithm: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    let key = SubjectPublicKeyInfoRef::from_der(public_key_info).map_err(|_| BadSignature)?;
    let key_algorithm = content(&key.algorithm.to_der().map_err(|_| BadSignature)?)?;
    let signature_algorithm = content(&algorithm.to_der().map_err(|_| BadSignature)?)?;
    let key_bits = key.subject_public_key.as_bytes().ok_or(BadSignature)?;
    webpki::ALL_VERIFICATION_ALGS
        .iter()
        .filter(|candidate| {
            candidate.public_key_alg_id().as_ref() == key_algorithm
                && candidate.signature_alg_id().as_ref() == signature_algorithm
        })
        .find_map(|candidate| {
            candidate
                .verify_signature(key_bits, message, signature)
                .ok()
        })
        .ok_or(BadSignature)
}

fn content(sequence: &[u8]) -> Result<Vec<u8>, BadSignature> {
    Any::from_der(sequence)
        .map(|any| any.value().to_vec())
        .map_err(|_| BadSignature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_key_signs_verifies_and_survives_pkcs8() {
        for algorithm in [
            KeyAlgorithm::P256,
            KeyAlgorithm::P384,
            KeyAlgorithm::Rsa2048,
        ] {
            let key = KeyPair::generate(algorithm).unwrap();
            let again = KeyPair::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
            assert_eq!(again.algorithm(), algorithm);
            let info = again.public_key_info().unwrap();
            assert_eq!(info, key.public_key_info().unwrap());
            let signature = again.sign(b"message").unwrap();
            let identifier = key.signature_algorithm();
            assert_eq!(verify(&info, &identifier, b"message", &signature), Ok(()));
            assert_eq!(
                verify(&info, &identifier, b"massage", &signature),
                Err(BadSignature)
            );
        }
    }
}
