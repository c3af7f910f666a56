//! One file, line by line.

use std::collections::HashMap;

use super::LineEnd;
use super::anchors::Anchors;
use super::report::{Kind, Report};
use super::track::{Harm, Judged, Track};
use crate::chain::{ChainId, Head, Link, Writer};

/// A file that is being read.
pub(super) struct Scan<'a> {
    file: usize,
    line: u64,
    anchors: &'a Anchors,
    report: &'a mut Report,
    tracks: HashMap<ChainId, Track>,
    /// The order in which chains began, and the one that was written last.
    order: Vec<ChainId>,
    /// Lines from before the first chain: an older version wrote them.
    older: u64,
    /// A last line without a line feed.
    unfinished: bool,
    /// The last line had no link: where it stands and how long it is.
    torn: Option<(u64, u64)>,
    /// What the first lines of chains say about the chains before.
    claims: Vec<Claim>,
    harms: Vec<Judged>,
}

/// What the first line of a chain says about the chain before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) by: ChainId,
    pub(super) previous: Head,
}

/// All that a file showed.
pub(super) struct Scanned {
    pub(super) tracks: Vec<Track>,
    pub(super) claims: Vec<Claim>,
}

impl<'a> Scan<'a> {
    /// Of the file with this number in the report.
    pub(super) fn new(file: usize, anchors: &'a Anchors, report: &'a mut Report) -> Self {
        Self {
            file,
            line: 0,
            anchors,
            report,
            tracks: HashMap::new(),
            order: Vec::new(),
            older: 0,
            unfinished: false,
            torn: None,
            claims: Vec::new(),
            harms: Vec::new(),
        }
    }

    /// Takes the next line.
    pub(super) fn line(&mut self, line: &[u8], end: LineEnd) {
        self.line += 1;
        if std::mem::take(&mut self.unfinished) {
            // Longer than any line of ours, and not the last.
            self.line -= 1;
            self.unlinked(&[]);
            self.line += 1;
        }
        match Link::read(line) {
            Some(link) => self.linked(&link),
            // It is being written, or a crash broke it off; what follows it would show.
            None if end == LineEnd::Open => self.unfinished = true,
            None => self.unlinked(line),
        }
    }

    /// The end of the file.
    pub(super) fn finish(mut self) -> Scanned {
        if self.unfinished {
            self.report.note(Kind::Torn, self.file, self.line, None);
        }
        let mut tracks = Vec::new();
        for id in std::mem::take(&mut self.order) {
            if let Some(mut track) = self.tracks.remove(&id) {
                track.finish(&mut self.harms);
                self.blame(id);
                tracks.push(track);
            }
        }
        self.report.add_lines(self.line);
        if self.older > 0 {
            self.report
                .note(Kind::Unchained { lines: self.older }, self.file, 1, None);
        }
        Scanned {
            tracks,
            claims: self.claims,
        }
    }

    fn linked(&mut self, link: &Link<'_>) {
        let id = link.head.id;
        match self.tracks.get_mut(&id) {
            Some(track) => {
                track.line(self.line, link, &mut self.harms);
                if !self.harms.is_empty() {
                    self.blame(id);
                }
                if self.order.last() != Some(&id) {
                    self.two_writers(id);
                }
            }
            None => self.begin(link),
        }
        self.torn = None;
        if let Some(hashes) = self.anchors.of(id).and_then(|of| of.get(&link.head.number)) {
            self.report.anchors += 1;
            if hashes.iter().any(|hash| *hash != link.head.hash) {
                let kind = Kind::Rewritten {
                    number: link.head.number,
                };
                self.report.fail(kind, self.file, self.line, Some(id));
            }
        }
    }

    /// The first line of a chain in this file.
    fn begin(&mut self, link: &Link<'_>) {
        let writer: Option<Writer> = link
            .writer
            .and_then(|writer| serde_json::from_slice(writer).ok());
        if let Some(writer) = &writer {
            if let Some(previous) = writer.previous.as_ref().and_then(|told| told.head()) {
                let by = link.head.id;
                self.claims.push(Claim { by, previous });
            }
            self.forgive_torn(writer);
        }
        let (track, judged) = Track::new(self.file, self.line, link);
        self.harms.extend(judged);
        self.blame(track.id);
        self.order.push(track.id);
        self.tracks.insert(track.id, track);
    }

    /// A writer that found half a line says so: a crash, not a hand.
    fn forgive_torn(&mut self, writer: &Writer) {
        let Some((line, _)) = self.torn.filter(|(_, octets)| *octets == writer.torn) else {
            return;
        };
        self.report.note(Kind::Torn, self.file, line, None);
        if self.order.is_empty() {
            self.older = self.older.saturating_sub(1);
        }
        if let Some(track) = self.order.last().and_then(|id| self.tracks.get_mut(id)) {
            track.forget_unlinked();
        }
    }

    fn unlinked(&mut self, line: &[u8]) {
        self.torn = Some((self.line, u64::try_from(line.len()).unwrap_or(u64::MAX)));
        match self.order.last().and_then(|id| self.tracks.get_mut(id)) {
            Some(track) => track.unlinked(self.line),
            None => self.older += 1,
        }
    }

    /// A chain goes on after another has begun: its lines, or those of the other, were put there.
    fn two_writers(&mut self, resumed: ChainId) {
        let Some(other) = self.order.last().and_then(|id| self.tracks.get(id)) else {
            return;
        };
        let (id, line) = (other.id, other.first.line);
        // Where sockets are handed over, the old gateway finishes while the new one serves.
        let anchored = [id, resumed]
            .iter()
            .all(|id| self.anchors.of(*id).is_some());
        match anchored {
            true => self
                .report
                .note(Kind::TwoWriters, self.file, line, Some(id)),
            false => self
                .report
                .fail(Kind::TwoWriters, self.file, line, Some(id)),
        }
        self.order.retain(|id| *id != resumed);
        self.order.push(resumed);
    }

    fn blame(&mut self, id: ChainId) {
        for Judged { line, harm } in self.harms.drain(..) {
            let kind = match harm {
                Harm::Changed => Kind::Changed,
                Harm::Inserted => Kind::Inserted,
                Harm::Removed { from, to } => Kind::Removed { from, to },
            };
            self.report.fail(kind, self.file, line, Some(id));
        }
    }
}
