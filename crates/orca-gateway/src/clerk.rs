//! What is done beside the requests, once a second: telling how far the access log has come, that it
//! cannot be written, which refusals it left out.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use orca_messages::{Finding, Text, text};

use crate::access_log::AccessLog;
use crate::chain::Head;
use crate::clock::Clock;
use crate::last_seen::LastSeen;
use crate::log::EventLog;
use orca_messages::syslog::Syslog;

const TICK: Duration = Duration::from_secs(1);
/// How often the head of the access log is told, where there were lines.
const ANCHOR_PERIOD: Duration = Duration::from_secs(300);
/// How often the last uses of certificates are written, where there were any.
const SAVE_PERIOD: Duration = Duration::from_secs(10);

/// Does the work of the clerk in a thread of its own.
pub(crate) struct Clerk {
    desk: Arc<Desk>,
    thread: JoinHandle<()>,
    /// Its end ends the thread.
    stop: Sender<Infallible>,
}

/// What the clerk works with.
pub(crate) struct Desk {
    pub(crate) access_log: AccessLog,
    pub(crate) clock: Clock,
    pub(crate) log: EventLog,
    pub(crate) syslog: Syslog,
    pub(crate) seen: Arc<LastSeen>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    head: Option<Head>,
    at: Option<Instant>,
    /// That the access log cannot be written.
    failing: bool,
    dropped: u64,
    saved: Option<Instant>,
    /// That the last uses of certificates cannot be written.
    unsaved: bool,
}

impl Clerk {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system refuses one.
    pub(crate) fn start(desk: Desk) -> io::Result<Self> {
        let desk = Arc::new(desk);
        let (stop, stopped) = mpsc::channel();
        let for_thread = Arc::clone(&desk);
        let thread = thread::Builder::new()
            .name("clerk".to_owned())
            .spawn(move || for_thread.work(&stopped))?;
        Ok(Self { desk, thread, stop })
    }

    /// The files are about to be opened anew: their end is told first.
    pub(crate) fn before_rotation(&self) {
        self.desk.access_log.flush();
        self.desk.tell_head(Instant::now());
    }

    /// The end: everything is written and told.
    ///
    /// # Errors
    /// The thread has failed.
    pub(crate) fn finish(self) -> io::Result<()> {
        drop(self.stop);
        let ended = self.thread.join();
        self.desk.access_log.finish();
        self.desk.tell_trouble();
        self.desk.tell_head(Instant::now());
        self.desk.save_seen(Instant::now());
        ended.map_err(|_| io::Error::other("a thread of the gateway has failed"))
    }
}

impl Desk {
    /// Of logs and the state they are told in.
    pub(crate) fn new(
        access_log: AccessLog,
        clock: Clock,
        log: EventLog,
        syslog: Syslog,
        seen: Arc<LastSeen>,
    ) -> Self {
        Self {
            access_log,
            clock,
            log,
            syslog,
            seen,
            told: Mutex::default(),
        }
    }

    fn work(&self, stopped: &Receiver<Infallible>) {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
            self.tick(Instant::now());
        }
    }

    fn tick(&self, now: Instant) {
        self.access_log.sum_up_refusals();
        self.tell_trouble();
        if self.is_head_due(now) {
            self.tell_head(now);
        }
        if self.is_save_due(now) {
            self.save_seen(now);
        }
    }

    /// At once for the first lines of a chain, then every five minutes.
    fn is_head_due(&self, now: Instant) -> bool {
        let told = self.told();
        told.at
            .is_none_or(|at| now.saturating_duration_since(at) >= ANCHOR_PERIOD)
    }

    fn is_save_due(&self, now: Instant) -> bool {
        let saved = self.told().saved;
        saved.is_none_or(|at| now.saturating_duration_since(at) >= SAVE_PERIOD)
    }

    fn save_seen(&self, now: Instant) {
        let saved = self.seen.save();
        let mut told = self.told();
        told.saved = Some(now);
        let failing = std::mem::replace(&mut told.unsaved, saved.is_err());
        if let (Err(error), false) = (saved, failing) {
            self.log.finding(&unsaved(&error));
        }
    }

    fn tell_head(&self, now: Instant) {
        let Some(head) = self.access_log.head() else {
            return;
        };
        {
            let mut told = self.told();
            if told.head.replace(head) == Some(head) {
                return;
            }
            told.at = Some(now);
        }
        self.log.note(
            "access-log-head",
            &text!(
                "アクセスログの記録点: {head}",
                "head of the access log: {head}"
            ),
        );
        let line = format!("head of the access log: {head} [access-log-head]");
        self.syslog.say(self.clock.now(), &line);
    }

    /// Once when writing begins to fail, once when it works again.
    fn tell_trouble(&self) {
        let trouble = self.access_log.trouble();
        let dropped = self.access_log.dropped();
        let mut told = self.told();
        if let (Some(trouble), false) = (&trouble, told.failing) {
            self.log.trouble(trouble.as_ref());
        }
        if trouble.is_none() && dropped > told.dropped {
            self.log
                .note("access-log-gap", &gap(dropped - told.dropped));
            told.dropped = dropped;
        }
        told.failing = trouble.is_some();
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unsaved(error: &io::Error) -> Finding {
    Finding::warning(
        "last-seen-not-saved",
        text!(
            "証明書の最終使用の記録を GATEWAY_STATE に保存できません({error})。",
            "when certificates were used last cannot be kept in GATEWAY_STATE: {error}"
        ),
        text!(
            "フォルダの空き容量と権限を確認してください。再起動すると、保存できなかった記録は失われます。",
            "check free space and mode of the folder; a restart would lose what is not kept"
        ),
    )
}

fn gap(lines: u64) -> Text {
    text!(
        "アクセスログ{lines}行を書き込めませんでした。書き込みは再開しています。",
        "{lines} lines of the access log could not be written; it is being written again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogTarget;
    use jiff::tz::TimeZone;
    use orca_messages::Lang;

    struct Office {
        desk: Desk,
        folder: tempfile::TempDir,
    }

    impl Office {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let target = |name: &str| LogTarget::File(folder.path().join(name));
            let (clock, zone) = (Clock::stopped(), TimeZone::UTC);
            let log = EventLog::open(&target("events"), clock, zone.clone(), Lang::En).unwrap();
            let access_log = AccessLog::open(&target("access"), clock, zone.clone()).unwrap();
            let desk = Desk::new(
                access_log,
                clock,
                log,
                Syslog::new("orca-gateway", zone),
                Arc::default(),
            );
            Self { desk, folder }
        }

        fn events(&self) -> String {
            self.desk.log.flush();
            std::fs::read_to_string(self.folder.path().join("events")).unwrap()
        }

        fn request(&self) {
            use crate::access_log::{Entry, Peer};
            let peer = Arc::new(Peer::new("192.0.2.1".parse().unwrap(), None));
            let parts = http::Request::new(()).into_parts().0;
            let now = self.desk.clock.now();
            let entry = Entry::of_request(now, &peer, &parts, None);
            self.desk.access_log.record(&entry);
            self.desk.access_log.flush();
        }
    }

    #[test]
    fn the_head_is_told_at_the_first_line_and_then_every_five_minutes() {
        let office = Office::new();
        let now = Instant::now();
        let heads = || office.events().matches("[access-log-head]").count();
        office.desk.tick(now);
        assert_eq!(heads(), 0);
        office.request();
        office.desk.tick(now);
        office.desk.tick(now + ANCHOR_PERIOD);
        assert_eq!(heads(), 1);
        office.request();
        office.desk.tick(now + ANCHOR_PERIOD / 2);
        assert_eq!(heads(), 1);
        office.desk.tick(now + ANCHOR_PERIOD);
        assert_eq!(heads(), 2);
        let head = office.desk.access_log.head().unwrap();
        assert!(office.events().contains(&head.to_string()));
    }

    #[test]
    fn a_log_that_cannot_be_written_is_told_once_and_so_is_its_end() {
        let office = Office::new();
        let path = office.folder.path().join("access");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        office.desk.access_log.reopen().unwrap();
        office.request();
        office.desk.tick(Instant::now());
        office.desk.tick(Instant::now());
        let events = office.events();
        assert_eq!(events.matches("[log-not-writable]").count(), 1, "{events}");
        std::fs::remove_file(&path).unwrap();
        office.desk.access_log.reopen().unwrap();
        office.request();
        office.desk.tick(Instant::now());
        office.desk.tick(Instant::now());
        let events = office.events();
        assert_eq!(events.matches("[access-log-gap]").count(), 1, "{events}");
    }
}
