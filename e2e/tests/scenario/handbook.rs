//! `docs/ja` runs as printed: every block marked `console` is typed into a clinic of its own, and what
//! comes out is compared. The rules stand in `docs/ja/README.md`.
//!
//! With `HANDBOOK=write` in the environment the pages get the outputs that came.

mod clinic;
mod page;
mod shapes;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use orca_e2e::wait;

use clinic::Clinic;
use page::{Page, Step};
use shapes::alike;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ja")
}

fn is_writing() -> bool {
    std::env::var("HANDBOOK").is_ok_and(|word| word == "write")
}

/// Plays a page in a clinic where those before it were played.
fn play(pages: &[&str]) -> anyhow::Result<()> {
    let mut clinic = Clinic::new()?;
    let last = pages.len() - 1;
    for (number, name) in pages.iter().enumerate() {
        let path = folder().join(name);
        let mut page = Page::read(&path)?;
        let mut differences = Vec::new();
        for step in page.steps_mut() {
            let output = perform(&mut clinic, step)?;
            if !alike(&step.output, &output) {
                let (line, command, wanted) = (step.line, &step.command, &step.output);
                differences.push(format!(
                    "{name}:{line}: {command}\n--- printed\n{wanted}--- came\n{output}"
                ));
                step.output = output;
            }
        }
        if is_writing() && number == last {
            fs::write(&path, page.text())?;
        } else {
            ensure!(differences.is_empty(), "{}", differences.join("\n"));
        }
    }
    Ok(())
}

/// Commands that only look are repeated until they show what is printed: the gateway needs a moment.
fn perform(clinic: &mut Clinic, step: &Step) -> anyhow::Result<String> {
    if !step.only_looks() {
        return clinic.run(step);
    }
    let mut output = String::new();
    let patience = match is_writing() {
        true => Duration::from_secs(12),
        false => Duration::from_secs(30),
    };
    let shown = wait::within(patience, &step.command, || {
        output = match clinic.run(step) {
            Ok(output) => output,
            Err(error) => return Some(Err(error)),
        };
        alike(&step.output, &output).then_some(Ok(()))
    });
    match shown {
        Ok(Err(error)) => Err(error),
        // What came last is shown as a difference.
        Ok(Ok(())) | Err(_) => Ok(output),
    }
}

#[test]
fn certificates() -> anyhow::Result<()> {
    play(&["certificates.md"])
}

#[test]
fn server() -> anyhow::Result<()> {
    play(&["certificates.md", "server.md"])
}

#[test]
fn clients() -> anyhow::Result<()> {
    play(&["certificates.md", "server.md", "clients.md"])
}

#[test]
fn revocation() -> anyhow::Result<()> {
    play(&["certificates.md", "server.md", "revocation.md"])
}

#[test]
fn logs() -> anyhow::Result<()> {
    play(&["certificates.md", "server.md", "logs.md"])
}

#[test]
fn troubleshooting() -> anyhow::Result<()> {
    play(&["certificates.md", "server.md", "troubleshooting.md"])
}

#[test]
fn transition() -> anyhow::Result<()> {
    play(&["certificates.md", "server.md", "transition.md"])
}

#[test]
fn from_original() -> anyhow::Result<()> {
    play(&["certificates.md", "server.md", "from-original.md"])
}

#[test]
fn two_servers() -> anyhow::Result<()> {
    play(&["certificates.md", "server.md", "two-servers.md"])
}

#[test]
fn replacement() -> anyhow::Result<()> {
    play(&["certificates.md", "server.md", "replacement.md"])
}

/// Every page is in the index, and every page with commands is played.
#[test]
fn no_page_is_left_out() -> anyhow::Result<()> {
    let index = fs::read_to_string(folder().join("README.md"))?;
    let played = include_str!("handbook.rs");
    for entry in fs::read_dir(folder())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name == "README.md" {
            continue;
        }
        ensure!(
            index.contains(&format!("({name})")),
            "the index lacks {name}"
        );
        let has_steps = Page::read(&folder().join(&name))?
            .steps_mut()
            .next()
            .is_some();
        let is_played = played.contains(&format!("\"{name}\"])"));
        ensure!(!has_steps || is_played, "nobody plays {name}");
    }
    Ok(())
}
