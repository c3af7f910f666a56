//! A clinic moves to certificates: it watches first, excepts what cannot take part, then closes the door.

use std::collections::BTreeMap;

use anyhow::Context;
use orca_e2e::catool::Catool;
use orca_e2e::curl::Curl;
use orca_e2e::curl::Page;
use orca_e2e::gateway::Gateway;
use orca_e2e::http1;
use orca_e2e::kit::Kit;
use orca_e2e::program::Outcome;
use orca_e2e::program::Program;
use orca_e2e::program::ours;
use orca_e2e::site::Site;
use orca_e2e::tls;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;
use serde_json::Value;

const API: &str = "/api/api01rv2/patientgetv2?id=00001";
/// What somebody sends who pretends to have a certificate.
const SPOOFED: &str = "X-Client-Cert-Subject: /C=JP/O=orca/CN=ormaster";

/// A call from an address of the loopback network.
fn from(address: &str, gateway: &Gateway, site: &Site, kit: Option<&Kit>) -> Curl {
    let curl = Curl::new(gateway.address, &site.server.ca());
    let curl = curl.args(["--interface", address, "--path-as-is"]);
    match kit {
        Some(kit) => curl.with_pem(kit),
        None => curl,
    }
}

/// The same over plain http on the same port; the status, or 0.
fn plain(address: &str, gateway: &Gateway, target: &str, fields: &[&str]) -> anyhow::Result<Page> {
    let program = Program::new("curl")
        .args(["--silent", "--interface", address, "--path-as-is"])
        .args(["--max-time", "60", "--write-out", "\n%{http_code}"])
        .args(fields.iter().flat_map(|field| ["--header", *field]))
        .arg(format!("http://{}{target}", gateway.address));
    let outcome = program.run()?;
    let text = outcome.text();
    let (body, status) = text.rsplit_once('\n').context("no status")?;
    Ok(Page {
        status: status.parse()?,
        version: String::new(),
        body: body.to_owned(),
        outcome,
    })
}

fn report(gateway_log: &std::path::Path, options: &[&str]) -> anyhow::Result<Outcome> {
    Program::new(ours("orca-gateway")?)
        .args(["--lang", "en", "observe_report"])
        .arg(gateway_log)
        .args(options)
        .run()
}

/// Address and cause of each row, with its count.
fn counted(outcome: &Outcome) -> anyhow::Result<BTreeMap<(String, String), u64>> {
    let rows: Value = serde_json::from_str(&outcome.success()?)?;
    let mut counts = BTreeMap::new();
    for row in rows.as_array().context("rows")? {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        *counts.entry((text("address"), text("cause"))).or_default() +=
            row["count"].as_u64().context("a count")?;
    }
    Ok(counts)
}

#[test]
fn the_report_of_a_mixed_load_is_what_was_sent() -> anyhow::Result<()> {
    let site = Site::new()?;
    let good = site.client("good")?;
    let expired = site
        .ca
        .issue_at("-20d", "issue_client_cert -c expired --days 1")?;
    let revoked = site.client("revoked")?;
    site.ca.done(&format!("revoke_cert {}", revoked.number()))?;
    std::fs::create_dir_all(site.path("other"))?;
    let other = Catool::new(&site.path("other"));
    other.done("init --yes")?;
    let foreign = other.issue("issue_client_cert -c good")?;
    let conf = site.conf()?.set("GATEWAY_CLIENT_AUTH", "observe");
    let conf = conf.set("GATEWAY_EXEMPT", "\"127.0.0.29/32 /api/\"");
    let gateway = conf.start()?;
    let mut sent = BTreeMap::new();
    let mut note = |address: &str, cause: &str| {
        *sent
            .entry((address.to_owned(), cause.to_owned()))
            .or_default() += 1u64;
    };
    let visitors = [
        ("127.0.0.21", Some(&good), None, 7),
        ("127.0.0.22", None, Some("no-certificate"), 5),
        ("127.0.0.23", Some(&expired), Some("expired"), 4),
        ("127.0.0.24", Some(&revoked), Some("revoked"), 3),
        ("127.0.0.25", Some(&foreign), Some("unknown-ca"), 2),
        ("127.0.0.26", Some(&site.server), Some("wrong-usage"), 1),
        // One address, several machines behind it.
        ("127.0.0.22", Some(&expired), Some("expired"), 2),
        ("127.0.0.22", Some(&good), None, 2),
        ("127.0.0.29", None, None, 3),
    ];
    let mut requests = 0;
    for round in 0..7 {
        for (address, kit, cause, times) in visitors {
            if round < times {
                let curl = from(address, &gateway, &site, kit);
                let path = if address == "127.0.0.29" { API } else { "/" };
                let page = curl.args(["--user", "ormaster:ormaster"]).get(path)?;
                assert_eq!(page.status, 200, "{address}: {}", page.body);
                requests += 1;
                if let Some(cause) = cause {
                    note(address, cause);
                }
            }
        }
        if round < 6 {
            assert_eq!(plain("127.0.0.27", &gateway, "/", &[])?.status, 200);
            requests += 1;
            note("127.0.0.27", "plain-http");
        }
    }
    let stolen = orca_e2e::forge::stolen(&good.crt())?;
    let thief = TlsClient::new(&good.ca(), Version::Tls13, Some(stolen))?;
    assert!(thief.get(gateway.address, "/").response().is_err());
    note("127.0.0.1", "bad-signature");
    assert_eq!(site.application.seen()?.requests, requests);
    wait::until("all lines", || {
        let lines = gateway.access_log().ok()?;
        let lines = lines
            .iter()
            .filter(|line| !line["client"]["address"].is_null());
        (lines.count() as u64 == requests + 1).then_some(())
    })?;
    let log = conf.access_log_path();
    let outcome = report(&log, &["--format", "json"])?;
    assert_eq!(counted(&outcome)?, sent);
    let table = report(&log, &[])?;
    let text = table.success()?;
    assert!(
        text.contains("127.0.0.27") && !text.contains("127.0.0.29"),
        "{text}"
    );
    assert!(
        table.stderr.contains("3 of exempt machines"),
        "{}",
        table.stderr
    );
    assert!(table.stderr.contains("[locked-out]"), "{}", table.stderr);
    for line in gateway.access_log()? {
        if line["client"]["address"] == "127.0.0.23" {
            assert_eq!(
                (&line["cause"], &line["status"], &line["admitted"]),
                (&"expired".into(), &200.into(), &"observe".into())
            );
            assert_eq!(line["client"]["subject"], "/C=JP/O=orca/CN=expired");
        }
        if line["client"]["address"] == "127.0.0.21" {
            assert!(
                line["cause"].is_null() && line["admitted"].is_null(),
                "{line}"
            );
        }
    }
    rotated_and_limited(&log, &sent)
}

fn rotated_and_limited(
    log: &std::path::Path,
    sent: &BTreeMap<(String, String), u64>,
) -> anyhow::Result<()> {
    let gzip = Program::new("gzip").args(["--keep"]).arg(log);
    gzip.run()?.success()?;
    let packed = log.with_extension("log.gz");
    let outcome = report(&packed, &["--format", "json"])?;
    assert_eq!(counted(&outcome)?, *sent);
    let csv = report(&packed, &["--format", "csv"])?.success()?;
    assert!(
        csv.starts_with("address,cause,count,first,last,scheme,"),
        "{csv}"
    );
    let outcome = report(log, &["--format", "json", "--since", "2199-01-01"])?;
    assert_eq!(counted(&outcome)?, BTreeMap::new());
    assert!(
        outcome.stderr.contains("[nobody-locked-out]"),
        "{}",
        outcome.stderr
    );
    report(&log.with_extension("no"), &[])?.failure(1)?;
    report(log, &["--since", "yesterday"])?.failure(2)?;
    Ok(())
}

#[test]
fn who_is_observed_has_no_identity_and_everybody_is_told() -> anyhow::Result<()> {
    let site = Site::new()?;
    let good = site.client("good")?;
    let conf = site.conf()?.set("GATEWAY_CLIENT_AUTH", "observe");
    let checked = conf.check()?.success()?;
    assert!(
        checked.contains("warning:") && checked.contains("[observing]"),
        "{checked}"
    );
    let gateway = conf.start()?;
    gateway.logged("[observing]")?;
    let named = |page: &str| page.to_lowercase().contains("x-client-cert");
    let curl = from("127.0.0.1", &gateway, &site, None).args(["--header", SPOOFED]);
    let page = curl.get("/echo-headers")?;
    assert!(page.status == 200 && !named(&page.body), "{}", page.body);
    let page = plain("127.0.0.1", &gateway, "/echo-headers", &[SPOOFED])?;
    assert!(page.status == 200 && !named(&page.body), "{}", page.body);
    assert!(
        page.body.contains("[\"x-forwarded-proto\",\"http\"]"),
        "{}",
        page.body
    );
    let page = plain("127.0.0.1", &gateway, "/.orca-gateway/choose", &[])?;
    assert_ne!(page.status, 200);
    // Pages of other sites may do nothing now either.
    let foreign = ["--header", "Origin: https://evil.example", "--data", "x"];
    let page = from("127.0.0.1", &gateway, &site, None)
        .args(foreign)
        .get("/upload")?;
    assert!(
        page.status == 403 && page.body.contains("E-110"),
        "{}",
        page.body
    );
    // A revoked certificate is worth nothing, but its connection goes on.
    let client = TlsClient::new(&good.ca(), Version::Tls13, Some(Identity::of(&good)?))?;
    let mut stream = client.connect(gateway.address)?;
    let request = tls::request(gateway.address, "/echo-headers", &[SPOOFED]);
    let page = http1::exchange(&mut stream, request.as_bytes())?;
    assert!(page.text().contains("CN=good"), "{}", page.text());
    site.ca.done(&format!("revoke_cert {}", good.number()))?;
    site.place(&site.ca.crl())?;
    gateway.logged("CRL番号2")?;
    wait::until("no identity any more", || {
        let page = http1::exchange(&mut stream, request.as_bytes()).ok()?;
        (page.status == 200 && !named(&page.text())).then_some(())
    })?;
    let status = gateway.status("/status")?.json()?;
    assert_eq!(status["client_auth"], "observe");
    assert!(
        status["alarms"].to_string().contains("observing"),
        "{status}"
    );
    assert_eq!(
        status["admitted"]["observe"]["no-certificate"], 1,
        "{status}"
    );
    let metrics = gateway.status("/metrics")?.text();
    for line in [
        "orca_gateway_alarm{id=\"observing\"} 1",
        "orca_gateway_admitted_total{ground=\"observe\",cause=\"plain-http\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    Ok(())
}

#[test]
fn an_exempt_machine_reaches_its_path_and_nothing_else() -> anyhow::Result<()> {
    let site = Site::new()?;
    let good = site.client("good")?;
    for mode in ["explain", "strict"] {
        let conf = site.conf_of(mode)?.set("GATEWAY_CLIENT_AUTH", mode);
        let exempt = "\"127.0.0.50/32 /api/; 127.0.0.50/32 /echo-headers\"";
        let gateway = conf.set("GATEWAY_EXEMPT", exempt).start()?;
        let told = gateway.logged("[exempt]")?;
        assert!(told.contains("127.0.0.50/32 からの /api/ 以下"), "{told}");
        reaches_its_path(&gateway, &site)?;
        nothing_else(&gateway, &site, mode)?;
        // Whoever has a certificate is known by it all the same.
        let curl = from("127.0.0.50", &gateway, &site, Some(&good));
        let page = curl.get("/echo-headers")?;
        assert!(page.body.contains("CN=good"), "{mode}: {}", page.body);
        assert_eq!(curl.get("/")?.status, 200, "{mode}");
        let status = gateway.status("/status")?.json()?;
        assert_eq!(status["exemptions"][0], "127.0.0.50/32 /api/", "{status}");
        let metrics = gateway.status("/metrics")?.text();
        assert!(metrics.contains("orca_gateway_exemptions 2\n"), "{metrics}");
        let causes = &status["admitted"]["exempt"];
        assert!(causes["no-certificate"].as_u64() >= Some(2), "{status}");
        assert!(causes["plain-http"].as_u64() >= Some(2), "{status}");
        for cause in ["no-certificate", "plain-http"] {
            let entry = gateway.access(cause, |entry| {
                entry["cause"] == cause && entry["admitted"] == "exempt"
            })?;
            assert_eq!(entry["client"]["address"], "127.0.0.50", "{entry}");
        }
    }
    Ok(())
}

fn reaches_its_path(gateway: &Gateway, site: &Site) -> anyhow::Result<()> {
    let curl = from("127.0.0.50", gateway, site, None);
    let page = curl
        .clone()
        .args(["--user", "ormaster:ormaster"])
        .get(API)?;
    assert_eq!(page.status, 200, "{}", page.body);
    let login = "Authorization: Basic b3JtYXN0ZXI6b3JtYXN0ZXI=";
    let page = plain("127.0.0.50", gateway, API, &[login])?;
    assert_eq!(page.status, 200, "{}", page.body);
    let over_tls = curl.args(["--header", SPOOFED]).get("/echo-headers")?;
    let in_the_clear = plain("127.0.0.50", gateway, "/echo-headers", &[SPOOFED])?;
    for page in [over_tls, in_the_clear] {
        assert_eq!(page.status, 200);
        let seen = page.body.to_lowercase();
        assert!(!seen.contains("x-client-cert"), "{seen}");
    }
    Ok(())
}

fn nothing_else(gateway: &Gateway, site: &Site, mode: &str) -> anyhow::Result<()> {
    let before = site.application.seen()?.requests;
    for path in [
        "/",
        "/main",
        "/api",
        "/API/api01rv2/x",
        "/api/../main",
        "/api/%2e%2e/main",
        "/api/..%2fmain",
        "/api%2fx",
        "/%61pi/x",
        "//api/x",
        "/api//x",
        "/api;x/y",
        "/api/..;/main",
        "/.orca-gateway/choose",
    ] {
        let page = from("127.0.0.50", gateway, site, None).get(path)?;
        assert_eq!(page.status, 403, "{mode} {path}: {}", page.body);
        assert!(page.body.contains("E-101"), "{mode} {path}: {}", page.body);
        let page = plain("127.0.0.50", gateway, path, &[])?;
        assert_eq!(page.status, 400, "{mode} {path}: {}", page.body);
    }
    let target = [
        "--http1.1",
        "--request-target",
        "http://weborca-server/main",
    ];
    let page = from("127.0.0.50", gateway, site, None)
        .args(target)
        .get("/api/x")?;
    assert_eq!(page.status, 403, "{mode}: {}", page.body);
    // A neighbour is nobody.
    let curl = from("127.0.0.51", gateway, site, None).args(["--user", "ormaster:ormaster"]);
    match mode {
        "explain" => assert_eq!(curl.get(API)?.status, 403),
        _ => assert_ne!(curl.outcome(API)?.code, Some(0)),
    }
    assert_eq!(
        plain("127.0.0.51", gateway, API, &[])?.status,
        400,
        "{mode}"
    );
    assert_eq!(site.application.seen()?.requests, before, "{mode}");
    Ok(())
}

#[test]
fn a_network_that_is_none_is_refused_with_the_right_spelling() -> anyhow::Result<()> {
    let site = Site::new()?;
    let conf = site.conf()?;
    for (value, says) in [
        ("192.168.1.50/24 /api/", "192.168.1.0/24"),
        ("192.168.1.50/32", "192.168.1.50/32 /api/"),
        ("192.168.1.50/32 /api/../", "192.168.1.50/32 /api/"),
    ] {
        let conf = conf
            .clone()
            .set("GATEWAY_EXEMPT", format_args!("\"{value}\""));
        let (outcome, log) = conf.failing_start()?;
        assert_eq!(outcome.code, Some(1), "{value}: {log}");
        assert!(log.contains(says), "{value}: {log}");
        let checked = conf.check()?.failure(1)?;
        assert!(checked.contains(says), "{value}: {checked}");
    }
    let conf = conf.set("GATEWAY_EXEMPT", "\"127.0.0.50 /api/\"");
    let checked = conf.check()?.success()?;
    assert!(checked.contains("127.0.0.50/32 may use /api/"), "{checked}");
    Ok(())
}
