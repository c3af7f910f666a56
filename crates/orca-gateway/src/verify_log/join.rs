//! What the files show together: chains go on from one file to the next, and name each other.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::anchors::Anchors;
use super::report::{Kind, Report};
use super::scan::{Claim, Scanned};
use super::track::Track;
use crate::chain::{ChainId, Hash};

/// A chain over all files.
struct Whole {
    parts: Vec<Track>,
}

/// Where a chain ends.
struct End {
    file: usize,
    line: u64,
    number: u64,
    hash: Hash,
}

/// Puts the parts of every chain in order and compares their seams, the claims of the chains after
/// them, and the anchors.
pub(super) fn join(files: Vec<Scanned>, anchors: &Anchors, report: &mut Report) {
    let mut chains: BTreeMap<ChainId, Whole> = BTreeMap::new();
    let mut claims = Vec::new();
    for file in files {
        claims.extend(file.claims);
        for track in file.tracks {
            let parts = Vec::new;
            let whole = chains.entry(track.id);
            whole
                .or_insert_with(|| Whole { parts: parts() })
                .parts
                .push(track);
        }
    }
    let oldest = chains.values().filter_map(Whole::time).min();
    for (id, whole) in &mut chains {
        whole.parts.sort_by_key(|part| part.first.head.number);
        let age = whole.age(oldest);
        look_at_seams(*id, &whole.parts, age, report);
        if let Some(end) = whole.end() {
            let first = whole.parts.first().map_or(0, |part| part.first.head.number);
            report.add_chain(*id, first, end.number, end.hash);
        }
    }
    let told = |id| {
        claims
            .iter()
            .filter(move |claim: &&Claim| claim.previous.id == id)
    };
    for (id, whole) in &chains {
        if let Some(end) = whole.end() {
            look_at_end(*id, &end, told(*id), anchors, report);
        }
    }
    for claim in &claims {
        let Some(by) = chains.get(&claim.by) else {
            continue;
        };
        if !chains.contains_key(&claim.previous.id) {
            match by.age(oldest) {
                Age::Oldest => report.note_chain(Kind::EarlierChainGone, claim.by),
                Age::Later => report.fail_chain(Kind::EarlierChainGone, claim.by),
            }
        }
    }
    look_at_chains(&chains, &claims, anchors, report);
}

/// Older files may be gone, so that something is missing before the oldest chain; before a later one
/// nothing may be.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Age {
    Oldest,
    Later,
}

impl Whole {
    /// When its first line was written, as far as the line tells.
    fn time(&self) -> Option<Timestamp> {
        let first = self
            .parts
            .iter()
            .min_by_key(|part| part.first.head.number)?;
        let time = first.first.hashed.strip_prefix(b"{\"time\":\"")?;
        let end = time.iter().position(|octet| *octet == b'"')?;
        str::from_utf8(&time[..end]).ok()?.parse().ok()
    }

    fn age(&self, oldest: Option<Timestamp>) -> Age {
        match self.time().zip(oldest) {
            Some((time, oldest)) if time <= oldest => Age::Oldest,
            _ => Age::Later,
        }
    }

    fn end(&self) -> Option<End> {
        let ends = self.parts.iter().map(|part| {
            let (number, hash, line) = part.last();
            let file = part.file;
            End {
                file,
                line,
                number,
                hash,
            }
        });
        ends.max_by_key(|end| end.number)
    }
}

fn look_at_seams(id: ChainId, parts: &[Track], age: Age, report: &mut Report) {
    let mut before: Option<(u64, Hash)> = None;
    for part in parts {
        let (file, line) = (part.file, part.first.line);
        let first = part.first.head;
        match before {
            None if first.number == 1 => {}
            None => {
                let to = first.number - 1;
                match age {
                    Age::Oldest => {
                        report.note(Kind::BeginningGone { to }, file, line, Some(id));
                    }
                    Age::Later => {
                        report.fail(Kind::Removed { from: 1, to }, file, line, Some(id));
                    }
                }
            }
            Some((number, hash)) if first.number == number + 1 => {
                if hash.next(&part.first.hashed) != first.hash {
                    report.fail(Kind::Changed, file, line, Some(id));
                }
            }
            Some((number, _)) if first.number > number => report.fail(
                Kind::Removed {
                    from: number + 1,
                    to: first.number - 1,
                },
                file,
                line,
                Some(id),
            ),
            Some(_) => report.fail(Kind::Inserted, file, line, Some(id)),
        }
        let (number, hash, _) = part.last();
        if before.is_none_or(|(known, _)| number > known) {
            before = Some((number, hash));
        }
    }
}

fn look_at_end<'c>(
    id: ChainId,
    end: &End,
    claims: impl Iterator<Item = &'c Claim>,
    anchors: &Anchors,
    report: &mut Report,
) {
    let mut claimed = None;
    for claim in claims {
        claimed = claimed.max(Some(claim.previous.number));
        if claim.previous.number == end.number && claim.previous.hash != end.hash {
            let number = end.number;
            report.fail(Kind::Rewritten { number }, end.file, end.line, Some(id));
        }
    }
    let anchored = anchors.last(id);
    if let Some(to) = claimed.max(anchored).filter(|last| *last > end.number) {
        let from = end.number + 1;
        report.fail(Kind::Cut { from, to }, end.file, end.line, Some(id));
    } else if let Some(last) = anchored.filter(|last| *last < end.number) {
        let kind = Kind::BeyondAnchors {
            from: last + 1,
            to: end.number,
        };
        report.note(kind, end.file, end.line, Some(id));
    }
}

/// With anchors: whole chains that are missing, and chains nobody has told of.
fn look_at_chains(
    chains: &BTreeMap<ChainId, Whole>,
    claims: &[Claim],
    anchors: &Anchors,
    report: &mut Report,
) {
    if anchors.is_empty() {
        return;
    }
    let known = |id: ChainId| chains.contains_key(&id);
    for id in anchors.missing(known) {
        report.fail_chain(Kind::ChainMissing, id);
    }
    let gone = anchors.gone(known);
    if gone > 0 {
        report.note_all(Kind::ChainsGone { chains: gone });
    }
    for (id, whole) in chains {
        // Chains from before the anchors are not told in them.
        let follows_anchored = claims
            .iter()
            .any(|claim| claim.by == *id && anchors.of(claim.previous.id).is_some());
        if anchors.of(*id).is_none()
            && let Some(part) = whole.parts.first()
        {
            let (file, line) = (part.file, part.first.line);
            match follows_anchored {
                true => report.fail(Kind::NotAnchored, file, line, Some(*id)),
                false => report.note(Kind::NotAnchored, file, line, Some(*id)),
            }
        }
    }
}
