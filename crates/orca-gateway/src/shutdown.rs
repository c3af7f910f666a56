//! How the gateway ends: first what is under way, then tunnels, then everything.

use std::time::Duration;

/// Tunnels have no end of their own; they get this long.
pub(crate) const TUNNELS: Duration = Duration::from_secs(5);
/// Requests under way get this long in all.
pub(crate) const REQUESTS: Duration = Duration::from_secs(30);

/// Where in its life the gateway is; it only goes on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Phase {
    /// Everything is accepted.
    Serving,
    /// Nothing new is accepted, idle connections close.
    Draining,
    /// Tunnels are closed too.
    EndingTunnels,
    /// Everything is closed.
    Ended,
}
