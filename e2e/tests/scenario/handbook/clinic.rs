//! The machines of the pages: folders for `/opt/jma/weborca` and the home, loopback addresses for
//! those of the LAN. What is typed is changed by plain substitution, and what comes out changed back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use orca_e2e::gateway::{Conf, Gateway};
use orca_e2e::program::{Program, ours};
use orca_e2e::site::Application;
use rustix::process::Signal;
use tempfile::TempDir;

use super::page::{Machine, Step};

/// Words of the pages, and the loopback addresses that stand for them.
const SERVERS: [(&str, &str); 2] = [
    ("192.168.1.100", "127.100.1.100"),
    ("192.168.1.101", "127.100.1.101"),
];
const CLIENT: (&str, &str) = ("192.168.1.31", "127.100.1.31");

/// `sudo` without becoming another, since the test is the only user there is; `install` and `chown`
/// without owners.
const STAND_INS: [(&str, &str); 3] = [
    (
        "sudo",
        "#!/bin/sh\n[ \"$1\" = -u ] && shift 2\nexec \"$@\"\n",
    ),
    (
        "install",
        "#!/bin/bash\nwords=()\nwhile [ $# -gt 0 ]; do case $1 in -o|-g) shift 2;; *) words+=(\"$1\"); shift;; esac; done\n\
         exec /usr/bin/install \"${words[@]}\"\n",
    ),
    ("chown", "#!/bin/sh\nexit 0\n"),
];

/// A clinic with two servers, nothing on them yet but what the pages take for granted.
pub(super) struct Clinic {
    dir: TempDir,
    application: Application,
    servers: [Server; 2],
}

/// A server machine.
struct Server {
    /// What the pages call it, and what it is.
    address: (&'static str, &'static str),
    /// `/opt/jma/weborca`
    root: PathBuf,
    conf: Conf,
    gateway: Option<Gateway>,
}

impl Clinic {
    pub(super) fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let application = Application::start()?;
        let server = |number: usize| -> anyhow::Result<Server> {
            let root = dir.path().join(format!("server{number}"));
            for folder in ["conf", "log", "state"] {
                fs::create_dir_all(root.join(folder))?;
            }
            let address = SERVERS[number];
            let conf = Conf::own(&root)
                .set("GATEWAY_LISTEN", format_args!("{}:0", address.1))
                .set("GATEWAY_STATE", root.join("state").display())
                .set(
                    "GATEWAY_UPSTREAM",
                    format_args!("http://{}", application.address),
                );
            conf.write()?;
            Ok(Server {
                address,
                root,
                conf,
                gateway: None,
            })
        };
        let servers = [server(0)?, server(1)?];
        let clinic = Self {
            dir,
            application,
            servers,
        };
        clinic.furnish()?;
        Ok(clinic)
    }

    /// The home, and the programs that are found on `PATH`.
    fn furnish(&self) -> anyhow::Result<()> {
        for folder in ["home", "bin"] {
            fs::create_dir_all(self.path(folder))?;
        }
        fs::write(self.path("cwd"), self.path("home").display().to_string())?;
        // Requests come from the address of a client, by a program without a version.
        let curlrc = format!("interface = {}\nuser-agent = curl\nsilent\n", CLIENT.1);
        fs::write(self.path("home/.curlrc"), curlrc)?;
        for (name, script) in STAND_INS {
            self.program(name, script)?;
        }
        // Their configuration is not found at its usual place.
        let gateway = ours("orca-gateway")?;
        let script = format!(
            "#!/bin/sh\nLC_ALL=ja_JP.UTF-8 exec {} --conf \"$CONF\" \"$@\"\n",
            gateway.display()
        );
        self.program("orca-gateway", &script)?;
        let catool = ours("orca-catool")?;
        let catool = catool.display();
        let script = format!(
            "#!/bin/sh\nexport LC_ALL=ja_JP.UTF-8\ncase $1 in server_kit) exec {catool} \"$@\" --conf \"$CONF\";; *) exec {catool} \"$@\";; esac\n"
        );
        self.program("orca-catool", &script)
    }

    fn program(&self, name: &str, script: &str) -> anyhow::Result<()> {
        let path = self.path("bin").join(name);
        fs::write(&path, script)?;
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Types a command, and gives what it prints on both streams, as the page would show it.
    pub(super) fn run(&mut self, step: &Step) -> anyhow::Result<String> {
        let number = match step.machine {
            Machine::First => 0,
            Machine::Second => 1,
        };
        match step.command.as_str() {
            "sudo systemctl restart orca-gateway" => {
                self.servers[number].restart()?;
                return Ok(String::new());
            }
            "sudo systemctl stop orca-gateway" => {
                self.servers[number].stop()?;
                return Ok(String::new());
            }
            _ => {}
        }
        let names = self.names(number);
        let command = names
            .iter()
            .fold(step.command.clone(), |text, (page, here)| {
                text.replace(page, here)
            });
        let cwd = self.path("cwd");
        let cwd = cwd.display();
        let script = format!(
            "exec 2>&1\ncd \"$(cat {cwd})\"\n{command}\ncode=$?\npwd > {cwd}\nexit $code\n"
        );
        let path = std::env::var("PATH").context("PATH")?;
        let outcome = Program::new("bash")
            .args(["-c", &script])
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HOME", self.path("home"))
            .env("TZ", "Asia/Tokyo")
            .env("CONF", self.servers[number].conf.path())
            .stdin(
                step.answer()
                    .map_or(String::new(), |word| format!("{word}\n")),
            )
            .run()?;
        let mut output = names.iter().fold(outcome.text(), |text, (page, here)| {
            text.replace(here, page)
        });
        if let Some(word) = step.answer() {
            // What is typed on a terminal is seen there.
            output = output.replacen("y or n> \n", &format!("y or n> {word}\n"), 1);
        }
        if output.is_empty() && outcome.code != Some(0) {
            output = format!("(exit {:?})\n", outcome.code);
        }
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        Ok(output)
    }

    /// Words of the page and what stands for them here, the longest first.
    fn names(&self, number: usize) -> Vec<(String, String)> {
        let root = |path: &Path| path.display().to_string();
        let server = &self.servers[number];
        let mut names = vec![
            (
                "/var/lib/orca-gateway".to_owned(),
                root(&server.root.join("state")),
            ),
            ("/opt/jma/weborca".to_owned(), root(&server.root)),
            ("/home/hana".to_owned(), root(&self.path("home"))),
        ];
        let status = server.gateway.as_ref().and_then(Gateway::status_address);
        let status = status.map_or_else(|| "127.0.0.2:0".to_owned(), |at| at.to_string());
        names.extend([
            (
                "127.0.0.1:8001".to_owned(),
                self.application.address.to_string(),
            ),
            ("127.0.0.1:9180".to_owned(), status),
            ("[::]:8000".to_owned(), format!("{}:0", server.address.1)),
        ]);
        let bound = server.gateway.as_ref().map(|gateway| gateway.address);
        names.extend(bound.map(|at| ("アドレス[::]:8000".to_owned(), format!("アドレス{at}"))));
        for server in &self.servers {
            let (page, here) = server.address;
            let port = server.gateway.as_ref().map(Gateway::port);
            if let Some(at) = port {
                names.push((format!("{page}:8000"), format!("{here}:{at}")));
                names.push((":api_port: 8000".to_owned(), format!(":api_port: {at}")));
            }
            names.push((page.to_owned(), here.to_owned()));
        }
        names.push((CLIENT.0.to_owned(), CLIENT.1.to_owned()));
        names
    }
}

impl Server {
    fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(mut gateway) = self.gateway.take() {
            gateway.process.signal(Signal::TERM)?;
            gateway.process.end()?;
            self.rewrite(&gateway, |free, bound, text| text.replace(bound, free))?;
        }
        Ok(())
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        let program = Program::new(ours("orca-gateway")?);
        let program = program
            .arg("--conf")
            .arg(self.conf.path())
            .env("TZ", "Asia/Tokyo");
        let gateway = self.conf.start_program(program)?;
        self.rewrite(&gateway, |free, bound, text| text.replace(free, bound))?;
        self.gateway = Some(gateway);
        Ok(())
    }

    /// Ports are the kernel's choice; while the gateway runs, the file says which.
    fn rewrite(
        &self,
        gateway: &Gateway,
        replace: impl Fn(&str, &str, &str) -> String,
    ) -> anyhow::Result<()> {
        let mut text = fs::read_to_string(self.conf.path())?;
        for (key, bound) in [
            ("LISTEN", Some(gateway.address)),
            ("STATUS", gateway.status_address()),
        ] {
            let bound = bound.context("an address")?;
            let free = format!("GATEWAY_{key}={}:0\n", bound.ip());
            text = replace(&free, &format!("GATEWAY_{key}={bound}\n"), &text);
        }
        fs::write(self.conf.path(), text)?;
        Ok(())
    }
}
