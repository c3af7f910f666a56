//! How many requests may be with the application at once. A client with one HTTP/2 connection can
//! ask for 128 things at a time; the application has a database behind it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Shared by all workers; first come, first served.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    patience: Duration,
}

/// The right to one exchange, until dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// How long a request waits for its turn.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

    /// So many at once; who waits longer than `patience` is turned away.
    pub(crate) fn new(most: usize, patience: Duration) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most)),
            patience,
        }
    }

    /// Waits for its turn; `None` when it did not come.
    pub(crate) async fn take(&self) -> Option<Slot> {
        let free = Arc::clone(&self.free);
        // Succeeds only where nobody waits.
        let permit = match Arc::clone(&free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => timeout(self.patience, free.acquire_owned())
                .await
                .ok()?
                .ok()?,
        };
        Some(Slot { _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_waits_for_its_turn_or_is_turned_away() {
        let slots = Slots::new(1, Duration::from_millis(20));
        let slot = slots.take().await.unwrap();
        assert!(slots.take().await.is_none());
        drop(slot);
        assert!(slots.take().await.is_some());
    }
}
