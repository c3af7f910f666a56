//! What has been counted since the start.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::admission::{Despite, Ground};
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
    admitted: [[Counter; Cause::ALL.len()]; Ground::ALL.len()],
    listening: AtomicBool,
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
    /// The new files cannot be used; the old ones stay in force.
    Kept,
    /// The new files are in force.
    Taken,
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

impl Meters {
    /// Refusals for a cause, by page or by alert.
    pub(crate) fn refused(&self, cause: Cause) -> &Counter {
        let place = Cause::ALL.iter().position(|other| *other == cause);
        // `ALL` holds every cause; a test of the identity module keeps it so.
        &self.refused[place.unwrap_or_default()]
    }

    /// Refusals of every cause.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (Cause, u64)> {
        let counts = self.refused.iter().map(Counter::get);
        Cause::ALL.into_iter().zip(counts)
    }

    /// Requests served without a verdict, or against a rule.
    pub(crate) fn admitted(&self, despite: Despite) -> &Counter {
        let place = Cause::ALL.iter().position(|cause| *cause == despite.cause);
        &self.admitted[despite.ground as usize][place.unwrap_or_default()]
    }

    /// The same for every ground and cause.
    pub(crate) fn admissions(&self) -> impl Iterator<Item = (Despite, u64)> {
        let all = Ground::ALL.into_iter().flat_map(|ground| {
            let despite = move |cause| Despite { ground, cause };
            Cause::ALL.into_iter().map(despite)
        });
        all.map(|despite| (despite, self.admitted(despite).get()))
    }

    /// The public listener is bound, or no longer.
    pub(crate) fn set_listening(&self, listening: bool) {
        self.listening.store(listening, Ordering::Relaxed);
    }

    /// Whether the public listener is bound.
    pub(crate) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }

    /// Files were read again.
    pub(crate) fn reloaded(&self, reload: Reload) {
        *self.reload.lock().unwrap_or_else(PoisonError::into_inner) = Some(reload);
    }

    /// The last reload.
    pub(crate) fn last_reload(&self) -> Option<Reload> {
        *self.reload.lock().unwrap_or_else(PoisonError::into_inner)
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
