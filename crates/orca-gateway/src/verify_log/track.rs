//! One chain in one file, followed line by line.

use crate::chain::{ChainId, Hash, Head, Link};

/// What happened to a line, as its neighbours show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Harm {
    /// Not what was written.
    Changed,
    /// Does not belong here: inserted, repeated or moved.
    Inserted,
    /// Lines of these numbers should stand before it.
    Removed { from: u64, to: u64 },
}

/// A line that was judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Judged {
    pub(super) line: u64,
    pub(super) harm: Harm,
}

/// A chain as one file shows it.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) id: ChainId,
    pub(super) file: usize,
    /// The first line: where it stands, its number, and what its hash is over; that it follows the
    /// last line of another file is seen later.
    pub(super) first: Opening,
    /// The last line that is believed.
    main: State,
    /// Lines that followed each other up to it.
    run: u64,
    /// A line that does not fit, until the next one tells why.
    candidate: Option<Candidate>,
    /// Lines without a link just before, which may be lines of this chain.
    unlinked: Vec<u64>,
}

/// The first line of a chain in a file.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) line: u64,
    pub(super) head: Head,
    pub(super) hashed: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    line: u64,
    number: u64,
    hash: Hash,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    state: State,
    /// The hash it should carry.
    due: Hash,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// The right number, a wrong hash.
    Same,
    /// A later number.
    Ahead,
    /// A number that was there.
    Back,
}

impl Track {
    /// Begins with the first line of the chain in a file.
    pub(super) fn new(file: usize, line: u64, link: &Link<'_>) -> (Self, Option<Judged>) {
        let head = link.head;
        let is_changed = head.number == 1 && !link.follows(&Hash::NONE);
        let track = Self {
            id: head.id,
            file,
            first: Opening {
                line,
                head,
                hashed: link.hashed.to_vec(),
            },
            main: State {
                line,
                number: head.number,
                hash: head.hash,
            },
            run: 1,
            candidate: None,
            unlinked: Vec::new(),
        };
        let judged = is_changed.then_some(Judged {
            line,
            harm: Harm::Changed,
        });
        (track, judged)
    }

    /// The number and hash of the last line that is believed, and where it stands.
    pub(super) fn last(&self) -> (u64, Hash, u64) {
        (self.main.number, self.main.hash, self.main.line)
    }

    /// Takes the next line; most fit, and then nothing is said.
    pub(super) fn line(&mut self, line: u64, link: &Link<'_>, harms: &mut Vec<Judged>) {
        if self.candidate.is_none()
            && self.unlinked.is_empty()
            && link.head.number == self.main.number + 1
            && link.follows(&self.main.hash)
        {
            return self.believe(line, link);
        }
        self.settle(line, link, harms);
    }

    /// A line without a link stands here.
    pub(super) fn unlinked(&mut self, line: u64) {
        self.unlinked.push(line);
    }

    /// Takes back that the last line without a link may be of this chain.
    pub(super) fn forget_unlinked(&mut self) {
        self.unlinked.clear();
    }

    /// The end of the file.
    pub(super) fn finish(&mut self, harms: &mut Vec<Judged>) {
        self.give_up_candidate(harms);
        // What follows the last line of the chain without a link was not written by its writer.
        self.blame_unlinked(Harm::Inserted, harms);
    }

    fn believe(&mut self, line: u64, link: &Link<'_>) {
        self.main = State {
            line,
            number: link.head.number,
            hash: link.head.hash,
        };
        self.run += 1;
    }

    fn settle(&mut self, line: u64, link: &Link<'_>, harms: &mut Vec<Judged>) {
        let fits = |number: u64, hash: &Hash| link.head.number == number + 1 && link.follows(hash);
        if fits(self.main.number, &self.main.hash) {
            if let Some(candidate) = self.candidate.take() {
                harms.push(inserted(candidate.state.line));
            }
            self.blame_unlinked(Harm::Inserted, harms);
            return self.believe(line, link);
        }
        if let Some(candidate) = self.candidate {
            let state = candidate.state;
            if fits(state.number, &state.hash) || fits(state.number, &candidate.due) {
                self.accept(candidate, harms);
                self.blame_unlinked(Harm::Inserted, harms);
                return self.believe(line, link);
            }
            self.give_up_candidate(harms);
        }
        let replaced = u64::try_from(self.unlinked.len()).unwrap_or(u64::MAX);
        if replaced > 0 && link.head.number == self.main.number.saturating_add(replaced + 1) {
            // As many lines without a link as numbers are missing: those were changed.
            self.blame_unlinked(Harm::Changed, harms);
            return self.believe(line, link);
        }
        self.blame_unlinked(Harm::Inserted, harms);
        self.candidate = Some(Candidate {
            state: State {
                line,
                number: link.head.number,
                hash: link.head.hash,
            },
            due: link.due(&self.main.hash),
            kind: match link.head.number.cmp(&(self.main.number + 1)) {
                std::cmp::Ordering::Equal => Kind::Same,
                std::cmp::Ordering::Greater => Kind::Ahead,
                std::cmp::Ordering::Less => Kind::Back,
            },
        });
    }

    /// The next line follows the candidate: it is part of the chain.
    fn accept(&mut self, candidate: Candidate, harms: &mut Vec<Judged>) {
        let line = candidate.state.line;
        match candidate.kind {
            Kind::Same => harms.push(Judged {
                line,
                harm: Harm::Changed,
            }),
            Kind::Ahead => harms.push(self.removed_before(&candidate)),
            // A lone first line was put before the others.
            Kind::Back if self.run == 1 => harms.push(inserted(self.main.line)),
            Kind::Back => harms.push(inserted(line)),
        }
        self.candidate = None;
        self.main = candidate.state;
        self.run = 1;
    }

    /// Nothing speaks for the candidate but itself.
    fn give_up_candidate(&mut self, harms: &mut Vec<Judged>) {
        let Some(candidate) = self.candidate.take() else {
            return;
        };
        let line = candidate.state.line;
        let harm = match candidate.kind {
            Kind::Same => Harm::Changed,
            Kind::Ahead => self.removed_before(&candidate).harm,
            Kind::Back => Harm::Inserted,
        };
        harms.push(Judged { line, harm });
        if candidate.kind != Kind::Back {
            self.main = candidate.state;
            self.run = 1;
        }
    }

    fn removed_before(&self, candidate: &Candidate) -> Judged {
        Judged {
            line: candidate.state.line,
            harm: Harm::Removed {
                from: self.main.number + 1,
                to: candidate.state.number - 1,
            },
        }
    }

    fn blame_unlinked(&mut self, harm: Harm, harms: &mut Vec<Judged>) {
        let lines = self.unlinked.drain(..);
        harms.extend(lines.map(|line| Judged { line, harm }));
    }
}

fn inserted(line: u64) -> Judged {
    Judged {
        line,
        harm: Harm::Inserted,
    }
}
