//! What is asked of a client beyond a valid certificate: its operators and its hours.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::{Finding, text};
use orca_pki::verification::Authorities;

use crate::identity::{Cause, ClientIdentity, Refusal};
use crate::operators::Operators;
use crate::windows::{Opening, Windows};

/// Both files as one immutable value.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) operators: Operators,
    pub(crate) windows: Windows,
}

impl Rules {
    /// Nothing is asked.
    pub(crate) fn none(zone: TimeZone) -> Self {
        Self {
            operators: Operators::default(),
            windows: Windows::none(zone),
        }
    }

    /// A subject is believed from whichever authority: worth a word where there are several.
    pub(crate) fn warning(&self, authorities: &Authorities) -> Option<Finding> {
        let names_subjects = self.operators.certificates().names_subjects()
            || self.windows.certificates().names_subjects();
        let several = authorities.iter().nth(1).is_some();
        (names_subjects && several).then(|| {
            Finding::warning(
                "subject-of-any-authority",
                text!(
                    "GATEWAY_OPERATORSかGATEWAY_WINDOWSに証明書の名前(/C=…)での指定がありますが、CA_CRTには複数の認証局があります。同じ名前の証明書は、どの認証局が発行したものでも一致します。",
                    "GATEWAY_OPERATORS or GATEWAY_WINDOWS name certificates by subject, and CA_CRT holds several authorities: a subject counts whichever of them issued it"
                ),
                text!(
                    "自院だけのものでない認証局がある場合は、sha256:… で指定してください。",
                    "where one of them is not yours alone, name certificates by sha256:…"
                ),
            )
        })
    }

    /// Lets a client in at a moment.
    ///
    /// # Errors
    /// Its certificate may not be used now.
    pub(crate) fn admit(&self, identity: &ClientIdentity, now: Timestamp) -> Result<(), Refusal> {
        match self.windows.opening(identity, now) {
            Opening::Always | Opening::Until(_) => Ok(()),
            Opening::Closed(next) => Err(Refusal {
                cause: Cause::OutsideHours,
                certificate: Some(identity.certificate().clone()),
                date: next,
            }),
        }
    }

    /// The last moment at which a verdict given now can hold.
    pub(crate) fn valid_until(&self, identity: &ClientIdentity, now: Timestamp) -> Timestamp {
        match self.windows.opening(identity, now) {
            // The end of a window is outside of it.
            Opening::Until(end) => identity.not_after().min(orca_pki::validity::shift(end, -1)),
            Opening::Always | Opening::Closed(_) => identity.not_after(),
        }
    }
}
