//! The newest lists of all authorities as others may fetch them: what is in force and on disk.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderValue;
use orca_pki::certificate;
use orca_pki::crl::{ListNumber, UnverifiedCrl};
use orca_pki::key::{KeyId, sha256};

use crate::crl_store::{copy_path, was_reset};

/// One moment's lists. Immutable and shared, however many read it.
#[derive(Debug, Default)]
pub(crate) struct Published {
    kept: Vec<Kept>,
    pem: Bytes,
    tag: Option<HeaderValue>,
}

/// A list on disk.
#[derive(Debug)]
struct Kept {
    key: KeyId,
    number: ListNumber,
    digest: [u8; 32],
}

/// Reads the last good copies when they change.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    shown: Mutex<(Vec<Stamp>, Arc<Published>)>,
}

/// Tells one copy from the next, which was renamed into its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    key: KeyId,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Published {
    /// All lists behind each other as PEM (RFC 7468 §7), and their strong entity tag; `None` where
    /// there is no list.
    pub(crate) fn content(&self) -> Option<(&Bytes, &HeaderValue)> {
        Some((&self.pem, self.tag.as_ref()?))
    }

    /// What is on disk of an authority: the number, and whether it is this very list.
    pub(crate) fn kept(&self, key: KeyId, der: &[u8]) -> Option<(ListNumber, Copy)> {
        let kept = self.kept.iter().find(|kept| kept.key == key)?;
        let copy = match kept.digest == sha256(der) {
            true => Copy::Same,
            false => Copy::Another,
        };
        Some((kept.number, copy))
    }
}

/// How a list compares with the one on disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Copy {
    Another,
    Same,
}

impl Shelf {
    /// Of the folder `GATEWAY_STATE`.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            shown: Mutex::default(),
        }
    }

    /// Whether any list of an authority may follow. Reads a file.
    pub(crate) fn was_reset(&self, authority: KeyId) -> bool {
        was_reset(&self.folder, authority)
    }

    /// The lists of these authorities. Reads files: not for an event loop.
    pub(crate) fn published(&self, authorities: &[KeyId]) -> Arc<Published> {
        let stamps: Vec<Stamp> = authorities
            .iter()
            .filter_map(|key| Stamp::of(*key, &copy_path(&self.folder, *key)).ok())
            .collect();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.0 != stamps {
            let published = Arc::new(read(&self.folder, &stamps));
            *shown = (stamps, published);
        }
        Arc::clone(&shown.1)
    }
}

impl Stamp {
    fn of(key: KeyId, path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            key,
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// A copy that cannot be read is left out: the keeper says so when it reads it.
fn read(folder: &Path, stamps: &[Stamp]) -> Published {
    let mut published = Published::default();
    let mut pem = String::new();
    for Stamp { key, .. } in stamps {
        let Ok(der) = fs::read(copy_path(folder, *key)) else {
            continue;
        };
        let Ok(list) = UnverifiedCrl::from_der(&der) else {
            continue;
        };
        published.kept.push(Kept {
            key: *key,
            number: list.number(),
            digest: sha256(&der),
        });
        pem.push_str(&certificate::pem("X509 CRL", &der));
    }
    if !published.kept.is_empty() {
        published.tag =
            HeaderValue::try_from(format!("\"{}\"", KeyId(sha256(pem.as_bytes())))).ok();
    }
    published.pem = pem.into();
    published
}
