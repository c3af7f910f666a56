//! `issue_client_cert --from-csv`: a clinic's certificates in one run.

use std::collections::HashSet;
use std::process::Stdio;

use anyhow::{Context, ensure};
use orca_e2e::catool::Catool;
use serde_json::Value;

fn authority() -> anyhow::Result<(tempfile::TempDir, Catool)> {
    let dir = tempfile::tempdir()?;
    let ca = Catool::new(dir.path());
    ca.done("init --yes")?;
    Ok((dir, ca))
}

fn write(ca: &Catool, text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    Ok(std::fs::write(ca.home().join("users.csv"), text)?)
}

fn rows(ca: &Catool) -> anyhow::Result<Vec<Value>> {
    Ok(serde_json::from_str(&ca.done("list_cert --format json")?)?)
}

#[test]
fn every_line_becomes_a_certificate_and_a_zip() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    let lines: String = (1..=40)
        .map(|n| format!("user{n},山田{n},受付PC,{}\r\n", n + 30))
        .collect();
    write(&ca, format!("\u{feff}name,holder,device,days\r\n{lines}"))?;
    let told = ca.done("issue_client_cert --from-csv users.csv")?;
    let zips: HashSet<&str> = told.lines().collect();
    assert_eq!((told.lines().count(), zips.len()), (40, 40));
    assert!(zips.iter().all(|zip| std::path::Path::new(zip).exists()));
    let rows = rows(&ca)?;
    let serials: HashSet<&str> = rows
        .iter()
        .filter_map(|row| row["serial"].as_str())
        .collect();
    assert_eq!((rows.len(), serials.len()), (40, 40));
    for row in rows {
        let name = row["common_name"].as_str().context("its name")?;
        let number = name.strip_prefix("user").context("its number")?;
        assert_eq!(row["holder"], format!("山田{number}"));
        assert_eq!(
            (&row["device"], &row["status"]),
            (&"受付PC".into(), &"valid".into())
        );
    }
    Ok(())
}

#[test]
fn nothing_is_issued_while_a_line_is_wrong() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    ca.done("issue_client_cert -c taken")?;
    write(
        &ca,
        "name,days\ngood,30\na/b,30\ntaken,30\ngood,30\nother,0\n",
    )?;
    let run = ca.run("issue_client_cert --from-csv users.csv")?;
    assert_eq!(run.code, Some(1));
    for word in [
        "line 3:",
        "line 4:",
        "000002",
        "line 5:",
        "line 6:",
        "[csv-refused]",
    ] {
        ensure!(run.stderr.contains(word), "{word}: {}", run.stderr);
    }
    ensure!(!run.stderr.contains("line 2:"), "{}", run.stderr);
    for (text, id) in [
        (&b"name,holder\nuser1,\x8eR\x93c\n"[..], "[csv-not-utf8]"),
        (b"holder\nx\n", "[csv-header]"),
    ] {
        write(&ca, text)?;
        let run = ca.run("issue_client_cert --from-csv users.csv")?;
        assert_eq!(run.code, Some(1));
        ensure!(run.stderr.contains(id), "{}", run.stderr);
    }
    assert_eq!(rows(&ca)?.len(), 1);
    Ok(())
}

#[test]
fn a_run_that_was_killed_goes_on_where_it_stopped() -> anyhow::Result<()> {
    use std::io::BufRead as _;
    let (_dir, ca) = authority()?;
    let lines: String = (1..=60).map(|n| format!("user{n}\n")).collect();
    write(&ca, format!("name\n{lines}"))?;
    let program = ca.program(["issue_client_cert", "--from-csv", "users.csv"])?;
    let mut child = program.spawn(Stdio::null(), Stdio::piped(), Stdio::null())?;
    let output = child.stdout.take().context("its output")?;
    let mut output = std::io::BufReader::new(output).lines();
    let printed: Vec<String> = output.by_ref().take(5).collect::<Result<_, _>>()?;
    child.kill()?;
    child.wait()?;
    assert!(printed.iter().all(|zip| std::path::Path::new(zip).exists()));
    let before = rows(&ca)?;
    let valid = |rows: &[Value]| rows.iter().filter(|row| row["status"] == "valid").count();
    let done = valid(&before);
    ensure!(
        (5..60).contains(&done),
        "{done} were issued before the kill"
    );

    let refused = ca.run("issue_client_cert --from-csv users.csv")?;
    assert_eq!(refused.code, Some(1));
    let told = ca.done("issue_client_cert --from-csv users.csv --skip-existing")?;
    assert_eq!(told.lines().count(), 60 - done);
    let after = rows(&ca)?;
    assert_eq!(valid(&after), 60);
    let names: HashSet<&str> = after
        .iter()
        .filter(|row| row["status"] == "valid")
        .filter_map(|row| row["common_name"].as_str())
        .collect();
    let serials: HashSet<&str> = after
        .iter()
        .filter_map(|row| row["serial"].as_str())
        .collect();
    assert_eq!((names.len(), serials.len()), (60, after.len()));
    Ok(())
}
