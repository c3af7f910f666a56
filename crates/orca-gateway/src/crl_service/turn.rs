//! One large body an address: the place for them is one, and whoever sends many at a time must not
//! keep the authority's waiting for all of them.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::doorway::network;

/// Addresses that have a large body waiting or arriving.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashSet<IpAddr>>);

/// The turn of an address, until dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    address: IpAddr,
}

impl Turns {
    /// `None` while another body of the address has its turn.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Turn> {
        let address = network(address);
        self.lock().insert(address).then(|| Turn {
            turns: Arc::clone(self),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<IpAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().remove(&self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_turn_and_a_network_of_ipv6_is_one_address() {
        let turns = Arc::new(Turns::default());
        let take = |address: &str| turns.take(address.parse().unwrap());
        let (first, other) = (take("192.0.2.1"), take("192.0.2.2"));
        assert!(first.is_some() && other.is_some());
        assert!(take("192.0.2.1").is_none());
        drop(first);
        let again = take("192.0.2.1");
        assert!(again.is_some());
        let v6 = take("2001:db8::1");
        assert!(v6.is_some() && take("2001:db8::2").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
    }
}
