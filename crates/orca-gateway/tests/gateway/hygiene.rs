//! HTTP hygiene through the whole gateway, with a certificate: one test for each way to make a
//! request mean two things.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::house::{House, Seen, Speaker};
use super::proxy::{Application, mirror, soon, text, until};
use super::raw_http2::{Outcome, RawHttp2};
use crate::body::{self, BoxError, ResponseBody};

const CLOSE: &str = "Host: weborca:8000\r\nConnection: close\r\n";

/// A client with certificate 3, and what the application sees of it.
struct Scene {
    house: House,
    client: Speaker,
    application: Application,
    /// Requests that reached the application to their end.
    whole: Arc<AtomicUsize>,
}

impl Scene {
    async fn new() -> Self {
        let whole = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&whole);
        let application = Application::start(move |request| {
            let counter = Arc::clone(&counter);
            async move { witnessed(request, &counter).await }
        })
        .await;
        let house = House::before(&application, Arc::default(), "");
        let client = house.client(&house.ca.client(3));
        Self {
            house,
            client,
            application,
            whole,
        }
    }

    async fn say(&self, request: &str) -> (u16, String) {
        match self.client.say(request).await {
            Seen::Answer(status, content) => (status, content),
            Seen::Alert(alert) => panic!("{alert:?}"),
        }
    }

    /// Every one of these gets 400 and nothing arrives.
    async fn refuses(&self, requests: &[String]) {
        for request in requests {
            assert_eq!(self.say(request).await.0, 400, "{request:?}");
        }
        assert_eq!(self.application.connections(), 0);
    }

    fn whole(&self) -> usize {
        self.whole.load(Ordering::SeqCst)
    }
}

async fn witnessed(request: Request<Incoming>, whole: &AtomicUsize) -> Response<ResponseBody> {
    let answer = mirror(request).await;
    let (head, body) = answer.into_parts();
    let shown = body.collect().await.unwrap().to_bytes();
    if shown != "aborted" {
        whole.fetch_add(1, Ordering::SeqCst);
    }
    Response::from_parts(head, body::full(shown))
}

async fn http2<B>(speaker: &Speaker) -> SendRequest<B>
where
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let stream = speaker.clone().http2().connect().await.unwrap();
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn length_beside_coding() {
    let scene = Scene::new().await;
    for fields in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    ] {
        // RFC 9112 §6.1: the coding counts, and the connection ends with this request.
        let request = format!(
            "POST /first HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\n\
             GET /second HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let (status, shown) = scene.say(&request).await;
        assert_eq!(status, 200);
        assert!(shown.contains("\n0 octets"), "{shown}");
        assert!(!shown.contains("content-length: 6"), "{shown}");
        assert!(!shown.contains("HTTP/1.1"), "a second answer: {shown}");
    }
    assert_eq!(scene.whole(), 2);
}

#[tokio::test]
async fn two_lengths() {
    let scene = Scene::new().await;
    let request = |fields: &str| format!("POST / HTTP/1.1\r\n{CLOSE}{fields}\r\nabc");
    scene
        .refuses(&[
            request("Content-Length: 3\r\nContent-Length: 4\r\n"),
            request("Content-Length: 3, 4\r\n"),
            request("Content-Length: 3, 3\r\n"),
        ])
        .await;
    // The same twice is one (RFC 9112 §6.3).
    let twice = request("Content-Length: 3\r\nContent-Length: 3\r\n");
    let (status, shown) = scene.say(&twice).await;
    assert_eq!(status, 200);
    assert_eq!(shown.matches("content-length: 3\n").count(), 1, "{shown}");
}

#[tokio::test]
async fn bare_line_feeds() {
    let scene = Scene::new().await;
    // RFC 9112 §2.2 lets them end a line; the application gets lines of its own making.
    let (status, shown) = scene
        .say("GET /a HTTP/1.1\nHost: a\nX-One: 1\nConnection: close\n\n")
        .await;
    assert_eq!(status, 200);
    assert!(shown.contains("x-one: 1\n"), "{shown}");
    // Not in chunks: there others count differently.
    for chunks in [
        "1\nx\n0\n\n",
        "1;a\nb\r\nx\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\n{CLOSE}Transfer-Encoding: chunked\r\n\r\n");
        let (status, _) = scene.say(&(request + chunks)).await;
        assert_eq!(status, 400, "{chunks:?}");
    }
    assert_eq!(scene.whole(), 1);
}

#[tokio::test]
async fn folded_fields() {
    let fold = |name| format!("GET / HTTP/1.1\r\n{CLOSE}{name}: a\r\n\tb\r\n\r\n");
    let scene = Scene::new().await;
    scene
        .refuses(&[fold("X"), fold("Transfer-Encoding"), fold("Content-Length")])
        .await;
}

#[tokio::test]
async fn absolute_target_against_host() {
    let scene = Scene::new().await;
    let request = "GET https://right:8000/x?y HTTP/1.1\r\nHost: wrong\r\nConnection: close\r\n\r\n";
    let (status, shown) = scene.say(request).await;
    assert_eq!(status, 200);
    assert!(shown.starts_with("GET /x?y\n"), "{shown}");
    assert!(shown.contains("\nhost: right:8000\n"), "{shown}");
    assert!(
        shown.contains("\nx-forwarded-host: right:8000\n"),
        "{shown}"
    );
    assert!(!shown.contains("wrong"), "{shown}");
    let mut raw = RawHttp2::connect(&scene.client).await;
    let fields = [get("/"), vec![("host", b"wrong".as_slice())]].concat();
    raw.head(1, &fields, true).await;
    raw.outcome(1).await;
    until(|| scene.house.causes().len() == 2).await;
    assert_eq!(scene.house.causes()[1], "not-forwarded 400");
}

#[tokio::test]
async fn connect_and_trace() {
    let scene = Scene::new().await;
    for request in ["CONNECT 10.0.0.1:22", "TRACE /", "TRACE *"] {
        let (status, _) = scene
            .say(&format!("{request} HTTP/1.1\r\n{CLOSE}\r\n"))
            .await;
        assert_eq!(status, 405, "{request}");
    }
    let mut client = http2(&scene.client).await;
    for (method, target) in [
        (Method::CONNECT, "10.0.0.1:22"),
        (Method::TRACE, "https://a/"),
    ] {
        let mut request = Request::new(body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().unwrap();
        let answer = soon(client.send_request(request)).await.unwrap();
        assert_eq!(answer.status(), 405, "{target}");
    }
    assert_eq!(scene.application.connections(), 0);
    let lines = ["not-forwarded 405"; 5];
    until(|| scene.house.causes().len() == lines.len()).await;
    assert_eq!(scene.house.causes(), lines);
}

#[tokio::test]
async fn upgrades_to_anything_but_websocket() {
    let scene = Scene::new().await;
    for protocol in ["h2c", "TLS/1.0", "connect-udp", "websockets"] {
        let (status, shown) = scene
            .say(&format!(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade, HTTP2-Settings\r\n\
                 HTTP2-Settings: AAMAAABk\r\nUpgrade: {protocol}\r\n\r\n"
            ))
            .await;
        assert_eq!(status, 200);
        for name in ["upgrade", "http2-settings", "connection"] {
            assert!(!shown.contains(&format!("\n{name}:")), "{shown}");
        }
    }
}

fn get(path: &'static str) -> Vec<(&'static str, &'static [u8])> {
    vec![
        (":method", b"GET"),
        (":scheme", b"https"),
        (":authority", b"weborca:8000"),
        (":path", path.as_bytes()),
    ]
}

#[tokio::test]
async fn http2_fields_with_line_ends_and_nul() {
    let scene = Scene::new().await;
    let bad: [(&str, &[u8]); 12] = [
        ("x-a", b"1\r\nX-Client-Cert-Serial: 1"),
        ("x-a", b"1\n"),
        ("x-a", b"\r1"),
        ("x-a", b"a\0b"),
        ("x-a\r\nx-b", b"1"),
        ("x-a\n", b"1"),
        ("x-a\0", b"1"),
        ("x a", b"1"),
        ("X-A", b"1"),
        ("x-a:", b"1"),
        ("transfer-encoding", b"chunked"),
        ("connection", b"x-a"),
    ];
    for field in bad {
        let mut raw = RawHttp2::connect(&scene.client).await;
        raw.head(1, &[get("/"), vec![field]].concat(), true).await;
        let outcome = raw.outcome(1).await;
        assert!(matches!(outcome, Outcome::Refused(_)), "{field:?}");
    }
    for path in ["/a\r\nHost: b", "/a HTTP/1.1", "/\0", "", "a"] {
        let mut raw = RawHttp2::connect(&scene.client).await;
        raw.head(1, &get(path), true).await;
        let outcome = raw.outcome(1).await;
        assert!(matches!(outcome, Outcome::Refused(_)), "{path:?}");
    }
    assert_eq!(scene.application.connections(), 0);
}

#[tokio::test]
async fn http2_data_that_differs_from_the_length() {
    let scene = Scene::new().await;
    let mut raw = RawHttp2::connect(&scene.client).await;
    for (stream, octets) in [(1, "abcd"), (3, "ab"), (5, "")] {
        let mut fields = get("/");
        fields[0].1 = b"POST";
        fields.push(("content-length", b"3"));
        raw.head(stream, &fields, false).await;
        raw.data(stream, octets.as_bytes(), true).await;
        assert_eq!(raw.outcome(stream).await, Outcome::Refused(1), "{octets:?}");
    }
    let mut fields = get("/");
    fields[0].1 = b"POST";
    fields.push(("content-length", b"3"));
    raw.head(7, &fields, true).await;
    assert_eq!(raw.outcome(7).await, Outcome::Refused(1));
    until(|| scene.application.open() == 0).await;
    assert_eq!(scene.whole(), 0);
}

#[tokio::test]
async fn trailers() {
    let scene = Scene::new().await;
    let names = [
        "x-client-cert-serial",
        "x_forwarded_for",
        "host",
        "content-length",
        "transfer-encoding",
        "authorization",
        "cookie",
    ];
    let bad: String = names.iter().map(|name| format!("{name}: 1\r\n")).collect();
    let (status, shown) = scene
        .say(&format!(
            "POST / HTTP/1.1\r\n{CLOSE}Transfer-Encoding: chunked\r\n\
             Trailer: {}, x-sum\r\n\r\n1\r\nx\r\n0\r\n{bad}X-Sum: 1\r\n\r\n",
            names.join(", ")
        ))
        .await;
    assert_eq!(status, 200);
    let kept: Vec<_> = shown
        .lines()
        .filter(|line| line.starts_with("trailer "))
        .collect();
    assert_eq!(kept, ["trailer x-sum: 1"]);

    let trailers: HeaderMap = ["x-client-cert-serial", "x-forwarded-for", "cookie", "x-sum"]
        .map(|name| (name.parse().unwrap(), HeaderValue::from_static("1")))
        .into_iter()
        .collect();
    let frames = [
        Frame::data(Bytes::from_static(b"x")),
        Frame::trailers(trailers),
    ];
    let frames = futures_util::stream::iter(frames.map(Ok::<_, BoxError>));
    let request = Request::post("https://weborca:8000/")
        .header(
            "trailer",
            "x-client-cert-serial, x-forwarded-for, cookie, x-sum",
        )
        .body(StreamBody::new(frames));
    let answer = http2(&scene.client).await.send_request(request.unwrap());
    let (_, shown) = text(soon(answer).await.unwrap()).await;
    let kept: Vec<_> = shown
        .lines()
        .filter(|line| line.starts_with("trailer "))
        .collect();
    assert_eq!(kept, ["trailer x-sum: 1"]);
}

fn serials(shown: &str) -> Vec<&str> {
    let is_serial = |line: &&str| line.replace('_', "-").starts_with("x-client-cert-serial");
    shown.lines().filter(is_serial).collect()
}

#[tokio::test]
async fn our_field_named_by_connection() {
    let scene = Scene::new().await;
    for connection in [
        "close, X-Client-Cert-Serial",
        "close\r\nConnection: x-client-cert-serial, X-Forwarded-For, Host, Content-Length",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n");
        let (_, shown) = scene.say(&request).await;
        assert_eq!(serials(&shown), ["x-client-cert-serial: 3"], "{shown}");
        assert!(shown.contains("x-forwarded-for: 127.0.0.1\n"), "{shown}");
        assert!(shown.contains("host: a\n"), "{shown}");
    }
}

#[tokio::test]
async fn our_field_with_underscores() {
    let scene = Scene::new().await;
    for name in [
        "X_Client_Cert_Serial",
        "X-Client_Cert-Serial",
        "x-client-cert-serial",
        "X_CLIENT_CERT_SERIAL",
    ] {
        let (_, shown) = scene
            .say(&format!("GET / HTTP/1.1\r\n{CLOSE}{name}: 1\r\n\r\n"))
            .await;
        assert_eq!(serials(&shown), ["x-client-cert-serial: 3"], "{shown}");
    }
}

#[tokio::test]
async fn a_connection_with_half_a_request_is_not_used_again() {
    let scene = Scene::new().await;
    let mut stream = scene.client.connect().await.unwrap();
    let half = "POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nGET /next HTTP/1.1\r\n";
    stream.write_all(half.as_bytes()).await.unwrap();
    until(|| scene.application.connections() == 1).await;
    drop(stream);
    until(|| scene.application.open() == 0).await;

    let mut raw = RawHttp2::connect(&scene.client).await;
    let mut fields = get("/half");
    fields[0].1 = b"POST";
    raw.head(1, &fields, false).await;
    raw.data(1, b"x", false).await;
    until(|| scene.application.connections() == 2).await;
    raw.cancel(1).await;
    until(|| scene.application.open() == 0).await;
    raw.head(3, &get("/whole"), true).await;
    assert_eq!(raw.outcome(3).await, Outcome::Answered);
    assert_eq!((scene.whole(), scene.application.connections()), (1, 3));
}

#[tokio::test]
async fn half_an_answer_is_not_passed_off_as_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let framing = if request[..length].starts_with(b"GET /chunks") {
                "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
            } else {
                "Content-Length: 10\r\n\r\nhello"
            };
            let answer = format!("HTTP/1.1 200 OK\r\n{framing}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let house = House::before_address(address, "");
    let client = house.client(&house.ca.client(3));
    for path in ["/chunks", "/length"] {
        let mut stream = client.connect().await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(!answer.contains("\r\n0\r\n"), "{answer}");
        let request = Request::get(format!("https://a{path}")).body(body::empty());
        let answer = http2(&client).await.send_request(request.unwrap());
        let body = soon(answer).await.unwrap().into_body().collect();
        assert!(soon(body).await.is_err(), "{path}");
    }
}
