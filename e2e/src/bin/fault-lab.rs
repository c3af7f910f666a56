//! A local server with a fault, to train people who support clinics.
//!
//! `fault-lab NAME` makes a clinic in a temporary folder, starts a server that has the fault, and
//! prints its address and what to try; it runs until SIGINT or SIGTERM. `fault-lab --list` names the
//! faults.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use orca_e2e::fault_lab::faults;
use orca_e2e::site::Site;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let name = std::env::args().nth(1);
    let name = name.context("usage: fault-lab NAME, fault-lab --list")?;
    let mut out = std::io::stdout().lock();
    if name == "--list" {
        for fault in faults() {
            let symptom = match fault.is_of_server() {
                true => "(orca-gateway diagnose)",
                false => fault.symptom,
            };
            writeln!(out, "{:<30}{symptom}", fault.name)?;
        }
        return Ok(());
    }
    let fault = faults().find(|fault| fault.name == name);
    let fault = fault.with_context(|| format!("no fault {name}: fault-lab --list names all"))?;
    let site = Site::new()?;
    let station = fault.start(&site)?;
    let kit = site.client("trainee")?;
    if let Some(url) = station.url() {
        writeln!(out, "{url}")?;
        writeln!(out, "symptom   {}", fault.symptom)?;
    }
    writeln!(out, "ca        {}", kit.ca().display())?;
    writeln!(out, "p12       {}", kit.p12().display())?;
    writeln!(out, "password  {}", kit.passphrase()?)?;
    if let Some(page) = station.page(&site)
        && fault.symptom.starts_with("E-")
    {
        writeln!(out, "page      {}", page.line())?;
    }
    let diagnosis = station.diagnosis(&site, "ja")?;
    writeln!(out, "try       {}", diagnosis.line())?;
    out.flush()?;
    // The servers and the folder go when this function ends.
    until_told_to_stop()
}

/// Waits for SIGINT or SIGTERM.
fn until_told_to_stop() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
