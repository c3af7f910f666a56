//! How many and how long: the limits that a clinic may have to change. The others stand where they
//! hold; `docs/life-of-a-request.md` has them all.

use std::time::Duration;

/// Limits from the configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    /// Connections of one address; all clients may come from one address translation (NAT).
    pub(crate) connections_per_address: usize,
    /// Requests that wait for the application or are answered by it, of all workers together.
    pub(crate) upstream_connections: usize,
    /// From accept to the end of the handshake; somebody may be choosing a certificate meanwhile.
    pub(crate) handshake: Duration,
    /// How long a connection of HTTP/1.1 may wait for its next request, head included. HTTP/2 is
    /// asked for a sign of life after this. A WebSocket may be silent as long as it likes.
    pub(crate) idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_address: 2048,
            upstream_connections: 256,
            handshake: Duration::from_secs(60),
            idle: Duration::from_secs(120),
        }
    }
}
