//! PKCS#12 files: one key, its certificate, the CA certificate (RFC 7292).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::{digest, hmac};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc2985, rfc5911, rfc5912};
use der::asn1::{Any, OctetString, SetOfVec};
use der::{Encode, Tag};
use pkcs12::cms::content_info::{CmsVersion, ContentInfo};
use pkcs12::cms::encrypted_data::EncryptedData;
use pkcs12::cms::enveloped_data::EncryptedContentInfo;
use pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use pkcs12::pfx::{Pfx, Version};
use pkcs12::safe_bag::SafeBag;
use pkcs12::{
    CertBag, DigestInfo, MacData, PKCS_12_CERT_BAG_OID, PKCS_12_PKCS8_KEY_BAG_OID,
    PKCS_12_X509_CERT_OID,
};
use spki::AlgorithmIdentifierOwned;
use x509_cert::attr::{Attribute, Attributes};
use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::encryption::{EncryptionError, ROUNDS, Scheme, encrypt, encrypted_private_key_info};
use crate::key::KeyPair;
use crate::passphrase::{Passphrase, RandomSource};

mod ber;
pub mod reading;

/// Which readers a file is made for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pkcs12Profile {
    /// 3DES and HMAC-SHA1: every Windows, macOS, iOS and browser reads it.
    Compat,
    /// AES-256 and HMAC-SHA256: for readers that refuse the old algorithms.
    Modern,
}

impl Pkcs12Profile {
    /// The word on the command line and in `config.yml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compat => "compat",
            Self::Modern => "modern",
        }
    }

    fn scheme(self) -> Scheme {
        match self {
            Self::Compat => Scheme::TripleDes,
            Self::Modern => Scheme::Aes256,
        }
    }
}

impl fmt::Display for Pkcs12Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The word names no [`Pkcs12Profile`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is neither compat nor modern")]
pub struct UnknownPkcs12Profile(pub String);

impl FromStr for Pkcs12Profile {
    type Err = UnknownPkcs12Profile;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Compat, Self::Modern]
            .into_iter()
            .find(|profile| profile.name() == word)
            .ok_or_else(|| UnknownPkcs12Profile(word.to_owned()))
    }
}

/// What goes into a file.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// Whose identity it is.
    pub certificate: &'a Certificate,
    /// Its issuer, so that a chain can be built.
    pub ca: &'a Certificate,
    /// What Windows shows as 「フレンドリ名」 and NSS as nickname.
    pub friendly_name: &'a str,
}

/// A PKCS#12 file as DER.
///
/// # Errors
/// The key, the random source or the encoding failed.
pub fn encode(
    contents: Contents<'_>,
    key: &KeyPair,
    profile: Pkcs12Profile,
    passphrase: &Passphrase,
    random: RandomSource<'_>,
) -> Result<Zeroizing<Vec<u8>>, EncryptionError> {
    let Contents {
        certificate,
        ca,
        friendly_name,
    } = contents;
    let local_key_id = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate.der())
        .as_ref()
        .to_vec();
    let attributes = attributes(friendly_name, &local_key_id)?;

    let certificates = vec![
        certificate_bag(certificate, Some(attributes.clone()))?,
        certificate_bag(ca, None)?,
    ];
    let shrouded = encrypted_private_key_info(key, profile.scheme(), passphrase, random)?;
    let keys = vec![SafeBag {
        bag_id: PKCS_12_PKCS8_KEY_BAG_OID,
        bag_value: shrouded,
        bag_attributes: Some(attributes),
    }];

    let (algorithm, ciphertext) = encrypt(
        profile.scheme(),
        &certificates.to_der()?,
        passphrase,
        random,
    )?;
    let safes = vec![encrypted(algorithm, ciphertext)?, data(&keys.to_der()?)?];
    let authenticated = safes.to_der()?;
    let pfx = Pfx {
        version: Version::V3,
        auth_safe: data(&authenticated)?,
        mac_data: Some(mac(profile, &authenticated, passphrase, random)?),
    };
    Ok(Zeroizing::new(pfx.to_der()?))
}

fn attributes(friendly_name: &str, local_key_id: &[u8]) -> der::Result<Attributes> {
    let attribute = |oid: ObjectIdentifier, value: Any| -> der::Result<Attribute> {
        Ok(Attribute {
            oid,
            values: SetOfVec::try_from(vec![value])?,
        })
    };
    // UTF-16, as Windows and OpenSSL read it: characters such as 𠮷 take two units.
    let units: Vec<u8> = friendly_name
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    let name = Any::new(Tag::BmpString, units)?;
    let key_id = Any::encode_from(&OctetString::new(local_key_id)?)?;
    SetOfVec::try_from(vec![
        attribute(rfc2985::PKCS_9_AT_FRIENDLY_NAME, name)?,
        attribute(rfc2985::PKCS_9_AT_LOCAL_KEY_ID, key_id)?,
    ])
}

fn certificate_bag(
    certificate: &Certificate,
    bag_attributes: Option<Attributes>,
) -> der::Result<SafeBag> {
    let bag = CertBag {
        cert_id: PKCS_12_X509_CERT_OID,
        cert_value: OctetString::new(certificate.der())?,
    };
    Ok(SafeBag {
        bag_id: PKCS_12_CERT_BAG_OID,
        bag_value: bag.to_der()?,
        bag_attributes,
    })
}

fn data(content: &[u8]) -> der::Result<ContentInfo> {
    let content = Any::encode_from(&OctetString::new(content)?)?;
    Ok(ContentInfo {
        content_type: rfc5911::ID_DATA,
        content,
    })
}

fn encrypted(algorithm: AlgorithmIdentifierOwned, ciphertext: Vec<u8>) -> der::Result<ContentInfo> {
    let encrypted = EncryptedData {
        version: CmsVersion::V0,
        enc_content_info: EncryptedContentInfo {
            content_type: rfc5911::ID_DATA,
            content_enc_alg: algorithm,
            encrypted_content: Some(OctetString::new(ciphertext)?),
        },
        unprotected_attrs: None,
    };
    let content = Any::encode_from(&encrypted)?;
    Ok(ContentInfo {
        content_type: rfc5911::ID_ENCRYPTED_DATA,
        content,
    })
}

/// The MAC of RFC 7292 §5.1; its digest algorithm carries the NULL that Windows and OpenSSL write.
fn mac(
    profile: Pkcs12Profile,
    content: &[u8],
    passphrase: &Passphrase,
    random: RandomSource<'_>,
) -> Result<MacData, EncryptionError> {
    let mut salt = [0; 16];
    random(&mut salt)?;
    let text = passphrase.expose();
    let (oid, algorithm, key) = match profile {
        Pkcs12Profile::Compat => (
            rfc5912::ID_SHA_1,
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            derive_key_utf8::<sha1::Sha1>(text, &salt, Pkcs12KeyType::Mac, ROUNDS.into(), 20)?,
        ),
        Pkcs12Profile::Modern => (
            rfc5912::ID_SHA_256,
            hmac::HMAC_SHA256,
            derive_key_utf8::<sha2::Sha256>(text, &salt, Pkcs12KeyType::Mac, ROUNDS.into(), 32)?,
        ),
    };
    let key = Zeroizing::new(key);
    let tag = hmac::sign(&hmac::Key::new(algorithm, &key), content);
    Ok(MacData {
        mac: DigestInfo {
            algorithm: AlgorithmIdentifierOwned {
                oid,
                parameters: Some(Any::null()),
            },
            digest: OctetString::new(tag.as_ref())?,
        },
        mac_salt: OctetString::new(salt)?,
        iterations: ROUNDS.into(),
    })
}
