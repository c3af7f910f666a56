//! Somebody copies a broken file onto a server that runs: it goes on serving, and says so.

use anyhow::Context;
use orca_e2e::gateway::Gateway;
use orca_e2e::kit::Kit;
use orca_e2e::site::Site;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;
use rustix::process::Signal;

struct Day {
    site: Site,
    gateway: Gateway,
    client: TlsClient,
}

impl Day {
    fn begin() -> anyhow::Result<Self> {
        let site = Site::new()?;
        let user = site.client("user1")?;
        let client = TlsClient::new(&user.ca(), Version::Tls13, Some(Identity::of(&user)?))?;
        let gateway = site.gateway()?;
        Ok(Self {
            site,
            gateway,
            client,
        })
    }

    fn serves(&self) -> anyhow::Result<()> {
        let page = self.client.get(self.gateway.address, "/").response()?;
        assert_eq!(page.status, 200);
        Ok(())
    }

    /// Replaces one of the server's files by `bytes`.
    fn replace(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let target = self.site.conf_dir().join(name);
        let partial = target.with_extension("partial");
        std::fs::write(&partial, bytes)?;
        std::fs::rename(&partial, &target)?;
        Ok(())
    }

    /// Waits until what is new in the log beyond `lines` speaks of `name`; how many lines it is.
    fn news(&self, lines: usize, name: &str) -> anyhow::Result<usize> {
        wait::until(&format!("news of {name} in the log"), || {
            let log = self.gateway.log().ok()?;
            let news: Vec<&str> = log.lines().skip(lines).collect();
            let told = news.iter().any(|line| line.contains(name));
            told.then_some(lines + news.len())
        })
        .with_context(|| self.gateway.log().unwrap_or_default())
    }

    fn lines(&self) -> anyhow::Result<usize> {
        Ok(self.gateway.log()?.lines().count())
    }

    /// The serial number of the server certificate that a new connection gets.
    fn shown(&self) -> anyhow::Result<Vec<u8>> {
        let stream = self.client.connect(self.gateway.address)?;
        let chain = stream.conn.peer_certificates().unwrap_or_default();
        Ok(chain[0].to_vec())
    }
}

#[test]
fn broken_files_keep_the_old_ones_in_force() -> anyhow::Result<()> {
    let day = Day::begin()?;
    let server = day.site.server.base().to_owned();
    let other = day.site.ca.issue("issue_server_cert -c other-server")?;
    let foreign_key = std::fs::read(other.pem())?;
    for (name, bytes) in [
        (format!("{server}.crt"), b"junk".to_vec()),
        (format!("{server}.crt"), Vec::new()),
        (format!("{server}.pem"), foreign_key),
        (
            "ca.crt".to_owned(),
            b"-----BEGIN CERTIFICATE-----\n".to_vec(),
        ),
        ("ca.crl".to_owned(), b"junk".to_vec()),
        ("ca.crl".to_owned(), Vec::new()),
    ] {
        let target = day.site.conf_dir().join(&name);
        let good = std::fs::read(&target)?;
        let before = day.shown()?;
        let lines = day.lines()?;
        day.replace(&name, &bytes)?;
        let lines = day.news(lines, &name)?;
        day.serves()?;
        day.gateway.process.signal(Signal::HUP)?;
        day.news(lines, &name)?;
        day.serves()?;
        assert_eq!(day.shown()?, before, "{name}");
        day.replace(&name, &good)?;
    }
    Ok(())
}

#[test]
fn a_new_server_certificate_needs_no_restart() -> anyhow::Result<()> {
    let day = Day::begin()?;
    let before = day.shown()?;
    let base = day.site.server.base().to_owned();
    let renewed = day
        .site
        .ca
        .issue("issue_server_cert -c weborca-server -i 127.0.0.1")?;
    // As people copy: first one file, then the other; in between they do not belong together.
    day.replace(&format!("{base}.crt"), &std::fs::read(renewed.crt())?)?;
    day.serves()?;
    day.replace(&format!("{base}.pem"), &std::fs::read(renewed.pem())?)?;
    wait::until("the new certificate", || {
        (day.shown().ok()? != before).then_some(())
    })?;
    day.serves()
}

#[test]
fn a_second_authority_is_added_while_the_clinic_works() -> anyhow::Result<()> {
    let day = Day::begin()?;
    let other = orca_e2e::forge::Forge::foreign()?;
    let newcomer = TlsClient::new(
        &day.site.server.ca(),
        Version::Tls13,
        Some(other.client("newcomer", 9)?),
    )?;
    let refused = newcomer.get(day.gateway.address, "/").response()?;
    assert_eq!(refused.status, 403);
    let ours = std::fs::read_to_string(day.site.server.ca())?;
    let both = format!("{ours}{}", other.pem()?);
    day.replace("ca.crt", both.as_bytes())?;
    wait::until("the second authority", || {
        let page = newcomer.get(day.gateway.address, "/").response().ok()?;
        (page.status == 200).then_some(())
    })?;
    day.serves()?;

    // Fewer than before might be a half-written file: only SIGHUP says it is meant.
    let lines = day.lines()?;
    day.replace("ca.crt", ours.as_bytes())?;
    day.news(lines, "[fewer-authorities]")?;
    let still = newcomer.get(day.gateway.address, "/").response()?;
    assert_eq!(still.status, 200);
    day.gateway.process.signal(Signal::HUP)?;
    wait::until("the second authority is gone", || {
        let page = newcomer.get(day.gateway.address, "/").response().ok()?;
        (page.status == 403).then_some(())
    })?;
    day.serves()
}

#[test]
fn a_server_kit_is_shown_by_its_serial_in_the_status() -> anyhow::Result<()> {
    let day = Day::begin()?;
    let health = day.gateway.status("/healthz")?;
    assert_eq!(health.status, 200);
    let status = day.gateway.status("/status")?.json()?;
    assert!(status.is_object(), "{status}");
    let metrics = day.gateway.status("/metrics")?;
    assert_eq!(metrics.status, 200);
    assert!(metrics.text().contains("# TYPE "), "{}", metrics.text());
    Ok(())
}

/// A kit of a whole other authority: nothing of it is taken while half of it is there.
#[test]
fn another_authoritys_kit_is_taken_whole_or_not_at_all() -> anyhow::Result<()> {
    let day = Day::begin()?;
    let elsewhere = Site::new()?;
    let kit: &Kit = &elsewhere.server;
    let base = day.site.server.base().to_owned();
    let before = day.shown()?;
    let lines = day.lines()?;
    day.replace(&format!("{base}.pem"), &std::fs::read(kit.pem())?)?;
    day.news(lines, &base)?;
    assert_eq!(day.shown()?, before);
    day.serves()
}
