//! The lines of the original's start-up log. They are interface: English, byte for byte; each trouble
//! is followed by a line of ours that says what to do.

use std::path::Path;

use jiff::Timestamp;
use orca_messages::{Finding, text};

use crate::config::{Mode, ServerKeys};
use crate::credentials::{Credentials, CredentialsError, EXPIRING_DAYS, FileKey};
use crate::log::EventLog;

const PASSWORD_CANCELED: &str = "PASSWORD input was canceled";

/// Where the three keys point.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Presence {
    Exists,
    Missing,
    None,
}

/// Says of each of the three keys whether its file exists; a trouble stops the start elsewhere.
pub(crate) fn files(log: &EventLog, keys: &ServerKeys) {
    for (key, path) in [
        (FileKey::CaCrt, &keys.ca_crt),
        (FileKey::ServerCrt, &keys.server_crt),
        (FileKey::ServerPem, &keys.server_pem),
    ] {
        let presence = Presence::of(path.as_deref());
        log.line(&file_line(key, presence));
        if let (Presence::Missing, Some(path)) = (presence, path) {
            let path = path.clone();
            log.remedy(&CredentialsError::Missing { key, path });
        }
    }
}

/// Says in which mode the gateway starts; of plain HTTP also what it means.
pub(crate) fn mode(log: &EventLog, mode: &Mode) {
    match mode {
        Mode::Https(_) => log.line("Server Mode: HTTPS"),
        Mode::Http => {
            log.line("Server Mode: HTTP");
            log.finding(&plain_http());
        }
    }
}

/// Without the three keys: whoever forgot them must not learn it from others.
pub(crate) fn plain_http() -> Finding {
    Finding::warning(
        "mode-http",
        text!(
            "SERVER_CRT、SERVER_PEM、CA_CRTがないため、HTTP(暗号化と認証なし)で動作します。だれでも接続できます。",
            "without SERVER_CRT, SERVER_PEM and CA_CRT the gateway serves plain HTTP, without encryption or authentication, to anybody"
        ),
        text!(
            "SSLクライアント認証を使う場合は、3つとも設定してください。",
            "set all three to use client certificates"
        ),
    )
}

/// Says what keeps the three files from being used. Missing ones are told by [`files`] already.
pub(crate) fn unusable(log: &EventLog, errors: &[CredentialsError]) {
    for error in errors {
        match error {
            CredentialsError::Missing { .. } => {}
            CredentialsError::KeyEncrypted { .. } => {
                log.line(PASSWORD_CANCELED);
                log.trouble(error);
            }
            _ => log.trouble(error),
        }
    }
}

/// Says what works and should be looked at all the same; the end of the server certificate is
/// announced from 30 whole days before, in the original's words.
pub(crate) fn warnings(log: &EventLog, credentials: &Credentials, now: Timestamp) {
    let server = credentials.server();
    let days = server.validity().days_left(now);
    if days <= EXPIRING_DAYS {
        log.line(&expiry_line(&server.subject().one_line(), days));
    }
    for warning in credentials.warnings(now) {
        log.finding(&warning);
    }
}

fn file_line(key: FileKey, presence: Presence) -> String {
    let state = match presence {
        Presence::Exists => "file exists",
        Presence::Missing => "file does not exist",
        Presence::None => "none",
    };
    format!("{key} ...{state}")
}

/// The log shows the line feed in it as `#012`.
fn expiry_line(subject: &str, days: i64) -> String {
    format!(
        "The certificate({subject}) will be expired in {days} days.\nPlease update the certificate."
    )
}

impl Presence {
    fn of(path: Option<&Path>) -> Self {
        match path {
            None => Self::None,
            Some(path) if matches!(path.try_exists(), Ok(false)) => Self::Missing,
            // One that may not be looked at is reported when it is read.
            Some(_) => Self::Exists,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_lines_are_kept_byte_for_byte() {
        let lines = [
            file_line(FileKey::CaCrt, Presence::Exists),
            file_line(FileKey::ServerCrt, Presence::Missing),
            file_line(FileKey::ServerPem, Presence::None),
            PASSWORD_CANCELED.to_owned(),
            orca_messages::render::one_line(&expiry_line("/C=JP/O=test/CN=localhost", -1)),
        ];
        assert_eq!(
            lines,
            [
                "CA_CRT ...file exists",
                "SERVER_CRT ...file does not exist",
                "SERVER_PEM ...none",
                "PASSWORD input was canceled",
                "The certificate(/C=JP/O=test/CN=localhost) will be expired in -1 days.#012Please update the certificate.",
            ]
        );
    }

    #[test]
    fn lines_carry_the_local_time_and_the_remedy_follows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.log");
        let log = EventLog::open(
            &crate::config::LogTarget::File(path.clone()),
            crate::clock::Clock::stopped(),
            jiff::tz::TimeZone::fixed(jiff::tz::offset(9)),
            orca_messages::Lang::En,
        )
        .unwrap();
        let keys = ServerKeys {
            ca_crt: Some(folder.path().to_owned()),
            server_crt: Some("/nowhere/s.crt".into()),
            server_pem: None,
        };
        files(&log, &keys);
        log.flush();
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "2023/09/07 12:56:10 CA_CRT ...file exists\n\
             2023/09/07 12:56:10 SERVER_CRT ...file does not exist\n\
             2023/09/07 12:56:10 remedy: put the file there or correct SERVER_CRT in the configuration file [file-missing]\n\
             2023/09/07 12:56:10 SERVER_PEM ...none\n"
        );
    }
}
