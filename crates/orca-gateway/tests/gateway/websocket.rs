//! WebSocket tunnels.

use futures_util::{SinkExt, StreamExt};
use http::Response;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::proxy::{Application, Proxy, mirror, soon, until};
use crate::body::{self, ResponseBody};

const ASK: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Grants a WebSocket and echoes its messages.
pub(super) async fn echo(
    mut request: http::Request<hyper::body::Incoming>,
) -> Response<ResponseBody> {
    let key = request.headers()["sec-websocket-key"].as_bytes().to_vec();
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let io = TokioIo::new(upgrade.await.unwrap());
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    });
    Response::builder()
        .status(101)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", derive_accept_key(&key))
        .body(body::empty())
        .unwrap()
}

#[tokio::test]
async fn messages_pass_both_ways_and_the_line_comes_at_the_end() {
    let application = Application::start(echo).await;
    let proxy = Proxy::start(application.address).await;
    let stream = proxy.connect().await;
    let (mut socket, response) = soon(tokio_tungstenite::client_async(
        "ws://a/ws?patient=1",
        stream,
    ))
    .await
    .unwrap();
    assert_eq!(response.status(), 101);
    for text in ["受付", "会計"] {
        socket.send(Message::text(text)).await.unwrap();
        let echoed = soon(socket.next()).await.unwrap().unwrap();
        assert_eq!(echoed.to_text().unwrap(), text);
    }
    assert_eq!(proxy.access_lines(), Vec::<serde_json::Value>::new());
    socket.close(None).await.unwrap();
    drop(socket);
    until(|| proxy.access_lines().len() == 1).await;
    let line = &proxy.access_lines()[0];
    assert_eq!(
        (&line["status"], &line["path"]),
        (&101.into(), &"/ws".into())
    );
}

#[tokio::test]
async fn a_tunnel_ends_when_its_client_must_go() {
    let application = Application::start(echo).await;
    let proxy = Proxy::start(application.address).await;
    let stream = proxy.connect().await;
    let (mut socket, _) = soon(tokio_tungstenite::client_async("ws://a/ws", stream))
        .await
        .unwrap();
    proxy.closing.cancel();
    assert!(!matches!(soon(socket.next()).await, Some(Ok(_))));
    until(|| proxy.access_lines().len() == 1).await;
}

/// An application that answers with `answer` and closes when the client does.
async fn raw_application(answer: &'static str) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            let _ = stream.write_all(&rest).await;
        }
    });
    address
}

#[tokio::test]
async fn octets_right_behind_the_101_are_handed_over_and_half_closes_pass() {
    let address = raw_application(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
    )
    .await;
    let proxy = Proxy::start(address).await;
    let mut stream = proxy.connect().await;
    let ask = format!("{ASK}hasty");
    stream.write_all(ask.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, octets) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert_eq!(octets, "earlyhasty");
}

#[tokio::test]
async fn only_the_protocol_that_was_asked_for_opens_a_tunnel() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nx",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\nx",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nx",
    ] {
        let proxy = Proxy::start(raw_application(answer).await).await;
        let told = proxy.raw(&ASK.replace("keep-alive", "close")).await;
        assert!(told.starts_with("HTTP/1.1 502"), "{answer}: {told}");
    }
    let granted =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nx";
    let proxy = Proxy::start(raw_application(granted).await).await;
    let told = proxy
        .raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert!(told.starts_with("HTTP/1.1 502"), "{told}");
}

#[tokio::test]
async fn other_protocols_are_not_offered_to_the_application() {
    let application = Application::start(mirror).await;
    let proxy = Proxy::start(application.address).await;
    for (method, protocol) in [
        ("GET", "h2c"),
        ("GET", "websocket, h2c"),
        ("POST", "websocket"),
    ] {
        let answer = proxy
            .raw(&format!(
                "{method} / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close, HTTP2-Settings\r\n\
                 HTTP2-Settings: x\r\nUpgrade: {protocol}\r\n\r\n"
            ))
            .await;
        let offers_websocket = protocol.starts_with("websocket") && method == "GET";
        assert_eq!(answer.contains("upgrade: websocket\n"), offers_websocket);
        assert!(!answer.contains("h2c"), "{answer}");
        assert!(!answer.contains("http2-settings"), "{answer}");
    }
}

#[tokio::test]
async fn a_refused_websocket_is_an_ordinary_response() {
    let application = Application::start(|_| async {
        Response::builder()
            .status(403)
            .body(body::full("no"))
            .unwrap()
    })
    .await;
    let proxy = Proxy::start(application.address).await;
    let told = proxy.raw(&ASK.replace("keep-alive", "close")).await;
    assert!(told.starts_with("HTTP/1.1 403"), "{told}");
    assert!(told.ends_with("no"), "{told}");
}
