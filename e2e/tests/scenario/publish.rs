//! The CRL on its way from the CA machine to gateways, and what is told when one has not got it.

use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use orca_e2e::catool::Catool;
use orca_e2e::forge::Forge;
use orca_e2e::kit::Kit;
use orca_e2e::process::Process;
use orca_e2e::program::Outcome;
use orca_e2e::program::Program;
use orca_e2e::stand_in::Manner;
use orca_e2e::stand_in::Request;
use orca_e2e::stand_in::StandIn;
use orca_e2e::stand_in::Vacancy;
use orca_e2e::tls::Identity;
use orca_e2e::wait;
use serde_json::Value;
use tempfile::TempDir;

/// The CA machine alone, with the server certificate of a gateway on another.
struct Machine {
    _dir: TempDir,
    ca: Catool,
    server: Kit,
}

impl Machine {
    fn new() -> anyhow::Result<Self> {
        Self::made("-30d")
    }

    fn made(shift: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let ca = Catool::new(dir.path());
        ca.program(["init"])?.at(shift).run()?.success()?;
        let server = ca.issue_at(shift, "issue_server_cert -i 127.0.0.1")?;
        let _dir = dir;
        Ok(Self { _dir, ca, server })
    }

    fn gateway(&self, manners: &[Manner]) -> anyhow::Result<StandIn> {
        StandIn::start(&Identity::of(&self.server)?, manners)
    }

    /// `list_cert`, which always succeeds; what it warned of.
    fn warned(&self) -> anyhow::Result<String> {
        let outcome = self.ca.run("list_cert --format json")?;
        let rows: Value = serde_json::from_str(&outcome.success()?)?;
        assert!(rows.is_array());
        Ok(outcome.stderr)
    }
}

/// The number of a list, by openssl.
fn number(pem: &[u8]) -> anyhow::Result<u64> {
    let text = Program::new("openssl")
        .args(["crl", "-noout", "-crlnumber"])
        .stdin(pem)
        .run()?
        .success()?;
    let hex = text.trim().trim_start_matches("crlNumber=0x");
    u64::from_str_radix(hex.trim_start_matches("crlNumber="), 16).context(text)
}

fn newest(ca: &Catool) -> anyhow::Result<u64> {
    number(&std::fs::read(ca.crl())?)
}

fn last(requests: &[Request]) -> anyhow::Result<&Request> {
    requests.last().context("nothing was put")
}

/// The state of every place by its address.
fn states(outcome: &Outcome) -> anyhow::Result<Vec<(String, String, Value)>> {
    let rows: Vec<Value> = serde_json::from_slice(&outcome.stdout)?;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(rows
        .iter()
        .map(|row| {
            (
                word(&row["place"]),
                word(&row["state"]),
                row["cause"].clone(),
            )
        })
        .collect())
}

#[test]
fn every_new_list_is_put_to_the_gateway() -> anyhow::Result<()> {
    let machine = Machine::new()?;
    let gateway = machine.gateway(&[Manner::takes()])?;
    machine.ca.publish_to(&[gateway.url()])?;
    machine.ca.issue("issue_client_cert -c user1")?;
    let requests = gateway.requests();
    let first = last(&requests)?;
    let line = first.head.lines().next().context("a line")?;
    assert_eq!(line, "PUT /.well-known/orca-mtls/crl HTTP/1.1");
    let host = format!(
        "\r\nHost: {}\r\n",
        gateway.url().trim_start_matches("https://")
    );
    assert!(first.head.contains(&host), "{}", first.head);
    assert_eq!(first.protocol, "orca-mtls-crl");
    assert_eq!(number(&first.body)?, 1);

    let revoked = machine.ca.run("revoke_cert -c user1")?;
    revoked.success()?;
    assert!(
        !revoked.stderr.contains("no-gateway-told"),
        "{}",
        revoked.stderr
    );
    machine.ca.done("issue_crl")?;
    let bodies = gateway.requests().into_iter().map(|request| request.body);
    let bodies: Vec<_> = bodies.collect();
    assert_eq!(bodies.len(), 3);
    assert_eq!((number(&bodies[1])?, number(&bodies[2])?), (2, 3));
    assert_eq!(bodies[2], std::fs::read(machine.ca.crl())?);

    // Who has it is left alone, until all are to get it again.
    machine.ca.issue("issue_client_cert -c user2")?;
    assert_eq!(gateway.requests().len(), 3);
    assert_eq!(machine.warned()?, "");
    let again = machine.ca.run("publish_crl --format csv")?;
    let csv = again.success()?;
    assert_eq!(
        csv.lines().next(),
        Some("place,kind,number,since,state,cause")
    );
    assert_eq!(csv.matches(",current,").count(), 2, "{csv}");
    assert_eq!(gateway.requests().len(), 4);
    Ok(())
}

#[test]
fn a_gateway_that_is_down_is_told_remembered_and_repaired() -> anyhow::Result<()> {
    let machine = Machine::new()?;
    let vacancy = Vacancy::new()?;
    let url = vacancy.url();
    machine.ca.publish_to(std::slice::from_ref(&url))?;
    machine.ca.issue("issue_client_cert -c user1")?;
    for (lang, revoked, cause, id) in [
        (
            "en",
            "000003 IS revoked",
            "nothing listens there",
            "crl-not-published",
        ),
        (
            "ja",
            "000004 は破棄(失効)されました",
            "接続を受け付けるものがありません",
            "crl-not-published",
        ),
    ] {
        let line = format!("revoke_cert -c user1 --lang {lang}");
        let told = machine.ca.run(&line)?.failure(1)?;
        for part in [revoked, cause, &url, id, "orca-catool publish_crl"] {
            assert!(told.contains(part), "no {part:?} in {told}");
        }
        machine.ca.issue("issue_client_cert -c user1")?;
    }
    assert_eq!(newest(&machine.ca)?, 3, "the file has it all the same");
    let start = Instant::now();
    let warned = machine.warned()?;
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert!(warned.contains("[gateways-behind]"), "{warned}");
    assert!(warned.contains(&format!("{url} (it has none)")), "{warned}");
    let table = machine.ca.run("publish_crl")?.failure(1)?;
    assert!(table.contains("behind"), "{table}");

    let gateway = vacancy.open(&Identity::of(&machine.server)?, &[Manner::takes()])?;
    let repaired = machine.ca.run("publish_crl --format json")?;
    repaired.success()?;
    let expected = (url, "current".to_owned(), Value::Null);
    assert!(states(&repaired)?.contains(&expected), "{repaired:?}");
    assert_eq!(number(&last(&gateway.requests())?.body)?, 3);
    assert_eq!(machine.warned()?, "");
    Ok(())
}

#[test]
fn any_command_that_changes_something_tries_again() -> anyhow::Result<()> {
    let machine = Machine::new()?;
    let vacancy = Vacancy::new()?;
    machine.ca.publish_to(&[vacancy.url()])?;
    let issued = machine.ca.run("issue_client_cert -c user1")?;
    issued.success()?;
    assert!(issued.stderr.contains("[gateways-behind]"), "{issued:?}");
    let busy = Manner::status("503 Service Unavailable");
    let manners = [busy.clone(), busy, Manner::takes()];
    let gateway = vacancy.open(&Identity::of(&machine.server)?, &manners)?;
    machine.warned()?;
    assert_eq!(gateway.requests().len(), 0, "list_cert calls nobody");
    let once = machine.ca.run("export_cert -c user1")?;
    once.success()?;
    assert!(once.stderr.contains("(HTTP 503)"), "{once:?}");
    assert_eq!(gateway.requests().len(), 1, "briefly");
    // Somebody who wants a revocation to be in force waits for the second answer.
    machine.ca.done("issue_crl --if-older-than 7d")?;
    assert_eq!(gateway.requests().len(), 3);
    assert_eq!(machine.warned()?, "");
    Ok(())
}

#[test]
fn each_cause_is_told_apart() -> anyhow::Result<()> {
    let machine = Machine::new()?;
    let ca = &machine.ca;
    let own = Identity::of(&machine.server)?;
    let other = Identity::of(&ca.issue("issue_server_cert -c other-server -i 10.1.2.3")?)?;
    let ended = Identity::of(&ca.issue_at("-20d", "issue_server_cert -i 127.0.0.1 --days 3")?)?;
    let client = Identity::of(&ca.issue("issue_client_cert -c user1")?)?;
    let stolen = ca.issue("issue_server_cert -i 127.0.0.1")?;
    ca.done(&format!("revoke_cert {}", stolen.number()))?;
    let elsewhere = machine.gateway(&[Manner::takes()])?;
    let moved = format!("308 Permanent Redirect\r\nLocation: {}/x", elsewhere.url());
    let takes = Manner::takes;
    let status = Manner::status;
    let cases = [
        (other, takes(), "wrong-name", "other-server, 10.1.2.3"),
        (
            Forge::look_alike(&machine.server.ca())?.server()?,
            takes(),
            "foreign-issuer",
            "another CA",
        ),
        (
            Forge::foreign()?.server()?,
            takes(),
            "foreign-issuer",
            "another CA",
        ),
        (ended, takes(), "expired", "has expired"),
        (Identity::of(&stolen)?, takes(), "revoked", "is revoked"),
        (client, takes(), "certificate", "cannot be used"),
        (own.clone(), Manner::Plain, "not-tls", "HTTP mode"),
        (own.clone(), status("403 Forbidden"), "not-taken", "CA_CRT"),
        (
            own.clone(),
            status("404 Not Found"),
            "not-a-gateway",
            "HTTP 404",
        ),
        (own.clone(), status("200 OK"), "not-a-gateway", "HTTP 200"),
        (own.clone(), status(&moved), "not-a-gateway", "HTTP 308"),
        (
            own.clone(),
            status("413 Content Too Large"),
            "too-large",
            "413",
        ),
        (
            own.clone(),
            status("500 Internal Server Error"),
            "unavailable",
            "HTTP 500",
        ),
        (
            own.clone(),
            status("429 Too Many Requests\r\nRetry-After: 999999"),
            "busy",
            "429",
        ),
        (own.clone(), Manner::Endless, "not-http", "no HTTP"),
        (
            own.clone(),
            Manner::Answers(b"220 mail ESMTP\r\n".into()),
            "not-http",
            "no HTTP",
        ),
        (
            own,
            Manner::Answers(b"HTTP/1.1 2".into()),
            "lost",
            "connection was lost",
        ),
    ];
    let mut gateways = Vec::new();
    for (identity, manner, ..) in &cases {
        gateways.push(StandIn::start(identity, std::slice::from_ref(manner))?);
    }
    let urls: Vec<String> = gateways.iter().map(StandIn::url).collect();
    ca.publish_to(&urls)?;
    let start = Instant::now();
    let outcome = ca.run("publish_crl --format json")?;
    let told = outcome.failure(1)?;
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
    let states = states(&outcome)?;
    for ((.., cause, part), url) in cases.iter().zip(&urls) {
        let (_, state, seen) = states
            .iter()
            .find(|row| row.0 == *url)
            .context(told.clone())?;
        assert_eq!(
            (state.as_str(), seen.as_str()),
            ("behind", Some(*cause)),
            "{told}"
        );
        let message = told.split(url.as_str()).last().unwrap_or_default();
        let message = message.split("; https://").next().unwrap_or_default();
        assert!(message.contains(part), "no {part:?} in {message:?}");
    }
    assert!(elsewhere.requests().is_empty(), "no redirect is followed");
    for gateway in &gateways[..6] {
        assert!(gateway.requests().is_empty(), "a stranger gets nothing");
    }
    Ok(())
}

#[test]
fn one_that_hangs_keeps_no_other_waiting() -> anyhow::Result<()> {
    let machine = Machine::new()?;
    let good = machine.gateway(&[Manner::takes()])?;
    let hanging = machine.gateway(&[Manner::Hangs])?;
    for name in ["user1", "user2"] {
        machine.ca.issue(&format!("issue_client_cert -c {name}"))?;
    }
    machine.ca.publish_to(&[hanging.url(), good.url()])?;
    let start = Instant::now();
    let program = machine.ca.program(["revoke_cert", "-c", "user1"])?;
    let child = program.spawn(Stdio::null(), Stdio::null(), Stdio::null())?;
    let mut first = Process::new("orca-catool", child);
    let put = |gateway: &StandIn| {
        wait::until("a list at the gateway", || {
            gateway.requests().first().map(|request| request.at)
        })
    };
    let (quick, slow) = (put(&good)?, put(&hanging)?);
    let apart = quick.saturating_duration_since(slow);
    assert!(apart < Duration::from_secs(1), "{apart:?}");

    // Nor another command.
    let program = machine.ca.program(["revoke_cert", "-c", "user2"])?;
    let child = program.spawn(Stdio::null(), Stdio::null(), Stdio::null())?;
    let mut second = Process::new("orca-catool", child);
    wait::until("the second list at the other gateway", || {
        (good.requests().len() == 2).then_some(())
    })?;
    assert_eq!(newest(&machine.ca)?, 3);
    assert!(first.ended()?.is_none(), "the first still waits");
    for process in [&mut first, &mut second] {
        assert_eq!(process.end()?.code(), Some(1));
    }
    assert!(
        start.elapsed() < Duration::from_secs(28),
        "{:?}",
        start.elapsed()
    );
    let warned = machine.warned()?;
    assert!(warned.contains("no answer in time"), "{warned}");
    assert!(!warned.contains(&good.url()), "{warned}");
    Ok(())
}

#[test]
fn an_ageing_list_is_renewed_by_whatever_runs() -> anyhow::Result<()> {
    for (line, code) in [
        ("list_cert", 0),
        ("export_cert -c 127.0.0.1", 0),
        ("", 2),
        ("revoke_cert 99", 1),
    ] {
        let machine = Machine::made("-200d")?;
        let gateway = machine.gateway(&[Manner::takes()])?;
        machine.ca.publish_to(&[gateway.url()])?;
        for word in ["--help", "--version"] {
            machine.ca.done(word)?;
        }
        assert_eq!(newest(&machine.ca)?, 1);
        let outcome = machine.ca.run(line)?;
        outcome.failure(code)?;
        let told = outcome
            .stderr
            .lines()
            .filter(|line| line.contains("[crl-renewed]"));
        assert_eq!(told.count(), 1, "{line}: {outcome:?}");
        assert_eq!(newest(&machine.ca)?, 2, "{line}");
        assert_eq!(number(&last(&gateway.requests())?.body)?, 2, "{line}");
        assert_eq!(machine.warned()?, "");
    }
    Ok(())
}

#[test]
fn while_the_list_is_young_a_timer_hears_its_path_and_nothing_else() -> anyhow::Result<()> {
    let machine = Machine::new()?;
    let path = format!("{}\n", machine.ca.crl().display());
    let young = machine.ca.run("issue_crl --if-older-than 40d")?;
    assert_eq!(
        (young.success()?, young.stderr.as_str()),
        (path.clone(), "")
    );
    // A copy that somebody removed is put back without a word.
    std::fs::remove_file(machine.ca.crl())?;
    let young = machine.ca.run("issue_crl --if-older-than 40d")?;
    assert_eq!(
        (young.success()?, young.stderr.as_str()),
        (path.clone(), "")
    );
    assert_eq!(newest(&machine.ca)?, 1);
    let old = machine.ca.done("issue_crl --if-older-than 7d")?;
    assert_eq!(old, path);
    assert_eq!(newest(&machine.ca)?, 2);
    Ok(())
}

#[test]
fn a_list_that_cannot_be_renewed_stops_no_command() -> anyhow::Result<()> {
    let machine = Machine::made("-200d")?;
    let hanging = machine.gateway(&[Manner::Hangs])?;
    machine.ca.publish_to(&[hanging.url()])?;
    let key = machine.ca.folder().join("ca.key");
    let aside = machine.ca.folder().join("aside");
    std::fs::rename(&key, &aside)?;
    let warned = machine.warned()?;
    assert!(warned.contains("[crl-not-renewed]"), "{warned}");
    std::fs::rename(&aside, &key)?;
    let start = Instant::now();
    let warned = machine.warned()?;
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    assert!(warned.contains("[crl-renewed]"), "{warned}");
    assert!(warned.contains("[gateways-behind]"), "{warned}");
    Ok(())
}

#[test]
fn a_tool_that_is_killed_leaves_nothing_the_next_run_does_not_mend() -> anyhow::Result<()> {
    let machine = Machine::new()?;
    let gateway = machine.gateway(&[Manner::takes()])?;
    machine.ca.publish_to(&[gateway.url()])?;
    machine.ca.issue("issue_client_cert -c first")?;
    let start = Instant::now();
    machine.ca.done("revoke_cert -c first")?;
    let whole = start.elapsed();
    for round in 0..24_u32 {
        let name = format!("user{round}");
        machine.ca.issue(&format!("issue_client_cert -c {name}"))?;
        let program = machine.ca.program(["revoke_cert", "-c", &name])?;
        let child = program.spawn(Stdio::null(), Stdio::null(), Stdio::null())?;
        let mut process = Process::new("orca-catool", child);
        // Not a wait for something: the moment of the power cut.
        let moment = whole * round / 20;
        wait::within(moment, "its end", || process.ended().ok().flatten()).ok();
        process.kill().ok();
    }
    machine.ca.issue("issue_client_cert -c last")?;
    let requests = gateway.requests();
    let numbers = requests.iter().map(|request| number(&request.body));
    let numbers = numbers.collect::<anyhow::Result<Vec<u64>>>()?;
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert_eq!(numbers.last(), Some(&newest(&machine.ca)?));
    let revoked = machine.ca.list()?;
    let revoked = revoked
        .iter()
        .filter(|row| row["status"] == "revoked")
        .count();
    assert_eq!(newest(&machine.ca)?, 1 + revoked as u64);
    assert!(revoked > 1, "no round came through");
    Ok(())
}
