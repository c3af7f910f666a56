//! The number that must not go back, in a small file beside the last good copy, so that a lost or
//! damaged copy does not forget it.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use orca_pki::crl::ListNumber;
use serde::{Deserialize, Serialize};

/// What is remembered of the newest list of an authority.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    /// `None` after a reset: any list of the authority may follow.
    pub(super) number: Option<ListNumber>,
    /// Of its DER: there is only one list of a number.
    pub(super) sha256: [u8; 32],
    /// Decides between lists that have no number.
    pub(super) this_update: Timestamp,
    pub(super) carrier: Carrier,
}

/// How a list came.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Carrier {
    /// It lay in the file of `CA_CRL`.
    File,
    /// We asked for it.
    Poll,
    /// It was sent to us.
    Push,
}

/// The file, for people too.
#[derive(Deserialize, Serialize)]
struct Written {
    number: Option<String>,
    sha256: String,
    this_update: String,
    carrier: Carrier,
}

impl Mark {
    /// `None` where there is no file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let written: Written = serde_json::from_slice(&text)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "no number, digest or date");
        let number = written.number.map(|number| number.parse()).transpose();
        Ok(Some(Self {
            number: number.map_err(|_| damaged())?,
            sha256: from_hex(&written.sha256).ok_or_else(damaged)?,
            this_update: written.this_update.parse().map_err(|_| damaged())?,
            carrier: written.carrier,
        }))
    }

    /// What the file is to hold.
    ///
    /// # Errors
    /// None in practice.
    pub(super) fn to_json(self) -> io::Result<Vec<u8>> {
        let written = Written {
            number: self.number.map(|number| number.to_string()),
            sha256: to_hex(&self.sha256),
            this_update: self.this_update.to_string(),
            carrier: self.carrier,
        };
        let mut text = serde_json::to_vec(&written)?;
        text.push(b'\n');
        Ok(text)
    }
}

fn to_hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut octets = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(octets)
}
