//! What is asked of a client beyond a valid certificate: its operators and its hours.

use jiff::Timestamp;
use jiff::tz::TimeZone;

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
