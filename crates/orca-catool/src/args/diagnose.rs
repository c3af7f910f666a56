//! `diagnose`.

use std::path::PathBuf;

use clap::ArgMatches;
use jiff::civil::Date;
use orca_ca::publication::GatewayAddress;
use orca_diagnosis::identity::Source;
use orca_diagnosis::target::Target;
use orca_messages::text;

use super::{Format, UsageError, format, one, path};

#[derive(Debug)]
pub(crate) struct DiagnoseArgs {
    pub(crate) target: Option<Target>,
    pub(crate) scheme: Scheme,
    pub(crate) source: Option<Source>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) at: Option<Date>,
    pub(crate) format: Format,
}

/// How the address begins; `http://` is what somebody has in the browser.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

pub(super) fn diagnose(m: &ArgMatches) -> Result<DiagnoseArgs, UsageError> {
    let (target, scheme) = match one(m, "url").map(target).transpose()? {
        Some((target, scheme)) => (Some(target), scheme),
        None => (None, Scheme::Https),
    };
    Ok(DiagnoseArgs {
        target,
        scheme,
        source: source(m),
        ca: path(m, "ca"),
        at: one(m, "at").map(date).transpose()?,
        format: format(m),
    })
}

fn target(text: &str) -> Result<(Target, Scheme), UsageError> {
    let (address, scheme) = match text.strip_prefix("http://") {
        Some(rest) => (format!("https://{rest}"), Scheme::Http),
        None => (text.to_owned(), Scheme::Https),
    };
    let address: GatewayAddress = address.parse().map_err(|_| {
        let why = text!(
            "https://192.168.1.100:8000 のように指定してください。",
            "expected is an address such as https://192.168.1.100:8000"
        );
        UsageError::value("invalid-url", "https://HOST:PORT", text, why)
    })?;
    let target = Target {
        host: address.host,
        port: address.port,
    };
    Ok((target, scheme))
}

fn source(m: &ArgMatches) -> Option<Source> {
    let passphrase = path(m, "passphrase-file");
    if let (Some(file), Some(passphrase)) = (path(m, "p12"), passphrase.clone()) {
        return Some(Source::Pkcs12 { file, passphrase });
    }
    Some(Source::Pem {
        certificate: path(m, "cert")?,
        key: path(m, "key")?,
        passphrase,
    })
}

fn date(text: &str) -> Result<Date, UsageError> {
    text.parse().map_err(|_| {
        let why = text!(
            "2027-04-01 のように指定してください。",
            "expected is a date such as 2027-04-01"
        );
        UsageError::value("invalid-date", "--at", text, why)
    })
}

/// `--at` with a day that is over, and nothing that was in use on it.
pub(crate) fn past_date(date: Date) -> UsageError {
    let why = text!(
        "認証局については、今日以後の日を指定してください。過ぎた日を調べるには、サーバのアドレスか端末の証明書(--p12、--cert)も指定してください。",
        "of a CA only today and days to come are told; for a day that is over, name a server or a client's certificate (--p12, --cert) too"
    );
    UsageError::value("invalid-date", "--at", &date.to_string(), why)
}
