//! What is measured, how often, and what is aimed at.

use std::path::Path;
use std::time::Duration;

use crate::client::Groups;
use crate::client::Offer;
use crate::client::Protocol;
use crate::client::Version;
use crate::clinic::Keys;
use crate::load::Pattern;
use crate::load::Work;
use crate::servers::Processors;
use crate::servers::Server;

/// How much time is spent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Every case is measured so many times on every server.
    pub(crate) rounds: usize,
    /// One measurement.
    pub(crate) window: Duration,
    /// Held connections.
    pub(crate) held: usize,
    /// Revocations for each TLS version.
    pub(crate) revocations: usize,
    /// Entries of the CRLs.
    pub(crate) crl_entries: &'static [usize],
    /// Certificates in the registers.
    pub(crate) registers: &'static [usize],
    /// Runs of one program call.
    pub(crate) calls: usize,
    /// Every server is overloaded so many times.
    pub(crate) overloads: usize,
}

impl Effort {
    /// Minutes.
    pub(crate) const QUICK: Self = Self {
        rounds: 3,
        window: Duration::from_millis(400),
        held: 500,
        revocations: 10,
        crl_entries: &[0, 1_000_000],
        registers: &[1_000, 100_000],
        calls: 5,
        overloads: 1,
    };
    /// Most of an hour.
    pub(crate) const FULL: Self = Self {
        rounds: 9,
        window: Duration::from_secs(2),
        held: 4_000,
        revocations: 30,
        crl_entries: &[0, 1_000, 100_000, 1_000_000],
        registers: &[1_000, 100_000, 1_000_000],
        calls: 15,
        overloads: 3,
    };
}

impl Effort {
    /// Runs of one program call beside so many certificates; some take minutes at a million.
    pub(crate) fn calls(&self, certificates: usize) -> usize {
        match certificates {
            1_000_000.. => 3,
            _ => self.calls,
        }
    }
}

/// Where, on what and how long everything is measured.
pub(crate) struct Circumstances<'a> {
    /// A temporary folder.
    pub(crate) root: &'a Path,
    pub(crate) effort: Effort,
    pub(crate) processors: Processors,
    /// Ours, and its peers unless it is measured alone.
    pub(crate) servers: &'a [Server],
}

/// One row of the comparison of servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) keys: Keys,
    pub(crate) offer: Offer,
    pub(crate) pattern: Pattern,
    pub(crate) work: Work,
    /// How many times less processor time than the cheapest peer is aimed at; none where no peer can
    /// do it or nothing is promised.
    pub(crate) target: Option<f64>,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// All rows, in the order of the table.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = handshakes();
    cases.extend(requests());
    cases
}

fn handshakes() -> Vec<Case> {
    use Groups::Classic;
    use Groups::PostQuantum;
    use Keys::P256;
    use Keys::Rsa2048;
    use Version::Tls12;
    use Version::Tls13;
    let many = Pattern::Handshakes { clients: 16 };
    let one = Pattern::Handshakes { clients: 1 };
    [
        (
            "hs13-ec",
            "handshake TLS 1.3, P-256",
            P256,
            Tls13,
            Classic,
            many,
            Some(3.9),
        ),
        (
            "hs12-ec",
            "handshake TLS 1.2, P-256",
            P256,
            Tls12,
            Classic,
            many,
            Some(2.6),
        ),
        (
            "hs13-rsa",
            "handshake TLS 1.3, RSA-2048",
            Rsa2048,
            Tls13,
            Classic,
            many,
            Some(2.4),
        ),
        (
            "hs12-rsa",
            "handshake TLS 1.2, RSA-2048",
            Rsa2048,
            Tls12,
            Classic,
            many,
            None,
        ),
        (
            "hs13-ec-pq",
            "handshake TLS 1.3, P-256, X25519MLKEM768",
            P256,
            Tls13,
            PostQuantum,
            many,
            None,
        ),
        (
            "hs13-ec-single",
            "handshake TLS 1.3, P-256, one client",
            P256,
            Tls13,
            Classic,
            one,
            None,
        ),
    ]
    .map(|(id, title, keys, version, groups, pattern, target)| Case {
        id,
        title,
        keys,
        offer: Offer {
            version,
            groups,
            protocol: Protocol::Http1,
        },
        pattern,
        work: Work::Get(2),
        target,
    })
    .to_vec()
}

fn requests() -> Vec<Case> {
    use Protocol::Http1;
    use Protocol::Http2;
    use Work::Get;
    use Work::Post;
    let h1 = Pattern::Requests {
        connections: 16,
        streams: 1,
    };
    let h2 = |streams| Pattern::Requests {
        connections: 4,
        streams,
    };
    let single = Pattern::Requests {
        connections: 1,
        streams: 1,
    };
    [
        ("h1-1k", "HTTP/1.1, 1 KiB", Http1, h1, Get(KIB), Some(1.15)),
        (
            "h1-16k",
            "HTTP/1.1, 16 KiB",
            Http1,
            h1,
            Get(16 * KIB),
            Some(1.4),
        ),
        ("h1-1m", "HTTP/1.1, 1 MiB", Http1, h1, Get(MIB), Some(1.5)),
        ("h2-1k", "HTTP/2, 1 KiB", Http2, h2(8), Get(KIB), Some(1.05)),
        (
            "h2-16k",
            "HTTP/2, 16 KiB",
            Http2,
            h2(8),
            Get(16 * KIB),
            Some(1.3),
        ),
        ("h2-1m", "HTTP/2, 1 MiB", Http2, h2(4), Get(MIB), Some(1.5)),
        (
            "h1-post16k",
            "HTTP/1.1, upload of 16 KiB",
            Http1,
            h1,
            Post(16 * KIB),
            Some(1.65),
        ),
        (
            "h1-post1m",
            "HTTP/1.1, upload of 1 MiB",
            Http1,
            h1,
            Post(MIB),
            None,
        ),
        (
            "h2-post16k",
            "HTTP/2, upload of 16 KiB",
            Http2,
            h2(8),
            Post(16 * KIB),
            None,
        ),
        (
            "h1-1k-single",
            "HTTP/1.1, 1 KiB, one connection",
            Http1,
            single,
            Get(KIB),
            None,
        ),
    ]
    .map(|(id, title, protocol, pattern, work, target)| Case {
        id,
        title,
        keys: Keys::P256,
        offer: Offer {
            version: Version::Tls13,
            groups: Groups::Classic,
            protocol,
        },
        pattern,
        work,
        target,
    })
    .to_vec()
}
