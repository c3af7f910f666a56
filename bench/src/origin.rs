//! The application behind every server: as fast as it can be, so that it is not what is measured.
//!
//! `GET /N` is answered with N octets, `POST` with two when all of its body is there, `GET /ws` by a
//! tunnel that stays open until the other side ends it.

use std::convert::Infallible;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::LazyLock;

use anyhow::Context;
use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use orca_e2e::process::Process;
use orca_e2e::program::Program;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// Octets of the largest answer.
pub(crate) const LARGEST: usize = 1 << 20;
/// What a `POST` is answered with.
pub(crate) const THANKS: &[u8] = b"ok";

static OCTETS: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![b'x'; LARGEST]));

/// Serves until it is killed.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(tcp), service_fn(answer));
            // Servers end idle connections as they like.
            let _ = connection.with_upgrades().await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/ws" {
        return Ok(tunnel(request));
    }
    if request.method() == Method::POST {
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return Ok(status(StatusCode::BAD_REQUEST));
            }
        }
        return Ok(Response::new(Full::new(Bytes::from_static(THANKS))));
    }
    let length = request.uri().path().trim_start_matches('/');
    let length = length.parse::<usize>();
    Ok(match length {
        Ok(length) if length <= LARGEST => Response::new(Full::new(OCTETS.slice(..length))),
        _ => status(StatusCode::NOT_FOUND),
    })
}

/// Switches protocols (RFC 6455 §4.2.2) and waits for the end.
fn tunnel(request: Request<Incoming>) -> Response<Full<Bytes>> {
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            let mut scratch = [0; 1024];
            let mut stream = TokioIo::new(upgraded);
            while matches!(stream.read(&mut scratch).await, Ok(1..)) {}
        }
    });
    let mut response = status(StatusCode::SWITCHING_PROTOCOLS);
    let fields = response.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    // The accept value of RFC 6455's own example key, which the load generator sends.
    let accept = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    fields.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// The origin as a process of its own.
pub(crate) struct Origin {
    pub(crate) address: std::net::SocketAddr,
    _process: Process,
}

impl Origin {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let program = Program::new(std::env::current_exe()?).arg("origin");
        let child = program.spawn(Stdio::null(), Stdio::piped(), Stdio::inherit())?;
        let mut process = Process::new("origin", child);
        let address = process
            .listening(Ipv4Addr::LOCALHOST)
            .context("the origin does not start")?;
        Ok(Self {
            address,
            _process: process,
        })
    }
}
