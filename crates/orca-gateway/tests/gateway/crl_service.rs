//! Revocation lists that are sent to the gateway and fetched from it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use orca_pki::crl;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::forge::Ca;
use super::house::{House, Seen, Speaker, closed, keep_alive};
use super::proxy::soon;

const PATH: &str = "/.well-known/orca-mtls/crl";
const STRICT: &str = "GATEWAY_CLIENT_AUTH=strict";

/// A program without certificate, as it comes in `explain`.
fn nobody(house: &House) -> Speaker {
    house.speaker(None, &TLS13)
}

/// The same with the protocol that asks for lists only.
fn courier(house: &House) -> Speaker {
    nobody(house).offering(&[b"orca-mtls-crl", b"http/1.1"])
}

fn put(list: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "PUT {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        list.len()
    )
    .into_bytes();
    request.extend_from_slice(list);
    request
}

/// An answer in its parts.
#[derive(Debug)]
struct Raw {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
}

impl Raw {
    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(field, _)| field == name)?;
        Some(value)
    }
}

/// Says something on a connection of its own and reads until the server closes it.
async fn raw(speaker: &Speaker, request: &[u8]) -> Raw {
    let mut stream = speaker.connect().await.unwrap();
    // Whoever is refused early finds the connection closed; the answer is there all the same.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("no answer");
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    Raw {
        status: status.parse().unwrap(),
        fields: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}

async fn push(speaker: &Speaker, list: &str) -> u16 {
    raw(speaker, &put(list.as_bytes())).await.status
}

async fn get(speaker: &Speaker, fields: &str) -> Raw {
    ask(speaker, "GET", fields).await
}

async fn ask(speaker: &Speaker, method: &str, fields: &str) -> Raw {
    let request =
        format!("{method} {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n");
    raw(speaker, request.as_bytes()).await
}

#[tokio::test]
async fn a_list_that_was_sent_counts_at_once() {
    let house = House::start("").await;
    let (lost, kept) = (house.ca.client(3), house.ca.client(4));
    let (lost, kept) = (house.client(&lost), house.client(&kept));
    let mut theirs = lost.connect().await.unwrap();
    let mut ours = kept.connect().await.unwrap();
    keep_alive(&mut theirs).await;
    keep_alive(&mut ours).await;
    assert_eq!(push(&nobody(&house), &house.ca.crl(1, &[3])).await, 204);
    closed(&mut theirs).await;
    assert!(keep_alive(&mut ours).await.starts_with("HTTP/1.1 200"));
    assert!(matches!(lost.get("/").await, Seen::Answer(403, _)));
    assert_eq!(house.hits(), 3);
}

#[tokio::test]
async fn the_same_list_again_is_no_failure() {
    let house = House::start("").await;
    let list = house.ca.crl(1, &[3]);
    for _ in 0..30 {
        assert_eq!(push(&nobody(&house), &list).await, 204);
    }
    let der = crl::split(list.as_bytes()).unwrap().remove(0);
    assert_eq!(raw(&nobody(&house), &put(&der)).await.status, 204);
    assert_eq!(house.log().matches("[crl-taken]").count(), 1);
}

#[tokio::test]
async fn who_cannot_be_believed_gets_one_answer() {
    let house = House::start("").await;
    let good = house.ca.crl(5, &[3]);
    assert_eq!(push(&nobody(&house), &good).await, 204);
    let (stranger, double) = (Ca::new("stranger"), Ca::new("orca CA 1A2B3C4D"));
    let mut cut = house.ca.crl(9, &[]);
    cut.truncate(cut.len() / 2);
    for (list, reason) in [
        ("garbage".to_owned(), "unusable"),
        (String::new(), "unusable"),
        (stranger.crl(9, &[]), "unusable"),
        (double.crl(9, &[]), "unusable"),
        (house.ca.crl(4, &[]), "older"),
        (house.ca.crl(5, &[3, 4]), "twin"),
        (cut, "unusable"),
    ] {
        let answer = raw(&nobody(&house), &put(list.as_bytes())).await;
        let shown = (answer.status, answer.body.as_str());
        assert_eq!(shown, (403, "not taken\n"), "{reason}");
        assert_eq!(answer.field("connection"), Some("close"));
        let names: Vec<_> = answer
            .fields
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let usual = ["content-type", "connection", "content-length", "date"];
        assert_eq!(names, usual, "{reason}");
    }
    assert!(house.log().contains("older than 5"), "{}", house.log());
    let fetched = get(&nobody(&house), "").await;
    assert_eq!(fetched.body, normal(&good));
    assert_eq!(house.hits(), 0);
}

/// PEM as we write it.
fn normal(pem: &str) -> String {
    let lists = crl::split(pem.as_bytes()).unwrap();
    let lists = lists.iter();
    lists
        .map(|der| orca_pki::certificate::pem("X509 CRL", der))
        .collect()
}

#[tokio::test]
async fn the_newest_lists_are_served_to_everybody() {
    let house = House::start("").await;
    assert_eq!(get(&nobody(&house), "").await.status, 404);
    let first = house.ca.crl(1, &[3]);
    push(&nobody(&house), &first).await;
    let fetched = get(&nobody(&house), "").await;
    assert_eq!(fetched.body, normal(&first));
    assert_eq!(
        fetched.field("content-type"),
        Some("application/x-pem-file")
    );
    assert_eq!(fetched.field("cache-control"), Some("no-cache"));
    let tag = fetched.field("etag").unwrap().to_owned();
    let known = format!("If-None-Match: {tag}\r\n");
    let unchanged = get(&nobody(&house), &known).await;
    assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));
    let head = ask(&nobody(&house), "HEAD", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let length = fetched.body.len().to_string();
    assert_eq!(head.field("content-length"), Some(length.as_str()));
    // A list from the file is served like one that was sent.
    house.revoke(2, &[3, 4]).await;
    soon(async { while get(&nobody(&house), &known).await.status != 200 {} }).await;
}

#[tokio::test]
async fn other_methods_and_spellings_lead_nowhere() {
    let house = House::start("").await;
    let user = house.ca.client(3);
    for speaker in [nobody(&house), house.client(&user), courier(&house)] {
        for method in ["POST", "DELETE", "PATCH", "OPTIONS"] {
            let answer = ask(&speaker, method, "").await;
            assert_eq!(answer.status, 405, "{method}");
            assert_eq!(answer.field("allow"), Some("GET, HEAD, PUT"));
        }
    }
    for path in ["/.well-known/orca-mtls/", "//.well-known/orca-mtls/crl"] {
        let seen = house.client(&user).get(path).await;
        assert!(matches!(seen, Seen::Answer(404, _)), "{path} {seen:?}");
    }
    assert_eq!(house.hits(), 0);
}

#[tokio::test]
async fn strict_lets_couriers_in_for_lists_only() {
    let house = House::start(STRICT).await;
    let courier = courier(&house);
    assert_eq!(push(&courier, &house.ca.crl(1, &[3])).await, 204);
    assert_eq!(get(&courier, "").await.status, 200);
    for path in ["/", "/api/", "/.orca-gateway/choose", "/x.crl"] {
        let seen = courier.get(path).await;
        assert!(matches!(seen, Seen::Answer(404, _)), "{path} {seen:?}");
    }
    // Nor does a certificate count there, and nobody is asked for one.
    let user = house.ca.client(4);
    let user = house.client(&user).offering(&[b"orca-mtls-crl"]);
    let seen = user.get("/").await;
    assert!(matches!(seen, Seen::Answer(404, _)), "{seen:?}");
    assert_eq!(house.hits(), 0);
    let causes = house.causes();
    assert_eq!(causes.len(), 7, "{causes:?}");
    assert_eq!(causes[..2], ["- 204", "- 200"]);
    // The others are refused as ever.
    let seen = nobody(&house).get(PATH).await;
    assert!(matches!(seen, Seen::Alert(_)), "{seen:?}");
}

#[tokio::test]
async fn both_versions_of_tls_and_of_http_deliver() {
    let house = House::start("").await;
    let user = house.ca.client(4);
    let old = house.speaker(None, &TLS12);
    assert_eq!(push(&old, &house.ca.crl(1, &[])).await, 204);
    let old = old.offering(&[b"orca-mtls-crl"]);
    assert_eq!(push(&old, &house.ca.crl(2, &[])).await, 204);
    for (number, speaker) in [(3, nobody(&house)), (4, house.client(&user))] {
        let stream = speaker.http2().connect().await.unwrap();
        let io = TokioIo::new(stream);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                .await
                .unwrap();
        tokio::spawn(connection);
        let list = house.ca.crl(number, &[]);
        let uri = format!("https://localhost{PATH}");
        let request = http::Request::put(&uri).body(Full::new(Bytes::from(list)));
        let answer = soon(sender.send_request(request.unwrap())).await.unwrap();
        assert_eq!(answer.status(), 204);
        let request = http::Request::head(&uri).body(Full::default()).unwrap();
        let answer = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(
            soon(answer.into_body().collect())
                .await
                .unwrap()
                .to_bytes()
                .is_empty()
        );
    }
    assert_eq!(house.hits(), 0);
}

#[tokio::test]
async fn a_large_list_takes_the_other_lane() {
    let house = House::start("").await;
    let serials: Vec<u64> = (1000..21_000).collect();
    let list = house.ca.crl(1, &serials);
    assert!(list.len() > 500_000);
    assert_eq!(push(&nobody(&house), &list).await, 204);
    let der = crl::split(house.ca.crl(2, &serials).as_bytes()).unwrap();
    assert_eq!(raw(&nobody(&house), &put(&der[0])).await.status, 204);
    // A foreign one is turned away before it has arrived.
    let foreign = Ca::new("stranger").crl(3, &serials);
    let request = put(foreign.as_bytes());
    let answer = raw(&nobody(&house), &request[..400_000]).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn an_address_has_one_large_list_at_a_time() {
    let house = House::start("").await;
    let serials: Vec<u64> = (1000..21_000).collect();
    let request = put(house.ca.crl(1, &serials).as_bytes());
    let (half, rest) = request.split_at(400_000);
    let mut one = nobody(&house).connect().await.unwrap();
    let mut other = nobody(&house).connect().await.unwrap();
    for stream in [&mut one, &mut other] {
        // Whoever is refused meanwhile need not be able to say everything.
        let _ = stream.write_all(half).await;
        let _ = stream.flush().await;
    }
    let (mut to_one, mut to_other) = (Vec::new(), Vec::new());
    let one_is_refused = soon(async {
        tokio::select! {
            _ = one.read_to_end(&mut to_one) => true,
            _ = other.read_to_end(&mut to_other) => false,
        }
    });
    let (refused, mut stays) = match one_is_refused.await {
        true => (to_one, other),
        false => (to_other, one),
    };
    let refused = String::from_utf8(refused).unwrap().to_lowercase();
    assert!(refused.starts_with("http/1.1 503"), "{refused}");
    assert!(refused.contains("retry-after: 3\r\n"), "{refused}");
    // The small ones are not concerned, and the turn ends with the body.
    assert_eq!(push(&nobody(&house), &house.ca.crl(2, &[3])).await, 204);
    stays.write_all(rest).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(stays.read_to_end(&mut answer)).await;
    assert!(answer.starts_with(b"HTTP/1.1 403"), "older by now");
    let large = house.ca.crl(3, &serials);
    assert_eq!(push(&nobody(&house), &large).await, 204);
}

#[tokio::test]
async fn what_is_too_large_is_said_at_once() {
    let house = House::start("").await;
    for (method, length) in [(PATH, 64 << 20 | 1), (PATH, u64::MAX >> 1)] {
        let request =
            format!("PUT {method} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        assert_eq!(raw(&nobody(&house), request.as_bytes()).await.status, 413);
    }
}

#[tokio::test]
async fn bodies_that_never_end_make_room_for_the_authority() {
    let house = House::start("GATEWAY_MAX_CONNECTIONS_PER_ADDRESS=64").await;
    let request = format!("PUT {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n-");
    let mut slow = Vec::new();
    for _ in 0..15 {
        let mut stream = courier(&house).connect().await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    assert_eq!(push(&courier(&house), &house.ca.crl(1, &[3])).await, 204);
}

#[tokio::test]
async fn a_flood_is_told_to_slow_down_and_the_authority_is_heard_all_the_same() {
    let house = House::start("").await;
    let foreign = Ca::new("stranger").crl(9, &[]);
    let mut answers = Vec::new();
    for _ in 0..40 {
        answers.push(raw(&nobody(&house), &put(foreign.as_bytes())).await);
    }
    assert!(answers[..10].iter().all(|answer| answer.status == 403));
    let last = answers.last().unwrap();
    assert_eq!(last.status, 429);
    let pause: u64 = last.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&pause));
    assert_eq!(push(&nobody(&house), &house.ca.crl(1, &[3])).await, 204);
    // One line for all of them.
    assert_eq!(house.log().matches("[crl-push-refused]").count(), 1);
}

#[tokio::test]
async fn half_a_body_and_a_close_are_nothing() {
    let house = House::start("").await;
    let list = house.ca.crl(1, &[3]);
    let request = put(list.as_bytes());
    for length in [request.len() / 2, request.len() - 1] {
        let mut stream = courier(&house).connect().await.unwrap();
        stream.write_all(&request[..length]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = soon(stream.read_to_end(&mut rest)).await;
    }
    assert_eq!(get(&courier(&house), "").await.status, 404);
    assert_eq!(push(&courier(&house), &list).await, 204);
}

#[tokio::test]
async fn several_authorities_deliver_side_by_side() {
    let house = House::start("").await;
    let second = Ca::new("second");
    house.put("ca.crt", &(house.ca.pem() + &second.pem()));
    house.told("[credentials-taken]").await;
    let both = house.ca.crl(1, &[3]) + &second.crl(7, &[8]) + &Ca::new("x").crl(1, &[]);
    assert_eq!(push(&nobody(&house), &both).await, 204);
    let newer = house.ca.crl(2, &[3, 4]);
    assert_eq!(push(&nobody(&house), &newer).await, 204);
    let fetched = get(&nobody(&house), "").await.body;
    assert_eq!(fetched.matches("BEGIN X509 CRL").count(), 2);
    // Old news of one and the newest of the other.
    assert_eq!(push(&nobody(&house), &both).await, 204);
    let too_many = house.ca.crl(3, &[]).repeat(65);
    assert_eq!(push(&nobody(&house), &too_many).await, 403);
    tokio::time::timeout(Duration::from_secs(5), house.told("more than 64"))
        .await
        .unwrap();
}

#[tokio::test]
async fn after_a_reset_an_older_list_may_come_by_the_network_too() {
    let house = House::start("").await;
    assert_eq!(push(&nobody(&house), &house.ca.crl(5, &[3])).await, 204);
    let older = house.ca.crl(4, &[3]);
    assert_eq!(push(&nobody(&house), &older).await, 403);
    let authority = orca_pki::certificate::Certificate::from_der(&house.ca.der).unwrap();
    house.put(&format!("state/{}.reset", authority.key_id()), "");
    house.told("[crl-reset]").await;
    assert_eq!(push(&nobody(&house), &older).await, 204);
    let even_older = house.ca.crl(3, &[3]);
    assert_eq!(push(&nobody(&house), &even_older).await, 403);
}
