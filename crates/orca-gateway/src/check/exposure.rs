//! Ways past the gateway: the application at another address of this machine, and other servers of it
//! that ask for no certificate.

use std::net::{IpAddr, SocketAddr};

use orca_messages::{Finding, text};

use crate::attach::{self, Record};
use crate::config::{Config, Upstream};

/// What WebORCA brings along, with the port it usually has.
const NEIGHBOURS: [(u16, &str, &str); 3] = [
    (9400, "PUSH通知", "push notices"),
    (8210, "CLAIM", "CLAIM"),
    (5432, "PostgreSQL", "PostgreSQL"),
];

/// Looks at who listens on this machine.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let listeners = listeners();
    let application = application(&config.upstream, &listeners);
    let neighbours = NEIGHBOURS.iter().filter_map(|(port, ja, en)| {
        let open = outward(&listeners, *port)?;
        Some(neighbour(open, ja, en))
    });
    application.into_iter().chain(neighbours).collect()
}

/// Nothing is said of an application on another machine: from here nobody can tell.
fn application(upstream: &Upstream, listeners: &[SocketAddr]) -> Option<Finding> {
    let host = upstream.authority.host();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let here = host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let port = upstream.authority.port_u16()?;
    let open = outward(listeners, port).filter(|_| here)?;
    let record = Record::read().ok().flatten();
    let recorded =
        record.is_some_and(|record| record.emergency.is_none() && record.door.weborca() == port);
    // Only root may look at the firewall; others believe the record.
    Some(match attach::is_shut() {
        Ok(shut) if shut == recorded && shut => door_shut(open),
        Err(_) if recorded => door_shut(open),
        _ => exposed(open),
    })
}

fn door_shut(open: SocketAddr) -> Finding {
    Finding::ok(
        "upstream-shut",
        text!(
            "日レセ(アプリケーション)は{open}で待ち受けていますが、外からの接続は遮断されています(attach)。",
            "the application listens at {open}; what comes from outside is kept from it (attach)"
        ),
    )
}

fn exposed(open: SocketAddr) -> Finding {
    let port = open.port();
    Finding::failure(
        "upstream-exposed",
        text!(
            "日レセ(アプリケーション)が{open}で待ち受けています。証明書がなくても、だれでも http://サーバ名:{port} で接続できます。",
            "the application listens at {open}: everybody reaches it at http://SERVER:{port}, without a certificate"
        ),
        text!(
            "sudo orca-gateway attach を実行するか、ファイアウォールでポート{port}を遮断してください。",
            "run sudo orca-gateway attach, or keep others from port {port} with a firewall"
        ),
    )
}

fn neighbour(open: SocketAddr, ja: &str, en: &str) -> Finding {
    let port = open.port();
    Finding::warning(
        "open-door",
        text!(
            "{ja}(ポート{port})が{open}で待ち受けています。orca-gatewayはこの接続を保護しません。",
            "{en} (port {port}) listens at {open}; the gateway does not protect it"
        ),
        text!(
            "必要のない端末からの接続をファイアウォールで遮断してください。",
            "keep whoever does not need it out with a firewall"
        ),
    )
}

/// A listener of this port that others than this machine reach.
fn outward(listeners: &[SocketAddr], port: u16) -> Option<SocketAddr> {
    let reached = |at: &&SocketAddr| at.port() == port && !at.ip().to_canonical().is_loopback();
    listeners.iter().find(reached).copied()
}

/// Every TCP listener (proc(5)); none where the tables cannot be read.
fn listeners() -> Vec<SocketAddr> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().filter_map(listener).collect::<Vec<_>>())
        .collect()
}

/// The address of a row in state LISTEN (`0A`).
fn listener(row: &str) -> Option<SocketAddr> {
    let fields: Vec<&str> = row.split_whitespace().collect();
    let listens = *fields.get(3)? == "0A";
    listens.then(|| socket_address(fields[1]))?
}

/// `0100007F:1F90` is 127.0.0.1:8080: 32 bits each in the byte order of the machine.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = (0..address.len() / 8)
        .map(|word| u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok())
        .collect::<Option<Vec<_>>>()?;
    let octets: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
    let address = match octets.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
    };
    Some((address, port).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_reach_is_outward() {
        let listeners: Vec<SocketAddr> = [
            "127.0.0.1:1",
            "[::1]:2",
            "[::ffff:127.0.0.1]:3",
            "[::]:4",
            "192.168.1.1:5",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        for (port, open) in [
            (1, false),
            (2, false),
            (3, false),
            (4, true),
            (5, true),
            (6, false),
        ] {
            assert_eq!(outward(&listeners, port).is_some(), open, "{port}");
        }
    }

    #[test]
    fn the_kernels_table_is_read() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert!(listeners().contains(&address));
    }
}
