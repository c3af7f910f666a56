//! Whether a client certificate is acceptable, and if not, the first cause that holds.
//!
//! Signatures, name constraints, path length and critical extensions are webpki's work. The rest of
//! RFC 5280 §6.1 belongs to finding the path and is done here, policies among it. Dates, purposes
//! and revocation are judged when the path is known, so that the causes come in one fixed order:
//! unknown authority, revoked, expired or not yet valid, wrong usage, CRL unusable.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};

use crate::certificate::{CLIENT_AUTH, Certificate};
use crate::key::KeyId;
use crate::serial::SerialNumber;
use crate::validity::{Validity, ValidityState};

mod policies;

/// Certificates above the client's that are looked at; more are not needed by any real chain.
const MAX_INTERMEDIATES: usize = 8;

/// The authorities whose clients are accepted.
#[derive(Clone, Debug)]
pub struct Authorities {
    list: Vec<Authority>,
    anchors: Vec<TrustAnchor<'static>>,
}

/// One trusted authority.
#[derive(Clone, Debug)]
struct Authority {
    certificate: Arc<Certificate>,
    /// Keys of trusted authorities that signed this one: what they revoke is trusted no longer.
    issuers: Vec<KeyId>,
}

impl Authorities {
    /// From CA certificates; one that webpki cannot read as a trust anchor is left out, see
    /// [`Self::iter`] for those that count.
    pub fn new(certificates: impl IntoIterator<Item = Certificate>) -> Self {
        let mut known: Vec<Arc<Certificate>> = Vec::new();
        let mut anchors = Vec::new();
        for certificate in certificates {
            let der = CertificateDer::from(certificate.der());
            let twice = known.iter().any(|one| one.der() == certificate.der());
            if !twice && let Ok(anchor) = webpki::anchor_from_trusted_cert(&der) {
                anchors.push(anchor.to_owned());
                known.push(Arc::new(certificate));
            }
        }
        let list = known
            .iter()
            .map(|certificate| Authority {
                certificate: Arc::clone(certificate),
                issuers: known
                    .iter()
                    .filter(|other| other.der() != certificate.der() && signed(certificate, other))
                    .map(|other| other.key_id())
                    .collect(),
            })
            .collect();
        Self { list, anchors }
    }

    /// The certificates.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.list.iter().map(|authority| &authority.certificate)
    }
}

/// What is known of one serial of one issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RevocationStatus {
    /// The issuer's list is good and does not name it, or policy says to go on without a list.
    NotRevoked,
    /// Revoked since then.
    Revoked(Timestamp),
    /// Nobody can tell, and policy says that this is not enough.
    Unknown,
}

/// The verdict "valid": obtainable only from [`judge`].
#[derive(Clone, Debug)]
pub struct Verified {
    certificate: Arc<Certificate>,
    issuer_key: KeyId,
    issued: Vec<(KeyId, SerialNumber)>,
    validity: Validity,
}

impl Verified {
    /// The client's certificate.
    pub fn certificate(&self) -> &Arc<Certificate> {
        &self.certificate
    }

    /// Key of the authority that issued it.
    pub fn issuer_key(&self) -> KeyId {
        self.issuer_key
    }

    /// Every certificate of the path that can be revoked, as issuer key and serial; the client's
    /// is the first.
    pub fn issued(&self) -> &[(KeyId, SerialNumber)] {
        &self.issued
    }

    /// The time span in which every certificate of the path is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }
}

/// Why a certificate is not acceptable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rejection {
    /// The CRL of an issuing authority cannot tell.
    CrlUnusable,
    /// The validity of the certificate, or of one above it, is over.
    Expired {
        /// Last valid second.
        not_after: Timestamp,
    },
    /// The validity has not begun.
    NotYetValid {
        /// First valid second.
        not_before: Timestamp,
    },
    /// Listed on its issuer's CRL.
    Revoked {
        /// Since when.
        at: Timestamp,
    },
    /// No path to a trusted authority, or one that must not be followed (RFC 5280 §6.1).
    UnknownCa,
    /// Made for something else than authenticating a client.
    WrongUsage,
}

/// Judges a client certificate with the certificates its client sent along.
///
/// That the client holds the private key is not looked at; the TLS layer does that.
///
/// # Errors
/// The first cause that holds, in the order of the module's description.
pub fn judge(
    certificate: &Arc<Certificate>,
    intermediates: &[CertificateDer<'_>],
    authorities: &Authorities,
    now: Timestamp,
    revocation: impl Fn(KeyId, &SerialNumber) -> RevocationStatus,
) -> Result<Verified, Rejection> {
    let path = Path::find(certificate, intermediates, authorities, now)?;
    let issued = path.issued();
    let statuses: Vec<_> = issued
        .iter()
        .map(|(key, serial)| revocation(*key, serial))
        .collect();
    let anchored = path.authority.issuers.iter();
    let anchor_serial = path.authority.certificate.serial();
    let anchor_statuses = anchored.map(|key| revocation(*key, anchor_serial));
    for status in statuses.iter().copied().chain(anchor_statuses) {
        if let RevocationStatus::Revoked(at) = status {
            return Err(Rejection::Revoked { at });
        }
    }
    let validity = path.validity(now)?;
    path.usage()?;
    if statuses.contains(&RevocationStatus::Unknown) {
        return Err(Rejection::CrlUnusable);
    }
    path.verified(issued, validity)
}

/// From the client's certificate up to a trusted authority.
struct Path<'a> {
    certificate: &'a Arc<Certificate>,
    intermediates: Vec<Certificate>,
    authority: &'a Authority,
    proof: Proof,
}

/// How much is known of a [`Path`].
#[derive(Clone, Copy, Eq, PartialEq)]
enum Proof {
    /// Everything of RFC 5280 §6.1 but dates, purposes and revocation.
    Complete,
    /// The signatures only: enough to tell an own certificate from a foreign one.
    Signatures,
}

impl<'a> Path<'a> {
    fn find(
        certificate: &'a Arc<Certificate>,
        intermediates: &[CertificateDer<'_>],
        authorities: &'a Authorities,
        now: Timestamp,
    ) -> Result<Self, Rejection> {
        let intermediates = &intermediates[..intermediates.len().min(MAX_INTERMEDIATES)];
        let valid_now = |authority: &Authority| {
            authority.certificate.validity().state(now) == ValidityState::Valid
        };
        // A renewed authority stands beside its old certificate, under the same key.
        let path = match Self::complete(certificate, intermediates, authorities, valid_now) {
            Err(_) if !authorities.list.iter().all(valid_now) => {
                Self::complete(certificate, intermediates, authorities, |_| true)
            }
            path => path,
        };
        match path {
            Ok(path) => Ok(path),
            // webpki looks at these two before it looks at signatures.
            Err(
                webpki::Error::CaUsedAsEndEntity
                | webpki::Error::CertExpired { .. }
                | webpki::Error::CertNotValidYet { .. }
                | webpki::Error::InvalidCertValidity,
            ) => Self::signatures(certificate, intermediates, authorities)
                .ok_or(Rejection::UnknownCa),
            Err(_) => Err(Rejection::UnknownCa),
        }
    }

    /// Asks webpki at a time when the certificate is valid, since dates are judged later. Where
    /// that lies before an intermediate's beginning, at the latest beginning of all.
    fn complete(
        certificate: &'a Arc<Certificate>,
        intermediates: &[CertificateDer<'_>],
        authorities: &'a Authorities,
        admit: impl Fn(&Authority) -> bool,
    ) -> Result<Self, webpki::Error> {
        let der = CertificateDer::from(certificate.der());
        let end_entity = EndEntityCert::try_from(&der)?;
        let own = certificate.validity().not_before;
        let latest = intermediates
            .iter()
            .filter_map(|der| Certificate::from_der(der).ok())
            .map(|intermediate| intermediate.validity().not_before)
            .max()
            .filter(|begin| *begin > own);
        let mut failure = webpki::Error::UnknownIssuer;
        for time in std::iter::once(own).chain(latest) {
            let path = end_entity.verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &authorities.anchors,
                intermediates,
                unix_time(time),
                AnyPurpose,
                None,
                Some(&|path| may_be_followed(path, authorities, &admit)),
            );
            match path {
                Ok(path) => return Self::from_webpki(certificate, &path, authorities),
                Err(error) => failure = error,
            }
            let dates = matches!(
                failure,
                webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. }
            );
            if !dates {
                break;
            }
        }
        Err(failure)
    }

    fn from_webpki(
        certificate: &'a Arc<Certificate>,
        path: &VerifiedPath<'_>,
        authorities: &'a Authorities,
    ) -> Result<Self, webpki::Error> {
        Ok(Self {
            certificate,
            intermediates: intermediates(path)?,
            authority: authority(path, authorities).ok_or(webpki::Error::UnknownIssuer)?,
            proof: Proof::Complete,
        })
    }

    fn signatures(
        certificate: &'a Arc<Certificate>,
        sent: &[CertificateDer<'_>],
        authorities: &'a Authorities,
    ) -> Option<Self> {
        let mut sent: Vec<_> = sent
            .iter()
            .filter_map(|der| Certificate::from_der(der).ok())
            .collect();
        let mut intermediates: Vec<Certificate> = Vec::new();
        loop {
            let last = intermediates.last().unwrap_or(certificate);
            let authority = authorities.list.iter().find(|authority| {
                authority.certificate.der() == last.der() || signed(last, &authority.certificate)
            });
            if let Some(authority) = authority {
                return Some(Self {
                    certificate,
                    intermediates,
                    authority,
                    proof: Proof::Signatures,
                });
            }
            let next = sent.iter().position(|above| signed(last, above))?;
            intermediates.push(sent.swap_remove(next));
        }
    }

    /// The client's certificate and the intermediates, each with the key above it.
    fn issued(&self) -> Vec<(KeyId, SerialNumber)> {
        let certificates = self.certificates();
        let keys = self
            .intermediates
            .iter()
            .chain(std::iter::once(self.authority.certificate.as_ref()))
            .map(Certificate::key_id);
        keys.zip(certificates)
            .map(|(key, certificate)| (key, certificate.serial().clone()))
            .collect()
    }

    fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(self.certificate.as_ref()).chain(&self.intermediates)
    }

    fn validity(&self, now: Timestamp) -> Result<Validity, Rejection> {
        let mut common = self.certificate.validity();
        let above = std::iter::once(self.authority.certificate.as_ref());
        for certificate in self.certificates().chain(above) {
            let validity = certificate.validity();
            match validity.state(now) {
                ValidityState::Valid => {}
                ValidityState::Expired => {
                    return Err(Rejection::Expired {
                        not_after: validity.not_after,
                    });
                }
                ValidityState::NotYetValid => {
                    return Err(Rejection::NotYetValid {
                        not_before: validity.not_before,
                    });
                }
            }
            common.not_before = common.not_before.max(validity.not_before);
            common.not_after = common.not_after.min(validity.not_after);
        }
        Ok(common)
    }

    /// The purposes (RFC 5280 §4.2.1.12) of the whole path, and what the client's certificate
    /// itself must and must not be (RFC 8446 §4.4.2.2: digitalSignature where keyUsage is present).
    fn usage(&self) -> Result<(), Rejection> {
        let usage = self.certificate.key_usage();
        let signs = self.certificate.has_readable_key_usage()
            && usage.is_none_or(|usage| usage.digital_signature());
        let for_clients = self.certificates().all(|certificate| {
            certificate
                .extended_key_usage()
                .is_none_or(|purposes| purposes.contains(&CLIENT_AUTH))
        });
        if self.certificate.is_ca() || !signs || !for_clients {
            Err(Rejection::WrongUsage)
        } else {
            Ok(())
        }
    }

    fn verified(
        self,
        issued: Vec<(KeyId, SerialNumber)>,
        validity: Validity,
    ) -> Result<Verified, Rejection> {
        match (self.proof, issued.first()) {
            (Proof::Complete, Some((issuer_key, _))) => Ok(Verified {
                certificate: Arc::clone(self.certificate),
                issuer_key: *issuer_key,
                issued,
                validity,
            }),
            _ => Err(Rejection::UnknownCa),
        }
    }
}

/// What webpki does not look at: keyCertSign along the path (RFC 5280 §6.1.4 n), the path length
/// of the trusted authority, which a trust anchor has lost, and policies.
fn may_be_followed(
    path: &VerifiedPath<'_>,
    authorities: &Authorities,
    admit: impl Fn(&Authority) -> bool,
) -> Result<(), webpki::Error> {
    let authority = authority(path, authorities)
        .filter(|authority| admit(authority))
        .ok_or(webpki::Error::UnknownIssuer)?;
    let intermediates = intermediates(path)?;
    let may_sign =
        |issuer: &Certificate| issuer.key_usage().is_none_or(|usage| usage.key_cert_sign());
    if !may_sign(&authority.certificate) || !intermediates.iter().all(may_sign) {
        return Err(webpki::Error::EndEntityUsedAsCa);
    }
    // Self-issued certificates do not count (RFC 5280 §4.2.1.9).
    let length = intermediates
        .iter()
        .filter(|intermediate| intermediate.subject() != intermediate.issuer())
        .count();
    match authority.certificate.path_length() {
        Some(most) if length > usize::from(most) => Err(webpki::Error::PathLenConstraintViolated),
        _ => policies(path, &intermediates),
    }
}

fn policies(path: &VerifiedPath<'_>, above: &[Certificate]) -> Result<(), webpki::Error> {
    let own = Certificate::from_der(&path.end_entity().der()).map_err(|_| webpki::Error::BadDer)?;
    let from_the_anchor: Vec<_> = above.iter().rev().chain([&own]).collect();
    // Any error says "no such path"; webpki then tries the others.
    policies::check(&from_the_anchor).map_err(|_| webpki::Error::UnknownIssuer)
}

fn intermediates(path: &VerifiedPath<'_>) -> Result<Vec<Certificate>, webpki::Error> {
    path.intermediate_certificates()
        .map(|intermediate| Certificate::from_der(&intermediate.der()))
        .collect::<Result<_, _>>()
        .map_err(|_| webpki::Error::BadDer)
}

fn authority<'a>(path: &VerifiedPath<'_>, authorities: &'a Authorities) -> Option<&'a Authority> {
    let place = authorities
        .anchors
        .iter()
        .position(|anchor| std::ptr::eq(anchor, path.anchor()))?;
    authorities.list.get(place)
}

fn signed(certificate: &Certificate, issuer: &Certificate) -> bool {
    certificate.issuer() == issuer.subject() && certificate.verify_signature(issuer).is_ok()
}

fn unix_time(at: Timestamp) -> UnixTime {
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// Purposes are judged after the path is known; here they must only be readable.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        for purpose in purposes {
            purpose?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
