//! Where a server is.

use std::fmt;
use std::net::IpAddr;

use orca_pki::name::HostName;

/// `https://HOST:PORT`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// Whom its certificate must be for.
    pub host: HostName,
    /// TCP port.
    pub port: u16,
}

impl Target {
    /// `HOST:PORT` as the field Host has it (RFC 9110 §7.2).
    pub fn authority(&self) -> String {
        match &self.host {
            HostName::Ip(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            host => format!("{host}:{}", self.port),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}
