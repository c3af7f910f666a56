//! Heads that were told outside of the register.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};

use super::{ChainHash, Head, TrailId};

/// The longest line that is looked at as one.
const MOST_OF_LINE: u64 = 1 << 16;

/// What journals, syslog files and notes say about the trail of one CA.
#[derive(Debug)]
pub struct Anchors {
    id: TrailId,
    heads: BTreeMap<i64, Vec<ChainHash>>,
    others: u64,
}

impl Anchors {
    /// None yet.
    pub fn of(id: TrailId) -> Self {
        Self {
            id,
            heads: BTreeMap::new(),
            others: 0,
        }
    }

    /// Takes every head of this CA that stands in a text.
    ///
    /// # Errors
    /// The text cannot be read.
    pub fn read(&mut self, mut reader: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let octets = reader
                .by_ref()
                .take(MOST_OF_LINE)
                .read_until(b'\n', &mut line)?;
            if octets == 0 {
                return Ok(());
            }
            match String::from_utf8_lossy(&line).parse::<Head>() {
                Ok(head) if head.id == self.id => self.add(&head),
                Ok(_) => self.others += 1,
                Err(_) => {}
            }
        }
    }

    fn add(&mut self, head: &Head) {
        let hashes = self.heads.entry(head.sequence).or_default();
        if !hashes.contains(&head.hash) {
            hashes.push(head.hash);
        }
    }

    /// By number of row; several where somebody tells different things.
    pub fn heads(&self) -> &BTreeMap<i64, Vec<ChainHash>> {
        &self.heads
    }

    /// Heads of other CAs (and of gateways) that were read over.
    pub fn others(&self) -> u64 {
        self.others
    }
}
