//! How many connections one address may have, and how many of them before a verdict lets it in. One
//! machine alone must not keep the clinic out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orca_messages::{Finding, Text, text};

/// The part of all places that one address may take without a verdict.
const SHARE: usize = 4;
/// How often a crowd is told.
const PAUSE: Duration = Duration::from_secs(60);

/// Connections by address.
#[derive(Debug)]
pub(crate) struct Doorway {
    most_strangers: usize,
    most: usize,
    crowd: Mutex<Crowd>,
}

#[derive(Debug, Default)]
struct Crowd {
    taken: HashMap<IpAddr, Taken>,
    told: Option<Instant>,
}

/// What one address has taken.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Of these: in handshake, or without a verdict that lets them in.
    strangers: usize,
}

/// The place of a connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    doorway: Arc<Doorway>,
    address: IpAddr,
    is_stranger: bool,
}

/// Nobody else comes in from that address now.
#[derive(Debug)]
pub(crate) struct Crowded {
    /// For the log, unless it was told a moment ago.
    pub(crate) news: Option<Finding>,
}

impl Doorway {
    /// Of a listener with so many places, where one address gets `per_address` of them.
    pub(crate) fn new(places: usize, per_address: usize) -> Self {
        Self {
            most_strangers: (places / SHARE).max(1),
            most: per_address,
            crowd: Mutex::default(),
        }
    }

    /// Takes a place, as a stranger until the verdict.
    ///
    /// # Errors
    /// The address has taken its share.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, now: Instant) -> Result<Place, Crowded> {
        let key = network(address);
        let mut crowd = self.lock();
        let taken = crowd.taken.entry(key).or_default();
        let what = if taken.all >= self.most {
            all(address, self.most)
        } else if taken.strangers >= self.most_strangers {
            unauthenticated(address)
        } else {
            taken.all += 1;
            taken.strangers += 1;
            return Ok(Place {
                doorway: Arc::clone(self),
                address: key,
                is_stranger: true,
            });
        };
        let is_news = crowd
            .told
            .is_none_or(|told| now.saturating_duration_since(told) >= PAUSE);
        if is_news {
            crowd.told = Some(now);
        }
        Err(Crowded {
            news: is_news.then(|| crowded(what)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The verdict has let it in.
    pub(crate) fn let_in(&mut self) {
        if std::mem::take(&mut self.is_stranger)
            && let Some(taken) = self.doorway.lock().taken.get_mut(&self.address)
        {
            taken.strangers -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.let_in();
        let mut crowd = self.doorway.lock();
        if let Some(taken) = crowd.taken.get_mut(&self.address) {
            taken.all -= 1;
            if taken.all == 0 {
                crowd.taken.remove(&self.address);
            }
        }
    }
}

/// One machine has a whole /64 of IPv6 addresses (RFC 4291 §2.5.1).
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

fn crowded((message, remedy): (Text, Text)) -> Finding {
    Finding::warning("too-many-connections", message, remedy)
}

fn unauthenticated(address: IpAddr) -> (Text, Text) {
    (
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

fn all(address: IpAddr, most: usize) -> (Text, Text) {
    (
        text!(
            "{address} からの接続が上限の{most}に達したため、新しい接続を切断しています。",
            "{address} has {most} connections, the most one address may have; new ones are dropped",
        ),
        text!(
            "多くの端末が同じアドレスから接続する場合(NATなど)は、GATEWAY_MAX_CONNECTIONS_PER_ADDRESSを大きくしてください。",
            "where many machines share that address (NAT), raise GATEWAY_MAX_CONNECTIONS_PER_ADDRESS",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 1000;

    #[test]
    fn strangers_of_an_address_take_its_share_and_give_it_back() {
        let doorway = Arc::new(Doorway::new(8, MANY));
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let now = Instant::now();
        let places: Vec<_> = (0..2).map(|_| doorway.enter(one, now).unwrap()).collect();
        assert!(doorway.enter(one, now).unwrap_err().news.is_some());
        assert!(doorway.enter(one, now).unwrap_err().news.is_none());
        assert!(doorway.enter(one, now + PAUSE).unwrap_err().news.is_some());
        assert!(doorway.enter(other, now).is_ok());
        drop(places);
        assert!(doorway.enter(one, now).is_ok());
        assert!(doorway.lock().taken.is_empty());
    }

    #[test]
    fn who_was_let_in_counts_for_the_larger_limit() {
        let doorway = Arc::new(Doorway::new(4, 3));
        let (address, now) = ("192.0.2.1".parse().unwrap(), Instant::now());
        let mut places = Vec::new();
        for _ in 0..3 {
            let mut place = doorway.enter(address, now).unwrap();
            assert!(doorway.enter(address, now).is_err());
            place.let_in();
            place.let_in();
            places.push(place);
        }
        let crowded = doorway.enter(address, now + PAUSE).unwrap_err();
        let news = crowded.news.unwrap().message;
        assert!(
            news.get(orca_messages::Lang::En)
                .contains("has 3 connections")
        );
        places.pop();
        assert!(doorway.enter(address, now).is_ok());
        drop(places);
        assert!(doorway.lock().taken.is_empty());
    }

    #[test]
    fn all_addresses_of_a_machine_are_one() {
        let doorway = Arc::new(Doorway::new(4, MANY));
        let enter = |address: &str| doorway.enter(address.parse().unwrap(), Instant::now());
        let _place = enter("2001:db8::1").unwrap();
        assert!(enter("2001:db8::ffff:2").is_err());
        assert!(enter("2001:db8:0:1::1").is_ok());
    }
}
