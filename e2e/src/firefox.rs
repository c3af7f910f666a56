//! Firefox on a client machine, which nobody sees, driven through Marionette.

use std::fmt::Write as _;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use serde_json::Value;
use serde_json::json;

use crate::nss::Store;
use crate::process::Process;
use crate::program::Program;
use crate::site::SERVER_NAME;
use crate::tls::Version;
use crate::wait;

/// A page that has not come by then never comes, in milliseconds.
const PAGE_LOAD: u64 = 30_000;

/// A profile with a certificate store of its own.
#[derive(Debug)]
pub struct Profile {
    dir: PathBuf,
    store: Store,
}

impl Profile {
    /// Makes an empty one in this folder.
    ///
    /// # Errors
    ///
    /// When certutil is missing.
    pub fn new(dir: PathBuf) -> anyhow::Result<Self> {
        let store = Store::new(dir.clone())?;
        Ok(Self { dir, store })
    }

    /// The certificates.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Writes the preferences: no newer TLS than this, no question for a certificate, Japanese, and
    /// every address but the clinic's server leads to `nowhere`.
    fn write(&self, newest: Version, nowhere: &TcpListener) -> anyhow::Result<()> {
        let tls = match newest {
            Version::Tls12 => 3,
            Version::Tls13 => 4,
        };
        let proxy = nowhere.local_addr()?;
        let host = json!(proxy.ip().to_string());
        let preferences = [
            ("marionette.port", json!(0)),
            ("security.tls.version.max", json!(tls)),
            (
                "security.default_personal_cert",
                json!("Select Automatically"),
            ),
            ("intl.accept_languages", json!("ja")),
            ("network.dns.localDomains", json!(SERVER_NAME)),
            ("network.proxy.type", json!(1)),
            ("network.proxy.http", host.clone()),
            ("network.proxy.http_port", json!(proxy.port())),
            ("network.proxy.ssl", host),
            ("network.proxy.ssl_port", json!(proxy.port())),
            ("network.proxy.no_proxies_on", json!(SERVER_NAME)),
            ("network.captive-portal-service.enabled", json!(false)),
            ("network.connectivity-service.enabled", json!(false)),
            ("app.update.enabled", json!(false)),
            ("datareporting.policy.dataSubmissionEnabled", json!(false)),
            ("browser.startup.page", json!(0)),
        ];
        let mut text = String::new();
        for (name, value) in preferences {
            writeln!(text, "user_pref({}, {value});", json!(name))?;
        }
        Ok(std::fs::write(self.dir.join("user.js"), text)?)
    }
}

/// A running Firefox.
#[derive(Debug)]
pub struct Firefox {
    stream: BufReader<TcpStream>,
    commands: u64,
    process: Process,
    /// Bound so that nobody else is, and never answered.
    _nowhere: TcpListener,
}

impl Firefox {
    /// Starts Firefox headless with this profile.
    ///
    /// # Errors
    ///
    /// When it is missing or does not start.
    pub fn start(profile: &Profile, newest: Version) -> anyhow::Result<Self> {
        let nowhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        profile.write(newest, &nowhere)?;
        let child = Program::new("firefox-esr")
            .args(["--headless", "--no-remote", "--marionette", "--profile"])
            .arg(&profile.dir)
            .env("HOME", &profile.dir)
            .env("TMPDIR", &profile.dir)
            .spawn(Stdio::null(), Stdio::null(), Stdio::null())?;
        let process = Process::new("firefox-esr", child);
        let port = port(&profile.dir.join("MarionetteActivePort"))?;
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_millis(2 * PAGE_LOAD)))?;
        let mut firefox = Self {
            stream: BufReader::new(stream),
            commands: 0,
            process,
            _nowhere: nowhere,
        };
        firefox.receive().context("its greeting")?;
        let wanted = json!({ "acceptInsecureCerts": false, "timeouts": { "pageLoad": PAGE_LOAD } });
        firefox.call("WebDriver:NewSession", &wanted)?;
        Ok(firefox)
    }

    /// Types an address and waits until the page is there.
    ///
    /// # Errors
    ///
    /// With Firefox's own error, `SSL_ERROR_…`.
    pub fn open(&mut self, url: &str) -> anyhow::Result<()> {
        match self.call("WebDriver:Navigate", &json!({ "url": url })) {
            Err(error) if error.to_string().contains("about:neterror") => {
                let script = "return document.getNetErrorInfo().errorCodeString";
                let script = json!({ "script": script, "args": [] });
                let code = self.call("WebDriver:ExecuteScript", &script)?;
                bail!("{}", code["value"])
            }
            Err(error) if error.to_string().contains("insecure certificate") => {
                let script = "return document.getFailedCertSecurityInfo().errorCodeString";
                let script = json!({ "script": script, "args": [] });
                let code = self.call("WebDriver:ExecuteScript", &script)?;
                bail!("{}", code["value"])
            }
            other => other.map(drop),
        }
    }

    /// The page as it stands now, as HTML.
    ///
    /// # Errors
    ///
    /// When there is no page.
    pub fn source(&mut self) -> anyhow::Result<String> {
        let source = self.call("WebDriver:GetPageSource", &json!({}))?;
        let text = source["value"].as_str().context("a text")?;
        Ok(text.to_owned())
    }

    /// A command and its answer: `[0, id, name, parameters]`, `[1, id, error, result]`, each with
    /// its length in octets and a colon in front.
    fn call(&mut self, name: &str, parameters: &Value) -> anyhow::Result<Value> {
        self.commands += 1;
        let command = json!([0, self.commands, name, parameters]).to_string();
        let framed = format!("{}:{command}", command.len());
        self.stream.get_mut().write_all(framed.as_bytes())?;
        let mut answer = self.receive().with_context(|| name.to_owned())?;
        if !answer[2].is_null() {
            bail!("{}: {}", answer[2]["error"], answer[2]["message"]);
        }
        Ok(answer[3].take())
    }

    fn receive(&mut self) -> anyhow::Result<Value> {
        let mut length = Vec::new();
        self.stream.read_until(b':', &mut length)?;
        let length = String::from_utf8(length)?;
        let length = length.strip_suffix(':').context("it has ended")?;
        let mut text = vec![0; length.parse()?];
        self.stream.read_exact(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        // Its children end with it only if it is asked.
        let quit = json!({ "flags": ["eForceQuit"] });
        if self.call("Marionette:Quit", &quit).is_ok() {
            let _ = self.process.end();
        }
    }
}

/// Where Firefox says that it listens.
fn port(file: &Path) -> anyhow::Result<u16> {
    wait::until("Firefox tells its port", || {
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    })
}
