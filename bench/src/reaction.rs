//! How soon a revoked client is out, and what everybody else notices of it.

use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::kit::Kit;
use orca_e2e::site::SERVER_NAME;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::task::spawn_blocking;
use tokio::task::spawn_local;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;

use crate::client::Client;
use crate::client::Groups;
use crate::client::Offer;
use crate::client::Protocol;
use crate::client::Version;
use crate::clinic::Clinic;
use crate::load::Load;
use crate::load::Pattern;
use crate::load::Sample;
use crate::load::Work;
use crate::load::http1::Connection;
use crate::load::http1::Exchange;
use crate::load::http2;
use crate::load::limited;
use crate::origin::Origin;
use crate::plan::Circumstances;
use crate::progress::Progress;
use crate::report::Section;
use crate::report::Table;
use crate::report::Verdict;
use crate::servers;
use crate::servers::Running;
use crate::servers::Server;
use crate::servers::Setup;
use crate::statistics::Spread;

/// Between two tries of a client that wants to know.
const AGAIN: Duration = Duration::from_millis(1);
/// ms aimed at, from the moment the list is in place.
const MEDIAN: f64 = 50.0;
const ALWAYS: f64 = 200.0;

/// What can be taken from a revoked client.
const WAYS: [&str; 5] = [
    "new handshake",
    "next request, HTTP/1.1",
    "next request, HTTP/2",
    "idle connection",
    "WebSocket",
];

/// When each of [`WAYS`] ended, and what happened at the authority, all as ms since the start of
/// `revoke_cert`.
struct Course {
    /// The list was in the gateway's folder.
    in_place: f64,
    /// `revoke_cert` ended.
    end: f64,
    out: [f64; WAYS.len()],
}

/// Revokes one client after another while others work.
pub(crate) async fn run(
    with: &Circumstances<'_>,
    clinic: &Clinic,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Section> {
    let title = format!(
        "Out after `revoke_cert` (ms, {} revocations for each TLS version)",
        with.effort.revocations
    );
    let mut table = Table::new(
        &title,
        &[
            "",
            "TLS",
            "from its start: median (max)",
            "from the list in place: median (max)",
            "from its end: median (max)",
            "target",
            "",
        ],
    );
    let mut raw = Vec::new();
    for version in [Version::Tls13, Version::Tls12] {
        let (courses, bystanders) = revocations(with, clinic, version).await?;
        let name = match version {
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        };
        for (index, way) in WAYS.into_iter().enumerate() {
            let since = |base: fn(&Course) -> f64| {
                let all: Vec<f64> = courses.iter().map(|c| c.out[index] - base(c)).collect();
                Spread::of(&all).context("no revocations")
            };
            let (start, place, end) = (since(|_| 0.0)?, since(|c| c.in_place)?, since(|c| c.end)?);
            let met = place.median <= MEDIAN && place.max <= ALWAYS;
            progress.line(&format!(
                "{:<16} TLS {name}, {way}: {:.0} ms after the list, at most {:.0}",
                "revoked", place.median, place.max
            ))?;
            table.row([
                way.to_owned(),
                name.to_owned(),
                cell(start),
                cell(place),
                cell(end),
                format!("median ≤ {MEDIAN:.0}, always ≤ {ALWAYS:.0} from the list in place"),
                Verdict::of(met).to_string(),
            ]);
        }
        let (operations, failures) = bystanders;
        table.note(format!(
            "Another client under load meanwhile, TLS {name}: {operations} requests answered, \
             {failures} lost."
        ));
        let rows = courses.iter().map(|course| {
            json!({"in_place_ms": course.in_place, "end_ms": course.end, "out_ms": course.out})
        });
        raw.push(json!({
            "tls": name,
            "ways": WAYS,
            "revocations": rows.collect::<Vec<_>>(),
            "bystander_requests": operations,
            "bystander_failures": failures,
        }));
    }
    Ok(Section {
        name: "revocation",
        table,
        raw: raw.into(),
    })
}

fn cell(spread: Spread) -> String {
    format!("{:.0} ({:.0})", spread.median, spread.max)
}

async fn revocations(
    with: &Circumstances<'_>,
    clinic: &Clinic,
    version: Version,
) -> anyhow::Result<(Vec<Course>, (u64, u64))> {
    let origin = Origin::start()?;
    let name = format!("reaction-{version:?}");
    let setup = Setup::new(with, &name, clinic, origin.address)?;
    clinic.publish(&setup.crl)?;
    let running = servers::start(Server::Orca, &setup)?;
    let bystanders = Bystanders::start(&running, clinic, version).await?;
    let mut courses = Vec::new();
    for _ in 0..with.effort.revocations {
        // Common names repeat: the client before has been revoked.
        let victim = clinic.another("victim")?;
        courses.push(revoke(&running, clinic, &victim, version, &setup.crl).await?);
    }
    Ok((courses, bystanders.stop().await?))
}

/// Another client with every kind of connection.
struct Bystanders {
    loads: Vec<Load>,
    socket: JoinHandle<Instant>,
    idle: TlsStream<TcpStream>,
}

impl Bystanders {
    async fn start(running: &Running, clinic: &Clinic, version: Version) -> anyhow::Result<Self> {
        let client = |protocol| Client::new(&clinic.client, offer(version, protocol));
        let h1 = client(Protocol::Http1)?;
        let pattern = Pattern::Requests {
            connections: 2,
            streams: 2,
        };
        let mut loads = Vec::new();
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let shape = (protocol, pattern, Work::Get(1024));
            let load = Load::start(running.target(), &client(protocol)?, shape);
            load.count()?;
            loads.push(load);
        }
        Ok(Self {
            loads,
            socket: ended(socket(&h1, running).await?),
            idle: used(&h1, running).await?,
        })
    }

    /// Requests that were answered, and connections and requests that were lost.
    async fn stop(mut self) -> anyhow::Result<(u64, u64)> {
        let mut failures = u64::from(self.socket.is_finished());
        self.socket.abort();
        let exchange = Exchange::new(Work::Get(2), Connection::KeepAlive);
        failures += u64::from(exchange.run(&mut self.idle, &mut Vec::new()).await.is_err());
        let mut operations = 0;
        for load in self.loads {
            let sample: Sample = load.stop().await?;
            operations += sample.operations;
            failures += sample.failures.values().sum::<u64>();
        }
        Ok((operations, failures))
    }
}

async fn revoke(
    running: &Running,
    clinic: &Clinic,
    victim: &Kit,
    version: Version,
    crl: &Path,
) -> anyhow::Result<Course> {
    let h1 = Client::new(victim, offer(version, Protocol::Http1))?;
    let h2 = Client::new(victim, offer(version, Protocol::Http2))?;
    let address = running.address;
    let mut asking = used(&h1, running).await?;
    let mut streams = http2::connect(&h2, address).await?;
    http2::exchange(&mut streams, Work::Get(2)).await?;
    let idle = ended(used(&h1, running).await?);
    let socket = ended(socket(&h1, running).await?);
    let newcomer = h1.clone();
    let watchers = [
        spawn_local(refused(async move || {
            let exchange = Exchange::new(Work::Get(2), Connection::Close);
            let mut stream = newcomer.connect(address).await?;
            exchange.run(&mut stream, &mut Vec::new()).await
        })),
        spawn_local(refused(async move || {
            let exchange = Exchange::new(Work::Get(2), Connection::KeepAlive);
            exchange.run(&mut asking, &mut Vec::new()).await
        })),
        spawn_local(refused(async move || {
            http2::exchange(&mut streams, Work::Get(2)).await
        })),
        idle,
        socket,
    ];
    let placed = spawn_local(replaced(crl.to_owned())?);
    let program = clinic.revocation(victim)?;
    let start = Instant::now();
    let (outcome, end) = spawn_blocking(move || {
        let outcome = program.run();
        (outcome, Instant::now())
    })
    .await?;
    outcome?.success()?;
    let millis = |at: Instant| at.duration_since(start).as_secs_f64() * 1000.0;
    let mut out = [0.0; WAYS.len()];
    for ((watcher, out), way) in watchers.into_iter().zip(&mut out).zip(WAYS) {
        let at = limited(async { Ok(watcher.await?) }).await;
        *out = millis(at.with_context(|| format!("never: {way}"))?);
    }
    Ok(Course {
        in_place: millis(placed.await?),
        end: millis(end),
        out,
    })
}

fn offer(version: Version, protocol: Protocol) -> Offer {
    Offer {
        version,
        groups: Groups::Classic,
        protocol,
    }
}

/// An open connection that has been used once.
async fn used(client: &Client, running: &Running) -> anyhow::Result<TlsStream<TcpStream>> {
    let mut stream = client.connect(running.address).await?;
    let exchange = Exchange::new(Work::Get(2), Connection::KeepAlive);
    exchange.run(&mut stream, &mut Vec::new()).await?;
    Ok(stream)
}

/// A WebSocket that nobody speaks on.
async fn socket(client: &Client, running: &Running) -> anyhow::Result<TlsStream<TcpStream>> {
    let mut stream = client.connect(running.address).await?;
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {SERVER_NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        ensure!(stream.read_buf(&mut answer).await? > 0, "no WebSocket");
    }
    let switched = answer.starts_with(b"HTTP/1.1 101");
    ensure!(switched, "{}", String::from_utf8_lossy(&answer));
    Ok(stream)
}

/// Tells when the other side ends a connection on which nothing happens.
fn ended(mut stream: TlsStream<TcpStream>) -> JoinHandle<Instant> {
    spawn_local(async move {
        while matches!(stream.read(&mut [0; 256]).await, Ok(1..)) {}
        Instant::now()
    })
}

/// Tells when something that is tried again and again fails for the first time.
async fn refused(mut attempt: impl AsyncFnMut() -> anyhow::Result<()>) -> Instant {
    while limited(attempt()).await.is_ok() {
        sleep(AGAIN).await;
    }
    Instant::now()
}

/// Tells when another file has taken this one's place.
fn replaced(path: std::path::PathBuf) -> anyhow::Result<impl Future<Output = Instant> + use<>> {
    use std::os::unix::fs::MetadataExt;
    let old = std::fs::metadata(&path)?.ino();
    Ok(async move {
        while std::fs::metadata(&path).is_ok_and(|file| file.ino() == old) {
            sleep(AGAIN).await;
        }
        Instant::now()
    })
}
