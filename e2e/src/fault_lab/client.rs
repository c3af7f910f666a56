//! What a client shows, and the pages it is shown.

use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::sync::mpsc;

use anyhow::Context;

use super::Fault;
use super::Server;
use super::Station;
use super::network;
use super::other_clinic;
use super::server::trusting_another;
use super::url;
use super::without_list;
use crate::catool::Catool;
use crate::forge::Forge;
use crate::site::Site;
use crate::stand_in::Manner;
use crate::tls;
use crate::tls::Identity;
use crate::tls::TlsClient;
use crate::tls::Version;
use crate::wait::PATIENCE;

pub(super) const FAULTS: &[Fault] = &[
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
    Fault {
        name: "fast-clock",
        symptom: "E-102",
        finding: "expired",
        japanese: &[
            "まで有効ですが、サーバは期限切れと判定しました (E-102)",
            "timedatectl",
        ],
        english: &[
            "but the server says that it has expired (E-102)",
            "timedatectl",
        ],
        make: |site, name| {
            let kit = site
                .ca
                .issue("issue_client_cert -c user-fast --days 5 --again")?;
            let conf = site.conf_of(name)?;
            let gateway = conf.start_program(conf.program(&[])?.at("+10d"))?;
            Ok(Station::of(Server::running(gateway)).for_client(&kit))
        },
    },
    Fault {
        name: "clock-strict",
        symptom: "ERR_BAD_SSL_CLIENT_AUTH_CERT(サーバの時計)",
        finding: "expired",
        japanese: &["サーバの時計が違っている", "timedatectl"],
        english: &["its clock is wrong", "timedatectl"],
        make: |site, name| {
            let kit = site
                .ca
                .issue("issue_client_cert -c user-early-strict --again")?;
            let conf = site.conf_of(name)?.set("GATEWAY_CLIENT_AUTH", "strict");
            let gateway = conf.start_program(conf.program(&[])?.at("-3d"))?;
            Ok(Station::of(Server::running(gateway)).for_client(&kit))
        },
    },
    Fault {
        name: "early-client",
        symptom: "E-103",
        finding: "not-yet-valid",
        japanese: &["E-103"],
        english: &["E-103"],
        make: |site, name| {
            let line = "issue_client_cert -c user-tomorrow --again";
            let kit = site.ca.issue_at("+20d", line)?;
            Ok(Station::of(Server::gateway(site.conf_of(name)?)?).for_client(&kit))
        },
    },
    Fault {
        name: "server-trusts-another",
        symptom: "E-105",
        finding: "unknown-ca",
        japanese: &[
            "サーバは別の認証局を信頼しています (E-105)",
            "CA_CRT",
            "server_kit",
        ],
        english: &[
            "the server trusts another CA (E-105)",
            "CA_CRT",
            "server_kit",
        ],
        make: |site, name| {
            let kit = site.ca.issue("issue_client_cert -c user-other --again")?;
            let server = Server::gateway(trusting_another(site, name)?)?;
            Ok(Station::of(server).for_client(&kit))
        },
    },
    Fault {
        name: "inspected",
        symptom: "E-101",
        finding: "no-certificate",
        japanese: &["提示しましたが、サーバに届いていません(E-101)", "SSL検査"],
        english: &["did not reach the server (E-101)", "TLS inspection"],
        make: inspected,
    },
    Fault {
        name: "not-in-register",
        symptom: "一覧にない証明書で接続できる",
        finding: "not-in-register",
        japanese: &["台帳に記録がありません", "バックアップ"],
        english: &["the register has no record of it", "backup"],
        make: not_in_register,
    },
    Fault {
        name: "wrong-usage-strict",
        symptom: "ERR_BAD_SSL_CLIENT_AUTH_CERT, SSL_ERROR_UNSUPPORTED_CERT_ALERT",
        finding: "wrong-usage",
        japanese: &["E-106", "issue_client_cert"],
        english: &["E-106", "issue_client_cert"],
        make: |site, name| {
            let conf = site.conf_of(name)?.set("GATEWAY_CLIENT_AUTH", "strict");
            Ok(Station::of(Server::gateway(conf)?).for_client(&site.server))
        },
    },
    Fault {
        name: "crl-unusable-strict",
        symptom: "ERR_BAD_SSL_CLIENT_AUTH_CERT, SSL_ERROR_CERTIFICATE_UNKNOWN_ALERT",
        finding: "crl-unusable",
        japanese: &["E-107", "orca-catool issue_crl"],
        english: &["E-107", "orca-catool issue_crl"],
        make: |site, name| {
            let kit = site
                .ca
                .issue("issue_client_cert -c user-crl-strict --again")?;
            let conf = without_list(site, name)?
                .set("GATEWAY_CRL_UNUSABLE", "refuse")
                .set("GATEWAY_CLIENT_AUTH", "strict");
            Ok(Station::of(Server::gateway(conf)?).for_client(&kit))
        },
    },
    Fault {
        name: "outside-hours-strict",
        symptom: "ERR_BAD_SSL_CLIENT_AUTH_CERT, SSL_ERROR_ACCESS_DENIED_ALERT",
        finding: "outside-hours",
        japanese: &["今の時間には使用できません (E-113)", "GATEWAY_WINDOWS"],
        english: &["may not be used at this hour (E-113)", "GATEWAY_WINDOWS"],
        make: |site, name| outside_hours(site, name, "strict"),
    },
    Fault {
        name: "refused-by-alert",
        symptom: "ERR_BAD_SSL_CLIENT_AUTH_CERT, SSL_ERROR_BAD_CERT_ALERT",
        finding: "refused-by-alert",
        japanese: &[
            "サーバが接続を拒否しました(TLS警告 BadCertificate)",
            "orca-gateway diagnose",
        ],
        english: &[
            "refused the connection (TLS alert BadCertificate)",
            "orca-gateway diagnose",
        ],
        make: |site, _| {
            let kit = site.ca.issue("issue_client_cert -c user-alert --again")?;
            let ca = kit.ca().display().to_string();
            // A server that finds every key of ours too short.
            let arguments = ["-Verify", "1", "-verify_return_error", "-auth_level", "5"];
            let arguments = [&arguments[..], &["-CAfile", &ca]].concat();
            Ok(network::openssl(site, &arguments)?.for_client(&kit))
        },
    },
    Fault {
        name: "newer-gateway",
        symptom: "この表にない番号の画面",
        finding: "refused-otherwise",
        japanese: &[
            "サーバに断られました(E-199、new-cause)",
            "docs/ja/phone-triage.md",
        ],
        english: &[
            "the server refused (E-199, new-cause)",
            "docs/ja/phone-triage.md",
        ],
        make: |site, _| {
            let kit = site.ca.issue("issue_client_cert -c user-newer --again")?;
            let page = br#"{"error":{"number":"E-199","cause":"new-cause"}}"#;
            let head = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n\r\n";
            let manner = Manner::Answers([&head[..], page].concat());
            let server = Server::stand_in(&Identity::of(&site.server)?, manner)?;
            Ok(Station::of(server).for_client(&kit))
        },
    },
    Fault {
        name: "http-address",
        symptom: "E-108",
        finding: "http-address",
        japanese: &["アドレスが http://127.0.0.1:", "E-108", "お気に入り"],
        english: &["the address is http://127.0.0.1:", "E-108", "bookmarks"],
        make: |site, name| {
            let kit = site.ca.issue("issue_client_cert -c user-http --again")?;
            let (address, server) = Server::gateway(site.conf_of(name)?)?;
            let address = address.replacen("https", "http", 1);
            Ok(Station::of((address, server)).for_client(&kit))
        },
    },
    Fault {
        name: "cross-site",
        symptom: "E-110",
        finding: "application-answers",
        japanese: &["日レセが応答しました"],
        english: &["the application answers"],
        // The fault is in what is asked: who asks without it is served.
        make: |site, name| {
            let kit = site.ca.issue("issue_client_cert -c user-site --again")?;
            let station = Station::of(Server::gateway(site.conf_of(name)?)?).for_client(&kit);
            let origin = "Origin: https://portal.example";
            Ok(station.asking(&["--request", "POST", "--header", origin]))
        },
    },
    Fault {
        name: "application-busy",
        symptom: "E-111",
        // Whose page comes after half a minute; nobody waits so long for a diagnosis.
        finding: "silent",
        japanese: &["何も応答しません", "E-111", "日レセとサーバの負荷"],
        english: &["says nothing", "E-111", "look at the load"],
        make: application_busy,
    },
    Fault {
        name: "wrong-operator",
        symptom: "E-112",
        finding: "application-answers",
        japanese: &["日レセが応答しました"],
        english: &["the application answers"],
        // The certificate is good; that it does not go with the operator shows in API calls alone.
        make: |site, name| {
            let kit = site
                .ca
                .issue("issue_client_cert -c user-operator --again")?;
            let conf = site.conf_of(name)?;
            let file = site.path(name).join("operators");
            std::fs::write(&file, "ormaster\t/C=JP/O=orca/CN=user1\n")?;
            let conf = conf.set("GATEWAY_OPERATORS", file.display());
            let station = Station::of(Server::gateway(conf)?).for_client(&kit);
            Ok(station.asking(&["--user", "ormaster:training"]))
        },
    },
    Fault {
        name: "outside-hours",
        symptom: "E-113",
        finding: "outside-hours",
        japanese: &["今の時間には使用できません (E-113)", "GATEWAY_WINDOWS"],
        english: &["may not be used at this hour (E-113)", "GATEWAY_WINDOWS"],
        make: |site, name| outside_hours(site, name, "explain"),
    },
];
fn revoked(site: &Site, name: &str, mode: &str) -> anyhow::Result<Station> {
    let kit = site.ca.issue("issue_client_cert -c user-revoked --again")?;
    site.ca.done(&format!("revoke_cert {}", kit.number()))?;
    let conf = site.conf_of(name)?.set("GATEWAY_CLIENT_AUTH", mode);
    Ok(Station::of(Server::gateway(conf)?).for_client(&kit))
}

fn outside_hours(site: &Site, name: &str, mode: &str) -> anyhow::Result<Station> {
    let kit = site.ca.issue("issue_client_cert -c vendor --again")?;
    let conf = site.conf_of(name)?;
    let file = site.path(name).join("windows");
    let over = "/C=JP/O=orca/CN=vendor\t2001-01-01..2001-12-31\n";
    std::fs::write(&file, over)?;
    let conf = conf
        .set("GATEWAY_WINDOWS", file.display())
        .set("GATEWAY_CLIENT_AUTH", mode);
    Ok(Station::of(Server::gateway(conf)?).for_client(&kit))
}

/// A request that never ends has the only place.
fn application_busy(site: &Site, name: &str) -> anyhow::Result<Station> {
    let kit = site.ca.issue("issue_client_cert -c user-busy --again")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let upstream = format!("http://{}", listener.local_addr()?);
    let (arrived, first) = mpsc::channel();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            if std::io::Read::read(&mut &stream, &mut [0; 4096]).is_ok_and(|length| length > 0) {
                let _ = arrived.send(());
            }
            held.push(stream);
        }
    });
    let conf = site
        .conf_of(name)?
        .set("GATEWAY_UPSTREAM", upstream)
        .set("GATEWAY_MAX_UPSTREAM_CONNECTIONS", 1);
    let gateway = conf.start()?;
    let client = TlsClient::new(&kit.ca(), Version::Tls13, Some(Identity::of(&kit)?))?;
    let mut slow = client.connect(gateway.address)?;
    let request = tls::request(gateway.address, "/", &[]);
    std::io::Write::write_all(&mut slow, request.as_bytes())?;
    let arrived = first.recv_timeout(PATIENCE);
    arrived.context("the request that takes the place")?;
    let address = url(gateway.address);
    let server = Server::Busy(Box::new((gateway, slow)));
    Ok(Station::of((address, server)).for_client(&kit))
}

/// A device between: it ends TLS with a certificate of its own and brings the gateway's answer, which
/// has seen no certificate.
fn inspected(site: &Site, name: &str) -> anyhow::Result<Station> {
    let kit = site
        .ca
        .issue("issue_client_cert -c user-inspected --again")?;
    let gateway = site.conf_of(name)?.start()?;
    let device = TlsClient::new(&kit.ca(), Version::Tls13, None)?;
    let fields = ["Accept: application/json", "Connection: close"];
    let request = tls::request(gateway.address, "/", &fields);
    let mut stream = device.connect(gateway.address)?;
    std::io::Write::write_all(&mut stream, request.as_bytes())?;
    let answer = tls::read_to_end(&mut stream)?;
    let (address, _) = Server::stand_in(&Forge::foreign()?.server()?, Manner::Answers(answer))?;
    let (_, server) = Server::running(gateway);
    Ok(Station::of((address, server)).for_client(&kit))
}

/// An authority that was put back from a backup: what it issued since is not in its register.
fn not_in_register(site: &Site, name: &str) -> anyhow::Result<Station> {
    let home = site.path(&format!("home-{name}"));
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([site.ca.home(), &home])
        .status()?;
    anyhow::ensure!(copied.success(), "cp: {copied}");
    let lost = Catool::new(&home).issue("issue_client_cert -c user-lost")?;
    Ok(Station::of(Server::gateway(site.conf_of(name)?)?).for_client(&lost))
}
