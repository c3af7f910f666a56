//! Is the trail as it was written?

use std::ops::RangeInclusive;

use orca_pki::certificate::Certificate;

use super::anchors::Anchors;
use super::{ChainHash, Head, SignedHead, Trail, TrailId, TrailRow};
use crate::record::{AuditEvent, Site};

/// How many rows back, or numbers on, a row is looked for that was moved.
const REACH: i64 = 1024;
/// Findings that are kept; the rest is counted.
const MOST: usize = 1000;

/// What is the matter, with the number of a row as it stands in the register.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Flaw {
    /// A row is not what was written, or does not follow the row before.
    Changed {
        /// Its number.
        row: i64,
    },
    /// Rows are missing before the one named.
    Removed {
        /// The row after them.
        row: i64,
        /// How many.
        count: i64,
    },
    /// Rows that were not written where they stand.
    Inserted {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// Rows are missing at the end: the CA signed a later one, or an anchor tells of it.
    Cut {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// Rows after the last one that the CA signed.
    Unsigned {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// The chain is whole up to this row, but the CA signed another one.
    Recomputed {
        /// The row.
        row: i64,
    },
    /// The signature over this row's hash is not the CA's.
    BadSignature {
        /// The row.
        row: i64,
    },
    /// There is no signature at all.
    NoSignature,
    /// This row is another one than an anchor tells.
    Rewritten {
        /// The row.
        row: i64,
    },
    /// The program found rows that the CA had not signed, and noted it in this row.
    UnsignedBefore {
        /// The row.
        row: i64,
    },
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What is wrong, in the order of the rows.
    pub flaws: Vec<Flaw>,
    /// Flaws that are not in the list, which would be too long.
    pub left_out: usize,
    /// Rows in the register.
    pub rows: usize,
    /// Rows at the beginning that a version without the chain wrote.
    pub older: usize,
    /// Anchors that agree with a row.
    pub anchors: usize,
    /// Anchors of other CAs.
    pub foreign_anchors: u64,
    /// The last row, if it is chained: worth writing down elsewhere.
    pub head: Option<Head>,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.flaws.is_empty()
    }
}

/// Looks at every row, at the signed head and at the anchors.
pub fn verify(trail: &Trail, site: &Site, ca: &Certificate, anchors: &Anchors) -> Verdict {
    let older = trail.rows.iter().take_while(|row| row.is_older()).count();
    let signed = trail.head.as_ref().map(|head| head.sequence);
    let mut walk = Walk::new(site, &trail.rows, signed);
    walk.run();
    let is_whole = walk.flaws.is_empty();
    let Walk {
        links,
        mut flaws,
        shift,
        ..
    } = walk;
    let last = trail.rows.last().map_or(0, |row| row.sequence);
    judge_head(trail, older, (is_whole, shift), (site, ca), &mut flaws);
    let agreeing = judge_anchors(&links, last, anchors, &mut flaws);
    let unsigned = trail
        .rows
        .iter()
        .filter(|row| row.event == AuditEvent::Unsigned.name());
    flaws.extend(unsigned.map(|row| Flaw::UnsignedBefore { row: row.sequence }));
    if trail.rows.is_empty() && flaws.is_empty() {
        // Making a CA writes the first row.
        flaws.push(Flaw::Cut { from: 1, to: 1 });
    }
    let left_out = flaws.len().saturating_sub(MOST);
    flaws.truncate(MOST);
    Verdict {
        left_out,
        rows: trail.rows.len(),
        older,
        anchors: agreeing,
        foreign_anchors: anchors.others(),
        head: trail.rows.last().and_then(|row| {
            Some(Head {
                id: TrailId::of(ca),
                sequence: row.sequence,
                hash: row.carried()?,
            })
        }),
        flaws,
    }
}

fn judge_head(
    trail: &Trail,
    older: usize,
    (is_whole, shift): (bool, i64),
    (site, ca): (&Site, &Certificate),
    flaws: &mut Vec<Flaw>,
) {
    let Some(head) = &trail.head else {
        if trail.rows.len() > older {
            flaws.push(Flaw::NoSignature);
        }
        return;
    };
    if !head.is_signed_by(ca, site) {
        flaws.push(Flaw::BadSignature { row: head.sequence });
        return;
    }
    // By the numbers that rows had before others were inserted or removed.
    let last = trail.rows.last().map_or(0, |row| row.sequence);
    let signed = head.sequence.saturating_sub(shift);
    if last < signed {
        let (from, to) = (last + 1, signed);
        flaws.push(Flaw::Cut { from, to });
        return;
    }
    if last > signed {
        let (from, to) = (signed + 1, last);
        flaws.push(Flaw::Unsigned { from, to });
    }
    let signed = trail.rows.iter().find(|row| row.sequence == head.sequence);
    let agrees = |head: &SignedHead, row: &TrailRow| Some(&head.hash) == row.hash.as_ref();
    // In a broken chain other rows are named already.
    if is_whole && !signed.is_some_and(|row| agrees(head, row)) {
        let row = head.sequence;
        flaws.push(Flaw::Recomputed { row });
    }
}

/// How many anchors agree.
fn judge_anchors(
    links: &[(i64, ChainHash)],
    last: i64,
    anchors: &Anchors,
    flaws: &mut Vec<Flaw>,
) -> usize {
    let mut agreeing = 0;
    for (sequence, hashes) in anchors.heads().range(..=last) {
        let link = links.binary_search_by_key(sequence, |(number, _)| *number);
        let link = link.ok().map(|index| links[index].1);
        let agree = |hash| Some(hash) == link.as_ref();
        agreeing += hashes.iter().filter(|hash| agree(hash)).count();
        if !hashes.iter().all(agree) {
            flaws.push(Flaw::Rewritten { row: *sequence });
        }
    }
    let told = anchors.heads().last_key_value().map(|(number, _)| *number);
    if let Some(to) = told.filter(|told| *told > last) {
        let flaw = Flaw::Cut { from: last + 1, to };
        // What the signed head tells of may be less.
        flaws.retain(|known| !matches!(known, Flaw::Cut { to: known, .. } if *known <= to));
        flaws.push(flaw);
    }
    agreeing
}

/// The rows, one after the other.
struct Walk<'a> {
    site: &'a Site,
    rows: &'a [TrailRow],
    /// The last row by the signed head.
    signed: Option<i64>,
    /// Number and hash of every row that was seen; computed where none is carried.
    links: Vec<(i64, ChainHash)>,
    /// What a row's number was when it was written, less what it is.
    shift: i64,
    flaws: Vec<Flaw>,
}

impl<'a> Walk<'a> {
    fn new(site: &'a Site, rows: &'a [TrailRow], signed: Option<i64>) -> Self {
        Self {
            site,
            rows,
            signed,
            links: Vec::with_capacity(rows.len()),
            shift: 0,
            flaws: Vec::new(),
        }
    }

    fn run(&mut self) {
        let rows = self.rows;
        let mut due = 1;
        let mut is_chained = false;
        for (index, row) in rows.iter().enumerate() {
            if row.sequence < due {
                let (from, to) = (row.sequence, row.sequence);
                self.flaws.push(Flaw::Inserted { from, to });
                continue;
            }
            let before = self.links.last().map_or(ChainHash::NONE, |link| link.1);
            let number = row.sequence.saturating_add(self.shift);
            let computed = row.link(self.site, &before, number);
            let missing = row.sequence - due;
            if missing > 0 {
                let (row, count) = (row.sequence, missing);
                self.flaws.push(Flaw::Removed { row, count });
            }
            due = row.sequence.saturating_add(1);
            let link = match row.carried() {
                Some(carried) => {
                    is_chained = true;
                    // What was removed before cannot be computed.
                    if carried != computed && missing == 0 {
                        self.explain(index, row, carried);
                    }
                    carried
                }
                None => {
                    if is_chained || !row.is_older() {
                        self.flaws.push(Flaw::Changed { row: row.sequence });
                    }
                    computed
                }
            };
            self.links.push((row.sequence, link));
        }
    }

    /// Why a row does not follow the one before.
    fn explain(&mut self, index: usize, row: &TrailRow, carried: ChainHash) {
        let follows = |before: &ChainHash, shift: i64| self.is(row, before, shift, &carried);
        // The row before had its hash changed, and was named for it.
        if index > 0 && self.links.len() == index {
            let earlier = index
                .checked_sub(2)
                .map_or(ChainHash::NONE, |i| self.links[i].1);
            let previous = &self.rows[index - 1];
            let number = previous.sequence.saturating_add(self.shift);
            let original = previous.link(self.site, &earlier, number);
            if follows(&original, self.shift) {
                return self.name_once(previous.sequence);
            }
        }
        for back in 1..=REACH.min(self.links.len() as i64) {
            let position = self.links.len() - back as usize;
            let before = position
                .checked_sub(1)
                .map_or(ChainHash::NONE, |position| self.links[position].1);
            let shift = self.shift - back;
            if follows(&before, shift) && self.goes_on(index, row, &carried, shift) {
                let (from, to) = (self.links[position].0, row.sequence - 1);
                self.flaws
                    .retain(|flaw| !matches!(flaw, Flaw::Changed { row } if *row >= from));
                self.flaws.push(Flaw::Inserted { from, to });
                self.shift = shift;
                return;
            }
        }
        // The rows after it tell whether it was another number once.
        let next = self.rows.get(index + 1);
        let next = next.and_then(|next| Some((next, next.carried()?)));
        let moved = next.and_then(|(next, hash)| {
            if self.is(next, &carried, self.shift, &hash) {
                return None;
            }
            (1..=REACH).find(|more| self.is(next, &carried, self.shift + more, &hash))
        });
        match moved {
            Some(count) => {
                self.flaws.push(Flaw::Removed {
                    row: row.sequence,
                    count,
                });
                self.shift += count;
            }
            None => self.flaws.push(Flaw::Changed { row: row.sequence }),
        }
    }

    /// Whether what follows a row confirms that all from there on had other numbers.
    fn goes_on(&self, index: usize, row: &TrailRow, carried: &ChainHash, shift: i64) -> bool {
        match self.rows.get(index + 1) {
            Some(next) => next
                .carried()
                .is_some_and(|hash| self.is(next, carried, shift, &hash)),
            None => self.signed == Some(row.sequence.saturating_add(shift)),
        }
    }

    fn is(&self, row: &TrailRow, before: &ChainHash, shift: i64, carried: &ChainHash) -> bool {
        let number = row.sequence.saturating_add(shift);
        row.link(self.site, before, number) == *carried
    }

    fn name_once(&mut self, row: i64) {
        let flaw = Flaw::Changed { row };
        if self.flaws.last() != Some(&flaw) {
            self.flaws.push(flaw);
        }
    }
}

/// The rows that a flaw is about.
impl Flaw {
    /// From the first to the last; none where it is about no row.
    pub fn rows(&self) -> Option<RangeInclusive<i64>> {
        Some(match self {
            Self::Changed { row }
            | Self::Removed { row, .. }
            | Self::Recomputed { row }
            | Self::BadSignature { row }
            | Self::Rewritten { row }
            | Self::UnsignedBefore { row } => *row..=*row,
            Self::Inserted { from, to } | Self::Cut { from, to } | Self::Unsigned { from, to } => {
                *from..=*to
            }
            Self::NoSignature => return None,
        })
    }
}
