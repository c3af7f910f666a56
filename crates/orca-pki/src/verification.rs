//! Whether a client certificate is acceptable, and if not, the first cause that holds.

use std::sync::Arc;

use jiff::Timestamp;

use crate::certificate::Certificate;
use crate::key::KeyId;
use crate::validity::Validity;

/// The verdict "valid": obtainable only from this module.
#[derive(Clone, Debug)]
pub struct Verified {
    certificate: Arc<Certificate>,
    issuer_key: KeyId,
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
    /// No path to a trusted authority.
    UnknownCa,
    /// Made for something else than authenticating a client.
    WrongUsage,
}
