//! The audit trail of the CA: who did what, and what somebody with the register but without the
//! CA's key cannot hide.

use std::fs;
use std::path::Path;

use anyhow::Context;
use orca_e2e::catool::Catool;
use orca_e2e::program::Program;
use serde_json::Value;
use tempfile::TempDir;

fn authority() -> anyhow::Result<(TempDir, Catool)> {
    let dir = tempfile::tempdir()?;
    let ca = Catool::new(dir.path());
    ca.done("init --yes")?;
    Ok((dir, ca))
}

fn trail(ca: &Catool) -> anyhow::Result<Vec<Value>> {
    Ok(serde_json::from_str(&ca.done("audit --format json")?)?)
}

/// Runs SQL on a register, as somebody who has got hold of the file.
fn meddle(register: &Path, sql: &str) -> anyhow::Result<()> {
    let script = "import sqlite3, sys\n\
                  db = sqlite3.connect(sys.argv[1])\n\
                  db.executescript(sys.argv[2])\n\
                  db.commit()\n";
    let python = Program::new("python3").args(["-c", script]);
    python.arg(register).arg(sql).run()?.success()?;
    Ok(())
}

fn register(ca: &Catool) -> std::path::PathBuf {
    ca.folder().join("register.sqlite3")
}

/// The ids of what `--verify` finds, in both languages.
fn failures(ca: &Catool, more: &str) -> anyhow::Result<Vec<String>> {
    let line = format!("audit --verify --format json {more}");
    let outcome = ca.run(&line)?;
    let report: Value = serde_json::from_str(&outcome.text())?;
    let is_intact = report["intact"].as_bool().context("a verdict")?;
    assert_eq!(outcome.code, Some(i32::from(!is_intact)), "{report}");
    assert_eq!(report["head"].is_string(), is_intact, "{report}");
    let findings = report["findings"].as_array().context("findings")?;
    let failures = findings
        .iter()
        .filter(|found| found["verdict"] == "failure");
    let told = |found: &Value| {
        let id = found["id"].as_str().unwrap_or_default();
        format!("{id} {} {}", found["from"], found["to"])
    };
    Ok(failures.map(told).collect())
}

#[test]
fn every_step_of_a_ca_is_told_with_who_and_when() -> anyhow::Result<()> {
    let (dir, ca) = authority()?;
    ca.done("issue_client_cert -c user1")?;
    ca.done("export_cert 2")?;
    let place = dir.path().join("gateway.crl");
    ca.publish_to(&[place.display()])?;
    ca.done("revoke_cert 2 --reason superseded")?;
    ca.done("issue_crl")?;
    let rows = trail(&ca)?;
    let events: Vec<_> = rows
        .iter()
        .map(|row| row["event"].as_str().unwrap_or(""))
        .collect();
    let expected = "init publish config reserve issue export config revoke crl publish publish crl \
                    publish publish";
    assert_eq!(events.join(" "), expected);
    let detail = |row: usize| rows[row]["detail"].as_str().unwrap_or_default();
    assert_eq!(detail(7), "superseded");
    assert_eq!(detail(10), format!("{}: number 2", place.display()));
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row["sequence"], index + 1);
        for column in ["at", "actor", "host", "hash"] {
            assert!(
                row[column].as_str().is_some_and(|text| !text.is_empty()),
                "{row}"
            );
        }
    }
    assert_eq!(rows[7]["serial"], "2");
    // Looking on changes nothing.
    ca.done("list_cert")?;
    ca.done("audit --verify")?;
    assert_eq!(trail(&ca)?.len(), rows.len());
    for (lang, words) in [("en", ["WHO", "revoke"]), ("ja", ["実行者", "破棄"])] {
        let table = ca.done(&format!("audit --lang {lang}"))?;
        assert_eq!(table.lines().count(), rows.len() + 1);
        assert!(words.iter().all(|word| table.contains(word)), "{table}");
    }
    let csv = ca.done("audit --format csv")?;
    assert!(
        csv.starts_with("sequence,at,actor,host,event,serial,detail,hash\n1,"),
        "{csv}"
    );
    assert_eq!(
        ca.done("audit --since 2999-01-01 --format csv")?
            .lines()
            .count(),
        1
    );
    assert_eq!(
        ca.done("audit --since 2020-01-01")?.lines().count(),
        rows.len() + 1
    );
    Ok(())
}

#[test]
fn a_place_that_cannot_be_written_is_told_once_until_it_can() -> anyhow::Result<()> {
    let (dir, ca) = authority()?;
    let place = dir.path().join("taken");
    fs::create_dir_all(place.join("in-the-way"))?;
    ca.publish_to(&[place.display()])?;
    ca.run("issue_crl")?.failure(1)?;
    ca.run("list_cert")?;
    ca.run("list_cert")?;
    fs::remove_dir_all(&place)?;
    ca.done("list_cert")?;
    let rows = trail(&ca)?;
    let of_place: Vec<_> = rows
        .iter()
        .filter(|row| {
            row["detail"]
                .as_str()
                .is_some_and(|text| text.contains("taken"))
        })
        .map(|row| row["event"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(of_place, ["publish-failed", "publish"]);
    assert_eq!(failures(&ca, "")?, [""; 0]);
    Ok(())
}

#[test]
fn what_was_done_to_the_register_is_named() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    for name in ["user1", "user2"] {
        ca.done(&format!("issue_client_cert -c {name}"))?;
    }
    assert_eq!(failures(&ca, "")?, [""; 0]);
    let register = register(&ca);
    let kept = fs::read(&register)?;
    // init, publish, config, reserve, issue, reserve, issue
    for (sql, told) in [
        (
            "UPDATE audit SET actor = 'taro' WHERE sequence = 5",
            "audit-row-changed 5 5",
        ),
        (
            "DELETE FROM audit WHERE sequence = 5",
            "audit-rows-removed 6 6",
        ),
        (
            "DELETE FROM audit WHERE sequence > 5",
            "audit-rows-cut 6 7",
        ),
        (
            "UPDATE audit SET sequence = 8 WHERE sequence = 7;
             UPDATE audit SET sequence = 7 WHERE sequence = 6;
             INSERT INTO audit SELECT site, 6, at, event, serial, actor, host, detail, hash
             FROM audit WHERE sequence = 5",
            // The copy and the row itself are the same.
            "audit-rows-inserted 5 5",
        ),
        (
            "UPDATE audit_head SET sequence = 5, hash = (SELECT hash FROM audit WHERE sequence = 5);
             DELETE FROM audit WHERE sequence > 5",
            "audit-signature-wrong 5 5",
        ),
        ("DELETE FROM audit_head", "audit-signature-missing null null"),
    ] {
        meddle(&register, sql)?;
        assert_eq!(failures(&ca, "")?, [told], "{sql}");
        for (lang, word) in [("en", "failure:"), ("ja", "[異常]")] {
            let outcome = ca.run(&format!("audit --verify --lang {lang}"))?;
            let table = outcome.text();
            assert_eq!(outcome.code, Some(1));
            assert!(table.starts_with(word) && !table.contains(" hash="), "{table}");
        }
        fs::write(&register, &kept)?;
    }
    assert_eq!(failures(&ca, "")?, [""; 0]);
    Ok(())
}

#[test]
fn a_register_that_was_put_back_is_found_against_what_was_told_before() -> anyhow::Result<()> {
    let (dir, ca) = authority()?;
    let note = dir.path().join("notes");
    let anchors = format!("--anchors {}", note.display());
    let kept = fs::read(register(&ca))?;
    ca.done("issue_client_cert -c user1")?;
    // As a journal has it, and as somebody writes it down.
    let told = ca.done("audit --verify --lang ja")?;
    fs::write(
        &note,
        format!("Nov 24 09:00:00 ca orca-catool[7]: {told}\n"),
    )?;
    ca.done("revoke_cert 2")?;
    assert_eq!(failures(&ca, &anchors)?, [""; 0]);
    let agreed = ca.done(&format!("audit --verify {anchors} --lang en"))?;
    assert!(agreed.contains("; 1 anchors agree"), "{agreed}");
    // The time before the certificate, for all that the register can tell.
    fs::write(register(&ca), &kept)?;
    assert_eq!(failures(&ca, "")?, [""; 0]);
    assert_eq!(failures(&ca, &anchors)?, ["audit-rows-cut 4 5"]);
    ca.done("issue_client_cert -c user7 -o other")?;
    assert_eq!(failures(&ca, "")?, [""; 0]);
    assert_eq!(failures(&ca, &anchors)?, ["audit-rewritten 5 5"]);
    let missing = ca.run("audit --verify --anchors nowhere")?;
    missing.failure(1)?;
    fs::write(&note, "nothing of that kind\n")?;
    let report = ca.done(&format!("audit --verify {anchors}"))?;
    assert!(report.contains("[audit-no-anchors]"), "{report}");
    Ok(())
}

#[test]
fn a_register_that_can_only_be_read_is_verified() -> anyhow::Result<()> {
    let (dir, ca) = authority()?;
    ca.done("issue_client_cert -c user1")?;
    // Another user's, in a folder that nobody else can write.
    open_for_all(dir.path())?;
    let nobody = |words: &[&str]| -> anyhow::Result<String> {
        let config = ca.folder().join("config.yml");
        let program = ca.program(words.iter().copied())?;
        let program = program.arg("--config").arg(config).as_nobody();
        program.run()?.success()
    };
    let verdict = nobody(&["audit", "--verify", "--lang", "en"])?;
    assert!(verdict.starts_with("ok: 5 rows"), "{verdict}");
    assert_eq!(nobody(&["audit", "--format", "csv"])?.lines().count(), 6);
    Ok(())
}

/// Everybody may read everything below, and write nothing.
fn open_for_all(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => open_for_all(&path)?,
            false => fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?,
        }
    }
    Ok(())
}

#[test]
fn a_register_of_the_version_before_gets_its_chain() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    ca.done("issue_client_cert -c user1")?;
    meddle(
        &register(&ca),
        "DROP TABLE audit_head;
         ALTER TABLE audit DROP COLUMN actor;
         ALTER TABLE audit DROP COLUMN host;
         ALTER TABLE audit DROP COLUMN detail;
         ALTER TABLE audit DROP COLUMN hash;
         PRAGMA user_version = 4",
    )?;
    let verdict = ca.done("audit --verify --lang en")?;
    assert!(verdict.contains("[audit-not-chained]"), "{verdict}");
    ca.done("issue_client_cert -c user2")?;
    let verdict = ca.done("audit --verify --lang en")?;
    assert!(verdict.contains("the first 5 rows"), "{verdict}");
    meddle(&register(&ca), "DELETE FROM audit WHERE sequence = 5")?;
    assert_eq!(failures(&ca, "")?, ["audit-rows-removed 6 6"]);
    Ok(())
}
