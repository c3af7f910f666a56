//! A proxy without TLS in front of an application that a test brings along.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::tz::TimeZone;
use orca_messages::Lang;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::access_log::Peer;
use crate::access_log::{AccessLog, Entry};
use crate::body::{self, ResponseBody};
use crate::clock::Clock;
use crate::config::LogTarget;
use crate::connector::Connector;
use crate::forward::{Client, Forwarder, Unserved};
use crate::headers::Scheme;
use crate::identity::Cause;
use crate::log::EventLog;
use crate::slots::Slots;

const DEADLINE: Duration = Duration::from_secs(20);

/// Fails the test when `future` takes too long.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("takes too long")
}

/// Waits until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            // The pause between two looks, not a guess how long something takes.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A running proxy.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    pub(super) closing: CancellationToken,
    access_log: AccessLog,
    folder: tempfile::TempDir,
}

impl Proxy {
    /// In front of the application at `upstream`.
    pub(super) async fn start(upstream: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = |name: &str| LogTarget::File(folder.path().join(name));
        let events =
            EventLog::open(&log("events"), Clock::system(), TimeZone::UTC, Lang::En).unwrap();
        let access_log = AccessLog::open(&log("access"), Clock::system(), TimeZone::UTC).unwrap();
        let conf = format!("GATEWAY_UPSTREAM=http://{upstream}");
        let config = crate::config::interpret(&PathBuf::from("x.conf"), &conf).config;
        let connector = Connector::new(&config.unwrap().upstream, None).unwrap();
        let slots = Slots::new(1000, Slots::PATIENCE);
        let forwarder = Forwarder::new(connector, slots, Arc::default(), events);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closing = CancellationToken::new();
        tokio::spawn(accept(
            listener,
            forwarder,
            access_log.clone(),
            closing.clone(),
        ));
        Self {
            address,
            closing,
            access_log,
            folder,
        }
    }

    /// The lines of the access log so far.
    pub(super) fn access_lines(&self) -> Vec<serde_json::Value> {
        self.access_log.flush();
        std::fs::read_to_string(self.folder.path().join("access"))
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// A plain connection.
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends octets on a new connection and reads until the proxy closes it.
    pub(super) async fn raw(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = soon(stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A client with one HTTP/2 connection.
    pub(super) async fn http2<B>(&self) -> hyper::client::conn::http2::SendRequest<B>
    where
        B: http_body::Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let io = TokioIo::new(self.connect().await);
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .unwrap();
        tokio::spawn(connection);
        sender
    }

    /// A client with one HTTP/1.1 connection.
    pub(super) async fn http1<B>(&self) -> hyper::client::conn::http1::SendRequest<B>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let io = TokioIo::new(self.connect().await);
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// One GET over HTTP/1.1.
    pub(super) async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(path)
            .header("host", "weborca-server:8000")
            .body(String::new())
            .unwrap();
        text(
            soon(self.http1().await.send_request(request))
                .await
                .unwrap(),
        )
        .await
    }
}

/// Status and body.
pub(super) async fn text(response: Response<Incoming>) -> (StatusCode, String) {
    let status = response.status();
    let body = soon(response.into_body().collect()).await.unwrap();
    (status, String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

async fn accept(
    listener: TcpListener,
    forwarder: Forwarder,
    access_log: AccessLog,
    closing: CancellationToken,
) {
    while let Ok((stream, peer)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let client = Arc::new(Client::unverified(
            Arc::new(Peer::new(peer.ip(), None)),
            Scheme::Http,
            closing.clone(),
        ));
        let (forwarder, access_log) = (forwarder.clone(), access_log.clone());
        let service = service_fn(move |request| {
            answer(
                forwarder.clone(),
                access_log.clone(),
                Arc::clone(&client),
                request,
            )
        });
        tokio::spawn(async move {
            let mut preface = [0; 3];
            stream.peek(&mut preface).await.unwrap();
            let io = TokioIo::new(stream);
            if &preface == b"PRI" {
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(io, service)
                    .await;
            } else {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(io, service)
                    .with_upgrades()
                    .await;
            }
        });
    }
}

async fn answer(
    forwarder: Forwarder,
    access_log: AccessLog,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let (parts, body) = request.into_parts();
    let entry = Entry::of_request(Clock::system().now(), client.peer(), &parts, None);
    let pending = access_log.pending(entry);
    let request = Request::from_parts(parts, body);
    Ok(match forwarder.forward(&client, request).await {
        Ok(response) => pending.on_end(response, None),
        Err(unserved) => {
            let (status, cause) = match unserved {
                Unserved::NotForwarded(status) => (status, Cause::NotForwarded),
                Unserved::BrokenRequest => (StatusCode::BAD_REQUEST, Cause::BrokenRequest),
                Unserved::Busy => (StatusCode::SERVICE_UNAVAILABLE, Cause::UpstreamBusy),
                Unserved::Down => (StatusCode::BAD_GATEWAY, Cause::UpstreamDown),
            };
            let mut response = Response::new(body::empty());
            *response.status_mut() = status;
            pending.on_end(response, Some(cause))
        }
    })
}

/// A running application.
pub(super) struct Application {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Application {
    /// Answers every request with `handler`.
    pub(super) async fn start<H, F>(handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let counters = (Arc::clone(&connections), Arc::clone(&open));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counters.0.fetch_add(1, Ordering::SeqCst);
                counters.1.fetch_add(1, Ordering::SeqCst);
                let open = Arc::clone(&counters.1);
                let handler = handler.clone();
                let service = service_fn(move |request| {
                    let response = handler(request);
                    async move { Ok::<_, Infallible>(response.await) }
                });
                tokio::spawn(async move {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades()
                        .await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            address,
            connections,
            open,
        }
    }

    /// Connections accepted so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// Answers with the head of the request and the length of its body.
pub(super) async fn mirror(request: Request<Incoming>) -> Response<ResponseBody> {
    let (parts, body) = request.into_parts();
    let mut shown = format!("{} {}\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        shown += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    let Ok(body) = body.collect().await else {
        return Response::new(body::full("aborted"));
    };
    if let Some(trailers) = body.trailers() {
        for (name, value) in trailers {
            shown += &format!("trailer {name}: {}\n", value.to_str().unwrap());
        }
    }
    shown += &format!("{} octets\n", body.to_bytes().len());
    Response::new(body::full(shown))
}

/// Sends back what comes, as it comes.
pub(super) async fn echo(request: Request<Incoming>) -> Response<ResponseBody> {
    Response::new(
        request
            .into_body()
            .map_err(body::BoxError::from)
            .boxed_unsync(),
    )
}

/// A whole body for clients.
pub(super) fn whole(content: &'static str) -> Full<Bytes> {
    Full::new(Bytes::from_static(content.as_bytes()))
}
