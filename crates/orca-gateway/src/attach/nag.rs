//! A door that was opened in an emergency is not forgotten: the gateway says so again and again.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::{Finding, Lang};
use tokio::time::{Instant, sleep};

use super::record::Record;
use super::told;
use crate::clock::Clock;
use crate::config::{self, LogTarget};
use crate::log::EventLog;

/// How often the record is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often an open door is told of.
const AGAIN: Duration = Duration::from_secs(3600);

/// Since when the door stands open, if it does.
pub(crate) fn open_since() -> Option<Timestamp> {
    Record::read().ok()??.emergency
}

/// Tells of an open door when it is opened, and every hour until it is shut.
pub(crate) async fn keep_looking(log: EventLog) {
    let mut told: Option<Instant> = None;
    loop {
        let open = Record::read().ok().flatten();
        match open.filter(|record| record.emergency.is_some()) {
            None if told.take().is_some() => log.finding(&told::door_shut()),
            None => {}
            Some(_) if told.is_some_and(|at| at.elapsed() < AGAIN) => {}
            Some(record) => {
                log.finding(&told::emergency(record.door));
                told = Some(Instant::now());
            }
        }
        sleep(LOOK).await;
    }
}

/// Writes an event into the gateway's log, whether it runs or not. A log that is not there is not
/// made: it would belong to root, and the gateway could not write to it.
pub(super) fn write_down(conf: &Path, finding: &Finding, clock: Clock) {
    let reading = config::read(conf).ok();
    let (target, lang) = reading.map_or((LogTarget::Stdout, Lang::Ja), |reading| {
        (reading.log, reading.lang)
    });
    let exists = matches!(&target, LogTarget::File(path) if path.exists());
    if exists && let Ok(log) = EventLog::open(&target, clock, TimeZone::system(), lang) {
        log.finding(finding);
        log.flush();
    }
}
