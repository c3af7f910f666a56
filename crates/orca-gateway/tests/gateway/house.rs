//! The whole gateway but its signals: files, keeper, workers' accept, an application that counts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use jiff::tz::TimeZone;
use orca_messages::Lang;
use rustls::client::Resumption;
use rustls::{AlertDescription, ClientConfig, HandshakeKind, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::forge::{Ca, Identity};
use super::proxy::{Application, soon, until};
use crate::access_log::AccessLog;
use crate::body::{self, ResponseBody};
use crate::clock::Clock;
use crate::config::{Config, LogTarget, Mode};
use crate::connection::Front;
use crate::connector::Connector;
use crate::crl_intake::Intake;
use crate::crl_service::CrlService;
use crate::doorway::Doorway;
use crate::explain::Pages;
use crate::forward::Forwarder;
use crate::listener;
use crate::log::EventLog;
use crate::meters::Meters;
use crate::office::Office;
use crate::reload::{Keeper, Loaded, Order, RuleKeeper};
use crate::shutdown::Phase;
use crate::slots::Slots;

/// How long a request waits for its turn at the application.
const PATIENCE: Duration = Duration::from_millis(500);

/// A running gateway with its authority.
pub(super) struct House {
    pub(super) ca: Ca,
    pub(super) address: SocketAddr,
    pub(super) orders: Arc<Sender<Order>>,
    pub(super) phase: watch::Sender<Phase>,
    hits: Arc<AtomicUsize>,
    access_log: AccessLog,
    events: EventLog,
    meters: Arc<Meters>,
    folder: tempfile::TempDir,
}

impl House {
    /// With lines of configuration besides the files; no revocation list yet.
    pub(super) async fn start(lines: &str) -> Self {
        let hits = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&hits);
        let application = Application::start(move |request| {
            counter.fetch_add(1, Ordering::SeqCst);
            greet(request)
        })
        .await;
        Self::before(&application, hits, lines)
    }

    /// In front of an application of the test's own.
    pub(super) fn before(application: &Application, hits: Arc<AtomicUsize>, lines: &str) -> Self {
        Self::raised(application.address, hits, lines)
    }

    /// In front of whatever listens there.
    pub(super) fn before_address(upstream: SocketAddr, lines: &str) -> Self {
        Self::raised(upstream, Arc::default(), lines)
    }

    fn raised(upstream: SocketAddr, hits: Arc<AtomicUsize>, lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::new("orca CA 1A2B3C4D");
        let (crt, pem) = ca.server(&["localhost", "127.0.0.1"]);
        put(&folder.path().join("server.crt"), &crt);
        put(&folder.path().join("server.pem"), &pem);
        put(&folder.path().join("ca.crt"), &ca.pem());
        let config = config(folder.path(), upstream, lines);
        let log = |name: &str| LogTarget::File(folder.path().join(name));
        let clock = Clock::system();
        let events = EventLog::open(&log("events"), clock, TimeZone::UTC, Lang::En).unwrap();
        let access_log = AccessLog::open(&log("access"), clock, TimeZone::UTC).unwrap();
        let meters = Arc::new(Meters::default());
        let Mode::Https(files) = &config.mode else {
            panic!("no files");
        };
        let loaded = Loaded::from_files(files).unwrap();
        let rules = RuleKeeper::start(&config.rules, TimeZone::UTC).unwrap();
        let (keeper, live) = Keeper::start(
            &config,
            files,
            loaded,
            rules,
            clock,
            Arc::clone(&meters),
            events.clone(),
        )
        .unwrap();
        let (orders, received) = mpsc::channel();
        let orders = Arc::new(orders);
        let intake = Arc::new(Intake::new(&orders, live.clone(), config.state.clone()));
        std::thread::spawn(move || keeper.run(&received, &Default::default()));
        let office = Arc::new(Office {
            access_log: access_log.clone(),
            choices: Default::default(),
            client_auth: config.client_auth,
            clock,
            exemptions: config.exemptions.clone(),
            doorway: Arc::new(Doorway::new(64, config.limits.connections_per_address)),
            lists: Some(CrlService::new(intake, Arc::clone(&meters), events.clone())),
            meters: Arc::clone(&meters),
            lang: Lang::Ja,
            limits: config.limits,
            log: events.clone(),
            names: Default::default(),
            origins: config.allowed_origins.clone(),
            pages: Pages::new(Some("窓口 03-1234-5678".into()), TimeZone::UTC),
            seen: Arc::default(),
            sites: Default::default(),
            operators: Default::default(),
        });
        let connector = Connector::new(&config.upstream, None).unwrap();
        let slots = Slots::new(config.limits.upstream_connections, PATIENCE);
        let (phase, phases) = watch::channel(Phase::Serving);
        let front = Front {
            office,
            forwarder: Forwarder::new(connector, slots, Arc::default(), events.clone()),
            live: Some(live),
            phase: phases,
        };
        let socket = listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(listener::accept(
            socket,
            front,
            Arc::new(Semaphore::new(64)),
        ));
        Self {
            ca,
            address,
            orders,
            phase,
            hits,
            access_log,
            events,
            meters,
            folder,
        }
    }

    /// Connections that came in.
    pub(super) fn connections(&self) -> u64 {
        self.meters.connections.get()
    }

    /// Puts a file in place as the CA tool does: whole, by renaming.
    pub(super) fn put(&self, name: &str, content: &str) {
        put(&self.path(name), content);
    }

    /// Puts a revocation list in place and waits until it is in force.
    pub(super) async fn revoke(&self, number: u64, serials: &[u64]) {
        self.put("ca.crl", &self.ca.crl(number, serials));
        self.told(&format!("CRL number {number} ")).await;
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How many requests reached the application.
    pub(super) fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    /// Waits for a text in the event log.
    pub(super) async fn told(&self, text: &str) {
        until(|| self.log().contains(text)).await;
    }

    pub(super) fn log(&self) -> String {
        self.events.flush();
        std::fs::read_to_string(self.path("events")).unwrap()
    }

    /// The causes in the access log, in order; a space, then the status.
    pub(super) fn causes(&self) -> Vec<String> {
        self.access_log.flush();
        std::fs::read_to_string(self.path("access"))
            .unwrap()
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                format!(
                    "{} {}",
                    line["cause"].as_str().unwrap_or("-"),
                    line["status"]
                )
            })
            .collect()
    }

    /// How a client speaks.
    pub(super) fn speaker(
        &self,
        identity: Option<&Identity>,
        version: &'static SupportedProtocolVersion,
    ) -> Speaker {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.ca.roots());
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(Arc::new(identity.clone())),
        };
        config.resumption = Resumption::in_memory_sessions(16);
        Speaker {
            address: self.address,
            config: Arc::new(config),
        }
    }

    /// The usual client: TLS 1.3.
    pub(super) fn client(&self, identity: &Identity) -> Speaker {
        self.speaker(Some(identity), &rustls::version::TLS13)
    }
}

fn config(folder: &Path, upstream: SocketAddr, lines: &str) -> Config {
    let folder_name = folder.display();
    let conf = format!(
        "SERVER_CRT={folder_name}/server.crt\nSERVER_PEM={folder_name}/server.pem\n\
         CA_CRT={folder_name}/ca.crt\nGATEWAY_STATE={folder_name}/state\n\
         GATEWAY_UPSTREAM=http://{upstream}\n{lines}\n"
    );
    crate::config::interpret(&folder.join("x.conf"), &conf)
        .config
        .unwrap()
}

fn put(path: &Path, content: &str) {
    let draft = path.with_extension("draft");
    std::fs::File::create(&draft)
        .and_then(|mut file| std::io::Write::write_all(&mut file, content.as_bytes()))
        .unwrap();
    std::fs::rename(&draft, path).unwrap();
}

async fn greet(_: Request<Incoming>) -> Response<ResponseBody> {
    Response::new(body::full("日レセ"))
}

/// A client with its session store.
#[derive(Clone)]
pub(super) struct Speaker {
    address: SocketAddr,
    pub(super) config: Arc<ClientConfig>,
}

/// What a client gets to see.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Seen {
    Alert(AlertDescription),
    /// Status and body.
    Answer(u16, String),
}

impl Speaker {
    /// The same with HTTP/2 offered.
    pub(super) fn http2(self) -> Self {
        self.offering(&[b"h2"])
    }

    /// The same with these protocols offered (ALPN).
    pub(super) fn offering(mut self, protocols: &[&[u8]]) -> Self {
        let protocols = protocols.iter().map(|protocol| protocol.to_vec());
        Arc::make_mut(&mut self.config).alpn_protocols = protocols.collect();
        self
    }

    /// A handshake; in TLS 1.3 the server's opinion may come later.
    pub(super) async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::clone(&self.config));
        soon(connector.connect(name, tcp)).await
    }

    /// One GET on a connection of its own.
    pub(super) async fn get(&self, path: &str) -> Seen {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        self.say(&request).await
    }

    /// Some octets on a connection of its own, and everything that comes back.
    pub(super) async fn say(&self, request: &str) -> Seen {
        let stream = match self.connect().await {
            Ok(stream) => stream,
            Err(error) => return Seen::Alert(alert(&error)),
        };
        exchange(stream, request).await
    }
}

/// Says something and reads until the server closes.
pub(super) async fn exchange(mut stream: TlsStream<TcpStream>, request: &str) -> Seen {
    // A refused client may find the connection closed already; reading tells why.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    match soon(stream.read_to_end(&mut answer)).await {
        Ok(_) => seen(&String::from_utf8(answer).unwrap()),
        Err(error) => Seen::Alert(alert(&error)),
    }
}

/// Says something and reads one answer; the connection stays.
pub(super) async fn keep_alive(stream: &mut TlsStream<TcpStream>) -> String {
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = soon(stream.read(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// Waits until the server has closed the connection.
pub(super) async fn closed(stream: &mut TlsStream<TcpStream>) {
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
}

pub(super) fn kind(stream: &TlsStream<TcpStream>) -> Option<HandshakeKind> {
    stream.get_ref().1.handshake_kind()
}

fn seen(answer: &str) -> Seen {
    let (head, content) = answer.split_once("\r\n\r\n").expect("no answer");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Seen::Answer(status.unwrap(), content.to_owned())
}

fn alert(error: &std::io::Error) -> AlertDescription {
    let tls = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => panic!("no alert but {error:?}"),
    }
}
