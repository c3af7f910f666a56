//! To all gateways at once: one that is down keeps no other waiting.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::address::GatewayAddress;
use super::failure::PushFailure;
use super::push::{self, Parcel};

/// How much time a delivery may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effort {
    /// One attempt of two seconds, where the command has something else to do.
    Brief,
    /// Several attempts within twenty seconds: somebody wants a revocation to be in force.
    Full,
}

/// The moment at which an effort ends, whatever is still missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    effort: Effort,
    end: Instant,
}

impl Deadline {
    pub(super) fn is_over(self) -> bool {
        self.left().is_zero()
    }

    fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

impl Effort {
    pub(super) fn begin(self) -> Deadline {
        let end = Instant::now() + self.whole();
        Deadline { effort: self, end }
    }

    fn whole(self) -> Duration {
        match self {
            Self::Brief => Duration::from_secs(2),
            Self::Full => Duration::from_secs(20),
        }
    }

    /// Pauses before each further attempt.
    fn pauses(self) -> &'static [Duration] {
        const PAUSES: [Duration; 3] = [
            Duration::from_millis(200),
            Duration::from_millis(600),
            Duration::from_millis(1800),
        ];
        match self {
            Self::Brief => &[],
            Self::Full => &PAUSES,
        }
    }
}

/// What came of each delivery, in the order of the gateways.
pub(super) fn deliver(
    gateways: &[GatewayAddress],
    parcel: Parcel,
    deadline: Deadline,
) -> Vec<Result<(), PushFailure>> {
    let parcel = Arc::new(parcel);
    let (sender, receiver) = mpsc::channel();
    for (index, gateway) in gateways.iter().enumerate() {
        let (gateway, parcel, sender) = (gateway.clone(), Arc::clone(&parcel), sender.clone());
        // Not joined: looking a name up knows no limit, and the process ends soon anyway.
        thread::spawn(move || {
            let result = persist(deadline, || push::deliver(&gateway, &parcel, deadline.end));
            sender.send((index, result)).ok();
        });
    }
    drop(sender);
    let mut results = vec![Err(PushFailure::TimedOut); gateways.len()];
    while let Ok((index, result)) = receiver.recv_timeout(deadline.left() + GRACE) {
        results[index] = result;
    }
    results
}

/// What a thread needs to tell that its time is up.
const GRACE: Duration = Duration::from_millis(100);

/// Tries until it is done, hopeless or too late.
fn persist(
    deadline: Deadline,
    mut attempt: impl FnMut() -> Result<(), push::Setback>,
) -> Result<(), PushFailure> {
    let mut pauses = deadline.effort.pauses().iter();
    loop {
        let setback = match attempt() {
            Ok(()) => return Ok(()),
            Err(setback) => setback,
        };
        let pause = match pauses.next() {
            Some(pause) if setback.failure.is_transient() => {
                setback.wait.map_or(*pause, |wait| wait.max(*pause))
            }
            _ => return Err(setback.failure),
        };
        if deadline.left() <= pause {
            return Err(setback.failure);
        }
        // Between two attempts, within the deadline: the gateway is to recover, or has asked for it.
        thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(effort: Effort, limit: Duration, failure: &PushFailure, wait: u64) -> usize {
        let mut count = 0;
        let end = Instant::now() + limit;
        let result = persist(Deadline { effort, end }, || {
            count += 1;
            Err(push::Setback {
                failure: failure.clone(),
                wait: Some(Duration::from_secs(wait)),
            })
        });
        assert_eq!(result, Err(failure.clone()));
        count
    }

    #[test]
    fn only_what_may_pass_is_tried_again_and_only_while_there_is_time() {
        let minute = Duration::from_secs(60);
        assert_eq!(attempts(Effort::Full, minute, &PushFailure::Refused, 0), 4);
        assert_eq!(attempts(Effort::Full, minute, &PushFailure::NotTaken, 0), 1);
        assert_eq!(attempts(Effort::Brief, minute, &PushFailure::Refused, 0), 1);
        assert_eq!(attempts(Effort::Full, minute, &PushFailure::Busy, 3600), 1);
        let short = Duration::from_millis(100);
        assert_eq!(attempts(Effort::Full, short, &PushFailure::TimedOut, 0), 1);
    }
}
