//! Many at once, and power cuts: what was reported as done stays done.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use orca_e2e::catool::Catool;
use orca_e2e::program::Program;
use serde_json::Value;
use tempfile::TempDir;

const CLIENTS: usize = 100;
const CUTS: usize = 200;

fn authority() -> anyhow::Result<(TempDir, Catool)> {
    let dir = tempfile::tempdir()?;
    let ca = Catool::new(dir.path());
    ca.done("init --yes")?;
    Ok((dir, ca))
}

#[test]
fn a_hundred_at_once_get_a_hundred_serials() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    let zips: Vec<String> = std::thread::scope(|scope| {
        let issues: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let ca = &ca;
                scope.spawn(move || ca.done(&format!("issue_client_cert -c user{number}")))
            })
            .collect();
        let finished = issues.into_iter().map(|issue| {
            let joined = issue.join();
            joined.map_err(|_| anyhow::anyhow!("a call panicked"))?
        });
        finished.collect::<anyhow::Result<_>>()
    })?;
    assert_eq!(zips.len(), CLIENTS);
    let serials: BTreeSet<u64> = zips
        .iter()
        .map(|zip| number_of(zip))
        .collect::<anyhow::Result<_>>()?;
    let expected: BTreeSet<u64> = (2..2 + CLIENTS as u64).collect();
    assert_eq!(serials, expected, "every serial once and none left out");
    let rows = ca.list()?;
    assert_eq!(rows.len(), CLIENTS);
    assert!(rows.iter().all(|row| row["status"] == "valid"));
    the_trail_is_whole(&ca)
}

/// One chain, whoever wrote it at the same time, and whoever was killed.
fn the_trail_is_whole(ca: &Catool) -> anyhow::Result<()> {
    let told = ca.done("audit --verify --lang en")?;
    anyhow::ensure!(told.starts_with("ok: "), "{told}");
    Ok(())
}

/// `…/000003__JP_orca_user1.zip` is number 3.
fn number_of(zip: &str) -> anyhow::Result<u64> {
    let name = Path::new(zip.trim()).file_name().context("a file")?;
    let name = name.to_str().context("UTF-8")?;
    Ok(name[..6].parse()?)
}

/// What the tool had reported as done before the power went.
#[derive(Default)]
struct Ledger {
    issued: BTreeMap<u64, String>,
    revoked: BTreeSet<u64>,
    /// Revocations that were begun and not reported: either state is right.
    doubtful: BTreeSet<u64>,
    crl_number: u64,
}

#[test]
fn power_cuts_lose_nothing_that_was_reported() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    let mut ledger = Ledger {
        crl_number: crl_number(&ca)?,
        ..Ledger::default()
    };
    // How long undisturbed calls take here, at the shortest; half of the cuts fall within that.
    let issue = duration(|| ca.done("issue_client_cert -c measure"))?;
    let mut revocation = duration(|| ca.done("revoke_cert 2"))?;
    ledger.issued.insert(2, "measure".to_owned());
    ledger.revoked.insert(2);

    let mut dice = Dice(0x5eed_0f0c);
    for cut in 0..CUTS {
        if cut % 3 == 2 {
            let after = dice.within(revocation);
            let took = cut_revocation(&ca, &mut ledger, after, &mut dice)?;
            revocation = took.map_or(revocation, |took| took.min(revocation));
        } else {
            cut_issue(&ca, &mut ledger, dice.within(issue), cut)?;
        }
        let number = crl_number(&ca).with_context(|| format!("after cut {cut}"))?;
        assert!(number >= ledger.crl_number, "the CRL went back at {cut}");
        ledger.crl_number = number;
    }
    let (cut, done) = (ledger.doubtful.len(), ledger.revoked.len());
    assert!(cut > 2 && done > 2, "{cut} revocations cut, {done} done");
    // The next call repairs whatever lags behind; then register, CRL and ledger agree.
    let last = number_of(&ca.done("issue_client_cert -c afterwards")?)?;
    ledger.issued.insert(last, "afterwards".to_owned());
    let rows = ca.list()?;
    the_register_explains(&rows, &ledger)?;
    the_crl_agrees(&ca, &rows)?;
    the_trail_is_whole(&ca)?;
    every_certificate_can_be_exported(&ca, &ledger)
}

#[test]
fn a_power_cut_during_the_first_start_is_survived() -> anyhow::Result<()> {
    let usual = duration(authority)?;
    let mut dice = Dice(0x0dd_ba11);
    for cut in 0..60 {
        let dir = tempfile::tempdir()?;
        let ca = Catool::new(dir.path());
        let after = dice.within(usual);
        let done = run_until(&ca, &["init", "--yes"], after)?.is_some();
        let next = ca
            .program(["issue_client_cert", "-c", "user1"])?
            .stdin("y\n")
            .run()?;
        let zip = next
            .success()
            .with_context(|| format!("cut {cut} after {after:?}"))?;
        assert_eq!(number_of(&zip)?, 2);
        if done {
            assert!(
                !next.stderr.contains("initialize ca?"),
                "it was reported as done"
            );
        }
    }
    Ok(())
}

fn cut_issue(ca: &Catool, ledger: &mut Ledger, after: Duration, cut: usize) -> anyhow::Result<()> {
    let name = format!("user{cut}");
    if let Some(zip) = run_until(ca, &["issue_client_cert", "-c", &name], after)? {
        let number = number_of(&zip)?;
        let twice = ledger.issued.insert(number, name);
        assert_eq!(twice, None, "serial {number} was given twice");
    }
    Ok(())
}

/// How long it took, if it was done in time.
fn cut_revocation(
    ca: &Catool,
    ledger: &mut Ledger,
    after: Duration,
    dice: &mut Dice,
) -> anyhow::Result<Option<Duration>> {
    let open: Vec<u64> = ledger
        .issued
        .keys()
        .filter(|serial| !ledger.revoked.contains(serial) && !ledger.doubtful.contains(serial))
        .copied()
        .collect();
    let Some(serial) = open.get(dice.roll(open.len().max(1) as u32) as usize) else {
        return Ok(None);
    };
    let begin = Instant::now();
    let done = run_until(ca, &["revoke_cert", &serial.to_string()], after)?.is_some();
    let took = begin.elapsed();
    match done {
        true => ledger.revoked.insert(*serial),
        false => ledger.doubtful.insert(*serial),
    };
    Ok(done.then_some(took))
}

/// Runs the tool and kills it after a while; what it printed, if it was done by then.
pub(crate) fn run_until(
    ca: &Catool,
    words: &[&str],
    after: Duration,
) -> anyhow::Result<Option<String>> {
    let mut child =
        ca.program(words.iter().copied())?
            .spawn(Stdio::null(), Stdio::piped(), Stdio::null())?;
    let mut stdout = child.stdout.take().context("no output")?;
    let (told, output) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text);
        // Nobody waits for it any more if the test has failed.
        let _ = told.send(());
        read.map(|_| text)
    });
    if output.recv_timeout(after).is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    let text = reader
        .join()
        .map_err(|_| anyhow::anyhow!("the reader panicked"))??;
    match status.code() {
        Some(0) => Ok(Some(text)),
        Some(code) => anyhow::bail!("{words:?} failed with {code}"),
        None => Ok(None),
    }
}

fn crl_number(ca: &Catool) -> anyhow::Result<u64> {
    let text = Program::new("openssl")
        .args(["crl", "-noout", "-crlnumber", "-in"])
        .arg(ca.crl())
        .run()?
        .success()?;
    let digits = text.trim().trim_start_matches("crlNumber=0x");
    Ok(u64::from_str_radix(digits, 16)?)
}

fn the_register_explains(rows: &[Value], ledger: &Ledger) -> anyhow::Result<()> {
    let mut states = BTreeMap::new();
    for row in rows {
        let serial: u64 = row["serial"].as_str().context("a serial")?.parse()?;
        let twice = states.insert(serial, row);
        assert!(twice.is_none(), "serial {serial} stands there twice");
    }
    for (serial, name) in &ledger.issued {
        let row = states
            .get(serial)
            .with_context(|| format!("{serial} is lost"))?;
        assert_eq!(row["common_name"], name.as_str(), "{row}");
        let expected: &[&str] = match () {
            () if ledger.revoked.contains(serial) => &["revoked"],
            () if ledger.doubtful.contains(serial) => &["revoked", "valid"],
            () => &["valid"],
        };
        let status = row["status"].as_str().unwrap_or_default();
        assert!(expected.contains(&status), "{row}");
    }
    for (serial, row) in states {
        let status = row["status"].as_str().unwrap_or_default();
        let explained = ledger.issued.contains_key(&serial)
            || ["reserved", "valid", "revoked"].contains(&status);
        assert!(explained, "{row}");
    }
    Ok(())
}

/// The published list says exactly what the register says.
fn the_crl_agrees(ca: &Catool, rows: &[Value]) -> anyhow::Result<()> {
    let text = Program::new("openssl")
        .args(["crl", "-noout", "-text", "-in"])
        .arg(ca.crl())
        .run()?
        .success()?;
    let listed: BTreeSet<u64> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Serial Number: "))
        .map(|serial| u64::from_str_radix(serial, 16))
        .collect::<Result<_, _>>()?;
    let revoked: BTreeSet<u64> = rows
        .iter()
        .filter(|row| row["status"] == "revoked")
        .filter_map(|row| row["serial"].as_str()?.parse().ok())
        .collect();
    assert_eq!(listed, revoked);
    Ok(())
}

/// Whoever lost the zip to the power cut gets it again.
fn every_certificate_can_be_exported(ca: &Catool, ledger: &Ledger) -> anyhow::Result<()> {
    let mut rows = ca.list()?;
    rows.retain(|row| row["status"] == "valid");
    assert!(!rows.is_empty());
    for row in rows.iter().rev().take(5) {
        let number = row["number"].as_str().context("a number")?;
        let kit = ca.issue(&format!("export_cert {number}"))?;
        assert!(kit.p12().is_file(), "{row}");
    }
    let done = ledger.issued.len();
    assert!((10..CUTS).contains(&done), "{done} issues done");
    Ok(())
}

pub(crate) fn duration<T>(call: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    call()?;
    Ok(begun.elapsed())
}

/// A sequence that is the same in every run (xorshift).
pub(crate) struct Dice(pub(crate) u32);

impl Dice {
    pub(crate) fn within(&mut self, usual: Duration) -> Duration {
        usual.mul_f64(2.0 * f64::from(self.roll(1000)) / 1000.0)
    }

    pub(crate) fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % sides
    }
}
