//! Reading PKCS#12 files of any origin: how they are protected, and what is in them.

use aws_lc_rs::hmac;
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5911, rfc5912};
use der::asn1::{ContextSpecific, OctetString};
use der::{Decode, Encode};
use pkcs12::cms::content_info::ContentInfo;
use pkcs12::cms::encrypted_data::EncryptedData;
use pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use pkcs12::pbe_params::EncryptedPrivateKeyInfo;
use pkcs12::pfx::Pfx;
use pkcs12::safe_bag::SafeBag;
use pkcs12::{
    CertBag, MacData, PKCS_12_CERT_BAG_OID, PKCS_12_KEY_BAG_OID,
    PKCS_12_PBE_WITH_SHAAND3_KEY_TRIPLE_DES_CBC, PKCS_12_PBE_WITH_SHAAND128_BIT_RC2_CBC,
    PKCS_12_PBEWITH_SHAAND40_BIT_RC2_CBC, PKCS_12_PKCS8_KEY_BAG_OID,
};
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::ber;
use crate::certificate::Certificate;
use crate::decryption::{DecryptionError, MOST_ROUNDS, decrypt, private_key};

mod naming;

/// How a file is protected, as far as readers differ by it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Protection {
    /// AES or a MAC with SHA-2: old Windows, macOS and Android refuse it.
    Modern,
    /// Something else.
    Other,
    /// RC2: OpenSSL 3 and what is built on it refuse it.
    Rc2,
    /// 3DES and SHA-1: everybody reads it.
    TripleDes,
    /// No MAC: OpenSSL, NSS and GnuTLS refuse it.
    Unsealed,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Encoding {
    /// X.690 §10.
    Der,
    /// With open lengths or strings in pieces (X.690 §8): readers of DER alone refuse it.
    Ber,
}

/// What a file is made of; no passphrase is needed to see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Makeup {
    /// The weakest link for readers: RC2 before everything else, then what is unknown, a missing MAC,
    /// and what is new.
    pub protection: Protection,
    /// How it is written.
    pub encoding: Encoding,
    /// Ciphers of the safes, such as `RC2-40`; none for a safe that is open.
    pub safes: Vec<Option<String>>,
    /// Ciphers of keys.
    pub keys: Vec<String>,
    /// The digest of the MAC, such as `SHA-256`.
    pub mac: Option<String>,
}

/// A file, opened.
pub struct Opened {
    /// Private keys, PKCS#8 DER.
    pub keys: Vec<Zeroizing<Vec<u8>>>,
    /// All certificates, in order.
    pub certificates: Vec<Certificate>,
}

/// What a file is made of.
///
/// # Errors
/// No PKCS#12 file.
pub fn makeup(file: &[u8]) -> Result<Makeup, DecryptionError> {
    let pfx = pfx(file)?;
    let content = data(&pfx.auth_safe)?;
    let mut encoding = encoding(file)?.max(encoding(&content)?);
    let (mut ciphers, mut safes, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for safe in safes_of(&content)? {
        if safe.content_type == rfc5911::ID_ENCRYPTED_DATA {
            let data: EncryptedData = safe.content.decode_as()?;
            let algorithm = data.enc_content_info.content_enc_alg;
            safes.push(Some(naming::cipher(&algorithm)));
            ciphers.push(of_cipher(&algorithm));
            continue;
        }
        let content = data(&safe)?;
        encoding = encoding.max(self::encoding(&content)?);
        let bags = bags(&content)?;
        for bag in bags
            .iter()
            .filter(|bag| bag.bag_id == PKCS_12_PKCS8_KEY_BAG_OID)
        {
            let info = EncryptedPrivateKeyInfo::from_der(&value(bag)?)?;
            keys.push(naming::cipher(&info.encryption_algorithm));
            ciphers.push(of_cipher(&info.encryption_algorithm));
        }
        if bags.iter().any(|bag| bag.bag_id == PKCS_12_CERT_BAG_OID) {
            safes.push(None);
        }
    }
    let mac = pfx.mac_data.as_ref().map(|mac| mac.mac.algorithm.oid);
    ciphers.push(match mac {
        None => Protection::Unsealed,
        Some(rfc5912::ID_SHA_1) => Protection::TripleDes,
        Some(rfc5912::ID_SHA_256 | SHA_384 | SHA_512) => Protection::Modern,
        Some(_) => Protection::Other,
    });
    Ok(Makeup {
        protection: worst(&ciphers),
        encoding,
        safes,
        keys,
        mac: mac.map(naming::digest),
    })
}

fn worst(found: &[Protection]) -> Protection {
    let order = [
        Protection::Rc2,
        Protection::Other,
        Protection::Unsealed,
        Protection::Modern,
    ];
    let worst = order.into_iter().find(|one| found.contains(one));
    worst.unwrap_or(Protection::TripleDes)
}

fn encoding(octets: &[u8]) -> Result<Encoding, DecryptionError> {
    Ok(match *ber::to_der(octets)? == octets {
        true => Encoding::Der,
        false => Encoding::Ber,
    })
}

fn of_cipher(algorithm: &AlgorithmIdentifierOwned) -> Protection {
    match algorithm.oid {
        PKCS_12_PBE_WITH_SHAAND3_KEY_TRIPLE_DES_CBC => Protection::TripleDes,
        PKCS_12_PBE_WITH_SHAAND128_BIT_RC2_CBC | PKCS_12_PBEWITH_SHAAND40_BIT_RC2_CBC => {
            Protection::Rc2
        }
        pkcs5::pbes2::PBES2_OID => match naming::cipher(algorithm).as_str() {
            "RC2" => Protection::Rc2,
            aes if aes.starts_with("AES") => Protection::Modern,
            "3DES (PBES2)" => Protection::Modern,
            _ => Protection::Other,
        },
        _ => Protection::Other,
    }
}

/// Opens a file with its passphrase.
///
/// # Errors
/// See [`DecryptionError`].
pub fn open(file: &[u8], passphrase: &str) -> Result<Opened, DecryptionError> {
    let pfx = pfx(file)?;
    let content = data(&pfx.auth_safe)?;
    if let Some(mac) = &pfx.mac_data {
        verify(mac, &content, passphrase)?;
    }
    let mut opened = Opened {
        keys: Vec::new(),
        certificates: Vec::new(),
    };
    for safe in safes_of(&content)? {
        let content = if safe.content_type == rfc5911::ID_ENCRYPTED_DATA {
            let EncryptedData {
                enc_content_info: info,
                ..
            } = safe.content.decode_as()?;
            let ciphertext = info.encrypted_content.ok_or(DecryptionError::Malformed)?;
            decrypt(&info.content_enc_alg, ciphertext.as_bytes(), passphrase)?
        } else {
            Zeroizing::new(data(&safe)?)
        };
        for bag in bags(&content)? {
            take(&bag, passphrase, &mut opened)?;
        }
    }
    Ok(opened)
}

fn take(bag: &SafeBag, passphrase: &str, opened: &mut Opened) -> Result<(), DecryptionError> {
    match bag.bag_id {
        PKCS_12_PKCS8_KEY_BAG_OID => opened.keys.push(private_key(&value(bag)?, passphrase)?),
        PKCS_12_KEY_BAG_OID => opened.keys.push(Zeroizing::new(value(bag)?)),
        PKCS_12_CERT_BAG_OID => {
            let bag = CertBag::from_der(&value(bag)?)?;
            let certificate = Certificate::from_der(bag.cert_value.as_bytes());
            let certificate = certificate.map_err(|_| DecryptionError::Malformed)?;
            opened.certificates.push(certificate);
        }
        _ => {}
    }
    Ok(())
}

fn pfx(file: &[u8]) -> Result<Pfx, DecryptionError> {
    Ok(Pfx::from_der(&ber::to_der(file)?)?)
}

fn safes_of(content: &[u8]) -> Result<Vec<ContentInfo>, DecryptionError> {
    Ok(Vec::from_der(&ber::to_der(content)?)?)
}

fn data(content: &ContentInfo) -> Result<Vec<u8>, DecryptionError> {
    if content.content_type != rfc5911::ID_DATA {
        return Err(DecryptionError::Unsupported);
    }
    let octets: OctetString = content.content.decode_as()?;
    Ok(octets.into_bytes().into())
}

fn bags(content: &[u8]) -> Result<Vec<SafeBag>, DecryptionError> {
    Ok(Vec::from_der(&ber::to_der(content)?)?)
}

/// The library leaves the explicit tag around a bag's value.
fn value(bag: &SafeBag) -> Result<Vec<u8>, DecryptionError> {
    let tagged = ContextSpecific::<der::Any>::from_der(&bag.bag_value)?;
    Ok(tagged.value.to_der()?)
}

/// RFC 7292 §5.1.
fn verify(mac: &MacData, content: &[u8], passphrase: &str) -> Result<(), DecryptionError> {
    let rounds = mac.iterations;
    if !u32::try_from(rounds).is_ok_and(|rounds| (1..=MOST_ROUNDS).contains(&rounds)) {
        return Err(DecryptionError::Malformed);
    }
    let (salt, purpose) = (mac.mac_salt.as_bytes(), Pkcs12KeyType::Mac);
    let (algorithm, key) = match mac.mac.algorithm.oid {
        rfc5912::ID_SHA_1 => (
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            derive_key_utf8::<sha1::Sha1>(passphrase, salt, purpose, rounds, 20)?,
        ),
        rfc5912::ID_SHA_256 => (
            hmac::HMAC_SHA256,
            derive_key_utf8::<sha2::Sha256>(passphrase, salt, purpose, rounds, 32)?,
        ),
        SHA_384 => (
            hmac::HMAC_SHA384,
            derive_key_utf8::<sha2::Sha384>(passphrase, salt, purpose, rounds, 48)?,
        ),
        SHA_512 => (
            hmac::HMAC_SHA512,
            derive_key_utf8::<sha2::Sha512>(passphrase, salt, purpose, rounds, 64)?,
        ),
        _ => return Err(DecryptionError::Unsupported),
    };
    let key = hmac::Key::new(algorithm, &Zeroizing::new(key));
    hmac::verify(&key, content, mac.mac.digest.as_bytes())
        .map_err(|_| DecryptionError::WrongPassphrase)
}

const SHA_384: ObjectIdentifier = rfc5912::ID_SHA_384;
const SHA_512: ObjectIdentifier = rfc5912::ID_SHA_512;
