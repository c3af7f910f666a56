//! When a connection is to end.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::time::sleep_until;

/// When the connection is to end after what is under way.
#[derive(Default)]
pub(crate) struct Leaving {
    at: Mutex<Option<Instant>>,
    earlier: Notify,
}

impl Leaving {
    /// It is to end then, or earlier.
    pub(crate) fn not_later_than(&self, moment: Instant) {
        let mut at = self.lock();
        *at = Some(at.map_or(moment, |at| at.min(moment)));
        self.earlier.notify_one();
    }

    /// Waits for that moment.
    pub(crate) async fn come(&self) {
        loop {
            let at = *self.lock();
            let due = async {
                match at {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => return,
                () = self.earlier.notified() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
