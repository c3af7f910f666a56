//! One key after the other: what its value means, and everything that is wrong with it.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use orca_messages::Lang;

use super::{
    ClientAuth, Config, CrlSource, CrlUnusable, DEFAULT_STATE, HttpsFiles, LOG_FOLDER, LogTarget,
    Mode, SERVER_KEYS, ServerKeys, Upstream, UpstreamIdentity,
};
use crate::config_error::ConfigError;
use crate::exempt::{BadExemption, Exemptions};
use crate::limits::Limits;
use crate::reload::RuleFiles;
use orca_conf::{Assignment, ConfFile};

const MAX_WORKERS: usize = 1024;
const MAX_COUNT: u64 = 65_536;
/// What people write to switch something off.
const CRL_OFF: [&str; 5] = ["-", "false", "no", "none", "off"];
const CRL_POLL: Duration = Duration::from_secs(60);
/// In seconds.
const DAY: u64 = 86_400;

/// Reads values one by one and collects what is wrong with them.
pub(super) struct Terms<'a> {
    folder: &'a Path,
    file: &'a ConfFile,
    errors: Vec<ConfigError>,
}

impl<'a> Terms<'a> {
    pub(super) fn new(path: &'a Path, file: &'a ConfFile) -> Self {
        Self {
            folder: path.parent().unwrap_or_else(|| Path::new("")),
            file,
            errors: Vec::new(),
        }
    }

    /// Notes something that is wrong.
    pub(super) fn refuse(&mut self, error: ConfigError) {
        self.errors.push(error);
    }

    /// Everything that is wrong.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        self.errors
    }

    pub(super) fn config(
        &mut self,
        mode: Option<Mode>,
        log: LogTarget,
        lang: Lang,
    ) -> Option<Config> {
        let upstream = self.upstream();
        let listen = self.listen();
        if upstream.as_ref().is_some_and(|to| to.is_at(listen)) {
            self.refuse(ConfigError::UpstreamIsSelf);
        }
        Some(Config {
            listen,
            client_auth: self
                .parsed(
                    "GATEWAY_CLIENT_AUTH",
                    "explain, strict, observe",
                    |word| match word {
                        "explain" => Some(ClientAuth::Explain),
                        "strict" => Some(ClientAuth::Strict),
                        "observe" => Some(ClientAuth::Observe),
                        _ => None,
                    },
                )
                .unwrap_or(ClientAuth::Explain),
            crl_unusable: self
                .parsed("GATEWAY_CRL_UNUSABLE", "warn, refuse", |word| match word {
                    "warn" => Some(CrlUnusable::Warn),
                    "refuse" => Some(CrlUnusable::Refuse),
                    _ => None,
                })
                .unwrap_or(CrlUnusable::Warn),
            crl_poll: self
                .parsed("GATEWAY_CRL_POLL", "1 … 86400", seconds)
                .unwrap_or(CRL_POLL),
            state: self
                .path("GATEWAY_STATE")
                .unwrap_or_else(|| PathBuf::from(DEFAULT_STATE)),
            log,
            access_log: self.log_target(
                "GATEWAY_ACCESS_LOG",
                Path::new(LOG_FOLDER).join("orca-gateway-access.log"),
            ),
            status: self.status(),
            workers: self.workers(),
            lang,
            support: self.text("GATEWAY_SUPPORT").map(|a| a.value.clone()),
            allowed_origins: self
                .parsed(
                    "GATEWAY_ALLOWED_ORIGINS",
                    "https://HOST:PORT https://…",
                    |word| word.parse().ok(),
                )
                .unwrap_or_default(),
            limits: self.limits(),
            rules: self.rules(mode.as_ref()),
            exemptions: self.exemptions(),
            mode: mode?,
            upstream: upstream?,
        })
    }

    /// All three keys, or none of them.
    pub(super) fn mode(&mut self, keys: &ServerKeys) -> Option<Mode> {
        let ServerKeys {
            ca_crt,
            server_crt,
            server_pem,
        } = keys.clone();
        match (ca_crt, server_crt, server_pem) {
            (None, None, None) => Some(Mode::Http),
            (Some(ca_crt), Some(server_crt), Some(server_pem)) => Some(Mode::Https(HttpsFiles {
                ca_crl: self.ca_crl(&ca_crt),
                server_crt,
                server_pem,
                ca_crt,
            })),
            _ => {
                let missing: Vec<_> = SERVER_KEYS
                    .into_iter()
                    .zip(keys.in_order())
                    .filter_map(|(key, path)| path.is_none().then_some(key))
                    .filter(|key| !self.is_told(key))
                    .collect();
                if !missing.is_empty() {
                    self.refuse(ConfigError::KeysIncomplete { missing });
                }
                None
            }
        }
    }

    /// Whether something is wrong with the line of `key` already.
    fn is_told(&self, key: &str) -> bool {
        self.errors.iter().any(|error| match error {
            ConfigError::BadValue { key: told, .. } => told == key,
            _ => false,
        }) || self.file.peculiarities.iter().any(|odd| odd.mentions(key))
    }

    fn ca_crl(&mut self, ca_crt: &Path) -> CrlSource {
        let Some(assignment) = self.text("CA_CRL") else {
            return CrlSource::File(ca_crt.with_file_name("ca.crl"));
        };
        let Assignment { line, value, .. } = assignment;
        if CRL_OFF.iter().any(|word| value.eq_ignore_ascii_case(word)) {
            let (line, value) = (*line, value.clone());
            self.refuse(ConfigError::CrlCannotBeOff { line, value });
        }
        if !assignment.value.contains("://") {
            return CrlSource::File(self.folder.join(&assignment.value));
        }
        match assignment.value.parse() {
            Ok(address) => CrlSource::Url(address),
            Err(_) => {
                self.refuse_value(assignment, "FILE, http://…, https://…");
                CrlSource::File(PathBuf::from(&assignment.value))
            }
        }
    }

    fn listen(&mut self) -> SocketAddr {
        self.parsed("GATEWAY_LISTEN", "[::]:8000, 192.168.1.100:8000", |word| {
            word.parse().ok()
        })
        .unwrap_or_else(|| SocketAddr::from(([0; 8], 8000)))
    }

    fn upstream(&mut self) -> Option<Upstream> {
        let expected = "http://127.0.0.1:8001, https://HOST:PORT";
        let (scheme, authority) = self
            .parsed("GATEWAY_UPSTREAM", expected, upstream_address)
            .unwrap_or_else(|| (Scheme::HTTP, Authority::from_static("127.0.0.1:8001")));
        let ca = self.path("GATEWAY_UPSTREAM_CA");
        let crt = self.path("GATEWAY_UPSTREAM_CRT");
        let pem = self.path("GATEWAY_UPSTREAM_PEM");
        let identity = match (crt, pem) {
            (None, None) => None,
            (Some(crt), Some(pem)) => Some(UpstreamIdentity { crt, pem }),
            _ => {
                self.refuse(ConfigError::UpstreamPairIncomplete);
                return None;
            }
        };
        Some(Upstream {
            scheme,
            authority,
            ca,
            identity,
        })
    }

    fn status(&mut self) -> Option<SocketAddr> {
        let expected = "127.0.0.1:9180, [::1]:9180, none";
        self.parsed("GATEWAY_STATUS", expected, |word| {
            if word == "none" {
                return Some(None);
            }
            let address: SocketAddr = word.parse().ok()?;
            address.ip().is_loopback().then_some(Some(address))
        })
        .unwrap_or_else(|| Some(SocketAddr::from(([127, 0, 0, 1], 9180))))
    }

    fn limits(&mut self) -> Limits {
        let usual = Limits::default();
        let count = |word: &str| within(word, MAX_COUNT).and_then(|count| count.try_into().ok());
        let (counts, times) = ("1 … 65536", "1 … 86400");
        Limits {
            connections_per_address: self
                .parsed("GATEWAY_MAX_CONNECTIONS_PER_ADDRESS", counts, count)
                .unwrap_or(usual.connections_per_address),
            upstream_connections: self
                .parsed("GATEWAY_MAX_UPSTREAM_CONNECTIONS", counts, count)
                .unwrap_or(usual.upstream_connections),
            handshake: self
                .parsed("GATEWAY_HANDSHAKE_TIMEOUT", times, seconds)
                .unwrap_or(usual.handshake),
            idle: self
                .parsed("GATEWAY_IDLE_TIMEOUT", times, seconds)
                .unwrap_or(usual.idle),
        }
    }

    /// Both rules are about certificates: without HTTPS they would be void, and nobody would notice.
    fn rules(&mut self, mode: Option<&Mode>) -> RuleFiles {
        for key in ["GATEWAY_OPERATORS", "GATEWAY_WINDOWS"] {
            if mode == Some(&Mode::Http) && self.text(key).is_some() {
                self.refuse(ConfigError::NeedsHttps { key });
            }
        }
        RuleFiles {
            operators: self.path("GATEWAY_OPERATORS"),
            windows: self.path("GATEWAY_WINDOWS"),
        }
    }

    fn exemptions(&mut self) -> Exemptions {
        const KEY: &str = "GATEWAY_EXEMPT";
        let Some(assignment) = self.text(KEY) else {
            return Exemptions::default();
        };
        match assignment.value.parse() {
            Ok(exemptions) => return exemptions,
            Err(BadExemption::HostBits(network)) => self.refuse(ConfigError::HostBits {
                line: assignment.line,
                key: KEY,
                network: network.to_string(),
            }),
            Err(BadExemption::Form) => {
                self.refuse_value(
                    assignment,
                    "\"192.168.1.50/32 /api/; 192.168.1.51/32 /api/\"",
                );
            }
        }
        Exemptions::default()
    }

    fn workers(&mut self) -> NonZeroUsize {
        self.parsed("GATEWAY_WORKERS", "1 … 1024", |word| {
            word.parse::<NonZeroUsize>()
                .ok()
                .filter(|workers| workers.get() <= MAX_WORKERS)
        })
        .unwrap_or_else(|| {
            let available = std::thread::available_parallelism();
            available.unwrap_or(NonZeroUsize::MIN)
        })
    }

    pub(super) fn server_keys(&mut self) -> ServerKeys {
        ServerKeys {
            ca_crt: self.path("CA_CRT"),
            server_crt: self.path("SERVER_CRT"),
            server_pem: self.path("SERVER_PEM"),
        }
    }

    pub(super) fn log_target(&mut self, key: &'static str, default: PathBuf) -> LogTarget {
        match self.text(key).map(|assignment| assignment.value.as_str()) {
            None => LogTarget::File(default),
            Some("-") => LogTarget::Stdout,
            Some(path) => LogTarget::File(self.folder.join(path)),
        }
    }

    /// A path; a relative one starts in the folder of the configuration file.
    fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let folder = self.folder;
        self.text(key).map(|a| folder.join(&a.value))
    }

    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let assignment = self.text(key)?;
        let value = parse(&assignment.value);
        if value.is_none() {
            self.refuse_value(assignment, expected);
        }
        value
    }

    fn text(&mut self, key: &'static str) -> Option<&'a Assignment> {
        let assignment = self.file.get(key)?;
        let unclean = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
        if assignment.value.contains(unclean) {
            self.refuse_value(assignment, "UTF-8");
            return None;
        }
        Some(assignment)
    }

    fn refuse_value(&mut self, assignment: &Assignment, expected: &'static str) {
        self.refuse(ConfigError::BadValue {
            line: assignment.line,
            key: assignment.key.clone(),
            value: assignment.value.clone(),
            expected,
        });
    }
}

fn seconds(word: &str) -> Option<Duration> {
    within(word, DAY).map(Duration::from_secs)
}

/// A number from 1 on.
fn within(word: &str, most: u64) -> Option<u64> {
    word.parse()
        .ok()
        .filter(|number| (1..=most).contains(number))
}

/// Scheme and authority of an address without user, path or query; the port is filled in.
fn upstream_address(word: &str) -> Option<(Scheme, Authority)> {
    let uri: http::Uri = word.parse().ok()?;
    let scheme = uri.scheme()?.clone();
    let default_port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = uri.authority()?;
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    if !bare || authority.as_str().contains('@') || authority.host().is_empty() {
        return None;
    }
    if authority.as_str() != authority.host() {
        return (authority.port_u16()? != 0).then(|| (scheme, authority.clone()));
    }
    let with_port = format!("{}:{default_port}", authority.host());
    Some((scheme, with_port.parse().ok()?))
}
