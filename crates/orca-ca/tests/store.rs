//! What every store must do. One suite, instantiated for each store there is; the crash cases stop
//! after a step of issuing or revoking and look at what a later run finds.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::sync::Barrier;

use jiff::Timestamp;
use orca_ca::Error;
use orca_ca::record::{AuditEvent, CertificateStatus, Reservation, Site, Standing};
use orca_ca::store::{NamePolicy, RevocationOrder, SqliteStore, Store};
use orca_pki::certificate::Certificate;
use orca_pki::crl::UnverifiedCrl;
use orca_pki::issuance::{IssuanceRequest, Realm, prepare};
use orca_pki::key::{KeyAlgorithm, KeyPair};
use orca_pki::name::{CommonName, Country};
use orca_pki::profile::{CertificateProfile, NameConstraints};
use orca_pki::revocation::{CertificateRevocationList, CrlNumber, CrlWriter, RevocationReason};
use orca_pki::serial::SerialNumber;
use orca_pki::validity::{DAY, shift};

fn now() -> Timestamp {
    "2026-11-24T00:00:00Z".parse().unwrap()
}

fn serial(number: u64) -> SerialNumber {
    SerialNumber::try_from(number).unwrap()
}

/// A register with a CA in it.
struct Site1 {
    folder: tempfile::TempDir,
    site: Site,
    ca: Certificate,
    ca_key: KeyPair,
}

impl Site1 {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::File::create(register(folder.path())).unwrap();
        let ca_key = KeyPair::generate(KeyAlgorithm::P256).unwrap();
        let name = CommonName::numbered_ca(1);
        let constraints = NameConstraints::default();
        let request =
            IssuanceRequest::root(&realm(), name, constraints, 7300, KeyAlgorithm::P256).unwrap();
        let info = ca_key.public_key_info().unwrap();
        let ca = prepare(&request, &serial(1), None, &info, now())
            .unwrap()
            .sign(&ca_key)
            .unwrap();
        let mut store = SqliteStore::create(&register(folder.path())).unwrap();
        let crl = sign(&ca, &ca_key, CrlNumber(1), CrlWriter::new()).unwrap();
        let site = Site::local();
        store.enroll(&site, &ca, &crl, now()).unwrap();
        Self {
            folder,
            site,
            ca,
            ca_key,
        }
    }

    /// A fresh connection, as the next run of the program has it.
    fn store(&self) -> SqliteStore {
        SqliteStore::open(&register(self.folder.path())).unwrap()
    }

    fn reserve(&self, name: &str) -> Result<SerialNumber, Error> {
        self.store().reserve(
            &self.site,
            &reservation(name),
            NamePolicy::Unique,
            &mut |_| Ok(()),
        )
    }

    fn issue(&self, name: &str, days: u32) -> SerialNumber {
        let serial = self.reserve(name).unwrap();
        let certificate = self.certificate(name, &serial, days);
        self.store()
            .record(&self.site, &certificate, Some(b"sealed"), now())
            .unwrap();
        serial
    }

    fn certificate(&self, name: &str, serial: &SerialNumber, days: u32) -> Certificate {
        let request =
            IssuanceRequest::client(&realm(), name.parse().unwrap(), days, KeyAlgorithm::P256)
                .unwrap();
        let key = KeyPair::generate(KeyAlgorithm::P256)
            .unwrap()
            .public_key_info()
            .unwrap();
        prepare(&request, serial, Some(&self.ca), &key, now())
            .unwrap()
            .sign(&self.ca_key)
            .unwrap()
    }

    fn revoke(&self, serials: &[SerialNumber], at: Timestamp) -> Result<Vec<u64>, Error> {
        let order = RevocationOrder {
            serials: serials.to_vec(),
            reason: Some(RevocationReason::Superseded),
            at,
            drop_expired_before: shift(at, -365 * DAY),
        };
        let crl = self
            .store()
            .revoke(&self.site, &order, &mut |number, writer| {
                sign(&self.ca, &self.ca_key, number, writer)
            })?;
        Ok(listed(&self.ca, &crl))
    }

    fn standing(&self, serial: &SerialNumber, at: Timestamp) -> Standing {
        self.store()
            .find(&self.site, serial)
            .unwrap()
            .unwrap()
            .standing(at)
    }

    fn crl_number(&self) -> u64 {
        self.store()
            .newest_crl(&self.site)
            .unwrap()
            .unwrap()
            .number
            .0
    }
}

fn register(folder: &Path) -> PathBuf {
    folder.join("register.sqlite3")
}

fn realm() -> Realm {
    Realm {
        country: Country::japan(),
        organization: CommonName::orca(),
    }
}

fn reservation(name: &str) -> Reservation {
    Reservation {
        profile: CertificateProfile::Client,
        subject: format!("/C=JP/O=orca/CN={name}"),
        common_name: name.to_owned(),
        hosts: vec![],
        holder: Some("山田花子".to_owned()),
        device: None,
        at: now(),
    }
}

fn sign(
    ca: &Certificate,
    key: &KeyPair,
    number: CrlNumber,
    writer: CrlWriter,
) -> Result<CertificateRevocationList, Error> {
    let period = (now(), shift(now(), 365 * DAY));
    Ok(writer.sign(ca, key, number, period)?)
}

/// The serials below a hundred that a list revokes.
fn listed(ca: &Certificate, crl: &CertificateRevocationList) -> Vec<u64> {
    let list = UnverifiedCrl::from_der(&crl.der).unwrap();
    let list = list.verify([ca]).unwrap();
    let serials = (1..100).filter(|n| list.revoked_at(&serial(*n)).is_some());
    let serials: Vec<u64> = serials.collect();
    assert_eq!(serials.len(), list.len());
    serials
}

#[test]
fn serials_begin_with_two_and_are_never_used_twice() {
    let site = Site1::new();
    assert_eq!(site.reserve("user1").unwrap(), serial(2));
    let refused = site.store().reserve(
        &site.site,
        &reservation("user2"),
        NamePolicy::Unique,
        &mut |taken| {
            assert_eq!(*taken, serial(3));
            Err(Error::FileExists {
                path: "x.zip".into(),
            })
        },
    );
    assert!(matches!(refused, Err(Error::FileExists { .. })));
    assert_eq!(
        site.reserve("user2").unwrap(),
        serial(3),
        "a refusal takes no serial"
    );
}

#[test]
fn parallel_reservations_get_different_serials() {
    let site = Site1::new();
    let barrier = Barrier::new(8);
    let mut serials: Vec<u64> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let (site, barrier) = (&site, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    (0..10)
                        .map(|turn| {
                            site.reserve(&format!("u{worker}-{turn}"))
                                .unwrap()
                                .to_u64()
                                .unwrap()
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    serials.sort_unstable();
    assert_eq!(serials, (2..82).collect::<Vec<_>>());
}

#[test]
fn a_valid_name_is_taken_and_free_again_once_revoked_or_expired() {
    let site = Site1::new();
    let first = site.issue("user1", 30);
    assert!(matches!(
        site.reserve("user1"),
        Err(Error::NameInUse { serial, .. }) if serial == first
    ));
    site.revoke(&[first], now()).unwrap();
    let second = site.issue("user1", 30);
    assert_eq!(second, serial(3));
    let later = Reservation {
        at: shift(now(), 31 * DAY),
        ..reservation("user1")
    };
    let taken = site
        .store()
        .reserve(&site.site, &later, NamePolicy::Unique, &mut |_| Ok(()));
    assert_eq!(taken.unwrap(), serial(4));
}

#[test]
fn a_crash_after_reserving_leaves_a_row_that_is_told_and_can_be_revoked() {
    let site = Site1::new();
    let reserved = site.reserve("user1").unwrap();
    assert_eq!(site.standing(&reserved, now()), Standing::Reserved);
    let record = site.store().find(&site.site, &reserved).unwrap().unwrap();
    assert_eq!(record.reservation.holder.as_deref(), Some("山田花子"));
    assert!(record.certificate.is_none());
    assert_eq!(
        site.revoke(std::slice::from_ref(&reserved), now()).unwrap(),
        [2]
    );
    assert_eq!(site.standing(&reserved, now()), Standing::Revoked);
    // Whoever was still at work on it comes too late.
    let certificate = site.certificate("user1", &reserved, 30);
    assert!(
        site.store()
            .record(&site.site, &certificate, None, now())
            .is_err()
    );
    assert_eq!(site.standing(&reserved, now()), Standing::Revoked);
}

#[test]
fn a_crash_after_recording_leaves_certificate_and_key() {
    let site = Site1::new();
    let issued = site.issue("user1", 30);
    assert_eq!(site.standing(&issued, now()), Standing::Valid);
    assert_eq!(
        site.store()
            .sealed_key(&site.site, &issued)
            .unwrap()
            .unwrap(),
        b"sealed"
    );
    assert_eq!(
        site.standing(&issued, shift(now(), 31 * DAY)),
        Standing::Expired
    );
}

#[test]
fn a_revocation_is_all_or_nothing_and_destroys_the_kept_keys() {
    let site = Site1::new();
    let (one, two) = (site.issue("user1", 30), site.issue("user2", 30));
    let number = site.crl_number();
    let unknown = site.revoke(&[one.clone(), serial(99)], now());
    assert!(matches!(unknown, Err(Error::UnknownSerial { .. })));
    assert_eq!(site.standing(&one, now()), Standing::Valid);
    assert_eq!(
        site.crl_number(),
        number,
        "a refused revocation makes no CRL"
    );

    assert_eq!(
        site.revoke(&[one.clone(), two.clone()], now()).unwrap(),
        [2, 3]
    );
    assert_eq!(site.crl_number(), number + 1);
    assert_eq!(site.store().sealed_key(&site.site, &one).unwrap(), None);
    let record = site.store().find(&site.site, &two).unwrap().unwrap();
    let reason = Some(RevocationReason::Superseded);
    assert_eq!(
        record.status,
        CertificateStatus::Revoked { at: now(), reason }
    );
    assert!(matches!(
        site.revoke(&[one], now()),
        Err(Error::AlreadyRevoked { .. })
    ));
}

#[test]
fn a_revocation_whose_crl_cannot_be_signed_changes_nothing() {
    let site = Site1::new();
    let issued = site.issue("user1", 30);
    let order = RevocationOrder {
        serials: vec![issued.clone()],
        reason: None,
        at: now(),
        drop_expired_before: now(),
    };
    let failed = site
        .store()
        .revoke(&site.site, &order, &mut |_, _| Err(Error::NoHome));
    assert!(failed.is_err());
    assert_eq!(site.standing(&issued, now()), Standing::Valid);
    assert_eq!(
        site.store()
            .sealed_key(&site.site, &issued)
            .unwrap()
            .unwrap(),
        b"sealed"
    );
}

#[test]
fn an_expired_entry_stays_on_one_more_period_of_lists() {
    let site = Site1::new();
    let short = site.issue("user1", 30);
    site.revoke(&[short], now()).unwrap();
    for (days, expected) in [(31, vec![2]), (30 + 365, vec![2]), (32 + 365, vec![])] {
        let at = shift(now(), days * DAY);
        let crl = site
            .store()
            .issue_crl(
                &site.site,
                AuditEvent::CrlIssued,
                at,
                shift(at, -365 * DAY),
                &mut |number, writer| sign(&site.ca, &site.ca_key, number, writer),
            )
            .unwrap();
        assert_eq!(listed(&site.ca, &crl), expected, "after {days} days");
    }
    assert_eq!(site.crl_number(), 5, "the number only grows");
}

#[test]
fn a_register_of_a_newer_version_and_a_foreign_file_are_refused() {
    let site = Site1::new();
    let path = register(site.folder.path());
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    assert!(matches!(
        SqliteStore::open(&path),
        Err(Error::RegisterNewer { version: 99, .. })
    ));
    let foreign = site.folder.path().join("foreign");
    std::fs::File::create(&foreign).unwrap();
    assert!(matches!(
        SqliteStore::open(&foreign),
        Err(Error::RegisterUnreadable { .. })
    ));
    let missing = site.folder.path().join("missing");
    assert!(matches!(SqliteStore::open(&missing), Err(Error::Io { .. })));
    assert!(!missing.exists(), "a missing register is not made");
}

#[test]
fn what_a_gateway_has_got_never_goes_back() {
    let site = Site1::new();
    let gateway = "https://192.168.1.100:8000";
    let state = || {
        let rows = site.store().deliveries(&site.site).unwrap();
        assert!(rows.len() <= 1);
        rows.into_iter().next()
    };
    let deliver = |number, day| {
        let at = shift(now(), day * DAY);
        site.store()
            .delivered(&site.site, gateway, CrlNumber(number), at)
            .unwrap();
    };
    assert_eq!(state(), None);
    site.store()
        .not_delivered(&site.site, gateway, "refused", now())
        .unwrap();
    let row = state().unwrap();
    assert_eq!((row.number, row.failed_at), (None, Some(now())));
    assert_eq!(row.failure.as_deref(), Some("refused"));
    deliver(7, 1);
    let seventh = Some((CrlNumber(7), shift(now(), DAY)));
    let row = state().unwrap();
    assert_eq!(
        (row.gateway.as_str(), row.number, row.failure),
        (gateway, seventh, None)
    );
    // Two commands may report in the other order.
    deliver(6, 2);
    assert_eq!(state().unwrap().number, seventh);
    site.store()
        .not_delivered(&site.site, gateway, "timed-out", now())
        .unwrap();
    let row = state().unwrap();
    assert_eq!(
        (row.number, row.failure.as_deref()),
        (seventh, Some("timed-out"))
    );
}

#[test]
fn a_register_of_the_first_version_is_brought_up() {
    let site = Site1::new();
    let path = register(site.folder.path());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "DROP TABLE delivery; DROP INDEX certificate_listed; DROP INDEX certificate_by_host;
             DROP TABLE audit_head;
             ALTER TABLE audit DROP COLUMN actor; ALTER TABLE audit DROP COLUMN host;
             ALTER TABLE audit DROP COLUMN detail; ALTER TABLE audit DROP COLUMN hash;
             ALTER TABLE certificate DROP COLUMN not_before; PRAGMA user_version = 1",
        )
        .unwrap();
    let barrier = Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                barrier.wait();
                let rows = site.store().deliveries(&site.site).unwrap();
                assert_eq!(rows, []);
            });
        }
    });
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 5);
    assert!(site.store().authority(&site.site).unwrap().is_some());
}
