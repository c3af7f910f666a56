//! Every fault of the lab, made for real: `diagnose` names it in both languages and in JSON, with a
//! remedy, and ends as it says; the page with a number is shown to the client.

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::fault_lab::Fault;
use orca_e2e::fault_lab::Station;
use orca_e2e::fault_lab::faults;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use serde_json::Value;

use crate::diagnose::findings;
use crate::diagnose::is_told;

fn is_named(site: &Site, fault: &Fault) -> anyhow::Result<()> {
    let station = fault.start(site)?;
    let calls = |lang| {
        anyhow::Ok([
            station.diagnosis(site, lang)?,
            station.diagnosis(site, lang)?,
        ])
    };
    let languages = [
        (fault.japanese, calls("ja")?),
        (fault.english, calls("en")?),
    ];
    // Some wait for a server in vain, all of them at the same time.
    std::thread::scope(|scope| {
        let told = languages.map(|(words, [json, table])| {
            let json = scope.spawn(|| findings(json));
            let table = scope.spawn(move || lines(&table));
            (words, json, table)
        });
        for (words, json, table) in told {
            let panicked = |_| anyhow::anyhow!("a run panicked");
            let rows = json.join().map_err(panicked)??;
            is_told(&rows, fault.finding, words)?;
            is_written(&table.join().map_err(panicked)??, fault, words, &rows)?;
        }
        page_is_shown(site, fault, &station)
    })
}

/// What people read, and the exit code that its last line promises.
fn lines(program: &Program) -> anyhow::Result<String> {
    let outcome = program.run()?;
    let text = String::from_utf8(outcome.stdout.clone())?;
    let last = text
        .lines()
        .last()
        .with_context(|| format!("{outcome:?}"))?;
    let code = outcome.code.context("a signal")?;
    let promised = [format!("終了コード{code}("), format!("exit code {code} (")];
    ensure!(
        promised.iter().any(|word| last.contains(word)),
        "{outcome:?}"
    );
    Ok(text)
}

fn is_written(text: &str, fault: &Fault, words: &[&str], rows: &[Value]) -> anyhow::Result<()> {
    for word in words {
        ensure!(text.contains(word), "no {word:?} in {text}");
    }
    let row = rows.iter().find(|row| row["id"] == fault.finding);
    let remedy = row.and_then(|row| row["remedy"].as_str());
    match remedy {
        Some(remedy) => ensure!(text.contains(remedy), "no {remedy:?} in {text}"),
        // Only what the request alone has wrong: nothing is found, and nothing may be told.
        None => ensure!(rows.iter().all(|row| row["verdict"] != "failure"), "{text}"),
    }
    Ok(())
}

fn page_is_shown(site: &Site, fault: &Fault, station: &Station) -> anyhow::Result<()> {
    if !fault.symptom.starts_with("E-") {
        return Ok(());
    }
    let page = station.page(site).context("a client's fault")?;
    // The certificate of a server in the way is not ours.
    let outcome = page.arg("--insecure").run()?;
    let shown = outcome.text();
    ensure!(shown.contains(fault.symptom), "no number in {outcome:?}");
    Ok(())
}

/// Makes one fault after the other in one clinic, and tells all that are not named.
fn every_fault(which: impl Fn(&Fault) -> bool) -> anyhow::Result<()> {
    let site = Site::new()?;
    let mut failures = Vec::new();
    for fault in faults().filter(|fault| which(fault)) {
        if let Err(error) = is_named(&site, fault) {
            failures.push(format!("{}: {error:#}", fault.name));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

fn has_number(fault: &Fault) -> bool {
    fault.symptom.starts_with("E-")
}

fn is_of_strict(fault: &Fault) -> bool {
    fault.symptom.starts_with("ERR_BAD_SSL_CLIENT_AUTH_CERT")
}

#[test]
fn faults_of_servers_and_networks_are_named() -> anyhow::Result<()> {
    every_fault(|fault| !fault.is_of_server() && !has_number(fault) && !is_of_strict(fault))
}

#[test]
fn faults_with_a_number_are_named_and_their_pages_shown() -> anyhow::Result<()> {
    every_fault(has_number)
}

#[test]
fn faults_of_clients_at_a_strict_server_are_named() -> anyhow::Result<()> {
    every_fault(is_of_strict)
}

#[test]
fn faults_of_the_server_itself_are_named() -> anyhow::Result<()> {
    every_fault(Fault::is_of_server)
}

#[test]
fn names_are_told_apart() -> anyhow::Result<()> {
    let mut names: Vec<_> = faults().map(|fault| fault.name).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        ensure!(pair[0] != pair[1], "{} twice", pair[0]);
    }
    Ok(())
}
