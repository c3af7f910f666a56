//! Faults made for real on a loopback address: to train people who support clinics, and for the tests
//! of both `diagnose`.

use std::io::Write;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;

use anyhow::Context;

use crate::catool::Catool;
use crate::gateway::Conf;
use crate::gateway::Gateway;
use crate::kit::Kit;
use crate::process::Process;
use crate::program::Program;
use crate::site::Site;
use crate::stand_in::Manner;
use crate::stand_in::StandIn;
use crate::stand_in::Vacancy;
use crate::tls::Identity;
use crate::tls::TlsStream;

mod client;
mod conf;
mod gateway;
mod network;
mod server;

/// A fault that this machine can show.
#[derive(Debug)]
pub struct Fault {
    /// Its name on the command line.
    pub name: &'static str,
    /// What people at the telephone read out: the number of a page, or words of Chrome and Edge, then
    /// those of Firefox. Nothing for what only the server's own `diagnose` is asked about.
    pub symptom: &'static str,
    /// The id under which `diagnose` names it.
    pub finding: &'static str,
    /// What the Japanese sentence or its remedy must tell.
    pub japanese: &'static [&'static str],
    /// What the English sentence or its remedy must tell.
    pub english: &'static [&'static str],
    make: fn(&Site, &str) -> anyhow::Result<Station>,
}

/// A fault, running.
#[derive(Debug)]
pub struct Station {
    /// Where one sits to look at it.
    seat: Seat,
    /// What the client adds that has the fault.
    options: Vec<String>,
    /// What its request has beyond.
    request: Vec<String>,
    /// How wrong its clock is, in the form of faketime.
    clock: Option<&'static str>,
    /// Before the program, where its network is the fault.
    network: Vec<String>,
    _server: Server,
}

/// A client or the server.
#[derive(Debug)]
enum Seat {
    /// This address is called.
    Client(String),
    /// This configuration is looked at.
    Server(Box<Conf>),
}

/// What runs as long as the station does.
#[derive(Debug)]
#[expect(dead_code, reason = "held until the end, never looked at")]
enum Server {
    Busy(Box<(Gateway, TlsStream)>),
    Crowded(TcpListener, Vec<TcpStream>),
    Gateway(Box<Gateway>),
    Nobody(Vacancy),
    Nothing,
    Program(Process),
    Thread,
}

impl Fault {
    /// Makes the fault in a site; one site may have several.
    ///
    /// # Errors
    ///
    /// When a program fails.
    pub fn start(&self, site: &Site) -> anyhow::Result<Station> {
        (self.make)(site, self.name).with_context(|| self.name)
    }

    /// Whether it shows itself at the server alone.
    pub fn is_of_server(&self) -> bool {
        self.symptom.is_empty()
    }
}

/// Every fault of the lab.
pub fn faults() -> impl Iterator<Item = &'static Fault> {
    [
        network::FAULTS,
        server::FAULTS,
        client::FAULTS,
        gateway::FAULTS,
        conf::FAULTS,
    ]
    .into_iter()
    .flatten()
}

impl Station {
    /// The call that names the fault, before `--format`; it is made in this language.
    ///
    /// # Errors
    ///
    /// When a program has not been built.
    pub fn diagnosis(&self, site: &Site, lang: &str) -> anyhow::Result<Program> {
        let program = match &self.seat {
            Seat::Client(url) => site.ca.program(["--lang", lang, "diagnose", url])?,
            Seat::Server(conf) => conf.program(&["--lang", lang, "diagnose"])?,
        };
        let program = program.args(&self.options);
        let program = match self.clock {
            Some(clock) => program.at(clock),
            None => program,
        };
        Ok(program.under(&self.network))
    }

    /// The call by which a client is shown the page of the fault; none at the server.
    pub fn page(&self, site: &Site) -> Option<Program> {
        let Seat::Client(url) = &self.seat else {
            return None;
        };
        let program = Program::new("curl").args(["--silent", "--show-error", "--max-time", "60"]);
        Some(
            program
                .arg("--cacert")
                .arg(site.server.ca())
                .args(&self.options)
                .args(&self.request)
                .arg(url),
        )
    }

    /// Whether whoever calls the address sees the fault: certificate, request, clock and network of the
    /// client are as they should be.
    pub fn is_of_anybody(&self) -> bool {
        let own = [&self.options, &self.request, &self.network];
        self.clock.is_none() && own.iter().all(|words| words.is_empty())
    }

    /// The address to call, where one is called.
    pub fn url(&self) -> Option<&str> {
        match &self.seat {
            Seat::Client(url) => Some(url),
            Seat::Server(_) => None,
        }
    }

    fn of((url, server): (String, Server)) -> Self {
        Self::at(Seat::Client(url), server)
    }

    /// The server itself, with what runs there.
    fn on_server(conf: Conf, server: Server) -> Self {
        Self::at(Seat::Server(Box::new(conf)), server)
    }

    fn at(seat: Seat, server: Server) -> Self {
        Self {
            seat,
            options: Vec::new(),
            request: Vec::new(),
            clock: None,
            network: Vec::new(),
            _server: server,
        }
    }

    fn for_client(self, kit: &Kit) -> Self {
        let (crt, pem) = (kit.crt(), kit.pem());
        let (crt, pem) = (crt.display().to_string(), pem.display().to_string());
        self.with_options(&["--cert", &crt, "--key", &pem])
    }

    fn with_options(mut self, options: &[&str]) -> Self {
        self.options
            .extend(options.iter().map(|&word| word.to_owned()));
        self
    }

    fn asking(mut self, words: &[&str]) -> Self {
        self.request
            .extend(words.iter().map(|&word| word.to_owned()));
        self
    }
}

impl Server {
    fn gateway(conf: Conf) -> anyhow::Result<(String, Self)> {
        Ok(Self::running(conf.start()?))
    }

    fn running(gateway: Gateway) -> (String, Self) {
        (url(gateway.address), Self::Gateway(Box::new(gateway)))
    }

    fn nobody() -> anyhow::Result<(String, Self)> {
        let vacancy = Vacancy::new()?;
        Ok((url(vacancy.address), Self::Nobody(vacancy)))
    }

    /// A TLS server of another make that answers everything so.
    fn stand_in(identity: &Identity, manner: Manner) -> anyhow::Result<(String, Self)> {
        // Its threads go on until the end.
        let stand_in = StandIn::start(identity, &[manner])?;
        Ok((stand_in.url(), Self::Thread))
    }
}

fn url(address: SocketAddr) -> String {
    format!("https://{address}")
}

/// Another clinic's authority, with a home of its own.
fn other_clinic(site: &Site, name: &str) -> anyhow::Result<Catool> {
    let home = site.path(&format!("home-{name}"));
    std::fs::create_dir_all(&home)?;
    let other = Catool::new(&home);
    if !other.folder().exists() {
        other
            .program(["init", "--yes"])?
            .at("-30d")
            .run()?
            .success()?;
    }
    Ok(other)
}

fn without_list(site: &Site, name: &str) -> anyhow::Result<Conf> {
    let nowhere = site.path(name).join("no.crl");
    Ok(site.conf_of(name)?.set("CA_CRL", nowhere.display()))
}

fn own_list(site: &Site, name: &str, list: &[u8]) -> anyhow::Result<Conf> {
    let conf = site.conf_of(name)?;
    let path = site.path(name).join("own.crl");
    std::fs::write(&path, list)?;
    Ok(conf.set("CA_CRL", path.display()))
}

/// A configuration without TLS.
fn without_keys(site: &Site, name: &str) -> anyhow::Result<Conf> {
    let keys = ["SERVER_CRT", "SERVER_PEM", "CA_CRT"];
    let conf = site.conf_of(name)?;
    Ok(keys.iter().fold(conf, |conf, key| conf.set(key, "")))
}

/// Says this to everybody and keeps the connection.
fn says(words: &'static [u8]) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(words);
            held.push(stream);
        }
    });
    Ok(address)
}

/// Reads what comes, answers so and closes.
fn answers(words: &'static [u8]) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // What lies unread would turn the end into a reset.
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let _ = stream.write_all(words);
        }
    });
    Ok(address)
}
