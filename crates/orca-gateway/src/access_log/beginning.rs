//! Where a chain begins: who writes it, and what the file holds already.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::line::rfc3339;
use crate::chain::{Chain, ChainId, Head, Link, Previous, Writer};
use crate::config::LogTarget;

/// The end of a file that is looked at; a line is much shorter.
const TAIL: u64 = 1 << 20;

/// A chain for a writer that starts now.
pub(super) fn chain(target: &LogTarget, now: Timestamp, zone: &TimeZone) -> Chain {
    let end = match target {
        LogTarget::Stdout => FileEnd::default(),
        // A file that cannot be read, or is not there yet, tells nothing.
        LogTarget::File(path) => FileEnd::of(path).unwrap_or_default(),
    };
    let mut random = [0; 8];
    // Without randomness two chains may get one name, which only verifying would notice.
    let _ = aws_lc_rs::rand::fill(&mut random);
    let host = rustix::system::uname();
    Chain::new(
        ChainId::new(random),
        Writer {
            started: rfc3339(now, zone),
            host: host.nodename().to_string_lossy().into_owned(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            previous: end.head.map(Previous::from),
            torn: end.torn,
        },
    )
}

/// What a file ends in.
#[derive(Debug, Default, Eq, PartialEq)]
struct FileEnd {
    /// Of the last whole line that has a link.
    head: Option<Head>,
    /// Octets after the last line feed.
    torn: u64,
}

impl FileEnd {
    fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let status = file.metadata()?;
        if !status.is_file() {
            return Ok(Self::default());
        }
        file.seek(SeekFrom::Start(status.len().saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.take(TAIL).read_to_end(&mut tail)?;
        let whole = tail.iter().rposition(|octet| *octet == b'\n');
        let (lines, torn) = tail.split_at(whole.map_or(0, |at| at + 1));
        let mut links = lines.rsplit(|octet| *octet == b'\n');
        Ok(Self {
            head: links.find_map(Link::read).map(|link| link.head),
            torn: u64::try_from(torn.len()).unwrap_or(u64::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::chain_for_tests;

    #[test]
    fn the_head_of_the_chain_before_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        assert!(FileEnd::of(&path).is_err());
        let mut chain = chain_for_tests(1, None);
        let mut lines = b"a line of an older version\n".to_vec();
        for _ in 0..3 {
            chain.append(b"{\"a\":1}", &mut lines);
        }
        lines.extend_from_slice(b"half a li");
        crate::in_process::write(&path, lines);
        let end = FileEnd::of(&path).unwrap();
        assert_eq!(end.head, chain.head());
        assert_eq!(end.torn, 9);
        crate::in_process::write(&path, "");
        assert_eq!(FileEnd::of(&path).unwrap(), FileEnd::default());
    }
}
