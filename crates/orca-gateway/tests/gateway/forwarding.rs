//! What passes between client and application, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::pending;
use http::{Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::proxy::{Application, Proxy, echo, mirror, soon, text, until, whole};
use crate::body::{self, BoxError};

type Chunks = mpsc::UnboundedSender<Bytes>;

/// A body that a test feeds chunk by chunk.
fn fed() -> (
    Chunks,
    impl http_body::Body<Data = Bytes, Error = BoxError> + Send + Unpin,
) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Bytes>();
    let stream = futures_util::stream::poll_fn(move |cx| {
        receiver
            .poll_recv(cx)
            .map(|chunk| chunk.map(|chunk| Ok::<_, BoxError>(Frame::data(chunk))))
    });
    (sender, StreamBody::new(stream))
}

#[tokio::test]
async fn spoofed_fields_never_arrive() {
    let application = Application::start(mirror).await;
    let proxy = Proxy::start(application.address).await;
    let answer = proxy
        .raw(
            "GET /x?y=1 HTTP/1.1\r\nHost: weborca-server:8000\r\nConnection: close, X-Secret\r\n\
             X-Secret: 1\r\nX-Client-Cert-Serial: 3\r\nX_Client_Cert_Serial: 3\r\n\
             x-forwarded-for: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\n\
             Authorization: Basic b3JtYTp4\r\n\r\n",
        )
        .await;
    let (_, shown) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = shown.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "0 octets",
            "GET /x?y=1",
            "authorization: Basic b3JtYTp4",
            "host: weborca-server:8000",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: weborca-server:8000",
            "x-forwarded-proto: http",
        ]
    );
}

#[tokio::test]
async fn spoofed_trailers_never_arrive() {
    let application = Application::start(mirror).await;
    let proxy = Proxy::start(application.address).await;
    let answer = proxy
        .raw(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
             Trailer: X-Sum, X-Client-Cert-Serial\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\
             X-Client-Cert-Serial: 3\r\n\r\n",
        )
        .await;
    assert!(answer.contains("trailer x-sum: 1"), "{answer}");
    assert!(!answer.contains("trailer x-client"), "{answer}");
}

#[tokio::test]
async fn http2_arrives_as_http1_with_host_and_one_cookie() {
    let application = Application::start(mirror).await;
    let proxy = Proxy::start(application.address).await;
    let request = Request::post("http://weborca-server:8000/x")
        .version(Version::HTTP_2)
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(whole("body"))
        .unwrap();
    let response = soon(proxy.http2().await.send_request(request)).await;
    let (status, shown) = text(response.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        "POST /x\n",
        "host: weborca-server:8000\n",
        "cookie: a=1; b=2\n",
        "content-length: 4\n",
        "4 octets\n",
    ] {
        assert!(shown.contains(line), "{line:?} in {shown}");
    }
}

async fn streams_both_ways<S, F>(send: S)
where
    S: FnOnce(Request<body::ResponseBody>) -> F,
    F: Future<Output = Response<hyper::body::Incoming>>,
{
    let (chunks, body) = fed();
    let request = Request::post("http://weborca-server/echo")
        .header("host", "weborca-server")
        .body(body.boxed_unsync())
        .unwrap();
    chunks.send(Bytes::from_static(b"1")).unwrap();
    let mut response = soon(send(request)).await.into_body();
    // Each chunk goes out only after the one before has come back.
    for expected in ["1", "2", "3"] {
        let frame = soon(response.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), expected);
        let next = expected.parse::<u8>().unwrap() + 1;
        chunks.send(Bytes::from(next.to_string())).unwrap();
    }
    drop(chunks);
    assert_eq!(soon(response.collect()).await.unwrap().to_bytes(), "4");
}

#[tokio::test]
async fn bodies_stream_both_ways_over_http1() {
    let application = Application::start(echo).await;
    let proxy = Proxy::start(application.address).await;
    let mut client = proxy.http1().await;
    streams_both_ways(|request| async move { client.send_request(request).await.unwrap() }).await;
}

#[tokio::test]
async fn bodies_stream_both_ways_over_http2() {
    let application = Application::start(echo).await;
    let proxy = Proxy::start(application.address).await;
    let mut client = proxy.http2().await;
    streams_both_ways(|request| async move { client.send_request(request).await.unwrap() }).await;
}

#[tokio::test]
async fn connections_to_the_application_are_kept() {
    let application = Application::start(mirror).await;
    let proxy = Proxy::start(application.address).await;
    for _ in 0..5 {
        assert_eq!(proxy.get("/").await.0, StatusCode::OK);
    }
    assert_eq!(application.connections(), 1);
}

#[tokio::test]
async fn an_aborted_upload_ends_the_connection_to_the_application() {
    let application = Application::start(mirror).await;
    let proxy = Proxy::start(application.address).await;
    for head in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let before = application.connections();
        let mut stream = proxy.connect().await;
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n4\r\nx");
        stream.write_all(request.as_bytes()).await.unwrap();
        until(|| application.connections() == before + 1).await;
        drop(stream);
        until(|| application.open() == 0).await;
    }
    assert_eq!(proxy.get("/").await.0, StatusCode::OK);
    assert_eq!(application.connections(), 3);
}

#[tokio::test]
async fn a_client_that_stops_waiting_is_noticed_by_the_application() {
    let application = Application::start(|_| pending()).await;
    let proxy = Proxy::start(application.address).await;
    let mut stream = proxy.connect().await;
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    until(|| application.open() == 1).await;
    drop(stream);
    until(|| application.open() == 0).await;
    let lines = proxy.access_lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["path"], "/slow");
    assert!(lines[0]["status"].is_null());
}

#[tokio::test]
async fn a_client_that_leaves_a_download_ends_the_connection_to_the_application() {
    let application = Application::start(|_| async {
        let endless = futures_util::stream::repeat_with(|| {
            Ok::<_, BoxError>(Frame::data(Bytes::from_static(&[0; 65536])))
        });
        Response::new(StreamBody::new(endless).boxed_unsync())
    })
    .await;
    let proxy = Proxy::start(application.address).await;
    let mut stream = proxy.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    soon(stream.read_exact(&mut [0; 100_000])).await.unwrap();
    drop(stream);
    until(|| application.open() == 0).await;
    assert_eq!(proxy.access_lines()[0]["status"], 200);
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_upload_arrives_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let early =
                b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge";
            stream.write_all(early).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    });
    let proxy = Proxy::start(address).await;
    let mut client = proxy.http2().await;
    for _ in 0..20 {
        let (chunks, body) = fed();
        for _ in 0..200 {
            chunks.send(Bytes::from_static(&[0; 16384])).unwrap();
        }
        let request = Request::post("http://a/").body(body).unwrap();
        let answer = text(soon(client.send_request(request)).await.unwrap()).await;
        assert_eq!(answer, (StatusCode::PAYLOAD_TOO_LARGE, "large".to_owned()));
        drop(chunks);
    }
}

/// The rest of the upload meets a reset, whatever has been sent by then.
#[tokio::test]
async fn an_answer_before_a_reset_arrives_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 64]).await;
            let early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge";
            stream.write_all(early).await.unwrap();
            // Closed with octets unread: the kernel resets the connection.
        }
    });
    let proxy = Proxy::start(address).await;
    let mut client = proxy.http2().await;
    for _ in 0..20 {
        let (chunks, body) = fed();
        for _ in 0..200 {
            chunks.send(Bytes::from_static(&[0; 16384])).unwrap();
        }
        let request = Request::post("http://a/").body(body).unwrap();
        let answer = text(soon(client.send_request(request)).await.unwrap()).await;
        assert_eq!(answer, (StatusCode::PAYLOAD_TOO_LARGE, "large".to_owned()));
        drop(chunks);
    }
}

/// An application that answers `answers` requests on a connection and closes it upon the next one,
/// as if its patience had ended just then. Counts the requests it read.
async fn impatient(answers: usize) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            for answered in 0..=answers {
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                counter.fetch_add(1, Ordering::SeqCst);
                if answered < answers {
                    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    stream.write_all(ok).await.unwrap();
                }
            }
        }
    });
    (address, requests)
}

#[tokio::test]
async fn a_safe_request_survives_a_connection_that_closes_under_it() {
    let (address, requests) = impatient(1).await;
    let proxy = Proxy::start(address).await;
    assert_eq!(proxy.get("/").await.0, StatusCode::OK);
    assert_eq!(proxy.get("/").await.0, StatusCode::OK);
    assert_eq!(requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_request_the_application_may_have_acted_on_is_not_sent_twice() {
    let (address, requests) = impatient(1).await;
    let proxy = Proxy::start(address).await;
    assert_eq!(proxy.get("/").await.0, StatusCode::OK);
    let answer = proxy
        .raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let closed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&closed);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(ok).await.unwrap();
            drop(stream);
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let proxy = Proxy::start(address).await;
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for round in 1..=3 {
        assert!(proxy.raw(post).await.starts_with("HTTP/1.1 200"));
        until(|| closed.load(Ordering::SeqCst) == round).await;
    }
}

#[tokio::test]
async fn an_application_that_is_down_is_502_with_its_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let proxy = Proxy::start(address).await;
    assert_eq!(proxy.get("/a?b").await.0, StatusCode::BAD_GATEWAY);
    let line = &proxy.access_lines()[0];
    assert_eq!(line["cause"], "upstream-down");
    assert_eq!(line["status"], 502);
    assert_eq!(line["path"], "/a");
    assert_eq!(line["client"]["address"], "127.0.0.1");
}

#[tokio::test]
async fn our_paths_and_tunnels_to_anywhere_never_arrive() {
    let application = Application::start(mirror).await;
    let proxy = Proxy::start(application.address).await;
    for (request, status) in [
        ("GET /.orca-gateway/choose", "404"),
        ("POST /.orca%2Dgateway/choose", "404"),
        ("CONNECT 10.0.0.1:22", "405"),
        ("TRACE /", "405"),
    ] {
        let answer = proxy
            .raw(&format!(
                "{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    assert_eq!(application.connections(), 0);
}

#[tokio::test]
async fn responses_without_a_body_keep_their_fields() {
    let application = Application::start(|request| async move {
        let status = match request.uri().path() {
            "/204" => 204,
            "/304" => 304,
            _ => 200,
        };
        let body = if request.method() == "HEAD" || status != 200 {
            body::empty()
        } else {
            body::full("12345")
        };
        let mut response = Response::builder().status(status).header("etag", "\"x\"");
        if status != 204 {
            response = response.header("content-length", "5");
        }
        response.body(body).unwrap()
    })
    .await;
    let proxy = Proxy::start(application.address).await;
    let head = |line: &str| format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = proxy.raw(&head("HEAD /")).await;
    assert!(answer.contains("content-length: 5\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = proxy.raw(&head("GET /204")).await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(!answer.contains("content-length"), "{answer}");
    let answer = proxy.raw(&head("GET /304")).await;
    assert!(answer.starts_with("HTTP/1.1 304"), "{answer}");
    assert!(answer.contains("etag: \"x\""), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(application.connections(), 1);
}
