//! Faults at the server, for `orca-gateway diagnose`.

use std::fmt::Display;
use std::os::unix::fs::PermissionsExt;

use super::Fault;
use super::Server;
use super::Station;
use super::answers;
use super::other_clinic;
use super::says;
use super::without_keys;
use crate::kit::Kit;
use crate::site::Site;
use crate::stand_in::Vacancy;

const SSH: &[u8] = b"SSH-2.0-OpenSSH_9.2\r\n";
const HTTP: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "gateway-not-running",
        symptom: "",
        finding: "gateway-not-running",
        japanese: &["起動していません", "systemctl start orca-gateway"],
        english: &["does not run", "systemctl start orca-gateway"],
        make: |site, name| {
            let nobody = Vacancy::new()?;
            let conf = site.conf_of(name)?.set("GATEWAY_LISTEN", nobody.address);
            Ok(Station::on_server(conf, Server::Nobody(nobody)))
        },
    },
    Fault {
        name: "http-gateway-not-running",
        symptom: "",
        finding: "gateway-not-running",
        japanese: &[
            "起動していません(127.0.0.1:",
            "systemctl start orca-gateway",
        ],
        english: &[
            "nobody answers at 127.0.0.1:",
            "systemctl start orca-gateway",
        ],
        make: |site, name| {
            let nobody = Vacancy::new()?;
            let conf = without_keys(site, name)?.set("GATEWAY_LISTEN", nobody.address);
            Ok(Station::on_server(conf, Server::Nobody(nobody)))
        },
    },
    Fault {
        name: "port-taken",
        symptom: "",
        finding: "other-program",
        japanese: &["別のプログラムが応答しています", "SSH-2.0", "ss -ltnp"],
        english: &["another program answers", "SSH-2.0", "ss -ltnp"],
        make: |site, name| {
            let conf = site.conf_of(name)?.set("GATEWAY_LISTEN", says(SSH)?);
            Ok(Station::on_server(conf, Server::Thread))
        },
    },
    Fault {
        name: "port-in-use",
        symptom: "",
        finding: "port-in-use",
        japanese: &["別のプログラムが使用中です", "ss -ltnp"],
        english: &["another program uses", "ss -ltnp"],
        make: |site, name| {
            let conf = site.conf_of(name)?.set("GATEWAY_LISTEN", answers(HTTP)?);
            Ok(Station::on_server(conf, Server::Thread))
        },
    },
    Fault {
        name: "http-port-taken",
        symptom: "",
        finding: "other-program",
        japanese: &["別のプログラムが応答しています", "SSH-2.0", "ss -ltnp"],
        english: &["another program answers", "SSH-2.0", "ss -ltnp"],
        make: |site, name| {
            let conf = without_keys(site, name)?.set("GATEWAY_LISTEN", says(SSH)?);
            Ok(Station::on_server(conf, Server::Thread))
        },
    },
    Fault {
        name: "not-restarted",
        symptom: "",
        finding: "another-mode",
        japanese: &[
            "設定ファイルはHTTPですが",
            "HTTPSで応答",
            "systemctl restart",
        ],
        english: &["configuration says HTTP,", "in HTTPS", "systemctl restart"],
        make: |site, name| {
            let gateway = site.conf_of(&format!("{name}-before"))?.start()?;
            let conf = without_keys(site, name)?.set("GATEWAY_LISTEN", gateway.address);
            Ok(Station::on_server(conf, Server::Gateway(Box::new(gateway))))
        },
    },
    Fault {
        name: "http-not-restarted",
        symptom: "",
        finding: "another-mode",
        japanese: &[
            "設定ファイルはHTTPSですが",
            "HTTPで応答",
            "systemctl restart",
        ],
        english: &["configuration says HTTPS,", "in HTTP:", "systemctl restart"],
        make: |site, name| {
            let gateway = without_keys(site, &format!("{name}-before"))?.start()?;
            let conf = site.conf_of(name)?.set("GATEWAY_LISTEN", gateway.address);
            Ok(Station::on_server(conf, Server::Gateway(Box::new(gateway))))
        },
    },
    Fault {
        name: "another-certificate",
        symptom: "",
        finding: "another-certificate-served",
        japanese: &["別の証明書を使用しています", "ログを確認"],
        english: &["another certificate than SERVER_CRT", "read the log"],
        make: |site, name| {
            let gateway = site.conf_of(&format!("{name}-before"))?.start()?;
            let kit = site.ca.issue("issue_server_cert -c renewed -i 127.0.0.1")?;
            let conf = served(site, name, &kit)?.set("GATEWAY_LISTEN", gateway.address);
            Ok(Station::on_server(conf, Server::Gateway(Box::new(gateway))))
        },
    },
    Fault {
        name: "address-changed",
        symptom: "",
        finding: "address-changed",
        japanese: &["(192.0.2.7)は、この機械にありません", "issue_server_cert"],
        english: &["none of the addresses", "(192.0.2.7)", "issue_server_cert"],
        make: |site, name| with_server(site, name, "issue_server_cert -c moved -i 192.0.2.7"),
    },
    Fault {
        name: "file-missing",
        symptom: "",
        finding: "file-missing",
        japanese: &["/nowhere/server.crt", "SERVER_CRT を正しいパスに"],
        english: &["/nowhere/server.crt", "correct SERVER_CRT"],
        make: |site, name| with(site, name, "SERVER_CRT", "/nowhere/server.crt"),
    },
    Fault {
        name: "key-encrypted",
        symptom: "",
        finding: "key-encrypted",
        japanese: &["パスフレーズ付きの鍵", "権限を400"],
        english: &["a key with a passphrase", "mode 400"],
        make: |site, name| with(site, name, "SERVER_PEM", site.server.enc_pem().display()),
    },
    Fault {
        name: "key-mismatch",
        symptom: "",
        finding: "key-mismatch",
        japanese: &["証明書", "のものではありません", "同じzip"],
        english: &["does not belong to the certificate", "the same zip"],
        make: |site, name| {
            let other = site.ca.issue("issue_server_cert -c other-server")?;
            with(site, name, "SERVER_PEM", other.pem().display())
        },
    },
    Fault {
        name: "no-key-in-file",
        symptom: "",
        finding: "no-key-in-file",
        japanese: &["秘密鍵がありません", "「….pem」"],
        english: &["holds no private key", ".pem"],
        make: |site, name| with(site, name, "SERVER_PEM", site.server.crt().display()),
    },
    Fault {
        name: "no-certificate-in-file",
        symptom: "",
        finding: "no-certificate-in-file",
        japanese: &["読み取れる証明書がありません", "「….crt」"],
        english: &["no readable certificate", ".crt"],
        make: |site, name| with(site, name, "SERVER_CRT", site.server.pem().display()),
    },
    Fault {
        name: "no-ca-certificate",
        symptom: "",
        finding: "no-ca-certificate",
        japanese: &["認証局の証明書がありません", "ca.crt"],
        english: &["holds no CA certificate", "ca.crt"],
        make: |site, name| with(site, name, "CA_CRT", site.server.crt().display()),
    },
    Fault {
        name: "damaged-certificate",
        symptom: "",
        finding: "damaged-certificate",
        japanese: &["証明書が壊れています", "コピーし直してください"],
        english: &["is damaged", "again"],
        make: |site, name| {
            let text = "-----BEGIN CERTIFICATE-----\nMAMCAQc=\n-----END CERTIFICATE-----\n";
            with_file(site, name, "SERVER_CRT", text)
        },
    },
    Fault {
        name: "key-unusable",
        symptom: "",
        finding: "key-unusable",
        japanese: &["壊れているか、対応していない種類です", "「….pem」"],
        english: &["damaged or of an unsupported kind", ".pem"],
        make: |site, name| {
            let text = "-----BEGIN PRIVATE KEY-----\nMAMCAQc=\n-----END PRIVATE KEY-----\n";
            with_file(site, name, "SERVER_PEM", text)
        },
    },
    Fault {
        name: "own-certificate-without-names",
        symptom: "",
        finding: "server-certificate-without-names",
        japanese: &["subjectAltName がありません", "-c(ホスト名)"],
        english: &["has no subjectAltName", "-c HOST"],
        make: |site, name| with_server(site, name, "issue_client_cert -c nameless --again"),
    },
    Fault {
        name: "crl-reset-pending",
        symptom: "",
        finding: "crl-reset-pending",
        japanese: &["次の起動時に", "起動してください"],
        english: &["the next start forgets", "then start"],
        make: |site, name| {
            let conf = site.conf_of(name)?;
            // A list has been in force, and the gateway has ended since.
            drop(conf.start()?);
            conf.program(&["reset_crl"])?.run()?.success()?;
            Ok(Station::on_server(conf, Server::Nothing))
        },
    },
    Fault {
        name: "open-door",
        symptom: "",
        finding: "open-door",
        japanese: &["PostgreSQL(ポート5432)が0.0.0.0:5432", "ファイアウォール"],
        english: &["PostgreSQL (port 5432) listens at 0.0.0.0:5432", "firewall"],
        make: |site, name| {
            let mut station = Station::on_server(site.conf_of(name)?, Server::Nothing);
            station.network = alone_with(5432);
            Ok(station)
        },
    },
    Fault {
        name: "upstream-exposed",
        symptom: "",
        finding: "upstream-exposed",
        japanese: &[
            "だれでも http://サーバ名:8001 で接続できます",
            "orca-gateway attach",
        ],
        english: &[
            "http://SERVER:8001, without a certificate",
            "orca-gateway attach",
        ],
        make: |site, name| {
            let conf = site
                .conf_of(name)?
                .set("GATEWAY_UPSTREAM", "http://127.0.0.1:8001");
            let mut station = Station::on_server(conf, Server::Nothing);
            station.network = alone_with(8001);
            Ok(station)
        },
    },
    Fault {
        name: "key-readable-by-others",
        symptom: "",
        finding: "key-readable-by-others",
        japanese: &["他の利用者も読み取れます", "chmod 400"],
        english: &["can be read by others", "chmod 400"],
        make: |site, name| {
            let conf = site.conf_of(name)?;
            let key = site.path(name).join("open.pem");
            std::fs::copy(site.server.pem(), &key)?;
            std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644))?;
            let conf = conf.set("SERVER_PEM", key.display());
            Ok(Station::on_server(conf, Server::Nothing))
        },
    },
    Fault {
        name: "own-certificate-expired",
        symptom: "",
        finding: "server-certificate-expired",
        japanese: &["に切れています", "全端末で警告"],
        english: &["expired on", "every browser shows a warning"],
        make: |site, name| {
            let line = "issue_server_cert -c over.local -i 127.0.0.1 --days 5";
            let kit = site.ca.issue_at("-20d", line)?;
            Ok(Station::on_server(
                served(site, name, &kit)?,
                Server::Nothing,
            ))
        },
    },
    Fault {
        name: "own-certificate-expiring",
        symptom: "",
        finding: "server-certificate-expiring",
        japanese: &["残り"],
        english: &["days"],
        make: |site, name| {
            let line = "issue_server_cert -c soon.local -i 127.0.0.1 --days 9";
            with_server(site, name, line)
        },
    },
    Fault {
        name: "server-clock-behind",
        symptom: "",
        finding: "server-certificate-not-yet-valid",
        japanese: &["まだ始まっていません", "日付と時刻"],
        english: &["not valid yet", "check the clock of this server"],
        make: |site, name| {
            let conf = site.conf_of(name)?;
            let mut station = Station::on_server(conf, Server::Nothing);
            station.clock = Some("-20d");
            Ok(station)
        },
    },
    Fault {
        name: "own-ca-over",
        symptom: "",
        finding: "ca-certificate-expired",
        japanese: &["CA証明書", "すべて拒否されます", "新しい認証局"],
        english: &["the CA certificate", "are refused", "make a new CA"],
        make: |site, name| {
            let conf = site.conf_of(name)?;
            let mut station = Station::on_server(conf, Server::Nothing);
            // The authority is good for twenty years.
            station.clock = Some("+7400d");
            Ok(station)
        },
    },
    Fault {
        name: "own-certificate-of-another-ca",
        symptom: "",
        finding: "server-certificate-of-another-ca",
        japanese: &["CA_CRT の認証局ではなく", "発行し直してください"],
        english: &["not by CA_CRT", "issue the server certificate again"],
        make: |site, name| {
            let kit = other_clinic(site, name)?.issue("issue_server_cert -i 127.0.0.1")?;
            Ok(Station::on_server(
                served(site, name, &kit)?,
                Server::Nothing,
            ))
        },
    },
    Fault {
        name: "own-list-unusable",
        symptom: "",
        finding: "crl-unusable",
        japanese: &["ca.crt", "orca-catool issue_crl"],
        english: &["ca.crt", "orca-catool issue_crl"],
        make: |site, name| with(site, name, "CA_CRL", site.server.ca().display()),
    },
    Fault {
        name: "crl-off",
        symptom: "",
        finding: "crl-cannot-be-off",
        japanese: &["無効にできません", "CA_CRLの行を消して"],
        english: &["revocation is always checked", "remove the line of CA_CRL"],
        make: |site, name| with(site, name, "CA_CRL", "none"),
    },
    Fault {
        name: "keys-incomplete",
        symptom: "",
        finding: "keys-incomplete",
        japanese: &["SERVER_PEMがありません", "すべて設定する"],
        english: &[
            "SERVER_PEM is not set",
            "set SERVER_CRT, SERVER_PEM and CA_CRT",
        ],
        make: |site, name| with(site, name, "SERVER_PEM", ""),
    },
    Fault {
        name: "keys-empty",
        symptom: "",
        finding: "keys-empty",
        japanese: &["すべて空です", "3つのファイルのパス"],
        english: &["there without values", "the paths of the three files"],
        make: |site, name| {
            Ok(Station::on_server(
                without_keys(site, name)?,
                Server::Nothing,
            ))
        },
    },
    Fault {
        name: "conf-syntax",
        symptom: "",
        finding: "not-a-plain-assignment",
        japanese: &["単純な「キー=値」ではありません", "引用符"],
        english: &["no plain KEY=VALUE", "quote a value"],
        make: |site, name| {
            let conf = site.conf_of(name)?.line("SERVER_CRT=$(cat /etc/passwd)");
            Ok(Station::on_server(conf, Server::Nothing))
        },
    },
    Fault {
        name: "conf-value",
        symptom: "",
        finding: "bad-value",
        japanese: &[
            "GATEWAY_CLIENT_AUTHの値「sometimes」",
            "次のように書いてください",
        ],
        english: &["GATEWAY_CLIENT_AUTH cannot be", "write it like this"],
        make: |site, name| with(site, name, "GATEWAY_CLIENT_AUTH", "sometimes"),
    },
    Fault {
        name: "conf-misspelled",
        symptom: "",
        finding: "unknown-key",
        japanese: &["GATEWAY_CLIENT_AUHT というキーはありません", "綴り"],
        english: &["no key GATEWAY_CLIENT_AUHT", "how the key is spelled"],
        make: |site, name| with(site, name, "GATEWAY_CLIENT_AUHT", "strict"),
    },
    Fault {
        name: "conf-odd-line",
        symptom: "",
        finding: "line-left-alone",
        japanese: &["「キー=値」の形ではない", "直してください"],
        english: &["no plain assignment", "write it as KEY=VALUE"],
        make: |site, name| {
            let conf = site.conf_of(name)?.line("umask 022");
            Ok(Station::on_server(conf, Server::Nothing))
        },
    },
    Fault {
        name: "keys-shared",
        symptom: "",
        finding: "keys-shared",
        japanese: &[
            "WebORCA自身がHTTPSに切り替わります",
            "orca-gateway.confに移し",
        ],
        english: &["it switches to HTTPS itself", "orca-gateway.conf"],
        make: |site, name| {
            // The configurations of the lab are called jma-receipt.conf.
            Ok(Station::on_server(site.conf_of(name)?, Server::Nothing))
        },
    },
    Fault {
        name: "upstream-is-self",
        symptom: "",
        finding: "upstream-is-self",
        japanese: &["自身のアドレスです", "HTTP_PORT"],
        english: &["address of the gateway itself", "HTTP_PORT"],
        make: |site, name| {
            let nobody = Vacancy::new()?;
            let conf = site.conf_of(name)?.set("GATEWAY_LISTEN", nobody.address);
            let upstream = format!("http://{}", nobody.address);
            let conf = conf.set("GATEWAY_UPSTREAM", upstream);
            Ok(Station::on_server(conf, Server::Nobody(nobody)))
        },
    },
    Fault {
        name: "upstream-down",
        symptom: "",
        finding: "upstream-down",
        japanese: &["応答していません", "証明書の問題ではありません"],
        english: &["does not answer", "certificates are not the problem"],
        // Port 1 (tcpmux) is nobody's.
        make: |site, name| with(site, name, "GATEWAY_UPSTREAM", "http://127.0.0.1:1"),
    },
    Fault {
        name: "upstream-certificate",
        symptom: "",
        finding: "upstream-certificate",
        japanese: &["証明書を確認できない", "GATEWAY_UPSTREAM_CA"],
        english: &["cannot be verified", "GATEWAY_UPSTREAM_CA"],
        make: |site, name| {
            let kit = other_clinic(site, name)?.issue("issue_server_cert -i 127.0.0.1")?;
            let gateway = served(site, &format!("{name}-before"), &kit)?.start()?;
            let upstream = format!("https://{}", gateway.address);
            let conf = site.conf_of(name)?.set("GATEWAY_UPSTREAM", upstream);
            Ok(Station::on_server(conf, Server::Gateway(Box::new(gateway))))
        },
    },
    Fault {
        name: "log-not-writable",
        symptom: "",
        finding: "place-not-writable",
        japanese: &["GATEWAY_LOG", "書き込めません", "フォルダを作成し"],
        english: &["GATEWAY_LOG", "cannot be written", "make the folder"],
        make: |site, name| with(site, name, "GATEWAY_LOG", "/dev/null/gateway.log"),
    },
    Fault {
        name: "state-not-writable",
        symptom: "",
        finding: "state-unusable",
        japanese: &["GATEWAY_STATE", "書き込めません", "フォルダを作成し"],
        english: &["GATEWAY_STATE", "cannot be written", "make the folder"],
        make: |site, name| with(site, name, "GATEWAY_STATE", "/dev/null/state"),
    },
    Fault {
        name: "listen-elsewhere",
        symptom: "",
        finding: "address-not-here",
        japanese: &["このサーバのアドレスではありません", "GATEWAY_LISTEN を"],
        english: &["is no address of this server", "set GATEWAY_LISTEN to"],
        make: |site, name| with(site, name, "GATEWAY_LISTEN", "192.0.2.7:8000"),
    },
    Fault {
        name: "status-port-in-use",
        symptom: "",
        finding: "status-port-in-use",
        japanese: &["GATEWAY_STATUS", "すでに起動していないか"],
        english: &["GATEWAY_STATUS", "no other orca-gateway runs"],
        make: |site, name| {
            let conf = site.conf_of(name)?.set("GATEWAY_STATUS", answers(HTTP)?);
            Ok(Station::on_server(conf, Server::Thread))
        },
    },
];

pub(super) fn with(
    site: &Site,
    name: &str,
    key: &str,
    value: impl Display,
) -> anyhow::Result<Station> {
    let conf = site.conf_of(name)?.set(key, value);
    Ok(Station::on_server(conf, Server::Nothing))
}

fn with_file(site: &Site, name: &str, key: &str, text: &str) -> anyhow::Result<Station> {
    let conf = site.conf_of(name)?;
    let file = site.path(name).join("placed.pem");
    std::fs::write(&file, text)?;
    Ok(Station::on_server(
        conf.set(key, file.display()),
        Server::Nothing,
    ))
}

/// A network of its own, where one program listens at every address of this port.
fn alone_with(port: u16) -> Vec<String> {
    let listens = format!(
        "import os, socket, sys\n\
         listener = socket.socket()\n\
         listener.bind((\"0.0.0.0\", {port}))\n\
         listener.listen()\n\
         listener.set_inheritable(True)\n\
         os.execvp(sys.argv[1], sys.argv[1:])"
    );
    let words = ["unshare", "--user", "--map-root-user", "--net", "--"];
    let words = words.iter().chain(&["python3", "-c"]);
    let words = words.map(|&word| word.to_owned());
    words.chain([listens]).collect()
}

pub(super) fn served(site: &Site, name: &str, kit: &Kit) -> anyhow::Result<crate::gateway::Conf> {
    let conf = site.conf_of(name)?.set("SERVER_CRT", kit.crt().display());
    Ok(conf.set("SERVER_PEM", kit.pem().display()))
}

fn with_server(site: &Site, name: &str, line: &str) -> anyhow::Result<Station> {
    let conf = served(site, name, &site.ca.issue(line)?)?;
    Ok(Station::on_server(conf, Server::Nothing))
}
