//! Whether the names of configuration and certificate have addresses, and the right ones.

use std::net::IpAddr;

use orca_diagnosis::facts;
use orca_messages::{Finding, text};
use orca_pki::certificate::Certificate;
use orca_pki::name::HostName;

use super::addresses;
use crate::config::{Config, CrlSource, HttpsFiles};

/// A name, and where it stands.
struct Name {
    text: String,
    place: Place,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Certificate,
    ListAddress,
    Upstream,
}

/// Nothing where everything is named by addresses.
pub(super) fn findings(
    config: &Config,
    https: Option<(&HttpsFiles, &Certificate)>,
) -> Vec<Finding> {
    let mut names = Vec::from_iter(name(config.upstream.authority.host(), Place::Upstream));
    let mut hosts = Vec::new();
    if let Some((files, server)) = https {
        if let CrlSource::Url(address) = &files.ca_crl {
            names.extend(name(address.authority.host(), Place::ListAddress));
        }
        hosts = server.host_names();
        names.extend(hosts.iter().filter_map(certified));
    }
    let texts: Vec<String> = names.iter().map(|name| name.text.clone()).collect();
    let found = facts::resolve(&texts);
    let own = addresses::own().unwrap_or_default();
    judge(&names, &found, &own, &hosts)
}

/// A host of the configuration, where it is a name.
fn name(host: &str, place: Place) -> Option<Name> {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(_) => None,
        Err(_) => Some(Name {
            text: host.to_owned(),
            place,
        }),
    }
}

/// A wildcard has no address, and `localhost` is always here.
fn certified(host: &HostName) -> Option<Name> {
    match host {
        HostName::Dns(text) if !text.starts_with("*.") && text != "localhost" => Some(Name {
            text: text.clone(),
            place: Place::Certificate,
        }),
        _ => None,
    }
}

fn judge(
    names: &[Name],
    found: &[Vec<IpAddr>],
    own: &[IpAddr],
    hosts: &[HostName],
) -> Vec<Finding> {
    let is_here = |ip: &IpAddr| ip.is_loopback() || own.contains(ip);
    // Clients that use an address need no name.
    let by_address = hosts
        .iter()
        .any(|host| matches!(host, HostName::Ip(ip) if own.contains(ip)));
    let mut findings = Vec::new();
    let mut good: Vec<&str> = Vec::new();
    for (name, found) in names.iter().zip(found) {
        match (name.place, found.as_slice()) {
            (Place::Upstream, []) => findings.push(no_upstream(&name.text)),
            (Place::ListAddress, []) => findings.push(no_list_address(&name.text)),
            (Place::Certificate, []) if by_address => {}
            (Place::Certificate, []) => findings.push(unknown_here(&name.text)),
            (Place::Certificate, found) if !found.iter().any(is_here) => {
                findings.push(elsewhere(&name.text, found, own));
            }
            _ => good.push(&name.text),
        }
    }
    good.dedup();
    if !good.is_empty() {
        findings.insert(0, resolved(&good));
    }
    findings
}

fn resolved(names: &[&str]) -> Finding {
    let (ja, en) = (names.join("、"), names.join(", "));
    Finding::ok(
        "names-resolve",
        text!(
            "設定とサーバ証明書の名前({ja})のIPアドレスが見つかります。",
            "names of configuration and server certificate have addresses: {en}"
        ),
    )
}

fn no_upstream(name: &str) -> Finding {
    Finding::failure(
        "upstream-name-unresolved",
        text!(
            "GATEWAY_UPSTREAM の名前 {name} に対応するIPアドレスが見つかりません。日レセに接続できません。",
            "the name {name} of GATEWAY_UPSTREAM has no address: the application cannot be reached"
        ),
        text!(
            "名前を確認し(getent hosts {name})、/etc/hosts かDNSに登録するか、IPアドレスで指定してください。",
            "check it with getent hosts {name}; add it to /etc/hosts or the DNS, or write the address instead"
        ),
    )
}

fn no_list_address(name: &str) -> Finding {
    Finding::failure(
        "crl-name-unresolved",
        text!(
            "CA_CRL の名前 {name} に対応するIPアドレスが見つかりません。新しい破棄リストを取得できません。",
            "the name {name} of CA_CRL has no address: no new revocation list can be fetched"
        ),
        text!(
            "名前を確認し(getent hosts {name})、/etc/hosts かDNSに登録するか、IPアドレスで指定してください。",
            "check it with getent hosts {name}; add it to /etc/hosts or the DNS, or write the address instead"
        ),
    )
}

fn unknown_here(name: &str) -> Finding {
    Finding::warning(
        "certificate-name-unknown-here",
        text!(
            "サーバ証明書の名前 {name} のIPアドレスが、この機械では見つかりません。端末でも見つからない場合、この名前では接続できません。",
            "the name {name} of the server certificate has no address on this machine; where clients find none either, they cannot connect by it"
        ),
        text!(
            "端末のhostsファイルかDNSに登録されていれば、対処は不要です。されていない場合は、登録するか、IPアドレスで接続してください。",
            "nothing is to be done if the hosts files of the clients or the DNS have it; else add it, or connect by address"
        ),
    )
}

fn elsewhere(name: &str, found: &[IpAddr], own: &[IpAddr]) -> Finding {
    let list = |addresses: &[IpAddr], separator: &str| {
        let mut words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        words.dedup();
        words.join(separator)
    };
    let (found_ja, found_en) = (list(found, "、"), list(found, ", "));
    let (own_ja, own_en) = match own.is_empty() {
        true => ("なし".to_owned(), "none".to_owned()),
        false => (list(own, "、"), list(own, ", ")),
    };
    Finding::warning(
        "certificate-name-elsewhere",
        text!(
            "サーバ証明書の名前 {name} のIPアドレスは {found_ja} ですが、この機械のもの({own_ja})ではありません。この名前で接続した端末は、別の機械に接続します。",
            "the name {name} of the server certificate leads to {found_en}, but this machine has {own_en}: clients that use the name reach another machine"
        ),
        text!(
            "サーバのアドレスが変更された場合は、/etc/hosts、端末のhostsファイル、DNSの {name} を直してください。途中にルータや負荷分散装置がある場合、対処は不要です。",
            "if the address of the server has changed, correct {name} in /etc/hosts, in the hosts files of the clients and in the DNS; nothing is to be done where a router or balancer stands between"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn names_are_judged_by_where_they_lead() {
        let own = ips(&["192.168.1.100"]);
        for (place, found, hosts, id) in [
            (
                Place::Upstream,
                &[][..],
                &[][..],
                Some("upstream-name-unresolved"),
            ),
            (Place::Upstream, &["10.0.0.1"], &[], Some("names-resolve")),
            (Place::ListAddress, &[], &[], Some("crl-name-unresolved")),
            (
                Place::Certificate,
                &[],
                &["s"],
                Some("certificate-name-unknown-here"),
            ),
            (Place::Certificate, &[], &["s", "192.168.1.100"], None),
            (
                Place::Certificate,
                &["127.0.1.1"],
                &["s"],
                Some("names-resolve"),
            ),
            (
                Place::Certificate,
                &["10.0.0.9", "192.168.1.100"],
                &["s"],
                Some("names-resolve"),
            ),
            (
                Place::Certificate,
                &["192.168.1.7"],
                &["s", "192.168.1.100"],
                Some("certificate-name-elsewhere"),
            ),
        ] {
            let text = "s".to_owned();
            let hosts: Vec<HostName> = hosts.iter().map(|host| host.parse().unwrap()).collect();
            let findings = judge(&[Name { text, place }], &[ips(found)], &own, &hosts);
            let ids: Vec<_> = findings.iter().map(|finding| finding.id).collect();
            assert_eq!(ids, Vec::from_iter(id), "{found:?} {hosts:?}");
        }
    }

    #[test]
    fn addresses_and_wildcards_are_no_names() {
        for (host, is_name) in [("127.0.0.1", false), ("[::1]", false), ("weborca", true)] {
            assert_eq!(name(host, Place::Upstream).is_some(), is_name, "{host}");
        }
        for (host, is_name) in [
            ("*.a.local", false),
            ("localhost", false),
            ("a.local", true),
        ] {
            let host = HostName::Dns(host.to_owned());
            assert_eq!(certified(&host).is_some(), is_name, "{host}");
        }
    }
}
