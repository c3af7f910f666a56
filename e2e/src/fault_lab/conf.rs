//! Faults of the configuration and of what it names, for `orca-gateway diagnose`.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;

use super::Fault;
use super::Seat;
use super::Server;
use super::Station;
use super::answers;
use super::gateway::served;
use super::gateway::with;
use super::network::openssl;
use super::other_clinic;
use super::says;
use super::without_keys;
use crate::gateway::Conf;
use crate::site::Site;

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "needs-https",
        symptom: "",
        finding: "needs-https",
        japanese: &[
            "GATEWAY_WINDOWSは証明書の設定ですが",
            "GATEWAY_WINDOWSを消して",
        ],
        english: &[
            "GATEWAY_WINDOWS is about certificates",
            "remove GATEWAY_WINDOWS",
        ],
        make: |site, name| {
            let conf = without_keys(site, name)?.set("GATEWAY_WINDOWS", "/nowhere/windows");
            Ok(Station::on_server(conf, Server::Nothing))
        },
    },
    Fault {
        name: "not-a-network",
        symptom: "",
        finding: "not-a-network",
        japanese: &["192.168.1.0/24 の範囲内の1台", "/32"],
        english: &["an address inside 192.168.1.0/24", "/32"],
        make: |site, name| with(site, name, "GATEWAY_EXEMPT", "\"192.168.1.50/24 /api/\""),
    },
    Fault {
        name: "upstream-pair-incomplete",
        symptom: "",
        finding: "upstream-pair-incomplete",
        japanese: &["片方だけが設定されています", "両方を設定する"],
        english: &["only one of", "set both"],
        make: |site, name| {
            let crt = site.server.crt();
            let conf = upstream(site, name, "https://127.0.0.1:1")?;
            let conf = conf.set("GATEWAY_UPSTREAM_CRT", crt.display());
            Ok(Station::on_server(conf, Server::Nothing))
        },
    },
    Fault {
        name: "upstream-files-unused",
        symptom: "",
        finding: "upstream-files-unused",
        japanese: &["GATEWAY_UPSTREAMがhttpのため", "https://に直して"],
        english: &["GATEWAY_UPSTREAM is http", "with https://"],
        make: |site, name| {
            let ca = site.server.ca();
            with(site, name, "GATEWAY_UPSTREAM_CA", ca.display())
        },
    },
    Fault {
        name: "upstream-file-unusable",
        symptom: "",
        finding: "upstream-file-unusable",
        japanese: &["準備できません", "PEM形式"],
        english: &[
            "cannot prepare TLS towards the application",
            "are PEM and readable",
        ],
        make: |site, name| {
            let conf = upstream(site, name, "https://127.0.0.1:1")?;
            let conf = conf.set("GATEWAY_UPSTREAM_CA", "/nowhere/ca.crt");
            Ok(Station::on_server(conf, Server::Nothing))
        },
    },
    Fault {
        name: "upstream-pair-unusable",
        symptom: "",
        finding: "upstream-pair-unusable",
        japanese: &["準備できません", "対になる証明書と鍵"],
        english: &[
            "cannot prepare TLS towards the application",
            "a certificate and its own key",
        ],
        make: |site, name| {
            let other = site.ca.issue("issue_client_cert -c user-pair --again")?;
            let conf = upstream(site, name, "https://127.0.0.1:1")?
                .set("GATEWAY_UPSTREAM_CRT", site.server.crt().display())
                .set("GATEWAY_UPSTREAM_PEM", other.pem().display());
            Ok(Station::on_server(conf, Server::Nothing))
        },
    },
    Fault {
        name: "upstream-refuses-us",
        symptom: "",
        finding: "upstream-refuses-us",
        japanese: &[
            "ゲートウェイの証明書を受け付けません",
            "GATEWAY_UPSTREAM_CRT",
        ],
        english: &[
            "does not accept the gateway's certificate",
            "GATEWAY_UPSTREAM_CRT",
        ],
        make: |site, name| {
            let ca = site.server.ca().display().to_string();
            let arguments = [
                "-tls1_2",
                "-Verify",
                "1",
                "-verify_return_error",
                "-CAfile",
                &ca,
            ];
            let application = openssl(site, &arguments)?;
            let kit = other_clinic(site, name)?.issue("issue_client_cert -c user1")?;
            let conf = upstream(site, name, application.url().context("an address")?)?
                .set("GATEWAY_UPSTREAM_CRT", kit.crt().display())
                .set("GATEWAY_UPSTREAM_PEM", kit.pem().display());
            Ok(Station {
                seat: Seat::Server(Box::new(conf)),
                ..application
            })
        },
    },
    Fault {
        name: "upstream-wants-a-certificate",
        symptom: "",
        finding: "upstream-refuses-us",
        japanese: &[
            "ゲートウェイの証明書を受け付けません",
            "GATEWAY_UPSTREAM_CRT",
        ],
        english: &[
            "does not accept the gateway's certificate",
            "GATEWAY_UPSTREAM_CRT",
        ],
        // In TLS 1.3 the refusal comes after the handshake: who only connects does not see it.
        make: |site, name| {
            let kit = site
                .ca
                .issue("issue_client_cert -c user-upstream --again")?;
            let ca = kit.ca();
            let before = site.conf_of(&format!("{name}-before"))?;
            let gateway = before.set("GATEWAY_CLIENT_AUTH", "strict").start()?;
            let url = format!("https://{}", gateway.address);
            let conf = upstream(site, name, &url)?.set("GATEWAY_UPSTREAM_CA", ca.display());
            Ok(Station::on_server(conf, Server::Gateway(Box::new(gateway))))
        },
    },
    Fault {
        name: "upstream-not-tls",
        symptom: "",
        finding: "upstream-not-tls",
        japanese: &["httpsで応答していません", "http://に直す"],
        english: &["does not speak https", "with http://"],
        make: |site, name| {
            let url = format!("https://{}", site.application.address);
            Ok(Station::on_server(
                upstream(site, name, &url)?,
                Server::Nothing,
            ))
        },
    },
    Fault {
        name: "upstream-speaks-tls",
        symptom: "",
        finding: "upstream-speaks-tls",
        japanese: &["httpではなくhttpsで待ち受けています", "WebORCAを再起動"],
        english: &["speaks https, not http", "restart WebORCA"],
        make: |site, name| {
            let application = openssl(site, &["-www"])?;
            let url = application.url().context("an address")?;
            let conf = upstream(site, name, &url.replacen("https", "http", 1))?;
            Ok(Station {
                seat: Seat::Server(Box::new(conf)),
                ..application
            })
        },
    },
    Fault {
        name: "upstream-silent",
        symptom: "",
        finding: "upstream-silent",
        japanese: &["応答しません", "jma-receipt-weborca"],
        english: &["says nothing", "jma-receipt-weborca"],
        make: |site, name| {
            let conf = upstream(site, name, &format!("http://{}", says(b"")?))?;
            Ok(Station::on_server(conf, Server::Thread))
        },
    },
    Fault {
        name: "upstream-not-http",
        symptom: "",
        finding: "upstream-not-http",
        japanese: &[
            "日レセ(アプリケーション)ではありません",
            "SSH-2.0",
            "ss -ltnp",
        ],
        english: &["is not the application", "SSH-2.0", "ss -ltnp"],
        make: |site, name| {
            let address = answers(b"SSH-2.0-OpenSSH_9.2\r\n")?;
            let conf = upstream(site, name, &format!("http://{address}"))?;
            Ok(Station::on_server(conf, Server::Thread))
        },
    },
    Fault {
        name: "name-elsewhere",
        symptom: "",
        finding: "certificate-name-elsewhere",
        japanese: &["elsewhere.example", "192.0.2.9"],
        english: &["elsewhere.example", "192.0.2.9"],
        make: |site, name| {
            let kit = site
                .ca
                .issue("issue_server_cert -c elsewhere.example -i 127.0.0.1")?;
            let hosts = site.path(&format!("hosts-{name}"));
            std::fs::write(&hosts, "127.0.0.1 localhost\n192.0.2.9 elsewhere.example\n")?;
            let conf = served(site, name, &kit)?;
            let mut station = Station::on_server(conf, Server::Nothing);
            station.network = believing(&hosts);
            Ok(station)
        },
    },
    Fault {
        name: "port-not-permitted",
        symptom: "",
        finding: "port-not-permitted",
        japanese: &["127.0.0.1:443 を使う権限がありません", "1024以上"],
        english: &["no permission to use 127.0.0.1:443", "from 1024 on"],
        make: |site, name| {
            let mut station = with(site, name, "GATEWAY_LISTEN", "127.0.0.1:443")?;
            // A network of its own, in which nobody is root.
            let words = ["unshare", "--user", "--net", "--"];
            station.network = words.iter().map(|&word| word.to_owned()).collect();
            Ok(station)
        },
    },
    Fault {
        name: "crl-copy-damaged",
        symptom: "",
        finding: "crl-copy-damaged",
        japanese: &["保存済みのCRL", "orca-catool issue_crl"],
        english: &["the kept copy", "orca-catool issue_crl"],
        make: |site, name| {
            let (conf, file) = kept(site, name, "crl")?;
            std::fs::write(file, "torn")?;
            Ok(Station::on_server(conf, Server::Nothing))
        },
    },
    Fault {
        name: "crl-number-damaged",
        symptom: "",
        finding: "crl-number-damaged",
        japanese: &["CRLの番号の記録", "orca-catool issue_crl"],
        english: &["remembers the number of the CRL", "orca-catool issue_crl"],
        make: |site, name| {
            let (conf, file) = kept(site, name, "number")?;
            std::fs::write(file, "torn")?;
            Ok(Station::on_server(conf, Server::Nothing))
        },
    },
    Fault {
        name: "crl-copy-lost",
        symptom: "",
        finding: "crl-copy-lost",
        japanese: &["保存されたものがありません", "CA_CRL の場所"],
        english: &["its copy is lost", "where CA_CRL says"],
        make: |site, name| {
            let (conf, file) = kept(site, name, "crl")?;
            std::fs::remove_file(file)?;
            let conf = conf.set("CA_CRL", "/nowhere/ca.crl");
            Ok(Station::on_server(conf, Server::Nothing))
        },
    },
];

/// A machine that believes this file of names.
fn believing(hosts: &Path) -> Vec<String> {
    let words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "--",
        "sh",
        "-c",
    ];
    let order = format!(
        "mount --bind '{}' /etc/hosts && exec \"$@\"",
        hosts.display()
    );
    let words = words.iter().map(|&word| word.to_owned());
    words.chain([order, "sh".to_owned()]).collect()
}

fn upstream(site: &Site, name: &str, url: &str) -> anyhow::Result<Conf> {
    Ok(site.conf_of(name)?.set("GATEWAY_UPSTREAM", url))
}

/// What a gateway that has ended left of its list.
fn kept(site: &Site, name: &str, extension: &str) -> anyhow::Result<(Conf, PathBuf)> {
    let conf = site.conf_of(name)?;
    drop(conf.start()?);
    for entry in std::fs::read_dir(site.path(name).join("state"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            return Ok((conf, path));
        }
    }
    anyhow::bail!("nothing kept ends in {extension}")
}
