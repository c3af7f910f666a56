//! Revocation lists: building and signing (RFC 5280 §5).

use std::fmt;
use std::str::FromStr;

use const_oid::AssociatedOid;
use der::asn1::{Any, OctetString, Uint};
use der::{Encode, Sequence, Tag};
use jiff::Timestamp;
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlReason};
use x509_cert::name::Name;
use x509_cert::time::Time;

use crate::certificate::{Certificate, pem};
use crate::issuance::{IssuanceError, key_identifier, sign};
use crate::key::KeyPair;
use crate::profile::plain;
use crate::serial::SerialNumber;
use crate::validity::to_asn1;

/// Why a certificate was revoked (RFC 5280 §5.3.1), of the reasons a clinic has; "unspecified" is
/// said by leaving the reason out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RevocationReason {
    /// The key is or may be in other hands: a lost or stolen machine.
    KeyCompromise,
    /// The holder's name or employer changed.
    AffiliationChanged,
    /// A newer certificate replaces it.
    Superseded,
    /// No longer needed.
    CessationOfOperation,
}

impl RevocationReason {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
    ];

    /// The RFC's word, as `--reason` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyCompromise => "keyCompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
        }
    }

    fn to_crl(self) -> CrlReason {
        match self {
            Self::KeyCompromise => CrlReason::KeyCompromise,
            Self::AffiliationChanged => CrlReason::AffiliationChanged,
            Self::Superseded => CrlReason::Superseded,
            Self::CessationOfOperation => CrlReason::CessationOfOperation,
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The word names no [`RevocationReason`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is none of keyCompromise, affiliationChanged, superseded, cessationOfOperation")]
pub struct UnknownRevocationReason(pub String);

impl FromStr for RevocationReason {
    type Err = UnknownRevocationReason;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.name() == word)
            .ok_or_else(|| UnknownRevocationReason(word.to_owned()))
    }
}

/// cRLNumber (RFC 5280 §5.2.3): grows by one with every list; the store keeps it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CrlNumber(pub u64);

impl CrlNumber {
    /// The number of the list after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One line of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RevokedEntry {
    /// Which certificate of this CA.
    pub serial: SerialNumber,
    /// Since when.
    pub revoked_at: Timestamp,
    /// Why, where it was said.
    pub reason: Option<RevocationReason>,
}

/// A signed revocation list (RFC 5280 §5.1), complete and for all certificates of its CA.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateRevocationList {
    /// cRLNumber.
    pub number: CrlNumber,
    /// When it was made.
    pub this_update: Timestamp,
    /// When the next one is due; after it, readers may refuse everybody.
    pub next_update: Timestamp,
    /// The DER that was signed.
    pub der: Vec<u8>,
}

/// TBSCertList (RFC 5280 §5.1.2). The entries are encoded beforehand: there may be a million.
#[derive(Sequence)]
struct TbsCertList {
    version: u8,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    this_update: Time,
    next_update: Time,
    #[asn1(optional = "true")]
    revoked_certificates: Option<Any>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    crl_extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct RevokedCertificate {
    user_certificate: Uint,
    revocation_date: Time,
    #[asn1(optional = "true")]
    crl_entry_extensions: Option<Vec<Extension>>,
}

impl CertificateRevocationList {
    /// Builds and signs a v2 list. The revokedCertificates element is absent where there are no
    /// entries (§5.1.2.6).
    ///
    /// # Errors
    /// A value cannot be encoded, or the key failed.
    pub fn sign(
        issuer: &Certificate,
        issuer_key: &KeyPair,
        number: CrlNumber,
        (this_update, next_update): (Timestamp, Timestamp),
        entries: impl IntoIterator<Item = RevokedEntry>,
    ) -> Result<Self, IssuanceError> {
        let mut encoded = Vec::new();
        for entry in entries {
            encode_entry(&entry, &mut encoded)?;
        }
        let revoked_certificates = if encoded.is_empty() {
            None
        } else {
            Some(Any::new(Tag::Sequence, encoded)?)
        };
        let key_identifier = match issuer.subject_key_identifier() {
            Some(identifier) => identifier,
            None => key_identifier(issuer.public_key_info())?,
        };
        let authority = AuthorityKeyIdentifier {
            key_identifier: Some(OctetString::new(key_identifier)?),
            authority_cert_issuer: None,
            authority_cert_serial_number: None,
        };
        let number_value = x509_cert::ext::pkix::CrlNumber(Uint::new(&number.0.to_be_bytes())?);
        let tbs = TbsCertList {
            version: 1,
            signature: issuer_key.signature_algorithm(),
            issuer: issuer.subject().as_name().clone(),
            this_update: to_asn1(this_update)?,
            next_update: to_asn1(next_update)?,
            revoked_certificates,
            crl_extensions: vec![plain(&authority)?, plain(&number_value)?],
        };
        let der = sign(&tbs.to_der()?, issuer_key)?;
        Ok(Self {
            number,
            this_update,
            next_update,
            der,
        })
    }

    /// PEM with the label `X509 CRL` (RFC 7468 §6).
    pub fn to_pem(&self) -> String {
        pem("X509 CRL", &self.der)
    }
}

fn encode_entry(entry: &RevokedEntry, output: &mut Vec<u8>) -> der::Result<()> {
    let extensions = match entry.reason {
        Some(reason) => Some(vec![Extension {
            extn_id: CrlReason::OID,
            critical: false,
            extn_value: OctetString::new(reason.to_crl().to_der()?)?,
        }]),
        None => None,
    };
    let revoked = RevokedCertificate {
        user_certificate: Uint::new(entry.serial.magnitude())?,
        revocation_date: to_asn1(entry.revoked_at)?,
        crl_entry_extensions: extensions,
    };
    revoked.encode_to_vec(output)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuance::tests::authority;
    use crate::profile::NameConstraints;
    use der::Decode;
    use x509_cert::crl::CertificateList;

    fn now() -> Timestamp {
        "2026-11-24T00:00:00Z".parse().unwrap()
    }

    fn list(entries: Vec<RevokedEntry>) -> CertificateList {
        let (ca, key) = authority(NameConstraints::default(), 7300, now());
        let next = "2027-11-24T00:00:00Z".parse().unwrap();
        let crl = CertificateRevocationList::sign(&ca, &key, CrlNumber(7), (now(), next), entries)
            .unwrap();
        CertificateList::from_der(&crl.der).unwrap()
    }

    #[test]
    fn an_empty_list_has_no_list_element() {
        assert_eq!(list(vec![]).tbs_cert_list.revoked_certificates, None);
    }

    #[test]
    fn a_reason_is_written_only_where_one_was_given() {
        let entry = |serial: u64, reason| RevokedEntry {
            serial: SerialNumber::try_from(serial).unwrap(),
            revoked_at: now(),
            reason,
        };
        let list = list(vec![
            entry(3, None),
            entry(200, Some(RevocationReason::Superseded)),
        ]);
        let entries = list.tbs_cert_list.revoked_certificates.unwrap();
        assert_eq!(entries[0].crl_entry_extensions, None);
        let extensions = entries[1].crl_entry_extensions.as_ref().unwrap();
        assert_eq!(extensions[0].extn_value.as_bytes(), [0x0a, 0x01, 0x04]);
        assert_eq!(entries[1].serial_number.as_bytes(), [0x00, 0xc8]);
    }
}
