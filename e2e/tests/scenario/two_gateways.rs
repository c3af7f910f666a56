//! A CA on a machine of its own and real gateways elsewhere: a revocation reaches them by itself.

use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use orca_e2e::catool::Catool;
use orca_e2e::gateway::Gateway;
use orca_e2e::http1;
use orca_e2e::kit::Kit;
use orca_e2e::process::Process;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use orca_e2e::tls;
use orca_e2e::tls::Alert;
use orca_e2e::tls::Answer;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;

fn url(gateway: &Gateway) -> String {
    format!("https://{}", gateway.address)
}

fn client(kit: &Kit) -> anyhow::Result<TlsClient> {
    TlsClient::new(&kit.ca(), Version::Tls13, Some(Identity::of(kit)?))
}

/// The number of the list that a gateway gives out.
fn shown(site: &Site, gateway: &Gateway) -> anyhow::Result<u64> {
    let anybody = TlsClient::new(&site.server.ca(), Version::Tls13, None)?;
    let page = anybody.get(gateway.address, "/.well-known/orca-mtls/crl");
    number(&page.response()?.body)
}

fn newest(ca: &Catool) -> anyhow::Result<u64> {
    number(&std::fs::read(ca.crl())?)
}

fn number(pem: &[u8]) -> anyhow::Result<u64> {
    let text = Program::new("openssl")
        .args(["crl", "-noout", "-crlnumber"])
        .stdin(pem)
        .run()?
        .success()?;
    let hex = text.trim().trim_start_matches("crlNumber=");
    u64::from_str_radix(hex.trim_start_matches("0x"), 16).context(text)
}

#[test]
fn a_revocation_reaches_two_gateways_within_a_second() -> anyhow::Result<()> {
    let site = Site::new()?;
    let explain = site.conf_of("explain")?.start()?;
    let strict = site.conf_of("strict")?.set("GATEWAY_CLIENT_AUTH", "strict");
    let strict = strict.start()?;
    site.ca.publish_to(&[url(&explain), url(&strict)])?;
    let kept = client(&site.client("kept")?)?;
    let mut times = Vec::new();
    for name in ["lost1", "lost2", "lost3"] {
        let lost = client(&site.client(name)?)?;
        let mut open = Vec::new();
        for gateway in [&explain, &strict] {
            let mut stream = lost.connect(gateway.address)?;
            let request = tls::request(gateway.address, "/", &[]);
            let page = http1::exchange(&mut stream, request.as_bytes())?;
            assert_eq!(page.status, 200, "{}", page.text());
            open.push(stream);
        }
        let start = Instant::now();
        let program = site.ca.program(["revoke_cert", "-c", name])?;
        let child = program.spawn(Stdio::null(), Stdio::null(), Stdio::null())?;
        let mut tool = Process::new("orca-catool", child);
        for stream in &mut open {
            tls::read_to_end(stream)?;
        }
        times.push(start.elapsed());
        assert_eq!(tool.end()?.code(), Some(0));
        let page = lost.get(explain.address, "/").response()?;
        assert!(page.text().contains("E-104"), "{}", page.text());
        let refused = lost.get(strict.address, "/");
        assert_eq!(refused, Answer::Alert(Alert::CertificateRevoked));
    }
    // The machine may be busy once, not three times.
    let best = times.iter().min().context("three")?;
    assert!(*best < Duration::from_secs(1), "{times:?}");
    for gateway in [&explain, &strict] {
        assert_eq!(kept.get(gateway.address, "/").response()?.status, 200);
    }
    let table = site.ca.done("publish_crl --format csv")?;
    assert_eq!(table.matches(",gateway,4,").count(), 2, "{table}");
    Ok(())
}

#[test]
fn a_gateway_that_was_down_gets_it_later_and_keeps_it() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let conf = site.conf()?.set("GATEWAY_LISTEN", gateway.address);
    site.ca.publish_to(&[url(&gateway)])?;
    drop(gateway);
    let told = site.ca.run("revoke_cert -c user1")?.failure(1)?;
    assert!(told.contains("IS revoked"), "{told}");
    let gateway = conf.start()?;
    let client = client(&user)?;
    assert_eq!(client.get(gateway.address, "/").response()?.status, 200);
    let listed = site.ca.run("list_cert")?;
    assert!(listed.stderr.contains("[gateways-behind]"), "{listed:?}");
    let issued = site.ca.run("issue_client_cert -c user2")?;
    issued.success()?;
    assert_eq!(issued.stderr, "");
    assert_eq!(client.get(gateway.address, "/").response()?.status, 403);
    drop(gateway);
    let gateway = conf.start()?;
    assert_eq!(client.get(gateway.address, "/").response()?.status, 403);
    assert_eq!(shown(&site, &gateway)?, newest(&site.ca)?);
    // The same list once more is no trouble.
    site.ca.done("publish_crl")?;
    Ok(())
}

#[test]
fn a_register_from_an_older_backup_is_told_as_one() -> anyhow::Result<()> {
    let site = Site::new()?;
    for name in ["user1", "user2"] {
        site.client(name)?;
    }
    let gateway = site.gateway()?;
    site.ca.publish_to(&[url(&gateway)])?;
    let register = site.ca.folder().join("register.sqlite3");
    let backup = site.path("backup");
    std::fs::copy(&register, &backup)?;
    site.ca.done("revoke_cert -c user1")?;
    std::fs::copy(&backup, &register)?;
    let told = site.ca.run("revoke_cert -c user2")?.failure(1)?;
    assert!(
        told.contains("the register may be an older backup"),
        "{told}"
    );
    assert_eq!(shown(&site, &gateway)?, 2, "that of before");
    site.ca.done("issue_crl")?;
    assert_eq!(shown(&site, &gateway)?, 3);
    Ok(())
}

#[test]
fn killed_revocations_never_take_the_number_back() -> anyhow::Result<()> {
    let site = Site::new()?;
    let gateway = site.gateway()?;
    site.ca.publish_to(&[url(&gateway)])?;
    site.ca.done("issue_client_cert -c first")?;
    let start = Instant::now();
    site.ca.done("revoke_cert -c first")?;
    let whole = start.elapsed();
    let mut seen = 2;
    for round in 0..20_u32 {
        let name = format!("user{round}");
        site.ca.done(&format!("issue_client_cert -c {name}"))?;
        let program = site.ca.program(["revoke_cert", "-c", &name])?;
        let child = program.spawn(Stdio::null(), Stdio::null(), Stdio::null())?;
        let mut tool = Process::new("orca-catool", child);
        // Not a wait for something: the moment of the power cut.
        let moment = whole * round / 16;
        wait::within(moment, "its end", || tool.ended().ok().flatten()).ok();
        tool.kill().ok();
        let number = shown(&site, &gateway)?;
        assert!(number >= seen, "{number} after {seen}");
        seen = number;
    }
    site.ca.done("issue_client_cert -c last")?;
    assert_eq!(shown(&site, &gateway)?, newest(&site.ca)?);
    let rows = site.ca.list()?;
    let revoked = rows.iter().filter(|row| row["status"] == "revoked").count();
    assert_eq!(newest(&site.ca)?, 1 + revoked as u64);
    assert!(revoked > 1, "no round came through");
    Ok(())
}
