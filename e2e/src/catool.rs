//! The CA machine: a home directory and `orca-catool` in it.

use std::fmt::Display;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::ensure;
use serde_json::Value;

use crate::kit::Kit;
use crate::program::Outcome;
use crate::program::Program;
use crate::program::ours;

/// A user's account on the CA machine.
#[derive(Clone, Debug)]
pub struct Catool {
    home: PathBuf,
}

impl Catool {
    /// An account whose home directory exists already.
    pub fn new(home: &Path) -> Self {
        let home = home.to_owned();
        Self { home }
    }

    /// `$HOME`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// `$HOME/.orca_catool`.
    pub fn folder(&self) -> PathBuf {
        self.home.join(".orca_catool")
    }

    /// `$HOME/certs`.
    pub fn certs(&self) -> PathBuf {
        self.home.join("certs")
    }

    /// The CRL where the tool puts it without further words.
    pub fn crl(&self) -> PathBuf {
        self.certs().join("ca.crl")
    }

    /// A call in this account that has not been made yet.
    ///
    /// # Errors
    ///
    /// When the program has not been built.
    pub fn program<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Program> {
        Ok(Program::new(ours("orca-catool")?)
            .env("HOME", &self.home)
            .dir(&self.home)
            .args(args))
    }

    /// A call with these words, no answer on standard input.
    ///
    /// # Errors
    ///
    /// When the program cannot be run.
    pub fn run(&self, line: &str) -> anyhow::Result<Outcome> {
        self.program(line.split_whitespace())?.run()
    }

    /// A call that must succeed; what it printed.
    ///
    /// # Errors
    ///
    /// When it does not succeed.
    pub fn done(&self, line: &str) -> anyhow::Result<String> {
        self.run(line)?.success()
    }

    /// Issues with this command line and unpacks the delivery.
    ///
    /// # Errors
    ///
    /// When the tool refuses, or the delivery is no zip.
    pub fn issue(&self, line: &str) -> anyhow::Result<Kit> {
        self.unpack(&self.done(line)?)
    }

    /// Issues at another time, in the form of faketime (`-20d`).
    ///
    /// # Errors
    ///
    /// As [`Self::issue`].
    pub fn issue_at(&self, shift: &str, line: &str) -> anyhow::Result<Kit> {
        let program = self.program(line.split_whitespace())?.at(shift);
        self.unpack(&program.run()?.success()?)
    }

    fn unpack(&self, stdout: &str) -> anyhow::Result<Kit> {
        let zip = stdout
            .strip_suffix('\n')
            .context("the path ends its line")?;
        ensure!(!zip.contains('\n'), "more than the path: {stdout}");
        Kit::unpack(Path::new(zip), &self.certs())
    }

    /// Lets `:crl_publish:` name these places: paths, and addresses of gateways.
    ///
    /// # Errors
    ///
    /// When config.yml cannot be read or written.
    pub fn publish_to(&self, places: &[impl Display]) -> anyhow::Result<()> {
        let path = self.folder().join("config.yml");
        let places: Vec<_> = places.iter().map(|place| format!("\"{place}\"")).collect();
        let mut lines: Vec<String> = Vec::new();
        for line in std::fs::read_to_string(&path)?.lines() {
            lines.push(match line.starts_with(":crl_publish:") {
                true => format!(":crl_publish: [{}]", places.join(", ")),
                false => line.to_owned(),
            });
        }
        std::fs::write(&path, lines.join("\n") + "\n")?;
        Ok(())
    }

    /// What `list_cert --format json` says of every certificate.
    ///
    /// # Errors
    ///
    /// When the tool fails or writes no JSON array.
    pub fn list(&self) -> anyhow::Result<Vec<Value>> {
        let text = self.done("list_cert --format json")?;
        match serde_json::from_str(&text)? {
            Value::Array(rows) => Ok(rows),
            other => anyhow::bail!("no array: {other}"),
        }
    }
}
