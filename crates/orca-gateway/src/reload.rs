//! Keeps certificates, authorities and revocation lists in step with their files. A broken new set
//! keeps the old one in force and says so.

mod watched;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use orca_messages::{Finding, Localize, Text, render, text};
use orca_pki::verification::Authorities;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::{Config, CrlSource, CrlUnusable, HttpsFiles};
use crate::credentials::{Credentials, CredentialsError};
use crate::crl_store::{CrlStore, Offered, StateError};
use crate::live::{Live, Snapshot};
use crate::log::EventLog;
use crate::meters::{Meters, Reload, ReloadOutcome};
use crate::tls::TlsServer;
use crate::trust::{CrlState, TrustSnapshot};
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

/// SIGHUP: read everything now.
#[derive(Debug)]
pub(crate) struct Hangup;

/// The writing half of what is in force.
pub(crate) struct Keeper {
    files: HttpsFiles,
    crl_path: PathBuf,
    unusable: CrlUnusable,
    store: CrlStore,
    credentials: Arc<Credentials>,
    tls: Arc<TlsServer>,
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
    /// The state folder cannot be used, or the list's address is none this version can read.
    pub(crate) fn start(
        config: &Config,
        files: &HttpsFiles,
        loaded: Loaded,
        clock: Clock,
        meters: Arc<Meters>,
        log: EventLog,
    ) -> Result<(Self, Live), StartError> {
        let Loaded {
            credentials,
            watched: watched_credentials,
        } = loaded;
        let crl_path = match &files.ca_crl {
            CrlSource::File(path) => path.clone(),
            CrlSource::Url(address) => return Err(StartError::CrlAddress(address.clone())),
        };
        let mut watched_crl = Watched::new([&crl_path]);
        watched_crl.take();
        let mut store = CrlStore::open(&config.state)?;
        for finding in store.recall(credentials.authorities()) {
            log.finding(&finding);
        }
        read_list(
            &mut store,
            &crl_path,
            credentials.authorities(),
            &log,
            Missing::Expected,
        );
        let credentials = Arc::new(credentials);
        let tls = Arc::new(TlsServer::new(&credentials));
        let first = snapshot(&credentials, &tls, &store, config.crl_unusable);
        let (sender, live) = watch::channel(Arc::new(first));
        let mut keeper = Self {
            files: files.clone(),
            crl_path,
            unusable: config.crl_unusable,
            store,
            credentials,
            tls,
            sender,
            watched_crl,
            watched_credentials,
            alarms: Vec::new(),
            polls: 0,
            clock,
            meters,
            log,
        };
        keeper.raise_alarms();
        Ok((keeper, live))
    }

    /// Watches until the other half of `hangups` is gone. Blocks; has a thread of its own.
    pub(crate) fn run(mut self, hangups: &Receiver<Hangup>) {
        loop {
            match hangups.recv_timeout(POLL) {
                Ok(Hangup) => self.reload_all(),
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
        self.polls += 1;
        if self.polls >= ALARM_POLLS {
            self.polls = 0;
            self.raise_alarms();
        }
    }

    fn reload_all(&mut self) {
        self.watched_credentials.take();
        self.watched_crl.take();
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
        let authorities = self.credentials.authorities();
        if read_list(
            &mut self.store,
            &self.crl_path,
            authorities,
            &self.log,
            missing,
        ) {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let snapshot = snapshot(&self.credentials, &self.tls, &self.store, self.unusable);
        self.sender.send_replace(Arc::new(snapshot));
        self.raise_alarms();
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
) -> Snapshot {
    let trust = TrustSnapshot::new(credentials.authorities().clone(), store.newest(), unusable);
    Snapshot::new(Arc::clone(credentials), Arc::clone(tls), trust)
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
            log.finding(&list_unusable(path, &error.to_string()));
            return false;
        }
    };
    let offered = match store.offer(&file, authorities) {
        Ok(offered) => offered,
        Err(error) => {
            log.finding(&list_unusable(path, &error.to_string()));
            return false;
        }
    };
    let mut taken = false;
    for offer in &offered {
        taken |= matches!(offer, Offered::Taken { .. });
        for finding in told(offer, path) {
            log.finding(&finding);
        }
    }
    taken
}

fn told(offer: &Offered, path: &Path) -> Vec<Finding> {
    match offer {
        Offered::Unchanged => Vec::new(),
        Offered::Older {
            issuer,
            number,
            known,
        } => {
            let (path, issuer) = (path.display(), render::one_line(&issuer.one_line()));
            vec![Finding::warning(
                "crl-older",
                text!(
                    "CRL({path}、発行者 {issuer})の番号{number}は、使用中の番号{known}より古いため使いません。",
                    "the CRL in {path} of {issuer} has number {number}, older than {known}, which stays in force",
                ),
                text!(
                    "orca-catool issue_crl で最新のCRLを発行し、置き換えてください。",
                    "issue the newest CRL with orca-catool issue_crl and put it there",
                ),
            )]
        }
        Offered::Unusable(issuer, error) => {
            let of = issuer
                .as_ref()
                .map(|issuer| format!(" ({})", render::one_line(&issuer.one_line())))
                .unwrap_or_default();
            vec![list_unusable(path, &format!("{error}{of}"))]
        }
        Offered::Taken { crl, kept } => {
            let (number, entries) = (crl.number(), crl.len());
            let issuer = render::one_line(&crl.issuer().one_line());
            let mut findings = vec![Finding::ok(
                "crl-taken",
                text!(
                    "CRL番号{number}を読み込みました(発行者 {issuer}、失効{entries}件)。",
                    "CRL number {number} of {issuer} is in force, {entries} revoked",
                ),
            )];
            if let Err(error) = kept {
                let error = render::one_line(&error.to_string());
                findings.push(Finding::warning(
                    "crl-not-kept",
                    text!(
                        "CRLを GATEWAY_STATE に保存できません({error})。再起動すると失われます。",
                        "the CRL cannot be kept in GATEWAY_STATE ({error}) and is lost at a restart",
                    ),
                    text!(
                        "ディスクの空き容量と、フォルダの所有者を確認してください。",
                        "check the free space and the owner of the folder",
                    ),
                ));
            }
            findings
        }
    }
}

fn list_gone(path: &Path) -> Finding {
    let path = path.display();
    Finding::warning(
        "crl-gone",
        text!(
            "CRLのファイル({path})がなくなりました。最後に読み込んだCRLを使い続けます。",
            "the file {path} (CA_CRL) is gone; the last good CRL stays in force",
        ),
        text!(
            "orca-catool issue_crl で発行したCRLを置いてください。",
            "put the CRL of orca-catool issue_crl there",
        ),
    )
}

fn list_unusable(path: &Path, cause: &str) -> Finding {
    let (path, cause) = (path.display(), render::one_line(cause));
    let cause_ja = &cause;
    Finding::warning(
        "crl-unusable",
        text!(
            "CRL({path})を使えません({cause_ja})。使用中のCRLがあれば使い続けます。",
            "the CRL in {path} cannot be used: {cause}; one that is in force stays so",
        ),
        text!(
            "CA_CRT の認証局で orca-catool issue_crl を実行し、CRLを置き直してください。ファイルの所有者と権限も確認してください。",
            "run orca-catool issue_crl of the CA in CA_CRT and put the CRL there; check owner and mode of the file",
        ),
    )
}

fn alarm(state: CrlState, unusable: CrlUnusable, subject: &str) -> Option<Finding> {
    let remedy = text!(
        "orca-catool issue_crl でCRLを発行し、CA_CRL の場所に置いてください。",
        "issue a CRL with orca-catool issue_crl and put it where CA_CRL points",
    );
    let (ja, en) = match unusable {
        CrlUnusable::Warn => ("失効の確認をせずに続けます", "revocation is not checked"),
        CrlUnusable::Refuse => (
            "この認証局のクライアントをすべて拒否します",
            "all its clients are refused",
        ),
    };
    match state {
        CrlState::Good => None,
        CrlState::Missing => Some(Finding::warning(
            "crl-missing",
            text!(
                "認証局({subject})のCRLがありません。{ja}。",
                "there is no CRL of {subject}; {en}",
            ),
            remedy,
        )),
        CrlState::Overdue => {
            let (ja, en) = match unusable {
                CrlUnusable::Warn => (
                    "記載済みの失効だけを確認します",
                    "only what it lists is refused",
                ),
                CrlUnusable::Refuse => (ja, en),
            };
            Some(Finding::warning(
                "crl-overdue",
                text!(
                    "認証局({subject})のCRLの期限(nextUpdate)が過ぎています。{ja}。",
                    "the CRL of {subject} is past its nextUpdate; {en}",
                ),
                remedy,
            ))
        }
    }
}

fn lost_authorities(old: &Authorities, new: &Authorities) -> Vec<String> {
    old.iter()
        .filter(|known| new.iter().all(|other| other.key_id() != known.key_id()))
        .map(|known| render::one_line(&known.subject().one_line()))
        .collect()
}

fn fewer_authorities(lost: &[String]) -> Finding {
    let lost = lost.join(", ");
    Finding::warning(
        "fewer-authorities",
        text!(
            "CA_CRT から認証局({lost})がなくなっています。誤って消えた場合に備え、以前のものを使い続けます。",
            "CA_CRT no longer holds {lost}; in case this is a mistake, the old set stays in force",
        ),
        text!(
            "意図した変更であれば、systemctl reload(SIGHUP)で読み込んでください。",
            "if it is meant, reload with systemctl reload (SIGHUP)",
        ),
    )
}

/// Why the trust half cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("CA_CRL: {0} is an address")]
    CrlAddress(String),
    #[error(transparent)]
    State(#[from] StateError),
}

impl Localize for StartError {
    fn id(&self) -> &'static str {
        match self {
            Self::CrlAddress(_) => "crl-address-not-supported",
            Self::State(error) => error.id(),
        }
    }

    fn message(&self) -> Text {
        match self {
            Self::CrlAddress(address) => text!(
                "CA_CRL のアドレス({address})からの取得は、この版ではまだできません。",
                "this version cannot fetch a CRL from {address} (CA_CRL) yet",
            ),
            Self::State(error) => error.message(),
        }
    }

    fn remedy(&self) -> Text {
        match self {
            Self::CrlAddress(_) => text!(
                "CA_CRL にはファイルのパスを指定し、CRLをそこへ配置してください。",
                "let CA_CRL name a file and put the CRL there",
            ),
            Self::State(error) => error.remedy(),
        }
    }
}
