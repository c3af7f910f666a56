//! The server's certificate.

use jiff::Timestamp;
use orca_messages::{Finding, text};
use orca_pki::certificate::{Certificate, SERVER_AUTH};
use orca_pki::name::HostName;
use orca_pki::validity::ValidityState;

use super::{Beliefs, Names, ago, day, is_issued_by, is_valid, name, names};
use crate::facts::Seen;
use crate::target::Target;

pub(super) fn findings(
    target: &Target,
    seen: &Seen,
    beliefs: &Beliefs,
    now: Timestamp,
) -> Vec<Finding> {
    let Some(server) = seen.chain.first() else {
        return vec![unreadable()];
    };
    let hosts = server.host_names();
    let mut findings = Vec::new();
    if beliefs.names == Names::OfTarget && !hosts.iter().any(|host| covers(host, &target.host)) {
        findings.push(wrong_name(target, &hosts));
    }
    findings.extend(dates(server, beliefs, now));
    if !beliefs.authorities.is_empty() && !is_issued_by(server, &seen.chain, &beliefs.authorities) {
        findings.push(another_ca(server, &beliefs.authorities));
    }
    let purposes = server.extended_key_usage();
    if purposes.is_some_and(|purposes| !purposes.contains(&SERVER_AUTH)) {
        findings.push(wrong_usage(server));
    }
    findings.extend(authorities(beliefs, now));
    if findings.is_empty() {
        findings.push(good(server, beliefs, now));
    }
    findings
}

fn good(server: &Certificate, beliefs: &Beliefs, now: Timestamp) -> Finding {
    let validity = server.validity();
    let (days, (ja, en)) = (
        validity.days_left(now),
        day(validity.not_after, &beliefs.zone),
    );
    let name = name(server);
    match beliefs.authorities.is_empty() {
        false => Finding::ok(
            "server-certificate-good",
            text!(
                "サーバ証明書({name})に問題はありません({ja}まで、残り{days}日)。",
                "the server certificate ({name}) is in order until {en} ({days} days left)"
            ),
        ),
        true => Finding::ok(
            "server-certificate-good",
            text!(
                "サーバ証明書({name})の期限と接続先に問題はありません({ja}まで、残り{days}日)。発行元は確認していません(--ca で認証局の証明書を指定すると確認します)。",
                "dates and names of the server certificate ({name}) are in order until {en} ({days} days left); its issuer was not looked at (--ca FILE names the CA)"
            ),
        ),
    }
}

/// RFC 6125 §6.4: a wildcard stands for the leftmost label alone.
fn covers(host: &HostName, wanted: &HostName) -> bool {
    match (host, wanted) {
        (HostName::Ip(one), HostName::Ip(other)) => one == other,
        (HostName::Dns(one), HostName::Dns(other)) => {
            let same = one.eq_ignore_ascii_case(other);
            let rest = |name: &str| name.split_once('.').map(|(_, rest)| rest.to_lowercase());
            same || (one.starts_with("*.") && rest(one) == rest(other))
        }
        _ => false,
    }
}

fn wrong_name(target: &Target, hosts: &[HostName]) -> Finding {
    let host = &target.host;
    let list: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let (ja, en) = match list.is_empty() {
        true => ("なし".to_owned(), "none".to_owned()),
        false => (list.join("、"), list.join(", ")),
    };
    let command = issue_command(&target.host, hosts);
    match host {
        HostName::Ip(_) => Finding::failure(
            "name-not-in-certificate",
            text!(
                "接続先 {host} がサーバ証明書にありません(記載: {ja})。サーバのアドレスが変更された可能性があります。",
                "{host} is not in the server certificate, which has: {en}; the address of the server may have changed"
            ),
            text!(
                "{command} を実行し、server_kit で設置してください。",
                "run {command} and install it with server_kit"
            ),
        ),
        HostName::Dns(_) => Finding::failure(
            "name-not-in-certificate",
            text!(
                "接続先 {host} がサーバ証明書にありません(記載: {ja})。この名前で発行し直すか、記載された名前で接続してください。",
                "{host} is not in the server certificate, which has: {en}; connect by one of those, or issue it again"
            ),
            text!(
                "{command} を実行し、server_kit で設置してください。",
                "run {command} and install it with server_kit"
            ),
        ),
    }
}

/// What makes a certificate with the names there are and this one; an address takes the place of
/// the addresses before it.
pub fn issue_command(wanted: &HostName, hosts: &[HostName]) -> String {
    let mut words = String::from("orca-catool issue_server_cert");
    let replaces = matches!(wanted, HostName::Ip(_));
    let kept = hosts.iter().filter(|host| {
        let is_loopback = matches!(host, HostName::Ip(address) if address.is_loopback());
        !replaces || is_loopback || matches!(host, HostName::Dns(_))
    });
    let mut all: Vec<&HostName> = kept.chain([wanted]).collect();
    all.sort_by_key(|host| matches!(host, HostName::Ip(_)));
    for host in all {
        let option = match host {
            HostName::Dns(_) => "-c",
            HostName::Ip(_) => "-i",
        };
        words.push_str(&format!(" {option} {host}"));
    }
    words
}

fn dates(server: &Certificate, beliefs: &Beliefs, now: Timestamp) -> Option<Finding> {
    let validity = server.validity();
    match validity.state(now) {
        ValidityState::Valid => None,
        ValidityState::Expired => {
            let (day_ja, day_en) = day(validity.not_after, &beliefs.zone);
            let (ago_ja, ago_en) = ago(validity.not_after, now);
            let command = again(server);
            Some(Finding::failure(
                "server-certificate-expired",
                text!(
                    "サーバ証明書の有効期限が{ago_ja}({day_ja})に切れています。全端末で警告が表示されます。",
                    "the server certificate expired {ago_en} ({day_en}); every client warns"
                ),
                text!(
                    "{command} で再発行し、server_kit で設置してください。日レセの再起動は不要です。",
                    "issue it again with {command} and install it with server_kit; nothing has to be restarted"
                ),
            ))
        }
        ValidityState::NotYetValid => {
            let (ja, en) = day(validity.not_before, &beliefs.zone);
            Some(Finding::failure(
                "server-certificate-not-yet-valid",
                text!(
                    "サーバ証明書の有効期間がまだ始まっていません(開始日 {ja})。この端末の時計が遅れている可能性があります。",
                    "the server certificate is not valid before {en}; the clock of this machine may be slow"
                ),
                text!(
                    "「日付と時刻」でこの端末の時刻を合わせてから再接続してください。",
                    "set the clock of this machine and connect again"
                ),
            ))
        }
    }
}

/// The same certificate once more.
fn again(server: &Certificate) -> String {
    match server.host_names().split_last() {
        Some((last, rest)) => match last {
            // A sole address must not drop the others.
            HostName::Ip(_) if rest.iter().any(|host| matches!(host, HostName::Ip(_))) => {
                let words = rest.iter().chain([last]).map(|host| match host {
                    HostName::Dns(name) => format!(" -c {name}"),
                    HostName::Ip(address) => format!(" -i {address}"),
                });
                format!("orca-catool issue_server_cert{}", words.collect::<String>())
            }
            _ => issue_command(last, rest),
        },
        None => "orca-catool issue_server_cert".to_owned(),
    }
}

fn another_ca(server: &Certificate, authorities: &[Certificate]) -> Finding {
    let issuer = server.issuer();
    let issuer =
        orca_messages::render::one_line(&issuer.common_name().unwrap_or_else(|| issuer.one_line()));
    let (ja, en) = names(authorities);
    Finding::failure(
        "server-certificate-of-another-ca",
        text!(
            "サーバ証明書の発行元「{issuer}」は、当院の認証局「{ja}」ではありません。全端末で警告が表示されます。",
            "the server certificate was issued by {issuer}, not by our CA, {en}; every client warns"
        ),
        text!(
            "接続先が正しいか確認してください。認証局を作り直した場合は、サーバ証明書を発行して server_kit で設置し、全端末に新しいca.crtを登録してください。途中のウイルス対策ソフトが証明書を差し替えていることもあります。",
            "check the address; if the CA was made anew, issue a server certificate, install it with server_kit, and install the new ca.crt on all clients; a virus scanner on the way may have put its own certificate in"
        ),
    )
}

fn wrong_usage(server: &Certificate) -> Finding {
    let name = name(server);
    Finding::failure(
        "server-certificate-wrong-usage",
        text!(
            "サーバに設置された証明書({name})は、サーバ用の証明書ではありません。",
            "the certificate on the server ({name}) is not made for servers"
        ),
        text!(
            "orca-catool issue_server_cert で発行した証明書を server_kit で設置してください。",
            "install one made by orca-catool issue_server_cert with server_kit"
        ),
    )
}

pub(super) fn unreadable() -> Finding {
    Finding::failure(
        "server-certificate-unreadable",
        text!(
            "サーバ証明書を読み取れません。壊れているか、別の機器やプログラムの証明書です。",
            "the server certificate cannot be read: it is damaged, or that of another device or program"
        ),
        text!(
            "アドレスとポート番号を確認してください。正しい場合は、orca-catool issue_server_cert で発行し直し、server_kit で設置してください。",
            "check address and port; if they are right, issue one with orca-catool issue_server_cert and install it with server_kit"
        ),
    )
}

fn authorities(beliefs: &Beliefs, now: Timestamp) -> Vec<Finding> {
    let over = beliefs
        .authorities
        .iter()
        .filter(|authority| !is_valid(authority, now));
    over.map(|authority| {
        let name = name(authority);
        let validity = authority.validity();
        let (first_ja, first_en) = day(validity.not_before, &beliefs.zone);
        let (last_ja, last_en) = day(validity.not_after, &beliefs.zone);
        Finding::failure(
            "ca-not-valid",
            text!(
                "認証局の証明書({name})は有効期間外です({first_ja}から{last_ja}まで)。この認証局の証明書はすべて使用できません。",
                "the certificate of the CA ({name}) is good from {first_en} to {last_en} only; nothing it issued can be used"
            ),
            text!(
                "この端末の時計を確認してください。期限切れの場合は orca-catool init で新しい認証局を作成し、証明書を発行し直してください。",
                "check the clock of this machine; if the CA has ended, make a new one with orca-catool init and issue everything again"
            ),
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str]) -> Vec<HostName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn names_are_compared_as_browsers_do() {
        for (host, wanted, is_covered) in [
            ("weborca-server", "weborca-server", true),
            ("192.168.1.1", "192.168.1.1", true),
            ("192.168.1.1", "192.168.1.2", false),
            ("weborca-server", "192.168.1.1", false),
            ("weborca-server", "other", false),
        ] {
            let (host, wanted) = (host.parse().unwrap(), wanted.parse().unwrap());
            assert_eq!(covers(&host, &wanted), is_covered, "{host} {wanted}");
        }
        let wildcard = HostName::Dns("*.clinic.local".to_owned());
        for (wanted, is_covered) in [
            ("a.clinic.local", true),
            ("a.b.clinic.local", false),
            ("clinic.local", false),
        ] {
            let wanted = wanted.parse().unwrap();
            assert_eq!(covers(&wildcard, &wanted), is_covered, "{wanted}");
        }
    }

    #[test]
    fn the_command_keeps_names_and_replaces_addresses() {
        for (wanted, had, words) in [
            (
                "192.168.11.100",
                &["weborca-server", "192.168.1.100"][..],
                "-c weborca-server -i 192.168.11.100",
            ),
            (
                "server2",
                &["weborca-server", "192.168.1.100"],
                "-c weborca-server -c server2 -i 192.168.1.100",
            ),
            ("192.168.1.2", &["127.0.0.1"], "-i 127.0.0.1 -i 192.168.1.2"),
            ("a", &[], "-c a"),
        ] {
            let command = issue_command(&wanted.parse().unwrap(), &hosts(had));
            assert_eq!(command, format!("orca-catool issue_server_cert {words}"));
        }
    }
}
