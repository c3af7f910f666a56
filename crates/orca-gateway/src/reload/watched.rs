//! Whether files have changed and come to rest.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files that are taken together.
#[derive(Debug)]
pub(super) struct Watched {
    paths: Vec<PathBuf>,
    taken: Vec<Stamp>,
    seen: Vec<Stamp>,
    polls: u32,
}

/// What of a file changes when its content does; `None` where it cannot be looked at.
type Stamp = Option<Facts>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Facts {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Watched {
    /// Nothing is taken yet.
    pub(super) fn new<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let paths: Vec<_> = paths.into_iter().cloned().collect();
        Self {
            taken: vec![None; paths.len()],
            seen: vec![None; paths.len()],
            paths,
            polls: 0,
        }
    }

    /// Looks at the files once: whether they differ from what was taken and have not changed for
    /// this many looks.
    pub(super) fn settled(&mut self, polls: u32) -> bool {
        let now = self.stamps();
        if now == self.seen {
            self.polls = self.polls.saturating_add(1);
        } else {
            self.seen = now;
            self.polls = 0;
        }
        self.seen != self.taken && self.polls >= polls
    }

    /// The files as they are now are about to be read; what changes during the reading is a change.
    pub(super) fn take(&mut self) {
        self.taken = self.stamps();
        self.seen.clone_from(&self.taken);
        self.polls = 0;
    }

    fn stamps(&self) -> Vec<Stamp> {
        self.paths.iter().map(|path| stamp(path)).collect()
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some(Facts {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_change_counts_once_and_only_at_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crl");
        let mut watched = Watched::new([&path]);
        watched.take();
        assert!(!watched.settled(1), "absent as before");
        let mut file = fs::File::create(&path).unwrap();
        assert!(!watched.settled(1), "just appeared");
        file.write_all(b"1").unwrap();
        assert!(!watched.settled(1), "still growing");
        assert!(watched.settled(1));
        watched.take();
        assert!(!watched.settled(1));
        fs::remove_file(&path).unwrap();
        assert!(!watched.settled(1));
        assert!(watched.settled(1), "gone is a change too");
    }

    #[test]
    fn a_file_of_the_same_size_renamed_into_place_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        for file in [&path, &other] {
            fs::File::create(file).unwrap().write_all(b"x").unwrap();
        }
        let mut watched = Watched::new([&path]);
        watched.take();
        fs::rename(&other, &path).unwrap();
        watched.settled(0);
        assert!(watched.settled(0));
    }
}
