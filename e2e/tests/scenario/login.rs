//! The main job: issue, unzip, configure as the guide says, start, log in.

use std::net::IpAddr;

use orca_e2e::curl::Curl;
use orca_e2e::curl::Page;
use orca_e2e::gateway::Gateway;
use orca_e2e::kit::Kit;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use rustls::HandshakeKind;

#[test]
fn the_start_is_logged_as_in_the_guide() -> anyhow::Result<()> {
    let site = Site::new()?;
    let gateway = site.gateway()?;
    let log = gateway.log()?;
    let (stamps, lines): (Vec<_>, Vec<_>) = log
        .lines()
        .map(|line| line.split_at_checked(20).unwrap_or((line, "")))
        .unzip();
    assert_eq!(
        lines[..4],
        [
            "CA_CRT ...file exists",
            "SERVER_CRT ...file exists",
            "SERVER_PEM ...file exists",
            "Server Mode: HTTPS",
        ],
        "{log}"
    );
    for stamp in stamps {
        assert!(is_timestamp(stamp), "{stamp:?} in {log}");
    }
    Ok(())
}

/// `2023/09/07 12:56:10 `.
fn is_timestamp(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    shape == "9999/99/99 99:99:99 "
}

#[test]
fn a_client_logs_in_with_each_form_of_its_certificate() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let curl = || Curl::new(gateway.address, &user.ca());
    for client in [
        curl().with_p12(&user)?,
        curl().with_pem(&user),
        curl().with_encrypted_pem(&user)?,
    ] {
        for tls in ["--tlsv1.3", "--tls-max=1.2"] {
            let tls: Vec<&str> = tls.split('=').collect();
            let client = client.clone().args(&tls);
            let page = client.get("/")?;
            assert!(shows_login(&page), "{tls:?}: {page:#?}");
            let menu = client
                .args(["--location", "--cookie", ""])
                .args(["--data", "operator=ormaster&password=ormaster"])
                .get("/login")?;
            assert!(menu.body.contains("業務メニュー"), "{tls:?}: {menu:#?}");
        }
    }
    Ok(())
}

fn shows_login(page: &Page) -> bool {
    page.status == 200 && page.body.contains("パスワード")
}

#[test]
fn programs_use_the_api_over_http_1_and_2() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("api")?;
    let gateway = site.gateway()?;
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let curl = Curl::new(gateway.address, &user.ca())
            .with_p12(&user)?
            .arg(option);
        let path = "/api/api01rv2/patientgetv2?id=00001";
        let page = curl
            .clone()
            .args(["--user", "ormaster:ormaster"])
            .get(path)?;
        assert_eq!((page.status, page.version.as_str()), (200, version));
        assert!(page.body.contains("<Patient_ID"), "{page:#?}");
        let refused = curl.args(["--user", "ormaster:wrong"]).get(path)?;
        assert_eq!(refused.status, 401, "the application's own answer");
    }
    Ok(())
}

#[test]
fn the_application_learns_who_it_is_and_cannot_be_deceived() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let page = Curl::new(gateway.address, &user.ca())
        .with_p12(&user)?
        .arg("--http1.1")
        .args(["--header", "X-Client-Cert-Subject: /CN=director"])
        .args(["--header", "x_client_cert_serial: 1"])
        .args(["--header", "X-Forwarded-For: 203.0.113.9"])
        .args(["--header", "X-Real-IP: 203.0.113.9"])
        .args(["--header", "Forwarded: for=203.0.113.9"])
        .args(["--header", "Connection: x-secret"])
        .args(["--header", "X-Secret: 1"])
        .get("/echo-headers")?;
    let seen: serde_json::Value = serde_json::from_str(&page.body)?;
    let fields: Vec<(String, String)> = serde_json::from_value(seen["headers"].clone())?;
    let all = |name: &str| -> Vec<&str> {
        let of_name = fields.iter().filter(|(key, _)| key == name);
        of_name.map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(all("x-client-cert-serial"), ["3"]);
    assert_eq!(all("x-client-cert-subject"), ["/C=JP/O=orca/CN=user1"]);
    let issuer = all("x-client-cert-issuer");
    assert!(
        issuer[0].starts_with("/C=JP/O=orca/CN=orca CA "),
        "{issuer:?}"
    );
    assert_eq!(
        all("x-client-cert-fingerprint"),
        [fingerprint(&site, &user)?]
    );
    assert_eq!(all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(all("x-forwarded-proto"), ["https"]);
    let host = format!("weborca-server:{}", gateway.port());
    assert_eq!(all("x-forwarded-host"), [&host]);
    assert_eq!(all("host"), [&host]);
    for gone in ["x_client_cert_serial", "x-real-ip", "forwarded", "x-secret"] {
        assert!(all(gone).is_empty(), "{gone} got through: {fields:?}");
    }
    Ok(())
}

fn fingerprint(site: &Site, kit: &Kit) -> anyhow::Result<String> {
    let number = kit.number();
    let rows = site.ca.list()?;
    let row = rows.iter().find(|row| row["number"] == number);
    let text = row.and_then(|row| row["fingerprint_sha256"].as_str());
    Ok(text.unwrap_or_default().to_owned())
}

#[test]
fn every_request_leaves_a_line_that_names_the_client() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let page = Curl::new(gateway.address, &user.ca())
        .with_p12(&user)?
        .get("/download?bytes=10")?;
    assert_eq!(page.status, 200);
    let entry = gateway.access("the download", |entry| entry["path"] == "/download")?;
    assert_eq!(entry["method"], "GET");
    assert_eq!(entry["status"], 200);
    assert!(entry["cause"].is_null(), "{entry}");
    let client = &entry["client"];
    assert_eq!(client["address"], "127.0.0.1");
    assert_eq!(client["serial"], "3");
    assert_eq!(client["subject"], "/C=JP/O=orca/CN=user1");
    assert_eq!(client["fingerprint"], fingerprint(&site, &user)?);
    Ok(())
}

#[test]
fn sessions_are_never_resumed() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    for version in Version::ALL {
        let client = TlsClient::new(&user.ca(), version, Some(Identity::of(&user)?))?;
        for round in 1..=3 {
            let kind = handshake(&client, &gateway)?;
            assert_eq!(kind, Some(HandshakeKind::Full), "{version:?}, {round}");
        }
    }
    Ok(())
}

/// One request on a new connection; how its handshake went.
fn handshake(client: &TlsClient, gateway: &Gateway) -> anyhow::Result<Option<HandshakeKind>> {
    let mut stream = client.connect(gateway.address)?;
    let request = orca_e2e::tls::request(gateway.address, "/", &[]);
    let response = orca_e2e::http1::exchange(&mut stream, request.as_bytes())?;
    assert_eq!(response.status, 200);
    assert_eq!(stream.conn.tls13_tickets_received(), 0);
    Ok(stream.conn.handshake_kind())
}

#[test]
fn an_application_that_is_down_is_not_the_certificates_fault() -> anyhow::Result<()> {
    let mut site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    site.application.kill()?;
    let curl = Curl::new(gateway.address, &user.ca()).with_p12(&user)?;
    let page = curl
        .clone()
        .args(["--header", "Accept-Language: ja"])
        .get("/")?;
    assert_eq!(page.status, 502, "{page:#?}");
    assert!(page.body.contains("日レセが応答していません"), "{page:#?}");
    assert!(page.body.contains("E-109"), "{page:#?}");
    let json: serde_json::Value = serde_json::from_str(&curl.get("/api/x")?.body)?;
    assert_eq!(json["error"]["number"], "E-109");
    Ok(())
}

/// As without `GATEWAY_LISTEN`, but for the port.
#[test]
fn clients_of_both_families_are_known_by_their_own_address() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.conf()?.set("GATEWAY_LISTEN", "[::]:0").start()?;
    for address in ["127.0.0.1", "::1"] {
        let server = (address.parse::<IpAddr>()?, gateway.port()).into();
        let page = Curl::new(server, &user.ca())
            .with_p12(&user)?
            .get("/echo-headers")?;
        assert_eq!(page.status, 200, "{page:#?}");
        let forwarded = format!("[\"x-forwarded-for\",\"{address}\"]");
        assert!(page.body.contains(&forwarded), "{page:#?}");
        gateway.access(address, |entry| entry["client"]["address"] == address)?;
    }
    Ok(())
}

/// X25519MLKEM768 first, ECDHE with AEAD only, nothing before TLS 1.2.
#[test]
fn the_handshake_uses_the_strong_ways_only() -> anyhow::Result<()> {
    let site = Site::new()?;
    let gateway = site.gateway()?;
    let client = TlsClient::new(&site.server.ca(), Version::Tls13, None)?;
    let stream = client.connect(gateway.address)?;
    let group = stream.conn.negotiated_key_exchange_group();
    let group = group.map(|group| group.name());
    assert_eq!(group, Some(rustls::NamedGroup::X25519MLKEM768));

    let address = gateway.address.to_string();
    for (ways, allowed) in [
        (
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"][..],
            true,
        ),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"], false),
        (&["-tls1_2", "-cipher", "AES256-GCM-SHA384"], false),
        (&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], false),
    ] {
        let program = Program::new("openssl").args(["s_client", "-connect", &address]);
        let outcome = program.args(ways.iter()).run()?;
        assert_eq!(outcome.code == Some(0), allowed, "{ways:?}: {outcome:?}");
    }
    Ok(())
}
