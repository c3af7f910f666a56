//! Who is served without a certificate for the time being (`GATEWAY_EXEMPT`): machines that can show
//! none, such as card readers, by their address, and only below a path.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use orca_messages::{Finding, text};
use orca_pki::profile::Network;

/// Pairs of a network and a path.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Exemptions(Vec<Exemption>);

/// One network, and what it may ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Exemption {
    network: Network,
    prefix: String,
}

/// Why a text is no list of exemptions.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadExemption {
    #[error("no NETWORK PATH")]
    Form,
    #[error("bits behind the prefix are set; the network is {0}")]
    HostBits(Network),
}

impl Exemptions {
    /// Whether some path of the application is free for an address (IPv4-mapped ones as IPv4).
    pub(crate) fn know(&self, address: IpAddr) -> bool {
        self.0
            .iter()
            .any(|exemption| exemption.network.contains(address))
    }

    /// Whether `path` is free for an address. A path that an application might take for another one
    /// is not.
    pub(crate) fn cover(&self, address: IpAddr, path: &str) -> bool {
        !self.0.is_empty()
            && is_plain(path)
            && self
                .0
                .iter()
                .any(|one| one.network.contains(address) && lies_below(path, &one.prefix))
    }

    /// One by one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Exemption> {
        self.0.iter()
    }
}

impl Exemption {
    /// For the log and `check`: somebody must not forget it.
    pub(crate) fn finding(&self) -> Finding {
        let Self { network, prefix } = self;
        Finding::warning(
            "exempt",
            text!(
                "{network} からの {prefix} 以下への接続は、証明書なしで受け付けます(GATEWAY_EXEMPT)。暗号化されない場合があり、送信元のアドレスだけで判断します。",
                "{network} may use {prefix} without a certificate (GATEWAY_EXEMPT), unencrypted too; nothing but its address speaks for it"
            ),
            text!(
                "証明書を使える機器に入れ替えたら、この行を消してください。",
                "remove it when the machine can show a certificate"
            ),
        )
    }
}

impl fmt::Display for Exemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.network, self.prefix)
    }
}

/// A path that has one reading only: no percent-encoding, no parameters or backslashes, no empty
/// segments and no dots that lead elsewhere (RFC 3986 §5.2.4, §3.3).
fn is_plain(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    let clear = |octet: u8| octet.is_ascii_alphanumeric() || b"/-._~!$'()*+,:@=&".contains(&octet);
    let segments = rest.strip_suffix('/').unwrap_or(rest);
    let sound = |segment: &str| !segment.is_empty() && segment.bytes().any(|octet| octet != b'.');
    rest.bytes().all(clear) && (rest.is_empty() || segments.split('/').all(sound))
}

/// Whole segments count, and the case of letters.
fn lies_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix.trim_end_matches('/'))
        .is_some_and(|rest| rest.starts_with('/') || (rest.is_empty() && !prefix.ends_with('/')))
}

impl FromStr for Exemptions {
    type Err = BadExemption;

    /// `192.168.1.50/32 /api/; 2001:db8::/64 /reserve`, the pairs between semicolons or commas.
    fn from_str(text: &str) -> Result<Self, BadExemption> {
        text.split([';', ','])
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl FromStr for Exemption {
    type Err = BadExemption;

    fn from_str(text: &str) -> Result<Self, BadExemption> {
        let mut words = text.split_ascii_whitespace();
        let (Some(network), Some(prefix), None) = (words.next(), words.next(), words.next()) else {
            return Err(BadExemption::Form);
        };
        let network = network_of(network)?;
        // Between these characters pairs are split.
        if !is_plain(prefix) {
            return Err(BadExemption::Form);
        }
        Ok(Self {
            network,
            prefix: prefix.to_owned(),
        })
    }
}

/// A bare address is a network of one. Clients never have IPv4-mapped addresses here, so that such a
/// network would free nobody.
fn network_of(word: &str) -> Result<Network, BadExemption> {
    let network: Network = match word.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => format!("{word}/32").parse(),
        Ok(IpAddr::V6(_)) => format!("{word}/128").parse(),
        Err(_) => word.parse(),
    }
    .map_err(|_| BadExemption::Form)?;
    if network.address().to_canonical() != network.address() {
        return Err(BadExemption::Form);
    }
    let canonical = network.canonical();
    if canonical == network {
        Ok(network)
    } else {
        Err(BadExemption::HostBits(canonical))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(list: &str, address: &str, path: &str) -> bool {
        let list: Exemptions = list.parse().unwrap();
        list.cover(address.parse().unwrap(), path)
    }

    #[test]
    fn only_that_network_below_that_path_is_free() {
        let list = "192.168.1.50/32 /api/; 10.0.0.0/8 /reserve, 2001:db8::/64 /api/api01rv2/;";
        for (address, path, free) in [
            ("192.168.1.50", "/api/", true),
            ("192.168.1.50", "/api/api01rv2/patientgetv2", true),
            ("192.168.1.50", "/api", false),
            ("192.168.1.50", "/", false),
            ("192.168.1.50", "/apix/", false),
            ("192.168.1.51", "/api/", false),
            ("10.255.0.1", "/reserve", true),
            ("10.255.0.1", "/reserve/x", true),
            ("10.255.0.1", "/reserves", false),
            ("10.255.0.1", "/api/", false),
            ("11.0.0.1", "/reserve", false),
            ("2001:db8::9", "/api/api01rv2/x", true),
            ("2001:db8::9", "/api/x", false),
            ("2001:db8:0:1::9", "/api/api01rv2/x", false),
            ("192.168.1.50", "*", false),
            ("192.168.1.50", "", false),
        ] {
            assert_eq!(covers(list, address, path), free, "{address} {path}");
        }
        assert!(covers("0.0.0.0/0 /", "1.2.3.4", "/"));
        assert!(covers("1.2.3.4 /", "1.2.3.4", "/x"));
        assert!(!covers("", "1.2.3.4", "/"));
        let list: Exemptions = list.parse().unwrap();
        for (address, known) in [
            ("192.168.1.50", true),
            ("10.1.1.1", true),
            ("9.9.9.9", false),
        ] {
            assert_eq!(list.know(address.parse().unwrap()), known, "{address}");
        }
    }

    #[test]
    fn tricks_do_not_lead_out_of_the_path() {
        for path in [
            "/api/../main",
            "/api/..",
            "/api/.",
            "/api/./x",
            "/api/.../x",
            "/api/%2e%2e/main",
            "/api/%2E%2E%2fmain",
            "/api/..%2fmain",
            "/api%2f..%2fmain",
            "/%61pi/x",
            "/api/x%00",
            "//api/x",
            "/api//x",
            "/api/x//",
            "/api;x/y",
            "/api/;x",
            "/api/..;/main",
            "/API/x",
            "/Api/x",
            "/api\\..\\main",
            "/api/..\\main",
            "/api/\u{ff0e}\u{ff0e}/main",
            "/api/日",
            "/./api/x",
            "/../api/x",
            "api/x",
            "http://evil/api/x",
        ] {
            assert!(!covers("0.0.0.0/0 /api/", "1.2.3.4", path), "{path}");
        }
    }

    #[test]
    fn what_is_no_exemption_is_refused() {
        let bad = |text: &str| text.parse::<Exemptions>().unwrap_err();
        for text in [
            "192.168.1.50/32",
            "/api/",
            "192.168.1.50/33 /api/",
            "192.168.1/24 /api/",
            "host /api/",
            "192.168.1.50/32 api/",
            "192.168.1.50/32 /api/ /x/",
            "192.168.1.50/32 /api/../x/",
            "192.168.1.50/32 /%61pi/",
            "192.168.1.50/32 //api/",
            "::ffff:192.168.1.50/128 /api/",
            "192.168.1.50/ /api/",
        ] {
            assert_eq!(bad(text), BadExemption::Form, "{text}");
        }
        for (text, spelling) in [
            ("192.168.1.50/24 /api/", "192.168.1.0/24"),
            ("192.168.1.50/0 /api/", "0.0.0.0/0"),
            ("2001:db8::1/64 /api/", "2001:db8::/64"),
        ] {
            assert_eq!(
                bad(text),
                BadExemption::HostBits(spelling.parse().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn an_exemption_is_shown_as_it_is_written() {
        let list: Exemptions = "192.168.1.50/32   /api/".parse().unwrap();
        let shown: Vec<String> = list.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.168.1.50/32 /api/"]);
    }
}
