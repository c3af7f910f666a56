//! Logs that were tampered with in every way we can think of.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use super::report::{Kind, Report};
use super::*;
use crate::chain::{Chain, Head, chain_for_tests};

/// Files in a folder of their own.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, lines: &[Vec<u8>]) -> PathBuf {
        let path = self.0.path().join(name);
        crate::in_process::write(&path, lines.concat());
        path
    }

    fn verify(&self, lines: &[Vec<u8>]) -> Report {
        verify(&[self.put("log", lines)], &[]).unwrap()
    }

    fn anchors(&self, heads: &[Head]) -> PathBuf {
        let lines = heads
            .iter()
            .map(|head| format!("x {head} [x]\n").into_bytes());
        self.put("anchors", &lines.collect::<Vec<_>>())
    }
}

fn lines(chain: &mut Chain, count: usize) -> Vec<Vec<u8>> {
    let start = chain.head().map_or(0, |head| head.number);
    let mut line = |number| {
        let mut line = Vec::new();
        let id = chain.id().to_string();
        let time = format!("2026-11-24T09:{}:{number:02}+09:00", &id[..2]);
        let entry = format!("{{\"time\":\"{time}\",\"path\":\"/{number}\"}}");
        chain.append(entry.as_bytes(), &mut line);
        line
    };
    (0..count as u64)
        .map(|number| line(start + number))
        .collect()
}

/// A chain of eleven lines, then one of ten that names it.
fn two_chains() -> (Vec<Vec<u8>>, [Head; 2]) {
    let mut one = chain_for_tests(1, None);
    let mut log = lines(&mut one, 11);
    let mut two = chain_for_tests(2, one.head());
    log.extend(lines(&mut two, 10));
    (log, [one.head().unwrap(), two.head().unwrap()])
}

fn altered(line: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(line.to_vec()).unwrap();
    text.replacen("\"/", "\"/x", 1).into_bytes()
}

fn at(line: usize) -> Option<(usize, u64)> {
    Some((0, line as u64))
}

/// A small generator (xorshift): the same cases in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

#[test]
fn an_honest_log_is_good() {
    let (log, heads) = two_chains();
    let desk = Desk::new();
    let report = desk.verify(&log);
    assert!(report.is_good(), "{:?}", report.failures());
    assert_eq!(report.notes(), []);
    let anchors = desk.anchors(&heads);
    let report = verify(&[desk.put("log", &log)], &[anchors]).unwrap();
    assert!(report.is_good(), "{:?}", report.failures());
    assert_eq!(report.anchors, 2);
}

#[test]
fn the_line_that_was_changed_is_named() {
    let (log, _) = two_chains();
    let desk = Desk::new();
    for place in 0..log.len() {
        let mut tampered = log.clone();
        tampered[place] = altered(&log[place]);
        let report = desk.verify(&tampered);
        assert_eq!(
            report.failures(),
            [(Kind::Changed, at(place + 1))],
            "{place}"
        );
    }
}

#[test]
fn the_line_that_lost_its_link_is_named() {
    let (log, _) = two_chains();
    let desk = Desk::new();
    for place in 1..log.len() - 1 {
        let mut tampered = log.clone();
        tampered[place] = b"{\"path\":\"/\"}\n".to_vec();
        let failures = desk.verify(&tampered).failures();
        assert_eq!(failures[0].1, at(place + 1), "{place}: {failures:?}");
    }
}

#[test]
fn removed_lines_are_named_by_the_line_after_them() {
    let (log, _) = two_chains();
    let desk = Desk::new();
    for place in 1..9 {
        let mut tampered = log.clone();
        tampered.drain(place..place + 2);
        let (from, to) = (place as u64 + 1, place as u64 + 2);
        let failures = desk.verify(&tampered).failures();
        assert_eq!(failures, [(Kind::Removed { from, to }, at(place + 1))]);
    }
}

#[test]
fn an_inserted_line_is_named() {
    let (log, _) = two_chains();
    let desk = Desk::new();
    for place in 1..11 {
        for copied in 0..11 {
            let mut tampered = log.clone();
            tampered.insert(place, altered(&log[copied]));
            let failures = desk.verify(&tampered).failures();
            assert_eq!(
                failures,
                [(Kind::Inserted, at(place + 1))],
                "{copied} before {place}"
            );
        }
        let mut tampered = log.clone();
        tampered.insert(place, b"{\"path\":\"/\"}\n".to_vec());
        let failures = desk.verify(&tampered).failures();
        assert_eq!(failures, [(Kind::Inserted, at(place + 1))]);
    }
}

#[test]
fn a_chain_of_a_forger_in_the_middle_is_found() {
    let (mut log, heads) = two_chains();
    let mut forged = chain_for_tests(9, Some(heads[0]));
    log.splice(5..5, lines(&mut forged, 3));
    let failures = Desk::new().verify(&log).failures();
    assert!(
        failures.contains(&(Kind::TwoWriters, at(6))),
        "{failures:?}"
    );
}

#[test]
fn a_cut_end_is_found_by_the_next_chain_and_by_anchors() {
    let (log, heads) = two_chains();
    let desk = Desk::new();
    let mut tampered = log.clone();
    tampered.drain(8..11);
    let (from, to) = (9, 11);
    assert_eq!(
        desk.verify(&tampered).failures(),
        [(Kind::Cut { from, to }, at(8))]
    );

    let cut = desk.put("log", &log[..15]);
    assert!(verify(std::slice::from_ref(&cut), &[]).unwrap().is_good());
    let report = verify(&[cut], &[desk.anchors(&heads)]).unwrap();
    let (from, to) = (5, 10);
    assert_eq!(report.failures(), [(Kind::Cut { from, to }, at(15))]);

    let cut = desk.put("log", &log[..11]);
    let report = verify(&[cut], &[desk.anchors(&heads)]).unwrap();
    assert_eq!(report.failures(), [(Kind::ChainMissing, None)]);
}

#[test]
fn a_chain_that_was_computed_anew_is_found_by_anchors() {
    let (_, heads) = two_chains();
    let desk = Desk::new();
    let mut one = chain_for_tests(1, None);
    let mut forged = lines(&mut one, 3);
    forged.remove(2);
    let mut again = chain_for_tests(1, None);
    let mut log = lines(&mut again, 2);
    let mut line = Vec::new();
    again.append(b"{\"path\":\"/harmless\"}", &mut line);
    log.push(line);
    log.extend(lines(&mut again, 8));
    let mut two = chain_for_tests(2, again.head());
    log.extend(lines(&mut two, 10));
    let path = desk.put("log", &log);
    assert!(verify(std::slice::from_ref(&path), &[]).unwrap().is_good());
    let report = verify(&[path], &[desk.anchors(&heads)]).unwrap();
    assert_eq!(
        report.failures(),
        [
            (Kind::Rewritten { number: 11 }, at(11)),
            (Kind::Rewritten { number: 10 }, at(21))
        ]
    );
}

#[test]
fn a_chain_nobody_told_of_is_found_at_the_end() {
    let (mut log, heads) = two_chains();
    let mut forged = chain_for_tests(9, Some(heads[1]));
    log.extend(lines(&mut forged, 2));
    let desk = Desk::new();
    let report = verify(&[desk.put("log", &log)], &[desk.anchors(&heads)]).unwrap();
    assert_eq!(report.failures(), [(Kind::NotAnchored, at(22))]);
}

#[test]
fn rotated_files_come_in_any_order_packed_or_not() {
    let (log, heads) = two_chains();
    let desk = Desk::new();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&log[..4].concat()).unwrap();
    let oldest = desk.put("log.2.gz", &[packed.finish().unwrap()]);
    let middle = desk.put("log.1", &log[4..15]);
    let newest = desk.put("log", &log[15..]);
    let all = [newest.clone(), oldest.clone(), middle.clone()];
    let report = verify(&all, &[desk.anchors(&heads)]).unwrap();
    assert!(report.is_good(), "{:?}", report.failures());
    assert_eq!(report.notes(), []);

    let report = verify(&[newest.clone(), middle], &[desk.anchors(&heads)]).unwrap();
    assert!(report.is_good(), "{:?}", report.failures());
    assert_eq!(report.notes(), [Kind::BeginningGone { to: 4 }]);

    let report = verify(&[newest.clone(), oldest.clone()], &[]).unwrap();
    assert!(!report.is_good());

    let report = verify(&[newest], &[desk.anchors(&heads)]).unwrap();
    assert!(report.is_good(), "{:?}", report.failures());
    let gone = Kind::ChainsGone { chains: 1 };
    assert!(report.notes().contains(&gone), "{:?}", report.notes());

    let mut seam = log[4..15].to_vec();
    seam[0] = altered(&seam[0]);
    let middle = desk.put("log.1", &seam);
    let report = verify(&[oldest, middle], &[]).unwrap();
    assert_eq!(report.failures(), [(Kind::Changed, Some((1, 1)))]);
}

#[test]
fn what_a_crash_and_an_older_version_left_is_told_and_forgiven() {
    let mut one = chain_for_tests(1, None);
    let mut log = vec![b"{\"an\":\"old line\"}\n".to_vec()];
    log.extend(lines(&mut one, 3));
    log.push(b"{\"half\":\"a l\n".to_vec());
    let mut two = crate::chain::torn_chain_for_tests(2, one.head(), 12);
    log.extend(lines(&mut two, 3));
    let report = Desk::new().verify(&log);
    assert!(report.is_good(), "{:?}", report.failures());
    assert_eq!(report.notes().len(), 2);
    assert!(report.notes().contains(&Kind::Torn));
    let mut open = log.clone();
    open.push(b"{\"half\":\"a l".to_vec());
    let report = Desk::new().verify(&open);
    assert!(report.is_good(), "{:?}", report.failures());
    // The same half line where nobody found it is not forgiven.
    log.swap(4, 3);
    assert!(!Desk::new().verify(&log).is_good());
}

/// Two thousand logs, each tampered with once at random.
#[test]
fn no_single_act_of_tampering_goes_unnoticed() {
    let (log, heads) = two_chains();
    let desk = Desk::new();
    let anchors = desk.anchors(&heads);
    let mut dice = Dice(0x0bad_5eed_0bad_5eed);
    let mut found: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..2_000 {
        let mut tampered = log.clone();
        let place = dice.roll(log.len());
        let act = match dice.roll(6) {
            0 => {
                let octet = dice.roll(tampered[place].len() - 1);
                tampered[place][octet] ^= 1 << dice.roll(7);
                "alter"
            }
            1 => {
                tampered.drain(place..(place + 1 + dice.roll(5)).min(log.len()));
                "remove"
            }
            2 => {
                tampered.insert(place, log[dice.roll(log.len())].clone());
                "insert"
            }
            3 => {
                let other = (place + 1 + dice.roll(log.len() - 1)) % log.len();
                tampered.swap(place, other);
                "swap"
            }
            4 => {
                tampered.truncate(place.max(1));
                "truncate"
            }
            _ => {
                let length = tampered[place].len() - 1;
                tampered[place].truncate(1 + dice.roll(length));
                "shorten"
            }
        };
        let path = desk.put("log", &tampered);
        let report = verify(&[path], std::slice::from_ref(&anchors)).unwrap();
        // What was cut off at the beginning cannot be told from older files that are gone.
        let noticed = !report.is_good() || !report.notes().is_empty();
        assert!(noticed, "{act} at {place} went unnoticed");
        *found.entry(act).or_default() += 1;
    }
    assert_eq!(found.len(), 6, "{found:?}");
}

#[test]
fn the_result_is_printed_for_people_and_scripts() {
    let (log, _) = two_chains();
    let mut tampered = log.clone();
    tampered[2] = altered(&log[2]);
    let report = Desk::new().verify(&tampered);
    let print = |format, lang| {
        let mut out = Vec::new();
        report.print(format, lang, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let table = print(Format::Table, Lang::Ja);
    assert!(
        table.contains("/log:3: この行は変更されています。 [line-changed]"),
        "{table}"
    );
    assert!(table.contains("異常: 1件"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&print(Format::Json, Lang::En)).unwrap();
    assert_eq!(json["intact"], false);
    assert_eq!(json["findings"][0]["line"], 3);
    assert_eq!(json["chains"].as_array().unwrap().len(), 2);
    let csv = print(Format::Csv, Lang::En);
    assert!(csv.contains("line-changed,failure,"), "{csv}");
}
