//! HTTP/2 as a client speaks it (RFC 9113), by hyper.

use std::net::SocketAddr;

use anyhow::Context;
use anyhow::ensure;
use bytes::Bytes;
use http::Request;
use http::StatusCode;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use orca_e2e::site::SERVER_NAME;

use crate::client::Client;
use crate::load::Work;
use crate::origin;

/// Flow control windows as Chromium has them, in octets.
const STREAM_WINDOW: u32 = 6 << 20;
const CONNECTION_WINDOW: u32 = 15 << 20;

/// The sending half of a connection; a clone for each stream.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// Connects; the connection lives as long as a sender does.
pub(crate) async fn connect(client: &Client, server: SocketAddr) -> anyhow::Result<Sender> {
    let stream = client.connect(server).await?;
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(TokioIo::new(stream))
        .await
        .context("HTTP/2 preface")?;
    // Its error is told to whoever has a request under way.
    tokio::spawn(connection);
    Ok(sender)
}

/// One request; the answer must be a 200 of the right length.
pub(crate) async fn exchange(sender: &mut Sender, work: Work) -> anyhow::Result<()> {
    let (request, expected) = match work {
        Work::Get(length) => (request("GET", &length.to_string(), Bytes::new()), length),
        Work::Post(length) => {
            let body = Bytes::from(vec![b'x'; length]);
            (request("POST", "upload", body), origin::THANKS.len())
        }
    };
    sender.ready().await.context("not ready")?;
    let response = sender.send_request(request?).await.context("request")?;
    let status = response.status();
    ensure!(status == StatusCode::OK, "answered {status}");
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.context("body")?.data_ref().map_or(0, Bytes::len);
    }
    ensure!(length == expected, "{length} octets");
    Ok(())
}

fn request(method: &str, path: &str, body: Bytes) -> anyhow::Result<Request<Full<Bytes>>> {
    Ok(Request::builder()
        .method(method)
        .uri(format!("https://{SERVER_NAME}/{path}"))
        .header("user-agent", "orca-bench")
        .header("accept", "*/*")
        .body(Full::new(body))?)
}
