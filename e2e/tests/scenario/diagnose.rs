//! Every fault made for real, and named by `diagnose` in both languages.

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::fault_lab::FAULTS;
use orca_e2e::fault_lab::Fault;
use orca_e2e::program::Outcome;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use serde_json::Value;

fn diagnose(site: &Site, lang: &str, words: &[&str]) -> anyhow::Result<Outcome> {
    let program = site.ca.program(["--lang", lang, "diagnose"])?;
    program.args(words).run()
}

/// The findings, and whether the exit code fits them.
fn findings(program: Program) -> anyhow::Result<Vec<Value>> {
    let outcome = program.args(["--format", "json"]).run()?;
    let rows: Vec<Value> =
        serde_json::from_slice(&outcome.stdout).with_context(|| format!("{outcome:?}"))?;
    let failed = rows.iter().any(|row| row["verdict"] == "failure");
    ensure!(outcome.code == Some(i32::from(failed)), "{outcome:?}");
    for row in &rows {
        let keys: Vec<&String> = row.as_object().context("an object")?.keys().collect();
        ensure!(
            keys == ["id", "message", "remedy", "verdict"],
            "{keys:?} in {row}"
        );
        let is_ok = row["verdict"] == "ok";
        ensure!(row["remedy"].is_null() == is_ok, "{row}");
    }
    Ok(rows)
}

fn is_told(rows: &[Value], id: &str, words: &[&str]) -> anyhow::Result<()> {
    let row = rows.iter().find(|row| row["id"] == id);
    let row = row.with_context(|| format!("no {id} in {rows:#?}"))?;
    let said = format!("{} {}", row["message"], row["remedy"]);
    for word in words {
        ensure!(said.contains(word), "no {word:?} in {row:#}");
    }
    Ok(())
}

fn is_named(site: &Site, fault: &Fault) -> anyhow::Result<()> {
    let station = fault.start(site)?;
    for (lang, words) in [("ja", fault.japanese), ("en", fault.english)] {
        let program = site
            .ca
            .program(["--lang", lang, "diagnose", &station.url])?;
        let rows = findings(program.args(&station.options))?;
        is_told(&rows, fault.finding, words)?;
    }
    Ok(())
}

/// Half of the lab each, so that two run side by side.
fn every_fault(which: impl Fn(&Fault) -> bool) -> anyhow::Result<()> {
    let site = Site::new()?;
    for fault in FAULTS.iter().filter(|fault| which(fault)) {
        is_named(&site, fault).with_context(|| fault.name)?;
    }
    Ok(())
}

fn is_of_client(fault: &Fault) -> bool {
    fault.symptom.starts_with("E-") || fault.name.ends_with("-strict")
}

#[test]
fn faults_of_servers_and_networks_are_named() -> anyhow::Result<()> {
    every_fault(|fault| !is_of_client(fault))
}

#[test]
fn faults_of_clients_are_named() -> anyhow::Result<()> {
    every_fault(is_of_client)
}
