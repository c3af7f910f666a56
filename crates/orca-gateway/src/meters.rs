//! What has been counted since the start.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::admission::{Despite, Ground};
use crate::cuts::Cuts;
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
    pushes: [Counter; Push::ALL.len()],
    fetch: Mutex<Option<Fetch>>,
    listening: AtomicBool,
    list_file_gone: AtomicBool,
    cuts: Cuts,
    reload: Mutex<Option<Reload>>,
}

/// What became of a revocation list that somebody sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Push {
    Refused,
    Taken,
    Unchanged,
}

impl Push {
    pub(crate) const ALL: [Self; 3] = [Self::Refused, Self::Taken, Self::Unchanged];

    /// The word in status and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Taken => "taken",
            Self::Unchanged => "unchanged",
        }
    }
}

/// The last time the address in `CA_CRL` was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fetch {
    pub(crate) at: Timestamp,
    /// `taken`, `unchanged`, or why it failed.
    pub(crate) result: &'static str,
    /// The last time it did not fail.
    pub(crate) good: Option<Timestamp>,
}

impl Fetch {
    /// Whether the last one failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.good != Some(self.at)
    }
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
    /// They are what was in force before.
    Unchanged,
}

impl ReloadOutcome {
    /// The word in the status.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Taken => "taken",
            Self::Unchanged => "unchanged",
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

    /// The file that the revocation list came from is gone, or is there.
    pub(crate) fn set_list_file_gone(&self, gone: bool) {
        self.list_file_gone.store(gone, Ordering::Relaxed);
    }

    /// Whether the file that the revocation list came from is gone.
    pub(crate) fn is_list_file_gone(&self) -> bool {
        self.list_file_gone.load(Ordering::Relaxed)
    }

    /// Connections that were ended and are not told of yet.
    pub(crate) fn cuts(&self) -> &Cuts {
        &self.cuts
    }

    /// Files were read again.
    pub(crate) fn reloaded(&self, reload: Reload) {
        *self.reload.lock().unwrap_or_else(PoisonError::into_inner) = Some(reload);
    }

    /// A revocation list was sent.
    pub(crate) fn pushed(&self, push: Push) {
        // In the order of `ALL`, which is that of the variants.
        self.pushes[push as usize].increment();
    }

    /// Revocation lists that were sent, by what became of them.
    pub(crate) fn pushes(&self) -> impl Iterator<Item = (Push, u64)> {
        let counts = self.pushes.iter().map(Counter::get);
        Push::ALL.into_iter().zip(counts)
    }

    /// The address in `CA_CRL` was asked: `Ok` has the word for what came of it.
    pub(crate) fn fetched(&self, at: Timestamp, outcome: Result<&'static str, &'static str>) {
        let mut fetch = self.fetch.lock().unwrap_or_else(PoisonError::into_inner);
        let before = fetch.and_then(|fetch| fetch.good);
        *fetch = Some(match outcome {
            Ok(result) => Fetch {
                at,
                result,
                good: Some(at),
            },
            Err(result) => Fetch {
                at,
                result,
                good: before,
            },
        });
    }

    /// The last fetch.
    pub(crate) fn last_fetch(&self) -> Option<Fetch> {
        *self.fetch.lock().unwrap_or_else(PoisonError::into_inner)
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
