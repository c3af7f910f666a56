//! What a server does when somebody comes: from the name to the answer. Each step has seconds;
//! nothing here judges, and nothing is sent but one question.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use orca_pki::certificate::Certificate;
use orca_pki::crl;
use orca_pki::name::HostName;
use orca_wire::{NoHead, Timed};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConnection, ProtocolVersion, StreamOwned};

use crate::identity::{Identity, Pair};
use crate::target::Target;
use witness::{Shows, Witness};

pub mod date;
mod names;
mod witness;

pub use names::resolve;

/// Longest wait for a name.
const NAME: Duration = Duration::from_secs(4);
/// Longest time for a connection and what is asked on it.
const TALK: Duration = Duration::from_secs(6);
/// Longest time for the revocation list.
const LIST: Duration = Duration::from_secs(10);
/// Octets of an answer that are read.
const ANSWER: u64 = 64 * 1024;
/// Octets of a revocation list that are read.
const LIST_OCTETS: u64 = 64 * 1024 * 1024;
/// Octets that are kept of what a server says first.
const FIRST: usize = 64;
/// Where a gateway shows its revocation lists.
const LIST_PATH: &str = "/.well-known/orca-mtls/crl";
/// The protocol by which a gateway in `strict` knows that no certificate will come.
const LIST_PROTOCOL: &[u8] = b"orca-mtls-crl";
const HTTP: &[u8] = b"http/1.1";

/// How far one got.
#[derive(Clone, Debug)]
pub enum Contact {
    /// The name has no address.
    NoName,
    /// Nothing listens on the port.
    Refused,
    /// Nobody answered in time.
    NoAnswer,
    /// The network, or a firewall, says that this machine cannot be reached.
    HostUnreachable,
    /// The network knows no way, for this reason.
    Unreachable(String),
    /// It was taken, and nothing more came.
    Silent,
    /// It was closed without a word.
    Closed,
    /// It speaks http without TLS.
    PlainHttp,
    /// It speaks something else, which begins like this.
    Other(String),
    /// It knows no TLS 1.2.
    OldTls,
    /// Its certificate cannot be used to verify anything, for this reason.
    OddCertificate(String),
    /// TLS failed for another reason.
    BrokenTls(String),
    /// It speaks TLS.
    Tls(Box<Seen>),
}

/// A server with TLS.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its certificate and what it sent along; what cannot be read is missing.
    pub chain: Vec<Certificate>,
    /// What was agreed on; none where an alert came before.
    pub version: Option<&'static str>,
    /// Whether it asked for a client certificate.
    pub asked: Asked,
    /// What it answered.
    pub answer: Answer,
    /// Its revocation lists.
    pub lists: Lists,
}

/// Whether a server wants a client certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// It did not ask.
    No,
    /// It asked.
    Yes,
}

/// What came of the one question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A TLS alert.
    Alert(AlertDescription),
    /// The connection ended without a word.
    Closed,
    /// No HTTP.
    NotHttp,
    /// Nothing came in time.
    Silent,
    /// HTTP.
    Http(Reply),
}

/// An HTTP answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// `E-101`, where a gateway of ours refused.
    pub number: Option<String>,
    /// Its cause, such as `no-certificate`.
    pub cause: Option<String>,
    /// How many seconds the server's clock is ahead of ours.
    pub ahead: Option<i64>,
}

/// What a gateway shows of its revocation lists.
#[derive(Clone, Debug)]
pub enum Lists {
    /// These, DER, as they came.
    Found(Vec<Vec<u8>>),
    /// A gateway that has none, or no gateway of ours.
    Nowhere,
    /// It could not be asked.
    Unknown,
}

/// Comes to a server as a client does, with an identity or without, and tells what happened.
/// `now` is our clock.
pub fn look(target: &Target, identity: Option<&Identity>, now: Timestamp) -> Contact {
    let Some(addresses) = addresses(target) else {
        return Contact::NoName;
    };
    let start = Instant::now();
    let visit = Visit {
        target,
        addresses: &addresses,
    };
    let identity = identity.filter(|identity| identity.pair == Pair::Fits);
    let (contact, witness) = visit.talk(identity, start, now);
    match contact {
        Ok(mut seen) => {
            if !matches!(seen.answer, Answer::Silent) {
                seen.lists = visit.lists();
            }
            Contact::Tls(Box::new(seen))
        }
        Err(trouble) => visit.classify(trouble, &witness),
    }
}

fn addresses(target: &Target) -> Option<Vec<SocketAddr>> {
    let name = match &target.host {
        HostName::Ip(address) => return Some(vec![(*address, target.port).into()]),
        HostName::Dns(name) => name.clone(),
    };
    let found = resolve(&[name]).pop().unwrap_or_default();
    let found: Vec<SocketAddr> = found
        .into_iter()
        .map(|ip| (ip, target.port).into())
        .collect();
    (!found.is_empty()).then_some(found)
}

/// Where a conversation ended before an answer.
struct Trouble {
    error: io::Error,
    /// What the server had said by then.
    first: Vec<u8>,
    place: Place,
}

enum Place {
    Connecting,
    Handshake,
}

struct Visit<'a> {
    target: &'a Target,
    addresses: &'a [SocketAddr],
}

type Stream = StreamOwned<ClientConnection, Recorder>;

impl Visit<'_> {
    fn talk(
        &self,
        identity: Option<&Identity>,
        start: Instant,
        now: Timestamp,
    ) -> (Result<Seen, Trouble>, Arc<Witness>) {
        let witness = Arc::new(Witness::default());
        let shows = Arc::new(Shows::new(identity.map(|identity| &identity.shown)));
        let result = self.handshake(&witness, &shows, &[HTTP], start + TALK);
        let result = result.map(|mut stream| Seen {
            chain: witness.chain(),
            version: stream.conn.protocol_version().map(version),
            answer: self.ask(&mut stream, start, now),
            asked: shows.asked(),
            lists: Lists::Unknown,
        });
        // In TLS 1.2 a refusal comes before the end of the handshake, and the certificate before it.
        let result = result.or_else(|trouble| match alert(&trouble.error) {
            Some(alert) if !witness.chain().is_empty() => Ok(Seen {
                chain: witness.chain(),
                version: None,
                answer: Answer::Alert(alert),
                asked: shows.asked(),
                lists: Lists::Unknown,
            }),
            _ => Err(trouble),
        });
        (result, witness)
    }

    fn handshake(
        &self,
        witness: &Arc<Witness>,
        shows: &Arc<Shows>,
        protocols: &[&[u8]],
        end: Instant,
    ) -> Result<Stream, Trouble> {
        let connecting = |error| Trouble {
            error,
            first: Vec::new(),
            place: Place::Connecting,
        };
        let config = witness::config(witness, shows, protocols)
            .map_err(|error| connecting(io::Error::other(error)))?;
        let name = match &self.target.host {
            HostName::Ip(address) => ServerName::IpAddress((*address).into()),
            HostName::Dns(name) => ServerName::try_from(name.clone())
                .map_err(|error| connecting(io::Error::other(error)))?,
        };
        let mut connection = ClientConnection::new(config, name)
            .map_err(|error| connecting(io::Error::other(error)))?;
        let tcp = Timed::connect(self.addresses.iter().copied(), end).map_err(connecting)?;
        let mut socket = Recorder {
            tcp,
            first: Vec::new(),
        };
        while connection.is_handshaking() {
            if let Err(error) = connection.complete_io(&mut socket) {
                return Err(Trouble {
                    error,
                    first: socket.first,
                    place: Place::Handshake,
                });
            }
        }
        Ok(StreamOwned::new(connection, socket))
    }

    fn ask(&self, stream: &mut Stream, start: Instant, now: Timestamp) -> Answer {
        // Who refuses early closes while we still write; the answer says why, the broken pipe does not.
        let request = self.request("/", "Accept: application/json\r\n");
        let sent = stream.write_all(request.as_bytes());
        let sent = sent.and_then(|()| stream.flush());
        let head = match (orca_wire::read_head(stream), sent) {
            (Ok(head), _) => head,
            (Err(NoHead::NotHttp), _) => return Answer::NotHttp,
            (Err(NoHead::Lost(error)), sent) => {
                let early = sent.err().filter(|error| alert(error).is_some());
                return lost(&early.unwrap_or(error));
            }
        };
        let elapsed = start.elapsed();
        let date = date::of(&head);
        let ours = now.as_second() + i64::try_from(elapsed.as_secs()).unwrap_or_default();
        let mut body = head.rest.clone();
        stream.take(ANSWER).read_to_end(&mut body).ok();
        let (number, cause) = refusal(&body);
        Answer::Http(Reply {
            status: head.status,
            number,
            cause,
            ahead: date.map(|date| date.as_second() - ours),
        })
    }

    fn request(&self, path: &str, fields: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: orca-diagnosis/{}\r\n\
             Connection: close\r\n{fields}\r\n",
            self.target.authority(),
            env!("CARGO_PKG_VERSION"),
        )
    }

    fn lists(&self) -> Lists {
        let protocols = [LIST_PROTOCOL, HTTP];
        let (witness, shows) = (Arc::default(), Arc::new(Shows::new(None)));
        let end = Instant::now() + LIST;
        let Ok(mut stream) = self.handshake(&witness, &shows, &protocols, end) else {
            return Lists::Unknown;
        };
        let request = self.request(LIST_PATH, "");
        if stream.write_all(request.as_bytes()).is_err() {
            return Lists::Unknown;
        }
        let Ok(head) = orca_wire::read_head(&mut stream) else {
            return Lists::Unknown;
        };
        let length = head.field("content-length");
        let length = length.and_then(|length| length.parse().ok());
        match head.status {
            200 => {}
            404 => return Lists::Nowhere,
            _ => return Lists::Unknown,
        }
        let mut body = head.rest;
        stream.take(LIST_OCTETS).read_to_end(&mut body).ok();
        body.truncate(length.unwrap_or(usize::MAX));
        match crl::split(&body) {
            Ok(lists) if !lists.is_empty() => Lists::Found(lists),
            // Not what a gateway gives out: some program that answers 200 to everything.
            _ => Lists::Nowhere,
        }
    }

    fn classify(&self, trouble: Trouble, witness: &Witness) -> Contact {
        let Trouble {
            error,
            first,
            place,
        } = trouble;
        if let Place::Connecting = place {
            return match error.kind() {
                io::ErrorKind::ConnectionRefused => Contact::Refused,
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Contact::NoAnswer,
                io::ErrorKind::HostUnreachable => Contact::HostUnreachable,
                _ => Contact::Unreachable(error.to_string()),
            };
        }
        if is_old(&error) {
            return Contact::OldTls;
        }
        if is_odd(&error) {
            return Contact::OddCertificate(error.to_string());
        }
        if first.starts_with(b"HTTP/") {
            return Contact::PlainHttp;
        }
        // A record of TLS begins with its type (RFC 8446 §5.1).
        if first
            .first()
            .is_some_and(|octet| !(20..=24).contains(octet))
        {
            return Contact::Other(printable(&first));
        }
        if !first.is_empty() || !witness.chain().is_empty() {
            return Contact::BrokenTls(error.to_string());
        }
        self.without_tls(&error)
    }

    /// Some servers say nothing to what is no http, and some http servers nothing to TLS.
    fn without_tls(&self, handshake: &io::Error) -> Contact {
        let end = Instant::now() + TALK;
        let Ok(mut tcp) = Timed::connect(self.addresses.iter().copied(), end) else {
            return Contact::Closed;
        };
        let request = self.request("/", "");
        let sent = tcp.write_all(request.as_bytes());
        let mut first = [0; FIRST];
        match sent.and_then(|()| tcp.read(&mut first)) {
            Ok(length) if first[..length].starts_with(b"HTTP/") => Contact::PlainHttp,
            Ok(length) if length > 0 => Contact::Other(printable(&first[..length])),
            _ if is_late(handshake) => Contact::Silent,
            _ => Contact::Closed,
        }
    }
}

fn lost(error: &io::Error) -> Answer {
    match alert(error) {
        Some(alert) => Answer::Alert(alert),
        None if is_late(error) => Answer::Silent,
        None => Answer::Closed,
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

fn tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn alert(error: &io::Error) -> Option<AlertDescription> {
    match tls(error)? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

fn is_old(error: &io::Error) -> bool {
    use rustls::PeerIncompatible as Peer;
    matches!(
        tls(error),
        Some(
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
                | rustls::Error::PeerIncompatible(
                    Peer::ServerDoesNotSupportTls12Or13
                        | Peer::ServerTlsVersionIsDisabledByOurConfig
                )
        )
    )
}

/// Not of a certificate that is whole but another one's: its signature is tried and is wrong then.
fn is_odd(error: &io::Error) -> bool {
    use rustls::CertificateError as Bad;
    match tls(error) {
        Some(rustls::Error::InvalidCertificate(reason)) => !matches!(reason, Bad::BadSignature),
        _ => false,
    }
}

fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => "TLS 1.3",
        _ => "TLS 1.2",
    }
}

/// `error.number` and `error.cause` of a refusal page as JSON.
fn refusal(body: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(page) = serde_json::from_slice::<serde_json::Value>(body) else {
        return (None, None);
    };
    let word = |key: &str| page["error"][key].as_str().map(printable_text);
    (word("number"), word("cause"))
}

fn printable(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    printable_text(text.lines().next().unwrap_or_default())
}

fn printable_text(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { ' ' };
    let text: String = text.chars().take(FIRST).map(plain).collect();
    text.trim().to_owned()
}

/// Keeps what the server says first.
#[derive(Debug)]
struct Recorder {
    tcp: Timed,
    first: Vec<u8>,
}

impl Read for Recorder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.tcp.read(buffer)?;
        let room = FIRST.saturating_sub(self.first.len());
        self.first.extend(buffer.iter().take(length.min(room)));
        Ok(length)
    }
}

impl Write for Recorder {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.tcp.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}
