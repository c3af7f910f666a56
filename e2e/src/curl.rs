//! curl, as scripts and the API's users run it.

use std::ffi::OsString;
use std::fs::File;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context;

use crate::kit::Kit;
use crate::process::Process;
use crate::program::Outcome;
use crate::program::Program;
use crate::site::SERVER_NAME;

/// A call of curl to the gateway that has not been made yet.
#[derive(Clone, Debug)]
pub struct Curl {
    server: SocketAddr,
    args: Vec<OsString>,
}

impl Curl {
    /// Trusts `ca` and knows where the server's name leads.
    pub fn new(server: SocketAddr, ca: &Path) -> Self {
        let port = server.port();
        let address = match server.ip() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        Self {
            server,
            args: Vec::new(),
        }
        .args(["--silent", "--show-error", "--max-time", "60"])
        .args(["--resolve", &format!("{SERVER_NAME}:{port}:{address}")])
        .arg("--cacert")
        .arg(ca)
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<str>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().into());
        self.args.extend(args);
        self
    }

    /// Shows the certificate out of the `.p12`.
    ///
    /// # Errors
    ///
    /// When the passphrase is missing.
    pub fn with_p12(self, kit: &Kit) -> anyhow::Result<Self> {
        let mut cert = kit.p12().into_os_string();
        cert.push(format!(":{}", kit.passphrase()?));
        Ok(self.args(["--cert-type", "P12"]).arg("--cert").arg(cert))
    }

    /// Shows `.crt` and `.pem`.
    pub fn with_pem(self, kit: &Kit) -> Self {
        self.arg("--cert")
            .arg(kit.crt())
            .arg("--key")
            .arg(kit.pem())
    }

    /// Shows `.crt` and `.enc.pem` with the passphrase.
    ///
    /// # Errors
    ///
    /// When the passphrase is missing.
    pub fn with_encrypted_pem(self, kit: &Kit) -> anyhow::Result<Self> {
        let passphrase = kit.passphrase()?;
        Ok(self
            .arg("--cert")
            .arg(kit.crt())
            .arg("--key")
            .arg(kit.enc_pem())
            .args(["--pass", &passphrase]))
    }

    /// Asks for a path on `https://weborca-server:PORT`.
    ///
    /// # Errors
    ///
    /// When curl cannot be run.
    pub fn get(&self, path: &str) -> anyhow::Result<Page> {
        let asking = ["--write-out", "\n%{http_code} %{http_version}"];
        Page::read(self.clone().args(asking).outcome(path)?)
    }

    /// Asks for a path and gives what curl itself said and did.
    ///
    /// # Errors
    ///
    /// When curl cannot be run.
    pub fn outcome(&self, path: &str) -> anyhow::Result<Outcome> {
        self.program(path).run()
    }

    /// Begins to ask for a path, into this file, and does not wait.
    ///
    /// # Errors
    ///
    /// When curl cannot be run.
    pub fn begin(&self, path: &str, output: &Path) -> anyhow::Result<Process> {
        let output = File::create(output)?;
        let program = self.clone().args(["--no-buffer"]).program(path);
        let child = program.spawn(Stdio::null(), output.into(), Stdio::null())?;
        Ok(Process::new("curl", child))
    }

    fn program(&self, path: &str) -> Program {
        let url = format!("https://{SERVER_NAME}:{}{path}", self.server.port());
        Program::new("curl").args(&self.args).arg(url)
    }
}

/// What curl got.
#[derive(Clone, Debug)]
pub struct Page {
    /// The status code; 0 where there was no response.
    pub status: u16,
    /// `1.1` or `2`.
    pub version: String,
    /// The content.
    pub body: String,
    /// Exit code and complaints.
    pub outcome: Outcome,
}

impl Page {
    fn read(outcome: Outcome) -> anyhow::Result<Self> {
        let text = outcome.text();
        let (body, last) = text.rsplit_once('\n').context("curl wrote no status")?;
        let (status, version) = last.split_once(' ').context("curl wrote no version")?;
        Ok(Self {
            status: status.parse()?,
            version: version.to_owned(),
            body: body.to_owned(),
            outcome,
        })
    }
}
