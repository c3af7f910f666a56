//! The servers under test, each started alike: one processor, one worker, client certificates
//! required and checked against a CRL, the client's name handed on and written to an access log, no
//! session resumption, connections to the application kept.

mod haproxy;
mod nginx;
mod orca;

use std::fmt;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use orca_e2e::process::Process;
use orca_e2e::program::Program;

use crate::clinic::Clinic;
use crate::load::Target;
use crate::plan::Circumstances;

/// Who is measured.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Server {
    Orca,
    Nginx,
    Haproxy,
}

impl Server {
    pub(crate) const ALL: [Self; 3] = [Self::Orca, Self::Nginx, Self::Haproxy];

    /// As the tables name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Orca => "orca-gateway",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    /// What it says of its version, in one line.
    pub(crate) fn version(self) -> anyhow::Result<String> {
        let outcome = match self {
            Self::Orca => Program::new(orca_e2e::program::ours("orca-gateway")?).arg("--version"),
            Self::Nginx => Program::new("nginx").arg("-V"),
            Self::Haproxy => Program::new("haproxy").arg("-vv"),
        }
        .run()?;
        let text = format!("{}{}", outcome.text(), outcome.stderr);
        let line = |word: &str| text.lines().find(|line| line.contains(word));
        let first = text.lines().next().unwrap_or_default().trim();
        let library = line("Running on OpenSSL version")
            .or_else(|| line("built with OpenSSL"))
            .map(|line| line.replace("Running on OpenSSL version : ", ""));
        Ok(match library {
            Some(library) => format!("{first}, {}", library.trim()),
            None => first.to_owned(),
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Processors, as `taskset -c` takes them.
#[derive(Clone, Debug)]
pub(crate) struct Processors(pub(crate) String);

/// What every server is given.
pub(crate) struct Setup<'a> {
    /// A folder of its own.
    pub(crate) folder: PathBuf,
    pub(crate) clinic: &'a Clinic,
    /// The list it checks.
    pub(crate) crl: PathBuf,
    pub(crate) origin: SocketAddr,
    pub(crate) workers: usize,
    pub(crate) processors: Processors,
}

impl<'a> Setup<'a> {
    /// In a new folder of this name, with a copy of the authority's present list.
    pub(crate) fn new(
        with: &'a Circumstances<'_>,
        name: &str,
        clinic: &'a Clinic,
        origin: SocketAddr,
    ) -> anyhow::Result<Self> {
        let folder = with.root.join(name);
        std::fs::create_dir_all(&folder)?;
        let crl = folder.join("ca.crl");
        std::fs::copy(clinic.ca.crl(), &crl)?;
        Ok(Self {
            folder,
            clinic,
            crl,
            origin,
            workers: 1,
            processors: with.processors.clone(),
        })
    }

    fn pinned(&self, program: impl AsRef<std::ffi::OsStr>) -> Program {
        Program::new("taskset")
            .args(["-c", &self.processors.0])
            .arg(program)
    }

    /// Starts a program whose output goes to `output.log` and waits until it listens.
    fn spawn(&self, name: &str, program: &Program, port: u16) -> anyhow::Result<Running> {
        let output = std::fs::File::create(self.folder.join("output.log"))?;
        let child = program.spawn(Stdio::null(), output.try_clone()?.into(), output.into())?;
        let process = Process::new(name, child);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let what = format!("{name} listens on {address}");
        orca_e2e::wait::until(&what, || std::net::TcpStream::connect(address).ok())
            .with_context(|| self.told())?;
        Ok(Running { address, process })
    }

    fn told(&self) -> String {
        std::fs::read_to_string(self.folder.join("output.log")).unwrap_or_default()
    }
}

/// A running server; it ends with this value.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl Running {
    pub(crate) fn target(&self) -> Target {
        Target {
            address: self.address,
            pid: self.process.id(),
        }
    }

    /// Makes a peer read its files again; ours sees them by itself.
    pub(crate) fn reload(&self, server: Server) -> anyhow::Result<()> {
        match server {
            Server::Orca => Ok(()),
            Server::Nginx => self.process.signal(rustix::process::Signal::HUP),
            Server::Haproxy => self.process.signal(rustix::process::Signal::USR2),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A master tells its workers; the guard kills only the master.
        let _ = self.process.signal(rustix::process::Signal::TERM);
        let _ = self.process.end();
    }
}

/// Starts one.
pub(crate) fn start(server: Server, setup: &Setup<'_>) -> anyhow::Result<Running> {
    let running = match server {
        Server::Orca => orca::start(setup),
        Server::Nginx => nginx::start(setup),
        Server::Haproxy => haproxy::start(setup),
    };
    running.with_context(|| format!("{server}"))
}

/// A port that was free a moment ago: these peers do not take port 0.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
