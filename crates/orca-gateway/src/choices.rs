//! Addresses whose next handshake is refused once, so that the browser forgets its certificate:
//! Chromium asks again only after a refusal.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the wish counts.
const WINDOW: Duration = Duration::from_secs(10);
/// Wishes kept at most; a clinic has some hundreds of machines.
const MOST: usize = 1024;

/// Who wants to choose again.
#[derive(Debug, Default)]
pub(crate) struct Choices(Mutex<HashMap<IpAddr, Instant>>);

impl Choices {
    /// The next handshake from `address` is to be refused.
    pub(crate) fn wish(&self, address: IpAddr, now: Instant) {
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if wishes.len() >= MOST {
            wishes.retain(|_, made| is_current(*made, now));
        }
        if wishes.len() < MOST {
            wishes.insert(address, now);
        }
    }

    /// Whether this handshake is to be refused; true once per wish.
    pub(crate) fn take(&self, address: IpAddr, now: Instant) -> bool {
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wishes
            .remove(&address)
            .is_some_and(|made| is_current(made, now))
    }
}

fn is_current(made: Instant, now: Instant) -> bool {
    now.saturating_duration_since(made) <= WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_counts_once_for_its_address_and_ten_seconds() {
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let start = Instant::now();
        let choices = Choices::default();
        choices.wish(one, start);
        assert!(!choices.take(other, start));
        assert!(choices.take(one, start + WINDOW));
        assert!(!choices.take(one, start + WINDOW));
        choices.wish(one, start);
        assert!(!choices.take(one, start + WINDOW + Duration::from_millis(1)));
    }

    #[test]
    fn wishes_do_not_pile_up() {
        let start = Instant::now();
        let choices = Choices::default();
        for number in 0..3000u32 {
            choices.wish(std::net::Ipv4Addr::from(number).into(), start);
        }
        assert_eq!(choices.0.lock().unwrap().len(), MOST);
        let later = start + WINDOW * 2;
        choices.wish("192.0.2.1".parse().unwrap(), later);
        assert_eq!(choices.0.lock().unwrap().len(), 1);
    }
}
