//! The time of day, as a value that is handed on.

use jiff::Timestamp;

/// Where the present moment comes from. Everything that judges takes a [`Timestamp`]; only the
/// edges (a request, a handshake, a log line) hold a `Clock`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(fn() -> Timestamp);

impl Clock {
    /// The clock of the machine.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    pub(crate) fn system() -> Self {
        Self(Timestamp::now)
    }

    /// The present moment.
    pub(crate) fn now(self) -> Timestamp {
        (self.0)()
    }
}
