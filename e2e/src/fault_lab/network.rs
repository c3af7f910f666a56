//! The way to the server, and who answers there.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;

use rustix::net::AddressFamily;
use rustix::net::SocketFlags;
use rustix::net::SocketType;

use super::Fault;
use super::Server;
use super::Station;
use super::answers;
use super::says;
use super::url;
use super::without_keys;
use crate::forge;
use crate::process::Process;
use crate::program::Program;
use crate::site::Site;
use crate::stand_in::Manner;
use crate::tls::Identity;

pub(super) const FAULTS: &[Fault] = &[
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
        make: |_, _| Ok(Station::of((url(says(b"")?), Server::Thread))),
    },
    Fault {
        name: "closed",
        symptom: "ERR_CONNECTION_CLOSED, PR_END_OF_FILE_ERROR",
        finding: "closed-without-answer",
        japanese: &["すぐに切断しました", "ss -ltnp"],
        english: &["without a word", "ss -ltnp"],
        make: |_, _| Ok(Station::of((url(answers(b"")?), Server::Thread))),
    },
    Fault {
        name: "other-program",
        symptom: "ERR_SSL_PROTOCOL_ERROR(別のプログラム)",
        finding: "other-program",
        japanese: &["別のプログラム", "SSH-2.0-OpenSSH_9.2", "ss -ltnp"],
        english: &["another program", "SSH-2.0-OpenSSH_9.2", "ss -ltnp"],
        make: |_, _| {
            let address = says(b"SSH-2.0-OpenSSH_9.2\r\n")?;
            Ok(Station::of((url(address), Server::Thread)))
        },
    },
    Fault {
        name: "http",
        symptom: "ERR_SSL_PROTOCOL_ERROR, SSL_ERROR_RX_RECORD_TOO_LONG",
        finding: "not-https",
        japanese: &["「http」で応答", "Server Mode: HTTP", "server_kit"],
        english: &["http without encryption", "Server Mode: HTTP", "server_kit"],
        make: |site, name| Ok(Station::of(Server::gateway(without_keys(site, name)?)?)),
    },
    Fault {
        name: "old-tls",
        symptom: "ERR_SSL_VERSION_OR_CIPHER_MISMATCH, SSL_ERROR_UNSUPPORTED_VERSION, SSL_ERROR_PROTOCOL_VERSION_ALERT",
        finding: "tls-too-old",
        japanese: &["TLS 1.2以降に対応していません"],
        english: &["no TLS 1.2"],
        make: old_tls,
    },
    Fault {
        name: "no-network",
        symptom: "ERR_INTERNET_DISCONNECTED",
        finding: "unreachable",
        japanese: &["への経路がありません", "ケーブル、無線LAN、IPアドレス"],
        english: &["there is no way to", "cable, wireless, address"],
        make: |_, _| Ok(unplugged("true")),
    },
    Fault {
        name: "host-unreachable",
        symptom: "ERR_ADDRESS_UNREACHABLE",
        finding: "host-unreachable",
        japanese: &[
            "サーバ機が見つかりません",
            "電源、LANケーブル",
            "firewall-cmd",
        ],
        english: &["cannot be found", "check power, cable", "firewall-cmd"],
        make: |_, _| Ok(unplugged("ip route add unreachable 192.0.2.0/24")),
    },
    Fault {
        name: "tls-failed",
        symptom: "ERR_SSL_VERSION_OR_CIPHER_MISMATCH, SSL_ERROR_NO_CYPHER_OVERLAP",
        finding: "tls-failed",
        japanese: &["TLS接続に失敗しました", "ウイルス対策ソフト"],
        english: &["TLS with https://127.0.0.1", "virus scanner"],
        make: |site, _| {
            let arguments = ["-tls1_2", "-cipher", "CAMELLIA128-SHA:@SECLEVEL=0"];
            openssl(site, &arguments)
        },
    },
    Fault {
        name: "odd-certificate",
        symptom: "ERR_SSL_PROTOCOL_ERROR, SEC_ERROR_INVALID_ARGS",
        finding: "server-certificate-unreadable",
        japanese: &["サーバ証明書を読み取れません", "アドレスとポート番号"],
        english: &[
            "server certificate cannot be read",
            "check address and port",
        ],
        make: |_, _| {
            let server = Server::stand_in(&forge::malformed()?, Manner::takes())?;
            Ok(Station::of(server))
        },
    },
    Fault {
        name: "long-serial",
        symptom: "NET::ERR_CERT_AUTHORITY_INVALID, MOZILLA_PKIX_ERROR_SELF_SIGNED_CERT",
        finding: "server-certificate-unreadable",
        japanese: &["サーバ証明書を読み取れません", "server_kit"],
        english: &["server certificate cannot be read", "server_kit"],
        make: |_, _| {
            let server = Server::stand_in(&forge::long_serial()?, Manner::takes())?;
            Ok(Station::of(server))
        },
    },
    Fault {
        name: "hangs",
        symptom: "読み込み中のまま進まない(TLSの接続後)",
        finding: "silent",
        japanese: &[
            "サーバはTLSの接続後、何も応答しません",
            "日レセとサーバの負荷",
        ],
        english: &[
            "after TLS was set up the server says nothing",
            "look at the load",
        ],
        make: |site, _| stand_in(site, Manner::Hangs),
    },
    Fault {
        name: "closed-after-handshake",
        symptom: "ERR_EMPTY_RESPONSE",
        finding: "closed-after-handshake",
        japanese: &["応答せずに切断しました", "orca-gateway diagnose"],
        english: &[
            "closed the connection without an answer",
            "orca-gateway diagnose",
        ],
        make: |site, _| stand_in(site, Manner::Answers(Vec::new())),
    },
    Fault {
        name: "no-http",
        symptom: "ERR_INVALID_HTTP_RESPONSE",
        finding: "other-program",
        japanese: &["HTTPではありません", "アドレスとポート番号"],
        english: &["TLS answers there, but no HTTP", "check address and port"],
        make: |site, _| {
            stand_in(
                site,
                Manner::Answers(b"220 mail.example ESMTP\r\n".to_vec()),
            )
        },
    },
    Fault {
        name: "no-certificate-asked",
        symptom: "証明書の選択画面が出ないまま接続できる",
        finding: "no-certificate-asked",
        japanese: &[
            "クライアント証明書を求めずに応答しました",
            "orca-gateway diagnose",
        ],
        english: &[
            "without asking for a client certificate",
            "orca-gateway diagnose",
        ],
        make: |site, _| stand_in(site, Manner::status("200 OK")),
    },
];

/// The client's machine with nothing but this of a network; nothing leaves it.
fn unplugged(order: &str) -> Station {
    let url = "https://192.0.2.7:8000".to_owned();
    let mut station = Station::of((url, Server::Nothing));
    let order = format!("ip link set lo up && {order} && exec \"$@\"");
    let words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--net",
        "--",
        "sh",
        "-c",
    ];
    station.network = words.iter().map(|&word| word.to_owned()).collect();
    station.network.extend([order, "sh".to_owned()]);
    station
}

fn stand_in(site: &Site, manner: Manner) -> anyhow::Result<Station> {
    let server = Server::stand_in(&Identity::of(&site.server)?, manner)?;
    Ok(Station::of(server))
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

/// Nothing above TLS 1.1.
fn old_tls(site: &Site, _: &str) -> anyhow::Result<Station> {
    openssl(site, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"])
}

/// OpenSSL's server with the server's certificate.
pub(super) fn openssl(site: &Site, arguments: &[&str]) -> anyhow::Result<Station> {
    let (crt, pem) = (site.server.crt(), site.server.pem());
    let text = |path: &Path| path.display().to_string();
    let program = Program::new("openssl")
        .args(["s_server", "-quiet", "-accept", "127.0.0.1:0"])
        .args(["-cert", &text(&crt), "-key", &text(&pem)])
        .args(arguments);
    let child = program.spawn(Stdio::piped(), Stdio::null(), Stdio::null())?;
    let mut process = Process::new("openssl", child);
    let address = process.listening(Ipv4Addr::LOCALHOST)?;
    Ok(Station::of((url(address), Server::Program(process))))
}
