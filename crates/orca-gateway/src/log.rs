//! The event log: start-up lines and what happens afterwards, each line with the local time.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::render::one_line;
use orca_messages::{Finding, Lang, Localize, Text, text};

use crate::clock::Clock;
use crate::config::LogTarget;
use crate::line_writer::{LineWriter, LogError, Loss};

/// Takes events of any thread and never makes them wait.
#[derive(Clone)]
pub(crate) struct EventLog {
    lines: LineWriter,
    clock: Clock,
    zone: TimeZone,
    lang: Lang,
}

impl EventLog {
    /// Opens the log.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(
        target: &LogTarget,
        clock: Clock,
        zone: TimeZone,
        lang: Lang,
    ) -> Result<Self, LogError> {
        let tell = {
            let zone = zone.clone();
            Box::new(move |loss: &Loss| lost(loss, &zone, lang).into_bytes())
        };
        Ok(Self {
            lines: LineWriter::open(target, clock, tell, None)?,
            clock,
            zone,
            lang,
        })
    }

    /// Writes one line as it is; control characters are made visible.
    pub(crate) fn line(&self, text: &str) {
        let line = dated(self.clock.now(), &self.zone, text);
        self.lines.line(line.as_bytes());
    }

    /// Writes what happened, in the language of the log.
    pub(crate) fn note(&self, id: &str, what: &Text) {
        self.line(&format!("{} [{id}]", what.get(self.lang)));
    }

    /// Writes what happened and what to do, in the language of the log.
    pub(crate) fn trouble(&self, trouble: &dyn Localize) {
        self.note(trouble.id(), &trouble.message());
        self.remedy_line(trouble.remedy().get(self.lang));
    }

    /// Writes the result of a check.
    pub(crate) fn finding(&self, finding: &Finding) {
        self.note(finding.id, &finding.message);
        if let Some(remedy) = &finding.remedy {
            self.remedy_line(remedy.get(self.lang));
        }
    }

    /// Writes only what to do; what happened stands in the line before.
    pub(crate) fn remedy(&self, trouble: &dyn Localize) {
        let remedy = trouble.remedy();
        let (remedy, id) = (remedy.get(self.lang), trouble.id());
        self.remedy_line(&format!("{remedy} [{id}]"));
    }

    fn remedy_line(&self, remedy: &str) {
        let label = match self.lang {
            Lang::En => "remedy",
            Lang::Ja => "対処",
        };
        self.line(&format!("{label}: {remedy}"));
    }

    /// Opens the file anew by its name.
    ///
    /// # Errors
    /// It cannot be opened; the old file stays in use.
    pub(crate) fn reopen(&self) -> Result<(), LogError> {
        self.lines.reopen()
    }

    /// Waits for the lines taken so far to be written.
    pub(crate) fn flush(&self) {
        self.lines.flush();
    }

    /// Lines that were lost so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.lines.dropped()
    }
}

fn dated(at: Timestamp, zone: &TimeZone, text: &str) -> String {
    let local = zone.to_datetime(at);
    format!("{} {}", local.strftime("%Y/%m/%d %H:%M:%S"), one_line(text))
}

fn lost(loss: &Loss, zone: &TimeZone, lang: Lang) -> String {
    let time = |at| {
        zone.to_datetime(at)
            .strftime("%Y/%m/%d %H:%M:%S")
            .to_string()
    };
    let (lines, from, to) = (loss.lines, time(loss.from), time(loss.to));
    let what = text!(
        "{from} から {to} までのログ{lines}行を書き込めませんでした。",
        "{lines} lines of this log between {from} and {to} could not be written",
    );
    dated(
        loss.to,
        zone,
        &format!("{} [log-lines-lost]", what.get(lang)),
    )
}
