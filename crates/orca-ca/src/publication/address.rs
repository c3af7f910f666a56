//! Where a gateway is: `https://HOST:PORT`.

use std::fmt;
use std::str::FromStr;

use orca_pki::name::HostName;

/// Port of `https` where the address names none (RFC 9110 §4.2.2).
const HTTPS: u16 = 443;

/// The address of a gateway that takes CRLs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GatewayAddress {
    /// Whom its certificate must be for.
    pub host: HostName,
    /// TCP port.
    pub port: u16,
}

/// The text is no [`GatewayAddress`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("https://HOST:PORT expected")]
pub struct NoGatewayAddress;

impl FromStr for GatewayAddress {
    type Err = NoGatewayAddress;

    /// Neither user, path nor query: whoever writes one expects something that would not happen.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_at_checked(8).ok_or(NoGatewayAddress)?;
        if !scheme.eq_ignore_ascii_case("https://") {
            return Err(NoGatewayAddress);
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or(NoGatewayAddress)?;
                let address: std::net::Ipv6Addr = address.parse().map_err(|_| NoGatewayAddress)?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or(NoGatewayAddress)?),
                };
                (HostName::Ip(address.into()), port)
            }
            None => {
                let (host, port) = match authority.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (authority, None),
                };
                (host.parse().map_err(|_| NoGatewayAddress)?, port)
            }
        };
        let port = match port {
            None => HTTPS,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| NoGatewayAddress)?
            }
            Some(_) => return Err(NoGatewayAddress),
        };
        match port {
            0 => Err(NoGatewayAddress),
            port => Ok(Self { host, port }),
        }
    }
}

impl GatewayAddress {
    /// `HOST:PORT` as the field Host has it (RFC 9110 §7.2).
    pub fn authority(&self) -> String {
        match &self.host {
            HostName::Ip(std::net::IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            host => format!("{host}:{}", self.port),
        }
    }
}

impl fmt::Display for GatewayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_and_what_would_be_ignored_is_refused() {
        for (text, shown) in [
            ("https://192.168.1.100:8000", "https://192.168.1.100:8000"),
            (
                "https://WebORCA-Server:8000/",
                "https://weborca-server:8000",
            ),
            ("HTTPS://server", "https://server:443"),
            ("https://[fd00::1]:8000", "https://[fd00::1]:8000"),
            ("https://[fd00::1]", "https://[fd00::1]:443"),
        ] {
            let address: GatewayAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
        for text in [
            "https://",
            "http://192.168.1.100:8000",
            "https://server:",
            "https://server:0",
            "https://server:65536",
            "https://server:+80",
            "https://user@server:8000",
            "https://server:8000/crl",
            "https://server:8000?x",
            "https://fd00::1:8000",
            "https://[fd00::1",
            "https://[fd00::1]8000",
            "https://300.1.1.1:8000",
            "https://日本:8000",
        ] {
            assert_eq!(
                text.parse::<GatewayAddress>(),
                Err(NoGatewayAddress),
                "{text}"
            );
        }
    }
}
