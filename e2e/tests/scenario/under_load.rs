//! Two clinics' worth of traffic, one client revoked in the middle of it: gone everywhere, and the
//! other loses not one request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;

use anyhow::Context;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use orca_e2e::http1;
use orca_e2e::kit::Kit;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use orca_e2e::tls;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;
use tokio_tungstenite::tungstenite;
use tungstenite::Message;

/// What a kind of traffic counts before anything happens to it.
const WARM: u64 = 20;

/// Requests of one client that never pause, each kind on a connection of its own.
struct Traffic {
    stop: Arc<AtomicBool>,
    kinds: Vec<Kind>,
}

struct Kind {
    name: &'static str,
    answered: Arc<AtomicU64>,
    thread: JoinHandle<anyhow::Result<()>>,
}

/// Counts what was answered, and says when to stop.
#[derive(Clone)]
struct Counter {
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Counter {
    /// One more; whether to go on.
    fn goes_on(&self) -> bool {
        self.answered.fetch_add(1, Ordering::SeqCst);
        !self.stop.load(Ordering::SeqCst)
    }
}

impl Traffic {
    fn begin(client: &TlsClient, address: SocketAddr) -> Self {
        type Run = fn(&TlsClient, SocketAddr, &Counter) -> anyhow::Result<()>;
        let kinds: [(&str, Run); 4] = [
            ("HTTP/1.1", on_one_connection),
            ("HTTP/2", on_streams),
            ("WebSocket", on_a_websocket),
            ("new connections", on_new_connections),
        ];
        let stop = Arc::new(AtomicBool::new(false));
        let begin = |(name, run): (&'static str, Run)| {
            let answered = Arc::default();
            let counter = Counter {
                answered: Arc::clone(&answered),
                stop: Arc::clone(&stop),
            };
            let client = client.clone();
            Kind {
                name,
                answered,
                thread: thread::spawn(move || run(&client, address, &counter)),
            }
        };
        Self {
            kinds: kinds.into_iter().map(begin).collect(),
            stop,
        }
    }

    /// Every kind has been answered so many times more.
    fn runs(&self) -> anyhow::Result<()> {
        for kind in &self.kinds {
            let before = kind.answered.load(Ordering::SeqCst);
            wait::until(kind.name, || {
                (kind.answered.load(Ordering::SeqCst) >= before + WARM).then_some(())
            })?;
        }
        Ok(())
    }

    /// Every kind of traffic breaks off by itself.
    fn breaks_off(self) -> anyhow::Result<()> {
        for kind in self.kinds {
            wait::until(kind.name, || kind.thread.is_finished().then_some(()))?;
            let ended = kind.thread.join().expect("no panic");
            assert!(ended.is_err(), "{} stopped without an error", kind.name);
        }
        Ok(())
    }

    /// Stops it; nothing was lost.
    fn ends_whole(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        for kind in self.kinds {
            let ended = kind.thread.join().expect("no panic");
            ended.with_context(|| format!("{} lost a request", kind.name))?;
        }
        Ok(())
    }
}

fn on_one_connection(
    client: &TlsClient,
    address: SocketAddr,
    counter: &Counter,
) -> anyhow::Result<()> {
    let mut stream = client.connect(address)?;
    let request = tls::request(address, "/echo-headers", &[]);
    loop {
        let response = http1::exchange(&mut stream, request.as_bytes())?;
        anyhow::ensure!(response.status == 200, "{response:?}");
        if !counter.goes_on() {
            return Ok(());
        }
    }
}

fn on_new_connections(
    client: &TlsClient,
    address: SocketAddr,
    counter: &Counter,
) -> anyhow::Result<()> {
    loop {
        let response = client.get(address, "/echo-headers").response()?;
        anyhow::ensure!(response.status == 200, "{response:?}");
        if !counter.goes_on() {
            return Ok(());
        }
    }
}

fn on_a_websocket(
    client: &TlsClient,
    address: SocketAddr,
    counter: &Counter,
) -> anyhow::Result<()> {
    let stream = client.connect(address)?;
    let url = format!("wss://weborca-server:{}/ws", address.port());
    let (mut socket, _) = tungstenite::client(url, stream)
        .map_err(|error| anyhow::anyhow!("no WebSocket: {error}"))?;
    loop {
        let text = Message::text("受付に患者が到着しました");
        socket.send(text.clone())?;
        anyhow::ensure!(socket.read()? == text, "another text came back");
        if !counter.goes_on() {
            return Ok(());
        }
    }
}

fn on_streams(client: &TlsClient, address: SocketAddr, counter: &Counter) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stream = client.connect_http2(address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await?;
        tokio::spawn(connection);
        loop {
            let request = http::Request::get(format!("https://weborca-server:{}/", address.port()))
                .body(Empty::<Bytes>::new())?;
            let response = sender.send_request(request).await?;
            anyhow::ensure!(response.status() == 200, "{response:?}");
            response.into_body().collect().await?;
            if !counter.goes_on() {
                return Ok(());
            }
        }
    })
}

fn client(kit: &Kit, version: Version) -> anyhow::Result<TlsClient> {
    TlsClient::new(&kit.ca(), version, Some(Identity::of(kit)?))
}

#[test]
fn one_is_revoked_under_load_and_the_other_loses_nothing() -> anyhow::Result<()> {
    for version in Version::ALL {
        let site = Site::new()?;
        let (lost, kept) = (site.client("lost-notebook")?, site.client("reception")?);
        let conf = site.conf()?;
        site.ca
            .publish_to(&[site.conf_dir().join("ca.crl").display()])?;
        let gateway = conf.start()?;
        let theirs = Traffic::begin(&client(&lost, version)?, gateway.address);
        let ours = Traffic::begin(&client(&kept, version)?, gateway.address);
        theirs.runs()?;
        ours.runs()?;

        site.ca.done(&format!("revoke_cert {}", lost.number()))?;
        theirs.breaks_off()?;
        ours.runs()?;
        ours.ends_whole()?;
        let again = client(&lost, version)?.get(gateway.address, "/");
        assert_eq!(again.response()?.status, 403);
    }
    Ok(())
}

/// A browser keeps its TLS sessions; resuming one would bring a client past the examination.
#[test]
fn a_client_with_a_session_store_is_examined_every_time() -> anyhow::Result<()> {
    let site = Site::new()?;
    let kit = site.client("lost-notebook")?;
    let gateway = site.gateway()?;
    for version in ["-tls1_2", "-tls1_3"] {
        let session = site.path(&format!("session{version}"));
        let visit = |option: &str| -> anyhow::Result<String> {
            let request = tls::request(gateway.address, "/", &["Connection: close"]);
            let outcome = Program::new("openssl")
                .args(["s_client", version, "-ign_eof", "-connect"])
                .arg(gateway.address.to_string())
                .arg("-cert")
                .arg(kit.crt())
                .arg("-key")
                .arg(kit.pem())
                .arg("-CAfile")
                .arg(kit.ca())
                .arg(option)
                .arg(&session)
                .stdin(&request)
                .run()?;
            Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
        };
        let first = visit("-sess_out")?;
        assert!(first.contains("HTTP/1.1 200"), "{first}");
        if session.exists() {
            let second = visit("-sess_in")?;
            assert!(!second.contains("Reused, "), "{second}");
            assert!(second.contains("HTTP/1.1 200"), "{second}");
        }
    }
    // One client each that remembers whatever it is given, before and after the revocation.
    let clients = Version::ALL.map(|version| client(&kit, version));
    let [old, new] = clients;
    let clients = [old?, new?];
    for client in &clients {
        for _ in 0..2 {
            let mut stream = client.connect(gateway.address)?;
            let kind = stream.conn.handshake_kind();
            assert_eq!(kind, Some(rustls::HandshakeKind::Full));
            let request = tls::request(gateway.address, "/", &[]);
            let response = http1::exchange(&mut stream, request.as_bytes())?;
            assert_eq!(response.status, 200);
        }
    }
    site.ca.done(&format!("revoke_cert {}", kit.number()))?;
    site.place(&site.ca.crl())?;
    for client in &clients {
        let refused = wait::until("the refusal", || {
            let response = client.get(gateway.address, "/").response().ok()?;
            (response.status == 403).then_some(response)
        })?;
        assert!(refused.text().contains("E-104"), "{}", refused.text());
    }
    Ok(())
}
