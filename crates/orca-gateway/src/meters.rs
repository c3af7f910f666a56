//! What has been counted since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::identity::Cause;

/// Counters of the public listener, shared by all workers.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    /// Connections accepted.
    pub(crate) connections: Counter,
    /// Connections open now.
    pub(crate) open: Counter,
    /// Handshakes completed.
    pub(crate) handshakes: Counter,
    /// Requests with an answer from the application.
    pub(crate) served: Counter,
    /// Connections ended because their certificate counts no longer.
    pub(crate) ended: Counter,
    refused: [Counter; Cause::ALL.len()],
}

impl Meters {
    /// Refusals for a cause, by page or by alert.
    pub(crate) fn refused(&self, cause: Cause) -> &Counter {
        let place = Cause::ALL.iter().position(|other| *other == cause);
        // `ALL` holds every cause; a test of the identity module keeps it so.
        &self.refused[place.unwrap_or_default()]
    }
}

/// One number.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(crate) fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The number now.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
