//! Every cause of the contract, in both modes, on both versions of TLS: what the client sees is
//! exact, and the application sees nothing.

use std::time::{Duration, Instant};

use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::AlertDescription;
use rustls::version::{TLS12, TLS13};

use super::forge::{Ca, Identity};
use super::house::{House, Seen};
use super::raw_http2::RawHttp2;

struct Visitor {
    identity: Option<Identity>,
    cause: &'static str,
    number: Option<&'static str>,
    alert: AlertDescription,
}

impl Visitor {
    fn new(
        identity: impl Into<Option<Identity>>,
        cause: &'static str,
        number: impl Into<Option<&'static str>>,
        alert: AlertDescription,
    ) -> Self {
        Self {
            identity: identity.into(),
            cause,
            number: number.into(),
            alert,
        }
    }
}

fn visitors(ca: &Ca) -> Vec<Visitor> {
    let future = ca.client_with(5, |client| client.not_before = date_time_ymd(2090, 1, 1));
    let look_alike = Ca::new("orca CA 1A2B3C4D");
    let wrong = ca.client_with(6, |client| {
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let revoked = ca.client(3);
    let (expired, unknown) = (
        AlertDescription::CertificateExpired,
        AlertDescription::UnknownCA,
    );
    let unsupported = AlertDescription::UnsupportedCertificate;
    vec![
        Visitor::new(
            None,
            "no-certificate",
            "E-101",
            AlertDescription::CertificateRequired,
        ),
        Visitor::new(ca.expired_client(4), "expired", "E-102", expired),
        Visitor::new(future, "not-yet-valid", "E-103", expired),
        Visitor::new(
            revoked.clone(),
            "revoked",
            "E-104",
            AlertDescription::CertificateRevoked,
        ),
        Visitor::new(
            ca.expired_client(3),
            "revoked",
            "E-104",
            AlertDescription::CertificateRevoked,
        ),
        Visitor::new(look_alike.client(3), "unknown-ca", "E-105", unknown),
        Visitor::new(look_alike.expired_client(3), "unknown-ca", "E-105", unknown),
        Visitor::new(wrong, "wrong-usage", "E-106", unsupported),
        Visitor::new(ca.itself(), "wrong-usage", "E-106", unsupported),
        Visitor::new(
            revoked.stolen(),
            "bad-signature",
            None,
            AlertDescription::DecryptError,
        ),
        Visitor::new(
            look_alike.client(9).stolen(),
            "bad-signature",
            None,
            AlertDescription::DecryptError,
        ),
        Visitor::new(
            Identity::junk(),
            "malformed",
            None,
            AlertDescription::BadCertificate,
        ),
    ]
}

#[tokio::test]
async fn explain_tells_each_cause_and_the_application_sees_nothing() {
    let house = House::start("GATEWAY_CLIENT_AUTH=explain").await;
    house.revoke(1, &[3]).await;
    let mut causes = Vec::new();
    for visitor in visitors(&house.ca) {
        for version in [&TLS12, &TLS13] {
            let speaker = house.speaker(visitor.identity.as_ref(), version);
            let seen = speaker.get("/api/patients").await;
            let Some(number) = visitor.number else {
                assert_eq!(seen, Seen::Alert(visitor.alert), "{}", visitor.cause);
                causes.push(format!("{} null", visitor.cause));
                continue;
            };
            let Seen::Answer(403, body) = seen else {
                panic!("{}: {seen:?}", visitor.cause);
            };
            let told: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(told["error"]["number"], number);
            assert_eq!(told["error"]["cause"], visitor.cause);
            assert_eq!(told["error"]["address"], "127.0.0.1");
            causes.push(format!("{} 403", visitor.cause));
        }
    }
    assert_eq!(house.causes(), causes);
    assert_eq!(house.hits(), 0);
}

#[tokio::test]
async fn strict_refuses_each_cause_with_its_alert() {
    let house = House::start("GATEWAY_CLIENT_AUTH=strict").await;
    house.revoke(1, &[3]).await;
    let mut causes = Vec::new();
    for visitor in visitors(&house.ca) {
        for version in [&TLS12, &TLS13] {
            let speaker = house.speaker(visitor.identity.as_ref(), version);
            let seen = speaker.get("/").await;
            assert_eq!(seen, Seen::Alert(visitor.alert), "{}", visitor.cause);
            causes.push(format!("{} null", visitor.cause));
        }
    }
    assert_eq!(house.causes(), causes);
    assert_eq!(house.hits(), 0);
    let valid = house.ca.client(7);
    for version in [&TLS12, &TLS13] {
        let seen = house.speaker(Some(&valid), version).get("/").await;
        assert_eq!(seen, Seen::Answer(200, "日レセ".into()));
    }
}

#[tokio::test]
async fn a_list_that_cannot_tell_refuses_only_where_that_is_wanted() {
    let overdue = |house: &House| house.put("ca.crl", &house.ca.crl_until(1, &[3], 2025));
    for (mode, refused) in [
        ("explain", None),
        ("strict", Some(AlertDescription::CertificateUnknown)),
    ] {
        let conf = format!("GATEWAY_CRL_UNUSABLE=refuse\nGATEWAY_CLIENT_AUTH={mode}");
        let house = House::start(&conf).await;
        let (valid, revoked) = (house.ca.client(7), house.ca.client(3));
        for step in ["missing", "overdue"] {
            let seen = house.client(&valid).get("/").await;
            match refused {
                Some(alert) => assert_eq!(seen, Seen::Alert(alert), "{step}"),
                None => assert!(matches!(seen, Seen::Answer(403, _)), "{step}: {seen:?}"),
            }
            overdue(&house);
            house.told("CRL number 1 ").await;
        }
        assert_eq!(house.hits(), 0);
        assert!(
            house
                .causes()
                .iter()
                .all(|line| line.starts_with("crl-unusable"))
        );
        // The entries of a list that is overdue revoke all the same, and the first cause counts.
        house.client(&revoked).get("/").await;
        assert!(house.causes()[2].starts_with("revoked"));
    }
    let house = House::start("GATEWAY_CRL_UNUSABLE=warn").await;
    assert!(house.log().contains("[crl-missing]"));
    overdue(&house);
    house.told("[crl-overdue]").await;
    let seen = house.client(&house.ca.client(7)).get("/").await;
    assert!(matches!(seen, Seen::Answer(200, _)));
    let seen = house.client(&house.ca.client(3)).get("/").await;
    assert!(matches!(seen, Seen::Answer(403, _)));
}

#[tokio::test]
async fn sessions_are_never_resumed() {
    let house = House::start("").await;
    let valid = house.ca.client(7);
    for version in [&TLS12, &TLS13] {
        let speaker = house.speaker(Some(&valid), version);
        for _ in 0..3 {
            let mut stream = speaker.connect().await.unwrap();
            super::house::keep_alive(&mut stream).await;
            let kind = super::house::kind(&stream).unwrap();
            assert_ne!(kind, rustls::HandshakeKind::Resumed);
        }
    }
}

#[tokio::test]
async fn plain_http_is_told_the_address_and_closed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let house = House::start("").await;
    for (host, link) in [
        ("localhost:8000", "https://localhost:8000/"),
        ("evil.example:8000", "https://127.0.0.1:8000/"),
    ] {
        let mut tcp = tokio::net::TcpStream::connect(house.address).await.unwrap();
        let request = format!(
            "POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3000000\r\n\r\n{}",
            "x".repeat(200_000)
        );
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        super::proxy::soon(tcp.read_to_string(&mut answer))
            .await
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(
            answer.contains("E-108") && answer.contains(link),
            "{answer}"
        );
        assert!(!answer.contains("evil"), "{answer}");
    }
    assert_eq!(house.hits(), 0);
    assert_eq!(house.causes(), ["plain-http 400", "plain-http 400"]);
}

#[tokio::test]
async fn whoever_wants_to_choose_again_is_refused_once() {
    let house = House::start("").await;
    let stranger = Ca::new("other CA").client(1);
    let choose = "POST /.orca-gateway/choose HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n";
    let denied = Seen::Alert(AlertDescription::AccessDenied);
    let valid = house.ca.client(7);
    for identity in [Some(&stranger), None, Some(&valid)] {
        for version in [&TLS12, &TLS13] {
            let speaker = house.speaker(identity, version);
            let before = speaker.get("/").await;
            let seen = speaker.say(&format!("{choose}\r\n")).await;
            assert!(matches!(seen, Seen::Answer(200, _)), "{seen:?}");
            assert_eq!(speaker.get("/").await, denied);
            let after = speaker.get("/").await;
            assert_eq!(
                std::mem::discriminant(&before),
                std::mem::discriminant(&after)
            );
        }
    }
    // Another site's page cannot press the button.
    let foreign = format!("{choose}Sec-Fetch-Site: cross-site\r\n\r\n");
    let speaker = house.client(&stranger);
    assert!(matches!(speaker.say(&foreign).await, Seen::Answer(403, _)));
    assert!(matches!(speaker.get("/").await, Seen::Answer(403, _)));
    assert_eq!(house.hits(), 4);
}

#[tokio::test]
async fn the_page_is_japanese_html_and_says_what_was_shown() {
    let house = House::start("").await;
    let shown = house.ca.client_with(3, |client| {
        client.not_after = date_time_ymd(2021, 1, 1);
        let name = "<script>alert(1)</script>";
        client
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
    });
    let Seen::Answer(403, page) = house.client(&shown).get("/").await else {
        panic!("no page");
    };
    for text in [
        "<html lang=\"ja\">",
        "有効期限が2021年1月1日に切れました",
        "番号000003",
        "E-102",
        "127.0.0.1",
        "窓口 03-1234-5678",
        "orca CA 1A2B3C4D",
        "別の証明書を選ぶ",
        "chrome://restart",
        "/.orca-gateway/choose",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("<script>alert"), "{page}");
}

#[tokio::test]
async fn strangers_may_not_send_large_heads_and_served_clients_may() {
    let house = House::start("").await;
    let valid = house.ca.client(7);
    let head = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {}\r\n\r\n",
        "c".repeat(40_000)
    );
    let nobody = house.speaker(None, &TLS13).say(&head).await;
    assert!(matches!(nobody, Seen::Answer(431, _)), "{nobody:?}");
    let served = house.client(&valid).say(&head).await;
    assert!(matches!(served, Seen::Answer(200, _)), "{served:?}");
    assert_eq!(house.hits(), 1);
}

#[tokio::test]
async fn a_name_the_certificate_lacks_is_told_even_if_the_client_leaves() {
    use tokio::io::AsyncWriteExt;
    let house = House::start("").await;
    let valid = house.ca.client(7);
    assert!(matches!(
        house.client(&valid).get("/").await,
        Seen::Answer(200, _)
    ));
    assert!(!house.log().contains("[name-not-in-certificate]"));
    // A browser that finds no fitting name says goodbye in the middle of the handshake.
    let config = house.client(&valid).config;
    let name = rustls_pki_types::ServerName::try_from("old-server").unwrap();
    let mut client = rustls::ClientConnection::new(config, name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let mut tcp = tokio::net::TcpStream::connect(house.address).await.unwrap();
    tcp.write_all(&hello).await.unwrap();
    tcp.shutdown().await.unwrap();
    house.told("clients connect to old-server").await;
}

#[tokio::test]
async fn a_crowd_of_strangers_from_one_address_is_kept_out() {
    let house = House::start("").await;
    let mut crowd = Vec::new();
    while !house.log().contains("[too-many-connections]") {
        assert!(crowd.len() < 64, "nobody is kept out");
        crowd.push(tokio::net::TcpStream::connect(house.address).await.unwrap());
    }
    drop(crowd);
    let valid = house.ca.client(7);
    let speaker = house.client(&valid);
    // The places are free again as soon as the crowd's leaving is noticed.
    super::proxy::soon(async { while speaker.connect().await.is_err() {} }).await;
}

/// Java 17 drops a response that it has not handed over yet when GOAWAY comes.
#[tokio::test]
async fn a_refusal_on_http2_was_lost_to_the_goaway_behind_it() {
    let house = House::start("").await;
    let stranger = house.client(&Ca::new("orca CA 1A2B3C4D").client(3));
    let mut raw = RawHttp2::connect(&stranger).await;
    let fields: [(&str, &[u8]); 4] = [
        (":method", b"GET"),
        (":scheme", b"https"),
        (":authority", b"a"),
        (":path", b"/"),
    ];
    let asked = Instant::now();
    raw.head(1, &fields, true).await;
    assert!(raw.ends_before_goaway(1).await);
    assert!(asked.elapsed() >= Duration::from_millis(200));
}
