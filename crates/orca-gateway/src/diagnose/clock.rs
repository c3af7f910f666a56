//! The clock of this machine against everything that it can be compared with without the Internet.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::{Finding, Text, Verdict, text};

/// Clocks may differ by so many seconds.
const TOLERANCE: i64 = 120;
/// A file that was copied may have the time of another zone.
const ZONES: i64 = 26 * 3600;
/// Octets at the end of a log in which its last line is looked for.
const TAIL: u64 = 256 * 1024;

/// Something that has happened at a moment, and so lies in the past if the clock is right.
pub(super) struct Witness {
    what: Text,
    at: Timestamp,
    /// Seconds by which it may lie ahead.
    tolerance: i64,
    verdict: Verdict,
}

impl Witness {
    /// A paper that says itself when it was made.
    pub(super) fn paper(what: Text, at: Timestamp) -> Self {
        Self {
            what,
            at,
            tolerance: TOLERANCE,
            verdict: Verdict::Failure,
        }
    }

    /// The time of a file; anybody may set it.
    pub(super) fn file(path: &Path) -> Option<Self> {
        let modified = fs::metadata(path).and_then(|file| file.modified()).ok()?;
        let path = path.display();
        Some(Self {
            what: text!("{path} の更新日時", "the time of {path}"),
            at: Timestamp::try_from(modified).ok()?,
            tolerance: ZONES,
            verdict: Verdict::Warning,
        })
    }

    /// The last line of the access log.
    pub(super) fn access_log(path: &Path) -> Option<Self> {
        let at = last_line(path)?;
        let what = text!("アクセスログの最後の行", "the last line of the access log");
        Some(Self::paper(what, at))
    }

    /// The program itself: a machine cannot run what has not been built yet.
    pub(super) fn program() -> Option<Self> {
        let own = std::env::current_exe().ok()?;
        let what = text!(
            "orca-gatewayのプログラムの日時",
            "the time of the program orca-gateway"
        );
        Some(Self {
            what,
            ..Self::file(&own)?
        })
    }
}

fn last_line(path: &Path) -> Option<Timestamp> {
    // A pipe would keep us waiting.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let length = file.seek(SeekFrom::End(0)).ok()?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    let text = String::from_utf8_lossy(&tail);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    line["time"].as_str()?.parse().ok()
}

/// All that can be told of the clock, with what it was compared with. `application` is what its
/// answer said.
pub(super) fn findings(
    witnesses: &[Witness],
    application: Option<Timestamp>,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<Finding> {
    let ahead = |witness: &&Witness| witness.at.as_second() - now.as_second() > witness.tolerance;
    let mut against: Vec<&Witness> = witnesses.iter().filter(ahead).collect();
    let is_sure = |one: &&Witness| one.verdict == Verdict::Failure;
    if against.iter().any(is_sure) {
        against.retain(is_sure);
    }
    let differs = application.filter(|date| (date.as_second() - now.as_second()).abs() > TOLERANCE);
    let mut findings = Vec::new();
    if !against.is_empty() {
        findings.push(behind(&against, now, zone));
    }
    if let Some(date) = differs {
        findings.push(another(date, now, zone));
    }
    if findings.is_empty() {
        findings.push(plausible(witnesses, application, now, zone));
    }
    findings
}

fn minute(at: Timestamp, zone: &TimeZone) -> String {
    zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string()
}

fn list(witnesses: &[&Witness], zone: &TimeZone) -> (String, String) {
    let ja = |one: &&Witness| format!("{}({})", one.what.ja, minute(one.at, zone));
    let en = |one: &&Witness| format!("{} ({})", one.what.en, minute(one.at, zone));
    let join = |words: Vec<String>, separator| words.join(separator);
    (
        join(witnesses.iter().map(ja).collect(), "、"),
        join(witnesses.iter().map(en).collect(), ", "),
    )
}

fn behind(against: &[&Witness], now: Timestamp, zone: &TimeZone) -> Finding {
    let ((ja, en), now) = (list(against, zone), minute(now, zone));
    let message = text!(
        "この機械の時計({now})が遅れている可能性があります。時計より後の日時のものがあります: {ja}。",
        "the clock of this machine ({now}) seems to be slow; later than that is: {en}"
    );
    let remedy = text!(
        "timedatectl で日時を確認し、違っている場合は sudo timedatectl set-ntp true で合わせてください。正しい場合は、それを作成した機械(認証局など)の時計を確認してください。",
        "check it with timedatectl and set it with sudo timedatectl set-ntp true; if it is right, check the clock of the machine that made these, such as the CA's"
    );
    match against.first().map(|one| one.verdict) == Some(Verdict::Failure) {
        true => Finding::failure("clock-behind", message, remedy),
        false => Finding::warning("clock-behind", message, remedy),
    }
}

fn another(date: Timestamp, now: Timestamp, zone: &TimeZone) -> Finding {
    let (date, now) = (minute(date, zone), minute(now, zone));
    Finding::warning(
        "application-clock-differs",
        text!(
            "日レセの時計({date})が、この機械の時計({now})と違います。",
            "the clock of the application ({date}) differs from that of this machine ({now})"
        ),
        text!(
            "両方の機械で timedatectl を実行して日時を確認し、違っている方を合わせてください。",
            "check both machines with timedatectl, and set the one that is wrong"
        ),
    )
}

fn plausible(
    witnesses: &[Witness],
    application: Option<Timestamp>,
    now: Timestamp,
    zone: &TimeZone,
) -> Finding {
    let mut ja: Vec<&str> = witnesses.iter().map(|one| one.what.ja.as_str()).collect();
    let mut en: Vec<&str> = witnesses.iter().map(|one| one.what.en.as_str()).collect();
    if application.is_some() {
        ja.push("日レセの時計");
        en.push("the clock of the application");
    }
    let (ja, en, now) = (ja.join("、"), en.join(", "), minute(now, zone));
    Finding::ok(
        "clock-plausible",
        text!(
            "この機械の時計({now})は、次のものと矛盾しません: {ja}。",
            "the clock of this machine ({now}) is in keeping with {en}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_lies_ahead_of_the_clock_is_told_with_its_time() {
        let now = Timestamp::constant(1_694_058_970, 0);
        let after = |seconds: i64| Timestamp::from_second(now.as_second() + seconds).unwrap();
        let paper = |at| Witness::paper(text!("証明書", "the certificate"), after(at));
        let file = |at| Witness {
            tolerance: ZONES,
            verdict: Verdict::Warning,
            ..paper(at)
        };
        for (witnesses, application, told) in [
            (
                vec![paper(60), file(3600)],
                Some(-60),
                vec![("clock-plausible", Verdict::Ok)],
            ),
            (
                vec![paper(180)],
                None,
                vec![("clock-behind", Verdict::Failure)],
            ),
            (
                vec![file(100_000)],
                None,
                vec![("clock-behind", Verdict::Warning)],
            ),
            (
                vec![paper(180), file(100_000)],
                Some(-180),
                vec![
                    ("clock-behind", Verdict::Failure),
                    ("application-clock-differs", Verdict::Warning),
                ],
            ),
        ] {
            let found = findings(&witnesses, application.map(after), now, &TimeZone::UTC);
            let found: Vec<_> = found.iter().map(|one| (one.id, one.verdict)).collect();
            assert_eq!(found, told);
        }
        let found = findings(&[paper(86_400)], None, now, &TimeZone::UTC);
        assert!(found[0].message.en.contains("(2023-09-07 03:56)"));
        assert!(found[0].message.ja.contains("証明書(2023-09-08 03:56)"));
    }

    #[test]
    fn the_last_line_of_a_log_has_a_time() {
        for (text, told) in [
            ("", None),
            ("no json\n", None),
            (
                "{\"time\":\"2023-09-07T12:00:00+09:00\"}\n{\"time\":\"2023-09-07T12:56:10.5+09:00\"}\n\n",
                Some("2023-09-07T03:56:10.5Z"),
            ),
        ] {
            let mut log = tempfile::NamedTempFile::new().unwrap();
            log.write_all(text.as_bytes()).unwrap();
            let told = told.map(|told| told.parse::<Timestamp>().unwrap());
            assert_eq!(last_line(log.path()), told, "{text}");
        }
        assert_eq!(last_line(Path::new("/dev/null")), None);
    }
}
