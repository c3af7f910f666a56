//! What happened since the start, in numbers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::identity::Cause;

/// Counted by all threads, shown by the status page.
#[derive(Debug)]
pub(crate) struct Counters {
    listening: AtomicBool,
    open: AtomicU64,
    connections: AtomicU64,
    requests: AtomicU64,
    refusals: [AtomicU64; Cause::ALL.len()],
    reload: Mutex<Option<Reload>>,
}

/// The last time files were read again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Reload {
    pub(crate) at: Timestamp,
    pub(crate) outcome: ReloadOutcome,
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReloadOutcome {
    /// The new files are in force.
    Taken,
    /// The new files cannot be used; the old ones stay in force.
    Kept,
}

impl ReloadOutcome {
    /// The word in the status.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Taken => "taken",
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            listening: AtomicBool::new(false),
            open: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            refusals: [const { AtomicU64::new(0) }; Cause::ALL.len()],
            reload: Mutex::new(None),
        }
    }
}

/// Counts an open connection until it is dropped.
pub(crate) struct OpenConnection<'a>(&'a Counters);

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    /// The public listener is bound, or no longer.
    pub(crate) fn set_listening(&self, listening: bool) {
        self.listening.store(listening, Ordering::Relaxed);
    }

    /// Whether the public listener is bound.
    pub(crate) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }

    /// A connection was accepted.
    pub(crate) fn connection(&self) -> OpenConnection<'_> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self)
    }

    /// A request was read.
    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A request or a handshake was not served.
    pub(crate) fn refused(&self, cause: Cause) {
        if let Some((_, count)) = self.by_cause().find(|(of, _)| *of == cause) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Files were read again.
    pub(crate) fn reloaded(&self, reload: Reload) {
        *self.reload.lock().unwrap_or_else(PoisonError::into_inner) = Some(reload);
    }

    /// The last reload.
    pub(crate) fn last_reload(&self) -> Option<Reload> {
        *self.reload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections open now, and all since the start.
    pub(crate) fn connections(&self) -> (u64, u64) {
        (
            self.open.load(Ordering::Relaxed),
            self.connections.load(Ordering::Relaxed),
        )
    }

    /// Requests since the start.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How often each cause held.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (Cause, u64)> {
        self.by_cause()
            .map(|(cause, count)| (cause, count.load(Ordering::Relaxed)))
    }

    fn by_cause(&self) -> impl Iterator<Item = (Cause, &AtomicU64)> {
        Cause::ALL.into_iter().zip(&self.refusals)
    }
}
