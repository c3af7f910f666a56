//! The command line: what was typed becomes what it means. clap appears in this folder only.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ArgMatches;
use clap::error::ErrorKind;
use orca_ca::authority::{CA_DAYS, CrlAge, Selection, Several};
use orca_ca::config::MOST_DAYS;
use orca_messages::{Lang, text};
use orca_pki::key::KeyAlgorithm;
use orca_pki::name::{CommonName, HostName};
use orca_pki::pkcs12::Pkcs12Profile;
use orca_pki::profile::{CertificateProfile, NameConstraints, Network};
use orca_pki::revocation::RevocationReason;
use orca_pki::serial::SerialNumber;

mod audit;
mod definition;
mod diagnose;
mod kits;
mod usage;

pub(crate) use audit::{AuditArgs, AuditTask};
pub(crate) use diagnose::{DiagnoseArgs, Scheme, past_date};
pub(crate) use kits::{ApiKitArgs, Fragment, ServerAddress, ServerKitArgs, ServerKitTask};
use usage::Fault;
pub(crate) use usage::{UsageError, name_why};

/// A call of the program, understood.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) config: Option<PathBuf>,
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Nothing named: the list of subcommands.
    Overview,
    Init(InitArgs),
    IssueServerCert(IssueArgs<ServerNames>),
    IssueClientCert(ClientArgs),
    IssueFromCsv(BatchArgs),
    ExportCert(ExportArgs),
    RevokeCert(RevokeArgs),
    IssueCrl(CrlArgs),
    ListCert(ListArgs),
    ServerKit(ServerKitArgs),
    ApiKit(ApiKitArgs),
    PublishCrl(Format),
    Diagnose(DiagnoseArgs),
    Audit(AuditArgs),
    /// `--help` or `--version`: text for standard output.
    Show(String),
}

#[derive(Debug)]
pub(crate) struct InitArgs {
    pub(crate) organization: CommonName,
    pub(crate) ca_name: Option<CommonName>,
    pub(crate) days: u32,
    pub(crate) key: KeyAlgorithm,
    pub(crate) constraints: NameConstraints,
}

#[derive(Debug)]
pub(crate) struct IssueArgs<Names> {
    pub(crate) names: Names,
    pub(crate) days: Option<u32>,
    pub(crate) key: Option<KeyAlgorithm>,
    pub(crate) output: Option<PathBuf>,
}

/// The names of a server: the first as typed, and all of them.
#[derive(Debug)]
pub(crate) struct ServerNames {
    pub(crate) common_name: CommonName,
    pub(crate) hosts: Vec<HostName>,
}

#[derive(Debug)]
pub(crate) struct ClientArgs {
    pub(crate) issue: IssueArgs<CommonName>,
    pub(crate) holder: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) again: bool,
}

/// Many client certificates, one a line of a file.
#[derive(Debug)]
pub(crate) struct BatchArgs {
    pub(crate) file: PathBuf,
    /// Where a line names none.
    pub(crate) days: Option<u32>,
    pub(crate) key: Option<KeyAlgorithm>,
    pub(crate) names: NamesInUse,
    pub(crate) output: Option<PathBuf>,
}

/// What becomes of a line whose name has a valid certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NamesInUse {
    /// One more is issued.
    Again,
    /// The whole file is refused.
    Refuse,
    /// The line is left out.
    Skip,
}

#[derive(Debug)]
pub(crate) struct ExportArgs {
    pub(crate) selection: Selection,
    pub(crate) output: Option<PathBuf>,
    pub(crate) p12: Option<Pkcs12Profile>,
}

#[derive(Debug)]
pub(crate) struct RevokeArgs {
    pub(crate) selection: Selection,
    pub(crate) reason: Option<RevocationReason>,
}

#[derive(Debug)]
pub(crate) struct CrlArgs {
    pub(crate) output: Option<PathBuf>,
    pub(crate) days: Option<u32>,
    pub(crate) age: CrlAge,
}

#[derive(Debug)]
pub(crate) struct ListArgs {
    pub(crate) word: Option<String>,
    /// Only what is the word, not what contains it.
    pub(crate) exact: bool,
    pub(crate) status: Option<String>,
    pub(crate) profile: Option<CertificateProfile>,
    pub(crate) expiring: Option<u32>,
    /// What `orca-gateway last_seen` printed.
    pub(crate) seen: Option<PathBuf>,
    pub(crate) format: Format,
}

/// How a list is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    Csv,
    Json,
    Table,
}

/// Understands a command line. `lang` is the language of the environment; `--lang` wins.
pub(crate) fn parse(
    arguments: Vec<OsString>,
    lang: Lang,
) -> (Lang, Result<Invocation, UsageError>) {
    let lang = chosen_lang(&arguments).unwrap_or(lang);
    let result = match definition::definition(lang).try_get_matches_from(arguments) {
        Ok(matches) => invocation(&matches),
        Err(error) if !error.use_stderr() => Ok(Invocation {
            config: None,
            command: Command::Show(shown(&error)),
        }),
        Err(error) => Err(UsageError::from(&error)),
    };
    (lang, result)
}

/// The help, or the version of the program, which a subcommand has too.
fn shown(error: &clap::Error) -> String {
    match error.kind() {
        ErrorKind::DisplayVersion => {
            concat!("orca-catool ", env!("CARGO_PKG_VERSION"), "\n").into()
        }
        _ => error.render().to_string(),
    }
}

/// `--lang` has to be known before clap runs, because the texts given to clap depend on it.
fn chosen_lang(arguments: &[OsString]) -> Option<Lang> {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    words
        .iter()
        .enumerate()
        .find_map(|(index, word)| match word.strip_prefix("--lang") {
            Some("") => words.get(index + 1)?.parse().ok(),
            Some(rest) => rest.strip_prefix('=')?.parse().ok(),
            None => None,
        })
}

fn invocation(matches: &ArgMatches) -> Result<Invocation, UsageError> {
    let config = matches.get_one::<PathBuf>("config").cloned();
    let command = match matches.subcommand() {
        None => Command::Overview,
        Some(("init", m)) => Command::Init(init(m)?),
        Some(("issue_server_cert", m)) => Command::IssueServerCert(issue(m, hosts(m)?)?),
        Some(("issue_client_cert", m)) if m.contains_id("from-csv") => {
            Command::IssueFromCsv(batch(m)?)
        }
        Some(("issue_client_cert", m)) => Command::IssueClientCert(client(m)?),
        Some(("export_cert", m)) => Command::ExportCert(export(m)?),
        Some(("revoke_cert", m)) => Command::RevokeCert(revoke(m)?),
        Some(("issue_crl", m)) => Command::IssueCrl(crl(m)?),
        Some(("list_cert", m)) => Command::ListCert(list(m)?),
        Some(("server_kit", m)) => Command::ServerKit(kits::server_kit(m)?),
        Some(("api_kit", m)) => Command::ApiKit(kits::api_kit(m)?),
        Some(("publish_crl", m)) => Command::PublishCrl(format(m)),
        Some(("diagnose", m)) => Command::Diagnose(diagnose::diagnose(m)?),
        Some(("audit", m)) => Command::Audit(audit::audit(m)?),
        Some((other, _)) => {
            let what = other.to_owned();
            return Err(UsageError::Argument {
                fault: Fault::NoSubcommand,
                what,
            });
        }
    };
    Ok(Invocation { config, command })
}

fn init(m: &ArgMatches) -> Result<InitArgs, UsageError> {
    let names = texts(m, "only-names").map(|name| {
        HostName::dns(name).map_err(|error| {
            UsageError::value("invalid-host", "--only-names", name, name_why(&error))
        })
    });
    let networks = texts(m, "only-networks").map(network);
    let constraints = NameConstraints {
        names: names.collect::<Result<_, _>>()?,
        networks: networks.collect::<Result<_, _>>()?,
    };
    Ok(InitArgs {
        organization: match one(m, "organization") {
            Some(name) => common_name("--organization", name)?,
            None => CommonName::orca(),
        },
        ca_name: one(m, "ca-name")
            .map(|name| common_name("--ca-name", name))
            .transpose()?,
        days: days(m, "--ca-days", "ca-days")?.unwrap_or(CA_DAYS),
        key: key(m)?.unwrap_or(KeyAlgorithm::P256),
        constraints,
    })
}

/// A range, not a machine in it: which of the two was meant is for the user to say.
fn network(typed: &str) -> Result<Network, UsageError> {
    let refused = |why| UsageError::value("invalid-network", "--only-networks", typed, why);
    let network: Network = typed.parse().map_err(|_| {
        refused(text!(
            "192.168.1.0/24 のように指定してください。",
            "expected is a range such as 192.168.1.0/24"
        ))
    })?;
    let canonical = network.canonical();
    if canonical == network {
        return Ok(network);
    }
    Err(refused(text!(
        "{canonical} の範囲内の1台を指しています。ネットワーク全体であれば {canonical} と、1台だけであれば /32(IPv6では /128)を付けて指定してください。",
        "it names one machine inside {canonical}; write {canonical} for the whole network, or /32 (/128 for IPv6) for one machine"
    )))
}

/// Hosts in the order of the contract: names before addresses; an address given to `-c` is one.
fn hosts(m: &ArgMatches) -> Result<ServerNames, UsageError> {
    let mut hosts = Vec::new();
    for name in texts(m, "common-name") {
        let host = HostName::from_str(name).map_err(|error| {
            UsageError::value("invalid-host", "-c", name, usage::host_why(name, &error))
        })?;
        hosts.push(reachable(host, "-c", name)?);
    }
    for address in texts(m, "ip") {
        let host = HostName::ip(address).map_err(|error| {
            UsageError::value("invalid-address", "-i", address, name_why(&error))
        })?;
        hosts.push(reachable(host, "-i", address)?);
    }
    let common_name = match (hosts.first(), one(m, "common-name")) {
        // It becomes the commonName as typed, which is shorter than a DNS name may be.
        (Some(HostName::Dns(_)), Some(typed)) => common_name("-c", typed)?,
        (Some(host), _) => common_name("-i", &host.to_string())?,
        (None, _) => return Err(UsageError::NoHost),
    };
    let mut distinct = Vec::with_capacity(hosts.len());
    for host in hosts {
        if !distinct.contains(&host) {
            distinct.push(host);
        }
    }
    Ok(ServerNames {
        common_name,
        hosts: distinct,
    })
}

/// An address under which no client can ever reach a server helps nobody.
fn reachable(host: HostName, option: &'static str, typed: &str) -> Result<HostName, UsageError> {
    match &host {
        HostName::Ip(address) if let Some(why) = usage::unreachable_why(*address) => {
            Err(UsageError::value("invalid-address", option, typed, why))
        }
        _ => Ok(host),
    }
}

fn issue<Names>(m: &ArgMatches, names: Names) -> Result<IssueArgs<Names>, UsageError> {
    Ok(IssueArgs {
        names,
        days: days(m, "--days", "days")?,
        key: key(m)?,
        output: path(m, "output"),
    })
}

fn client(m: &ArgMatches) -> Result<ClientArgs, UsageError> {
    let name = common_name("-c", one(m, "common-name").unwrap_or_default())?;
    Ok(ClientArgs {
        issue: issue(m, name)?,
        holder: remark(m, "--holder", "holder")?,
        device: remark(m, "--device", "device")?,
        again: m.get_flag("again"),
    })
}

fn batch(m: &ArgMatches) -> Result<BatchArgs, UsageError> {
    Ok(BatchArgs {
        file: path(m, "from-csv").unwrap_or_default(),
        days: days(m, "--days", "days")?,
        key: key(m)?,
        names: match (m.get_flag("again"), m.get_flag("skip-existing")) {
            (true, _) => NamesInUse::Again,
            (_, true) => NamesInUse::Skip,
            _ => NamesInUse::Refuse,
        },
        output: path(m, "output"),
    })
}

fn export(m: &ArgMatches) -> Result<ExportArgs, UsageError> {
    let p12 = match one(m, "p12") {
        None => None,
        Some(word) => Some(word.parse().map_err(|_| {
            let why = text!(
                "compat か modern を指定してください。",
                "expected is compat or modern"
            );
            UsageError::value("invalid-p12", "--p12", word, why)
        })?),
    };
    Ok(ExportArgs {
        selection: selection(m, Several::Refuse)?,
        output: path(m, "output"),
        p12,
    })
}

fn revoke(m: &ArgMatches) -> Result<RevokeArgs, UsageError> {
    let reason = match one(m, "reason") {
        None => None,
        Some(word) => Some(word.parse().map_err(|_| {
            let words = RevocationReason::ALL.map(RevocationReason::name).join(", ");
            let why = text!(
                "{words} のいずれかを指定してください。",
                "expected is one of {words}"
            );
            UsageError::value("invalid-reason", "--reason", word, why)
        })?),
    };
    let all = m.get_flag("all");
    if all && one(m, "common-name").is_none() {
        let what = "-c <NAME>".to_owned();
        return Err(UsageError::Argument {
            fault: Fault::Missing,
            what,
        });
    }
    let several = if all { Several::All } else { Several::Refuse };
    Ok(RevokeArgs {
        selection: selection(m, several)?,
        reason,
    })
}

fn crl(m: &ArgMatches) -> Result<CrlArgs, UsageError> {
    let age = match one(m, "if-older-than") {
        None => CrlAge::Any,
        Some(word) => CrlAge::OlderThan(seconds(word).ok_or_else(|| {
            let why = text!(
                "7d や 12h のように指定してください。",
                "expected is e.g. 7d or 12h"
            );
            UsageError::value("invalid-age", "--if-older-than", word, why)
        })?),
    };
    Ok(CrlArgs {
        output: path(m, "output"),
        days: days(m, "--days", "days")?,
        age,
    })
}

fn list(m: &ArgMatches) -> Result<ListArgs, UsageError> {
    let profile = match one(m, "profile") {
        Some("server") => Some(CertificateProfile::Server),
        Some("client") => Some(CertificateProfile::Client),
        _ => None,
    };
    let status = one(m, "status")
        .filter(|word| *word != "all")
        .map(str::to_owned);
    let expiring = days(m, "--expiring", "expiring")?;
    Ok(ListArgs {
        word: one(m, "word").map(str::to_owned),
        exact: m.get_flag("exact"),
        status,
        profile,
        expiring,
        seen: path(m, "seen"),
        format: format(m),
    })
}

fn format(m: &ArgMatches) -> Format {
    match one(m, "format") {
        Some("csv") => Format::Csv,
        Some("json") => Format::Json,
        _ => Format::Table,
    }
}

fn selection(m: &ArgMatches, several: Several) -> Result<Selection, UsageError> {
    if let Some(name) = one(m, "common-name") {
        return Ok(Selection::Name {
            name: name.to_owned(),
            several,
        });
    }
    let serials = texts(m, "serial")
        .map(|word| {
            word.parse::<SerialNumber>().map_err(|error| {
                UsageError::value("invalid-serial", "SERIAL", word, usage::serial_why(error))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Selection::Serials(serials))
}

fn one<'a>(m: &'a ArgMatches, id: &str) -> Option<&'a str> {
    m.get_one::<String>(id).map(String::as_str)
}

fn texts<'a>(m: &'a ArgMatches, id: &str) -> impl Iterator<Item = &'a str> {
    m.get_many::<String>(id)
        .into_iter()
        .flatten()
        .map(String::as_str)
}

fn path(m: &ArgMatches, id: &str) -> Option<PathBuf> {
    m.get_one::<PathBuf>(id).cloned()
}

fn common_name(option: &'static str, name: &str) -> Result<CommonName, UsageError> {
    name.parse()
        .map_err(|error| UsageError::value("invalid-name", option, name, name_why(&error)))
}

/// Holder and device stand in the register only, so they may be longer and hold a `/`.
fn remark(m: &ArgMatches, option: &'static str, id: &str) -> Result<Option<String>, UsageError> {
    let Some(text) = one(m, id) else {
        return Ok(None);
    };
    if text.chars().any(char::is_control) || text.chars().count() > 200 {
        let why = text!(
            "制御文字を含まない200文字以内で指定してください。",
            "expected is text of up to 200 characters without control characters"
        );
        return Err(UsageError::value("invalid-text", option, text, why));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.trim().is_empty()))
}

fn days(m: &ArgMatches, option: &'static str, id: &str) -> Result<Option<u32>, UsageError> {
    let Some(word) = one(m, id) else {
        return Ok(None);
    };
    match word.parse() {
        Ok(days) if (1..=MOST_DAYS).contains(&days) => Ok(Some(days)),
        _ => {
            let why = text!(
                "1から{MOST_DAYS}までの日数を指定してください。",
                "expected is a number of days from 1 to {MOST_DAYS}"
            );
            Err(UsageError::value("invalid-days", option, word, why))
        }
    }
}

fn key(m: &ArgMatches) -> Result<Option<KeyAlgorithm>, UsageError> {
    let Some(word) = one(m, "key") else {
        return Ok(None);
    };
    word.parse().map(Some).map_err(|_| {
        let words = KeyAlgorithm::ALL.map(KeyAlgorithm::name).join(", ");
        let why = text!(
            "{words} のいずれかを指定してください。",
            "expected is one of {words}"
        );
        UsageError::value("invalid-key", "--key", word, why)
    })
}

/// `7d`, `12h`, in seconds.
fn seconds(word: &str) -> Option<i64> {
    let (number, unit) = match (word.strip_suffix('d'), word.strip_suffix('h')) {
        (Some(number), _) => (number, 86_400),
        (_, Some(number)) => (number, 3_600),
        _ => return None,
    };
    number
        .parse::<u16>()
        .ok()
        .map(|number| i64::from(number) * unit)
}

#[cfg(test)]
mod tests;
