//! The audit trail of a real CA, and what becomes of it under the hands of somebody who can write
//! the register but has not got the CA's key.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may panic, and its files need not outlive it"
)]

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::actor::Actor;
use orca_ca::authority::{CrlAge, InitOrder, IssueOrder, Selection, Several};
use orca_ca::place::{CA_KEY, Place, REGISTER};
use orca_ca::record::Site;
use orca_ca::store::NamePolicy;
use orca_ca::trail::anchors::Anchors;
use orca_ca::trail::verify::{Flaw, Verdict};
use orca_ca::trail::{ChainHash, Head, TrailRow};
use orca_pki::issuance::IssuanceRequest;
use orca_pki::key::KeyAlgorithm;
use rusqlite::{Connection, params};

fn now() -> Timestamp {
    "2026-11-24T00:00:00Z".parse().unwrap()
}

/// A CA that can be put back to how it was.
struct Ca {
    folder: tempfile::TempDir,
}

impl Ca {
    /// With a trail of a dozen rows.
    fn new() -> Self {
        let ca = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let mut authority = Authority::init(ca.place(), InitOrder::default(), now()).unwrap();
        authority.note_configuration(now()).unwrap();
        for name in ["user1", "user2", "user3"] {
            issue(&mut authority, name);
        }
        let user1 = named("user1");
        authority.export(&user1, None, None, now()).unwrap();
        authority.revoke(&user1, None, now()).unwrap();
        authority.issue_crl(None, CrlAge::Any, now()).unwrap();
        ca
    }

    fn place(&self) -> Place {
        Place {
            config: self.folder.path().join(".orca_catool/config.yml"),
            home: self.folder.path().to_owned(),
            owner: None,
            actor: Actor {
                name: "hana".into(),
                host: "ca".into(),
            },
        }
    }

    fn register(&self) -> PathBuf {
        self.folder.path().join(".orca_catool").join(REGISTER)
    }

    fn open(&self) -> Authority {
        Authority::open(self.place()).unwrap()
    }

    fn sql(&self) -> Connection {
        Connection::open(self.register()).unwrap()
    }

    fn verify(&self) -> Verdict {
        let authority = self.open();
        let anchors = Anchors::of(authority.trail_id());
        authority.verify_trail(&anchors).unwrap()
    }

    fn flaws(&self) -> Vec<Flaw> {
        self.verify().flaws
    }

    fn flaws_against(&self, anchors: &str) -> Vec<Flaw> {
        let authority = self.open();
        let mut read = Anchors::of(authority.trail_id());
        read.read(anchors.as_bytes()).unwrap();
        authority.verify_trail(&read).unwrap().flaws
    }

    fn rows(&self) -> Vec<TrailRow> {
        self.open().trail().unwrap()
    }

    fn head(&self) -> Head {
        self.verify().head.unwrap()
    }

    /// The flaws after some SQL; the register is as before afterwards.
    fn flaws_after(&self, meddle: impl FnOnce(&Connection)) -> Vec<Flaw> {
        let kept = self.keep();
        meddle(&self.sql());
        let flaws = self.flaws();
        self.put_back(&kept);
        flaws
    }

    fn keep(&self) -> Vec<u8> {
        let sql = self.sql();
        sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
        fs::read(self.register()).unwrap()
    }

    fn put_back(&self, kept: &[u8]) {
        for end in ["-wal", "-shm"] {
            let mut name = self.register().into_os_string();
            name.push(end);
            let _ = fs::remove_file(Path::new(&name));
        }
        fs::write(self.register(), kept).unwrap();
    }
}

fn named(name: &str) -> Selection {
    Selection::Name {
        name: name.to_owned(),
        several: Several::Refuse,
    }
}

fn issue(authority: &mut Authority, name: &str) {
    let realm = authority.config().realm.clone();
    let request =
        IssuanceRequest::client(&realm, name.parse().unwrap(), 30, KeyAlgorithm::P256).unwrap();
    let order = IssueOrder {
        request,
        holder: None,
        device: None,
        names: NamePolicy::Unique,
        output: None,
    };
    authority.issue(&order, now()).unwrap();
}

/// Makes room in front of a row, or closes a gap there.
fn renumber(sql: &Connection, from: i64, by: i64) {
    // A primary key is checked row by row: by way of negative numbers nothing collides.
    sql.execute(
        "UPDATE audit SET sequence = -(sequence + ?2) WHERE sequence >= ?1",
        params![from, by],
    )
    .unwrap();
    sql.execute(
        "UPDATE audit SET sequence = -sequence WHERE sequence < 0",
        [],
    )
    .unwrap();
}

/// What somebody without the key can do: compute all hashes anew from a row on.
fn recompute(sql: &Connection, rows: &[TrailRow], from: i64) {
    let mut before = ChainHash::NONE;
    for row in rows {
        let link = match row.sequence < from {
            true => row.carried().unwrap(),
            false => row.link(&Site::local(), &before, row.sequence),
        };
        sql.execute(
            "UPDATE audit SET hash = ?2 WHERE sequence = ?1",
            params![row.sequence, link.octets()],
        )
        .unwrap();
        before = link;
    }
}

fn insert(sql: &Connection, number: i64, hash: &[u8]) {
    sql.execute(
        "INSERT INTO audit (site, sequence, at, event, serial, actor, host, detail, hash)
         VALUES ('local', ?1, 1795478400, 'export', 2, 'hana', 'ca', NULL, ?2)",
        params![number, hash],
    )
    .unwrap();
}

fn names(flaws: &[Flaw], row: i64) -> bool {
    flaws
        .iter()
        .any(|flaw| flaw.rows().is_some_and(|rows| rows.contains(&row)))
}

#[test]
fn every_event_stands_there_with_who_and_where() {
    let ca = Ca::new();
    let rows = ca.rows();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.event.as_str(), row.serial))
        .collect();
    assert_eq!(
        told,
        [
            ("init", Some(1)),
            ("publish", None),
            ("config", None),
            ("reserve", Some(2)),
            ("issue", Some(2)),
            ("reserve", Some(3)),
            ("issue", Some(3)),
            ("reserve", Some(4)),
            ("issue", Some(4)),
            ("export", Some(2)),
            ("revoke", Some(2)),
            ("crl", None),
            ("publish", None),
            ("crl", None),
            ("publish", None),
        ]
    );
    for row in &rows {
        assert_eq!(row.actor.as_deref(), Some("hana"));
        assert_eq!(row.host.as_deref(), Some("ca"));
        assert_eq!(row.at, now().as_second());
    }
    let details: Vec<_> = rows.iter().map(|row| row.detail.as_deref()).collect();
    assert_eq!(details[3], Some("client /C=JP/O=orca/CN=user1"));
    assert_eq!(details[9], Some("export_cert"));
    assert_eq!(details[11], Some("number 2"));
    let verdict = ca.verify();
    assert!(verdict.is_good(), "{verdict:?}");
    assert_eq!((verdict.rows, verdict.older), (rows.len(), 0));
}

#[test]
fn any_field_of_any_row_that_was_changed_is_named() {
    let ca = Ca::new();
    let changes = [
        "at = at + 1",
        "event = 'issue '",
        "serial = coalesce(serial, 0) + 1",
        "serial = CASE WHEN serial IS NULL THEN 7 ELSE NULL END",
        "actor = 'taro'",
        "actor = NULL",
        "host = 'elsewhere'",
        "detail = coalesce(detail, '') || 'x'",
        "hash = zeroblob(32)",
        "hash = x'00'",
        "hash = NULL",
        "hash = NULL, actor = NULL, host = NULL, detail = NULL",
    ];
    let rows = ca.rows();
    for row in &rows {
        for change in changes {
            let sql = format!(
                "UPDATE audit SET {change} WHERE sequence = {}",
                row.sequence
            );
            let flaws = ca.flaws_after(|connection| {
                assert_eq!(connection.execute(&sql, []).unwrap(), 1);
            });
            let mut number = row.sequence;
            if number == 1 && change.starts_with("hash = NULL, actor") {
                // As if an older version had written it: the first link covers it.
                number = 2;
            }
            assert!(names(&flaws, number), "{sql}: {flaws:?}");
            let is_near = |flaw: &Flaw| flaw.rows().is_none_or(|rows| rows.contains(&number));
            // The hash alone is between two rows: the next one may be told too.
            assert!(
                flaws.iter().all(is_near) || sql.contains("hash"),
                "{sql}: {flaws:?}"
            );
        }
    }
    assert!(ca.verify().is_good(), "it was put back each time");
}

#[test]
fn removed_rows_are_named_whether_the_gap_is_closed_or_not() {
    let ca = Ca::new();
    let last = ca.rows().len() as i64;
    for row in 1..last {
        let delete = |sql: &Connection| {
            sql.execute("DELETE FROM audit WHERE sequence = ?1", [row])
                .unwrap();
        };
        let after = Flaw::Removed {
            row: row + 1,
            count: 1,
        };
        assert_eq!(ca.flaws_after(delete), [after], "row {row}");
        let flaws = ca.flaws_after(|sql| {
            delete(sql);
            renumber(sql, row + 1, -1);
        });
        assert!(names(&flaws, row), "row {row}: {flaws:?}");
        let removed = Flaw::Removed { row, count: 1 };
        let (from, to) = (last, last);
        let expected = match row < last - 1 {
            true => vec![removed],
            // No row after it tells how far it was moved.
            false => vec![Flaw::Changed { row }, Flaw::Cut { from, to }],
        };
        assert_eq!(flaws, expected, "row {row}");
    }
}

#[test]
fn a_cut_end_is_named_from_its_first_row() {
    let ca = Ca::new();
    let last = ca.rows().len() as i64;
    for row in 1..=last {
        let flaws = ca.flaws_after(|sql| {
            sql.execute("DELETE FROM audit WHERE sequence >= ?1", [row])
                .unwrap();
        });
        assert_eq!(
            flaws,
            [Flaw::Cut {
                from: row,
                to: last
            }]
        );
    }
    let flaws = ca.flaws_after(|sql| {
        sql.execute_batch("DELETE FROM audit; DELETE FROM audit_head")
            .unwrap();
    });
    assert_eq!(flaws, [Flaw::Cut { from: 1, to: 1 }]);
}

#[test]
fn inserted_rows_are_named_wherever_they_stand() {
    let ca = Ca::new();
    let rows = ca.rows();
    let last = rows.len() as i64;
    for row in 1..=last {
        // With any hash, and with one that fits the row before.
        for fits in [false, true] {
            let flaws = ca.flaws_after(|sql| {
                renumber(sql, row, 1);
                insert(sql, row, &[7; 32]);
                if fits {
                    let before = rows.iter().find(|other| other.sequence == row - 1);
                    let before = before.map_or(ChainHash::NONE, |row| row.carried().unwrap());
                    let forged = TrailRow {
                        sequence: row,
                        event: "export".into(),
                        serial: Some(2),
                        detail: None,
                        hash: None,
                        ..rows[0].clone()
                    };
                    let link = forged.link(&Site::local(), &before, row);
                    let hash = link.octets();
                    sql.execute(
                        "UPDATE audit SET hash = ?2 WHERE sequence = ?1",
                        params![row, hash],
                    )
                    .unwrap();
                }
            });
            let inserted = Flaw::Inserted { from: row, to: row };
            assert!(flaws.contains(&inserted), "row {row} {fits}: {flaws:?}");
        }
    }
    let beyond = ca.flaws_after(|sql| insert(sql, last + 1, &[7; 32]));
    assert!(names(&beyond, last + 1), "{beyond:?}");
    let before = ca.flaws_after(|sql| insert(sql, 0, &[7; 32]));
    assert_eq!(before, [Flaw::Inserted { from: 0, to: 0 }]);
    let far = ca.flaws_after(|sql| insert(sql, i64::MAX, &[7; 32]));
    assert!(names(&far, i64::MAX), "{far:?}");
}

#[test]
fn swapped_rows_are_named_both() {
    let ca = Ca::new();
    let last = ca.rows().len() as i64;
    for one in 1..last {
        for two in one + 1..=last {
            let flaws = ca.flaws_after(|sql| {
                for (from, to) in [(one, -1), (two, one), (-1, two)] {
                    sql.execute(
                        "UPDATE audit SET sequence = ?2 WHERE sequence = ?1",
                        params![from, to],
                    )
                    .unwrap();
                }
            });
            assert!(names(&flaws, one), "{one} {two}: {flaws:?}");
            assert!(names(&flaws, two), "{one} {two}: {flaws:?}");
        }
    }
}

#[test]
fn a_chain_that_was_computed_anew_lacks_the_signature() {
    let ca = Ca::new();
    let last = ca.rows().len() as i64;
    for row in 1..=last {
        let kept = ca.keep();
        let sql = ca.sql();
        sql.execute("UPDATE audit SET actor = 'taro' WHERE sequence = ?1", [row])
            .unwrap();
        recompute(&sql, &ca.rows(), row);
        assert_eq!(ca.flaws(), [Flaw::Recomputed { row: last }]);
        // The head can be made to fit, its signature cannot.
        sql.execute(
            "UPDATE audit_head SET hash = (SELECT hash FROM audit WHERE sequence = ?1)",
            [last],
        )
        .unwrap();
        assert_eq!(ca.flaws(), [Flaw::BadSignature { row: last }]);
        sql.execute("DELETE FROM audit_head", []).unwrap();
        assert_eq!(ca.flaws(), [Flaw::NoSignature]);
        drop(sql);
        ca.put_back(&kept);
    }
}

#[test]
fn the_next_signature_does_not_hide_what_nobody_signed() {
    let ca = Ca::new();
    let last = ca.rows().len() as i64;
    let meddlings = [
        format!("UPDATE audit SET actor = 'taro' WHERE sequence = {last}"),
        format!("DELETE FROM audit WHERE sequence = {last}"),
        "DELETE FROM audit_head".to_owned(),
        "UPDATE audit_head SET signature = zeroblob(70)".to_owned(),
        format!("UPDATE audit_head SET sequence = {}", last - 1),
    ];
    for (turn, meddling) in meddlings.iter().enumerate() {
        let kept = ca.keep();
        let sql = ca.sql();
        sql.execute(meddling, []).unwrap();
        recompute(&sql, &ca.rows(), 1);
        drop(sql);
        issue(&mut ca.open(), &format!("late{turn}"));
        let flaws = ca.flaws();
        let told = |flaw: &Flaw| matches!(flaw, Flaw::UnsignedBefore { .. });
        assert!(flaws.iter().any(told), "{meddling}: {flaws:?}");
        ca.put_back(&kept);
    }
}

#[test]
fn anchors_find_what_the_register_cannot_tell() {
    let ca = Ca::new();
    let early = ca.head();
    let kept = ca.keep();
    issue(&mut ca.open(), "user8");
    let late = ca.head();
    let journal = format!("Nov 24 ca orca-catool[1]: head: {early}\nnoise\nhead {late} [x]\n");
    assert_eq!(ca.flaws_against(&journal), []);
    // The whole register as it was before.
    ca.put_back(&kept);
    assert_eq!(ca.flaws(), []);
    let cut = Flaw::Cut {
        from: early.sequence + 1,
        to: late.sequence,
    };
    assert_eq!(ca.flaws_against(&journal), [cut]);
    // And gone on with from there.
    issue(&mut ca.open(), "user9");
    issue(&mut ca.open(), "user10");
    assert_eq!(ca.flaws(), []);
    let row = late.sequence;
    assert_eq!(ca.flaws_against(&journal), [Flaw::Rewritten { row }]);
    // Anchors of others say nothing about this one.
    let others = journal.replace(&early.id.to_string(), "00112233445566aa");
    assert_eq!(ca.flaws_against(&others), []);
}

#[test]
fn whoever_has_the_key_can_rewrite_but_not_the_anchors() {
    let ca = Ca::new();
    let head = ca.head();
    let folder = ca.folder.path().join(".orca_catool");
    let (key, other) = (folder.join(CA_KEY), folder.join("away"));
    // Without the key the export goes on, and the trail tells that nobody signed it.
    fs::rename(&key, &other).unwrap();
    ca.open()
        .export(&named("user2"), None, None, now())
        .unwrap();
    let (from, to) = (head.sequence + 1, head.sequence + 1);
    assert_eq!(ca.flaws(), [Flaw::Unsigned { from, to }]);
    fs::rename(&other, &key).unwrap();
    issue(&mut ca.open(), "user9");
    let row = to + 1;
    assert_eq!(ca.flaws(), [Flaw::UnsignedBefore { row }]);
}

/// What a version before the chain left.
fn make_old(sql: &Connection) {
    sql.execute_batch(
        "ALTER TABLE audit DROP COLUMN actor; ALTER TABLE audit DROP COLUMN host;
         ALTER TABLE audit DROP COLUMN detail; ALTER TABLE audit DROP COLUMN hash;
         DROP TABLE audit_head;
         DELETE FROM audit WHERE event NOT IN ('init', 'reserve', 'issue', 'export', 'revoke', 'crl');
         PRAGMA user_version = 4",
    )
    .unwrap();
    for (number, row) in (1_i64..).zip(sequences(sql)) {
        sql.execute(
            "UPDATE audit SET sequence = ?2 WHERE sequence = ?1",
            [row, number],
        )
        .unwrap();
    }
}

fn sequences(sql: &Connection) -> Vec<i64> {
    let mut statement = sql
        .prepare("SELECT sequence FROM audit ORDER BY sequence")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn the_first_row_of_the_chain_covers_the_rows_of_older_versions() {
    let ca = Ca::new();
    make_old(&ca.sql());
    let verdict = ca.verify();
    assert!(verdict.is_good() && verdict.head.is_none(), "{verdict:?}");
    let older = verdict.older;
    assert_eq!(older, verdict.rows);
    issue(&mut ca.open(), "user9");
    let verdict = ca.verify();
    assert!(verdict.is_good(), "{verdict:?}");
    assert_eq!((verdict.older, verdict.rows), (older, older + 2));
    let first = older as i64 + 1;
    for row in 1..first {
        let flaws = ca.flaws_after(|sql| {
            sql.execute("UPDATE audit SET at = at + 1 WHERE sequence = ?1", [row])
                .unwrap();
        });
        // Which of them it was cannot be told.
        assert_eq!(flaws, [Flaw::Changed { row: first }], "row {row}");
    }
}

#[test]
fn a_changed_configuration_is_noted_once() {
    let ca = Ca::new();
    let rows = ca.rows().len();
    ca.open().note_configuration(now()).unwrap();
    assert_eq!(ca.rows().len(), rows);
    let config = ca.place().config;
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n# a remark\n")).unwrap();
    for _ in 0..2 {
        ca.open().note_configuration(now()).unwrap();
    }
    fs::write(&config, text).unwrap();
    ca.open().note_configuration(now()).unwrap();
    let rows = ca.rows();
    let details: Vec<_> = rows
        .iter()
        .filter(|row| row.event == "config")
        .map(|row| row.detail.clone().unwrap())
        .collect();
    assert_eq!(details.len(), 3);
    assert_eq!(details[0], details[2]);
    assert_ne!(details[0], details[1]);
    assert!(ca.verify().is_good());
}
