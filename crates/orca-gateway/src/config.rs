//! What the configuration file means: every key of ours with its default.

mod remarks;
mod terms;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use orca_messages::{Finding, Lang};

use crate::config_error::ConfigError;
use crate::crl_address::CrlAddress;
use crate::exempt::Exemptions;
use crate::limits::Limits;
use crate::origin::AllowedOrigins;
use crate::reload::RuleFiles;
use orca_conf::{ConfFile, Peculiarity};
use terms::Terms;

/// Read where `--conf` names none, if it exists.
pub(crate) const OWN_CONF: &str = "/opt/jma/weborca/conf/orca-gateway.conf";
/// Read otherwise; WebORCA sources the same file.
pub(crate) const WEBORCA_CONF: &str = "/opt/jma/weborca/conf/jma-receipt.conf";

/// `GATEWAY_STATE` where nothing is said.
pub(crate) const DEFAULT_STATE: &str = "/var/lib/orca-gateway";

const LOG_FOLDER: &str = "/opt/jma/weborca/log";

/// The three keys of the original that switch HTTPS on.
pub(crate) const SERVER_KEYS: [&str; 3] = ["CA_CRT", "SERVER_CRT", "SERVER_PEM"];

/// Every key of ours.
pub(crate) const OUR_KEYS: [&str; 27] = [
    "CA_CRT",
    "SERVER_CRT",
    "SERVER_PEM",
    "CA_CRL",
    "GATEWAY_LISTEN",
    "GATEWAY_UPSTREAM",
    "GATEWAY_UPSTREAM_CA",
    "GATEWAY_UPSTREAM_CRT",
    "GATEWAY_UPSTREAM_PEM",
    "GATEWAY_CLIENT_AUTH",
    "GATEWAY_CRL_UNUSABLE",
    "GATEWAY_CRL_POLL",
    "GATEWAY_STATE",
    "GATEWAY_LOG",
    "GATEWAY_ACCESS_LOG",
    "GATEWAY_STATUS",
    "GATEWAY_WORKERS",
    "GATEWAY_LANG",
    "GATEWAY_SUPPORT",
    "GATEWAY_ALLOWED_ORIGINS",
    "GATEWAY_MAX_CONNECTIONS_PER_ADDRESS",
    "GATEWAY_MAX_UPSTREAM_CONNECTIONS",
    "GATEWAY_HANDSHAKE_TIMEOUT",
    "GATEWAY_IDLE_TIMEOUT",
    "GATEWAY_OPERATORS",
    "GATEWAY_WINDOWS",
    "GATEWAY_EXEMPT",
];

/// How the gateway is to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Config {
    pub(crate) mode: Mode,
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: Upstream,
    pub(crate) client_auth: ClientAuth,
    pub(crate) crl_unusable: CrlUnusable,
    /// How often an address in `CA_CRL` is asked.
    pub(crate) crl_poll: Duration,
    /// Folder of the last good CRLs.
    pub(crate) state: PathBuf,
    pub(crate) log: LogTarget,
    pub(crate) access_log: LogTarget,
    /// Loopback address of `/healthz`, `/status` and `/metrics`; `None` switches it off.
    pub(crate) status: Option<SocketAddr>,
    pub(crate) workers: NonZeroUsize,
    pub(crate) lang: Lang,
    /// Name and telephone shown on pages.
    pub(crate) support: Option<String>,
    /// Whose pages may act besides those of the application.
    pub(crate) allowed_origins: AllowedOrigins,
    pub(crate) limits: Limits,
    /// Operators and hours of certificates.
    pub(crate) rules: RuleFiles,
    /// Who is served without a certificate.
    pub(crate) exemptions: Exemptions,
}

/// HTTPS with client certificates, or plain HTTP; a reload never changes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    Https(HttpsFiles),
    Http,
}

/// The files HTTPS is made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HttpsFiles {
    pub(crate) server_crt: PathBuf,
    pub(crate) server_pem: PathBuf,
    pub(crate) ca_crt: PathBuf,
    pub(crate) ca_crl: CrlSource,
}

/// Where the CRL comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum CrlSource {
    /// PEM or DER, one or several.
    File(PathBuf),
    /// `http://` or `https://`.
    Url(CrlAddress),
}

impl fmt::Display for CrlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(address) => address.fmt(f),
        }
    }
}

/// The WebORCA application.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Upstream {
    pub(crate) scheme: Scheme,
    /// Host and port, the port always there.
    pub(crate) authority: Authority,
    /// CAs that verify an https application; `None` is `CA_CRT`, then the system's roots.
    pub(crate) ca: Option<PathBuf>,
    /// Our own certificate towards it.
    pub(crate) identity: Option<UpstreamIdentity>,
}

/// Our certificate and key towards an https application.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct UpstreamIdentity {
    pub(crate) crt: PathBuf,
    pub(crate) pem: PathBuf,
}

/// What a client without a valid certificate gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ClientAuth {
    /// A page that says why.
    Explain,
    /// Everybody is served, and written down.
    Observe,
    /// The fitting TLS alert.
    Strict,
}

/// What a CRL that cannot be used means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CrlUnusable {
    Refuse,
    Warn,
}

/// Where lines go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum LogTarget {
    Stdout,
    File(PathBuf),
}

/// The three keys as they stand in the file, for the start-up lines.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ServerKeys {
    pub(crate) ca_crt: Option<PathBuf>,
    pub(crate) server_crt: Option<PathBuf>,
    pub(crate) server_pem: Option<PathBuf>,
}

/// The file as it was read. Where to log and in which language is known even when the rest is wrong.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) path: PathBuf,
    pub(crate) log: LogTarget,
    pub(crate) lang: Lang,
    pub(crate) keys: ServerKeys,
    /// What the three keys mean, if they mean anything.
    pub(crate) mode: Option<Mode>,
    /// Lines that are no plain assignment and touch no key of ours.
    pub(crate) left_alone: Vec<Peculiarity>,
    /// Keys that are no error and not what somebody meant either.
    pub(crate) remarks: Vec<Finding>,
    /// The configuration, or everything that is wrong with it; never an empty list.
    pub(crate) config: Result<Config, Vec<ConfigError>>,
}

/// The file to read where the command line names none.
pub(crate) fn default_path() -> PathBuf {
    let own = Path::new(OWN_CONF);
    // Whatever keeps us from looking is reported when the file is opened.
    match own.try_exists() {
        Ok(false) => PathBuf::from(WEBORCA_CONF),
        Ok(true) | Err(_) => own.to_owned(),
    }
}

/// Reads the configuration file.
///
/// # Errors
/// The file cannot be read at all.
pub(crate) fn read(path: &Path) -> Result<Reading, ConfigError> {
    let octets = std::fs::read(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // Comments may be in any encoding; a value of ours that is not UTF-8 is refused below.
    Ok(interpret(&absolute, &String::from_utf8_lossy(&octets)))
}

/// Tells what the text of the file at `path` means.
pub(crate) fn interpret(path: &Path, text: &str) -> Reading {
    let file = ConfFile::parse(text);
    let mut terms = Terms::new(path, &file);
    let (touching, left_alone): (Vec<_>, Vec<_>) = file
        .peculiarities
        .iter()
        .cloned()
        .partition(|peculiarity| OUR_KEYS.iter().any(|key| peculiarity.mentions(key)));
    for Peculiarity { line, text } in touching {
        terms.refuse(ConfigError::NotPlain { line, text });
    }
    let keys = terms.server_keys();
    let log = terms.log_target("GATEWAY_LOG", default_log(path));
    let lang = terms
        .parsed("GATEWAY_LANG", "ja, en", |word| word.parse().ok())
        .unwrap_or(Lang::Ja);
    let mode = terms.mode(&keys);
    let config = terms.config(mode.clone(), log.clone(), lang);
    let mut errors = terms.into_errors();
    let config = match config {
        Some(config) if errors.is_empty() => Ok(config),
        _ => {
            errors.sort_by_key(ConfigError::line);
            Err(errors)
        }
    };
    Reading {
        path: path.to_owned(),
        log,
        lang,
        keys,
        mode,
        left_alone,
        remarks: remarks::about_keys(&file, config.as_ref().ok().map(|config| &config.upstream)),
        config,
    }
}

fn default_log(conf: &Path) -> PathBuf {
    let own = conf.file_name() == Path::new(OWN_CONF).file_name();
    Path::new(LOG_FOLDER).join(if own {
        "orca-gateway.log"
    } else {
        "jma-receipt-weborca.log"
    })
}

impl ClientAuth {
    /// The word in the configuration.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Explain => "explain",
            Self::Observe => "observe",
            Self::Strict => "strict",
        }
    }
}

impl Upstream {
    /// Whether requests to it would arrive at `listen` on this machine.
    fn is_at(&self, listen: SocketAddr) -> bool {
        let host = self.authority.host();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let here = match host.parse::<IpAddr>() {
            Ok(ip) if listen.ip().is_unspecified() => ip.is_loopback() || ip.is_unspecified(),
            Ok(ip) => ip.to_canonical() == listen.ip().to_canonical(),
            Err(_) => {
                host.eq_ignore_ascii_case("localhost")
                    && (listen.ip().is_unspecified() || listen.ip().is_loopback())
            }
        };
        here && self.authority.port_u16() == Some(listen.port())
    }
}

impl ServerKeys {
    /// In the order of [`SERVER_KEYS`].
    pub(crate) fn in_order(&self) -> [Option<&Path>; 3] {
        [&self.ca_crt, &self.server_crt, &self.server_pem].map(Option::as_deref)
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl fmt::Display for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("-"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str) -> Reading {
        interpret(Path::new("/etc/x/gw.conf"), text)
    }

    fn config(text: &str) -> Config {
        reading(text).config.unwrap()
    }

    fn error_ids(text: &str) -> Vec<&'static str> {
        use orca_messages::Localize;
        let errors = reading(text).config.unwrap_err();
        errors.iter().map(Localize::id).collect()
    }

    const THREE: &str = "SERVER_CRT=/c/s.crt\nSERVER_PEM=/c/s.pem\nCA_CRT=/c/ca.crt\n";

    #[test]
    fn an_empty_file_means_http_and_every_default() {
        let config = config("#PostgreSQL\n#DBHOST=xxx\n");
        assert_eq!(config.mode, Mode::Http);
        assert_eq!(config.listen.to_string(), "[::]:8000");
        assert_eq!(config.upstream.to_string(), "http://127.0.0.1:8001");
        assert_eq!(config.client_auth, ClientAuth::Explain);
        assert_eq!(config.crl_unusable, CrlUnusable::Warn);
        assert_eq!(config.state, Path::new("/var/lib/orca-gateway"));
        assert_eq!(
            config.access_log.to_string(),
            "/opt/jma/weborca/log/orca-gateway-access.log"
        );
        assert_eq!(config.status, Some("127.0.0.1:9180".parse().unwrap()));
        assert_eq!(config.lang, Lang::Ja);
        assert_eq!(config.support, None);
        assert_eq!(config.allowed_origins, AllowedOrigins::default());
        assert_eq!(config.limits, Limits::default());
    }

    #[test]
    fn rules_about_certificates_need_https_and_exemptions_networks() {
        for key in ["GATEWAY_OPERATORS", "GATEWAY_WINDOWS"] {
            assert_eq!(error_ids(&format!("{key}=/x")), ["needs-https"], "{key}");
        }
        let rules = config(&format!("{THREE}GATEWAY_OPERATORS=ops\n")).rules;
        assert_eq!(rules.operators, Some("/etc/x/ops".into()));
        assert_eq!(rules.windows, None);
        let host = format!("{THREE}GATEWAY_EXEMPT=\"192.168.1.50/24 /api/\"\n");
        assert_eq!(error_ids(&host), ["not-a-network"]);
        let form = format!("{THREE}GATEWAY_EXEMPT=\"192.168.1.50\"\n");
        assert_eq!(error_ids(&form), ["bad-value"]);
        let observe = config(&format!("{THREE}GATEWAY_CLIENT_AUTH=observe\n"));
        assert_eq!(observe.client_auth, ClientAuth::Observe);
    }

    #[test]
    fn limits_are_whole_numbers_within_reason() {
        let limits = config(
            "GATEWAY_MAX_CONNECTIONS_PER_ADDRESS=9\nGATEWAY_MAX_UPSTREAM_CONNECTIONS=8\n\
             GATEWAY_HANDSHAKE_TIMEOUT=7\nGATEWAY_IDLE_TIMEOUT=86400\n",
        )
        .limits;
        assert_eq!(
            (limits.connections_per_address, limits.upstream_connections),
            (9, 8)
        );
        assert_eq!(
            (limits.handshake.as_secs(), limits.idle.as_secs()),
            (7, 86_400)
        );
        for key in [
            "GATEWAY_MAX_CONNECTIONS_PER_ADDRESS",
            "GATEWAY_MAX_UPSTREAM_CONNECTIONS",
            "GATEWAY_HANDSHAKE_TIMEOUT",
            "GATEWAY_IDLE_TIMEOUT",
        ] {
            for word in ["0", "-1", "1.5", "many", "1000000"] {
                assert_eq!(
                    error_ids(&format!("{key}={word}")),
                    ["bad-value"],
                    "{key}={word}"
                );
            }
        }
    }

    #[test]
    fn allowed_origins_have_a_scheme_and_a_host() {
        let line = "GATEWAY_ALLOWED_ORIGINS=\"https://charts:8443 http://192.168.1.9/\"";
        assert_eq!(
            Ok(config(line).allowed_origins),
            "https://charts:8443,http://192.168.1.9".parse()
        );
        for word in ["*", "null", "charts", "https://charts/x"] {
            let line = format!("GATEWAY_ALLOWED_ORIGINS='{word}'");
            assert_eq!(error_ids(&line), ["bad-value"]);
        }
    }

    #[test]
    fn three_keys_mean_https_with_the_crl_beside_the_ca() {
        let Mode::Https(files) = config(THREE).mode else {
            panic!("http");
        };
        assert_eq!(files.ca_crl, CrlSource::File("/c/ca.crl".into()));
        let Mode::Https(files) = config(&format!("{THREE}CA_CRL=https://ca:8443/ca.crl")).mode
        else {
            panic!("http");
        };
        assert_eq!(
            files.ca_crl,
            CrlSource::Url("https://ca:8443/ca.crl".parse().unwrap())
        );
    }

    #[test]
    fn revocation_cannot_be_switched_off() {
        for word in ["none", "OFF", "no", "-"] {
            let ids = error_ids(&format!("{THREE}CA_CRL={word}"));
            assert_eq!(ids, ["crl-cannot-be-off"], "{word}");
        }
    }

    #[test]
    fn one_or_two_of_the_three_keys_are_refused() {
        for drop in 0..3 {
            let some: String = THREE
                .lines()
                .enumerate()
                .filter(|(line, _)| *line != drop)
                .map(|(_, line)| format!("{line}\n"))
                .collect();
            assert_eq!(error_ids(&some), ["keys-incomplete"]);
        }
        assert_eq!(error_ids("CA_CRT=/c/ca.crt"), ["keys-incomplete"]);
        // A line that cannot be read is told as that and not as missing.
        let home = THREE.replace("SERVER_CRT=/c", "SERVER_CRT=~/c");
        assert_eq!(error_ids(&home), ["not-a-plain-assignment"]);
        let reading = reading("CA_CRT=/c/ca.crt\nGATEWAY_LOG=-\nGATEWAY_LANG=en");
        assert_eq!(reading.keys.ca_crt, Some("/c/ca.crt".into()));
        assert_eq!((reading.log, reading.lang), (LogTarget::Stdout, Lang::En));
    }

    #[test]
    fn the_log_follows_the_name_of_the_file() {
        let log = |path: &str| interpret(Path::new(path), "").log.to_string();
        assert_eq!(
            log("/x/orca-gateway.conf"),
            "/opt/jma/weborca/log/orca-gateway.log"
        );
        for other in ["/x/jma-receipt.conf", "gw.conf"] {
            assert_eq!(log(other), "/opt/jma/weborca/log/jma-receipt-weborca.log");
        }
    }

    #[test]
    fn relative_paths_start_in_the_folder_of_the_file() {
        let config = config("GATEWAY_STATE=state\nGATEWAY_LOG=log/gw.log\n");
        assert_eq!(config.state, Path::new("/etc/x/state"));
        assert_eq!(config.log.to_string(), "/etc/x/log/gw.log");
    }

    #[test]
    fn upstreams_have_a_scheme_a_host_and_nothing_else() {
        let good = [
            ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
            ("http://localhost", "http://localhost:80"),
            ("https://weborca/", "https://weborca:443"),
            ("http://[::1]:9000", "http://[::1]:9000"),
            ("http://[::1]", "http://[::1]:80"),
        ];
        for (word, shown) in good {
            let text = format!("GATEWAY_UPSTREAM={word}");
            assert_eq!(config(&text).upstream.to_string(), shown);
        }
        for word in [
            "127.0.0.1:8001",
            "ftp://a",
            "http://a/path",
            "http://a?x",
            "http://u@a",
            "http://a:0",
            "http://a:99999",
            "http://",
        ] {
            assert_eq!(
                error_ids(&format!("GATEWAY_UPSTREAM='{word}'")),
                ["bad-value"]
            );
        }
    }

    #[test]
    fn values_that_do_not_fit_are_refused_all_at_once() {
        let text = "GATEWAY_LISTEN=8000\nGATEWAY_STATUS=192.168.1.1:9180\nGATEWAY_WORKERS=0\n\
            GATEWAY_CLIENT_AUTH=maybe\nGATEWAY_CRL_UNUSABLE=x\nGATEWAY_LANG=fr\n\
            CA_CRT=$HOME/ca.crt\n";
        let errors = reading(text).config.unwrap_err();
        let lines: Vec<_> = errors.iter().map(ConfigError::line).collect();
        assert_eq!(
            lines,
            [
                Some(1),
                Some(2),
                Some(3),
                Some(4),
                Some(5),
                Some(6),
                Some(7)
            ]
        );
        assert_eq!(config("GATEWAY_STATUS=none").status, None);
        assert_eq!(config("GATEWAY_WORKERS=3").workers.get(), 3);
    }

    #[test]
    fn an_upstream_that_is_the_gateway_itself_is_refused() {
        for (listen, upstream) in [
            ("[::]:8000", "http://127.0.0.1:8000"),
            ("0.0.0.0:8000", "http://localhost:8000"),
            ("127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("192.168.1.2:80", "http://192.168.1.2"),
        ] {
            let text = format!("GATEWAY_LISTEN={listen}\nGATEWAY_UPSTREAM={upstream}");
            assert_eq!(error_ids(&text), ["upstream-is-self"], "{text}");
        }
        config("GATEWAY_LISTEN=192.168.1.2:8000\nGATEWAY_UPSTREAM=http://127.0.0.1:8000");
    }

    #[test]
    fn odd_lines_of_others_are_left_alone() {
        let reading = reading("umask 022\nDBPASS=$(cat /x)\nDBHOST=a\n");
        assert!(reading.config.is_ok());
        let lines: Vec<_> = reading.left_alone.iter().map(|odd| odd.line).collect();
        assert_eq!(lines, [1, 2]);
    }

    #[test]
    fn a_certificate_towards_the_application_needs_its_key() {
        assert_eq!(
            error_ids("GATEWAY_UPSTREAM_CRT=/a.crt"),
            ["upstream-pair-incomplete"]
        );
    }
}
