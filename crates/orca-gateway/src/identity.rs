//! Who a client is, or why it is nobody.

use std::sync::Arc;

use jiff::Timestamp;
use orca_pki::certificate::{Certificate, Fingerprint};
use orca_pki::key::KeyId;
use orca_pki::name::DistinguishedName;
use orca_pki::serial::SerialNumber;
use orca_pki::validity::Validity;
use orca_pki::verification::{Rejection, Verified};

/// A verified client. The only way to one is the verdict "valid": [`Verified`] has no public
/// constructor, and whatever serves the application asks for a `ClientIdentity`.
#[derive(Debug)]
pub(crate) struct ClientIdentity {
    verified: Verified,
    subject: DistinguishedName,
    issuer: DistinguishedName,
}

impl ClientIdentity {
    /// Subject name.
    pub(crate) fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// Issuer name; for people only, keys decide.
    pub(crate) fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// Serial number.
    pub(crate) fn serial(&self) -> &SerialNumber {
        self.verified.certificate().serial()
    }

    /// SHA-256 of the certificate.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.verified.certificate().fingerprint()
    }

    /// Every certificate of the path that can be revoked, as issuer key and serial.
    pub(crate) fn issued(&self) -> &[(KeyId, SerialNumber)] {
        self.verified.issued()
    }

    /// Last second of the whole path's validity.
    pub(crate) fn not_after(&self) -> Timestamp {
        self.validity().not_after
    }

    /// The whole path's validity.
    pub(crate) fn validity(&self) -> Validity {
        self.verified.validity()
    }

    /// The certificate.
    pub(crate) fn certificate(&self) -> &Arc<Certificate> {
        self.verified.certificate()
    }
}

impl From<Verified> for ClientIdentity {
    fn from(verified: Verified) -> Self {
        Self {
            subject: verified.certificate().subject(),
            issuer: verified.certificate().issuer(),
            verified,
        }
    }
}

/// Why a request or a handshake was not served.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Cause {
    /// The client does not hold the private key.
    BadSignature,
    /// The client left in the middle of its request, or sent what is no end of it.
    BrokenRequest,
    /// The CRL cannot tell, and the configuration says refuse.
    CrlUnusable,
    /// Another site made the browser ask.
    CrossSite,
    /// Validity over.
    Expired,
    /// No certificate can be read.
    Malformed,
    /// None was sent.
    NoCertificate,
    /// A request that never reaches the application: unreadable, ambiguous, or for one of our paths.
    NotForwarded,
    /// Validity not begun.
    NotYetValid,
    /// A certificate that may not be used now.
    OutsideHours,
    /// http on the TLS port.
    PlainHttp,
    /// On the CRL.
    Revoked,
    /// Not issued by `CA_CRT`.
    UnknownCa,
    /// The application has as many requests as it may.
    UpstreamBusy,
    /// The application is down.
    UpstreamDown,
    /// The operator of Basic authentication may not be used with this certificate.
    WrongOperator,
    /// Made for something else.
    WrongUsage,
}

impl Cause {
    /// All of them, in the order of the contract's table.
    pub(crate) const ALL: [Self; 17] = [
        Self::NoCertificate,
        Self::Expired,
        Self::NotYetValid,
        Self::Revoked,
        Self::UnknownCa,
        Self::WrongUsage,
        Self::CrlUnusable,
        Self::BadSignature,
        Self::Malformed,
        Self::PlainHttp,
        Self::UpstreamDown,
        Self::CrossSite,
        Self::UpstreamBusy,
        Self::WrongOperator,
        Self::OutsideHours,
        Self::NotForwarded,
        Self::BrokenRequest,
    ];

    /// The word in logs, metrics and JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::BadSignature => "bad-signature",
            Self::BrokenRequest => "broken-request",
            Self::CrlUnusable => "crl-unusable",
            Self::CrossSite => "cross-site",
            Self::Expired => "expired",
            Self::Malformed => "malformed",
            Self::NoCertificate => "no-certificate",
            Self::NotForwarded => "not-forwarded",
            Self::NotYetValid => "not-yet-valid",
            Self::OutsideHours => "outside-hours",
            Self::PlainHttp => "plain-http",
            Self::Revoked => "revoked",
            Self::UnknownCa => "unknown-ca",
            Self::UpstreamBusy => "upstream-busy",
            Self::UpstreamDown => "upstream-down",
            Self::WrongOperator => "wrong-operator",
            Self::WrongUsage => "wrong-usage",
        }
    }

    /// Whether the client has no valid certificate: anybody on the network can cause these.
    pub(crate) fn is_of_stranger(self) -> bool {
        match self {
            Self::BadSignature
            | Self::BrokenRequest
            | Self::CrlUnusable
            | Self::Expired
            | Self::Malformed
            | Self::NoCertificate
            | Self::NotYetValid
            | Self::PlainHttp
            | Self::Revoked
            | Self::UnknownCa
            | Self::WrongUsage => true,
            Self::CrossSite
            | Self::NotForwarded
            | Self::OutsideHours
            | Self::UpstreamBusy
            | Self::UpstreamDown
            | Self::WrongOperator => false,
        }
    }

    /// The number people say on the telephone; causes that never have a page have none.
    pub(crate) fn number(self) -> Option<&'static str> {
        match self {
            Self::BadSignature | Self::BrokenRequest | Self::Malformed | Self::NotForwarded => None,
            Self::CrlUnusable => Some("E-107"),
            Self::CrossSite => Some("E-110"),
            Self::Expired => Some("E-102"),
            Self::NoCertificate => Some("E-101"),
            Self::NotYetValid => Some("E-103"),
            Self::OutsideHours => Some("E-113"),
            Self::PlainHttp => Some("E-108"),
            Self::Revoked => Some("E-104"),
            Self::UnknownCa => Some("E-105"),
            Self::UpstreamBusy => Some("E-111"),
            Self::UpstreamDown => Some("E-109"),
            Self::WrongOperator => Some("E-112"),
            Self::WrongUsage => Some("E-106"),
        }
    }
}

/// Why a client has no identity, with the facts a page can tell.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The first cause that holds.
    pub(crate) cause: Cause,
    /// What was shown, where it could be read.
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// The day the cause turns on: end or beginning of the validity, or the revocation.
    pub(crate) date: Option<Timestamp>,
}

impl Refusal {
    /// A refusal that has nothing to do with what was shown.
    pub(crate) fn without_certificate(cause: Cause) -> Self {
        Self {
            cause,
            certificate: None,
            date: None,
        }
    }

    /// A certificate that was judged and rejected.
    pub(crate) fn rejected(rejection: &Rejection, certificate: Arc<Certificate>) -> Self {
        let (cause, date) = match rejection {
            Rejection::CrlUnusable => (Cause::CrlUnusable, None),
            Rejection::Expired { not_after } => (Cause::Expired, Some(*not_after)),
            Rejection::NotYetValid { not_before } => (Cause::NotYetValid, Some(*not_before)),
            Rejection::Revoked { at } => (Cause::Revoked, Some(*at)),
            Rejection::UnknownCa => (Cause::UnknownCa, None),
            Rejection::WrongUsage => (Cause::WrongUsage, None),
        };
        Self {
            cause,
            certificate: Some(certificate),
            date,
        }
    }
}
