//! A whole clinic in a temporary folder: the CA machine, the server, the application behind it.

use std::io::BufRead;
use std::io::BufReader;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use serde_json::Value;
use tempfile::TempDir;

use crate::catool::Catool;
use crate::gateway::Conf;
use crate::gateway::Gateway;
use crate::http1;
use crate::kit::Kit;
use crate::process::Process;
use crate::program::Program;
use crate::program::ours;

/// The name clients call the server by, as in the guide.
pub const SERVER_NAME: &str = "weborca-server";

/// A clinic with an authority that is a month old, a server certificate and a running application.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
    /// The CA machine.
    pub ca: Catool,
    /// The server's certificate: weborca-server, localhost, 127.0.0.1.
    pub server: Kit,
    /// The application.
    pub application: Application,
}

impl Site {
    /// Sets everything up with the real programs.
    ///
    /// # Errors
    ///
    /// When one of them fails.
    pub fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        // Runs as another user have to get in.
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755))?;
        for folder in ["home", "weborca/conf", "weborca/log"] {
            std::fs::create_dir_all(dir.path().join(folder))?;
        }
        let ca = Catool::new(&dir.path().join("home"));
        ca.program(["init", "--yes"])?.at("-30d").run()?.success()?;
        let server = ca.issue(&format!(
            "issue_server_cert -c {SERVER_NAME} -c localhost -i 127.0.0.1"
        ))?;
        let application = Application::start()?;
        Ok(Self {
            dir,
            ca,
            server,
            application,
        })
    }

    /// Issues a client certificate.
    ///
    /// # Errors
    ///
    /// When the tool refuses.
    pub fn client(&self, name: &str) -> anyhow::Result<Kit> {
        self.ca.issue(&format!("issue_client_cert -c {name}"))
    }

    /// A path inside the temporary folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The folder of the configuration, `/opt/jma/weborca/conf` in the guide.
    pub fn conf_dir(&self) -> PathBuf {
        self.path("weborca/conf")
    }

    /// Copies a file into the folder of the configuration, as the guide tells, and gives its path.
    ///
    /// # Errors
    ///
    /// When it cannot be copied.
    pub fn place(&self, file: &Path) -> anyhow::Result<PathBuf> {
        let to = self.conf_dir().join(file.file_name().context("a file")?);
        let partial = to.with_extension("partial");
        std::fs::copy(file, &partial).with_context(|| format!("cannot copy {}", file.display()))?;
        std::fs::rename(&partial, &to)?;
        Ok(to)
    }

    /// Places the server's files and the CRL, and writes what the guide adds to the configuration.
    ///
    /// # Errors
    ///
    /// When a file is missing.
    pub fn conf(&self) -> anyhow::Result<Conf> {
        let state = self.path("state");
        Ok(self
            .conf_of("weborca")?
            .set("GATEWAY_STATE", state.display()))
    }

    /// The same for one of several gateways, whose configuration, logs and state are its own.
    ///
    /// # Errors
    ///
    /// When a file is missing.
    pub fn conf_of(&self, name: &str) -> anyhow::Result<Conf> {
        let root = self.path(name);
        for folder in ["conf", "log"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        let crt = self.place(&self.server.crt())?;
        let pem = self.place(&self.server.pem())?;
        let ca = self.place(&self.server.ca())?;
        self.place(&self.ca.crl())?;
        Ok(Conf::new(&root)
            .set("SERVER_CRT", crt.display())
            .set("SERVER_PEM", pem.display())
            .set("CA_CRT", ca.display())
            .set(
                "GATEWAY_UPSTREAM",
                format_args!("http://{}", self.application.address),
            )
            .set("GATEWAY_STATE", root.join("state").display()))
    }

    /// Starts the gateway as the guide configures it.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn gateway(&self) -> anyhow::Result<Gateway> {
        self.conf()?.start()
    }
}

/// The imitation of the WebORCA application, running.
#[derive(Debug)]
pub struct Application {
    /// Where the gateway finds it.
    pub address: SocketAddr,
    control: SocketAddr,
    process: Process,
}

impl Application {
    /// Starts it on ports the kernel chooses.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start() -> anyhow::Result<Self> {
        let program = Program::new(ours("weborca-imitation")?);
        let mut child = program.spawn(Stdio::null(), Stdio::piped(), Stdio::inherit())?;
        let stdout = child.stdout.take();
        let process = Process::new("weborca-imitation", child);
        let mut lines = BufReader::new(stdout.context("its output")?).lines();
        let mut address = |label: &str| -> anyhow::Result<SocketAddr> {
            let line = lines.next().context("the imitation has ended")??;
            let text = line.strip_prefix(label).context("an unknown line")?;
            Ok(text.trim().parse()?)
        };
        Ok(Self {
            address: address("application")?,
            control: address("control")?,
            process,
        })
    }

    /// How many connections and requests reached it so far.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn seen(&self) -> anyhow::Result<Seen> {
        let counters = self.ask("/counters")?;
        let count = |key: &str| counters[key].as_u64().context("a counter");
        Ok(Seen {
            connections: count("connections")?,
            requests: count("requests")?,
        })
    }

    /// The heads of all requests so far.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn requests(&self) -> anyhow::Result<Vec<Value>> {
        Ok(self.ask("/requests")?.as_array().context("a list")?.clone())
    }

    /// Ends it at once.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        Ok(())
    }

    fn ask(&self, path: &str) -> anyhow::Result<Value> {
        http1::get(self.control, path)?.json()
    }
}

/// What reached the application.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen {
    /// Connections that were accepted.
    pub connections: u64,
    /// Requests that arrived on them.
    pub requests: u64,
}
