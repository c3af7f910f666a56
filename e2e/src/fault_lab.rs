//! Faults of a server, made for real on a loopback address: to train people who support clinics, and
//! for the tests of `orca-catool diagnose`.

use std::io::Write;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use anyhow::Context;
use rustix::net::AddressFamily;
use rustix::net::SocketFlags;
use rustix::net::SocketType;

use crate::catool::Catool;
use crate::gateway::Conf;
use crate::gateway::Gateway;
use crate::kit::Kit;
use crate::lists::ListForge;
use crate::process::Process;
use crate::program::Program;
use crate::site::Site;
use crate::stand_in::Vacancy;

/// A fault that a server on this machine can show.
#[derive(Debug)]
pub struct Fault {
    /// Its name on the command line.
    pub name: &'static str,
    /// What people at the telephone read out: words of Chrome and Edge, then those of Firefox.
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
    /// The address to call.
    pub url: String,
    /// What to add after the address, for the client that has the fault.
    pub options: Vec<String>,
    _server: Server,
}

/// What runs as long as the station does.
#[derive(Debug)]
#[expect(dead_code, reason = "held until the end, never looked at")]
enum Server {
    Gateway(Box<Gateway>),
    Nobody(Vacancy),
    Program(Process),
    Crowded(TcpListener, Vec<TcpStream>),
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
}

/// Every fault of the lab.
pub const FAULTS: &[Fault] = &[
    Fault {
        name: "nothing-listens",
        symptom: "ERR_CONNECTION_REFUSED",
        finding: "nothing-listens",
        japanese: &[
            "待ち受けているプログラムがありません",
            "systemctl status orca-gateway",
        ],
        english: &["refused at once", "systemctl status orca-gateway"],
        make: |_, _| Ok(Station::of(Server::nobody()?)),
    },
    Fault {
        name: "no-answer",
        symptom: "ERR_CONNECTION_TIMED_OUT",
        finding: "no-answer",
        japanese: &["応答がありません", "ping"],
        english: &["does not answer", "ping"],
        make: |_, _| crowded(),
    },
    Fault {
        name: "silent",
        symptom: "読み込み中のまま進まない",
        finding: "silent",
        japanese: &["何も応答しません"],
        english: &["says nothing"],
        make: |_, _| says(b""),
    },
    Fault {
        name: "closed",
        symptom: "ERR_CONNECTION_CLOSED",
        finding: "closed-without-answer",
        japanese: &["すぐに切断しました", "ss -ltnp"],
        english: &["without a word", "ss -ltnp"],
        make: |_, _| closes(),
    },
    Fault {
        name: "other-program",
        symptom: "ERR_SSL_PROTOCOL_ERROR(別のプログラム)",
        finding: "other-program",
        japanese: &["別のプログラム", "SSH-2.0-OpenSSH_9.2", "ss -ltnp"],
        english: &["another program", "SSH-2.0-OpenSSH_9.2", "ss -ltnp"],
        make: |_, _| says(b"SSH-2.0-OpenSSH_9.2\r\n"),
    },
    Fault {
        name: "http",
        symptom: "ERR_SSL_PROTOCOL_ERROR, SSL_ERROR_RX_RECORD_TOO_LONG",
        finding: "not-https",
        japanese: &["「http」で応答", "Server Mode: HTTP", "server_kit"],
        english: &["http without encryption", "Server Mode: HTTP", "server_kit"],
        make: http,
    },
    Fault {
        name: "old-tls",
        symptom: "ERR_SSL_VERSION_OR_CIPHER_MISMATCH, SSL_ERROR_UNSUPPORTED_VERSION",
        finding: "tls-too-old",
        japanese: &["TLS 1.2以降に対応していません"],
        english: &["no TLS 1.2"],
        make: old_tls,
    },
    Fault {
        name: "wrong-name",
        symptom: "NET::ERR_CERT_COMMON_NAME_INVALID, SSL_ERROR_BAD_CERT_DOMAIN",
        finding: "name-not-in-certificate",
        japanese: &[
            "接続先 127.0.0.1 がサーバ証明書にありません(記載: weborca-server、192.168.1.100)",
            "orca-catool issue_server_cert -c weborca-server -i 127.0.0.1",
        ],
        english: &[
            "127.0.0.1 is not in the server certificate, which has: weborca-server, 192.168.1.100",
            "orca-catool issue_server_cert -c weborca-server -i 127.0.0.1",
        ],
        make: |site, name| {
            let line = "issue_server_cert -c weborca-server -i 192.168.1.100";
            served_with(site, name, &site.ca.issue(line)?)
        },
    },
    Fault {
        name: "expired-server",
        symptom: "NET::ERR_CERT_DATE_INVALID, SEC_ERROR_EXPIRED_CERTIFICATE",
        finding: "server-certificate-expired",
        japanese: &["サーバ証明書の有効期限が1", "日前", "server_kit"],
        english: &["server certificate expired", "days ago", "server_kit"],
        make: |site, name| {
            let line = "issue_server_cert -c expired.local -i 127.0.0.1 --days 5";
            served_with(site, name, &site.ca.issue_at("-20d", line)?)
        },
    },
    Fault {
        name: "early-server",
        symptom: "NET::ERR_CERT_DATE_INVALID, MOZILLA_PKIX_ERROR_NOT_YET_VALID_CERTIFICATE",
        finding: "server-certificate-not-yet-valid",
        japanese: &["有効期間がまだ始まっていません", "日付と時刻"],
        english: &["not valid before", "set the clock of this machine"],
        make: |site, name| {
            let line = "issue_server_cert -c early.local -i 127.0.0.1";
            served_with(site, name, &site.ca.issue_at("+20d", line)?)
        },
    },
    Fault {
        name: "another-ca",
        symptom: "NET::ERR_CERT_AUTHORITY_INVALID, SEC_ERROR_UNKNOWN_ISSUER",
        finding: "server-certificate-of-another-ca",
        japanese: &["orca CA ", "当院の認証局「orca CA "],
        english: &["not by our CA, orca CA "],
        make: |site, name| {
            let other = other_clinic(site, name)?;
            served_with(site, name, &other.issue("issue_server_cert -i 127.0.0.1")?)
        },
    },
    Fault {
        name: "no-certificate",
        symptom: "E-101",
        finding: "no-certificate",
        japanese: &["E-101", "--p12 FILE --passphrase-file FILE"],
        english: &["E-101", "--p12 FILE --passphrase-file FILE"],
        make: |site, name| Ok(Station::of(Server::gateway(site.conf_of(name)?)?)),
    },
    Fault {
        name: "expired",
        symptom: "E-102",
        finding: "expired",
        japanese: &["E-102", "日前", "issue_client_cert -c user-expired"],
        english: &["E-102", "days ago", "issue_client_cert -c user-expired"],
        make: |site, name| {
            let line = "issue_client_cert -c user-expired --days 5 --again";
            let kit = site.ca.issue_at("-20d", line)?;
            Ok(Station::of(Server::gateway(site.conf_of(name)?)?).for_client(&kit))
        },
    },
    Fault {
        name: "clock",
        symptom: "E-103",
        finding: "not-yet-valid",
        japanese: &["E-103", "有効期間前", "3日", "timedatectl"],
        english: &["E-103", "not valid yet", "3 days", "timedatectl"],
        make: |site, name| {
            let kit = site.ca.issue("issue_client_cert -c user-early --again")?;
            let conf = site.conf_of(name)?;
            let gateway = conf.start_program(conf.program(&[])?.at("-3d"))?;
            Ok(Station::of(Server::running(gateway)).for_client(&kit))
        },
    },
    Fault {
        name: "slow-clock",
        symptom: "NET::ERR_CERT_DATE_INVALID(端末の時計)",
        finding: "clock-differs",
        japanese: &["この端末の時計がサーバより3日遅れて", "日付と時刻"],
        english: &["3 days behind", "set the one that is wrong"],
        make: |site, name| {
            let conf = site.conf_of(name)?;
            // A minute more: three whole days have passed when the client looks.
            let gateway = conf.start_program(conf.program(&[])?.at("+259260"))?;
            Ok(Station::of(Server::running(gateway)))
        },
    },
    Fault {
        name: "revoked",
        symptom: "E-104",
        finding: "revoked",
        japanese: &["E-104", "破棄(失効)", "user-revoked"],
        english: &["E-104", "was revoked on", "user-revoked"],
        make: |site, name| revoked(site, name, "explain"),
    },
    Fault {
        name: "unknown-ca",
        symptom: "E-105",
        finding: "unknown-ca",
        japanese: &["E-105", "当院の認証局「orca CA "],
        english: &["E-105", "not by orca CA "],
        make: |site, name| {
            let kit = other_clinic(site, name)?.issue("issue_client_cert -c user1")?;
            Ok(Station::of(Server::gateway(site.conf_of(name)?)?).for_client(&kit))
        },
    },
    Fault {
        name: "wrong-usage",
        symptom: "E-106",
        finding: "wrong-usage",
        japanese: &["E-106", "端末の認証用ではありません"],
        english: &["E-106", "not made for clients"],
        make: |site, name| {
            Ok(Station::of(Server::gateway(site.conf_of(name)?)?).for_client(&site.server))
        },
    },
    Fault {
        name: "crl-unusable",
        symptom: "E-107",
        finding: "crl-unusable",
        japanese: &["E-107", "orca-catool issue_crl"],
        english: &["E-107", "orca-catool issue_crl"],
        make: |site, name| {
            let kit = site.ca.issue("issue_client_cert -c user-crl --again")?;
            let conf = without_list(site, name)?.set("GATEWAY_CRL_UNUSABLE", "refuse");
            Ok(Station::of(Server::gateway(conf)?).for_client(&kit))
        },
    },
    Fault {
        name: "application-down",
        symptom: "E-109",
        finding: "application-down",
        japanese: &["E-109", "日レセが応答していません"],
        english: &["E-109", "does not answer"],
        make: |site, name| {
            let kit = site.ca.issue("issue_client_cert -c user-down --again")?;
            let conf = site.conf_of(name)?;
            // Port 1 (tcpmux) is nobody's.
            let conf = conf.set("GATEWAY_UPSTREAM", "http://127.0.0.1:1");
            Ok(Station::of(Server::gateway(conf)?).for_client(&kit))
        },
    },
    Fault {
        name: "crl-missing",
        symptom: "破棄した証明書で接続できる(CRLなし)",
        finding: "crl-missing",
        japanese: &["破棄リスト(CRL)がありません", ":crl_publish:"],
        english: &["no revocation list", ":crl_publish:"],
        make: |site, name| Ok(Station::of(Server::gateway(without_list(site, name)?)?)),
    },
    Fault {
        name: "crl-overdue",
        symptom: "ログの警告: CRLの期限切れ",
        finding: "crl-overdue",
        japanese: &["期限が", "切れています", "orca-catool issue_crl"],
        english: &["ran out on", "orca-catool issue_crl"],
        make: crl_overdue,
    },
    Fault {
        name: "crl-behind",
        symptom: "破棄した証明書で接続できる(CRLが古い)",
        finding: "crl-not-delivered",
        japanese: &["届いていません", "orca-catool publish_crl"],
        english: &["has not reached the server", "orca-catool publish_crl"],
        make: crl_behind,
    },
    Fault {
        name: "revoked-strict",
        symptom: "ERR_BAD_SSL_CLIENT_AUTH_CERT, SSL_ERROR_REVOKED_CERT_ALERT",
        finding: "revoked",
        japanese: &["E-104", "破棄(失効)"],
        english: &["E-104", "was revoked"],
        make: |site, name| revoked(site, name, "strict"),
    },
    Fault {
        name: "no-certificate-strict",
        symptom: "ERR_BAD_SSL_CLIENT_AUTH_CERT, SSL_ERROR_RX_CERTIFICATE_REQUIRED_ALERT",
        finding: "no-certificate",
        japanese: &["E-101"],
        english: &["E-101"],
        make: |site, name| {
            let conf = site.conf_of(name)?.set("GATEWAY_CLIENT_AUTH", "strict");
            Ok(Station::of(Server::gateway(conf)?))
        },
    },
    Fault {
        name: "expired-strict",
        symptom: "ERR_BAD_SSL_CLIENT_AUTH_CERT(期限切れ)",
        finding: "expired",
        japanese: &["E-102"],
        english: &["E-102"],
        make: |site, name| {
            let line = "issue_client_cert -c user-strict --days 5 --again";
            let kit = site.ca.issue_at("-20d", line)?;
            let conf = site.conf_of(name)?.set("GATEWAY_CLIENT_AUTH", "strict");
            Ok(Station::of(Server::gateway(conf)?).for_client(&kit))
        },
    },
    Fault {
        name: "unknown-ca-strict",
        symptom: "ERR_BAD_SSL_CLIENT_AUTH_CERT, SSL_ERROR_UNKNOWN_CA_ALERT",
        finding: "unknown-ca",
        japanese: &["E-105"],
        english: &["E-105"],
        make: |site, name| {
            let kit = other_clinic(site, name)?.issue("issue_client_cert -c user1")?;
            let conf = site.conf_of(name)?.set("GATEWAY_CLIENT_AUTH", "strict");
            Ok(Station::of(Server::gateway(conf)?).for_client(&kit))
        },
    },
];

impl Station {
    fn of((url, server): (String, Server)) -> Self {
        Self {
            url,
            options: Vec::new(),
            _server: server,
        }
    }

    fn for_client(mut self, kit: &Kit) -> Self {
        for (option, path) in [("--cert", kit.crt()), ("--key", kit.pem())] {
            self.options.push(option.to_owned());
            self.options.push(path.display().to_string());
        }
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

/// A gateway with this server certificate.
fn served_with(site: &Site, name: &str, kit: &Kit) -> anyhow::Result<Station> {
    let conf = site
        .conf_of(name)?
        .set("SERVER_CRT", kit.crt().display())
        .set("SERVER_PEM", kit.pem().display());
    Ok(Station::of(Server::gateway(conf)?))
}

fn without_list(site: &Site, name: &str) -> anyhow::Result<Conf> {
    let nowhere = site.path(name).join("no.crl");
    Ok(site.conf_of(name)?.set("CA_CRL", nowhere.display()))
}

fn revoked(site: &Site, name: &str, mode: &str) -> anyhow::Result<Station> {
    let kit = site.ca.issue("issue_client_cert -c user-revoked --again")?;
    site.ca.done(&format!("revoke_cert {}", kit.number()))?;
    let conf = site.conf_of(name)?.set("GATEWAY_CLIENT_AUTH", mode);
    Ok(Station::of(Server::gateway(conf)?).for_client(&kit))
}

fn http(site: &Site, name: &str) -> anyhow::Result<Station> {
    let mut conf = site.conf_of(name)?;
    for key in ["SERVER_CRT", "SERVER_PEM", "CA_CRT"] {
        conf = conf.set(key, "");
    }
    Ok(Station::of(Server::gateway(conf)?))
}

/// A list of the authority, with a number beyond all others, that ended a month ago.
fn crl_overdue(site: &Site, name: &str) -> anyhow::Result<Station> {
    let forge = ListForge::new(&site.server.ca(), &site.ca.folder().join("ca.key"))?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let days = std::time::Duration::from_secs(395 * 86_400);
    let list = forge.list(9000, [], now - days)?;
    let conf = own_list(site, name, list.as_bytes())?;
    Ok(Station::of(Server::gateway(conf)?))
}

/// The gateway stays with the list that the authority had before.
fn crl_behind(site: &Site, name: &str) -> anyhow::Result<Station> {
    let before = std::fs::read(site.ca.crl())?;
    let conf = own_list(site, name, &before)?;
    site.ca.done("issue_crl")?;
    Ok(Station::of(Server::gateway(conf)?))
}

fn own_list(site: &Site, name: &str, list: &[u8]) -> anyhow::Result<Conf> {
    let conf = site.conf_of(name)?;
    let path = site.path(name).join("own.crl");
    std::fs::write(&path, list)?;
    Ok(conf.set("CA_CRL", path.display()))
}

/// Says this to everybody and keeps the connection.
fn says(words: &'static [u8]) -> anyhow::Result<Station> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(words);
            held.push(stream);
        }
    });
    Ok(Station::of((url(address), Server::Thread)))
}

/// Reads what comes and closes.
fn closes() -> anyhow::Result<Station> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // What lies unread would turn the end into a reset.
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
        }
    });
    Ok(Station::of((url(address), Server::Thread)))
}

/// A queue that is full: the kernel drops whoever comes then, as a firewall does.
fn crowded() -> anyhow::Result<Station> {
    // A program that inherited it would seem to listen there itself.
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    rustix::net::listen(&socket, 0)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    let limit = std::time::Duration::from_millis(300);
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, limit) {
        queue.push(stream);
        anyhow::ensure!(queue.len() < 64, "the queue has no end");
    }
    Ok(Station::of((
        url(address),
        Server::Crowded(listener, queue),
    )))
}

/// OpenSSL with nothing above TLS 1.1.
fn old_tls(site: &Site, _: &str) -> anyhow::Result<Station> {
    let (crt, pem) = (site.server.crt(), site.server.pem());
    let text = |path: &Path| path.display().to_string();
    let program = Program::new("openssl")
        .args(["s_server", "-quiet", "-tls1_1", "-accept", "127.0.0.1:0"])
        .args(["-cipher", "DEFAULT@SECLEVEL=0"])
        .args(["-cert", &text(&crt), "-key", &text(&pem)]);
    let child = program.spawn(Stdio::piped(), Stdio::null(), Stdio::null())?;
    let mut process = Process::new("openssl", child);
    let address = process.listening(Ipv4Addr::LOCALHOST)?;
    Ok(Station::of((url(address), Server::Program(process))))
}
