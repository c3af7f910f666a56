//! What attach has done, so that detach can undo it and everybody can see it:
//! `/var/lib/orca-mtls/attached.json`. It belongs to root; the gateway only reads it.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::door::Door;
use super::files;
use super::plan::HttpPort;

/// Folder of the record and the rules; a package makes it too.
pub(crate) const FOLDER: &str = "/var/lib/orca-mtls";

/// In force until `detach`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Record {
    pub(crate) door: Door,
    /// The gateway's own port.
    pub(crate) gateway: u16,
    pub(crate) since: Timestamp,
    /// The gateway's configuration.
    pub(crate) own_conf: PathBuf,
    /// WebORCA's configuration, where it was changed.
    pub(crate) weborca_conf: Option<PathBuf>,
    pub(crate) http_port: HttpPort,
    /// The door stands open since then, for want of anything better.
    pub(crate) emergency: Option<Timestamp>,
}

impl Record {
    /// The record of this machine, if it is attached.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub(crate) fn read() -> io::Result<Option<Self>> {
        match std::fs::read(path()) {
            Ok(octets) => Ok(Some(serde_json::from_slice(&octets)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes record and rules; with the rules the door is shut again after a reboot.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn write(&self) -> io::Result<()> {
        let json = serde_json::to_vec_pretty(self)?;
        files::make_folder(Path::new(FOLDER))?;
        files::replace(&path(), &json, 0o644)?;
        match self.emergency {
            None => files::replace(&rules(), self.door.to_string().as_bytes(), 0o644),
            Some(_) => files::remove(&rules()),
        }
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn remove() -> io::Result<()> {
        files::remove(&rules())?;
        files::remove(&path())
    }
}

fn path() -> PathBuf {
    Path::new(FOLDER).join("attached.json")
}

/// What `orca-gateway-door.service` loads.
pub(crate) fn rules() -> PathBuf {
    Path::new(FOLDER).join("door.nft")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back() {
        let record = Record {
            door: Door::Redirect {
                weborca: 8000,
                gateway: 8443,
            },
            gateway: 8443,
            since: Timestamp::UNIX_EPOCH,
            own_conf: "/c/orca-gateway.conf".into(),
            weborca_conf: Some("/c/jma-receipt.conf".into()),
            http_port: HttpPort::Was("8000".to_owned()),
            emergency: Some(Timestamp::UNIX_EPOCH),
        };
        let json = serde_json::to_string(&record).unwrap();
        let read: Record = serde_json::from_str(&json).unwrap();
        assert_eq!(read, record, "{json}");
    }
}
