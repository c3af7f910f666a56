//! `config.yml`: YAML with Ruby symbols as keys.

use std::path::{Path, PathBuf};

use orca_pki::issuance::Realm;
use orca_pki::key::KeyAlgorithm;
use orca_pki::name::{CommonName, Country};
use orca_pki::pkcs12::Pkcs12Profile;
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use crate::error::Error;
use crate::place::{Place, REGISTER};
use crate::publication::GatewayAddress;

mod problem;
mod publish_list;

pub use problem::{ConfigError, ConfigProblem, Expected};
pub use publish_list::with_place;

/// Longest validity that can be configured, in days: a century.
pub const MOST_DAYS: u32 = 36_525;

/// Where a CRL is published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PublishTarget {
    /// A file, mode 0644.
    File(PathBuf),
    /// A gateway, `https://HOST:PORT`.
    Gateway(GatewayAddress),
}

/// The configuration of a CA.
#[derive(Clone, Debug)]
pub struct Config {
    /// Validity of server certificates, days.
    pub server_cert_validity: u32,
    /// Validity of client certificates, days.
    pub client_cert_validity: u32,
    /// Country and organization of subjects.
    pub realm: Realm,
    /// Where zips and `ca.crl` go.
    pub certs_dir: PathBuf,
    /// How long a CRL is good, days.
    pub crl_validity: u32,
    /// Where a CRL goes besides.
    pub crl_publish: Vec<PublishTarget>,
    /// Kind of server keys.
    pub server_key: KeyAlgorithm,
    /// Kind of client keys.
    pub client_key: KeyAlgorithm,
    /// Kind of PKCS#12 files.
    pub p12: Pkcs12Profile,
    /// Whether private keys are kept, sealed, for `export_cert`.
    pub keep_private_keys: bool,
    /// Name and telephone printed on pages and cards.
    pub support: Option<String>,
    /// The register.
    pub database: PathBuf,
}

impl Config {
    /// Reads the configuration of a place.
    ///
    /// # Errors
    /// The file cannot be read, is no YAML, or holds a value of the wrong type.
    pub fn load(place: &Place) -> Result<Self, Error> {
        let text = std::fs::read_to_string(&place.config).map_err(|source| Error::Io {
            path: place.config.clone(),
            source,
        })?;
        Ok(Self::parse(&text, place)?)
    }

    /// The defaults at a place.
    pub fn defaults(place: &Place) -> Self {
        Self {
            server_cert_validity: 3650,
            client_cert_validity: 3650,
            realm: default_realm(),
            certs_dir: place.home.join("certs"),
            crl_validity: 365,
            crl_publish: Vec::new(),
            server_key: KeyAlgorithm::P256,
            client_key: KeyAlgorithm::P256,
            p12: Pkcs12Profile::Compat,
            keep_private_keys: true,
            support: None,
            database: place.beside(REGISTER),
        }
    }

    /// Understands the text of a `config.yml`; keys it does not know are left alone.
    ///
    /// # Errors
    /// See [`ConfigProblem`].
    pub fn parse(text: &str, place: &Place) -> Result<Self, ConfigError> {
        let error = |line, problem| ConfigError {
            path: place.config.clone(),
            line,
            problem,
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let documents = MarkedYaml::load_from_str(text).map_err(|scan| {
            let seen = scan.marker().line();
            match doubled_key(scan.info(), text.lines().nth(seen.saturating_sub(1))) {
                Some(key) => error(seen, ConfigProblem::Doubled(key)),
                None => error(broken_line(text, seen), ConfigProblem::Syntax),
            }
        })?;
        let mut config = Self::defaults(place);
        let Some(document) = documents.first() else {
            return Ok(config);
        };
        let mapping = match &document.data {
            YamlData::Mapping(mapping) => mapping,
            YamlData::Value(Scalar::Null) => return Ok(config),
            _ => {
                let problem = ConfigProblem::Type {
                    key: "…".into(),
                    expected: Expected::Mapping,
                };
                return Err(error(document.span.start.line(), problem));
            }
        };
        let mut seen = Vec::new();
        for (key, value) in mapping {
            let line = key.span.start.line();
            let Some(name) = scalar_text(key) else {
                continue;
            };
            let name = name.strip_prefix(':').unwrap_or(&name).to_owned();
            if seen.contains(&name) {
                return Err(error(line, ConfigProblem::Doubled(name)));
            }
            config
                .set(&name, value, place)
                .map_err(|problem| error(line, problem))?;
            seen.push(name);
        }
        Ok(config)
    }

    fn set(
        &mut self,
        key: &str,
        value: &MarkedYaml<'_>,
        place: &Place,
    ) -> Result<(), ConfigProblem> {
        let wrong = |expected| ConfigProblem::Type {
            key: key.to_owned(),
            expected,
        };
        let required = |expected| scalar_text(value).ok_or_else(|| wrong(expected));
        let word =
            |expected| required(expected).map(|text| text.trim_start_matches(':').to_owned());
        let path = |text: &str| resolve(text, place);
        match key {
            "server_cert_validity" => {
                self.server_cert_validity = days(value).ok_or_else(|| wrong(Expected::Days))?
            }
            "client_cert_validity" => {
                self.client_cert_validity = days(value).ok_or_else(|| wrong(Expected::Days))?
            }
            "crl_validity" => {
                self.crl_validity = days(value).ok_or_else(|| wrong(Expected::Days))?
            }
            "country" => {
                let text = required(Expected::Country)?;
                self.realm.country = text.parse().map_err(|_| wrong(Expected::Country))?;
            }
            "organization" => {
                let text = required(Expected::Name)?;
                self.realm.organization = text.parse().map_err(|_| wrong(Expected::Name))?;
            }
            "certs_dir" => {
                if let Some(text) = optional(value, wrong(Expected::Path))? {
                    self.certs_dir = path(&text);
                }
            }
            "crl_publish" => {
                self.crl_publish =
                    publish_list(value, place).ok_or_else(|| wrong(Expected::PublishList))?;
            }
            "server_key" => {
                let text = word(Expected::Key)?;
                self.server_key = text.parse().map_err(|_| wrong(Expected::Key))?;
            }
            "client_key" => {
                let text = word(Expected::Key)?;
                self.client_key = text.parse().map_err(|_| wrong(Expected::Key))?;
            }
            "p12" => {
                let text = word(Expected::P12)?;
                self.p12 = text.parse().map_err(|_| wrong(Expected::P12))?;
            }
            "keep_private_keys" => match value.data {
                YamlData::Value(Scalar::Boolean(keep)) => self.keep_private_keys = keep,
                // Words that Ruby's YAML 1.1 takes for true and false.
                YamlData::Value(Scalar::String(ref word)) if word == "yes" || word == "on" => {
                    self.keep_private_keys = true;
                }
                YamlData::Value(Scalar::String(ref word)) if word == "no" || word == "off" => {
                    self.keep_private_keys = false;
                }
                _ => return Err(wrong(Expected::YesNo)),
            },
            "support" => self.support = optional(value, wrong(Expected::Text))?,
            "database" => {
                if let Some(text) = optional(value, wrong(Expected::Path))? {
                    if text.contains("://") {
                        return Err(ConfigProblem::Database(text));
                    }
                    self.database = path(&text);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The parser finds a key that stands twice itself; of that a person is told in their own words.
fn doubled_key(info: &str, line: Option<&str>) -> Option<String> {
    let (key, _) = line?.trim_start_matches([' ', ':']).split_once(':')?;
    info.contains("duplicated key").then(|| key.to_owned())
}

/// The parser notices trouble where the next word begins, often lines below. Entries mostly stand
/// on one line each: the last one up to there that cannot be read alone is it.
fn broken_line(text: &str, noticed: usize) -> usize {
    let broken = |line: &str| MarkedYaml::load_from_str(line.trim_start_matches(' ')).is_err();
    let lines = text.lines().take(noticed).enumerate();
    let last = lines.filter(|(_, line)| broken(line)).last();
    last.map_or_else(
        || noticed.clamp(1, text.lines().count().max(1)),
        |(index, _)| index + 1,
    )
}

fn default_realm() -> Realm {
    Realm {
        country: Country::japan(),
        organization: CommonName::orca(),
    }
}

/// The text of a scalar; numbers are not text.
fn scalar_text(node: &MarkedYaml<'_>) -> Option<String> {
    match &node.data {
        YamlData::Value(Scalar::String(text)) => Some(text.to_string()),
        _ => None,
    }
}

fn optional(node: &MarkedYaml<'_>, wrong: ConfigProblem) -> Result<Option<String>, ConfigProblem> {
    match &node.data {
        YamlData::Value(Scalar::Null) => Ok(None),
        YamlData::Value(Scalar::String(text)) if text.trim().is_empty() => Ok(None),
        YamlData::Value(Scalar::String(text)) => Ok(Some(text.to_string())),
        _ => Err(wrong),
    }
}

fn days(node: &MarkedYaml<'_>) -> Option<u32> {
    match &node.data {
        YamlData::Value(Scalar::Integer(days)) => u32::try_from(*days)
            .ok()
            .filter(|days| (1..=MOST_DAYS).contains(days)),
        _ => None,
    }
}

fn publish_list(node: &MarkedYaml<'_>, place: &Place) -> Option<Vec<PublishTarget>> {
    match &node.data {
        YamlData::Value(Scalar::Null) => Some(Vec::new()),
        YamlData::Sequence(entries) => entries
            .iter()
            .map(|entry| {
                let text = scalar_text(entry)?;
                if let Ok(address) = text.parse() {
                    Some(PublishTarget::Gateway(address))
                } else if text.contains("://") || text.trim().is_empty() {
                    None
                } else {
                    Some(PublishTarget::File(resolve(&text, place)))
                }
            })
            .collect(),
        _ => None,
    }
}

/// `~/` and `$HOME/` are the home, anything relative lies beside the configuration.
fn resolve(text: &str, place: &Place) -> PathBuf {
    match text
        .strip_prefix("~/")
        .or_else(|| text.strip_prefix("$HOME/"))
    {
        Some(rest) => place.home.join(rest),
        None => place.folder().join(Path::new(text)),
    }
}

/// The `config.yml` that `init` writes: every key, one a line.
pub fn template(realm: &Realm) -> String {
    let country = quoted(realm.country.as_str());
    let organization = quoted(realm.organization.as_str());
    format!(
        "\
# orca-catool. 値を変更すると次回の実行から有効になります。
# Values take effect with the next run; lines that orca-catool does not know are left alone.

# 有効期間(日数) / validity in days
:server_cert_validity: 3650
:client_cert_validity: 3650

# 証明書の C と O / C and O of subjects
:country: {country}
:organization: {organization}

# zip と ca.crl の置き場所(空欄は $HOME/certs) / folder for zips and ca.crl, default $HOME/certs
:certs_dir:

# CRLの有効期間(日数)と、書き出す先の一覧 / validity of CRLs in days, and where else they go
:crl_validity: 365
:crl_publish: []

# 鍵の種類 p256 p384 rsa2048 rsa3072 rsa4096 / kinds of keys
:server_key: p256
:client_key: p256

# p12の形式 compat modern / PKCS#12 profile
:p12: compat

# 秘密鍵を保管し export_cert で再出力できるようにする / keep private keys (sealed) for export_cert
:keep_private_keys: true

# 画面とカードに印刷する連絡先 / name and telephone printed on pages and cards
:support:

# 台帳(SQLiteファイル) / the register
:database: {REGISTER}
"
    )
}

/// A YAML scalar that both YAML 1.1 (Ruby) and 1.2 read as this string.
fn quoted(text: &str) -> String {
    const WORDS: [&str; 9] = ["yes", "no", "on", "off", "true", "false", "null", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use orca_messages::Localize;

    use super::*;

    fn place() -> Place {
        Place {
            config: "/home/hana/.orca_catool/config.yml".into(),
            home: "/home/hana".into(),
            owner: None,
            actor: crate::actor::Actor::default(),
        }
    }

    fn problem(text: &str) -> (usize, &'static str) {
        let error = Config::parse(text, &place()).unwrap_err();
        (error.line, error.id())
    }

    #[test]
    fn what_init_writes_reads_back_as_the_defaults() {
        for organization in [
            "orca",
            "no",
            "山田医院",
            "O'Brien: clinic #1",
            "123",
            "true",
        ] {
            let realm = Realm {
                organization: organization.parse().unwrap(),
                ..default_realm()
            };
            let config = Config::parse(&template(&realm), &place()).unwrap();
            assert_eq!(config.realm.organization.as_str(), organization);
            assert_eq!(config.server_cert_validity, 3650);
            assert_eq!(config.certs_dir, PathBuf::from("/home/hana/certs"));
            assert_eq!(
                config.database,
                PathBuf::from("/home/hana/.orca_catool/register.sqlite3")
            );
            assert_eq!(config.crl_publish, []);
            assert_eq!(config.support, None);
        }
    }

    #[test]
    fn symbols_plain_keys_and_strangers_are_read() {
        let text = "# c\n:server_cert_validity: 825\nclient_cert_validity: 30\n:other: {a: [1]}\n\
                    :certs_dir: $HOME/zips\n:keep_private_keys: no\n\
                    :client_key: :rsa2048\n:crl_publish:\n  - ~/x/ca.crl\n  - https://192.168.1.100:8000\n";
        let config = Config::parse(text, &place()).unwrap();
        assert_eq!(
            (config.server_cert_validity, config.client_cert_validity),
            (825, 30)
        );
        assert_eq!(config.client_key, KeyAlgorithm::Rsa2048);
        assert_eq!(config.certs_dir, PathBuf::from("/home/hana/zips"));
        assert!(!config.keep_private_keys);
        assert_eq!(
            config.crl_publish,
            [
                PublishTarget::File("/home/hana/x/ca.crl".into()),
                PublishTarget::Gateway("https://192.168.1.100:8000".parse().unwrap())
            ]
        );
        assert!(Config::parse("", &place()).is_ok());
        assert!(Config::parse("# only a comment\n", &place()).is_ok());
    }

    #[test]
    fn wrong_values_are_refused_with_their_line() {
        assert_eq!(
            problem(":country: JP\n:server_cert_validity: ten\n"),
            (2, "config-type")
        );
        assert_eq!(problem(":client_cert_validity: 0\n"), (1, "config-type"));
        assert_eq!(
            problem(":client_cert_validity: 3650.5\n"),
            (1, "config-type")
        );
        assert_eq!(problem(":country: Japan\n"), (1, "config-type"));
        assert_eq!(problem("\n:organization: a/b\n"), (2, "config-type"));
        assert_eq!(problem(":keep_private_keys: maybe\n"), (1, "config-type"));
        for entry in [
            "http://192.168.1.100:8000",
            "https://server:8000/crl",
            "https://a b",
        ] {
            let list = format!(":crl_publish: ['{entry}']\n");
            assert_eq!(problem(&list), (1, "config-type"), "{entry}");
        }
        assert_eq!(
            problem(":database: postgres://x/y\n"),
            (1, "database-not-supported")
        );
        assert_eq!(
            problem(":p12: compat\np12: modern\n"),
            (2, "config-doubled-key")
        );
        assert_eq!(
            problem(":p12: compat\n:p12: modern\n"),
            (2, "config-doubled-key")
        );
        assert_eq!(problem("- a\n- b\n"), (1, "config-type"));
        for (text, line) in [
            (":a: [1, 2\n", 1),
            (":a: 1\n:certs_dir: \"x\n:b: 2\n:c: 3\n", 2),
            (":a: 1\n\n:crl_publish: [a, b\n:b: 2\n", 3),
            (":a: 1\n:b: 'x\n", 2),
        ] {
            assert_eq!(problem(text), (line, "config-syntax"), "{text:?}");
        }
    }
}
