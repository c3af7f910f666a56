//! What counts, what does not, and what a restart remembers.

use super::*;
use crate::in_process::forge::Ca;
use crate::in_process::forged_lists::{ForgedList, element, entry, extension, utc};
use std::os::unix::fs::PermissionsExt;
use time::OffsetDateTime;

const NOW: i64 = 1_795_478_400; // 2026-11-24

struct Shop {
    folder: tempfile::TempDir,
    ca: Ca,
    store: CrlStore,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = CrlStore::open(folder.path()).unwrap();
        let ca = Ca::new("orca CA");
        Self { folder, ca, store }
    }

    fn trusted(&self) -> Authorities {
        Authorities::new([Certificate::from_der(&self.ca.der).unwrap()])
    }

    fn offer(&mut self, file: impl AsRef<[u8]>) -> Offered {
        let trusted = self.trusted();
        let mut offered = self
            .store
            .offer(file.as_ref(), Carrier::File, &trusted, now());
        assert_eq!(offered.len(), 1);
        offered.remove(0)
    }

    fn list(&mut self, number: u64, serials: &[u64]) -> Offered {
        let list = self.ca.crl(number, serials);
        self.offer(list)
    }

    /// What was not saved is lost, as by a kill.
    fn restart(&mut self) -> Vec<&'static str> {
        self.store = CrlStore::open(self.folder.path()).unwrap();
        let findings = self.store.recall(&self.trusted());
        findings.iter().map(|finding| finding.id).collect()
    }

    fn in_force(&self) -> Vec<String> {
        let newest = self.store.newest();
        newest
            .values()
            .map(|crl| crl.number().to_string())
            .collect()
    }

    fn files(&self, ending: &str) -> Vec<PathBuf> {
        fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|found| found == ending))
            .collect()
    }

    fn damage(&self, ending: &str) {
        for path in self.files(ending) {
            File::create(path).unwrap().write_all(b"0").unwrap();
        }
    }

    fn remove(&self, ending: &str) {
        for path in self.files(ending) {
            fs::remove_file(path).unwrap();
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

#[test]
fn the_folder_is_made_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("var/state");
    CrlStore::open(&state).unwrap();
    let mode = fs::metadata(&state).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn the_number_never_goes_back_over_restarts_either() {
    let mut shop = Shop::new();
    assert!(matches!(shop.list(5, &[3]), Offered::Taken(_)));
    shop.store.save().unwrap();
    for restarted in [false, true, true] {
        if restarted {
            assert!(shop.restart().is_empty());
        }
        assert!(matches!(shop.list(4, &[]), Offered::Older { .. }));
        assert!(matches!(shop.list(5, &[3]), Offered::SameNumber { .. }));
        assert_eq!(shop.in_force(), ["5"]);
    }
    assert!(matches!(shop.list(6, &[3]), Offered::Taken(_)));
}

#[test]
fn the_same_list_is_no_news_and_not_verified_again() {
    let mut shop = Shop::new();
    let list = shop.ca.crl(5, &[3]);
    shop.offer(&list);
    assert!(matches!(shop.offer(&list), Offered::Unchanged));
    shop.store.save().unwrap();
    shop.restart();
    assert!(matches!(shop.offer(&list), Offered::Unchanged));
    assert!(!shop.store.is_unsaved());
}

#[test]
fn a_lost_or_damaged_copy_does_not_forget_the_number() {
    for damaged in [true, false] {
        let mut shop = Shop::new();
        let list = shop.ca.crl(5, &[3]);
        shop.offer(&list);
        shop.store.save().unwrap();
        let told = if damaged {
            shop.damage("crl");
            vec!["crl-copy-damaged", "crl-copy-lost"]
        } else {
            shop.remove("crl");
            vec!["crl-copy-lost"]
        };
        assert_eq!(shop.restart(), told);
        assert!(shop.in_force().is_empty());
        assert!(matches!(shop.list(4, &[]), Offered::Older { .. }));
        assert!(matches!(shop.list(5, &[]), Offered::SameNumber { .. }));
        assert!(matches!(shop.offer(&list), Offered::Taken(_)));
        shop.store.save().unwrap();
        assert!(shop.restart().is_empty(), "mended");
        assert_eq!(shop.in_force(), ["5"]);
    }
}

#[test]
fn a_lost_or_damaged_number_is_that_of_the_copy() {
    for damaged in [true, false] {
        let mut shop = Shop::new();
        shop.list(5, &[3]);
        shop.store.save().unwrap();
        if damaged {
            shop.damage("number");
            assert_eq!(shop.restart(), ["crl-number-damaged"]);
        } else {
            shop.remove("number");
            assert!(shop.restart().is_empty());
        }
        assert!(matches!(shop.list(4, &[]), Offered::Older { .. }));
        shop.store.save().unwrap();
        assert!(shop.restart().is_empty(), "mended");
    }
}

/// A kill between the two files of one list, or before the first of them.
#[test]
fn a_crash_while_saving_loses_nothing_that_lies_in_the_file() {
    let mut shop = Shop::new();
    shop.list(5, &[3]);
    shop.store.save().unwrap();
    let six = shop.ca.crl(6, &[3, 4]);
    shop.offer(&six);
    // Before the first.
    assert!(shop.restart().is_empty());
    assert_eq!(shop.in_force(), ["5"]);
    assert!(matches!(shop.offer(&six), Offered::Taken(_)));
    // After the first: the copy is still the old one.
    let copy = shop.files("crl").remove(0);
    let five = fs::read(&copy).unwrap();
    shop.store.save().unwrap();
    File::create(&copy).unwrap().write_all(&five).unwrap();
    assert_eq!(shop.restart(), ["crl-copy-lost"]);
    assert_eq!(shop.in_force(), ["5"], "better than none");
    assert!(matches!(shop.list(5, &[]), Offered::Older { .. }));
    assert!(matches!(shop.offer(&six), Offered::Taken(_)));
    assert_eq!(shop.in_force(), ["6"]);
}

#[test]
fn what_could_not_be_saved_is_saved_later() {
    let mut shop = Shop::new();
    shop.list(5, &[3]);
    let folder = shop.folder.path().to_owned();
    fs::remove_dir(&folder).unwrap();
    assert!(shop.store.save().is_err());
    assert!(shop.store.is_unsaved());
    fs::create_dir(&folder).unwrap();
    shop.store.save().unwrap();
    assert!(!shop.store.is_unsaved());
    shop.restart();
    assert_eq!(shop.in_force(), ["5"]);
}

#[test]
fn every_list_of_a_file_counts_for_its_own_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two, stranger) = (Ca::new("one"), Ca::new("two"), Ca::new("three"));
    let certificates = [&one, &two].map(|ca| Certificate::from_der(&ca.der).unwrap());
    let both = Authorities::new(certificates);
    let mut store = CrlStore::open(folder.path()).unwrap();
    let cut = &two.crl(4, &[])[..200];
    let file = one.crl(1, &[3]) + &stranger.crl(2, &[4]) + &two.crl(3, &[5]) + cut;
    let offered = store.offer(file.as_bytes(), Carrier::File, &both, now());
    assert!(
        matches!(
            offered[..],
            [
                Offered::Taken(_),
                Offered::Unusable(Some(_), CrlError::UnknownIssuer),
                Offered::Taken(_),
                Offered::Unusable(None, CrlError::Malformed),
            ]
        ),
        "{offered:?}"
    );
    assert_eq!(store.newest().len(), 2);
}

#[test]
fn a_list_dated_ahead_must_not_lock_the_real_ones_out() {
    let mut shop = Shop::new();
    let dated = |ca: &Ca, number, ahead: SignedDuration| {
        let from = OffsetDateTime::from_unix_timestamp(NOW + ahead.as_secs()).unwrap();
        ca.crl_dated(number, &[3], (from, from + time::Duration::days(365)))
    };
    let minutes = SignedDuration::from_mins;
    let day = 24 * 60;
    for (number, ahead, taken) in [
        (1, minutes(-5), "taken"),
        (2, minutes(1), "taken"),
        (3, minutes(5), "taken ahead"),
        (4, minutes(day), "taken ahead"),
        (9, minutes(day + 1), "far ahead"),
        (9, minutes(day * 3650), "far ahead"),
        (5, minutes(0), "taken"),
    ] {
        let offered = shop.offer(dated(&shop.ca, number, ahead));
        let seen = match offered {
            Offered::Taken(_) => "taken",
            Offered::TakenAhead(_) => "taken ahead",
            Offered::FarAhead(_) => "far ahead",
            other => panic!("{other:?}"),
        };
        assert_eq!(seen, taken, "{ahead:?}");
    }
}

#[test]
fn an_expired_list_is_taken_where_it_is_newer() {
    let mut shop = Shop::new();
    shop.list(1, &[]);
    let expired = shop.ca.crl_until(2, &[3], 2025);
    let Offered::Taken(crl) = shop.offer(expired) else {
        panic!("its entries revoke")
    };
    assert!(crl.is_overdue(now()));
    assert_eq!(crl.len(), 1);
}

#[test]
fn forged_lists_are_refused_and_the_good_one_stays() {
    let mut shop = Shop::new();
    shop.offer(ForgedList::new(1).signed_by(&shop.ca));
    let null = [0x05, 0];
    let point = element(0x30, &[0x84, 1, 0xff]);
    type Change = fn(&mut ForgedList);
    let rows: [(&str, CrlError, Change); 6] = [
        ("version 1", CrlError::Version, |list| list.version.clear()),
        ("version 3", CrlError::Malformed, |list| {
            list.version = element(0x02, &[2]);
        }),
        ("no nextUpdate", CrlError::NoNextUpdate, |list| {
            list.next_update.clear();
        }),
        ("no thisUpdate", CrlError::NoNextUpdate, |list| {
            list.this_update.clear();
        }),
        ("local time", CrlError::Malformed, |list| {
            list.this_update = utc("260101000000+0900");
        }),
        ("negative number", CrlError::Malformed, |list| {
            list.extensions = vec![extension(20, false, &element(0x02, &[0x80]))];
        }),
    ];
    for (what, error, change) in rows {
        let mut list = ForgedList::new(9);
        change(&mut list);
        refused(&mut shop, what, &list, error);
    }
    // Extensions of the list, and of an entry.
    for (what, error, added) in [
        (
            "unknown, critical",
            CrlError::UnknownExtension,
            extension(99, true, &null),
        ),
        (
            "delta",
            CrlError::Delta,
            extension(27, true, &element(0x02, &[1])),
        ),
        (
            "delta, not critical",
            CrlError::Delta,
            extension(27, false, &element(0x02, &[1])),
        ),
        ("indirect", CrlError::Partial, extension(28, true, &point)),
        (
            "partial",
            CrlError::Partial,
            extension(28, false, &element(0x30, &[0x81, 1, 0xff])),
        ),
    ] {
        let mut list = ForgedList::new(9);
        list.extensions.push(added);
        refused(&mut shop, what, &list, error);
    }
    for (what, error, added) in [
        (
            "entry unknown, critical",
            CrlError::UnknownExtension,
            extension(99, true, &null),
        ),
        (
            "certificateIssuer",
            CrlError::Partial,
            extension(29, true, &element(0x30, &[])),
        ),
        (
            "certificateIssuer, not critical",
            CrlError::Partial,
            extension(29, false, &null),
        ),
        (
            "removeFromCRL",
            CrlError::Delta,
            extension(21, false, &[0x0a, 1, 8]),
        ),
    ] {
        let mut list = ForgedList::new(9);
        list.entries.push(entry(4, &[added]));
        refused(&mut shop, what, &list, error);
    }
    let look_alike = Ca::new("orca CA");
    let list = ForgedList::new(9).signed_by(&look_alike);
    unusable(&mut shop, "another key", list, CrlError::BadSignature);
    let list = ForgedList::new(9).signed_by(&Ca::new("other CA"));
    unusable(&mut shop, "another CA", list, CrlError::UnknownIssuer);
    let mut list = ForgedList::new(9).signed_by(&shop.ca);
    let last = list.len() - 1;
    list[last] ^= 1;
    unusable(&mut shop, "damaged signature", list, CrlError::BadSignature);

    // The forge itself is good, and what is not critical may be unknown.
    let mut list = ForgedList::new(2);
    list.extensions.push(extension(99, false, &null));
    list.entries.push(entry(
        4,
        &[
            extension(99, false, &null),
            extension(21, false, &[0x0a, 1, 1]),
        ],
    ));
    let offered = shop.offer(list.signed_by(&shop.ca));
    assert!(
        matches!(&offered, Offered::Taken(crl) if crl.len() == 2),
        "{offered:?}"
    );
}

fn refused(shop: &mut Shop, what: &str, list: &ForgedList, error: CrlError) {
    let list = list.signed_by(&shop.ca);
    unusable(shop, what, list, error);
}

fn unusable(shop: &mut Shop, what: &str, list: Vec<u8>, expected: CrlError) {
    let offered = shop.offer(list);
    let Offered::Unusable(_, error) = offered else {
        panic!("{what}: {offered:?}")
    };
    assert_eq!(error, expected, "{what}");
    assert_eq!(shop.in_force(), ["1"], "{what}");
}

#[test]
fn lists_without_number_follow_by_date() {
    let mut shop = Shop::new();
    let dated = |ca: &Ca, day: &str| {
        let mut list = ForgedList::new(0);
        list.extensions = vec![extension(35, false, &element(0x30, &[]))];
        list.this_update = utc(&format!("2601{day}000000Z"));
        list.signed_by(ca)
    };
    assert!(matches!(
        shop.offer(dated(&shop.ca, "02")),
        Offered::Taken(_)
    ));
    assert!(matches!(
        shop.offer(dated(&shop.ca, "01")),
        Offered::Older { .. }
    ));
    assert!(matches!(
        shop.offer(dated(&shop.ca, "03")),
        Offered::Taken(_)
    ));
    shop.store.save().unwrap();
    shop.restart();
    assert!(matches!(
        shop.offer(dated(&shop.ca, "02")),
        Offered::Older { .. }
    ));
}

#[test]
fn a_reset_lets_the_next_list_in_whatever_its_number_and_keeps_the_copy_until_then() {
    let mut shop = Shop::new();
    shop.list(5, &[3]);
    shop.store.save().unwrap();
    let trusted = shop.trusted();
    let key = Certificate::from_der(&shop.ca.der).unwrap().key_id();
    CrlStore::over(shop.folder.path()).ask_reset(key).unwrap();
    // Whether the gateway runs or starts again, and however often.
    shop.restart();
    assert_eq!(shop.store.reset_as_asked(&trusted).len(), 1);
    assert!(shop.restart().is_empty());
    assert!(shop.store.reset_as_asked(&trusted).is_empty());
    assert_eq!(shop.in_force(), ["5"]);
    assert!(matches!(shop.list(2, &[3]), Offered::Taken(_)));
    shop.store.save().unwrap();
    shop.restart();
    assert_eq!(shop.in_force(), ["2"]);
    assert!(matches!(shop.list(1, &[]), Offered::Older { .. }));
}

#[test]
fn a_reset_with_the_list_in_place_opens_nothing() {
    let mut shop = Shop::new();
    let list = shop.ca.crl(5, &[3]);
    shop.offer(&list);
    let key = Certificate::from_der(&shop.ca.der).unwrap().key_id();
    shop.store.ask_reset(key).unwrap();
    shop.store.reset_as_asked(&shop.trusted());
    assert!(matches!(shop.offer(&list), Offered::Unchanged));
    assert!(matches!(shop.list(4, &[]), Offered::Older { .. }));
}

#[test]
fn only_what_came_by_the_file_relies_on_it() {
    let mut shop = Shop::new();
    let trusted = shop.trusted();
    let list = shop.ca.crl(5, &[3]);
    shop.store
        .offer(list.as_bytes(), Carrier::Push, &trusted, now());
    assert!(!shop.store.relies_on_file(&trusted));
    shop.offer(&list);
    assert!(shop.store.relies_on_file(&trusted));
    shop.store.save().unwrap();
    shop.restart();
    assert!(shop.store.relies_on_file(&trusted));
}
