//! When a certificate may be used (`GATEWAY_WINDOWS`): the hours in which a vendor maintains.

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::certificate_list::{CertificateList, LineFault, ListError, ListFile, Named, read};
use crate::identity::ClientIdentity;

const DAY_MINUTES: u16 = 24 * 60;
/// How far ahead the next opening is looked for, in days.
const LOOK_AHEAD: usize = 366;

/// The certificates that are bound to hours; all others may be used at any time.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    of_certificates: CertificateList<Window>,
    zone: TimeZone,
}

/// Whether a certificate may be used now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Opening {
    /// No hours are said of it.
    Always,
    /// Until this moment, exclusively.
    Until(Timestamp),
    /// Not now; the next time, if there is one within a year.
    Closed(Option<Timestamp>),
}

impl Windows {
    /// No certificate is bound to hours.
    pub(crate) fn none(zone: TimeZone) -> Self {
        Self {
            of_certificates: CertificateList::default(),
            zone,
        }
    }

    /// Reads lines `certificate<TAB>mon-fri 09:00-18:00, 2026-12-01..2026-12-05`, meant in `zone`.
    ///
    /// # Errors
    /// All lines that cannot be read.
    pub(crate) fn load(path: &Path, zone: TimeZone) -> Result<Self, Vec<ListError>> {
        let lines = read(ListFile::Windows, path, |certificate, times| {
            let certificate = Named::parse(certificate).ok_or(LineFault::Certificate)?;
            let windows = times.split(',').map(|part| {
                let part = part.trim();
                Window::parse(part).ok_or_else(|| LineFault::Window(part.to_owned()))
            });
            Ok((certificate, windows.collect::<Result<Vec<_>, _>>()?))
        })?;
        let mut windows = Self::none(zone);
        for (certificate, times) in lines {
            for window in times {
                windows.of_certificates.insert(certificate.clone(), window);
            }
        }
        Ok(windows)
    }

    /// The certificates.
    pub(crate) fn certificates(&self) -> &CertificateList<Window> {
        &self.of_certificates
    }

    /// Whether a client's certificate may be used at a moment: in any of its windows.
    pub(crate) fn opening(&self, identity: &ClientIdentity, now: Timestamp) -> Opening {
        if self.of_certificates.is_empty() {
            return Opening::Always;
        }
        let windows: Vec<&Window> = self.of_certificates.of(identity).collect();
        opening(&windows, now, &self.zone)
    }
}

fn opening(windows: &[&Window], now: Timestamp, zone: &TimeZone) -> Opening {
    if windows.is_empty() {
        return Opening::Always;
    }
    let today = zone.to_datetime(now).date();
    // Yesterday's window may reach over midnight.
    let Ok(yesterday) = today.yesterday() else {
        return Opening::Closed(None);
    };
    let spans = |day: Date| {
        windows
            .iter()
            .filter_map(move |window| window.span(day, zone))
    };
    let end = [yesterday, today]
        .into_iter()
        .flat_map(spans)
        .filter(|(start, end)| *start <= now && now < *end)
        .map(|(_, end)| end)
        .max();
    match end {
        Some(end) => Opening::Until(end),
        None => Opening::Closed(
            today
                .series(jiff::Span::new().days(1))
                .take(LOOK_AHEAD)
                .find_map(|day| {
                    spans(day)
                        .map(|(start, _)| start)
                        .filter(|start| *start > now)
                        .min()
                }),
        ),
    }
}

/// Days, and the hours of each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Window {
    days: Days,
    /// Minutes after midnight.
    from: u16,
    /// Minutes after midnight; not later than `from`: on the next day.
    to: u16,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Days {
    /// From Monday on.
    Weekly([bool; 7]),
    /// The first and the last one.
    Dates(Date, Date),
}

impl Window {
    /// `[DAYS] [HOURS]`, at least one of them.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let (first, second) = (words.next()?, words.next());
        if words.next().is_some() {
            return None;
        }
        let (days, (from, to)) = match (second, hours(first)) {
            (None, Some(hours)) => (Days::Weekly([true; 7]), hours),
            (None, None) => (days(first)?, (0, DAY_MINUTES)),
            (Some(second), _) => (days(first)?, hours(second)?),
        };
        Some(Self { days, from, to })
    }

    /// From when to when it is open on the hours of a day.
    fn span(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let holds = match &self.days {
            Days::Weekly(days) => {
                days[usize::from(day.weekday().to_monday_zero_offset().unsigned_abs())]
            }
            Days::Dates(first, last) => (*first..=*last).contains(&day),
        };
        let last_day = if self.to <= self.from {
            day.tomorrow().ok()?
        } else {
            day
        };
        holds.then_some(())?;
        Some((
            moment(day, self.from, zone)?,
            moment(last_day, self.to, zone)?,
        ))
    }
}

/// An hour that a change of the clocks skips counts after it, one that comes twice counts the first time.
fn moment(day: Date, minutes: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (day, minutes) = match minutes.checked_sub(DAY_MINUTES) {
        Some(rest) => (day.tomorrow().ok()?, rest),
        None => (day, minutes),
    };
    let (hour, minute) = (
        i8::try_from(minutes / 60).ok()?,
        i8::try_from(minutes % 60).ok()?,
    );
    zone.to_timestamp(day.at(hour, minute, 0, 0)).ok()
}

/// `09:00-18:00`, `22:00-05:00` over midnight, `00:00-24:00`.
fn hours(word: &str) -> Option<(u16, u16)> {
    let (from, to) = word.split_once('-')?;
    let (from, to) = (clock(from)?, clock(to)?);
    // The same twice: nothing, or a whole day? 24:00 says it.
    (from != to && from != DAY_MINUTES && !(from == 0 && to == 0)).then_some((from, to))
}

fn clock(word: &str) -> Option<u16> {
    let (hour, minute) = word.split_once(':')?;
    let digits =
        |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || minute.len() != 2 || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY_MINUTES).then_some(minutes)
}

/// `mon`, `mon-fri`, `sat-mon`, `月-金`, `2026-12-01`, `2026-12-01..2026-12-05`.
fn days(word: &str) -> Option<Days> {
    if let Some((first, last)) = word.split_once("..") {
        let (first, last) = (date(first)?, date(last)?);
        return (first <= last).then_some(Days::Dates(first, last));
    }
    if let Some(day) = date(word) {
        return Some(Days::Dates(day, day));
    }
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (weekday(first)?, weekday(last)?);
    let mut days = [false; 7];
    let mut day = first;
    loop {
        days[usize::from(day.to_monday_zero_offset().unsigned_abs())] = true;
        if day == last {
            return Some(Days::Weekly(days));
        }
        day = day.next();
    }
}

fn date(word: &str) -> Option<Date> {
    let plain = word.len() == 10 && word.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    plain.then(|| word.parse().ok())?
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word.to_ascii_lowercase().as_str() {
        "mon" | "月" => Weekday::Monday,
        "tue" | "火" => Weekday::Tuesday,
        "wed" | "水" => Weekday::Wednesday,
        "thu" | "木" => Weekday::Thursday,
        "fri" | "金" => Weekday::Friday,
        "sat" | "土" => Weekday::Saturday,
        "sun" | "日" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_process::forge::Ca;

    fn at(local: &str, zone: &TimeZone) -> Timestamp {
        let local: jiff::civil::DateTime = local.parse().unwrap();
        zone.to_timestamp(local).unwrap()
    }

    /// Of several windows, at a local time: the local time until which they are open, or `closed`
    /// and the next opening.
    fn opens(times: &str, local: &str, zone: &TimeZone) -> String {
        let windows: Vec<Window> = times
            .split(',')
            .map(|part| Window::parse(part.trim()).unwrap())
            .collect();
        let windows: Vec<&Window> = windows.iter().collect();
        let shown = |at: Timestamp| zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string();
        match opening(&windows, at(local, zone), zone) {
            Opening::Always => "always".to_owned(),
            Opening::Until(end) => shown(end),
            Opening::Closed(next) => format!("closed {}", next.map(shown).unwrap_or_default()),
        }
    }

    #[test]
    fn windows_open_and_close_to_the_second() {
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        // 2026-11-24 is a Tuesday.
        for (times, local, expected) in [
            (
                "mon-fri 09:00-18:00",
                "2026-11-24 09:00:00",
                "2026-11-24 18:00",
            ),
            (
                "mon-fri 09:00-18:00",
                "2026-11-24 17:59:59",
                "2026-11-24 18:00",
            ),
            (
                "mon-fri 09:00-18:00",
                "2026-11-24 18:00:00",
                "closed 2026-11-25 09:00",
            ),
            (
                "mon-fri 09:00-18:00",
                "2026-11-24 08:59:59",
                "closed 2026-11-24 09:00",
            ),
            (
                "mon-fri 09:00-18:00",
                "2026-11-28 12:00:00",
                "closed 2026-11-30 09:00",
            ),
            (
                "月-金 9:00-18:00, 土 9:00-12:00",
                "2026-11-28 11:00:00",
                "2026-11-28 12:00",
            ),
            ("sat-mon", "2026-11-30 23:00:00", "2026-12-01 00:00"),
            ("sat-mon", "2026-11-24 23:00:00", "closed 2026-11-28 00:00"),
            ("tue 22:00-05:00", "2026-11-24 23:00:00", "2026-11-25 05:00"),
            ("tue 22:00-05:00", "2026-11-25 04:59:59", "2026-11-25 05:00"),
            (
                "tue 22:00-05:00",
                "2026-11-25 05:00:00",
                "closed 2026-12-01 22:00",
            ),
            (
                "tue 22:00-05:00",
                "2026-11-24 04:00:00",
                "closed 2026-11-24 22:00",
            ),
            ("22:00-05:00", "2026-11-24 04:00:00", "2026-11-24 05:00"),
            ("00:00-24:00", "2026-11-24 12:00:00", "2026-11-25 00:00"),
            ("12:00-00:00", "2026-11-24 23:59:59", "2026-11-25 00:00"),
            (
                "tue 9:00-12:00, tue 11:00-15:00",
                "2026-11-24 11:30:00",
                "2026-11-24 15:00",
            ),
            (
                "2026-12-01..2026-12-05",
                "2026-12-05 23:59:59",
                "2026-12-06 00:00",
            ),
            ("2026-12-01..2026-12-05", "2026-12-06 00:00:00", "closed "),
            (
                "2026-12-01..2026-12-05",
                "2026-11-30 00:00:00",
                "closed 2026-12-01 00:00",
            ),
            (
                "2026-12-01 09:00-10:00",
                "2026-12-01 09:30:00",
                "2026-12-01 10:00",
            ),
            (
                "2026-12-01..2026-12-02 22:00-02:00",
                "2026-12-03 01:00:00",
                "2026-12-03 02:00",
            ),
        ] {
            assert_eq!(opens(times, local, &tokyo), expected, "{times} at {local}");
        }
    }

    /// New York: 02:00 to 03:00 was skipped on 2026-03-08, 01:00 to 02:00 comes twice on 2026-11-01.
    #[test]
    fn changes_of_the_clocks_shift_nothing_else() {
        let zone = TimeZone::get("America/New_York").unwrap();
        for (times, local, expected) in [
            ("sun 01:00-04:00", "2026-03-08 03:30:00", "2026-03-08 04:00"),
            (
                "sun 02:30-04:00",
                "2026-03-08 01:30:00",
                "closed 2026-03-08 03:30",
            ),
            ("sun 00:30-02:30", "2026-11-01 02:00:00", "2026-11-01 02:30"),
            ("sat 22:00-06:00", "2026-11-01 05:59:59", "2026-11-01 06:00"),
        ] {
            assert_eq!(opens(times, local, &zone), expected, "{times} at {local}");
        }
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in [
            "",
            "mon fri",
            "monday",
            "mon-",
            "-fri",
            "9-18",
            "09:00",
            "09:00-09:00",
            "24:00-05:00",
            "00:00-00:00",
            "09:60-10:00",
            "25:00-26:00",
            "09:00-18:00 mon",
            "mon 09:00-18:00 x",
            "2026-12-05..2026-12-01",
            "2026-13-01",
            "2026-12-01..",
            "2026-12-1",
            "09:0-10:00",
            "+9:00-10:00",
        ] {
            assert_eq!(Window::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_named_certificates_are_bound_to_hours() {
        let ca = Ca::new("orca CA");
        let (vendor, clerk) = (ca.verified("vendor"), ca.verified("clerk"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("windows");
        let lines = format!(
            "{}\tmon 09:00-10:00\nsha256:{}\ttue 09:00-10:00\n",
            vendor.subject(),
            vendor.fingerprint()
        );
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, lines.as_bytes()))
            .unwrap();
        let zone = TimeZone::UTC;
        let windows = Windows::load(&path, zone.clone()).unwrap();
        let open =
            |identity: &ClientIdentity, local: &str| windows.opening(identity, at(local, &zone));
        for day in ["2026-11-23", "2026-11-24"] {
            let end = at(&format!("{day} 10:00"), &zone);
            assert_eq!(open(&vendor, &format!("{day} 09:30")), Opening::Until(end));
        }
        assert!(matches!(
            open(&vendor, "2026-11-25 09:30"),
            Opening::Closed(Some(_))
        ));
        assert_eq!(open(&clerk, "2026-11-25 09:30"), Opening::Always);
    }
}
