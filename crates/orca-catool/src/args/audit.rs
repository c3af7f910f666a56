//! `audit`.

use std::path::PathBuf;

use clap::ArgMatches;
use jiff::Timestamp;
use jiff::civil::Date;
use orca_messages::{text, zone};

use super::{Format, UsageError, format, one};

#[derive(Debug)]
pub(crate) struct AuditArgs {
    pub(crate) task: AuditTask,
    pub(crate) format: Format,
}

/// What to do with the audit trail.
#[derive(Debug)]
pub(crate) enum AuditTask {
    List {
        since: Option<Timestamp>,
    },
    Verify {
        /// Texts that heads of the trail stand in.
        anchors: Vec<PathBuf>,
    },
}

pub(super) fn audit(m: &ArgMatches) -> Result<AuditArgs, UsageError> {
    let format = format(m);
    let task = if m.get_flag("verify") {
        let anchors = m.get_many::<PathBuf>("anchors").into_iter().flatten();
        AuditTask::Verify {
            anchors: anchors.cloned().collect(),
        }
    } else {
        let since = one(m, "since").map(|word| {
            moment(word).ok_or_else(|| {
                let why = text!(
                    "2026-11-24 または 2026-11-24T09:00:00+09:00 のように指定してください。",
                    "expected is a day such as 2026-11-24, or a time such as 2026-11-24T09:00:00+09:00"
                );
                UsageError::value("invalid-date", "--since", word, why)
            })
        });
        AuditTask::List {
            since: since.transpose()?,
        }
    };
    Ok(AuditArgs { task, format })
}

/// A time, or the beginning of a day here.
fn moment(word: &str) -> Option<Timestamp> {
    if let Ok(at) = word.parse::<Timestamp>() {
        return Some(at);
    }
    let is_day = word.len() == "2026-11-24".len();
    let day: Date = word.parse().ok().filter(|_| is_day)?;
    zone::local().to_timestamp(day.at(0, 0, 0, 0)).ok()
}
