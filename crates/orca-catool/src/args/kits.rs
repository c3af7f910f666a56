//! `server_kit` and `api_kit`.

use std::path::PathBuf;

use clap::ArgMatches;
use orca_ca::authority::{Selection, Several};
use orca_messages::text;

use super::{UsageError, one, path, selection, texts};

#[derive(Debug)]
pub(crate) struct ServerKitArgs {
    pub(crate) conf: Option<PathBuf>,
    pub(crate) owner: Option<String>,
    pub(crate) task: ServerKitTask,
}

/// What `server_kit` is to do.
#[derive(Debug)]
pub(crate) enum ServerKitTask {
    Install(Selection),
    /// Say what would be done.
    Preview(Selection),
    Undo,
}

#[derive(Debug)]
pub(crate) struct ApiKitArgs {
    pub(crate) selection: Selection,
    pub(crate) dir: PathBuf,
    pub(crate) owner: Option<String>,
    pub(crate) server: ServerAddress,
    pub(crate) kinds: Vec<Fragment>,
}

/// `https://HOST:PORT` of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ServerAddress {
    /// A name, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl ServerAddress {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("https://")?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
        let port = port.map_or(Some(443), |port| port.parse().ok())?;
        (!host.is_empty() && host.chars().all(is_name) && port != 0).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }

    /// The host as it stands in an address, IPv6 in brackets.
    pub(crate) fn bracketed(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        }
    }
}

/// A piece of configuration or code that `api_kit` prints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fragment {
    PushExchanger,
    Curl,
    Ruby,
    RubyWebSocket,
    Python,
    Java,
    Node,
    CSharp,
}

impl Fragment {
    pub(crate) const ALL: [Self; 8] = [
        Self::PushExchanger,
        Self::Curl,
        Self::Ruby,
        Self::RubyWebSocket,
        Self::Python,
        Self::Java,
        Self::Node,
        Self::CSharp,
    ];

    /// The word after `--only`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::PushExchanger => "push-exchanger",
            Self::Curl => "curl",
            Self::Ruby => "ruby",
            Self::RubyWebSocket => "ruby-websocket",
            Self::Python => "python",
            Self::Java => "java",
            Self::Node => "node",
            Self::CSharp => "csharp",
        }
    }
}

pub(super) fn server_kit(m: &ArgMatches) -> Result<ServerKitArgs, UsageError> {
    let task = if m.get_flag("undo") {
        ServerKitTask::Undo
    } else {
        let selection = selection(m, Several::Refuse)?;
        match m.get_flag("dry-run") {
            true => ServerKitTask::Preview(selection),
            false => ServerKitTask::Install(selection),
        }
    };
    Ok(ServerKitArgs {
        conf: path(m, "conf"),
        owner: one(m, "owner").map(ToOwned::to_owned),
        task,
    })
}

pub(super) fn api_kit(m: &ArgMatches) -> Result<ApiKitArgs, UsageError> {
    let url = one(m, "url").unwrap_or_default();
    let server = ServerAddress::parse(url).ok_or_else(|| {
        let why = text!(
            "https://192.168.1.100:8000 のように指定してください。",
            "expected is an address such as https://192.168.1.100:8000"
        );
        UsageError::value("invalid-url", "--url", url, why)
    })?;
    let kinds = texts(m, "only").map(|word| {
        let kind = Fragment::ALL.into_iter().find(|kind| kind.word() == word);
        kind.ok_or_else(|| {
            let words = Fragment::ALL.map(Fragment::word).join(", ");
            let why = text!(
                "{words} のいずれかを指定してください。",
                "expected is one of {words}"
            );
            UsageError::value("invalid-kind", "--only", word, why)
        })
    });
    let kinds: Vec<_> = kinds.collect::<Result<_, _>>()?;
    Ok(ApiKitArgs {
        selection: selection(m, Several::Refuse)?,
        dir: path(m, "dir").unwrap_or_default(),
        owner: one(m, "owner").map(ToOwned::to_owned),
        server,
        kinds: match kinds.is_empty() {
            true => Fragment::ALL.to_vec(),
            false => kinds,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers_are_https_with_a_host_and_perhaps_a_port() {
        for (text, host, port) in [
            ("https://192.168.1.100:8000", "192.168.1.100", 8000),
            ("https://weborca-server", "weborca-server", 443),
            ("https://weborca-server:8000/", "weborca-server", 8000),
            ("https://[fd00::1]:8000", "fd00::1", 8000),
        ] {
            let address = ServerAddress::parse(text).unwrap();
            assert_eq!(
                (address.host.as_str(), address.port),
                (host, port),
                "{text}"
            );
        }
        for text in [
            "",
            "http://a:8000",
            "https://",
            "https://a:0",
            "https://a:70000",
            "https://a:8000/api",
            "https://a b",
            "https://[a]:1",
            "https://a';rm:1",
        ] {
            assert_eq!(ServerAddress::parse(text), None, "{text}");
        }
    }
}
