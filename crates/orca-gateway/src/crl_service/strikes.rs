//! Who sent what could not be taken, and how often: refills with time, by address and in all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::doorway::network;

/// Failures an address has at once, and the time after which it has one more.
const OF_ONE: Allowance = Allowance {
    burst: 10,
    refill: Duration::from_secs(2),
};
/// The same of all addresses together.
const OF_ALL: Allowance = Allowance {
    burst: 100,
    refill: Duration::from_millis(100),
};
/// Addresses remembered at most.
const MOST: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Allowance {
    burst: u32,
    refill: Duration,
}

/// Failures of late.
#[derive(Debug, Default)]
pub(super) struct Strikes(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    all: Option<Instant>,
    by_network: HashMap<IpAddr, Instant>,
}

impl Strikes {
    /// Notes a failure; tells for how long the address has had too many.
    pub(super) fn note(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = OF_ALL.spend(book.all, now);
        book.all = Some(all);
        if book.by_network.len() >= MOST {
            book.by_network.retain(|_, empty_at| *empty_at > now);
        }
        let key = network(address);
        if book.by_network.len() >= MOST && !book.by_network.contains_key(&key) {
            return OF_ALL.excess(all, now);
        }
        let own = OF_ONE.spend(book.by_network.get(&key).copied(), now);
        book.by_network.insert(key, own);
        OF_ONE.excess(own, now).or_else(|| OF_ALL.excess(all, now))
    }

    /// For how long an address may not send anything large. One that did not fail of late always may,
    /// whatever others do.
    pub(super) fn barred(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = book.by_network.get(&network(address)).copied();
        let own = own.filter(|empty_at| *empty_at > now)?;
        let all = book.all.and_then(|all| OF_ALL.excess(all, now));
        OF_ONE.excess(own, now).or(all)
    }
}

/// A bucket is kept as the moment at which it will have drained.
impl Allowance {
    fn spend(self, drained: Option<Instant>, now: Instant) -> Instant {
        let most = now + self.refill * self.burst * 2;
        (drained.unwrap_or(now).max(now) + self.refill).min(most)
    }

    fn excess(self, drained: Instant, now: Instant) -> Option<Duration> {
        let over = drained.saturating_duration_since(now + self.refill * self.burst);
        (!over.is_zero()).then_some(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_address_has_ten_failures_and_one_more_every_two_seconds() {
        let (strikes, now) = (Strikes::default(), Instant::now());
        for _ in 0..10 {
            assert_eq!(strikes.note(address(1), now), None);
        }
        assert!(strikes.note(address(1), now).is_some());
        assert!(strikes.barred(address(1), now).is_some());
        let later = now + OF_ONE.refill * 2;
        assert_eq!(strikes.note(address(1), later), None);
        assert_eq!(strikes.note(address(2), now), None);
    }

    #[test]
    fn a_flood_is_forgiven_in_time() {
        let (strikes, now) = (Strikes::default(), Instant::now());
        for _ in 0..10_000 {
            strikes.note(address(1), now);
        }
        let later = now + OF_ONE.refill * OF_ONE.burst;
        assert_eq!(strikes.barred(address(1), later), None);
    }

    #[test]
    fn many_addresses_together_bar_only_who_failed() {
        let (strikes, now) = (Strikes::default(), Instant::now());
        let barred = (0..150).filter(|last| strikes.note(address(*last), now).is_some());
        assert_eq!(barred.count(), 50);
        assert!(strikes.barred(address(1), now).is_some());
        assert_eq!(strikes.barred(address(200), now), None);
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let (strikes, now) = (Strikes::default(), Instant::now());
        for number in 0..10_000u32 {
            strikes.note(std::net::Ipv4Addr::from(number).into(), now);
        }
        assert_eq!(strikes.0.lock().unwrap().by_network.len(), MOST);
    }
}
