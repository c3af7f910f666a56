//! The file of what was seen, in the folder of the state.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::Path;

use orca_messages::{Finding, render, text};
use orca_pki::certificate::Fingerprint;
use orca_pki::key::KeyId;
use serde::{Deserialize, Serialize};

use super::{MOST, Seen};

/// Its name.
pub(super) const FILE: &str = "last-seen.json";
/// A file of ours is smaller.
const MOST_OCTETS: u64 = 16 << 20;

/// One row of the file and of the list.
#[derive(Deserialize, Serialize)]
pub(super) struct Row {
    fingerprint: String,
    pub(super) serial: String,
    pub(super) subject: String,
    issuer: String,
    not_after: String,
    last_seen: String,
    last_address: IpAddr,
    user_agent: Option<String>,
    two_addresses: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    two_addresses_told: Option<String>,
}

/// Reads the file; none is an empty one.
pub(super) fn read(path: &Path) -> io::Result<Vec<Seen>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut octets = Vec::new();
    file.take(MOST_OCTETS).read_to_end(&mut octets)?;
    let rows: Vec<Row> = serde_json::from_slice(&octets)?;
    rows.into_iter()
        .take(MOST)
        .map(|row| row.seen().ok_or_else(|| io::ErrorKind::InvalidData.into()))
        .collect()
}

/// Temporary file, fsync, rename: a crash leaves the old file or the new one.
pub(super) fn write(path: &Path, seen: &[Seen]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let rows: Vec<Row> = seen.iter().map(Row::kept).collect();
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(&rows)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

/// The file says nothing that can be used.
pub(super) fn damaged(path: &Path, error: &io::Error) -> Finding {
    let (path, error) = (path.display(), render::one_line(&error.to_string()));
    Finding::warning(
        "last-seen-damaged",
        text!(
            "証明書の最終使用の記録({path})を読み取れません({error})。",
            "the file {path} of when certificates were used last cannot be read: {error}",
        ),
        text!(
            "新しい記録を始めます。以前の記録は、アクセスログで確認できます。",
            "a new one is begun; the access log tells of earlier uses",
        ),
    )
}

impl Row {
    /// As people and scripts see it.
    pub(super) fn shown(seen: &Seen) -> Self {
        Self {
            fingerprint: seen.fingerprint.to_string(),
            serial: seen.serial.decimal(),
            subject: seen.subject.clone(),
            issuer: seen.issuer.clone(),
            not_after: seen.not_after.to_string(),
            last_seen: seen.at.to_string(),
            last_address: seen.address,
            user_agent: seen.user_agent.clone(),
            two_addresses: seen.two_addresses.map(|at| at.to_string()),
            issuer_key: None,
            two_addresses_told: None,
        }
    }

    fn kept(seen: &Seen) -> Self {
        Self {
            issuer_key: seen.issuer_key.map(|key| key.to_string()),
            two_addresses_told: seen.told.map(|at| at.to_string()),
            ..Self::shown(seen)
        }
    }

    fn seen(self) -> Option<Seen> {
        let moment = |text: Option<String>| text.and_then(|text| text.parse().ok());
        Some(Seen {
            fingerprint: Fingerprint(octets(&self.fingerprint)?),
            issuer_key: self.issuer_key.and_then(|key| octets(&key)).map(KeyId),
            serial: self.serial.parse().ok()?,
            subject: self.subject,
            issuer: self.issuer,
            not_after: self.not_after.parse().ok()?,
            at: self.last_seen.parse().ok()?,
            address: self.last_address,
            user_agent: self.user_agent,
            two_addresses: moment(self.two_addresses),
            told: moment(self.two_addresses_told),
        })
    }
}

fn octets(hex: &str) -> Option<[u8; 32]> {
    let mut octets = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (octet, place) in octets.iter_mut().zip((0..64).step_by(2)) {
        *octet = u8::from_str_radix(&hex[place..place + 2], 16).ok()?;
    }
    Some(octets)
}
