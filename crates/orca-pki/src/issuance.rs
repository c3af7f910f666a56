//! From a request to a signed certificate: prepare (and lint), then sign, once.

use aws_lc_rs::digest;
use der::asn1::{Any, BitString, Uint};
use der::{Decode, Encode, Sequence};
use jiff::Timestamp;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoRef};
use x509_cert::certificate::Version;
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::time::Validity as Asn1Validity;

use crate::certificate::{Certificate, CertificateError};
use crate::key::{KeyAlgorithm, KeyError, KeyPair};
use crate::lint::{self, Advice, Refused};
use crate::name::{CommonName, Country, DistinguishedName, HostName, NameError};
use crate::profile::{CertificateProfile, ExtensionFacts, NameConstraints, extensions};
use crate::serial::SerialNumber;
use crate::validity::{DAY, Validity, shift, to_asn1};

/// How far notBefore lies back, in seconds: clocks in closed LANs are wrong by hours, seldom by a day.
pub const BACKDATE: i64 = DAY;

/// What somebody asked for: names are valid and the profile is chosen.
#[derive(Clone, Debug)]
pub struct IssuanceRequest {
    profile: CertificateProfile,
    subject: DistinguishedName,
    common_name: CommonName,
    hosts: Vec<HostName>,
    constraints: NameConstraints,
    days: u32,
    key: KeyAlgorithm,
}

/// Country and organization of an authority's subjects.
#[derive(Clone, Debug)]
pub struct Realm {
    /// `C`.
    pub country: Country,
    /// `O`.
    pub organization: CommonName,
}

impl IssuanceRequest {
    /// A server certificate. The commonName is the first host, in the letters it was typed with;
    /// the subjectAltName, which alone clients compare, has it in lower case.
    ///
    /// # Errors
    /// The name is no such host, or cannot be encoded.
    pub fn server(
        realm: &Realm,
        common_name: CommonName,
        hosts: Vec<HostName>,
        days: u32,
        key: KeyAlgorithm,
    ) -> Result<Self, NameError> {
        let first: HostName = common_name.as_str().parse()?;
        if hosts.first() != Some(&first) {
            return Err(NameError::NotAHost(common_name.to_string()));
        }
        Self::new(CertificateProfile::Server, realm, common_name, days, key)
            .map(|request| Self { hosts, ..request })
    }

    /// A client certificate.
    ///
    /// # Errors
    /// The name cannot be encoded.
    pub fn client(
        realm: &Realm,
        common_name: CommonName,
        days: u32,
        key: KeyAlgorithm,
    ) -> Result<Self, NameError> {
        Self::new(CertificateProfile::Client, realm, common_name, days, key)
    }

    /// The authority's own certificate.
    ///
    /// # Errors
    /// The name cannot be encoded.
    pub fn root(
        realm: &Realm,
        common_name: CommonName,
        constraints: NameConstraints,
        days: u32,
        key: KeyAlgorithm,
    ) -> Result<Self, NameError> {
        Self::new(CertificateProfile::Root, realm, common_name, days, key).map(|request| Self {
            constraints,
            ..request
        })
    }

    fn new(
        profile: CertificateProfile,
        realm: &Realm,
        common_name: CommonName,
        days: u32,
        key: KeyAlgorithm,
    ) -> Result<Self, NameError> {
        let subject = DistinguishedName::new(&realm.country, &realm.organization, &common_name)
            .map_err(|_| NameError::TooLong)?;
        let constraints = NameConstraints::default();
        Ok(Self {
            profile,
            subject,
            common_name,
            hosts: Vec::new(),
            constraints,
            days,
            key,
        })
    }

    /// Server, client or root.
    pub fn profile(&self) -> CertificateProfile {
        self.profile
    }

    /// The subject the certificate will have.
    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// Its commonName.
    pub fn common_name(&self) -> &CommonName {
        &self.common_name
    }

    /// The hosts of the subjectAltName.
    pub fn hosts(&self) -> &[HostName] {
        &self.hosts
    }

    /// Validity in days from now.
    pub fn days(&self) -> u32 {
        self.days
    }

    /// The kind of key it wants.
    pub fn key(&self) -> KeyAlgorithm {
        self.key
    }
}

/// Why no certificate came out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IssuanceError {
    /// Every client would refuse it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A value cannot be encoded.
    #[error("a value cannot be encoded: {0}")]
    Der(#[from] der::Error),
    /// A name does not fit.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The key or the provider failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What was signed cannot be read back.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// The period a request would get: from a day ago, never outside its issuer's.
///
/// # Errors
/// The clock stands before the issuer's period or after it.
pub fn validity(
    request: &IssuanceRequest,
    issuer: Option<&Certificate>,
    now: Timestamp,
) -> Result<Validity, Refused> {
    let not_before = shift(now, -BACKDATE);
    let not_after = shift(now, i64::from(request.days) * DAY);
    let Some(issuer) = issuer.map(Certificate::validity) else {
        return Ok(Validity {
            not_before,
            not_after,
        });
    };
    if now < issuer.not_before {
        return Err(Refused::ClockBeforeIssuer {
            now,
            not_before: issuer.not_before,
        });
    }
    if now > issuer.not_after {
        return Err(Refused::IssuerExpired {
            not_after: issuer.not_after,
        });
    }
    let not_before = not_before.max(issuer.not_before);
    let not_after = not_after.min(issuer.not_after);
    Ok(Validity {
        not_before,
        not_after,
    })
}

/// A certificate that was linted and not yet signed. Only [`prepare`] makes one, and
/// [`Self::sign`] uses it up, so that nothing unlinted is signed and nothing is signed twice.
#[derive(Debug)]
pub struct PreparedCertificate {
    tbs: TbsCertificate,
    advice: Vec<Advice>,
}

/// TBSCertificate (RFC 5280 §4.1.2) as we fill it.
#[derive(Debug, Sequence)]
struct TbsCertificate {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: Version,
    serial_number: Uint,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Asn1Validity,
    subject: Name,
    subject_public_key_info: Any,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// The shape of a certificate and of a revocation list: what is signed, how, the signature.
#[derive(Sequence)]
pub(crate) struct Signed {
    pub(crate) to_be_signed: Any,
    pub(crate) signature_algorithm: AlgorithmIdentifierOwned,
    pub(crate) signature: BitString,
}

/// Fills in and lints a certificate for a public key (DER SubjectPublicKeyInfo).
///
/// `issuer` is `None` for the authority's own certificate.
///
/// # Errors
/// The linter refuses, or a value cannot be encoded.
pub fn prepare(
    request: &IssuanceRequest,
    serial: &SerialNumber,
    issuer: Option<&Certificate>,
    public_key_info: &[u8],
    now: Timestamp,
) -> Result<PreparedCertificate, IssuanceError> {
    let advice = lint::check(request, issuer, now)?;
    let period = validity(request, issuer, now)?;
    let own = key_identifier(public_key_info)?;
    let authority = match issuer {
        Some(issuer) => match issuer.subject_key_identifier() {
            Some(identifier) => identifier,
            None => key_identifier(issuer.public_key_info())?,
        },
        None => own.clone(),
    };
    let issuer_name = issuer.map_or_else(|| request.subject.clone(), Certificate::subject);
    let extensions = extensions(ExtensionFacts {
        profile: request.profile,
        hosts: &request.hosts,
        constraints: &request.constraints,
        subject_key_identifier: &own,
        authority_key_identifier: &authority,
        key_is_rsa: request.key.is_rsa(),
    })?;
    let tbs = TbsCertificate {
        version: Version::V3,
        serial_number: Uint::new(serial.magnitude())?,
        // Set by `sign`, which knows the key.
        signature: AlgorithmIdentifierOwned {
            oid: const_oid::db::rfc5912::ECDSA_WITH_SHA_256,
            parameters: None,
        },
        issuer: issuer_name.as_name().clone(),
        validity: Asn1Validity::new(to_asn1(period.not_before)?, to_asn1(period.not_after)?),
        subject: request.subject.as_name().clone(),
        subject_public_key_info: Any::from_der(public_key_info)?,
        extensions,
    };
    Ok(PreparedCertificate { tbs, advice })
}

impl PreparedCertificate {
    /// What the linter had to say; nothing of it forbids signing.
    pub fn advice(&self) -> &[Advice] {
        &self.advice
    }

    /// Signs with the issuer's key.
    ///
    /// # Errors
    /// The key or the encoding failed.
    pub fn sign(mut self, issuer_key: &KeyPair) -> Result<Certificate, IssuanceError> {
        self.tbs.signature = issuer_key.signature_algorithm();
        let der = sign(&self.tbs.to_der()?, issuer_key)?;
        Ok(Certificate::from_der(&der)?)
    }
}

/// Signs a DER structure and wraps it with algorithm and signature (RFC 5280 §4.1.1, §5.1.1).
pub(crate) fn sign(to_be_signed: &[u8], key: &KeyPair) -> Result<Vec<u8>, IssuanceError> {
    let signature = key.sign(to_be_signed)?;
    let signed = Signed {
        to_be_signed: Any::from_der(to_be_signed)?,
        signature_algorithm: key.signature_algorithm(),
        signature: BitString::from_bytes(&signature)?,
    };
    Ok(signed.to_der()?)
}

/// keyIdentifier by method 1 of RFC 5280 §4.2.1.2: SHA-1 of the subjectPublicKey bits. It names the
/// key, it protects nothing.
pub(crate) fn key_identifier(public_key_info: &[u8]) -> der::Result<Vec<u8>> {
    let info = SubjectPublicKeyInfoRef::from_der(public_key_info)?;
    let bits = info.subject_public_key.raw_bytes();
    Ok(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bits)
        .as_ref()
        .to_vec())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn realm() -> Realm {
        Realm {
            country: "JP".parse().unwrap(),
            organization: "orca".parse().unwrap(),
        }
    }

    pub(crate) fn authority(
        constraints: NameConstraints,
        days: u32,
        now: Timestamp,
    ) -> (Certificate, KeyPair) {
        let key = KeyPair::generate(KeyAlgorithm::P256).unwrap();
        let name = "orca CA 0A1B2C3D".parse().unwrap();
        let request =
            IssuanceRequest::root(&realm(), name, constraints, days, KeyAlgorithm::P256).unwrap();
        let serial = SerialNumber::try_from(1).unwrap();
        let prepared = prepare(
            &request,
            &serial,
            None,
            &key.public_key_info().unwrap(),
            now,
        )
        .unwrap();
        (prepared.sign(&key).unwrap(), key)
    }

    fn now() -> Timestamp {
        "2026-11-24T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_server_certificate_carries_every_name_and_one_purpose() {
        let (ca, ca_key) = authority(NameConstraints::default(), 7300, now());
        let hosts = vec![
            "weborca-server".parse().unwrap(),
            "192.168.1.100".parse().unwrap(),
        ];
        let request = IssuanceRequest::server(
            &realm(),
            "WebORCA-Server".parse().unwrap(),
            hosts.clone(),
            3650,
            KeyAlgorithm::P256,
        )
        .unwrap();
        let key = KeyPair::generate(KeyAlgorithm::P256).unwrap();
        let serial = SerialNumber::try_from(2).unwrap();
        let info = key.public_key_info().unwrap();
        let prepared = prepare(&request, &serial, Some(&ca), &info, now()).unwrap();
        assert_eq!(
            prepared.advice(),
            [Advice::LongServerValidity { days: 3650 }]
        );
        let certificate = prepared.sign(&ca_key).unwrap();
        assert_eq!(certificate.verify_signature(&ca), Ok(()));
        assert_eq!(certificate.host_names(), hosts);
        assert_eq!(certificate.extended_key_usage(), Some(vec![SERVER]));
        assert!(!certificate.is_ca());
        assert_eq!(
            certificate.subject().one_line(),
            "/C=JP/O=orca/CN=WebORCA-Server"
        );
        assert_eq!(
            certificate.validity().not_before,
            "2026-11-23T00:00:00Z".parse().unwrap()
        );
    }

    const SERVER: der::asn1::ObjectIdentifier = crate::certificate::SERVER_AUTH;

    #[test]
    fn nothing_outlives_its_ca() {
        let (ca, _) = authority(NameConstraints::default(), 100, now());
        let request =
            IssuanceRequest::client(&realm(), "user1".parse().unwrap(), 3650, KeyAlgorithm::P256)
                .unwrap();
        assert_eq!(
            validity(&request, Some(&ca), now()).unwrap().not_after,
            ca.validity().not_after
        );
        let key = KeyPair::generate(KeyAlgorithm::P256)
            .unwrap()
            .public_key_info()
            .unwrap();
        let serial = SerialNumber::try_from(2).unwrap();
        let prepared = prepare(&request, &serial, Some(&ca), &key, now()).unwrap();
        assert!(matches!(prepared.advice(), [Advice::Shortened { .. }]));
        let later = shift(now(), 101 * DAY);
        assert!(matches!(
            validity(&request, Some(&ca), later),
            Err(Refused::IssuerExpired { .. })
        ));
        let before = shift(now(), -2 * DAY);
        assert!(matches!(
            validity(&request, Some(&ca), before),
            Err(Refused::ClockBeforeIssuer { .. })
        ));
    }
}
