//! The gateway among the other services of the machine: log rotation, health, support.

use orca_e2e::curl::Curl;
use orca_e2e::http1;
use orca_e2e::site::Site;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;
use rustix::process::Signal;

#[test]
fn logs_can_be_rotated() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let conf = site.conf()?;
    let gateway = conf.start()?;
    let curl = Curl::new(gateway.address, &user.ca()).with_pem(&user);
    curl.get("/main")?;
    gateway.access("the first request", |entry| entry["path"] == "/main")?;
    for path in [conf.log_path(), conf.access_log_path()] {
        std::fs::rename(&path, path.with_extension("1"))?;
    }
    gateway.process.signal(Signal::HUP)?;
    wait::until("new files", || {
        let both = conf.log_path().exists() && conf.access_log_path().exists();
        both.then_some(())
    })?;
    curl.get("/ws")?;
    gateway.access("the second request", |entry| entry["path"] == "/ws")?;
    let old = std::fs::read_to_string(conf.access_log_path().with_extension("1"))?;
    assert_eq!(old.lines().count(), 1, "{old}");
    Ok(())
}

#[test]
fn the_status_tells_what_an_operator_asks() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let curl = Curl::new(gateway.address, &user.ca()).with_pem(&user);
    assert_eq!(curl.get("/")?.status, 200);
    assert_eq!(gateway.status("/healthz")?.status, 200);
    let status = gateway.status("/status")?.json()?.to_string();
    let issuer = "/C=JP/O=orca/CN=orca CA ";
    for part in ["/C=JP/O=orca/CN=weborca-server", issuer] {
        assert!(status.contains(part), "no {part} in {status}");
    }
    let metrics = gateway.status("/metrics")?;
    let kind = metrics.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/plain"), "{kind}");
    let text = metrics.text();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_default();
        assert!(!name.is_empty() && value.parse::<f64>().is_ok(), "{line}");
    }
    assert_eq!(gateway.status("/elsewhere")?.status, 404);
    Ok(())
}

#[test]
fn passphrases_queries_and_passwords_are_in_no_log() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let path = "/api/api01rv2/patientgetv2?id=98765";
    let page = Curl::new(gateway.address, &user.ca())
        .with_p12(&user)?
        .args(["--user", "ormaster:ormaster"])
        .get(path)?;
    assert_eq!(page.status, 200);
    let entry = gateway.access("the call", |entry| entry["status"] == 200)?;
    assert_eq!(entry["path"], "/api/api01rv2/patientgetv2");
    assert_eq!(entry["operator"], "ormaster");
    let events = gateway.log()?;
    assert!(!events.contains("ormaster"), "{events}");
    let logs = format!("{events}{:?}", gateway.access_log()?);
    for secret in ["98765", "b3JtYXN0ZXI6b3JtYXN0ZXI=", "ormaster:"] {
        assert!(!logs.contains(secret), "{secret} in {logs}");
    }
    // The imitation's operator has its name as password: it stands there once, as the name.
    assert_eq!(logs.matches("ormaster").count(), 1, "{logs}");
    Ok(())
}

#[test]
fn pages_name_whom_to_call_and_speak_the_readers_language() -> anyhow::Result<()> {
    let site = Site::new()?;
    let gateway = site
        .conf()?
        .set("GATEWAY_SUPPORT", "\"○○医療システム 03-0000-0000\"")
        .start()?;
    let client = TlsClient::new(&site.server.ca(), Version::Tls13, None)?;
    for (language, word) in [
        ("ja,en;q=0.5", "対処"),
        ("en-GB,en", "certificate"),
        ("fr", "対処"),
    ] {
        let field = format!("Accept-Language: {language}");
        let request = orca_e2e::tls::request(gateway.address, "/", &[&field]);
        let page = client
            .send(gateway.address, request.as_bytes())
            .response()?;
        let text = page.text();
        assert!(text.contains("○○医療システム 03-0000-0000"), "{text}");
        assert!(text.contains(word), "{language}: {text}");
    }
    Ok(())
}

#[test]
fn the_status_page_is_not_for_the_network() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let curl = Curl::new(gateway.address, &user.ca()).with_pem(&user);
    for path in ["/status", "/metrics", "/healthz"] {
        assert_eq!(curl.get(path)?.status, 404, "{path} is the application's");
    }
    let refused = site.conf()?.set("GATEWAY_STATUS", "0.0.0.0:0");
    let (outcome, log) = refused.failing_start()?;
    assert_eq!(outcome.code, Some(1), "{log}");
    assert!(
        http1::get(gateway.address, "/healthz")?.status == 400,
        "TLS only"
    );
    Ok(())
}
