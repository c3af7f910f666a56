//! When, where and with which program each certificate was used last.

mod list;
mod store;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use orca_messages::{Finding, text};
use orca_pki::certificate::Fingerprint;
use orca_pki::key::KeyId;
use orca_pki::serial::SerialNumber;

use crate::access_log::user_agent;
use crate::identity::ClientIdentity;
use crate::trust::TrustSnapshot;

pub(crate) use list::print;

/// Certificates remembered; a clinic has some hundreds.
const MOST: usize = 4096;
/// A use so soon after the last one of the same address is not noted.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// One machine cannot be at two addresses within this.
const MINUTE: SignedDuration = SignedDuration::from_secs(60);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// All that was seen; shared by all workers.
#[derive(Debug, Default)]
pub(crate) struct LastSeen {
    state: Mutex<State>,
    /// `None` keeps it in memory only.
    file: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct State {
    seen: HashMap<Fingerprint, Seen>,
    changed: bool,
}

/// The last use of one certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) fingerprint: Fingerprint,
    /// Key of the issuer, which counts for revocation.
    pub(crate) issuer_key: Option<KeyId>,
    pub(crate) serial: SerialNumber,
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) not_after: Timestamp,
    pub(crate) at: Timestamp,
    pub(crate) address: IpAddr,
    pub(crate) user_agent: Option<String>,
    /// When it was last used at two addresses within a minute.
    pub(crate) two_addresses: Option<Timestamp>,
    told: Option<Timestamp>,
}

/// Why a certificate that was used before cannot be any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Past {
    Expired(Timestamp),
    Revoked(Timestamp),
}

impl LastSeen {
    /// Reads what the folder of the state remembers. A damaged file is told and replaced later.
    pub(crate) fn open(folder: &Path) -> (Self, Option<Finding>) {
        let file = folder.join(store::FILE);
        let (seen, finding) = match store::read(&file) {
            Ok(seen) => (seen, None),
            Err(error) => (Vec::new(), Some(store::damaged(&file, &error))),
        };
        let seen = seen.into_iter().map(|seen| (seen.fingerprint, seen));
        let state = State {
            seen: seen.collect(),
            changed: false,
        };
        let state = Mutex::new(state);
        let file = Some(file);
        (Self { state, file }, finding)
    }

    /// Notes that a client asks for something. One short lock; a second request within ten seconds
    /// changes nothing. Returns what somebody should look at, once a day.
    pub(crate) fn note(
        &self,
        identity: &ClientIdentity,
        address: IpAddr,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Option<Finding> {
        let fingerprint = identity.fingerprint();
        let mut state = self.lock();
        if let Some(seen) = state.seen.get_mut(&fingerprint) {
            if seen.address == address && now.duration_since(seen.at).abs() < PAUSE {
                return None;
            }
            let finding = seen.meet(address, now);
            seen.user_agent = user_agent(headers);
            state.changed = true;
            return finding;
        }
        state.make_room();
        state.changed = true;
        let seen = Seen {
            fingerprint,
            issuer_key: identity.issued().first().map(|(key, _)| *key),
            serial: identity.serial().clone(),
            subject: identity.subject().one_line(),
            issuer: identity.issuer().one_line(),
            not_after: identity.not_after(),
            at: now,
            address,
            user_agent: user_agent(headers),
            two_addresses: None,
            told: None,
        };
        state.seen.insert(fingerprint, seen);
        None
    }

    /// What became of the certificate that was last used at an address, where it cannot be used now.
    pub(crate) fn past(
        &self,
        address: IpAddr,
        trust: &TrustSnapshot,
        now: Timestamp,
    ) -> Option<Past> {
        let state = self.lock();
        let here = state.seen.values().filter(|seen| seen.address == address);
        let last = here.max_by_key(|seen| seen.at)?;
        let revoked = last
            .issuer_key
            .and_then(|issuer| trust.revoked_at(issuer, &last.serial));
        match revoked {
            Some(at) => Some(Past::Revoked(at)),
            None if last.not_after.as_second() < now.as_second() => {
                Some(Past::Expired(last.not_after))
            }
            None => None,
        }
    }

    /// All of it, the last use first.
    pub(crate) fn all(&self) -> Vec<Seen> {
        let mut all: Vec<Seen> = self.lock().seen.values().cloned().collect();
        all.sort_by_key(|seen| std::cmp::Reverse((seen.at, seen.fingerprint.0)));
        all
    }

    /// Writes the file where something has changed.
    ///
    /// # Errors
    /// It cannot be written; the next call tries again.
    pub(crate) fn save(&self) -> std::io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        if !std::mem::take(&mut self.lock().changed) {
            return Ok(());
        }
        let saved = store::write(file, &self.all());
        if saved.is_err() {
            self.lock().changed = true;
        }
        saved
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn make_room(&mut self) {
        if self.seen.len() < MOST {
            return;
        }
        let oldest = self.seen.values().min_by_key(|seen| seen.at);
        if let Some(fingerprint) = oldest.map(|seen| seen.fingerprint) {
            self.seen.remove(&fingerprint);
        }
    }
}

impl Seen {
    fn meet(&mut self, address: IpAddr, now: Timestamp) -> Option<Finding> {
        let before = std::mem::replace(&mut self.address, address);
        let at = std::mem::replace(&mut self.at, now);
        if before == address || now.duration_since(at) > MINUTE {
            return None;
        }
        self.two_addresses = Some(now);
        let is_news = self.told.is_none_or(|told| now.duration_since(told) >= DAY);
        is_news.then(|| {
            self.told = Some(now);
            let (subject, serial) = (&self.subject, &self.serial);
            Finding::warning(
                "two-addresses",
                text!(
                    "証明書(番号{serial}、{subject})が1分以内に {before} と {address} から使用されました。",
                    "certificate {serial} ({subject}) was used from {before} and from {address} within a minute",
                ),
                text!(
                    "証明書が別の端末にコピーされていないか確認してください。盗まれた場合は orca-catool revoke_cert {serial} で破棄してください。",
                    "look whether it was copied to another machine; if it was stolen: orca-catool revoke_cert {serial}",
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_process::write;

    fn seen(number: u8) -> Seen {
        Seen {
            fingerprint: Fingerprint([number; 32]),
            issuer_key: Some(KeyId([9; 32])),
            serial: SerialNumber::try_from(u64::from(number) + 1).unwrap(),
            subject: format!("/CN=user{number}"),
            issuer: "/CN=orca CA".into(),
            not_after: Timestamp::constant(2_000_000_000, 0),
            at: Timestamp::constant(1_700_000_000 + number as i64, 0),
            address: "192.168.1.5".parse().unwrap(),
            user_agent: Some("curl/8".into()),
            two_addresses: None,
            told: None,
        }
    }

    #[test]
    fn what_was_seen_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (last_seen, finding) = LastSeen::open(folder.path());
        assert!(finding.is_none());
        for number in 1..4 {
            let seen = seen(number);
            let mut state = last_seen.lock();
            state.seen.insert(seen.fingerprint, seen);
            state.changed = true;
        }
        last_seen.save().unwrap();
        let (again, finding) = LastSeen::open(folder.path());
        assert!(finding.is_none());
        assert_eq!(again.all(), [seen(3), seen(2), seen(1)]);
    }

    #[test]
    fn a_damaged_file_is_told_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join(store::FILE), "[{\"serial\":");
        let (last_seen, finding) = LastSeen::open(folder.path());
        assert_eq!(finding.unwrap().id, "last-seen-damaged");
        last_seen.lock().changed = true;
        last_seen.save().unwrap();
        assert!(LastSeen::open(folder.path()).1.is_none());
    }

    #[test]
    fn two_addresses_within_a_minute_are_told_once_a_day() {
        let mut seen = seen(1);
        let start = seen.at;
        let other: IpAddr = "192.168.1.6".parse().unwrap();
        let home = seen.address;
        let after = |seconds| start + SignedDuration::from_secs(seconds);
        assert!(seen.meet(home, after(30)).is_none());
        assert!(seen.meet(other, after(100)).is_none(), "moved");
        let finding = seen.meet(home, after(130)).unwrap();
        assert_eq!(finding.id, "two-addresses");
        assert_eq!(seen.two_addresses, Some(after(130)));
        assert!(seen.meet(other, after(140)).is_none(), "told already");
        assert_eq!(seen.two_addresses, Some(after(140)));
        seen.at = after(140 + 86_400);
        assert!(seen.meet(home, after(141 + 86_400)).is_some());
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut state = State::default();
        for number in 0..MOST {
            let mut seen = seen(0);
            seen.fingerprint.0[..8].copy_from_slice(&(number as u64).to_be_bytes());
            seen.at = Timestamp::from_second(1_700_000_000 + number as i64).unwrap();
            state.seen.insert(seen.fingerprint, seen);
        }
        state.make_room();
        assert_eq!(state.seen.len(), MOST - 1);
        let first = Timestamp::constant(1_700_000_000, 0);
        assert!(state.seen.values().all(|seen| seen.at > first));
    }

    #[test]
    fn the_list_is_printed_for_people_and_scripts() {
        use crate::args::Format;
        use orca_messages::Lang;
        let print = |format| {
            let mut out = Vec::new();
            list::write(
                &[seen(1)],
                format,
                Lang::Ja,
                &jiff::tz::TimeZone::UTC,
                &mut out,
            )
            .unwrap();
            String::from_utf8(out).unwrap()
        };
        let json: serde_json::Value = serde_json::from_str(&print(Format::Json)).unwrap();
        assert_eq!(json[0]["fingerprint"], "01".repeat(32));
        assert_eq!(json[0]["serial"], "2");
        assert_eq!(json[0]["last_seen"], "2023-11-14T22:13:21Z");
        assert_eq!(json[0]["last_address"], "192.168.1.5");
        assert!(json[0]["two_addresses"].is_null());
        assert!(
            print(Format::Csv)
                .starts_with("fingerprint,serial,subject,issuer,not_after,last_seen,")
        );
        assert!(print(Format::Table).contains("192.168.1.5"));
    }
}
