//! A signed certificate, ours or a stranger's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use const_oid::AssociatedOid;
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode, Header, Reader, SliceReader, Tag};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use spki::AlgorithmIdentifierOwned;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName, SubjectKeyIdentifier,
};

use crate::key::{BadSignature, KeyId, sha256, verify};
use crate::name::{DistinguishedName, HostName};
use crate::serial::{SerialNumber, SerialNumberError};
use crate::validity::{Validity, from_asn1};

/// `id-kp-serverAuth` (RFC 5280 §4.2.1.12).
pub const SERVER_AUTH: ObjectIdentifier = const_oid::db::rfc5280::ID_KP_SERVER_AUTH;
/// `id-kp-clientAuth` (RFC 5280 §4.2.1.12).
pub const CLIENT_AUTH: ObjectIdentifier = const_oid::db::rfc5280::ID_KP_CLIENT_AUTH;

/// SHA-256 over the DER of a certificate; `Display` is lower-case hexadecimal.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Why bytes are no certificate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateError {
    /// No DER certificate (RFC 5280 §4.1).
    #[error("no X.509 certificate")]
    Der(#[from] der::Error),
    /// The serial number breaks RFC 5280 §4.1.2.2.
    #[error(transparent)]
    Serial(#[from] SerialNumberError),
    /// The text holds no `BEGIN CERTIFICATE` block, or a damaged one.
    #[error("no PEM certificate")]
    Pem,
}

/// A signed certificate (RFC 5280 §4.1): public, fixed at signing, without its private key.
///
/// The parser is lenient where identification allows it (any version, unknown extensions), so that
/// a refusal can name what was shown; it judges nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    der: Vec<u8>,
    inner: CertificateInner<Raw>,
    serial: SerialNumber,
    fingerprint: Fingerprint,
    public_key_info: Vec<u8>,
}

impl Certificate {
    /// From DER; nothing may follow the certificate.
    ///
    /// # Errors
    /// Not a certificate, or without a usable serial number.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let inner = CertificateInner::<Raw>::from_der(der)?;
        let tbs = inner.tbs_certificate();
        let serial = SerialNumber::from_der_content(tbs.serial_number().as_bytes())?;
        let public_key_info = tbs.subject_public_key_info().to_der()?;
        let fingerprint = Fingerprint(sha256(der));
        Ok(Self {
            der: der.to_vec(),
            serial,
            fingerprint,
            public_key_info,
            inner,
        })
    }

    /// The first certificate of a PEM text (RFC 7468 §5).
    ///
    /// # Errors
    /// None there, or it cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let der = CertificateDer::from_pem_slice(pem).map_err(|_| CertificateError::Pem)?;
        Self::from_der(&der)
    }

    /// All certificates of a PEM text, in order; at least one.
    ///
    /// # Errors
    /// None there, or one of them cannot be read.
    pub fn all_from_pem(pem: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let certificates = CertificateDer::pem_slice_iter(pem)
            .map(|der| Self::from_der(&der.map_err(|_| CertificateError::Pem)?))
            .collect::<Result<Vec<_>, _>>()?;
        if certificates.is_empty() {
            Err(CertificateError::Pem)
        } else {
            Ok(certificates)
        }
    }

    /// The DER bytes that were signed.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// PEM with the label `CERTIFICATE` (RFC 7468 §5).
    pub fn to_pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// Serial number.
    pub fn serial(&self) -> &SerialNumber {
        &self.serial
    }

    /// SHA-256 of the DER.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Subject name.
    pub fn subject(&self) -> DistinguishedName {
        self.inner.tbs_certificate().subject().clone().into()
    }

    /// Issuer name.
    pub fn issuer(&self) -> DistinguishedName {
        self.inner.tbs_certificate().issuer().clone().into()
    }

    /// Validity period.
    pub fn validity(&self) -> Validity {
        let validity = self.inner.tbs_certificate().validity();
        Validity {
            not_before: from_asn1(&validity.not_before),
            not_after: from_asn1(&validity.not_after),
        }
    }

    /// DER SubjectPublicKeyInfo.
    pub fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    /// Identifier of this certificate's own key.
    pub fn key_id(&self) -> KeyId {
        KeyId::of_public_key_info(&self.public_key_info)
    }

    /// DNS names and addresses of the subjectAltName, in order (RFC 5280 §4.2.1.6).
    pub fn host_names(&self) -> Vec<HostName> {
        let Some(SubjectAltName(names)) = self.extension() else {
            return Vec::new();
        };
        names
            .into_iter()
            .filter_map(|name| match name {
                GeneralName::DnsName(dns) => Some(HostName::Dns(dns.to_string())),
                GeneralName::IpAddress(octets) => address(octets.as_bytes()).map(HostName::Ip),
                _ => None,
            })
            .collect()
    }

    /// basicConstraints says CA (RFC 5280 §4.2.1.9).
    pub fn is_ca(&self) -> bool {
        self.extension::<BasicConstraints>()
            .is_some_and(|constraints| constraints.ca)
    }

    /// Whether there is a basicConstraints extension at all; old roots have none.
    pub fn has_basic_constraints(&self) -> bool {
        self.extension::<BasicConstraints>().is_some()
    }

    /// pathLenConstraint of the basicConstraints, where present (RFC 5280 §4.2.1.9).
    pub fn path_length(&self) -> Option<u8> {
        self.extension::<BasicConstraints>()?.path_len_constraint
    }

    /// keyUsage, where present (RFC 5280 §4.2.1.3).
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.extension()
    }

    /// Whether keyUsage is absent or can be read. What cannot be read permits nothing.
    pub(crate) fn has_readable_key_usage(&self) -> bool {
        let extensions = self.inner.tbs_certificate().extensions();
        let present = extensions.is_some_and(|extensions| {
            extensions
                .iter()
                .any(|extension| extension.extn_id == KeyUsage::OID)
        });
        !present || self.key_usage().is_some()
    }

    /// The purposes of the extendedKeyUsage, where present (RFC 5280 §4.2.1.12).
    pub fn extended_key_usage(&self) -> Option<Vec<ObjectIdentifier>> {
        self.extension().map(|ExtendedKeyUsage(purposes)| purposes)
    }

    /// subjectKeyIdentifier, where present (RFC 5280 §4.2.1.2).
    pub fn subject_key_identifier(&self) -> Option<Vec<u8>> {
        self.extension()
            .map(|SubjectKeyIdentifier(octets)| octets.as_bytes().to_vec())
    }

    /// Whether `issuer`'s key made the signature of this certificate.
    ///
    /// # Errors
    /// It did not.
    pub fn verify_signature(&self, issuer: &Self) -> Result<(), BadSignature> {
        let message = signed_part(&self.der).map_err(|_| BadSignature)?;
        let algorithm: &AlgorithmIdentifierOwned = self.inner.signature_algorithm();
        let signature = self.inner.signature().as_bytes().ok_or(BadSignature)?;
        verify(&issuer.public_key_info, algorithm, message, signature)
    }

    /// Whether the key of this self-signed certificate made the signature of a message, with the
    /// algorithm of its own signature.
    ///
    /// # Errors
    /// It did not.
    pub fn verify_message(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let algorithm: &AlgorithmIdentifierOwned = self.inner.signature_algorithm();
        verify(&self.public_key_info, algorithm, message, signature)
    }

    pub(crate) fn extension<T>(&self) -> Option<T>
    where
        T: AssociatedOid + for<'a> Decode<'a>,
    {
        let extensions = self.inner.tbs_certificate().extensions()?;
        let extension = extensions
            .iter()
            .find(|extension| extension.extn_id == T::OID)?;
        T::from_der(extension.extn_value.as_bytes()).ok()
    }

    /// The extension, for a judgement that must not overlook it.
    ///
    /// # Errors
    /// It stands there twice (RFC 5280 §4.2), or cannot be read.
    pub(crate) fn sole_extension<T>(&self) -> Result<Option<T>, UnreadableExtension>
    where
        T: AssociatedOid + for<'a> Decode<'a>,
    {
        let extensions = self.inner.tbs_certificate().extensions();
        let mut those = extensions
            .into_iter()
            .flatten()
            .filter(|extension| extension.extn_id == T::OID);
        let first = those.next();
        if those.next().is_some() {
            return Err(UnreadableExtension);
        }
        first
            .map(|extension| T::from_der(extension.extn_value.as_bytes()))
            .transpose()
            .map_err(|_| UnreadableExtension)
    }
}

/// An extension that stands twice in a certificate or cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an extension that cannot be read")]
pub(crate) struct UnreadableExtension;

/// PEM text of DER bytes, lines of 64 characters ended by LF (RFC 7468 §2).
pub fn pem(label: &'static str, der: &[u8]) -> String {
    der::pem::encode_string(label, der::pem::LineEnding::LF, der).unwrap_or_default()
}

/// The first element of a signed structure, byte for byte: what the signature covers (RFC 5280
/// §4.1.1.3, §5.1.1.3).
///
/// # Errors
/// No DER SEQUENCE.
pub fn signed_part(der: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(der)?;
    Header::decode(&mut reader)?
        .tag()
        .assert_eq(Tag::Sequence)?;
    reader.tlv_bytes()
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::V4(Ipv4Addr::from(v4)));
    }
    <[u8; 16]>::try_from(octets)
        .ok()
        .map(|v6| IpAddr::V6(Ipv6Addr::from(v6)))
}
