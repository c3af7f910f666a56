//! The server machine: a configuration file and `orca-gateway` that reads it.

use std::fmt::Display;
use std::fs::File;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use serde_json::Value;

use crate::http1;
use crate::http1::Response;
use crate::process::Process;
use crate::program::Outcome;
use crate::program::Program;
use crate::program::ours;
use crate::wait;

/// Clients come here.
const PUBLIC: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The status stands on a loopback address of its own, so that the two ports can be told apart.
const STATUS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A configuration that is being written.
#[derive(Clone, Debug)]
pub struct Conf {
    /// `/opt/jma/weborca` of the guide.
    root: PathBuf,
    /// The configuration and the event log.
    names: [&'static str; 2],
    lines: Vec<String>,
}

impl Conf {
    /// Ports from the kernel and logs inside the site; no certificates yet.
    pub fn new(root: &Path) -> Self {
        Self::named(root, ["jma-receipt.conf", "jma-receipt-weborca.log"])
    }

    /// The same beside a real WebORCA: `orca-gateway.conf`, with a log of its own.
    pub fn own(root: &Path) -> Self {
        Self::named(root, ["orca-gateway.conf", "orca-gateway.log"])
    }

    fn named(root: &Path, names: [&'static str; 2]) -> Self {
        let empty = Self {
            root: root.to_owned(),
            names,
            lines: Vec::new(),
        };
        let log = empty.log_path();
        let access_log = empty.access_log_path();
        empty
            .set("GATEWAY_LISTEN", format_args!("{PUBLIC}:0"))
            .set("GATEWAY_STATUS", format_args!("{STATUS}:0"))
            .set("GATEWAY_LOG", log.display())
            .set("GATEWAY_ACCESS_LOG", access_log.display())
            .set("GATEWAY_WORKERS", 2)
    }

    /// Adds an assignment; the last one of a name counts.
    pub fn set(mut self, key: &str, value: impl Display) -> Self {
        self.lines.push(format!("{key}={value}"));
        self
    }

    /// Adds a line as it stands.
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    fn value(&self, key: &str) -> Option<&str> {
        let lines = self.lines.iter().rev();
        lines
            .filter_map(|line| line.split_once('='))
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// `conf/jma-receipt.conf`, or `orca-gateway.conf`.
    pub fn path(&self) -> PathBuf {
        self.root.join("conf").join(self.names[0])
    }

    /// `log/jma-receipt-weborca.log`, or `orca-gateway.log`.
    pub fn log_path(&self) -> PathBuf {
        self.root.join("log").join(self.names[1])
    }

    /// `log/orca-gateway-access.log`.
    pub fn access_log_path(&self) -> PathBuf {
        self.root.join("log/orca-gateway-access.log")
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        let mut text = self.lines.join("\n");
        text.push('\n');
        std::fs::write(self.path(), text).context("cannot write the configuration")
    }

    /// A call of the gateway with this configuration that has not been made yet.
    ///
    /// # Errors
    ///
    /// When the program has not been built, or the file cannot be written.
    pub fn program(&self, args: &[&str]) -> anyhow::Result<Program> {
        self.write()?;
        Ok(Program::new(ours("orca-gateway")?)
            .arg("--conf")
            .arg(self.path())
            .args(args))
    }

    /// `orca-gateway check`, in English.
    ///
    /// # Errors
    ///
    /// When the program cannot be run.
    pub fn check(&self) -> anyhow::Result<Outcome> {
        self.program(&["check", "--lang", "en"])?.run()
    }

    /// A start that is expected to fail: how it ended and the whole event log.
    ///
    /// # Errors
    ///
    /// When the program cannot be run, or goes on running.
    pub fn failing_start(&self) -> anyhow::Result<(Outcome, String)> {
        let outcome = self.program(&[])?.run()?;
        let log = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        Ok((outcome, log))
    }

    /// Starts the gateway and waits until it serves.
    ///
    /// # Errors
    ///
    /// With the event log, when it does not.
    pub fn start(&self) -> anyhow::Result<Gateway> {
        self.start_program(self.program(&[])?)
    }

    /// Starts this program, which is a gateway with this configuration, and waits until it serves.
    ///
    /// # Errors
    ///
    /// With the event log, when it does not.
    pub fn start_program(&self, program: Program) -> anyhow::Result<Gateway> {
        let console_path = self.root.join("log/console.log");
        let console = File::create(&console_path)?;
        let child = program.spawn(Stdio::null(), console.try_clone()?.into(), console.into())?;
        let mut process = Process::new("orca-gateway", child);
        let told = || {
            let log = std::fs::read_to_string(self.log_path()).unwrap_or_default();
            let console = std::fs::read_to_string(&console_path).unwrap_or_default();
            format!("log:\n{log}console:\n{console}")
        };
        let listen = self.value("GATEWAY_LISTEN").context("an address")?;
        let listen = listen.parse::<SocketAddr>()?.ip();
        let bound = process.listening(listen).with_context(told)?;
        let public = match listen {
            IpAddr::V4(public) => public,
            IpAddr::V6(_) => PUBLIC,
        };
        let address = (public, bound.port()).into();
        let gateway = Gateway {
            conf: self.clone(),
            address,
            status: match self.value("GATEWAY_STATUS") {
                Some("none") => None,
                _ => Some(process.listening(STATUS).with_context(told)?),
            },
            process,
        };
        gateway.logged("[listening]")?;
        Ok(gateway)
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    conf: Conf,
    /// Where clients find it.
    pub address: SocketAddr,
    status: Option<SocketAddr>,
    /// The process itself.
    pub process: Process,
}

impl Gateway {
    /// The port clients find it at.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Everything in the start-up and event log so far.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.conf.log_path())?)
    }

    /// Waits until a line of the event log has this in it, and gives the line.
    ///
    /// # Errors
    ///
    /// With the whole log, when none comes.
    pub fn logged(&self, text: &str) -> anyhow::Result<String> {
        wait::until(&format!("{text:?} in the log"), || {
            let log = self.log().ok()?;
            let line = log.lines().find(|line| line.contains(text))?;
            Some(line.to_owned())
        })
        .with_context(|| self.log().unwrap_or_default())
    }

    /// Every entry of the access log so far.
    ///
    /// # Errors
    ///
    /// When a line is no JSON.
    pub fn access_log(&self) -> anyhow::Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.conf.access_log_path()).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }

    /// Waits until the access log has an entry like this, and gives it.
    ///
    /// # Errors
    ///
    /// With all entries, when none comes.
    pub fn access(&self, what: &str, like: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        wait::until(&format!("{what} in the access log"), || {
            self.access_log()
                .ok()?
                .into_iter()
                .find(|entry| like(entry))
        })
        .with_context(|| format!("{:#?}", self.access_log()))
    }

    /// Where its status stands, unless `GATEWAY_STATUS=none`.
    pub fn status_address(&self) -> Option<SocketAddr> {
        self.status
    }

    /// What a loopback page says: `/healthz`, `/status`, `/metrics`.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn status(&self, path: &str) -> anyhow::Result<Response> {
        http1::get(self.status.context("GATEWAY_STATUS=none")?, path)
    }
}
