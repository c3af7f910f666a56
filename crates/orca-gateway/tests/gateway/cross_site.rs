//! What pages of other sites can make a browser with a certificate do: read, and nothing else.

use super::house::{House, Seen, Speaker};
use super::proxy::{Application, soon};
use super::websocket;

const SOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn house(lines: &str) -> (House, Speaker) {
    let house = House::start(lines).await;
    let client = house.client(&house.ca.client(3));
    (house, client)
}

async fn status(client: &Speaker, line: &str, fields: &str) -> (u16, String) {
    let request = format!(
        "{line} HTTP/1.1\r\nHost: weborca:8000\r\nAccept: application/json\r\n\
         Content-Length: 0\r\nConnection: close\r\n{fields}\r\n"
    );
    match client.say(&request).await {
        Seen::Answer(status, content) => (status, content),
        Seen::Alert(alert) => panic!("{alert:?}"),
    }
}

#[tokio::test]
async fn foreign_pages_change_nothing() {
    let (house, client) = house("").await;
    let foreign = [
        "Origin: https://evil.example\r\n",
        "Origin: http://weborca:8000\r\n",
        "Origin: https://weborca:8001\r\n",
        "Origin: null\r\n",
        "Origin: null\r\nSec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
    ];
    for fields in foreign {
        for method in ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"] {
            let (code, page) = status(&client, &format!("{method} /a"), fields).await;
            assert_eq!(code, 403, "{method} {fields}");
            let page: serde_json::Value = serde_json::from_str(&page).unwrap();
            assert_eq!(page["error"]["number"], "E-110");
            assert_eq!(page["error"]["cause"], "cross-site");
        }
        let (code, _) = status(&client, "GET /a", fields).await;
        assert_eq!(code, 200, "{fields}");
    }
    assert_eq!(house.hits(), foreign.len());
    assert_eq!(house.causes()[0], "cross-site 403");
    let log = house.log();
    let told = log.matches("(https://evil.example)").count();
    assert_eq!(told, 1, "once: {log}");
}

#[tokio::test]
async fn pages_of_the_application_and_programs_do() {
    let (house, client) = house("").await;
    for fields in [
        "",
        "Origin: https://weborca:8000\r\nSec-Fetch-Site: same-origin\r\n",
        "Origin: https://WEBORCA:8000\r\n",
        "Origin: null\r\nSec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Site: none\r\n",
    ] {
        assert_eq!(status(&client, "POST /a", fields).await.0, 200, "{fields}");
    }
    assert_eq!(house.hits(), 5);
}

#[tokio::test]
async fn exceptions_are_configured() {
    let lines = "GATEWAY_ALLOWED_ORIGINS='https://charts:8443, http://192.168.1.9'";
    let (_house, client) = house(lines).await;
    for (origin, code) in [
        ("https://charts:8443", 200),
        ("http://192.168.1.9", 200),
        ("https://charts", 403),
        ("https://192.168.1.9", 403),
    ] {
        let fields = format!("Origin: {origin}\r\nSec-Fetch-Site: cross-site\r\n");
        assert_eq!(
            status(&client, "POST /a", &fields).await.0,
            code,
            "{origin}"
        );
    }
}

#[tokio::test]
async fn foreign_pages_open_no_websocket() {
    let application = Application::start(websocket::echo).await;
    let house = House::before(&application, Default::default(), "");
    let client = house.client(&house.ca.client(3));
    for origin in ["https://evil.example", "http://weborca:8000", "null"] {
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: weborca:8000\r\nOrigin: {origin}\r\n{SOCKET}\
             Connection: close\r\n\r\n"
        );
        let Seen::Answer(code, page) = client.say(&request).await else {
            panic!("an alert");
        };
        assert_eq!(code, 403, "{origin}");
        assert!(page.contains("E-110") && page.contains(origin), "{page}");
    }
    assert_eq!(application.connections(), 0);
    let stream = client.connect().await.unwrap();
    let mut request = http::Request::get("wss://weborca:8000/ws");
    for (name, value) in [
        ("host", "weborca:8000"),
        ("origin", "https://weborca:8000"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        request = request.header(name, value);
    }
    let opened = tokio_tungstenite::client_async(request.body(()).unwrap(), stream);
    assert_eq!(soon(opened).await.unwrap().1.status(), 101);
}

#[tokio::test]
async fn foreign_pages_cannot_press_the_button() {
    let house = House::start("").await;
    let nobody = house.speaker(None, &rustls::version::TLS13);
    let press = "POST /.orca-gateway/choose";
    for fields in [
        "Origin: https://evil.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
    ] {
        assert_eq!(status(&nobody, press, fields).await.0, 403, "{fields}");
    }
    let own = "Origin: https://weborca:8000\r\nSec-Fetch-Site: same-origin\r\n";
    assert_eq!(status(&nobody, press, own).await.0, 200);
}
