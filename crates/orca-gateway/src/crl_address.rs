//! An `http(s)://` address in `CA_CRL`.

use std::fmt;
use std::str::FromStr;

use http::uri::{Authority, PathAndQuery, Scheme, Uri};

/// Where revocation lists are fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CrlAddress {
    pub(crate) scheme: Scheme,
    /// Host and port, the port always there.
    pub(crate) authority: Authority,
    pub(crate) path: PathAndQuery,
    /// As it stands in the configuration.
    text: String,
}

/// No such address.
#[derive(Debug)]
pub(crate) struct NoAddress;

impl FromStr for CrlAddress {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let uri: Uri = text.parse().map_err(|_| NoAddress)?;
        let scheme = uri.scheme().ok_or(NoAddress)?.clone();
        let usual_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err(NoAddress),
        };
        let authority = uri.authority().ok_or(NoAddress)?;
        let (host, shown) = (authority.host(), authority.as_str());
        // A password in the address would stand in the log.
        if host.is_empty() || shown.contains('@') {
            return Err(NoAddress);
        }
        let authority = match authority.port_u16() {
            Some(0) => return Err(NoAddress),
            Some(_) => authority.clone(),
            None if shown == host => {
                let with_port = format!("{host}:{usual_port}");
                with_port.parse().map_err(|_| NoAddress)?
            }
            None => return Err(NoAddress),
        };
        let path = uri.path_and_query().cloned();
        Ok(Self {
            scheme,
            authority,
            path: path.unwrap_or_else(|| PathAndQuery::from_static("/")),
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for CrlAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_port_and_path_are_read() {
        for (text, authority, path) in [
            ("http://ca/x.crl?a=b", "ca:80", "/x.crl?a=b"),
            ("https://ca", "ca:443", "/"),
            ("https://192.168.1.1:8000/a", "192.168.1.1:8000", "/a"),
            ("https://[::1]:8000/a", "[::1]:8000", "/a"),
        ] {
            let address: CrlAddress = text.parse().unwrap();
            assert_eq!(address.authority, authority);
            assert_eq!(address.path, path);
            assert_eq!(address.to_string(), text);
        }
        for text in [
            "ftp://ca/x",
            "https://user:word@ca/x",
            "https:///x",
            "/x",
            "https://ca:0/",
            "https://ca:99999/",
        ] {
            assert!(text.parse::<CrlAddress>().is_err(), "{text}");
        }
    }
}
