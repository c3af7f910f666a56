//! The loopback listener of operators: `/healthz`, `/status`, `/metrics`.

mod lockout;
mod metrics;
mod report;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use orca_messages::{Localize, Text, text};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::body::{self, ResponseBody};
use crate::listener::EXHAUSTED;
use report::Report;
pub(crate) use report::Sources;

/// Connections served at once; monitoring needs one or two.
const MAX_CONNECTIONS: usize = 32;
const HEADER_DEADLINE: Duration = Duration::from_secs(5);

/// The address of `GATEWAY_STATUS` cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub(crate) struct StatusError {
    address: SocketAddr,
    source: io::Error,
}

impl Localize for StatusError {
    fn id(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => "status-port-in-use",
            _ => "status-port-unusable",
        }
    }

    fn message(&self) -> Text {
        let Self { address, source } = self;
        text!(
            "GATEWAY_STATUSのアドレス{address}を使用できません({source})。",
            "cannot listen on {address} (GATEWAY_STATUS): {source}"
        )
    }

    fn remedy(&self) -> Text {
        text!(
            "orca-gatewayがすでに起動していないか確認するか、GATEWAY_STATUSに別のポートか none を設定してください。",
            "check that no other orca-gateway runs, or set GATEWAY_STATUS to another port or to none"
        )
    }
}

/// Binds the address; serving comes later.
///
/// # Errors
/// It is taken, or may not be used.
pub(crate) fn bind(address: SocketAddr) -> Result<std::net::TcpListener, StatusError> {
    std::net::TcpListener::bind(address)
        .and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        })
        .map_err(|source| StatusError { address, source })
}

/// Serves until the runtime ends.
///
/// # Errors
/// The listener cannot be used by the runtime.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    sources: Arc<Sources>,
) -> io::Result<Infallible> {
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            continue;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: others need them more.
            tokio::time::sleep(EXHAUSTED).await;
            continue;
        };
        let sources = Arc::clone(&sources);
        let service = service_fn(move |request| {
            let response = answer(&sources, &request);
            async move { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(async move {
            let _place = place;
            // A client that breaks off concerns nobody.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_DEADLINE)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn answer<B>(sources: &Sources, request: &Request<B>) -> Response<ResponseBody> {
    if !is_loopback(request) {
        // A page of elsewhere whose name was pointed at this machine (DNS rebinding).
        return plain(StatusCode::FORBIDDEN, "not a loopback host\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "");
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
        return response;
    }
    match request.uri().path() {
        "/healthz" if sources.is_listening() => plain(StatusCode::OK, "ok\n"),
        "/healthz" => plain(StatusCode::SERVICE_UNAVAILABLE, "not listening\n"),
        "/status" => respond(
            StatusCode::OK,
            "application/json",
            serde_json::to_string(&Report::new(sources)).unwrap_or_default() + "\n",
        ),
        "/metrics" => respond(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            metrics::render(&Report::new(sources)),
        ),
        _ => plain(StatusCode::NOT_FOUND, "/healthz /status /metrics\n"),
    }
}

fn is_loopback<B>(request: &Request<B>) -> bool {
    let Some(host) = request.headers().get(header::HOST) else {
        return request.version() == http::Version::HTTP_10;
    };
    Authority::try_from(host.as_bytes()).is_ok_and(|authority| {
        let host = authority.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    })
}

fn plain(status: StatusCode, text: &'static str) -> Response<ResponseBody> {
    respond(status, "text/plain; charset=utf-8", text)
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    content: impl Into<bytes::Bytes>,
) -> Response<ResponseBody> {
    let mut response = Response::new(body::full(content));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn get(uri: &str) -> Request<()> {
        let host = ("host", "localhost:9180");
        Request::get(uri).header(host.0, host.1).body(()).unwrap()
    }

    async fn text(response: Response<ResponseBody>) -> String {
        let octets = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(octets.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn health_follows_the_public_listener() {
        let (_folder, sources) = Sources::for_tests();
        assert_eq!(answer(&sources, &get("/healthz")).status(), 503);
        sources.meters.set_listening(true);
        let response = answer(&sources, &get("/healthz"));
        assert_eq!(response.status(), 200);
        assert_eq!(text(response).await, "ok\n");
        sources.meters.set_listening(false);
        assert_eq!(answer(&sources, &get("/healthz")).status(), 503);
    }

    #[test]
    fn only_reading_by_a_loopback_name_is_allowed() {
        let (_folder, sources) = Sources::for_tests();
        for (host, status) in [
            ("localhost", 200),
            ("LOCALHOST:9180", 200),
            ("127.0.0.1:9180", 200),
            ("127.1.2.3", 200),
            ("[::1]:9180", 200),
            ("evil.example", 403),
            ("localhost.evil.example", 403),
            ("192.168.1.1", 403),
            ("", 403),
        ] {
            let request = Request::get("/status").header("host", host).body(());
            let response = answer(&sources, &request.unwrap());
            assert_eq!(response.status(), status, "{host}");
        }
        let post = Request::post("/status")
            .header("host", "localhost")
            .body(());
        assert_eq!(answer(&sources, &post.unwrap()).status(), 405);
        assert_eq!(answer(&sources, &get("/")).status(), 404);
    }

    #[tokio::test]
    async fn status_is_json_and_metrics_are_text() {
        let (_folder, sources) = Sources::for_tests();
        sources
            .meters
            .refused(crate::identity::Cause::Revoked)
            .increment();
        let response = answer(&sources, &get("/status"));
        assert_eq!(response.headers()["content-type"], "application/json");
        let status: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(status["mode"], "http");
        assert_eq!(status["refusals"]["revoked"], 1);
        assert_eq!(status["certificate"], serde_json::Value::Null);
        let metrics = text(answer(&sources, &get("/metrics"))).await;
        assert!(metrics.contains("orca_gateway_refusals_total{cause=\"revoked\"} 1\n"));
    }

    #[test]
    fn a_taken_port_is_named() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = bind(first.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.id(), "status-port-in-use");
    }
}
