//! Time passes: a certificate ends in the middle of the day, a revocation list grows too old.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use anyhow::Context;
use orca_e2e::gateway::Gateway;
use orca_e2e::http1;
use orca_e2e::kit::Kit;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use orca_e2e::tls;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;

/// Seconds between the start of the gateway, on its own clock, and the end of the certificate.
const LEFT: i64 = 4;

#[test]
fn a_certificate_that_ends_ends_its_connections() -> anyhow::Result<()> {
    let site = Site::new()?;
    let short = site.ca.issue("issue_client_cert -c short --days 1")?;
    let long = site.client("long")?;
    let conf = site.conf()?;
    let shift = format!("+{}", seconds_left(&short)? - LEFT);
    let gateway = conf.start_program(conf.program(&[])?.at(&shift))?;
    let (short, long) = (client(&short)?, client(&long)?);
    let request = tls::request(gateway.address, "/", &[]);
    let mut theirs = short.connect(gateway.address)?;
    let mut ours = long.connect(gateway.address)?;
    for stream in [&mut theirs, &mut ours] {
        let page = http1::exchange(stream, request.as_bytes())?;
        assert_eq!(page.status, 200, "{}", page.text());
    }
    tls::read_to_end(&mut theirs)?;
    let page = short.get(gateway.address, "/").response()?;
    assert_eq!(page.status, 403);
    assert!(page.text().contains("E-102"), "{}", page.text());
    assert_eq!(http1::exchange(&mut ours, request.as_bytes())?.status, 200);
    Ok(())
}

fn client(kit: &Kit) -> anyhow::Result<TlsClient> {
    TlsClient::new(&kit.ca(), Version::Tls13, Some(Identity::of(kit)?))
}

/// From now, on the real clock, to notAfter.
fn seconds_left(kit: &Kit) -> anyhow::Result<i64> {
    let end = Program::new("openssl")
        .args(["x509", "-noout", "-enddate", "-in"])
        .arg(kit.crt())
        .run()?
        .success()?;
    let end = end.trim().trim_start_matches("notAfter=").to_owned();
    let end = Program::new("date").args(["-d", &end, "+%s"]).run()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(end.success()?.trim().parse::<i64>()? - i64::try_from(now)?)
}

#[test]
fn an_old_list_still_revokes_and_raises_an_alarm() -> anyhow::Result<()> {
    let (site, valid, revoked) = clinic_with_an_old_list()?;
    let gateway = site.gateway()?;
    assert_eq!(valid.get(gateway.address, "/").response()?.status, 200);
    number_shown(&revoked, &gateway, "E-104")?;
    let log = gateway.log()?;
    assert!(log.contains("[crl-overdue]"), "{log}");
    let metrics = gateway.status("/metrics")?.text();
    assert!(metrics.contains("crl"), "{metrics}");
    Ok(())
}

#[test]
fn an_old_list_refuses_where_that_is_wanted() -> anyhow::Result<()> {
    let (site, valid, revoked) = clinic_with_an_old_list()?;
    let gateway = site.conf()?.set("GATEWAY_CRL_UNUSABLE", "refuse").start()?;
    number_shown(&valid, &gateway, "E-107")?;
    number_shown(&revoked, &gateway, "E-104")?;
    assert_eq!(site.application.seen()?.connections, 0);
    site.ca.done("issue_crl")?;
    site.place(&site.ca.crl())?;
    wait::until("the new list is taken", || {
        let page = valid.get(gateway.address, "/").response().ok()?;
        (page.status == 200).then_some(())
    })?;
    number_shown(&revoked, &gateway, "E-104")
}

/// A revocation list that should have been replaced four days ago.
fn clinic_with_an_old_list() -> anyhow::Result<(Site, TlsClient, TlsClient)> {
    let site = Site::new()?;
    let valid = site.client("valid")?;
    let revoked = site.client("revoked")?;
    site.ca.done(&format!("revoke_cert {}", revoked.number()))?;
    site.ca
        .program(["issue_crl", "--days", "1"])?
        .at("-5d")
        .run()?
        .success()?;
    Ok((site, client(&valid)?, client(&revoked)?))
}

fn number_shown(client: &TlsClient, gateway: &Gateway, number: &str) -> anyhow::Result<()> {
    let page = client.get(gateway.address, "/").response()?;
    assert_eq!(page.status, 403);
    let text = page.text();
    text.contains(number)
        .then_some(())
        .with_context(|| format!("no {number} in {text}"))
}
