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

    /// A clock that stands at the test's moment, 2023-09-07 12:56:10 in Japan.
    #[cfg(test)]
    pub(crate) fn stopped() -> Self {
        Self(|| Timestamp::constant(1_694_058_970, 0))
    }

    /// The present moment.
    pub(crate) fn now(self) -> Timestamp {
        (self.0)()
    }
}
