//! What the table for the telephone (docs/ja/phone-triage.md) says that browsers show, they show.

use anyhow::bail;
use anyhow::ensure;
use orca_e2e::browser::Account;
use orca_e2e::browser::Browser;
use orca_e2e::fault_lab::Fault;
use orca_e2e::fault_lab::faults;
use orca_e2e::firefox::Firefox;
use orca_e2e::firefox::Profile;
use orca_e2e::site::Site;
use orca_e2e::tls::Version;

/// Browsers wait for minutes.
const SLOW: &str = "no-answer";
/// The lab puts the clock of the server wrong, not that of the browser.
const OTHER_CLOCK: &str = "slow-clock";

/// The words of one browser, any of which may be seen. A note in brackets tells rows apart; Chrome's
/// pages say `NET::` where its driver says `net::`.
fn words(fault: &Fault, is_its: fn(&str) -> bool) -> Vec<&'static str> {
    let words = fault.symptom.split(", ").map(|word| {
        let word = word.split('(').next().unwrap_or(word);
        word.trim_start_matches("NET::")
    });
    words.filter(|word| is_its(word)).collect()
}

fn of_chromium(word: &str) -> bool {
    word.starts_with("ERR_")
}

fn of_firefox(word: &str) -> bool {
    ["SSL_", "SEC_", "MOZILLA_", "PR_"]
        .iter()
        .any(|start| word.starts_with(start))
}

/// Opens every fault that needs nothing of the client.
fn every_fault(
    site: &Site,
    is_its: fn(&str) -> bool,
    mut open: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (mut complaints, mut seen) = (String::new(), 0);
    for fault in faults().filter(|fault| ![SLOW, OTHER_CLOCK].contains(&fault.name)) {
        let words = words(fault, is_its);
        if words.is_empty() {
            continue;
        }
        let station = fault.start(site)?;
        let Some(url) = station.url().filter(|_| station.is_of_anybody()) else {
            continue;
        };
        seen += 1;
        let told = match open(url) {
            Ok(()) => "a page".to_owned(),
            Err(error) => error.to_string(),
        };
        if !words.iter().any(|word| told.contains(word)) {
            complaints += &format!("{}: no {words:?}, but {told}\n", fault.name);
        }
    }
    ensure!(complaints.is_empty(), "{complaints}");
    ensure!(seen >= 8, "{seen} faults are not all of them");
    Ok(())
}

#[test]
fn chromium_shows_the_words_of_the_table() -> anyhow::Result<()> {
    let site = Site::new()?;
    let account = Account::new(site.path("client"))?;
    account.store().import_ca(&site.server.ca())?;
    let browser = Browser::start(&account, None)?;
    every_fault(&site, of_chromium, |url| {
        browser.open(url)?;
        // Of a certificate it asks what to do, which counts as a page.
        bail!(browser.source()?)
    })
}

#[test]
fn firefox_shows_the_words_of_the_table() -> anyhow::Result<()> {
    let site = Site::new()?;
    let profile = Profile::new(site.path("client"))?;
    profile.store().import_ca(&site.server.ca())?;
    let mut firefox = Firefox::start(&profile, Version::Tls13)?;
    every_fault(&site, of_firefox, |url| firefox.open(url))
}
