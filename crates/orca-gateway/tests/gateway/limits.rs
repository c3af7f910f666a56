//! How many and how long, through the whole gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::pending;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::house::{House, Seen, Speaker, closed, keep_alive};
use super::proxy::{Application, soon, until};
use super::raw_http2::{Outcome, RawHttp2};
use super::websocket;
use crate::body;

async fn status(client: &Speaker, fields: &str) -> u16 {
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
    match client.say(&request).await {
        Seen::Answer(status, _) => status,
        Seen::Alert(alert) => panic!("{alert:?}"),
    }
}

/// Fields of 8 KiB each.
fn fields(kibibytes: usize) -> String {
    let value = "v".repeat(8 * 1024 - 10);
    (0..kibibytes / 8)
        .map(|number| format!("X-{number:03}: {value}\r\n"))
        .collect()
}

/// Twice as many handshakes as could be done: all were let in, and none was done in time.
#[tokio::test]
async fn whoever_is_inside_is_served_before_others_come_in() {
    const CROWD: usize = 14;
    let house = House::start("").await;
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let mut client = std::net::TcpStream::connect(house.address).unwrap();
            let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            std::io::Write::write_all(&mut client, request).unwrap();
            client
        })
        .collect();
    let first = crowd[0].try_clone().unwrap();
    first.set_nonblocking(true).unwrap();
    let mut first = TcpStream::from_std(first).unwrap();
    assert!(soon(first.read(&mut [0; 64])).await.unwrap() > 0);
    assert!(house.connections() < CROWD as u64);
    until(|| house.connections() == CROWD as u64).await;
}

#[tokio::test]
async fn header_fields_have_room_and_an_end() {
    let house = House::start("").await;
    let client = house.client(&house.ca.client(3));
    assert_eq!(status(&client, &fields(96)).await, 200);
    // HTTP/1.1 looks after each read; one that ends the head may take it to twice the limit.
    assert_eq!(status(&client, &fields(288)).await, 431);
    let many: String = (0..120)
        .map(|number| format!("X-{number}: 1\r\n"))
        .collect();
    assert_eq!(status(&client, &many).await, 431);
    let nobody = house.speaker(None, &rustls::version::TLS13);
    assert_eq!(status(&nobody, &fields(8)).await, 403);
    assert_eq!(status(&nobody, &fields(40)).await, 431);
    assert_eq!(house.hits(), 1);
    let unread = "not-forwarded 431";
    let lines = ["- 200", unread, unread, "no-certificate 403", unread];
    until(|| house.causes().len() == lines.len()).await;
    assert_eq!(house.causes(), lines);
}

#[tokio::test]
async fn header_fields_of_http2_have_room_and_an_end() {
    let house = House::start("").await;
    let client = house.client(&house.ca.client(3)).http2();
    for (kibibytes, status) in [(96, 200), (160, 431)] {
        let io = TokioIo::new(client.connect().await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                .await
                .unwrap();
        tokio::spawn(connection);
        let value = "v".repeat(8 * 1024 - 100);
        let request = (0..kibibytes / 8).fold(Request::get("https://a/"), |request, number| {
            request.header(format!("x-{number}"), &value)
        });
        let answer = sender.send_request(request.body(body::empty()).unwrap());
        assert_eq!(soon(answer).await.unwrap().status(), status, "{kibibytes}");
    }
    assert_eq!(house.hits(), 1);
}

#[tokio::test]
async fn a_connection_of_http2_has_128_requests_at_a_time() {
    let application = Application::start(|_| pending()).await;
    let house = House::before(&application, Arc::default(), "");
    let client = house.client(&house.ca.client(3));
    let mut raw = RawHttp2::connect(&client).await;
    assert_eq!(raw.setting(3).await, Some(128));
    let fields: [(&str, &[u8]); 4] = [
        (":method", b"GET"),
        (":scheme", b"https"),
        (":authority", b"a"),
        (":path", b"/"),
    ];
    for number in 0..=128 {
        raw.head(2 * number + 1, &fields, true).await;
    }
    const REFUSED_STREAM: u32 = 7;
    assert_eq!(raw.outcome(257).await, Outcome::Refused(REFUSED_STREAM));
    until(|| application.open() == 128).await;
}

#[tokio::test]
async fn an_address_has_so_many_connections() {
    let house = House::start("GATEWAY_MAX_CONNECTIONS_PER_ADDRESS=2").await;
    let client = house.client(&house.ca.client(3));
    let mut first = client.connect().await.unwrap();
    let mut second = client.connect().await.unwrap();
    for stream in [&mut first, &mut second] {
        assert!(keep_alive(stream).await.starts_with("HTTP/1.1 200"));
    }
    assert!(client.connect().await.is_err());
    house.told("[too-many-connections]").await;
    assert!(house.log().contains("has 2 connections"), "{}", house.log());
    drop(second);
    soon(async {
        while client.connect().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_handshake_has_its_time() {
    let house = House::start("GATEWAY_HANDSHAKE_TIMEOUT=1").await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    // The beginning of a ClientHello.
    stream.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
    let client = house.client(&house.ca.client(3));
    assert_eq!(status(&client, "").await, 200);
}

#[tokio::test]
async fn idle_connections_end_and_websockets_do_not() {
    let application = Application::start(websocket::echo).await;
    let house = House::before(&application, Arc::default(), "GATEWAY_IDLE_TIMEOUT=1");
    let client = house.client(&house.ca.client(3));
    let stream = client.connect().await.unwrap();
    let opened = tokio_tungstenite::client_async("wss://localhost/ws", stream);
    let (mut socket, _) = soon(opened).await.unwrap();
    // Longer than the limit, twice.
    for _ in 0..2 {
        let mut idle = client.connect().await.unwrap();
        closed(&mut idle).await;
    }
    socket.send(Message::text("受付")).await.unwrap();
    let echoed = soon(socket.next()).await.unwrap().unwrap();
    assert_eq!(echoed.to_text().unwrap(), "受付");
}

#[tokio::test]
async fn an_idle_connection_of_http2_is_asked_for_a_sign_of_life() {
    let house = House::start("GATEWAY_IDLE_TIMEOUT=1").await;
    let client = house.client(&house.ca.client(3));
    let mut raw = RawHttp2::connect(&client).await;
    assert!(raw.is_asked_for_life().await);
}

#[tokio::test]
async fn the_application_has_so_many_requests_and_the_rest_wait_or_are_told() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let application = Application::start(move |request| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            if request.uri().path() == "/ws" {
                return websocket::echo(request).await;
            }
            pending().await
        }
    })
    .await;
    let house = House::before(
        &application,
        Arc::default(),
        "GATEWAY_MAX_UPSTREAM_CONNECTIONS=1",
    );
    let client = house.client(&house.ca.client(3));
    // A WebSocket takes no place once it is open.
    let stream = client.connect().await.unwrap();
    let opened = tokio_tungstenite::client_async("wss://localhost/ws", stream);
    let (_socket, _) = soon(opened).await.unwrap();
    let mut slow = client.connect().await.unwrap();
    let request = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    slow.write_all(request).await.unwrap();
    until(|| asked.load(Ordering::SeqCst) == 2).await;
    let Seen::Answer(status, page) = client.get("/api/x").await else {
        panic!("an alert");
    };
    assert_eq!(status, 503);
    assert!(
        page.contains("\"E-111\"") && page.contains("upstream-busy"),
        "{page}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    // Its client gone, the place is free again.
    drop(slow);
    until(|| application.open() == 1).await;
    let mut next = client.connect().await.unwrap();
    next.write_all(request).await.unwrap();
    until(|| asked.load(Ordering::SeqCst) == 3).await;
}
