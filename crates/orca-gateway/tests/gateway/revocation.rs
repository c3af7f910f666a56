//! What is revoked ends at once, on every kind of open connection, and nobody else is touched.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_tungstenite::tungstenite::Message;

use super::forge::Ca;
use super::house::{House, Seen, Speaker, closed, keep_alive};
use super::proxy::{Application, soon};
use super::websocket;
use crate::reload::Order;
use crate::shutdown::Phase;

#[tokio::test]
async fn idle_connections_of_the_revoked_close_and_others_stay() {
    let house = House::start("").await;
    house.revoke(1, &[]).await;
    let (bad, good) = (house.ca.client(3), house.ca.client(4));
    let mut bad_one = house.client(&bad).connect().await.unwrap();
    let mut good_one = house.client(&good).connect().await.unwrap();
    keep_alive(&mut bad_one).await;
    keep_alive(&mut good_one).await;
    let (mut bad_two, bad_end) = http2(&house.client(&bad)).await;
    let (mut good_two, _good_end) = http2(&house.client(&good)).await;
    assert_eq!(status(&mut bad_two).await, Some(200));
    assert_eq!(status(&mut good_two).await, Some(200));

    house.put("ca.crl", &house.ca.crl(2, &[3]));
    closed(&mut bad_one).await;
    soon(bad_end).await.unwrap();
    assert_eq!(status(&mut bad_two).await, None);

    assert!(keep_alive(&mut good_one).await.starts_with("HTTP/1.1 200"));
    assert_eq!(status(&mut good_two).await, Some(200));
    let seen = house.client(&bad).get("/").await;
    assert!(matches!(seen, Seen::Answer(403, _)), "{seen:?}");
}

#[tokio::test]
async fn a_tunnel_of_the_revoked_closes_and_others_stay() {
    let application = Application::start(websocket::echo).await;
    let house = House::before(&application, Arc::default(), "");
    house.revoke(1, &[]).await;
    let mut tunnels = Vec::new();
    for serial in [3, 4] {
        let identity = house.ca.client(serial);
        let stream = house.client(&identity).connect().await.unwrap();
        let asked = tokio_tungstenite::client_async("ws://localhost/ws", stream);
        tunnels.push(soon(asked).await.unwrap().0);
    }
    let [bad, good] = &mut tunnels[..] else {
        panic!("two tunnels")
    };
    for socket in [&mut *bad, &mut *good] {
        socket.send(Message::text("受付")).await.unwrap();
        assert!(soon(socket.next()).await.unwrap().is_ok());
    }
    house.put("ca.crl", &house.ca.crl(2, &[3]));
    assert!(!matches!(soon(bad.next()).await, Some(Ok(_))));
    good.send(Message::text("会計")).await.unwrap();
    let echoed = soon(good.next()).await.unwrap().unwrap();
    assert_eq!(echoed.to_text().unwrap(), "会計");
}

#[tokio::test]
async fn a_certificate_that_expires_ends_its_connections() {
    let application = Application::start(websocket::echo).await;
    let house = House::before(&application, Arc::default(), "");
    let soon_over = house.ca.client_with(3, |client| {
        let now = crate::clock::Clock::system().now().as_second();
        client.not_after = time::OffsetDateTime::from_unix_timestamp(now + 3).unwrap();
    });
    let speaker = house.client(&soon_over);
    let stream = speaker.connect().await.unwrap();
    let asked = tokio_tungstenite::client_async("ws://localhost/ws", stream);
    let (mut tunnel, _) = soon(asked).await.unwrap();
    tunnel.send(Message::text("受付")).await.unwrap();
    assert!(soon(tunnel.next()).await.unwrap().is_ok());
    let mut idle = speaker.connect().await.unwrap();
    keep_alive(&mut idle).await;
    let (mut two, end) = http2(&speaker).await;
    assert!(status(&mut two).await.is_some());

    closed(&mut idle).await;
    soon(end).await.unwrap();
    assert!(!matches!(soon(tunnel.next()).await, Some(Ok(_))));
    let told = "3 connections of certificate 000003 (/CN=user1) cut: expired [client-cut]";
    house.told(told).await;
}

#[tokio::test]
async fn the_log_names_who_was_cut_and_how_often() {
    let house = House::start("").await;
    house.revoke(1, &[]).await;
    let bad = house.ca.client(3);
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = house.client(&bad).connect().await.unwrap();
        keep_alive(&mut stream).await;
        open.push(stream);
    }
    house.put("ca.crl", &house.ca.crl(2, &[3]));
    for stream in &mut open {
        closed(stream).await;
    }
    let told = "3 connections of certificate 000003 (/CN=user1) cut: revoked [client-cut]";
    house.told(told).await;
}

#[tokio::test]
async fn an_older_list_is_refused() {
    let house = House::start("").await;
    house.revoke(5, &[3]).await;
    house.put("ca.crl", &house.ca.crl(4, &[]));
    house.told("[crl-older]").await;
    let bad = house.ca.client(3);
    let seen = house.client(&bad).get("/").await;
    assert!(matches!(seen, Seen::Answer(403, _)));
    let files = std::fs::read_dir(house.path("state")).unwrap();
    assert_eq!(files.count(), 2, "the copy and its number");
}

#[tokio::test]
async fn a_broken_or_foreign_list_keeps_the_good_one() {
    let house = House::start("").await;
    house.revoke(1, &[3]).await;
    let bad = house.ca.client(3);
    let look_alike = Ca::new("orca CA 1A2B3C4D").crl(9, &[]);
    for (content, told) in [
        ("nonsense", "no certificate revocation list"),
        (&look_alike, "the signature does not verify"),
    ] {
        house.put("ca.crl", content);
        house.told(told).await;
        let seen = house.client(&bad).get("/").await;
        assert!(matches!(seen, Seen::Answer(403, _)), "{told}");
    }
    std::fs::remove_file(house.path("ca.crl")).unwrap();
    house.told("[crl-gone]").await;
    let seen = house.client(&bad).get("/").await;
    assert!(matches!(seen, Seen::Answer(403, _)));
}

#[tokio::test]
async fn a_broken_set_keeps_the_old_one_and_a_good_one_is_taken() {
    let house = House::start("").await;
    let valid = house.ca.client(7);
    let mut open = house.client(&valid).connect().await.unwrap();
    keep_alive(&mut open).await;
    let (crt, pem) = house.ca.server(&["localhost"]);
    house.put("server.crt", &crt);
    house.told("[key-mismatch]").await;
    house.told("[old-set-kept]").await;
    assert!(matches!(
        house.client(&valid).get("/").await,
        Seen::Answer(200, _)
    ));
    house.put("server.pem", &pem);
    house.told("[credentials-taken]").await;
    assert!(matches!(
        house.client(&valid).get("/").await,
        Seen::Answer(200, _)
    ));
    assert!(keep_alive(&mut open).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn fewer_authorities_need_a_signal_and_then_end_their_clients() {
    let house = House::start("").await;
    let second = Ca::new("second CA");
    house.put("ca.crt", &(house.ca.pem() + &second.pem()));
    house.told("[credentials-taken]").await;
    let guest = second.client(1);
    let mut open = house.client(&guest).connect().await.unwrap();
    assert!(keep_alive(&mut open).await.starts_with("HTTP/1.1 200"));
    house.put("ca.crt", &house.ca.pem());
    house.told("[fewer-authorities]").await;
    assert!(keep_alive(&mut open).await.starts_with("HTTP/1.1 200"));
    let (done, _) = tokio::sync::oneshot::channel();
    house.orders.send(Order::Hangup { done }).unwrap();
    closed(&mut open).await;
    let seen = house.client(&guest).get("/").await;
    assert!(matches!(seen, Seen::Answer(403, _)), "{seen:?}");
}

#[tokio::test]
async fn draining_closes_what_is_idle_then_tunnels() {
    let application = Application::start(websocket::echo).await;
    let house = House::before(&application, Arc::default(), "");
    let identity = house.ca.client(4);
    let stream = house.client(&identity).connect().await.unwrap();
    let asked = tokio_tungstenite::client_async("ws://localhost/ws", stream);
    let (mut tunnel, _) = soon(asked).await.unwrap();
    let mut idle = house.client(&identity).connect().await.unwrap();
    let (_sender, end) = http2(&house.client(&identity)).await;
    house.phase.send_replace(Phase::Draining);
    closed(&mut idle).await;
    soon(end).await.unwrap();
    tunnel.send(Message::text("受付")).await.unwrap();
    assert!(soon(tunnel.next()).await.unwrap().is_ok());
    house.phase.send_replace(Phase::EndingTunnels);
    assert!(!matches!(soon(tunnel.next()).await, Some(Ok(_))));
    soon(house.phase.closed()).await;
}

type Sender = hyper::client::conn::http2::SendRequest<String>;

async fn http2(speaker: &Speaker) -> (Sender, tokio::task::JoinHandle<()>) {
    let io = TokioIo::new(speaker.clone().http2().connect().await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    let end = tokio::spawn(async move {
        let _ = connection.await;
    });
    (sender, end)
}

async fn status(sender: &mut Sender) -> Option<u16> {
    let request = Request::get("https://localhost/")
        .body(String::new())
        .unwrap();
    let response = soon(sender.send_request(request)).await.ok()?;
    Some(response.status().as_u16())
}
