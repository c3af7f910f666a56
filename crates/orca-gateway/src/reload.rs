//! Keeps certificates, authorities and revocation lists in step with their files. A broken new set
//! keeps the old one in force and says so.

mod findings;
mod orders;
mod rules;
mod watched;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use orca_messages::{Finding, render, text};
use orca_pki::verification::Authorities;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::{Config, CrlSource, CrlUnusable, HttpsFiles};
use crate::credentials::{Credentials, CredentialsError};
use crate::crl_store::{CrlStore, Offered, StateError};
use crate::live::{Live, Snapshot};
use crate::log::EventLog;
use crate::meters::{Meters, Reload, ReloadOutcome};
use crate::sd::Pulse;
use crate::tls::TlsServer;
use crate::trust::{CrlState, TrustSnapshot};
pub(crate) use findings::fault;
use findings::{alarm, fewer_authorities, list_gone, list_not_kept, list_unusable, told};
pub(crate) use orders::{ListAnswer, ListSource, Order};
pub(crate) use rules::{RuleFiles, RuleKeeper};
use watched::Watched;

/// How often the files are looked at: revocation is meant to count within a blink.
const POLL: Duration = Duration::from_millis(25);
/// Polls without change before a revocation list is taken: it is signed, half of one is refused.
const CRL_SETTLE: u32 = 1;
/// Polls without change before certificate, key and authorities are taken: three files that belong
/// together are copied one after the other.
const CREDENTIALS_SETTLE: u32 = 10;
/// Polls between two looks at nextUpdate.
const ALARM_POLLS: u32 = 40;

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
    alarms: Vec<CrlState>,
    polls: u32,
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
        let mut watched_crl = Watched::new(&crl_path);
        watched_crl.take();
        let mut store = CrlStore::open(&config.state)?;
        for finding in store.recall(credentials.authorities()) {
            log.finding(&finding);
        }
        if let Some(path) = &crl_path {
            read_list(
                &mut store,
                path,
                credentials.authorities(),
                &log,
                Missing::Expected,
            );
        }
        rules.tell(&log, credentials.authorities());
        let credentials = Arc::new(credentials);
        let tls = Arc::new(TlsServer::new(&credentials));
        let first = snapshot(&credentials, &tls, &store, config.crl_unusable, &rules);
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
            alarms: Vec::new(),
            polls: 0,
            clock,
            meters,
            log,
        };
        keeper.save_lists();
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
                    // Who asked may have gone.
                    let _ = answer.send(self.take_lists(&octets, &source));
                }
                Err(RecvTimeoutError::Timeout) => self.poll(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn poll(&mut self) {
        if self.watched_credentials.settled(CREDENTIALS_SETTLE) {
            self.watched_credentials.take();
            self.reload_credentials(Asked::ByChange);
        }
        if self.watched_crl.settled(CRL_SETTLE) {
            self.watched_crl.take();
            self.reload_list(Missing::Told);
        }
        if self.rules.has_changed() {
            self.reload_rules();
        }
        self.polls += 1;
        if self.polls >= ALARM_POLLS {
            self.polls = 0;
            self.raise_alarms();
        }
    }

    fn reload_all(&mut self) {
        self.watched_credentials.take();
        self.watched_crl.take();
        self.reload_rules();
        self.reload_credentials(Asked::ByHangup);
        self.reload_list(Missing::Told);
    }

    fn reload_credentials(&mut self, asked: Asked) {
        let credentials = match Credentials::load(&self.files) {
            Ok(credentials) => credentials,
            Err(errors) => return self.keep_credentials(&errors),
        };
        let lost = lost_authorities(self.credentials.authorities(), credentials.authorities());
        if !lost.is_empty() && asked == Asked::ByChange {
            self.log.finding(&fewer_authorities(&lost));
            return self.note(ReloadOutcome::Kept);
        }
        for finding in self.store.recall(credentials.authorities()) {
            self.log.finding(&finding);
        }
        for finding in credentials.warnings(self.clock.now()) {
            self.log.finding(&finding);
        }
        self.credentials = Arc::new(credentials);
        self.tls = Arc::new(TlsServer::new(&self.credentials));
        // A list of an authority that is new may have been in the file all the time.
        self.reload_list(Missing::Expected);
        self.publish();
        self.log.finding(&Finding::ok(
            "credentials-taken",
            text!(
                "新しい証明書、鍵、CA証明書を読み込みました。",
                "the new certificate, key and CA certificates are in force",
            ),
        ));
        self.note(ReloadOutcome::Taken);
    }

    fn reload_rules(&mut self) {
        let Some(outcome) = self.rules.reload(&self.log, self.credentials.authorities()) else {
            return;
        };
        if outcome == ReloadOutcome::Taken {
            self.publish();
        }
        self.note(outcome);
    }

    fn note(&self, outcome: ReloadOutcome) {
        let at = self.clock.now();
        self.meters.reloaded(Reload { at, outcome });
    }

    fn keep_credentials(&self, errors: &[CredentialsError]) {
        for error in errors {
            self.log.trouble(error);
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

    fn reload_list(&mut self, missing: Missing) {
        let Some(path) = &self.crl_path else {
            return;
        };
        let authorities = self.credentials.authorities();
        if read_list(&mut self.store, path, authorities, &self.log, missing) {
            self.publish();
            self.note(ReloadOutcome::Taken);
        }
    }

    /// Lists that did not come by the file: in force and on disk when this returns.
    fn take_lists(&mut self, octets: &[u8], source: &ListSource) -> ListAnswer {
        let authorities = self.credentials.authorities();
        let answers = offer(&mut self.store, octets, source, authorities, &self.log);
        let answer = answers.into_iter().min().unwrap_or(ListAnswer::Unusable);
        if answer == ListAnswer::Taken {
            self.put_in_force();
            let kept = self.save_lists();
            self.raise_alarms();
            self.note(ReloadOutcome::Taken);
            return match kept {
                Kept::OnDisk => answer,
                Kept::InMemory => ListAnswer::NotKept,
            };
        }
        answer
    }

    fn publish(&mut self) {
        self.put_in_force();
        self.save_lists();
        self.raise_alarms();
    }

    fn put_in_force(&self) {
        let snapshot = snapshot(
            &self.credentials,
            &self.tls,
            &self.store,
            self.unusable,
            &self.rules,
        );
        self.sender.send_replace(Arc::new(snapshot));
    }

    /// After they are in force: a slow disk must not delay a revocation.
    fn save_lists(&mut self) -> Kept {
        match self.store.save() {
            Ok(()) => Kept::OnDisk,
            Err(error) => {
                self.log.finding(&list_not_kept(&error));
                Kept::InMemory
            }
        }
    }

    /// Says of each authority whose list cannot be relied on, once per change.
    fn raise_alarms(&mut self) {
        let reports = self.sender.borrow().trust().crl_reports(self.clock.now());
        let states: Vec<_> = reports.iter().map(|report| report.state).collect();
        if states == self.alarms {
            return;
        }
        for report in &reports {
            let subject = render::one_line(&report.authority.subject().one_line());
            if let Some(alarm) = alarm(report.state, self.unusable, &subject) {
                self.log.finding(&alarm);
            }
        }
        self.alarms = states;
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Asked {
    ByChange,
    ByHangup,
}

/// Whether a restart remembers.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kept {
    OnDisk,
    InMemory,
}

/// Whether a list that is not there is worth a line.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Missing {
    Expected,
    Told,
}

fn snapshot(
    credentials: &Arc<Credentials>,
    tls: &Arc<TlsServer>,
    store: &CrlStore,
    unusable: CrlUnusable,
    rules: &RuleKeeper,
) -> Snapshot {
    let trust = TrustSnapshot::new(credentials.authorities().clone(), store.newest(), unusable);
    let rules = Arc::clone(rules.rules());
    Snapshot::new(Arc::clone(credentials), Arc::clone(tls), trust, rules)
}

/// Reads the file of lists; tells whether anything new is in force.
fn read_list(
    store: &mut CrlStore,
    path: &Path,
    authorities: &Authorities,
    log: &EventLog,
    missing: Missing,
) -> bool {
    let file = match std::fs::read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if missing == Missing::Told {
                log.finding(&list_gone(path));
            }
            return false;
        }
        Err(error) => {
            let error = render::one_line(&error.to_string());
            log.finding(&list_unusable(&path.display(), text!("{error}", "{error}")));
            return false;
        }
    };
    let source = ListSource::File(path.to_owned());
    let answers = offer(store, &file, &source, authorities, log);
    answers.contains(&ListAnswer::Taken)
}

/// Offers lists to the store and tells what became of each.
fn offer(
    store: &mut CrlStore,
    octets: &[u8],
    source: &ListSource,
    authorities: &Authorities,
    log: &EventLog,
) -> Vec<ListAnswer> {
    let offered = match store.offer(octets, authorities) {
        Ok(offered) => offered,
        Err(error) => {
            log.finding(&list_unusable(source, fault(error)));
            return vec![ListAnswer::Unusable];
        }
    };
    let answers = offered.iter().map(|offer| {
        if let Some(finding) = told(offer, source) {
            log.finding(&finding);
        }
        match offer {
            Offered::Older { .. } => ListAnswer::Older,
            Offered::Taken(_) => ListAnswer::Taken,
            Offered::Unchanged => ListAnswer::Unchanged,
            Offered::Unusable(..) => ListAnswer::Unusable,
        }
    });
    answers.collect()
}

fn lost_authorities(old: &Authorities, new: &Authorities) -> Vec<String> {
    old.iter()
        .filter(|known| new.iter().all(|other| other.key_id() != known.key_id()))
        .map(|known| render::one_line(&known.subject().one_line()))
        .collect()
}
