//! Whether this machine still has the addresses of its certificate.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use orca_diagnosis::checks::issue_command;
use orca_messages::{Finding, text};
use orca_pki::certificate::Certificate;
use orca_pki::name::HostName;

/// Nothing where the machine does not tell, or the certificate has no address.
pub(super) fn finding(server: &Certificate) -> Option<Finding> {
    judge(&server.host_names(), &own()?)
}

/// Addresses of this machine that others may use.
pub(super) fn own() -> Option<Vec<IpAddr>> {
    let addresses = getifaddrs().ok()?.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    Some(addresses.filter(|address| is_public(*address)).collect())
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    }
}

fn judge(hosts: &[HostName], own: &[IpAddr]) -> Option<Finding> {
    let certified: Vec<IpAddr> = hosts
        .iter()
        .filter_map(|host| match host {
            HostName::Ip(address) => Some(*address).filter(|address| is_public(*address)),
            HostName::Dns(_) => None,
        })
        .collect();
    if certified.is_empty() {
        return None;
    }
    let list = |addresses: &[IpAddr], separator: &str| {
        let words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        words.join(separator)
    };
    if certified.iter().any(|address| own.contains(address)) {
        let (ja, en) = (list(&certified, "、"), list(&certified, ", "));
        return Some(Finding::ok(
            "addresses-certified",
            text!(
                "サーバ証明書のIPアドレス({ja})は、この機械のものです。",
                "the addresses of the server certificate ({en}) are this machine's"
            ),
        ));
    }
    let (had_ja, had_en) = (list(&certified, "、"), list(&certified, ", "));
    let (has_ja, has_en) = match own.is_empty() {
        true => ("なし".to_owned(), "none".to_owned()),
        false => (list(own, "、"), list(own, ", ")),
    };
    let command = match own.first() {
        Some(address) => issue_command(&HostName::Ip(*address), hosts),
        None => "orca-catool issue_server_cert -i IP".to_owned(),
    };
    Some(Finding::warning(
        "address-changed",
        text!(
            "サーバ証明書のIPアドレス({had_ja})は、この機械にありません(現在: {has_ja})。証明書の発行後にアドレスが変更された可能性があります。",
            "this machine has none of the addresses of the server certificate ({had_en}); it has: {has_en}. Its address may have changed since the certificate was made"
        ),
        text!(
            "アドレスを元に戻すか、{command} を実行し、server_kit で設置してください。",
            "put the address back, or run {command} and install it with server_kit"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_gone_is_told_with_the_command_for_the_present_one() {
        let hosts = ["weborca-server", "127.0.0.1", "192.168.1.100"];
        let hosts: Vec<HostName> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let judged = |own: &[&str]| {
            let own: Vec<IpAddr> = own.iter().map(|ip| ip.parse().unwrap()).collect();
            judge(&hosts, &own).unwrap()
        };
        let same = judged(&["10.0.0.1", "192.168.1.100"]);
        assert_eq!(same.id, "addresses-certified");
        let moved = judged(&["192.168.11.100"]);
        assert_eq!(moved.id, "address-changed");
        assert!(moved.message.ja.contains("現在: 192.168.11.100"));
        let remedy = moved.remedy.unwrap().en;
        let command = "issue_server_cert -c weborca-server -i 127.0.0.1 -i 192.168.11.100";
        assert!(remedy.contains(command), "{remedy}");
        assert_eq!(judge(&hosts[..2], &[]), None);
    }

    #[test]
    fn the_machine_tells_its_addresses() {
        let own = own().unwrap();
        assert!(own.iter().all(|address| is_public(*address)));
    }
}
