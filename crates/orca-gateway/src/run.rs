//! The life of the gateway: start in order, serve, end in order.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use jiff::tz::TimeZone;
use orca_messages::{Finding, Localize, Text, render, text};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task;

use crate::access_log::AccessLog;
use crate::admission::{self, REMINDER};
use crate::attach::nag;
use crate::clerk::{Clerk, Desk};
use crate::clock::Clock;
use crate::config::{Config, HttpsFiles, Mode, Reading};
use crate::connection::Front;
use crate::connector::Connector;
use crate::credentials::CredentialsError;
use crate::crl_service::CrlService;
use crate::doorway::Doorway;
use crate::explain::Pages;
use crate::feed::{Feed, Feeding, join};
use crate::forward::{Forwarder, Health};
use crate::last_seen::LastSeen;
use crate::listener;
use crate::live::Live;
use crate::log::EventLog;
use crate::meters::Meters;
use crate::news::News;
use crate::office::Office;
use crate::reload::{Keeper, Loaded, RuleKeeper};
use crate::sd::{Manager, Watchdog};
use crate::server_names::NameLog;
use crate::shutdown::{Phase, Signals};
use crate::slots::Slots;
use crate::startup_log;
use crate::status::{self, Sources};
use crate::takeover::{Bound, InheritError, Inherited};
use orca_messages::syslog::Syslog;

type StatusTask = task::JoinHandle<io::Result<Infallible>>;

/// Everything that keeps the gateway from running; it stands in the event log already.
pub(crate) type Troubles = Vec<Box<dyn Localize>>;

/// Starts, and serves until a signal ends it.
///
/// # Errors
/// What keeps it from starting.
pub(crate) fn run(reading: Reading, clock: Clock) -> Result<(), Troubles> {
    // Takes variables of the environment away, so before any thread reads them.
    let inherited = Inherited::from_environment();
    let zone = TimeZone::system();
    let log = EventLog::open(&reading.log, clock, zone.clone(), reading.lang)
        .map_err(|error| vec![Box::new(error) as Box<dyn Localize>])?;
    let manager = Manager::new(reading.lang);
    let outcome = Gateway::start(reading, clock, zone, &log, inherited).and_then(|gateway| {
        gateway
            .serve(manager)
            .map_err(|error| told(&log, RuntimeError(error)))
    });
    if let Err(troubles) = &outcome {
        for trouble in troubles {
            manager.failed(trouble.as_ref());
        }
    }
    log.flush();
    outcome
}

/// Ready to serve.
struct Gateway {
    config: Config,
    connector: Connector,
    feed: Option<Feed>,
    listener: TcpListener,
    live: Option<Live>,
    office: Arc<Office>,
    status: Option<Bound>,
}

impl Gateway {
    /// In the order of the original's log: the three files, the mode, then whatever is wrong.
    fn start(
        reading: Reading,
        clock: Clock,
        zone: TimeZone,
        log: &EventLog,
        inherited: Result<Inherited, InheritError>,
    ) -> Result<Self, Troubles> {
        startup_log::files(log, &reading.keys);
        for left_alone in &reading.left_alone {
            log.finding(&left_alone.finding());
        }
        for remark in &reading.remarks {
            log.finding(remark);
        }
        let config = reading.config.map_err(|errors| {
            errors
                .into_iter()
                .flat_map(|error| told(log, error))
                .collect::<Troubles>()
        })?;
        let meters = Arc::new(Meters::default());
        let access_log = AccessLog::open(&config.access_log, clock, zone.clone());
        let access_log = access_log.map_err(|error| told(log, error))?;
        let loaded = match &config.mode {
            Mode::Http => {
                startup_log::mode(log, &config.mode);
                None
            }
            Mode::Https(files) => Some(trust(files, &config, clock, &meters, log)?),
        };
        let live = loaded.as_ref().map(|(_, live)| live.clone());
        let (feed, intake) = Feed::new(loaded, &config, &meters, clock, log);
        let office = Arc::new(Office {
            access_log,
            choices: Default::default(),
            client_auth: config.client_auth,
            clock,
            exemptions: config.exemptions.clone(),
            doorway: Arc::new(Doorway::new(
                listener::connection_limit(config.limits.upstream_connections),
                config.limits.connections_per_address,
            )),
            meters: Arc::clone(&meters),
            lang: config.lang,
            lists: intake.map(|intake| CrlService::new(intake, meters, log.clone())),
            limits: config.limits,
            log: log.clone(),
            names: NameLog::default(),
            origins: config.allowed_origins.clone(),
            pages: Pages::new(config.support.clone(), zone),
            seen: Arc::new(last_seen(&config, log)),
            sites: News::default(),
            operators: News::default(),
        });
        let ca_crt = match &config.mode {
            Mode::Http => None,
            Mode::Https(files) => Some(files.ca_crt.as_path()),
        };
        let connector =
            Connector::new(&config.upstream, ca_crt).map_err(|error| told(log, error))?;
        let mut inherited = inherited.map_err(|error| told(log, error))?;
        let status = config.status.map(|address| inherited.status(address));
        let status = status.transpose().map_err(|error| told(log, error))?;
        let public = inherited.public(config.listen, log);
        let listener = public.map_err(|error| told(log, error))?.listener;
        Ok(Self {
            config,
            connector,
            feed: Some(feed),
            listener,
            live,
            office,
            status,
        })
    }

    /// Serves until a signal; this thread keeps the signals and the status page.
    fn serve(mut self, manager: Manager) -> io::Result<()> {
        let runtime = runtime()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::new()?
        };
        let local = self.listener.local_addr()?;
        let (phase, phases) = watch::channel(Phase::Serving);
        let health = Arc::new(Health::default());
        let mut watchdog = Watchdog::default();
        let (feeding, keeper_lost) = match self.feed.take() {
            Some(feed) => feed.start(&mut watchdog)?,
            None => return Ok(()),
        };
        let workers = self.spawn_workers(&phases, &health, &mut watchdog)?;
        // The workers' own copies tell when the last of them has finished.
        drop(phases);
        let office = Arc::clone(&self.office);
        let clerk = Clerk::start(desk(&office))?;
        let doors = self.open_doors();
        office.meters.set_listening(true);
        let status = self.spawn_status(&runtime, local, health);
        runtime.spawn(watchdog.keep_pinging());
        let local = local.to_string();
        office.log.finding(&listening(&local));
        for door in &doors {
            office.log.finding(door);
        }
        runtime.spawn(admission::remind(office.log.clone(), doors, REMINDER));
        runtime.spawn(nag::keep_looking(office.log.clone()));
        manager.ready(&local);
        let draining = || {
            manager.stopping();
            if let Some(task) = status {
                task.abort();
            }
        };
        let reload = || {
            manager.reloading();
            let (local, done) = (local.clone(), reload(&office, &clerk, &feeding));
            runtime.spawn(async move {
                drop(done.await);
                manager.ready(&local);
            });
        };
        let failed = async { drop(keeper_lost.await) };
        runtime.block_on(signals.keep(&phase, reload, draining, failed));
        office.meters.set_listening(false);
        for worker in workers {
            join(worker)?;
        }
        feeding.end()?;
        clerk.finish()?;
        office.log.finding(&stopped());
        Ok(())
    }

    /// In HTTP mode there is no door at all.
    fn open_doors(&self) -> Vec<Finding> {
        match self.config.mode {
            Mode::Http => Vec::new(),
            Mode::Https(_) => {
                admission::open_doors(self.config.client_auth, &self.config.exemptions)
            }
        }
    }

    /// Every worker has its own event loop and its own connections to the application, so that a
    /// request never changes threads; they share the listener.
    fn spawn_workers(
        &self,
        phases: &watch::Receiver<Phase>,
        health: &Arc<Health>,
        watchdog: &mut Watchdog,
    ) -> io::Result<Vec<JoinHandle<io::Result<()>>>> {
        let most = self.config.limits.upstream_connections;
        let places = Arc::new(Semaphore::new(listener::connection_limit(most)));
        let slots = Slots::new(most, Slots::PATIENCE);
        (0..self.config.workers.get())
            .map(|number| {
                let listener = self.listener.try_clone()?;
                let (phase, live, places) =
                    (phases.clone(), self.live.clone(), Arc::clone(&places));
                let (office, connector, health) = (
                    Arc::clone(&self.office),
                    self.connector.clone(),
                    Arc::clone(health),
                );
                let slots = slots.clone();
                let pulse = watchdog.pulse();
                thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn(move || {
                        let log = office.log.clone();
                        let forwarder = Forwarder::new(connector, slots, health, log);
                        let front = Front {
                            office,
                            forwarder,
                            live,
                            phase,
                        };
                        let runtime = runtime()?;
                        runtime.spawn(pulse.keep_beating());
                        runtime.block_on(listener::accept(listener, front, places))
                    })
            })
            .collect()
    }

    /// The task of the status page, if it must end before the gateway does: where the socket was
    /// handed over a new gateway answers there too, and two answers would contradict each other.
    fn spawn_status(
        mut self,
        runtime: &Runtime,
        local: SocketAddr,
        health: Arc<Health>,
    ) -> Option<StatusTask> {
        // A copy of the public listener that stayed open would let clients wait in vain; what is
        // left of `self` ends here.
        let Bound {
            listener,
            inherited,
        } = self.status.take()?;
        let sources = Arc::new(self.into_sources(local, health));
        let task = runtime.spawn(status::serve(listener, sources));
        inherited.then_some(task)
    }

    fn into_sources(self, listen: SocketAddr, health: Arc<Health>) -> Sources {
        Sources {
            config: self.config,
            listen,
            started: self.office.clock.now(),
            clock: self.office.clock,
            meters: Arc::clone(&self.office.meters),
            health,
            live: self.live,
            log: self.office.log.clone(),
            access_log: self.office.access_log.clone(),
            seen: Arc::clone(&self.office.seen),
        }
    }
}

/// Credentials, state folder and revocation lists.
fn trust(
    files: &HttpsFiles,
    config: &Config,
    clock: Clock,
    meters: &Arc<Meters>,
    log: &EventLog,
) -> Result<(Keeper, Live), Troubles> {
    let loaded = Loaded::from_files(files);
    let missing = |errors: &Vec<CredentialsError>| {
        errors
            .iter()
            .any(|error| matches!(error, CredentialsError::Missing { .. }))
    };
    // The original names no mode where a file is missing: it does not come that far.
    if !loaded.as_ref().is_err_and(missing) {
        startup_log::mode(log, &config.mode);
    }
    let loaded = loaded.map_err(|errors| {
        startup_log::unusable(log, &errors);
        let boxed = errors.into_iter().map(|error| Box::new(error) as _);
        boxed.collect::<Troubles>()
    })?;
    startup_log::warnings(log, loaded.credentials(), clock.now());
    let rules = RuleKeeper::start(&config.rules, TimeZone::system()).map_err(|errors| {
        let told = errors.into_iter().flat_map(|error| told(log, error));
        told.collect::<Troubles>()
    })?;
    let meters = Arc::clone(meters);
    Keeper::start(config, files, loaded, rules, clock, meters, log.clone())
        .map_err(|error| told(log, error))
}

/// In HTTP mode nobody shows a certificate.
fn last_seen(config: &Config, log: &EventLog) -> LastSeen {
    if config.mode == Mode::Http {
        return LastSeen::default();
    }
    let (seen, damaged) = LastSeen::open(&config.state);
    if let Some(damaged) = damaged {
        log.finding(&damaged);
    }
    seen
}

fn desk(office: &Office) -> Desk {
    Desk::new(
        office.access_log.clone(),
        office.clock,
        office.log.clone(),
        Syslog::new("orca-gateway", TimeZone::system()),
        Arc::clone(&office.seen),
    )
}

/// SIGHUP: logs by their names again (logrotate), then everything else. What is given back is over
/// when all is read.
fn reload(office: &Office, clerk: &Clerk, feeding: &Feeding) -> oneshot::Receiver<Infallible> {
    clerk.before_rotation();
    for reopened in [office.log.reopen(), office.access_log.reopen()] {
        if let Err(error) = reopened {
            office.log.trouble(&error);
        }
    }
    feeding.hangup()
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn listening(address: &str) -> Finding {
    Finding::ok(
        "listening",
        text!("{address} で待ち受けています。", "listening on {address}"),
    )
}

/// The counterpart of [`listening`]: a log without it ends in a crash or a power cut.
fn stopped() -> Finding {
    Finding::ok(
        "stopped",
        text!("終了しました。", "the gateway has stopped"),
    )
}

fn told(log: &EventLog, trouble: impl Localize + 'static) -> Troubles {
    log.trouble(&trouble);
    vec![Box::new(trouble)]
}

/// The system refused threads, event loops or signals.
#[derive(Debug, thiserror::Error)]
#[error("the system refuses: {0}")]
struct RuntimeError(io::Error);

impl Localize for RuntimeError {
    fn id(&self) -> &'static str {
        "system-refuses"
    }

    fn message(&self) -> Text {
        let cause = render::one_line(&self.0.to_string());
        text!(
            "システムの資源を利用できません({cause})。",
            "the system refuses threads, event loops or signals: {cause}",
        )
    }

    fn remedy(&self) -> Text {
        text!(
            "メモリと、プロセス数やファイル数の制限(ulimit)を確認してください。",
            "check memory and the limits of processes and files (ulimit)",
        )
    }
}
