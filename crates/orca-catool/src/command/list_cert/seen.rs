//! What `orca-gateway last_seen` tells, beside the register.

use std::collections::HashMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use orca_messages::{Localize, Text, render, text};
use serde::{Deserialize, Serialize};

/// A CSV or JSON of any size a gateway makes.
const MOST_OCTETS: u64 = 16 << 20;

/// The last use of a certificate; the names are those of `orca-gateway last_seen`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Use {
    pub(super) last_seen: Option<String>,
    pub(super) last_address: Option<String>,
    pub(super) user_agent: Option<String>,
}

/// Last uses by fingerprint.
#[derive(Debug)]
pub(super) struct Uses(HashMap<String, Use>);

#[derive(Deserialize)]
struct Row {
    fingerprint: String,
    last_seen: Option<String>,
    last_address: Option<String>,
    user_agent: Option<String>,
}

impl Uses {
    /// Reads the JSON or CSV.
    ///
    /// # Errors
    /// It cannot be read, or is something else.
    pub(super) fn read(path: &Path) -> Result<Self, SeenError> {
        let failed = |detail: &dyn Display| SeenError {
            path: path.to_owned(),
            detail: detail.to_string(),
        };
        let octets = read(path).map_err(|error| failed(&error))?;
        Self::parse(&octets).map_err(|error| failed(&error))
    }

    fn parse(octets: &[u8]) -> Result<Self, Box<dyn std::error::Error>> {
        let rows: Vec<Row> = if octets.trim_ascii_start().starts_with(b"[") {
            serde_json::from_slice(octets)?
        } else {
            let mut reader = csv::Reader::from_reader(octets);
            if !reader.headers()?.iter().any(|name| name == "fingerprint") {
                return Err("no column fingerprint".into());
            }
            reader.deserialize().collect::<Result<_, _>>()?
        };
        let uses = rows.into_iter().map(|row| {
            let last = Use {
                last_seen: row.last_seen,
                last_address: row.last_address,
                user_agent: row.user_agent,
            };
            (row.fingerprint, last)
        });
        Ok(Self(uses.collect()))
    }

    /// Of one certificate; nothing where it was not seen.
    pub(super) fn of(&self, fingerprint: Option<&str>) -> Use {
        let known = fingerprint.and_then(|fingerprint| self.0.get(fingerprint));
        known.cloned().unwrap_or_default()
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    File::open(path)?
        .take(MOST_OCTETS)
        .read_to_end(&mut octets)?;
    Ok(octets)
}

/// The file of `--seen` cannot be used.
#[derive(Debug)]
pub(crate) struct SeenError {
    path: PathBuf,
    detail: String,
}

impl Localize for SeenError {
    fn id(&self) -> &'static str {
        "seen-file-unusable"
    }

    fn message(&self) -> Text {
        let path = render::one_line(&self.path.display().to_string());
        let detail = render::one_line(&self.detail);
        text!(
            "--seen のファイル {path} を読み取れません({detail})。",
            "the file {path} of --seen cannot be used: {detail}"
        )
    }

    fn remedy(&self) -> Text {
        text!(
            "サーバで orca-gateway last_seen --format csv を実行し、その出力を指定してください。",
            "give it what orca-gateway last_seen --format csv prints on the server"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_and_json_say_the_same() {
        let csv = "fingerprint,serial,last_seen,last_address,user_agent,two_addresses\n\
                   ab,3,2026-11-24T00:00:00Z,192.168.1.5,\"curl, or so\",\n";
        let json = r#"[{"fingerprint":"ab","serial":"3","last_seen":"2026-11-24T00:00:00Z",
                        "last_address":"192.168.1.5","user_agent":"curl, or so"}]"#;
        for text in [csv, json] {
            let uses = Uses::parse(text.as_bytes()).unwrap();
            let last = uses.of(Some("ab"));
            assert_eq!(last.last_seen.as_deref(), Some("2026-11-24T00:00:00Z"));
            assert_eq!(last.last_address.as_deref(), Some("192.168.1.5"));
            assert_eq!(last.user_agent.as_deref(), Some("curl, or so"));
            assert!(uses.of(Some("cd")).last_seen.is_none());
            assert!(uses.of(None).last_seen.is_none());
        }
    }

    #[test]
    fn something_else_is_refused() {
        for text in ["", "a,b\n1,2\n", "[{}]", "[1"] {
            let refused = Uses::parse(text.as_bytes());
            assert!(refused.is_err(), "{text}");
        }
    }
}
