//! Requests that try to mean two things.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::proxy::{Application, Proxy, mirror, soon};

const CLOSE: &str = "Host: a\r\nConnection: close\r\n";

async fn status_of(request: &str) -> (String, usize) {
    let application = Application::start(mirror).await;
    let proxy = Proxy::start(application.address).await;
    let answer = proxy.raw(request).await;
    (
        answer.split(' ').nth(1).unwrap_or("none").to_owned(),
        application.connections(),
    )
}

#[tokio::test]
async fn requests_with_two_lengths_or_odd_codings_never_arrive() {
    for fields in [
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 3, 4\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Content-Length\r\n",
        "X: a\rb\r\n",
        "X: a\r\n folded\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\n{CLOSE}{fields}\r\nabc");
        assert_eq!(status_of(&request).await, ("400".into(), 0), "{fields:?}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(status_of(old).await, ("400".into(), 0));
}

#[tokio::test]
async fn requests_without_exactly_one_host_never_arrive() {
    for request in [
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
        "GET http://u@b/ HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
    ] {
        assert_eq!(status_of(request).await, ("400".into(), 0), "{request:?}");
    }
}

/// RFC 9112 §6.1: the coding wins, the length is dropped, the connection ends afterwards.
#[tokio::test]
async fn a_length_beside_a_coding_smuggles_no_second_request() {
    let application = Application::start(mirror).await;
    let proxy = Proxy::start(application.address).await;
    for fields in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    ] {
        let answer = proxy
            .raw(&format!(
                "POST /first HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\n\
                 GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            ))
            .await;
        assert!(answer.contains("POST /first"), "{answer}");
        assert!(!answer.contains("/smuggled"), "{answer}");
        assert!(!answer.contains("content-length: 6"), "{answer}");
    }
    let paths: Vec<_> = proxy
        .access_lines()
        .iter()
        .map(|line| line["path"].clone())
        .collect();
    assert_eq!(paths, ["/first", "/first"]);
}

#[tokio::test]
async fn a_body_on_a_get_is_framed_and_not_taken_for_a_request() {
    let application = Application::start(mirror).await;
    let proxy = Proxy::start(application.address).await;
    let answer = proxy
        .raw(&format!(
            "GET /a HTTP/1.1\r\n{CLOSE}Transfer-Encoding: chunked\r\n\r\n\
             5\r\nGET /\r\n0\r\n\r\n"
        ))
        .await;
    assert!(answer.contains("transfer-encoding: chunked"), "{answer}");
    assert!(answer.contains("5 octets"), "{answer}");
}

#[tokio::test]
async fn the_client_is_told_to_continue() {
    let application = Application::start(mirror).await;
    let proxy = Proxy::start(application.address).await;
    let mut stream = proxy.connect().await;
    let head =
        format!("POST / HTTP/1.1\r\n{CLOSE}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    soon(stream.read_exact(&mut told)).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains("4 octets"), "{answer}");
}
