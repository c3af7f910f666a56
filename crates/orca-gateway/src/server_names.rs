//! Names of the server certificate: which address fits, and where https is to be found.

use std::net::IpAddr;
use std::time::Instant;

use http::uri::Authority;
use orca_messages::{Finding, render, text};
use orca_pki::name::HostName;

use crate::log::EventLog;
use crate::news::News;

/// Links on one page at most.
const MOST_LINKS: usize = 5;

/// The https addresses to offer: the one that was asked for where the certificate has it, else all
/// the certificate has. Nothing that a client wrote comes back unless the certificate has it too.
pub(crate) fn to_https(asked: Option<&str>, names: &[HostName], port: u16) -> Vec<String> {
    let asked = asked.and_then(|text| text.parse::<Authority>().ok());
    let port = asked.as_ref().and_then(Authority::port_u16).unwrap_or(port);
    let host = asked
        .as_ref()
        .map(|authority| authority.host().trim_matches(['[', ']']))
        .and_then(|host| host.parse::<HostName>().ok());
    let link = |name: &HostName| match name {
        HostName::Ip(IpAddr::V6(address)) => format!("https://[{address}]:{port}/"),
        other => format!("https://{other}:{port}/"),
    };
    match host {
        Some(host) if covers(names, &host) => vec![link(&host)],
        _ => names
            .iter()
            .filter(|name| is_plain(name))
            .take(MOST_LINKS)
            .map(link)
            .collect(),
    }
}

/// Whether a certificate with these names is good for a host (RFC 9525 §6.3).
fn covers(names: &[HostName], host: &HostName) -> bool {
    names.iter().any(|name| match (name, host) {
        (HostName::Ip(name), HostName::Ip(host)) => name.to_canonical() == host.to_canonical(),
        (HostName::Dns(name), HostName::Dns(host)) => {
            let any_label = name
                .strip_prefix("*.")
                .zip(host.split_once('.'))
                .is_some_and(|(parent, (_, rest))| parent.eq_ignore_ascii_case(rest));
            name.eq_ignore_ascii_case(host) || any_label
        }
        _ => false,
    })
}

/// No wildcard, and nothing a certificate should not have had.
fn is_plain(name: &HostName) -> bool {
    match name {
        HostName::Dns(text) => HostName::dns(text).is_ok(),
        HostName::Ip(_) => true,
    }
}

/// Tells of names that clients ask for and the certificate lacks, each once an hour.
#[derive(Debug, Default)]
pub(crate) struct NameLog(News);

impl NameLog {
    /// Looks at the name a client asked for, or at the address it reached where it named none.
    pub(crate) fn look(
        &self,
        asked: Option<&str>,
        local: IpAddr,
        names: &[HostName],
        log: &EventLog,
    ) {
        let local = HostName::Ip(local.to_canonical());
        let host = match asked {
            Some(name) => HostName::Dns(name.to_ascii_lowercase()),
            None => local,
        };
        if !covers(names, &host) && self.0.is_news(&host.to_string(), Instant::now()) {
            log.finding(&not_in_certificate(&host, names));
        }
    }
}

fn not_in_certificate(host: &HostName, names: &[HostName]) -> Finding {
    let host = render::one_line(&host.to_string());
    let listed = names
        .iter()
        .map(|name| render::one_line(&name.to_string()))
        .collect::<Vec<_>>();
    let (ja, en) = (listed.join("、"), listed.join(", "));
    Finding::warning(
        "name-not-in-certificate",
        text!(
            "接続先 {host} がサーバ証明書にありません(記載: {ja})。ブラウザに警告が表示されます。",
            "clients connect to {host}, which the server certificate lacks (it has: {en}); browsers warn",
        ),
        text!(
            "証明書に記載された名前で接続するか、orca-catool issue_server_cert の -c または -i に {host} を加えて発行し直してください。",
            "connect by a name of the certificate, or issue a new one with {host} among -c or -i of orca-catool issue_server_cert",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<HostName> {
        ["weborca-server", "192.168.1.100", "fd00::1"]
            .map(|name| name.parse().unwrap())
            .to_vec()
    }

    #[test]
    fn only_names_of_the_certificate_become_links() {
        for (asked, links) in [
            (
                Some("192.168.1.100:8000"),
                vec!["https://192.168.1.100:8000/"],
            ),
            (Some("WebORCA-Server"), vec!["https://weborca-server:8443/"]),
            (Some("[fd00::1]:8000"), vec!["https://[fd00::1]:8000/"]),
            (
                Some("evil.example:1"),
                vec![
                    "https://weborca-server:1/",
                    "https://192.168.1.100:1/",
                    "https://[fd00::1]:1/",
                ],
            ),
            (
                None,
                vec![
                    "https://weborca-server:8443/",
                    "https://192.168.1.100:8443/",
                    "https://[fd00::1]:8443/",
                ],
            ),
            (
                Some("user@weborca-server\"><script>"),
                vec![
                    "https://weborca-server:8443/",
                    "https://192.168.1.100:8443/",
                    "https://[fd00::1]:8443/",
                ],
            ),
        ] {
            assert_eq!(to_https(asked, &names(), 8443), links, "{asked:?}");
        }
    }

    #[test]
    fn wildcards_cover_one_label_and_are_no_link() {
        let names = [HostName::Dns("*.clinic.local".into())];
        assert!(covers(&names, &"a.clinic.local".parse().unwrap()));
        assert!(!covers(&names, &"a.b.clinic.local".parse().unwrap()));
        assert!(!covers(&names, &"clinic.local".parse().unwrap()));
        assert!(to_https(None, &names, 8000).is_empty());
    }
}
