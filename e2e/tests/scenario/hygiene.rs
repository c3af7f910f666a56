//! Requests that try to mean two things, and pages of other sites that try to use a certificate:
//! what real clients are told, and that the application sees none of it.

use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;

use anyhow::Context;
use orca_e2e::browser::Account;
use orca_e2e::browser::Browser;
use orca_e2e::curl::Curl;
use orca_e2e::gateway::Gateway;
use orca_e2e::kit::Kit;
use orca_e2e::site::Site;
use orca_e2e::tls::Answer;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;
use serde_json::Value;
use tokio_tungstenite::tungstenite;
use tungstenite::client::IntoClientRequest;

const HEAD: &str = "Host: weborca-server\r\nConnection: close\r\n";

#[test]
fn ambiguous_requests_never_reach_the_application() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let client = TlsClient::new(&user.ca(), Version::Tls13, Some(Identity::of(&user)?))?;
    let post = |fields: &str| format!("POST /upload HTTP/1.1\r\n{HEAD}{fields}\r\nabc");
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\n{HEAD}\r\n");
    for (request, status) in [
        (post("Content-Length: 3\r\nContent-Length: 4\r\n"), 400),
        (post("Content-Length: 3, 3\r\n"), 400),
        (post("Transfer-Encoding: gzip, chunked\r\n"), 400),
        (post("Transfer-Encoding : chunked\r\n"), 400),
        (post("X: a\r\n folded\r\n"), 400),
        (get("/ HTTP/1.1\r\nHost: other"), 400),
        (get("https://u@weborca-server/"), 400),
        (
            "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
            400,
        ),
        (format!("TRACE / HTTP/1.1\r\n{HEAD}\r\n"), 405),
        (format!("CONNECT 10.0.0.1:22 HTTP/1.1\r\n{HEAD}\r\n"), 405),
        (get("/.orca-gateway/"), 404),
        (get(&format!("/{}", "x".repeat(70_000))), 414),
    ] {
        match client.send(gateway.address, request.as_bytes()) {
            Answer::Response(response) => {
                assert_eq!(response.status, status, "{:.100}", request);
            }
            other => anyhow::bail!("{request:.100}: {other:?}"),
        }
    }
    assert_eq!(site.application.seen()?.requests, 0);
    Ok(())
}

/// The fields of this name as the application saw them, `_` taken for `-`.
fn fields(page: &str, name: &str) -> anyhow::Result<Vec<String>> {
    let seen: Value = serde_json::from_str(page)?;
    let fields = seen["headers"].as_array().context("fields")?;
    Ok(fields
        .iter()
        .filter(|field| {
            let sent = field[0].as_str().unwrap_or_default();
            sent.replace('_', "-").eq_ignore_ascii_case(name)
        })
        .map(|field| field[1].as_str().unwrap_or_default().to_owned())
        .collect())
}

#[test]
fn nobody_can_name_the_certificate_but_the_gateway() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let serial = user.number().parse::<u64>()?.to_string();
    for (version, spoof) in [
        ("--http1.1", "Connection: X-Client-Cert-Serial"),
        ("--http1.1", "X_Client_Cert_Serial: 1"),
        ("--http1.1", "X-Client-Cert-Serial: 1"),
        ("--http2", "X_Client_Cert_Serial: 1"),
        ("--http2", "X-Client-Cert-Serial: 1"),
    ] {
        let page = Curl::new(gateway.address, &user.ca())
            .with_pem(&user)
            .args([version, "--header", spoof])
            .get("/echo-headers")?;
        let seen = fields(&page.body, "x-client-cert-serial")?;
        assert_eq!(seen, [serial.as_str()], "{version} {spoof}");
    }
    Ok(())
}

#[test]
fn curl_with_a_foreign_origin_is_told() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let allowed = "\"https://charts:8443 http://192.168.1.9\"";
    let gateway = site
        .conf()?
        .set("GATEWAY_ALLOWED_ORIGINS", allowed)
        .start()?;
    let own = format!("Origin: {}", origin(&gateway));
    for version in ["--http1.1", "--http2"] {
        let post = |field: &str, path: &str| {
            Curl::new(gateway.address, &user.ca())
                .with_pem(&user)
                .args([version, "--data", "x", "--header", field])
                .get(path)
        };
        for field in [
            "Origin: https://evil.example",
            "Origin: null",
            "Sec-Fetch-Site: cross-site",
        ] {
            let page = post(field, "/upload")?;
            assert_eq!(page.status, 403, "{field}");
            assert!(page.body.contains("E-110"), "{}", page.body);
            let told: Value = serde_json::from_str(&post(field, "/api/api01rv2/x")?.body)?;
            assert_eq!(told["error"]["cause"], "cross-site");
        }
        for field in [
            own.as_str(),
            "Origin: https://charts:8443",
            "Origin: http://192.168.1.9",
            "X-None: 1",
        ] {
            assert_eq!(post(field, "/upload")?.status, 200, "{field}");
        }
    }
    assert_eq!(site.application.seen()?.requests, 8);
    gateway.logged("(https://evil.example)")?;
    let refused = gateway.access("a refusal", |entry| entry["cause"] == "cross-site")?;
    assert_eq!(refused["status"], 403);
    Ok(())
}

#[test]
fn a_websocket_opens_for_our_pages_and_for_programs_only() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let client = TlsClient::new(&user.ca(), Version::Tls13, Some(Identity::of(&user)?))?;
    let own = origin(&gateway);
    for (origin, status) in [
        (None, 101),
        (Some(own.as_str()), 101),
        (Some("https://evil.example"), 403),
        (Some("null"), 403),
    ] {
        let url = format!("wss://weborca-server:{}/ws", gateway.port());
        let mut request = url.into_client_request()?;
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse()?);
        }
        let stream = client.connect(gateway.address)?;
        let told = match tungstenite::client(request, stream) {
            Ok((_, response)) => response.status(),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                response.status()
            }
            Err(error) => anyhow::bail!("{error}"),
        };
        assert_eq!(told.as_u16(), status, "{origin:?}");
    }
    assert_eq!(site.application.seen()?.requests, 2);
    Ok(())
}

/// A user who has just worked with WebORCA opens another site, and Chromium shows the certificate
/// to whatever that site asks for.
#[test]
fn another_site_gets_nothing_done_in_chromium() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let evil = serve(evil_pages(&gateway))?;
    let browser = browser(&site, &user, &gateway)?;
    browser.open(&origin(&gateway))?;
    assert!(browser.source()?.contains("オペレータID"));

    browser.open(&format!("http://{evil}/form"))?;
    wait::until("the refusal of the form", || {
        browser.source().ok()?.contains("E-110").then_some(())
    })
    .with_context(|| browser.source().unwrap_or_default())?;
    for (page, end) in [("fetch", "done"), ("socket", "closed")] {
        browser.open(&format!("http://{evil}/{page}"))?;
        wait::until(end, || (browser.title().ok()? == end).then_some(()))
            .with_context(|| browser.title().unwrap_or_default())?;
    }
    for (method, path) in [("POST", "/login"), ("POST", "/upload"), ("GET", "/ws")] {
        gateway.access(path, |entry| {
            entry["cause"] == "cross-site" && entry["method"] == method && entry["path"] == path
        })?;
    }
    // A PUT is preceded by a preflight, and the application allows nothing.
    let harmless = |seen: &Value| {
        ["GET", "HEAD", "OPTIONS"]
            .iter()
            .any(|m| seen["method"] == *m)
    };
    for seen in site.application.requests()? {
        assert!(harmless(&seen) && seen["target"] != "/ws", "{seen}");
    }
    Ok(())
}

fn browser(site: &Site, user: &Kit, gateway: &Gateway) -> anyhow::Result<Browser> {
    let account = Account::new(site.path("client"))?;
    account.store().import_p12(user)?;
    account.store().import_ca(&user.ca())?;
    Browser::start_choosing(&account, &origin(gateway))
}

fn origin(gateway: &Gateway) -> String {
    format!("https://weborca-server:{}", gateway.port())
}

fn evil_pages(gateway: &Gateway) -> impl Fn(&str) -> String + Send + 'static {
    let target = origin(gateway);
    let socket = target.replace("https:", "wss:");
    move |path| match path {
        "/form" => format!(
            "<form method=post action='{target}/login'><input name=operator value=x></form>\
             <script>document.forms[0].submit()</script>"
        ),
        "/fetch" => format!(
            "<script>(async () => {{ for (const [method, path] of [['POST', '/upload'], ['PUT', '/upload']]) \
             try {{ await fetch('{target}' + path, {{ method, body: 'x', credentials: 'include', \
             mode: method == 'POST' ? 'no-cors' : 'cors' }}) }} catch {{}} \
             document.title = 'done' }})()</script>"
        ),
        _ => format!(
            "<script>const s = new WebSocket('{socket}/ws'); \
             s.onopen = () => document.title = 'open'; s.onclose = () => document.title = 'closed'\
             </script>"
        ),
    }
}

/// Another site: a page for each path, from a thread that ends with the test.
fn serve(page: impl Fn(&str) -> String + Send + 'static) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let head = String::from_utf8_lossy(&request[..length]);
            let body = page(head.split(' ').nth(1).unwrap_or_default());
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    Ok(address)
}
