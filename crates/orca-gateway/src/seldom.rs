//! Waiting for what happens seldom beside something that happens all the time.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Waits for `future`, which is polled only when it asked for it, and not whenever its task is: a
/// connection polls for every request, and what ends it comes once.
pub(crate) async fn seldom<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let bell = Arc::new(Bell {
        rung: AtomicBool::new(true),
        task: Mutex::new(Waker::noop().clone()),
    });
    let waker = Waker::from(Arc::clone(&bell));
    poll_fn(|cx| {
        bell.belong_to(cx.waker());
        if !bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        future.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await
}

/// Remembers that it was rung, and wakes the task.
struct Bell {
    rung: AtomicBool,
    task: Mutex<Waker>,
}

impl Bell {
    fn belong_to(&self, task: &Waker) {
        self.task().clone_from(task);
    }

    fn task(&self) -> MutexGuard<'_, Waker> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let task = self.task().clone();
        task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use tokio::sync::Notify;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_is_awaited_is_polled_only_when_it_wakes() {
        let polls = Cell::new(0);
        let notify = Notify::new();
        let mut notified = pin!(notify.notified());
        let rare = seldom(poll_fn(|cx| {
            polls.set(polls.get() + 1);
            notified.as_mut().poll(cx)
        }));
        let busy = async {
            for _ in 0..10 {
                yield_now().await;
            }
            let before = polls.get();
            notify.notify_one();
            std::future::pending::<()>().await;
            before
        };
        let race = async {
            tokio::select! {
                biased;
                () = rare => {}
                _ = busy => {}
            }
        };
        timeout(Duration::from_secs(10), race).await.unwrap();
        assert_eq!(polls.get(), 2);
    }

    #[tokio::test]
    async fn it_wakes_whatever_task_it_has_moved_to() {
        let notify = Arc::new(Notify::new());
        let notified = Arc::clone(&notify);
        let mut rare = Box::pin(seldom(async move { notified.notified().await }));
        assert!(poll_fn(|cx| Poll::Ready(rare.as_mut().poll(cx).is_pending())).await);
        let moved = tokio::spawn(rare);
        yield_now().await;
        notify.notify_one();
        timeout(Duration::from_secs(10), moved)
            .await
            .unwrap()
            .unwrap();
    }
}
