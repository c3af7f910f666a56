//! The server's certificate, its clock, its revocation list and the application behind it.

use std::time::SystemTime;

use super::Fault;
use super::Server;
use super::Station;
use super::answers;
use super::other_clinic;
use super::own_list;
use super::without_list;
use crate::gateway::Conf;
use crate::kit::Kit;
use crate::lists::ListForge;
use crate::site::Site;
use crate::stand_in::Manner;
use crate::tls::Identity;

pub(super) const FAULTS: &[Fault] = &[
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
        name: "wrong-usage-server",
        symptom: "NET::ERR_CERT_INVALID, SEC_ERROR_INADEQUATE_CERT_TYPE",
        finding: "server-certificate-wrong-usage",
        japanese: &["サーバ用の証明書ではありません", "issue_server_cert"],
        english: &["not made for servers", "issue_server_cert"],
        make: |site, _| {
            let kit = site.ca.issue("issue_client_cert -c user-server --again")?;
            let identity = Identity::of(&kit)?;
            let server = Server::stand_in(&identity, Manner::status("200 OK"))?;
            Ok(Station::of(server))
        },
    },
    Fault {
        name: "client-in-the-past",
        symptom: "NET::ERR_CERT_DATE_INVALID(端末の時計が1年前)",
        finding: "ca-not-valid",
        japanese: &["有効期間外です", "この端末の時計を確認"],
        english: &["is good from", "check the clock of this machine"],
        make: |site, name| {
            let mut station = Station::of(Server::gateway(site.conf_of(name)?)?);
            // The authority is a month old.
            station.clock = Some("-365d");
            Ok(station)
        },
    },
    Fault {
        name: "crl-of-another-ca",
        symptom: "破棄した証明書で接続できる(サーバのca.crtが別の認証局のもの)",
        finding: "crl-of-another-ca",
        japanese: &["破棄リストは、認証局「orca CA ", "server_kit"],
        english: &["revocation lists are none of orca CA ", "server_kit"],
        make: |site, name| Ok(Station::of(Server::gateway(trusting_another(site, name)?)?)),
    },
    Fault {
        name: "revoked-but-served",
        symptom: "破棄した証明書で接続できる",
        finding: "revoked-but-served",
        japanese: &[
            "に破棄されていますが、サーバは受け付けました",
            "orca-catool publish_crl",
        ],
        english: &[
            "was revoked on",
            "but the server takes it",
            "orca-catool publish_crl",
        ],
        make: |site, name| {
            let before = std::fs::read(site.ca.crl())?;
            revoked_but_served(site, own_list(site, name, &before)?)
        },
    },
    Fault {
        name: "revoked-without-list",
        symptom: "破棄した証明書で接続できる(サーバにCRLがない)",
        finding: "revoked-but-served",
        japanese: &["サーバに破棄リストがありません", ":crl_publish:"],
        english: &["the server has no revocation list", ":crl_publish:"],
        make: |site, name| revoked_but_served(site, without_list(site, name)?),
    },
    Fault {
        name: "served-without-certificate",
        symptom: "証明書を選択しなくても接続できる(移行期間の設定)",
        finding: "served-without-certificate",
        japanese: &[
            "クライアント証明書なしで日レセに接続できました",
            "GATEWAY_CLIENT_AUTH=explain",
        ],
        english: &[
            "answered without a client certificate",
            "GATEWAY_CLIENT_AUTH=explain",
        ],
        make: |site, name| {
            let conf = site.conf_of(name)?.set("GATEWAY_CLIENT_AUTH", "observe");
            Ok(Station::of(Server::gateway(conf)?))
        },
    },
    Fault {
        name: "application-error",
        symptom: "HTTP ERROR 500",
        finding: "application-error",
        japanese: &["日レセがエラーを返しました(HTTP 500)", "日レセのログ"],
        english: &["answers with an error (HTTP 500)", "log of the application"],
        make: |site, name| {
            let kit = site.ca.issue("issue_client_cert -c user-error --again")?;
            let application =
                answers(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")?;
            let upstream = format!("http://{application}");
            let conf = site.conf_of(name)?.set("GATEWAY_UPSTREAM", upstream);
            Ok(Station::of(Server::gateway(conf)?).for_client(&kit))
        },
    },
];
/// A gateway with this server certificate.
fn served_with(site: &Site, name: &str, kit: &Kit) -> anyhow::Result<Station> {
    let conf = site
        .conf_of(name)?
        .set("SERVER_CRT", kit.crt().display())
        .set("SERVER_PEM", kit.pem().display());
    Ok(Station::of(Server::gateway(conf)?))
}

/// A server that was left with the files of another authority, all but its own certificate.
pub(super) fn trusting_another(site: &Site, name: &str) -> anyhow::Result<Conf> {
    let other = other_clinic(site, name)?;
    let kit = other.issue("issue_client_cert -c user1 --again")?;
    let conf = site.conf_of(name)?.set("CA_CRT", kit.ca().display());
    Ok(conf.set("CA_CRL", other.crl().display()))
}

/// A client whose revocation has not reached the server.
fn revoked_but_served(site: &Site, conf: Conf) -> anyhow::Result<Station> {
    let kit = site.ca.issue("issue_client_cert -c user-served --again")?;
    site.ca.done(&format!("revoke_cert {}", kit.number()))?;
    Ok(Station::of(Server::gateway(conf)?).for_client(&kit))
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
