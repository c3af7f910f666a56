//! Chromium on a client machine, driven through ChromeDriver (W3C WebDriver).

use std::fs::File;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::JoinHandle;

use anyhow::Context;
use anyhow::bail;
use serde_json::Value;
use serde_json::json;

use crate::http1;
use crate::nss::Store;
use crate::process::Process;
use crate::program::Program;
use crate::screen::Screen;
use crate::site::SERVER_NAME;

/// What keeps Chromium to the matter, and off the network.
const FLAGS: [&str; 9] = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1200,900",
];

/// The key an element stands under (WebDriver §12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A user's account on a client machine, with a certificate store of its own.
#[derive(Debug)]
pub struct Account {
    home: PathBuf,
    store: Store,
    flags: Vec<String>,
}

impl Account {
    /// Makes a home directory with an empty store, where Chromium looks for it.
    ///
    /// # Errors
    ///
    /// When certutil is missing.
    pub fn new(home: PathBuf) -> anyhow::Result<Self> {
        let store = Store::new(home.join(".pki/nssdb"))?;
        Ok(Self {
            home,
            store,
            flags: Vec::new(),
        })
    }

    /// Its Chromium speaks no newer TLS than 1.2.
    pub fn without_tls13(mut self) -> Self {
        self.flags.push("--ssl-version-max=tls1.2".to_owned());
        self
    }

    /// The certificates.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// A browser window, or one that nobody sees.
#[derive(Debug)]
pub struct Browser {
    session: Session,
    _driver: Process,
    _rule: Option<AutoSelect>,
    _turn: File,
}

/// One session of ChromeDriver; it can be used from two threads, one of which waits for a page.
#[derive(Clone, Debug)]
struct Session {
    driver: SocketAddr,
    path: String,
}

impl Browser {
    /// Starts Chromium in this account: on `screen`, or headless. One at a time runs on a machine.
    ///
    /// # Errors
    ///
    /// When Chromium or ChromeDriver is missing or does not start.
    pub fn start(account: &Account, screen: Option<&Screen>) -> anyhow::Result<Self> {
        Self::begin(account, screen, turn()?, None)
    }

    /// Starts it headless, where nobody can be asked for a certificate: at `origin`, for example
    /// `https://weborca-server:8000`, or on every port of `https://weborca-server`, it chooses by
    /// itself.
    ///
    /// # Errors
    ///
    /// When there are no rights to set the rule, or as [`Self::start`].
    pub fn start_choosing(account: &Account, origin: &str) -> anyhow::Result<Self> {
        // The rule is for the whole machine: it must not outlast our turn.
        let turn = turn()?;
        let rule = AutoSelect::at(origin)?;
        Self::begin(account, None, turn, Some(rule))
    }

    fn begin(
        account: &Account,
        screen: Option<&Screen>,
        turn: File,
        rule: Option<AutoSelect>,
    ) -> anyhow::Result<Self> {
        let mut program = Program::new("chromedriver")
            .arg("--port=0")
            .env("HOME", &account.home)
            .env("TMPDIR", &account.home);
        if let Some(screen) = screen {
            program = program.env("DISPLAY", screen.display());
        }
        let child = program.spawn(Stdio::null(), Stdio::null(), Stdio::null())?;
        let mut process = Process::new("chromedriver", child);
        let driver = process.listening(Ipv4Addr::LOCALHOST)?;
        let mut flags: Vec<String> = FLAGS.map(str::to_owned).into();
        flags.extend_from_slice(&account.flags);
        // The clinic's server is the only one there is.
        let names = format!("MAP {SERVER_NAME} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
        flags.push(format!("--host-resolver-rules={names}"));
        if screen.is_none() {
            flags.push("--headless=new".to_owned());
        }
        Ok(Self {
            session: Session::new(driver, &flags)?,
            _driver: process,
            _rule: rule,
            _turn: turn,
        })
    }

    /// Types an address and waits until the page is there.
    ///
    /// # Errors
    ///
    /// With Chromium's own error, `net::ERR_…`.
    pub fn open(&self, url: &str) -> anyhow::Result<()> {
        self.session.open(url)
    }

    /// Types an address and does not wait: a question may come first.
    pub fn opening(&self, url: &str) -> JoinHandle<anyhow::Result<()>> {
        let session = self.session.clone();
        let url = url.to_owned();
        std::thread::spawn(move || session.open(&url))
    }

    /// The title of the page.
    ///
    /// # Errors
    ///
    /// When there is no page.
    pub fn title(&self) -> anyhow::Result<String> {
        self.session.text("GET", "/title")
    }

    /// The page as it stands now, as HTML.
    ///
    /// # Errors
    ///
    /// When there is no page.
    pub fn source(&self) -> anyhow::Result<String> {
        self.session.text("GET", "/source")
    }

    /// Types into the field this CSS selector names.
    ///
    /// # Errors
    ///
    /// When there is no such field.
    pub fn fill_in(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        let element = self.element(selector)?;
        self.session.post(
            &format!("/element/{element}/value"),
            &json!({ "text": text }),
        )?;
        Ok(())
    }

    /// Clicks on what this CSS selector names.
    ///
    /// # Errors
    ///
    /// When there is no such thing.
    pub fn click(&self, selector: &str) -> anyhow::Result<()> {
        let element = self.element(selector)?;
        self.session
            .post(&format!("/element/{element}/click"), &json!({}))?;
        Ok(())
    }

    fn element(&self, selector: &str) -> anyhow::Result<String> {
        let query = json!({ "using": "css selector", "value": selector });
        let found = self.session.post("/element", &query)?;
        Ok(found[ELEMENT].as_str().context("an element")?.to_owned())
    }
}

/// Waits until no other test on this machine has a browser.
fn turn() -> anyhow::Result<File> {
    let turn = File::create(std::env::temp_dir().join("orca-e2e-browser.lock"))?;
    turn.lock()?;
    Ok(turn)
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium is ChromeDriver's child: ended this way it ends with the session.
        let _ = self.session.call("DELETE", "", None);
    }
}

impl Session {
    fn new(driver: SocketAddr, flags: &[String]) -> anyhow::Result<Self> {
        let options = json!({
            "args": flags,
            "prefs": { "intl.accept_languages": "ja" },
        });
        let wanted = json!({
            "browserName": "chrome",
            "acceptInsecureCerts": false,
            "timeouts": { "pageLoad": 25_000 },
            "goog:chromeOptions": options,
        });
        let start = Self {
            driver,
            path: "/session".to_owned(),
        };
        let made = start.post("", &json!({ "capabilities": { "alwaysMatch": wanted } }))?;
        let id = made["sessionId"].as_str().context("a session")?;
        Ok(Self {
            driver,
            path: format!("/session/{id}"),
        })
    }

    fn open(&self, url: &str) -> anyhow::Result<()> {
        self.post("/url", &json!({ "url": url }))?;
        Ok(())
    }

    fn text(&self, method: &str, path: &str) -> anyhow::Result<String> {
        let value = self.call(method, path, None)?;
        Ok(value.as_str().context("a text")?.to_owned())
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call("POST", path, Some(body))
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\
             Content-Type: application/json\r\nConnection: close\r\n\r\n{body}",
            self.path,
            self.driver,
            body.len()
        );
        let stream = http1::connect(self.driver)?;
        let mut answer = http1::exchange(stream, request.as_bytes())?.json()?;
        let value = answer["value"].take();
        if let Some(error) = value["error"].as_str() {
            bail!("{error}: {}", value["message"]);
        }
        Ok(value)
    }
}

/// A rule of a machine's administrator that answers the question for a certificate, as clinics set
/// it for many machines (`AutoSelectCertificateForUrls`); it is taken back when dropped.
#[derive(Debug)]
struct AutoSelect {
    file: PathBuf,
}

impl AutoSelect {
    fn at(origin: &str) -> anyhow::Result<Self> {
        let rule = json!({ "pattern": origin, "filter": {} }).to_string();
        let policy = json!({ "AutoSelectCertificateForUrls": [rule] }).to_string();
        let file = PathBuf::from("/etc/chromium/policies/managed/orca-e2e.json");
        privileged("install")
            .args(["-D", "-m", "644", "/dev/stdin"])
            .arg(&file)
            .stdin(policy)
            .run()?
            .success()
            .context("the policy needs root or sudo")?;
        Ok(Self { file })
    }
}

impl Drop for AutoSelect {
    fn drop(&mut self) {
        let _ = privileged("rm").arg("-f").arg(&self.file).run();
    }
}

/// A program that runs as root, through sudo where we are not root.
fn privileged(name: &str) -> Program {
    if rustix::process::geteuid().is_root() {
        Program::new(name)
    } else {
        Program::new("sudo").args(["-n", name])
    }
}
