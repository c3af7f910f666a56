//! One attempt to hand a CRL to a gateway: TLS, one `PUT`, the status. No redirect is followed, no
//! proxy is asked, and of the answer only the head counts.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use orca_pki::certificate::Certificate;
use orca_pki::crl::{self, UnverifiedCrl};
use orca_pki::name::HostName;
use orca_pki::revocation::{CertificateRevocationList, CrlNumber};
use orca_wire::{NoHead, Timed};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::address::GatewayAddress;
use super::failure::{PushFailure, retry_after};

/// Where a gateway takes and shows its CRL.
const PATH: &str = "/.well-known/orca-mtls/crl";
/// The protocol name (RFC 7301) by which a gateway in `strict` knows that no client certificate
/// will come; any server else takes the second.
const PROTOCOLS: [&[u8]; 2] = [b"orca-mtls-crl", b"http/1.1"];
/// Octets of a gateway's own list that are read.
const LIST: u64 = 64 * 1024 * 1024;

/// A CRL on its way, and what is needed to know the right gateway.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) number: CrlNumber,
    ca: Certificate,
    der: Vec<u8>,
    pem: String,
    tls: Arc<ClientConfig>,
}

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Setback {
    pub(super) failure: PushFailure,
    /// How long the gateway wants to be left alone.
    pub(super) wait: Option<Duration>,
}

impl<E: Into<PushFailure>> From<E> for Setback {
    fn from(failure: E) -> Self {
        let failure = failure.into();
        Self {
            failure,
            wait: None,
        }
    }
}

impl Parcel {
    /// Gateways are known by a certificate of this CA that the list itself does not revoke.
    pub(super) fn new(
        ca: &Certificate,
        crl: &CertificateRevocationList,
        now: Timestamp,
    ) -> Result<Self, PushFailure> {
        let unusable = |error: String| PushFailure::Certificate(error);
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(ca.der().to_vec()))
            .map_err(|error| unusable(error.to_string()))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .with_crls([CertificateRevocationListDer::from(crl.der.clone())])
                .only_check_end_entity_revocation()
                .allow_unknown_revocation_status()
                .build()
                .map_err(|error| unusable(error.to_string()))?;
        let mut tls = ClientConfig::builder_with_details(provider, Arc::new(Clock(now)))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .with_webpki_verifier(verifier)
            .with_no_client_auth();
        tls.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Self {
            number: crl.number,
            ca: ca.clone(),
            der: crl.der.clone(),
            pem: crl.to_pem(),
            tls: Arc::new(tls),
        })
    }
}

/// The moment the command began, for the validity of certificates.
#[derive(Debug)]
struct Clock(Timestamp);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Hands the list over, or finds that the gateway has exactly that one already.
pub(super) fn deliver(
    gateway: &GatewayAddress,
    parcel: &Parcel,
    end: Instant,
) -> Result<(), Setback> {
    let answer = put(gateway, parcel, end)?;
    let failure = match answer.status {
        204 => return Ok(()),
        403 => return refused(gateway, parcel, end).map_err(Setback::from),
        413 => PushFailure::TooLarge,
        429 => PushFailure::Busy,
        500..=599 => PushFailure::Unavailable(answer.status.to_string()),
        status => PushFailure::NotAGateway(status.to_string()),
    };
    Err(Setback {
        failure,
        wait: answer.wait,
    })
}

/// A gateway gives one answer to all it does not take. What it has tells whether that is right.
fn refused(gateway: &GatewayAddress, parcel: &Parcel, end: Instant) -> Result<(), PushFailure> {
    match held(gateway, parcel, end) {
        Some((_, list)) if list == parcel.der => Ok(()),
        Some((number, _)) if number >= parcel.number.0 => {
            Err(PushFailure::Newer(number.to_string()))
        }
        _ => Err(PushFailure::NotTaken),
    }
}

/// The list of our CA with the highest number that the gateway shows, and that number.
fn held(gateway: &GatewayAddress, parcel: &Parcel, end: Instant) -> Option<(u64, Vec<u8>)> {
    let request = request_head(gateway, "GET", "");
    let mut stream = open(gateway, parcel, end).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let answer = read_answer(&mut stream).ok()?;
    let mut body = answer.rest;
    if answer.status != 200 {
        return None;
    }
    // Whole or cut off: a list that is not whole does not read.
    stream.take(LIST).read_to_end(&mut body).ok();
    if let Some(length) = answer.length {
        body.truncate(length);
    }
    let lists = crl::split(&body).ok()?.into_iter().filter_map(|der| {
        let list = UnverifiedCrl::from_der(&der).ok()?;
        let list = list.verify([&parcel.ca]).ok()?;
        let number = list.number().to_string().parse().ok()?;
        Some((number, der))
    });
    lists.max()
}

fn put(gateway: &GatewayAddress, parcel: &Parcel, end: Instant) -> Result<Answer, PushFailure> {
    let fields = format!(
        "Content-Type: application/x-pem-file\r\nContent-Length: {}\r\n",
        parcel.pem.len()
    );
    let head = request_head(gateway, "PUT", &fields);
    let mut stream = open(gateway, parcel, end)?;
    let sent = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(parcel.pem.as_bytes()))
        .and_then(|()| stream.flush());
    // Who refuses early closes while we still write; the answer says why, the broken pipe does not.
    match (read_answer(&mut stream), sent) {
        (Ok(answer), _) => Ok(answer),
        (Err(PushFailure::Lost(_)), Err(error)) => Err(error.into()),
        (Err(failure), _) => Err(failure),
    }
}

fn request_head(gateway: &GatewayAddress, method: &str, fields: &str) -> String {
    format!(
        "{method} {PATH} HTTP/1.1\r\nHost: {}\r\nUser-Agent: orca-catool/{}\r\n\
         Connection: close\r\n{fields}\r\n",
        gateway.authority(),
        env!("CARGO_PKG_VERSION"),
    )
}

type Stream = StreamOwned<ClientConnection, Timed>;

fn open(gateway: &GatewayAddress, parcel: &Parcel, end: Instant) -> Result<Stream, PushFailure> {
    let name = match &gateway.host {
        HostName::Ip(address) => ServerName::IpAddress((*address).into()),
        HostName::Dns(name) => {
            ServerName::try_from(name.clone()).map_err(|_| PushFailure::UnknownHost)?
        }
    };
    let connection = ClientConnection::new(Arc::clone(&parcel.tls), name)
        .map_err(|error| PushFailure::Lost(error.to_string()))?;
    let addresses = addresses(gateway)?;
    if addresses.is_empty() {
        return Err(PushFailure::UnknownHost);
    }
    Ok(orca_wire::shake(
        connection,
        Timed::connect(addresses, end)?,
    )?)
}

fn addresses(gateway: &GatewayAddress) -> Result<Vec<SocketAddr>, PushFailure> {
    match &gateway.host {
        HostName::Ip(address) => Ok(vec![(*address, gateway.port).into()]),
        HostName::Dns(name) => (name.as_str(), gateway.port)
            .to_socket_addrs()
            .map(Iterator::collect)
            .map_err(|_| PushFailure::UnknownHost),
    }
}

/// What counts of an answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    wait: Option<Duration>,
    length: Option<usize>,
    rest: Vec<u8>,
}

fn read_answer(stream: &mut impl Read) -> Result<Answer, PushFailure> {
    let head = orca_wire::read_head(stream).map_err(|error| match error {
        NoHead::NotHttp => PushFailure::NotHttp,
        NoHead::Lost(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            PushFailure::Lost("end of stream".to_owned())
        }
        NoHead::Lost(error) => error.into(),
    })?;
    Ok(Answer {
        status: head.status,
        wait: head.field("retry-after").and_then(retry_after),
        length: head
            .field("content-length")
            .and_then(|value| value.parse().ok()),
        rest: head.rest,
    })
}
