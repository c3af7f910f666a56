//! Who was there: the access log, whether it is as it was written, and when each certificate was used.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use orca_e2e::curl::Curl;
use orca_e2e::gateway::Gateway;
use orca_e2e::kit::Kit;
use orca_e2e::program::{Outcome, Program, ours};
use orca_e2e::site::Site;
use orca_e2e::tls::{Identity, TlsClient, Version};
use orca_e2e::wait;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// `verify_log` in English, as JSON.
fn verify(files: &[&Path], anchors: Option<&Path>) -> anyhow::Result<Outcome> {
    let mut program = Program::new(ours("orca-gateway")?)
        .args(["verify_log", "--lang", "en", "--format", "json"])
        .args(files.iter().map(|path| path.display().to_string()));
    if let Some(anchors) = anchors {
        program = program.args(["--anchors", &anchors.display().to_string()]);
    }
    program.run()
}

fn found(outcome: &Outcome) -> anyhow::Result<Vec<(String, Value)>> {
    let report: Value = serde_json::from_slice(&outcome.stdout)?;
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    let failures = findings
        .iter()
        .filter(|found| found["verdict"] == "failure");
    Ok(failures
        .map(|found| {
            (
                found["id"].as_str().unwrap_or_default().into(),
                found["line"].clone(),
            )
        })
        .collect())
}

fn ask(gateway: &Gateway, user: &Kit, path: &str) -> anyhow::Result<()> {
    Curl::new(gateway.address, &user.ca())
        .with_pem(user)
        .get(path)?;
    gateway.access(path, |entry| entry["path"] == path)?;
    Ok(())
}

fn stop(gateway: &mut Gateway) -> anyhow::Result<()> {
    gateway.process.signal(Signal::TERM)?;
    ensure!(gateway.process.end()?.success());
    Ok(())
}

#[test]
fn a_log_over_restarts_and_rotation_is_verified_and_tampering_is_found() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let conf = site.conf()?;
    let log = conf.access_log_path();
    let old = log.with_extension("log.1");
    let mut gateway = conf.start()?;
    for path in ["/a", "/b", "/c"] {
        ask(&gateway, &user, path)?;
    }
    stop(&mut gateway)?;
    let mut gateway = conf.start()?;
    for path in ["/d", "/e"] {
        ask(&gateway, &user, path)?;
    }
    fs::rename(&log, &old)?;
    gateway.process.signal(Signal::HUP)?;
    wait::until("a new file", || log.exists().then_some(()))?;
    for path in ["/f", "/g"] {
        ask(&gateway, &user, path)?;
    }
    stop(&mut gateway)?;
    let events = conf.log_path();
    let outcome = verify(&[&log, &old], Some(&events))?;
    let report: Value = serde_json::from_str(&outcome.success()?)?;
    assert_eq!(report["lines"], 7, "{report:#}");
    assert_eq!(report["chains"].as_array().map(Vec::len), Some(2));
    assert!(report["anchors"].as_u64() >= Some(3), "{report:#}");

    let text = fs::read_to_string(&old)?;
    fs::write(&old, text.replacen("\"/b\"", "\"/x\"", 1))?;
    let outcome = verify(&[&old, &log], None)?;
    outcome.failure(1)?;
    assert_eq!(found(&outcome)?, [("line-changed".into(), 2.into())]);

    let without: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("\"/b\""))
        .collect();
    fs::write(&old, without.join("\n") + "\n")?;
    let outcome = verify(&[&old, &log], None)?;
    assert_eq!(found(&outcome)?, [("lines-removed".into(), 2.into())]);

    fs::write(&old, &text)?;
    let text = fs::read_to_string(&log)?;
    let first = text.lines().next().unwrap_or_default();
    fs::write(&log, format!("{first}\n"))?;
    verify(&[&old, &log], None)?.success()?;
    let outcome = verify(&[&old, &log], Some(&events))?;
    outcome.failure(1)?;
    assert_eq!(found(&outcome)?, [("lines-cut".into(), 1.into())]);
    Ok(())
}

/// A tmpfs, unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(dir.path())
            .status()?;
        ensure!(status.success(), "mounting a tmpfs takes root");
        Ok(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is still mounted makes removing the folder fail, which is harmless.
        Command::new("umount").arg(self.0.path()).status().ok();
    }
}

#[test]
fn a_full_disk_stops_nothing_and_the_gap_is_told() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let disk = SmallDisk::new()?;
    let log = disk.0.path().join("access.log");
    let filler = disk.0.path().join("filler");
    let conf = site.conf()?.set("GATEWAY_ACCESS_LOG", log.display());
    let mut gateway = conf.start()?;
    let curl = Curl::new(gateway.address, &user.ca()).with_pem(&user);
    curl.get("/before")?;
    wait::until("a line", || {
        fs::read_to_string(&log)
            .ok()
            .filter(|text| !text.is_empty())
    })?;
    // Everything but the page that is in use already.
    let mut size = 64 << 10;
    while size > 0 && fs::write(&filler, vec![0u8; size]).is_err() {
        size -= 1 << 10;
    }
    let mut lost = 0;
    wait::until("the alarm", || {
        lost += 1;
        assert_eq!(curl.get("/lost").ok()?.status, 404);
        let status = gateway.status("/status").ok()?.json().ok()?;
        let alarms = status["alarms"].as_array()?.clone();
        alarms
            .contains(&"access-log-not-writable".into())
            .then_some(())
    })?;
    gateway.logged("[log-not-writable]")?;
    fs::remove_file(&filler)?;
    gateway.logged("[access-log-gap]")?;
    curl.get("/after")?;
    let gap = wait::until("the gap", || {
        let text = fs::read_to_string(&log).ok()?;
        text.contains("\"/after\"").then_some(())?;
        let mut lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.find(|line: &Value| line["log"]["event"] == "gap")
    })?;
    let missing = gap["log"]["lines"].as_u64().unwrap_or_default();
    assert!((1..=lost).contains(&missing), "{missing} of {lost}: {gap}");
    assert!(gap["log"]["from"].is_string() && gap["log"]["to"].is_string());
    let text = fs::read_to_string(&log)?;
    let told = text
        .lines()
        .filter(|line| line.contains("\"/lost\""))
        .count();
    assert_eq!(told as u64 + missing, lost, "{text}");
    stop(&mut gateway)?;
    verify(&[&log], Some(&conf.log_path()))?.success()?;
    Ok(())
}

#[test]
fn a_stranger_cannot_fill_the_disk() -> anyhow::Result<()> {
    let site = Site::new()?;
    let conf = site.conf()?;
    let mut gateway = conf.start()?;
    for _ in 0..600 {
        assert_eq!(orca_e2e::http1::get(gateway.address, "/")?.status, 400);
    }
    stop(&mut gateway)?;
    let log = gateway.access_log()?;
    assert!((200..400).contains(&log.len()), "{}", log.len());
    let left_out: u64 = log
        .iter()
        .filter_map(|line| line["log"]["left_out"]["plain-http"].as_u64())
        .sum();
    let told = log
        .iter()
        .filter(|line| line["cause"] == "plain-http")
        .count();
    assert_eq!(told as u64 + left_out, 600);
    Ok(())
}

#[test]
fn requests_that_break_off_and_lists_that_are_refused_have_their_causes() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let client = TlsClient::new(&user.ca(), Version::Tls13, Some(Identity::of(&user)?))?;
    // The application answers neither before it has read the whole.
    let ends = [
        ("/login", "Content-Length: 9\r\n\r\n123"),
        ("/upload", "Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ];
    for (path, end) in ends {
        let request = format!("POST {path} HTTP/1.1\r\nHost: weborca-server\r\n{end}");
        let mut stream = client.connect(gateway.address)?;
        stream.write_all(request.as_bytes())?;
        stream.flush()?;
        drop(stream);
        let line = gateway.access(path, |entry| entry["path"] == path)?;
        assert_eq!(line["cause"], "broken-request", "{line}");
        assert_eq!(line["method"], "POST", "{line}");
        assert_eq!(line["client"]["subject"], "/C=JP/O=orca/CN=user1", "{line}");
    }

    const LISTS: &str = "/.well-known/orca-mtls/crl";
    let nobody = Curl::new(gateway.address, &user.ca());
    let (garbage, huge) = (site.path("garbage"), site.path("huge"));
    fs::write(&garbage, "garbage")?;
    fs::File::create(&huge)?.set_len(65 << 20)?;
    let put = |file: &Path| nobody.clone().arg("--upload-file").arg(file).get(LISTS);
    let mut statuses = vec![put(&huge)?.status, put(&garbage)?.status];
    statuses.push(
        nobody
            .clone()
            .args(["--request", "DELETE"])
            .get(LISTS)?
            .status,
    );
    while statuses.last() != Some(&429) {
        statuses.push(put(&garbage)?.status);
        ensure!(statuses.len() < 50, "{statuses:?}");
    }
    assert_eq!(statuses[..4], [413, 403, 405, 403]);
    let lines = wait::until("all of them", || {
        let mut lines = gateway.access_log().ok()?;
        lines.retain(|entry| entry["path"] == LISTS);
        (lines.len() == statuses.len()).then_some(lines)
    })?;
    for (line, status) in lines.iter().zip(&statuses) {
        assert_eq!(line["status"], *status, "{line}");
        assert_eq!(line["cause"], "not-forwarded", "{line}");
        assert_eq!(line["client"]["address"], "127.0.0.1", "{line}");
        assert!(line["client"]["subject"].is_null(), "{line}");
    }
    put(&site.ca.crl())?;
    let good = gateway.access("the good one", |entry| entry["status"] == 204)?;
    assert!(good["cause"].is_null(), "{good}");
    Ok(())
}

#[test]
fn the_last_use_is_remembered_and_told_to_who_comes_without() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let conf = site.conf()?;
    let mut gateway = conf.start()?;
    let curl = Curl::new(gateway.address, &user.ca()).with_pem(&user);
    curl.get("/")?;
    let status = gateway.status("/status")?.json()?;
    assert_eq!(status["last_seen"][0]["last_address"], "127.0.0.1");
    assert_eq!(
        status["lockout"]["what"], "server-certificate",
        "{status:#}"
    );
    let stranger = TlsClient::new(&user.ca(), Version::Tls13, None)?;
    let page = |gateway: &Gateway| -> anyhow::Result<String> {
        Ok(stranger.get(gateway.address, "/").response()?.text())
    };
    assert!(!page(&gateway)?.contains("前回使用された証明書"));
    stop(&mut gateway)?;

    let seen = conf
        .program(&["last_seen", "--format", "json"])?
        .run()?
        .success()?;
    let seen: Value = serde_json::from_str(&seen)?;
    assert_eq!(seen[0]["subject"], "/C=JP/O=orca/CN=user1");
    assert_eq!(seen[0]["last_address"], "127.0.0.1");
    assert!(
        seen[0]["user_agent"]
            .as_str()
            .is_some_and(|name| name.starts_with("curl/"))
    );

    let file = site.path("seen.csv");
    let csv = conf
        .program(&["last_seen", "--format", "csv"])?
        .run()?
        .success()?;
    fs::write(&file, csv)?;
    let line = format!("list_cert user1 --format json --seen {}", file.display());
    let listed: Value = serde_json::from_str(&site.ca.done(&line)?)?;
    assert_eq!(listed[0]["last_address"], "127.0.0.1", "{listed:#}");
    let listed: Value = serde_json::from_str(&site.ca.done("list_cert --format json")?)?;
    assert_eq!(
        listed[0].get("last_address"),
        None,
        "only where it is asked for"
    );

    let gateway = conf.start()?;
    site.ca.done("revoke_cert -c user1")?;
    site.place(&site.ca.crl())?;
    wait::until("the revocation", || {
        let text = page(&gateway).ok()?;
        text.contains("この端末で前回使用された証明書は、本日利用停止(失効)されています。")
            .then_some(())
    })?;
    assert!(!page(&gateway)?.contains("user1"));
    Ok(())
}
