//! Files put in place on a server so that it can be undone: a journal of what was there before comes
//! first, then each file is replaced whole.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};
use orca_pki::key::sha256;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::delivery;
use crate::error::Error;
use crate::place::Owner;

/// Name of the list of changes in a journal's entry.
const MANIFEST: &str = "changes.json";

/// What a file shall be.
#[derive(Debug)]
pub struct Change {
    /// Which file.
    pub path: PathBuf,
    /// Its whole content.
    pub content: Zeroizing<Vec<u8>>,
    /// Its mode; none leaves that of a file that is there, and is 0644 for a new one.
    pub mode: Option<u32>,
    /// Whom it belongs to; none leaves the owner of a file that is there.
    pub owner: Option<Owner>,
}

impl Change {
    /// Whether the file is so already.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn is_done(&self) -> Result<bool, Error> {
        let Some(now) = Existing::read(&self.path)? else {
            return Ok(false);
        };
        Ok(*now.content == *self.content
            && self.mode.is_none_or(|mode| now.mode == mode)
            && self.owner.is_none_or(|owner| now.owner == owner))
    }

    fn make(&self) -> Result<(), Error> {
        let now = Existing::read(&self.path)?;
        let (mode, owner) = match now {
            Some(now) => (
                self.mode.unwrap_or(now.mode),
                self.owner.or(Some(now.owner)),
            ),
            None => (self.mode.unwrap_or(0o644), self.owner),
        };
        delivery::replace(&self.path, &self.content, mode, owner)
    }
}

/// Makes the changes, all or none, and remembers in the folder `journal` (0700) what was there.
///
/// # Errors
/// A file cannot be read or written; what was changed before that is changed back.
pub fn apply(changes: &[Change], journal: &Path) -> Result<(), Error> {
    let entry = next_entry(journal)?;
    let records = save(changes, &entry).inspect_err(|_| discard(&entry))?;
    for (done, change) in changes.iter().enumerate() {
        if let Err(error) = change.make() {
            for record in records[..done].iter().rev() {
                // The first error is what has to be told.
                record.put_back(&entry).ok();
            }
            discard(&entry);
            return Err(error);
        }
    }
    Ok(())
}

/// What the last [`apply`] changed is as it was before.
///
/// # Errors
/// There is nothing to undo, or a file cannot be written.
pub fn undo(journal: &Path) -> Result<Undone, Error> {
    let entry = last_entry(journal)?.ok_or_else(|| Error::NothingToUndo {
        journal: journal.to_owned(),
    })?;
    let mut undone = Undone::default();
    for record in manifest(&entry)?.iter().rev() {
        let is_ours = Existing::read(&record.path)?
            .is_some_and(|now| hex(&sha256(&now.content)) == record.written);
        if is_ours {
            record.put_back(&entry)?;
            undone.restored.push(record.path.clone());
        } else {
            undone.left.push(record.path.clone());
        }
    }
    discard(&entry);
    Ok(undone)
}

/// What became of the files.
#[derive(Debug, Default)]
pub struct Undone {
    /// As they were.
    pub restored: Vec<PathBuf>,
    /// Changed or removed by somebody since, and left alone.
    pub left: Vec<PathBuf>,
}

/// A file as it is.
struct Existing {
    content: Zeroizing<Vec<u8>>,
    mode: u32,
    owner: Owner,
}

impl Existing {
    fn read(path: &Path) -> Result<Option<Self>, Error> {
        let failed = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let content = match fs::read(path) {
            Ok(content) => Zeroizing::new(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let status = fs::metadata(path).map_err(failed)?;
        Ok(Some(Self {
            content,
            mode: status.permissions().mode() & 0o7777,
            owner: Owner {
                uid: Uid::from_raw(status.uid()),
                gid: Gid::from_raw(status.gid()),
            },
        }))
    }
}

/// One change in the journal.
#[derive(Debug, Deserialize, Serialize)]
struct Record {
    path: PathBuf,
    /// SHA-256 of what was written, lower hex.
    written: String,
    /// What was there.
    before: Option<Before>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Before {
    /// The name of the copy in the entry.
    copy: String,
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Record {
    fn put_back(&self, entry: &Path) -> Result<(), Error> {
        let failed = |source| Error::Io {
            path: self.path.clone(),
            source,
        };
        let Some(before) = &self.before else {
            return fs::remove_file(&self.path).map_err(failed);
        };
        let content = Zeroizing::new(fs::read(entry.join(&before.copy)).map_err(failed)?);
        let owner = Owner {
            uid: Uid::from_raw(before.uid),
            gid: Gid::from_raw(before.gid),
        };
        delivery::replace(&self.path, &content, before.mode, Some(owner))
    }
}

fn save(changes: &[Change], entry: &Path) -> Result<Vec<Record>, Error> {
    let mut records = Vec::new();
    for (number, change) in changes.iter().enumerate() {
        let before = match Existing::read(&change.path)? {
            None => None,
            Some(now) => {
                let copy = number.to_string();
                delivery::replace(&entry.join(&copy), &now.content, 0o600, None)?;
                Some(Before {
                    copy,
                    mode: now.mode,
                    uid: now.owner.uid.as_raw(),
                    gid: now.owner.gid.as_raw(),
                })
            }
        };
        records.push(Record {
            path: change.path.clone(),
            written: hex(&sha256(&change.content)),
            before,
        });
    }
    let path = entry.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&records).map_err(|error| Error::Io {
        path: path.clone(),
        source: error.into(),
    })?;
    delivery::replace(&path, &text, 0o600, None)?;
    Ok(records)
}

fn manifest(entry: &Path) -> Result<Vec<Record>, Error> {
    let path = entry.join(MANIFEST);
    let failed = |source| Error::Io {
        path: path.clone(),
        source,
    };
    let text = fs::read(&path).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|error| failed(error.into()))
}

fn next_entry(journal: &Path) -> Result<PathBuf, Error> {
    let failed = |path: &Path, source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let mut folder = DirBuilder::new();
    folder.mode(0o700);
    if !journal.is_dir() {
        folder.create(journal).map_err(|e| failed(journal, e))?;
    }
    let next = numbers(journal)?.last().map_or(1, |last| last + 1);
    let entry = journal.join(format!("{next:04}"));
    folder.create(&entry).map_err(|e| failed(&entry, e))?;
    Ok(entry)
}

/// The last entry that was finished: without its list nothing had been changed yet.
fn last_entry(journal: &Path) -> Result<Option<PathBuf>, Error> {
    let entries = numbers(journal)?.into_iter().rev();
    let mut finished = entries
        .map(|number| journal.join(format!("{number:04}")))
        .filter(|entry| entry.join(MANIFEST).is_file());
    Ok(finished.next())
}

fn numbers(journal: &Path) -> Result<Vec<u32>, Error> {
    let entries = match fs::read_dir(journal) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            let path = journal.to_owned();
            return Err(Error::Io { path, source });
        }
    };
    let mut numbers: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The copies may hold private keys; what cannot be removed is of mode 0700 and harms nobody.
fn discard(entry: &Path) {
    fs::remove_dir_all(entry).ok();
    if let Some(journal) = entry.parent() {
        fs::remove_dir(journal).ok();
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &Path, content: &str, mode: u32) -> Change {
        Change {
            path: path.to_owned(),
            content: Zeroizing::new(content.into()),
            mode: Some(mode),
            owner: None,
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_was_put_in_place_can_be_undone_step_by_step() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        let journal = folder.path().join("journal");
        delivery::replace(&old, b"1", 0o640, None).unwrap();
        apply(
            &[change(&old, "2", 0o400), change(&new, "n", 0o400)],
            &journal,
        )
        .unwrap();
        apply(&[change(&old, "3", 0o400)], &journal).unwrap();
        assert_eq!(mode(&journal), 0o700);
        assert_eq!(undo(&journal).unwrap().restored, std::slice::from_ref(&old));
        assert_eq!(fs::read(&old).unwrap(), b"2");
        let undone = undo(&journal).unwrap();
        assert_eq!(undone.restored, [new.clone(), old.clone()]);
        assert_eq!(
            (fs::read(&old).unwrap(), mode(&old)),
            (b"1".to_vec(), 0o640)
        );
        assert!(!new.exists() && !journal.exists());
        assert!(matches!(undo(&journal), Err(Error::NothingToUndo { .. })));
    }

    #[test]
    fn what_somebody_changed_since_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (path, journal) = (folder.path().join("conf"), folder.path().join("journal"));
        apply(&[change(&path, "ours", 0o644)], &journal).unwrap();
        delivery::replace(&path, b"theirs", 0o644, None).unwrap();
        let undone = undo(&journal).unwrap();
        assert_eq!(undone.left, std::slice::from_ref(&path));
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
    }

    #[test]
    fn a_change_that_fails_takes_those_before_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, journal) = (folder.path().join("conf"), folder.path().join("journal"));
        delivery::replace(&path, b"before", 0o644, None).unwrap();
        let nowhere = folder.path().join("no/such/folder");
        let changes = [change(&path, "after", 0o644), change(&nowhere, "x", 0o400)];
        assert!(apply(&changes, &journal).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert!(!journal.exists());
    }

    #[test]
    fn a_file_that_is_right_already_needs_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        let wanted = change(&path, "x", 0o400);
        assert!(!wanted.is_done().unwrap());
        delivery::replace(&path, b"x", 0o644, None).unwrap();
        assert!(!wanted.is_done().unwrap(), "others could read it");
        wanted.make().unwrap();
        assert!(wanted.is_done().unwrap());
    }
}
