//! Keeps certificates, authorities and revocation lists in step with their files. A broken new set
//! keeps the old one in force and says so.

mod alarms;
mod findings;
mod orders;
mod rules;
mod watched;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use orca_messages::{Finding, render, text};
use orca_pki::key::KeyId;
use orca_pki::verification::Authorities;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::{Config, CrlSource, CrlUnusable, HttpsFiles};
use crate::credentials::{Credentials, CredentialsError};
use crate::crl_store::{Carrier, CrlStore, Offered, StateError};
use crate::live::{Live, Snapshot};
use crate::log::EventLog;
use crate::meters::{Meters, Reload, ReloadOutcome};
use crate::sd::Pulse;
use crate::tls::TlsServer;
use crate::trust::{CrlReport, TrustSnapshot};
pub(crate) use alarms::Alarm;
use alarms::AlarmBook;
pub(crate) use findings::{Trouble, fault, told};
use findings::{fewer_authorities, list_not_kept};
pub(crate) use orders::{ListAnswer, ListSource, Order};
pub(crate) use rules::{RuleFiles, RuleKeeper};
use watched::Watched;

/// How often the files are looked at: revocation is meant to count within a blink.
const POLL: Duration = Duration::from_millis(10);
/// Polls without change before a revocation list is taken: it is signed, half of one is refused.
const CRL_SETTLE: u32 = 2;
/// Polls without change before certificate, key and authorities are taken: three files that belong
/// together are copied one after the other.
const CREDENTIALS_SETTLE: u32 = 25;
/// Polls between two looks at dates, requests for a reset, and what could not be saved.
const CHORES_POLLS: u32 = 100;
/// Chores between two attempts to save: a full disk is not asked every second.
const SAVE_CHORES: u32 = 30;
/// Read at a time; a list may have 30 MB.
const BUFFER: usize = 64 * 1024;

/// The writing half of what is in force.
pub(crate) struct Keeper {
    files: HttpsFiles,
    /// `None` where `CA_CRL` is an address: whoever asks there sends orders.
    crl_path: Option<PathBuf>,
    unusable: CrlUnusable,
    store: CrlStore,
    credentials: Arc<Credentials>,
    tls: Arc<TlsServer>,
    rules: RuleKeeper,
    sender: watch::Sender<Arc<Snapshot>>,
    watched_crl: Watched,
    watched_credentials: Watched,
    alarms: AlarmBook,
    polls: u32,
    chores: u32,
    kept: Kept,
    clock: Clock,
    meters: Arc<Meters>,
    log: EventLog,
}

/// The credentials, and the state of their files just before they were read.
pub(crate) struct Loaded {
    credentials: Credentials,
    watched: Watched,
}

impl Loaded {
    /// Reads the three files for the first time.
    ///
    /// # Errors
    /// Everything that keeps them from being used.
    pub(crate) fn from_files(files: &HttpsFiles) -> Result<Self, Vec<CredentialsError>> {
        let mut watched = Watched::new([&files.server_crt, &files.server_pem, &files.ca_crt]);
        watched.take();
        Ok(Self {
            credentials: Credentials::load(files)?,
            watched,
        })
    }

    /// What was read.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }
}

impl Keeper {
    /// Everything for the first time.
    ///
    /// # Errors
    /// The state folder cannot be used.
    pub(crate) fn start(
        config: &Config,
        files: &HttpsFiles,
        loaded: Loaded,
        rules: RuleKeeper,
        clock: Clock,
        meters: Arc<Meters>,
        log: EventLog,
    ) -> Result<(Self, Live), StateError> {
        let Loaded {
            credentials,
            watched: watched_credentials,
        } = loaded;
        let crl_path = match &files.ca_crl {
            CrlSource::File(path) => Some(path.clone()),
            CrlSource::Url(_) => None,
        };
        let watched_crl = Watched::new(&crl_path);
        let mut store = CrlStore::open(&config.state)?;
        for finding in store.recall(credentials.authorities()) {
            log.finding(&finding);
        }
        rules.tell(&log, credentials.authorities());
        let credentials = Arc::new(credentials);
        let tls = Arc::new(TlsServer::new(&credentials));
        let trust = TrustSnapshot::new(
            credentials.authorities().clone(),
            store.newest(),
            config.crl_unusable,
        );
        let first = Snapshot::new(
            Arc::clone(&credentials),
            Arc::clone(&tls),
            trust,
            Arc::clone(rules.rules()),
        );
        let (sender, live) = watch::channel(Arc::new(first));
        let mut keeper = Self {
            files: files.clone(),
            crl_path,
            unusable: config.crl_unusable,
            store,
            credentials,
            tls,
            rules,
            sender,
            watched_crl,
            watched_credentials,
            alarms: AlarmBook::default(),
            polls: 0,
            chores: 0,
            kept: Kept::OnDisk,
            clock,
            meters,
            log,
        };
        keeper.reset_as_asked();
        keeper.read_file();
        keeper.save();
        keeper.raise_alarms();
        Ok((keeper, live))
    }

    /// Watches until the other half of `orders` is gone. Blocks; has a thread of its own.
    pub(crate) fn run(mut self, orders: &Receiver<Order>, pulse: &Pulse) {
        loop {
            pulse.beat();
            match orders.recv_timeout(POLL) {
                Ok(Order::Hangup { done }) => {
                    self.reload_all();
                    drop(done);
                }
                Ok(Order::Lists {
                    octets,
                    source,
                    answer,
                }) => {
                    let became = self.take_lists(&octets[..], &source);
                    // Who asked may have gone.
                    let _ = answer.send(became.into_iter().min().unwrap_or(ListAnswer::Unusable));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // Orders that come thick and fast must not keep files from being looked at.
            self.poll();
        }
        self.tell(&self.meters.cuts().all());
    }

    fn poll(&mut self) {
        if self.watched_credentials.settled(CREDENTIALS_SETTLE) {
            self.watched_credentials.take();
            match self.reload_credentials(Asked::ByChange) {
                Credential::Kept => {}
                Credential::Same => self.tell_mended(),
                Credential::Taken => drop(self.put_credentials_in_force()),
            }
        }
        if self.watched_crl.settled(CRL_SETTLE) {
            self.read_file();
            self.raise_alarms();
        }
        if self.rules.has_changed() {
            self.reload_rules();
        }
        self.tell(&self.meters.cuts().due(Instant::now()));
        self.polls += 1;
        if self.polls >= CHORES_POLLS {
            self.polls = 0;
            self.do_chores();
        }
    }

    fn do_chores(&mut self) {
        self.reset_as_asked();
        self.chores = (self.chores + 1) % SAVE_CHORES;
        if self.chores == 0 && self.store.is_unsaved() {
            self.save();
        }
        self.raise_alarms();
    }

    fn reload_all(&mut self) {
        let rules = self.reload_rules();
        self.watched_credentials.take();
        let credentials = self.reload_credentials(Asked::ByHangup);
        let lists = match credentials {
            Credential::Taken => self.put_credentials_in_force(),
            Credential::Kept | Credential::Same => self.read_file(),
        };
        let nothing_new = |answer: &ListAnswer| *answer == ListAnswer::Unchanged;
        let same = credentials == Credential::Same && rules.is_none();
        if same && lists.iter().all(nothing_new) {
            self.log.finding(&findings::nothing_changed());
            self.note(ReloadOutcome::Unchanged);
        }
        self.raise_alarms();
    }

    /// What is taken is to be put in force.
    fn reload_credentials(&mut self, asked: Asked) -> Credential {
        let credentials = match Credentials::load(&self.files) {
            Ok(credentials) => credentials,
            Err(errors) => {
                self.keep_credentials(&errors);
                return Credential::Kept;
            }
        };
        if self.credentials.is_same(&credentials) {
            return Credential::Same;
        }
        let lost = lost_authorities(self.credentials.authorities(), credentials.authorities());
        if !lost.is_empty() && asked == Asked::ByChange {
            self.log.finding(&fewer_authorities(&lost));
            self.note(ReloadOutcome::Kept);
            return Credential::Kept;
        }
        let recalled = self.store.recall(credentials.authorities());
        self.tell(&recalled);
        self.tell(&credentials.warnings(self.clock.now()));
        self.credentials = Arc::new(credentials);
        self.tls = Arc::new(TlsServer::new(&self.credentials));
        self.log.finding(&Finding::ok(
            "credentials-taken",
            text!(
                "新しい証明書、鍵、CA証明書を読み込みました。",
                "the new certificate, key and CA certificates are in force",
            ),
        ));
        self.note(ReloadOutcome::Taken);
        Credential::Taken
    }

    /// `None` where there are none.
    fn reload_rules(&mut self) -> Option<ReloadOutcome> {
        let outcome = self
            .rules
            .reload(&self.log, self.credentials.authorities())?;
        if outcome == ReloadOutcome::Taken {
            self.put_in_force();
        }
        self.note(outcome);
        Some(outcome)
    }

    /// A list of an authority that is new may have been in the file all the time.
    fn put_credentials_in_force(&mut self) -> Vec<ListAnswer> {
        let lists = self.read_file();
        let published = |answer| matches!(answer, &ListAnswer::Taken | &ListAnswer::NotKept);
        if !lists.iter().any(published) {
            self.put_in_force();
        }
        self.raise_alarms();
        lists
    }

    /// What could not be used is again what is in force.
    fn tell_mended(&self) {
        let kept = |reload: Reload| reload.outcome == ReloadOutcome::Kept;
        if self.meters.last_reload().is_some_and(kept) {
            self.log.finding(&findings::nothing_changed());
            self.note(ReloadOutcome::Unchanged);
        }
    }

    fn note(&self, outcome: ReloadOutcome) {
        let at = self.clock.now();
        self.meters.reloaded(Reload { at, outcome });
    }

    fn tell(&self, findings: &[Finding]) {
        for finding in findings {
            self.log.finding(finding);
        }
    }

    fn keep_credentials(&self, errors: &[CredentialsError]) {
        for error in errors {
            self.log.finding(&error.while_running());
        }
        self.log.finding(&Finding::warning(
            "old-set-kept",
            text!(
                "新しい証明書、鍵、CA証明書は使えないため、以前のものを使い続けます。",
                "the new set of certificate, key and CA cannot be used; the old one stays in force",
            ),
            text!(
                "上の原因を直してください。直したファイルは自動的に読み込まれます。",
                "mend what the lines above say; the files are read again when they change",
            ),
        ));
        self.note(ReloadOutcome::Kept);
    }

    /// Takes the lists of `CA_CRL`, where it is a file that is there; they are in force then.
    fn read_file(&mut self) -> Vec<ListAnswer> {
        let Some(path) = self.crl_path.clone() else {
            return Vec::new();
        };
        self.watched_crl.take();
        let file = match File::open(&path) {
            Ok(file) => file,
            // An alarm of its own tells of it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                let error = render::one_line(&error.to_string());
                let cause = text!("{error}", "{error}");
                self.log
                    .finding(&findings::list_unusable(&path.display(), cause));
                return vec![ListAnswer::Unusable];
            }
        };
        let reader = BufReader::with_capacity(BUFFER, file);
        self.take_lists(reader, &ListSource::File(path))
    }

    /// Puts newer lists in force, then on disk, then tells: a slow disk must not delay a revocation,
    /// and what was told must not be lost by a crash.
    fn take_lists(&mut self, octets: impl BufRead, source: &ListSource) -> Vec<ListAnswer> {
        let authorities = self.credentials.authorities();
        let now = self.clock.now();
        let offered = self.store.offer(octets, source.carrier(), authorities, now);
        let taken = |offer: &Offered| matches!(offer, Offered::Taken(_) | Offered::TakenAhead(_));
        if offered.iter().any(taken) {
            self.put_in_force();
            self.note(ReloadOutcome::Taken);
        }
        let kept = self.save();
        for offer in &offered {
            self.tell(&told(offer, source));
        }
        self.raise_alarms();
        offered
            .iter()
            .map(|offer| ListAnswer::of(offer, kept))
            .collect()
    }

    fn put_in_force(&self) {
        let before = Arc::clone(&self.sender.borrow());
        let lists = self.store.newest();
        // The same credentials: only the lists are new.
        let trust = if std::ptr::eq(before.credentials(), &*self.credentials) {
            before.trust().with_lists(lists, self.clock.now())
        } else {
            let authorities = self.credentials.authorities().clone();
            TrustSnapshot::new(authorities, lists, self.unusable)
        };
        let (credentials, tls) = (Arc::clone(&self.credentials), Arc::clone(&self.tls));
        let rules = Arc::clone(self.rules.rules());
        let snapshot = Snapshot::new(credentials, tls, trust, rules);
        self.sender.send_replace(Arc::new(snapshot));
    }

    /// After they are in force. A disk that stays full is told of once.
    fn save(&mut self) -> Kept {
        let error = match self.store.save() {
            Ok(()) => {
                self.kept = Kept::OnDisk;
                return self.kept;
            }
            Err(error) => error,
        };
        if self.kept == Kept::OnDisk {
            self.log.finding(&list_not_kept(&error));
        }
        self.kept = Kept::InMemory;
        self.kept
    }

    /// Somebody said `orca-gateway reset_crl`; the file is looked at again, for its list may be one
    /// that was refused before.
    fn reset_as_asked(&mut self) {
        let resets = self.store.reset_as_asked(self.credentials.authorities());
        if resets.is_empty() {
            return;
        }
        for reset in &resets {
            self.log.finding(&findings::reset(reset));
        }
        self.read_file();
    }

    /// Says of each authority whose list cannot be relied on.
    fn raise_alarms(&mut self) {
        let now = self.clock.now();
        let reports = self.sender.borrow().trust().crl_reports(now);
        let file_alarm = (None, Alarm::FileGone);
        let gone = self.is_file_gone();
        let back = self.alarms.holds(file_alarm) && !gone;
        self.meters.set_list_file_gone(gone);
        let mut holding: Vec<(Option<KeyId>, Alarm)> = reports
            .iter()
            .filter_map(|report| Some((Some(report.authority.key_id()), Alarm::of(report)?)))
            .collect();
        holding.extend(gone.then_some(file_alarm));
        for (about, alarm) in self.alarms.due(&holding, now) {
            let about = |report: &&CrlReport| Some(report.authority.key_id()) == about;
            let trouble = Trouble {
                alarm,
                report: reports.iter().find(about),
                source: &self.files.ca_crl,
                unusable: self.unusable,
            };
            self.log.finding(&trouble.finding());
        }
        if back {
            self.log.finding(&findings::list_back(&self.files.ca_crl));
        }
    }

    /// The file that a list came from; where none ever lay there, nothing is gone.
    fn is_file_gone(&self) -> bool {
        let Some(path) = &self.crl_path else {
            return false;
        };
        self.store.relies_on_file(self.credentials.authorities()) && !path.exists()
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Asked {
    ByChange,
    ByHangup,
}

/// What became of certificate, key and authorities that were read again.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Credential {
    /// Not usable: the old ones stay.
    Kept,
    /// As before.
    Same,
    /// New.
    Taken,
}

/// Whether a restart remembers.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kept {
    OnDisk,
    InMemory,
}

impl ListAnswer {
    fn of(offer: &Offered, kept: Kept) -> Self {
        match (offer, kept) {
            (Offered::Taken(_) | Offered::TakenAhead(_), Kept::OnDisk) => Self::Taken,
            (Offered::Taken(_) | Offered::TakenAhead(_) | Offered::Unchanged, Kept::InMemory) => {
                Self::NotKept
            }
            (Offered::Unchanged, Kept::OnDisk) => Self::Unchanged,
            (Offered::Older { .. } | Offered::SameNumber { .. }, _) => Self::Older,
            (Offered::FarAhead(_) | Offered::Unreadable(_) | Offered::Unusable(..), _) => {
                Self::Unusable
            }
        }
    }
}

impl ListSource {
    /// How it came.
    pub(crate) fn carrier(&self) -> Carrier {
        match self {
            Self::File(_) => Carrier::File,
            Self::Polled(_) => Carrier::Poll,
            Self::Pushed(_) => Carrier::Push,
        }
    }
}

fn lost_authorities(old: &Authorities, new: &Authorities) -> Vec<String> {
    old.iter()
        .filter(|known| new.iter().all(|other| other.key_id() != known.key_id()))
        .map(|known| render::one_line(&known.subject().one_line()))
        .collect()
}

#[cfg(test)]
mod tests;
