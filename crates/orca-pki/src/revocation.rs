//! Revocation lists: building and signing (RFC 5280 §5).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use x509_cert::ext::pkix::CrlReason;

use crate::certificate::{Certificate, pem};
use crate::issuance::IssuanceError;
use crate::key::KeyPair;
use crate::serial::SerialNumber;

mod writer;

pub use writer::CrlWriter;

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
        let mut writer = CrlWriter::new();
        for entry in entries {
            writer.push(entry.serial.magnitude(), entry.revoked_at, entry.reason)?;
        }
        writer.sign(issuer, issuer_key, number, (this_update, next_update))
    }

    /// PEM with the label `X509 CRL` (RFC 7468 §6).
    pub fn to_pem(&self) -> String {
        pem("X509 CRL", &self.der)
    }
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
