//! Places for bodies while they arrive, so that memory is bounded. Whoever is slow makes room when
//! somebody else waits: half a list that never ends must not keep the authority's out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// So many bodies of one size class at a time; first come, first served.
#[derive(Debug)]
pub(super) struct Lane {
    places: Arc<Semaphore>,
    /// How long a body may take while somebody else waits.
    grace: Duration,
    /// How long somebody waits for a place.
    patience: Duration,
    /// Bodies that are arriving, the oldest first.
    arriving: Mutex<VecDeque<Arc<Arriving>>>,
}

#[derive(Debug)]
struct Arriving {
    since: Instant,
    sent_away: CancellationToken,
}

/// A place in a lane, until dropped.
#[derive(Debug)]
pub(super) struct Seat {
    lane: Arc<Lane>,
    arriving: Arc<Arriving>,
    _permit: OwnedSemaphorePermit,
}

impl Lane {
    pub(super) fn new(places: usize, grace: Duration, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(places)),
            grace,
            patience,
            arriving: Mutex::default(),
        })
    }

    /// Waits for a place; `None` when there was none in time.
    pub(super) async fn enter(self: &Arc<Self>) -> Option<Seat> {
        let until = Instant::now() + self.patience;
        let mut turn = std::pin::pin!(Arc::clone(&self.places).acquire_owned());
        loop {
            let again = self.make_room().min(until);
            tokio::select! {
                biased;
                permit = &mut turn => return Some(self.seat(permit.ok()?)),
                () = sleep_until(again) => if Instant::now() >= until { return None },
            }
        }
    }

    fn seat(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Seat {
        let arriving = Arc::new(Arriving {
            since: Instant::now(),
            sent_away: CancellationToken::new(),
        });
        self.lock().push_back(Arc::clone(&arriving));
        Seat {
            lane: Arc::clone(self),
            arriving,
            _permit: permit,
        }
    }

    /// Sends the oldest away if its grace is over and no place is free; tells when to look again.
    fn make_room(&self) -> Instant {
        let now = Instant::now();
        let mut arriving = self.lock();
        if self.places.available_permits() > 0 {
            return now + self.grace;
        }
        if let Some(oldest) = arriving.front()
            && now >= oldest.since + self.grace
        {
            oldest.sent_away.cancel();
            arriving.pop_front();
            return now + self.grace;
        }
        arriving.front().map_or(now, |oldest| oldest.since) + self.grace
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Arriving>>> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Waits until the place is wanted by somebody else.
    pub(super) async fn sent_away(&self) {
        self.arriving.sent_away.cancelled().await;
    }

    /// The body is whole: the place is kept until dropped.
    pub(super) fn settle(&self) {
        let mut arriving = self.lane.lock();
        arriving.retain(|other| !Arc::ptr_eq(other, &self.arriving));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn who_is_slow_makes_room_after_a_grace() {
        let lane = Lane::new(1, GRACE, GRACE * 500);
        let slow = lane.enter().await.unwrap();
        let start = Instant::now();
        let (next, ()) = tokio::join!(lane.enter(), async {
            slow.sent_away().await;
            drop(slow);
        });
        assert!(next.is_some());
        assert!(start.elapsed() >= GRACE / 2);
    }

    #[tokio::test]
    async fn a_whole_body_is_not_sent_away() {
        let lane = Lane::new(1, GRACE, GRACE * 5);
        let seat = lane.enter().await.unwrap();
        seat.settle();
        assert!(lane.enter().await.is_none());
        drop(seat);
        assert!(lane.enter().await.is_some());
    }

    #[tokio::test]
    async fn nobody_is_sent_away_while_there_is_room() {
        let lane = Lane::new(2, Duration::ZERO, GRACE);
        let old = lane.enter().await.unwrap();
        let _new = lane.enter().await.unwrap();
        assert!(!old.arriving.sent_away.is_cancelled());
    }
}
