//! Alarms of the revocation lists: told when they arise, and once a day while they last.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use orca_pki::key::KeyId;

use crate::trust::{CrlReport, CrlState};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What may be wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Alarm {
    /// There is no list of the authority.
    Missing,
    /// nextUpdate has passed.
    Overdue,
    /// nextUpdate is near.
    Expiring,
    /// No newer list has come for longer than it should.
    Old,
    /// The file of the lists is gone.
    FileGone,
}

impl Alarm {
    /// The one that holds for an authority's list; the worse first.
    pub(crate) fn of(report: &CrlReport) -> Option<Self> {
        match report.state {
            CrlState::Missing => Some(Self::Missing),
            CrlState::Overdue => Some(Self::Overdue),
            CrlState::Expiring => Some(Self::Expiring),
            CrlState::Good if report.is_old() => Some(Self::Old),
            CrlState::Good => None,
        }
    }
}

/// Whom an alarm is about: an authority, or the file of all.
type About = Option<KeyId>;

/// When each alarm that lasts was told last.
#[derive(Debug, Default)]
pub(super) struct AlarmBook(HashMap<(About, Alarm), Timestamp>);

impl AlarmBook {
    /// Those of the alarms that hold now which are to be told now; the others are forgotten, and
    /// told at once if they come back.
    pub(super) fn due(
        &mut self,
        holding: &[(About, Alarm)],
        now: Timestamp,
    ) -> Vec<(About, Alarm)> {
        self.0.retain(|alarm, _| holding.contains(alarm));
        let mut due = Vec::new();
        for alarm in holding {
            let told = self.0.get(alarm);
            // A clock that was set back must not silence anything.
            let lately = told.is_some_and(|at| *at <= now && now.duration_since(*at) < DAY);
            if !lately {
                self.0.insert(*alarm, now);
                due.push(*alarm);
            }
        }
        due
    }

    /// Whether the alarm held when the book was looked at last.
    pub(super) fn holds(&self, alarm: (About, Alarm)) -> bool {
        self.0.contains_key(&alarm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_told_when_it_arises_and_once_a_day() {
        let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let mut book = AlarmBook::default();
        let alarm = (None, Alarm::FileGone);
        let other = (None, Alarm::Missing);
        let hour = SignedDuration::from_hours(1);
        assert_eq!(book.due(&[alarm], start), [alarm]);
        assert_eq!(book.due(&[alarm, other], start + hour), [other]);
        assert!(book.due(&[alarm, other], start + hour * 23).is_empty());
        assert_eq!(book.due(&[alarm, other], start + DAY), [alarm]);
        assert_eq!(book.due(&[alarm, other], start + DAY + hour), [other]);
        assert!(book.due(&[alarm], start + DAY + hour * 2).is_empty());
        assert!(!book.holds(other));
        assert_eq!(book.due(&[alarm, other], start + DAY + hour * 2), [other]);
        let set_back = start - DAY;
        assert_eq!(book.due(&[alarm], set_back), [alarm]);
        assert!(book.due(&[], set_back).is_empty());
        assert!(!book.holds(alarm));
    }
}
