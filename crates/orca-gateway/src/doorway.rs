//! How many places strangers may take: connections in handshake, or without a verdict that lets
//! them in. One machine alone must not keep the clinic out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orca_messages::{Finding, text};

/// The part of all places that one address may take without a verdict.
const SHARE: usize = 4;
/// How often a crowd is told.
const PAUSE: Duration = Duration::from_secs(60);

/// Strangers by address.
#[derive(Debug)]
pub(crate) struct Doorway {
    most: usize,
    crowd: Mutex<Crowd>,
}

#[derive(Debug, Default)]
struct Crowd {
    strangers: HashMap<IpAddr, usize>,
    told: Option<Instant>,
}

/// A place of a stranger; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    doorway: Arc<Doorway>,
    address: IpAddr,
}

/// Nobody else comes in from that address now.
#[derive(Debug)]
pub(crate) struct Crowded {
    /// For the log, unless it was told a moment ago.
    pub(crate) news: Option<Finding>,
}

impl Doorway {
    /// Of a listener with so many places.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            most: (places / SHARE).max(1),
            crowd: Mutex::default(),
        }
    }

    /// Takes a place until the verdict.
    ///
    /// # Errors
    /// The address has taken its share.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, now: Instant) -> Result<Place, Crowded> {
        let key = network(address);
        let mut crowd = self.lock();
        let taken = crowd.strangers.entry(key).or_default();
        if *taken < self.most {
            *taken += 1;
            return Ok(Place {
                doorway: Arc::clone(self),
                address: key,
            });
        }
        let is_news = crowd
            .told
            .is_none_or(|told| now.saturating_duration_since(told) >= PAUSE);
        if is_news {
            crowd.told = Some(now);
        }
        Err(Crowded {
            news: is_news.then(|| crowded(address)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut crowd = self.doorway.lock();
        if let Some(taken) = crowd.strangers.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                crowd.strangers.remove(&self.address);
            }
        }
    }
}

/// One machine has a whole /64 of IPv6 addresses (RFC 4291 §2.5.1).
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

fn crowded(address: IpAddr) -> Finding {
    Finding::warning(
        "too-many-connections",
        text!(
            "{address} から認証前の接続が多すぎるため、新しい接続を切断しています。",
            "{address} has too many connections that have not been authenticated; new ones are dropped",
        ),
        text!(
            "その端末で異常なプログラムが動いていないか確認してください。",
            "check what runs on that machine",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_takes_its_share_and_gives_it_back() {
        let doorway = Arc::new(Doorway::new(8));
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let now = Instant::now();
        let places: Vec<_> = (0..2).map(|_| doorway.enter(one, now).unwrap()).collect();
        assert!(doorway.enter(one, now).unwrap_err().news.is_some());
        assert!(doorway.enter(one, now).unwrap_err().news.is_none());
        assert!(doorway.enter(one, now + PAUSE).unwrap_err().news.is_some());
        assert!(doorway.enter(other, now).is_ok());
        drop(places);
        assert!(doorway.enter(one, now).is_ok());
        assert!(doorway.lock().strangers.is_empty());
    }

    #[test]
    fn all_addresses_of_a_machine_are_one() {
        let doorway = Arc::new(Doorway::new(4));
        let now = Instant::now();
        let _place = doorway.enter("2001:db8::1".parse().unwrap(), now).unwrap();
        assert!(
            doorway
                .enter("2001:db8::ffff:2".parse().unwrap(), now)
                .is_err()
        );
        assert!(
            doorway
                .enter("2001:db8:0:1::1".parse().unwrap(), now)
                .is_ok()
        );
    }
}
