//! What the gateway can say about itself at one moment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::access_log::AccessLog;
use crate::attach::nag;
use crate::clock::Clock;
use crate::config::{Config, CrlSource, HttpsFiles, Mode};
use crate::credentials::EXPIRING_DAYS;
use crate::forward::Health;
use crate::last_seen::LastSeen;
use crate::live::Live;
use crate::log::EventLog;
use crate::meters::{Fetch, Meters, Reload};
use crate::trust::{CrlReport, CrlState};

use super::lockout::{self, LastUse, Lockout};

/// Where a report comes from.
pub(crate) struct Sources {
    pub(crate) config: Config,
    /// The address that is bound, which may differ from the configured one.
    pub(crate) listen: SocketAddr,
    pub(crate) started: Timestamp,
    pub(crate) clock: Clock,
    pub(crate) meters: Arc<Meters>,
    pub(crate) health: Arc<Health>,
    /// `None` in HTTP mode.
    pub(crate) live: Option<Live>,
    pub(crate) log: EventLog,
    pub(crate) access_log: AccessLog,
    pub(crate) seen: Arc<LastSeen>,
}

impl Sources {
    /// Whether the public listener is bound.
    pub(crate) fn is_listening(&self) -> bool {
        self.meters.is_listening()
    }
}

/// The object of `/status`. Times are UTC.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) version: &'static str,
    pub(super) mode: &'static str,
    started: String,
    pub(super) listening: bool,
    listen: SocketAddr,
    pub(super) upstream: Upstream,
    pub(super) certificate: Option<Certificate>,
    pub(super) authorities: Vec<Authority>,
    /// The file of `CA_CRL` that the lists came from is gone.
    pub(super) crl_file_gone: bool,
    pub(super) connections: Connections,
    pub(super) handshakes: u64,
    /// With an answer of the application.
    pub(super) requests: u64,
    pub(super) refusals: BTreeMap<&'static str, u64>,
    /// `explain`, `strict` or `observe`; `None` in HTTP mode.
    client_auth: Option<&'static str>,
    /// Who is served without a certificate, as configured.
    pub(super) exemptions: Vec<String>,
    /// Requests served without a verdict or against a rule, by ground and cause.
    pub(super) admitted: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    pub(super) last_reload: Option<LastReload>,
    /// The address in `CA_CRL`, where it is one.
    pub(super) crl_fetch: Option<CrlFetch>,
    /// Revocation lists that were sent, by what became of them.
    pub(super) crl_pushes: BTreeMap<&'static str, u64>,
    pub(super) dropped_log_lines: DroppedLines,
    /// The access log can be written; its head is the end of the chain of its lines.
    pub(super) access_log: AccessLogState,
    /// Whose time is up first, and when.
    pub(super) lockout: Option<Lockout>,
    /// The certificates that were used last, a hundred at most.
    last_seen: Vec<LastUse>,
    /// What somebody should look at.
    pub(super) alarms: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct AccessLogState {
    pub(super) writable: bool,
    head: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Upstream {
    address: String,
    pub(super) up: bool,
}

/// The server's own certificate.
#[derive(Debug, Serialize)]
pub(super) struct Certificate {
    subject: String,
    serial: String,
    not_after: String,
    pub(super) days_left: i64,
    #[serde(skip)]
    pub(super) not_after_seconds: i64,
}

/// A CA of `CA_CRT` with its revocation list.
#[derive(Debug, Serialize)]
pub(super) struct Authority {
    pub(super) subject: String,
    not_after: String,
    pub(super) days_left: i64,
    #[serde(skip)]
    pub(super) not_after_seconds: i64,
    pub(super) crl: Crl,
}

#[derive(Debug, Serialize)]
pub(super) struct Crl {
    state: &'static str,
    #[serde(skip)]
    pub(super) usable: bool,
    /// A newer one should have come.
    old: bool,
    pub(super) days_left: Option<i64>,
    /// Since thisUpdate.
    pub(super) age_seconds: Option<i64>,
    pub(super) number: Option<String>,
    entries: Option<usize>,
    this_update: Option<String>,
    next_update: Option<String>,
    #[serde(skip)]
    pub(super) next_update_seconds: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Connections {
    pub(super) open: u64,
    pub(super) total: u64,
    /// Ended because their certificate counts no longer.
    pub(super) ended: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct LastReload {
    time: String,
    #[serde(skip)]
    pub(super) seconds: i64,
    pub(super) result: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct CrlFetch {
    address: String,
    /// The last look; null before the first is over.
    time: Option<String>,
    result: Option<&'static str>,
    last_success: Option<String>,
    #[serde(skip)]
    pub(super) failing: bool,
    #[serde(skip)]
    pub(super) last_success_seconds: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(super) struct DroppedLines {
    pub(super) event: u64,
    pub(super) access: u64,
}

impl Report {
    pub(super) fn new(sources: &Sources) -> Self {
        let now = sources.clock.now();
        let live = sources.live.as_ref().map(|live| live.borrow().clone());
        let meters = &sources.meters;
        let mut report = Self {
            version: env!("CARGO_PKG_VERSION"),
            mode: match sources.config.mode {
                Mode::Https(_) => "https",
                Mode::Http => "http",
            },
            started: utc(sources.started),
            listening: sources.is_listening(),
            listen: sources.listen,
            upstream: Upstream {
                address: sources.config.upstream.to_string(),
                up: sources.health.is_up(),
            },
            certificate: live
                .as_ref()
                .map(|live| Certificate::new(live.credentials().server(), now)),
            authorities: live
                .map(|live| live.trust().crl_reports(now))
                .unwrap_or_default()
                .iter()
                .map(|report| Authority::new(report, now))
                .collect(),
            crl_file_gone: meters.is_list_file_gone(),
            connections: Connections {
                open: meters.open.get(),
                total: meters.connections.get(),
                ended: meters.ended.get(),
            },
            handshakes: meters.handshakes.get(),
            requests: meters.served.get(),
            refusals: meters
                .refusals()
                .map(|(cause, count)| (cause.as_str(), count))
                .collect(),
            client_auth: match sources.config.mode {
                Mode::Https(_) => Some(sources.config.client_auth.as_str()),
                Mode::Http => None,
            },
            exemptions: sources
                .config
                .exemptions
                .iter()
                .map(ToString::to_string)
                .collect(),
            admitted: admitted(meters),
            last_reload: meters.last_reload().map(LastReload::from),
            crl_fetch: CrlFetch::new(&sources.config.mode, meters.last_fetch()),
            crl_pushes: meters
                .pushes()
                .map(|(push, count)| (push.as_str(), count))
                .collect(),
            dropped_log_lines: DroppedLines {
                event: sources.log.dropped(),
                access: sources.access_log.dropped(),
            },
            access_log: AccessLogState {
                writable: sources.access_log.trouble().is_none(),
                head: sources.access_log.head().map(|head| head.to_string()),
            },
            lockout: lockout::next(sources, now),
            last_seen: lockout::last_uses(sources),
            alarms: Vec::new(),
        };
        report.alarms = report.alarms();
        report
    }

    fn alarms(&self) -> Vec<&'static str> {
        let crl = |state: CrlState| {
            let state = state.as_str();
            self.authorities.iter().any(|ca| ca.crl.state == state)
        };
        let days_left = self.certificate.as_ref().map(|shown| shown.days_left);
        let dropped = &self.dropped_log_lines;
        [
            (!self.listening, "not-listening"),
            (!self.upstream.up, "upstream-down"),
            (
                days_left.is_some_and(|days| days <= EXPIRING_DAYS),
                "server-certificate-expiring",
            ),
            (self.client_auth == Some("observe"), "observing"),
            (nag::open_since().is_some(), "door-open"),
            (crl(CrlState::Missing), "crl-missing"),
            (crl(CrlState::Overdue), "crl-overdue"),
            (crl(CrlState::Expiring), "crl-expiring"),
            (self.authorities.iter().any(|ca| ca.crl.old), "crl-old"),
            (self.crl_file_gone, "crl-gone"),
            (
                self.crl_fetch.as_ref().is_some_and(|fetch| fetch.failing),
                "crl-fetch-failed",
            ),
            (dropped.event + dropped.access > 0, "log-lines-dropped"),
            (!self.access_log.writable, "access-log-not-writable"),
        ]
        .into_iter()
        .filter_map(|(holds, id)| holds.then_some(id))
        .collect()
    }
}

fn admitted(meters: &Meters) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
    let mut admitted: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (despite, count) in meters.admissions() {
        let causes = admitted.entry(despite.ground.as_str()).or_default();
        if count > 0 {
            causes.insert(despite.cause.as_str(), count);
        }
    }
    admitted
}

impl CrlFetch {
    fn new(mode: &Mode, last: Option<Fetch>) -> Option<Self> {
        let Mode::Https(HttpsFiles {
            ca_crl: CrlSource::Url(address),
            ..
        }) = mode
        else {
            return None;
        };
        let good = last.and_then(|last| last.good);
        Some(Self {
            address: address.to_string(),
            time: last.map(|last| utc(last.at)),
            result: last.map(|last| last.result),
            last_success: good.map(utc),
            failing: last.is_some_and(|last| last.is_failing()),
            last_success_seconds: good.map(Timestamp::as_second),
        })
    }
}

impl Certificate {
    fn new(certificate: &orca_pki::certificate::Certificate, now: Timestamp) -> Self {
        let validity = certificate.validity();
        Self {
            subject: certificate.subject().one_line(),
            serial: certificate.serial().decimal(),
            not_after: utc(validity.not_after),
            days_left: validity.days_left(now),
            not_after_seconds: validity.not_after.as_second(),
        }
    }
}

impl Authority {
    fn new(report: &CrlReport, now: Timestamp) -> Self {
        let crl = report.crl.as_deref();
        let validity = report.authority.validity();
        Self {
            subject: report.authority.subject().one_line(),
            not_after: utc(validity.not_after),
            days_left: validity.days_left(now),
            not_after_seconds: validity.not_after.as_second(),
            crl: Crl {
                state: report.state.as_str(),
                usable: report.state.is_usable(),
                old: report.is_old(),
                days_left: report.days_left(),
                age_seconds: report.age().map(|age| age.as_secs()),
                number: crl.map(|crl| crl.number().to_string()),
                entries: crl.map(orca_pki::crl::Crl::len),
                this_update: crl.map(|crl| utc(crl.this_update())),
                next_update: crl.map(|crl| utc(crl.next_update())),
                next_update_seconds: crl.map(|crl| crl.next_update().as_second()),
            },
        }
    }
}

impl From<Reload> for LastReload {
    fn from(reload: Reload) -> Self {
        Self {
            time: utc(reload.at),
            seconds: reload.at.as_second(),
            result: reload.outcome.as_str(),
        }
    }
}

/// RFC 3339 in whole seconds.
pub(super) fn utc(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second())
        .unwrap_or(at)
        .to_string()
}

#[cfg(test)]
impl Sources {
    /// Of a gateway in HTTP mode whose logs lie in the folder.
    pub(super) fn for_tests() -> (tempfile::TempDir, Self) {
        use crate::config::{self, LogTarget};
        use jiff::tz::TimeZone;

        let folder = tempfile::tempdir().unwrap();
        let reading = config::interpret(std::path::Path::new("x.conf"), "");
        let target = |name: &str| LogTarget::File(folder.path().join(name));
        let clock = Clock::stopped();
        let lang = orca_messages::Lang::En;
        let sources = Self {
            config: reading.config.unwrap(),
            listen: "[::]:8000".parse().unwrap(),
            started: clock.now(),
            clock,
            meters: Arc::default(),
            health: Arc::default(),
            live: None,
            log: EventLog::open(&target("events"), clock, TimeZone::UTC, lang).unwrap(),
            access_log: AccessLog::open(&target("access"), clock, TimeZone::UTC).unwrap(),
            seen: Arc::default(),
        };
        (folder, sources)
    }
}
