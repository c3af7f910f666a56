//! A TLS server that stands where a gateway should, and behaves as it is told. It writes down what
//! was put to it.

use std::collections::VecDeque;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Instant;

use anyhow::Context;
use rustix::net::AddressFamily;
use rustix::net::SocketFlags;
use rustix::net::SocketType;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::crypto::aws_lc_rs;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;

use crate::tls::Identity;
use crate::wait::PATIENCE;

/// How it answers a connection.
#[derive(Clone, Debug)]
pub enum Manner {
    /// With these octets, then it closes.
    Answers(Vec<u8>),
    /// With a head that never ends.
    Endless,
    /// Never, until the other side gives up.
    Hangs,
    /// Without TLS, in HTTP.
    Plain,
}

impl Manner {
    /// As a gateway that has the list in force and saved.
    pub fn takes() -> Self {
        Self::status("204 No Content")
    }

    /// With this status and nothing else.
    pub fn status(line: &str) -> Self {
        Self::Answers(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The protocol that TLS agreed on.
    pub protocol: String,
    /// Request line and fields.
    pub head: String,
    /// The content.
    pub body: Vec<u8>,
    /// When it was whole.
    pub at: Instant,
}

/// An address that is taken, and where nothing listens yet.
#[derive(Debug)]
pub struct Vacancy {
    socket: std::os::fd::OwnedFd,
    /// The address.
    pub address: SocketAddr,
}

impl Vacancy {
    /// Takes a port of the kernel's choice.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn new() -> anyhow::Result<Self> {
        // A program that inherited it would seem to listen there itself.
        let flags = SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = rustix::net::getsockname(&socket)?.try_into()?;
        Ok(Self { socket, address })
    }

    /// Where a CRL would be sent to.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// When the identity is unusable.
    pub fn open(self, identity: &Identity, manners: &[Manner]) -> anyhow::Result<StandIn> {
        rustix::net::listen(&self.socket, 64)?;
        let listener = TcpListener::from(self.socket);
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(Arc::new(Only(identity.certified_key())));
        config.alpn_protocols = vec![b"orca-mtls-crl".to_vec(), b"http/1.1".to_vec()];
        let state = Arc::new(State {
            tls: Arc::new(config),
            manners: Mutex::new(manners.iter().cloned().collect()),
            requests: Mutex::default(),
        });
        let behind = Arc::clone(&state);
        // Ends with the test: nothing else holds it up.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&behind);
                std::thread::spawn(move || state.serve(stream).ok());
            }
        });
        Ok(StandIn {
            address: self.address,
            state,
        })
    }
}

/// The server, listening.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    state: Arc<State>,
}

impl StandIn {
    /// Starts one that answers each connection as the next of `manners` says, the last for good.
    ///
    /// # Errors
    ///
    /// When there is no port, or the identity is unusable.
    pub fn start(identity: &Identity, manners: &[Manner]) -> anyhow::Result<Self> {
        Vacancy::new()?.open(identity, manners)
    }

    /// Where a CRL would be sent to.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What was put to it so far.
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.state.requests).clone()
    }
}

#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct State {
    tls: Arc<ServerConfig>,
    manners: Mutex<VecDeque<Manner>>,
    requests: Mutex<Vec<Request>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn manner(&self) -> Manner {
        let mut manners = locked(&self.manners);
        match manners.len() {
            0 => Manner::Hangs,
            1 => manners[0].clone(),
            _ => manners.pop_front().unwrap_or(Manner::Hangs),
        }
    }

    fn serve(&self, mut tcp: TcpStream) -> anyhow::Result<()> {
        tcp.set_read_timeout(Some(PATIENCE))?;
        let manner = self.manner();
        if matches!(manner, Manner::Plain) {
            tcp.read_exact(&mut [0])?;
            tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")?;
            // The rest is read, so that no reset overtakes the answer.
            tcp.shutdown(std::net::Shutdown::Write)?;
            return drain(tcp);
        }
        let connection = ServerConnection::new(Arc::clone(&self.tls))?;
        let mut stream = BufReader::new(StreamOwned::new(connection, tcp));
        let (head, length) = head(&mut stream)?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let protocol = stream.get_ref().conn.alpn_protocol().unwrap_or_default();
        let request = Request {
            protocol: String::from_utf8_lossy(protocol).into_owned(),
            head,
            body,
            at: Instant::now(),
        };
        locked(&self.requests).push(request);
        let stream = stream.get_mut();
        match manner {
            Manner::Answers(octets) => {
                stream.write_all(&octets)?;
                stream.conn.send_close_notify();
                stream.flush()?;
            }
            Manner::Endless => {
                stream.write_all(b"HTTP/1.1 204 No Content\r\n")?;
                loop {
                    stream.write_all(b"X-More: and more\r\n")?;
                }
            }
            Manner::Hangs | Manner::Plain => {}
        }
        drain(stream)
    }
}

fn drain(mut stream: impl Read) -> anyhow::Result<()> {
    std::io::copy(&mut stream, &mut std::io::sink())?;
    Ok(())
}

fn head(stream: &mut impl BufRead) -> anyhow::Result<(String, usize)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        anyhow::ensure!(stream.read_line(&mut head)? > 0, "cut off");
    }
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")
            .map(str::to_owned)
    });
    let length = length.map_or(Ok(0), |length| length.trim().parse());
    Ok((head, length.context("a length")?))
}
