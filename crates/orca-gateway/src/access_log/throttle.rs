//! How many refusals of strangers the access log takes in full.
//!
//! Anybody on the network can be refused as often as he likes; the disk must not depend on it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::identity::Cause;

/// Refusals of one address, and of all, that are written at once.
const BURST: f64 = 200.0;
const BURST_OF_ALL: f64 = 1000.0;
/// How many more a second: about 100 MB a day at most.
const RATE: f64 = 0.5;
const RATE_OF_ALL: f64 = 2.0;
/// Addresses remembered; the others share one allowance.
const MOST: usize = 4096;
/// How often what was left out is summed up.
const PERIOD: Duration = Duration::from_secs(60);

/// Which refusals are written.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    all: Option<Allowance>,
    addresses: HashMap<IpAddr, Allowance>,
    left_out: Option<LeftOut>,
}

/// Refusals that stand in no line of their own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct LeftOut {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) causes: BTreeMap<&'static str, u64>,
    since: Instant,
}

impl Throttle {
    /// Whether a refusal is written; else it is counted.
    pub(super) fn admits(
        &self,
        address: IpAddr,
        cause: Cause,
        at: Timestamp,
        now: Instant,
    ) -> bool {
        let mut state = self.lock();
        if state.take(address, now) {
            return true;
        }
        let left_out = state.left_out.get_or_insert_with(|| LeftOut {
            from: at,
            to: at,
            causes: BTreeMap::new(),
            since: now,
        });
        left_out.to = at;
        *left_out.causes.entry(cause.as_str()).or_default() += 1;
        false
    }

    /// What was left out, when it is time to tell it.
    pub(super) fn due(&self, now: Instant) -> Option<LeftOut> {
        let mut state = self.lock();
        let since = state.left_out.as_ref()?.since;
        if now.saturating_duration_since(since) < PERIOD {
            return None;
        }
        state.left_out.take()
    }

    /// What was left out, due or not.
    pub(super) fn rest(&self) -> Option<LeftOut> {
        self.lock().left_out.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.addresses.len() >= MOST && !self.addresses.contains_key(&address) {
            // Whoever has its whole allowance again need not be remembered.
            self.addresses
                .retain(|_, allowance| !allowance.is_full(BURST, RATE, now));
        }
        let known = self.addresses.len();
        let own = match self.addresses.get_mut(&address) {
            Some(own) => own.has(BURST, RATE, now),
            None if known < MOST => {
                let fresh = Allowance::new(BURST, now);
                self.addresses.insert(address, fresh);
                true
            }
            None => true,
        };
        let all = self
            .all
            .get_or_insert_with(|| Allowance::new(BURST_OF_ALL, now));
        if !own || !all.has(BURST_OF_ALL, RATE_OF_ALL, now) {
            return false;
        }
        all.left -= 1.0;
        if let Some(own) = self.addresses.get_mut(&address) {
            own.left -= 1.0;
        }
        true
    }
}

/// A bucket that fills up with time.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn new(burst: f64, at: Instant) -> Self {
        Self { left: burst, at }
    }

    fn has(&mut self, burst: f64, rate: f64, now: Instant) -> bool {
        self.left = self.level(burst, rate, now);
        self.at = now;
        self.left >= 1.0
    }

    fn is_full(&self, burst: f64, rate: f64, now: Instant) -> bool {
        self.level(burst, rate, now) >= burst
    }

    fn level(&self, burst: f64, rate: f64, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + passed * rate).min(burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(throttle: &Throttle, address: &str, times: usize, now: Instant) -> usize {
        let address = address.parse().unwrap();
        let at = Timestamp::UNIX_EPOCH;
        (0..times)
            .filter(|_| throttle.admits(address, Cause::NoCertificate, at, now))
            .count()
    }

    #[test]
    fn a_stranger_that_hammers_is_summed_up_and_does_not_hide_others() {
        let throttle = Throttle::default();
        let now = Instant::now();
        assert_eq!(admitted(&throttle, "192.0.2.1", 5000, now), 200);
        assert_eq!(admitted(&throttle, "192.0.2.2", 1, now), 1);
        assert_eq!(throttle.due(now), None);
        let later = now + PERIOD;
        let left_out = throttle.due(later).unwrap();
        assert_eq!(left_out.causes, BTreeMap::from([("no-certificate", 4800)]));
        assert_eq!(throttle.due(later), None);
        assert_eq!(admitted(&throttle, "192.0.2.1", 5000, later), 30);
        assert_eq!(throttle.rest().unwrap().causes["no-certificate"], 4970);
    }

    #[test]
    fn many_addresses_share_a_limit_and_no_memory_without_end() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let admitted: usize = (0..20_000u32)
            .map(|number| {
                let address = std::net::Ipv4Addr::from_bits(number).to_string();
                admitted(&throttle, &address, 1, now)
            })
            .sum();
        assert_eq!(admitted, 1000);
        assert!(throttle.lock().addresses.len() <= MOST);
    }
}
