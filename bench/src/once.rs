//! One run of a program, and what it cost.
//!
//! The kernel adds up what all children of a process ever used. So a process of its own stands
//! between us and the program, and its only child is what is measured.

use std::io::Write;
use std::process::Command;
use std::process::Stdio;
use std::time::Instant;

use anyhow::Context;
use anyhow::ensure;
use nix::sys::resource::UsageWho;
use nix::sys::resource::getrusage;
use nix::sys::time::TimeVal;
use nix::sys::time::TimeValLike;
use orca_e2e::program::Program;
use serde::Deserialize;
use serde::Serialize;

/// What a program and everything it started used.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Cost {
    /// User and system, ms.
    pub(crate) processor_ms: f64,
    pub(crate) wall_ms: f64,
    /// The largest of its processes, MiB.
    pub(crate) peak_mib: f64,
}

/// The process between: runs the program with its output thrown away and tells its cost on stdout.
pub(crate) fn tell(words: &[String]) -> anyhow::Result<()> {
    let (program, args) = words.split_first().context("no program")?;
    let begin = Instant::now();
    let status = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {program}"))?;
    let wall_ms = begin.elapsed().as_secs_f64() * 1000.0;
    ensure!(status.success(), "{program} {}: {status}", args.join(" "));
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let millis = |time: TimeVal| time.num_microseconds() as f64 / 1000.0;
    let cost = Cost {
        processor_ms: millis(usage.user_time()) + millis(usage.system_time()),
        wall_ms,
        peak_mib: usage.max_rss() as f64 / 1024.0,
    };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&cost)?)?;
    Ok(())
}

/// Runs a program whose words these are, in this home directory.
pub(crate) fn cost(home: &std::path::Path, words: &[String]) -> anyhow::Result<Cost> {
    let outcome = Program::new(std::env::current_exe()?)
        .args(["once", "--"])
        .args(words)
        .env("HOME", home)
        .dir(home)
        .limit(std::time::Duration::from_secs(590))
        .run()?;
    serde_json::from_str(&outcome.success()?).context("no cost")
}
