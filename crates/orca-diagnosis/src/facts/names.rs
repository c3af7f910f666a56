//! Addresses of names.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Instant;

use super::NAME;

/// The addresses of each name, all asked for at once; empty where none came in time. One that hangs
/// costs a thread until it returns, not the whole program.
pub fn resolve(names: &[String]) -> Vec<Vec<IpAddr>> {
    let end = Instant::now() + NAME;
    let (sender, receiver) = mpsc::channel();
    for (place, name) in names.iter().cloned().enumerate() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let found = (name.as_str(), 0).to_socket_addrs();
            let found = found.map(|found| found.map(|one| one.ip()).collect());
            sender.send((place, found.unwrap_or_default()))
        });
    }
    drop(sender);
    let mut addresses = vec![Vec::new(); names.len()];
    let left = || end.saturating_duration_since(Instant::now());
    while let Ok((place, found)) = receiver.recv_timeout(left()) {
        addresses[place] = found;
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_its_own_addresses() {
        // RFC 6761 §6.4: it never has one.
        let names = ["127.0.0.2", "nowhere.invalid", "::1"].map(str::to_owned);
        let loopback = |text: &str| vec![text.parse::<IpAddr>().unwrap()];
        assert_eq!(
            resolve(&names),
            [loopback("127.0.0.2"), Vec::new(), loopback("::1")]
        );
    }
}
