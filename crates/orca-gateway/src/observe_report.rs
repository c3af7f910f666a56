//! `orca-gateway observe_report`: from the access log, who would be locked out if certificates were
//! asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use comfy_table::{ContentArrangement, Table, presets};
use flate2::bufread::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use orca_messages::{Finding, Lang, Localize, Text, render, text};
use serde::{Deserialize, Serialize};

use crate::admission::Ground;
use crate::args::Format;
use crate::identity::Cause;

/// Longest line that is read; longer ones are none of ours.
const LONGEST_LINE: u64 = 1 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What is to be reported.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Order {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) since: Option<Since>,
    pub(crate) format: Format,
}

/// A day, in the zone of the machine, or a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Since {
    Day(Date),
    Moment(Timestamp),
}

impl Since {
    /// The first moment.
    pub(crate) fn moment(self, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Day(day) => zone
                .to_timestamp(day.at(0, 0, 0, 0))
                .unwrap_or(Timestamp::MIN),
            Self::Moment(moment) => moment,
        }
    }
}

impl FromStr for Since {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        if text.len() == 10 {
            text.parse().map(Self::Day)
        } else {
            text.parse().map(Self::Moment)
        }
    }
}

/// Who would be locked out.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: BTreeMap<Key, Row>,
    lines: u64,
    exempt: u64,
    unreadable: u64,
    /// Requests that have no line: the log says so itself.
    missing: u64,
}

/// An address, and what is wrong with one certificate at it, or without one.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    address: IpAddr,
    cause: &'static str,
    fingerprint: Option<String>,
}

#[derive(Debug)]
struct Row {
    count: u64,
    first: Timestamp,
    last: Timestamp,
    serial: Option<String>,
    subject: Option<String>,
    path: Option<String>,
    user_agent: Option<String>,
}

/// A line of the access log, as far as it matters here.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    client: Client<'a>,
    #[serde(borrow)]
    path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    cause: Option<Cow<'a, str>>,
    #[serde(borrow)]
    admitted: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user_agent: Option<Cow<'a, str>>,
    log: Option<Notice>,
}

/// What the log says about itself.
#[derive(Deserialize)]
struct Notice {
    /// Of a gap.
    lines: Option<u64>,
    /// Refusals without a line, by cause.
    left_out: Option<BTreeMap<String, u64>>,
}

#[derive(Deserialize)]
struct Client<'a> {
    #[serde(borrow)]
    address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    serial: Option<Cow<'a, str>>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow)]
    fingerprint: Option<Cow<'a, str>>,
}

impl Report {
    /// Reads logs, in any order; lines before `since` do not count.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn read(files: &[PathBuf], since: Option<Timestamp>) -> Result<Self, ReportError> {
        let mut report = Self::default();
        for path in files {
            report.add_file(path, since).map_err(|source| ReportError {
                path: path.clone(),
                source,
            })?;
        }
        Ok(report)
    }

    fn add_file(&mut self, path: &Path, since: Option<Timestamp>) -> io::Result<()> {
        let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
        // By its beginning: the name of a rotated log may be anything.
        if file.fill_buf()?.starts_with(&GZIP) {
            self.add_lines(BufReader::new(MultiGzDecoder::new(file)), since)
        } else {
            self.add_lines(file, since)
        }
    }

    fn add_lines(&mut self, mut lines: impl BufRead, since: Option<Timestamp>) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if io::Read::take(&mut lines, LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            self.lines += 1;
            if self.add(line, since).is_none() {
                self.unreadable += 1;
            }
        }
    }

    /// `None` where the line is not the access log's.
    fn add(&mut self, line: &[u8], since: Option<Timestamp>) -> Option<()> {
        let line: Line<'_> = serde_json::from_slice(line).ok()?;
        if let Some(notice) = &line.log {
            let left_out = notice.left_out.iter().flat_map(BTreeMap::values);
            self.missing += notice.lines.unwrap_or(0) + left_out.sum::<u64>();
        }
        let Some(cause) = line.cause.as_deref().and_then(locks_out) else {
            return Some(());
        };
        let time: Timestamp = line.time.parse().ok()?;
        if since.is_some_and(|since| time < since) {
            return Some(());
        }
        if line.admitted.as_deref() == Some(Ground::Exempt.as_str()) {
            self.exempt += 1;
            return Some(());
        }
        let key = Key {
            address: line.client.address.as_deref()?.parse().ok()?,
            cause,
            fingerprint: line.client.fingerprint.as_deref().map(str::to_owned),
        };
        self.rows
            .entry(key)
            .and_modify(|row| row.add(&line, time))
            .or_insert_with(|| Row::new(&line, time));
        Some(())
    }

    /// Writes the rows.
    ///
    /// # Errors
    /// The output is closed.
    pub(crate) fn print(
        &self,
        format: Format,
        lang: Lang,
        zone: &TimeZone,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let rows = self.rows.iter().map(|(key, row)| Shown::new(key, row));
        match format {
            Format::Table if self.rows.is_empty() => {}
            Format::Table => writeln!(out, "{}", table(rows, lang, zone).trim_fmt())?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, &rows.collect::<Vec<_>>())?;
                writeln!(out)?;
            }
            Format::Csv => {
                let mut csv = csv::WriterBuilder::new()
                    .has_headers(false)
                    .from_writer(&mut *out);
                csv.write_record(COLUMNS)?;
                for row in rows {
                    csv.serialize(row)?;
                }
                csv.flush()?;
            }
        }
        out.flush()
    }

    /// What was read, and how many would be locked out.
    pub(crate) fn summary(&self) -> Finding {
        let mut addresses: Vec<IpAddr> = self.rows.keys().map(|key| key.address).collect();
        addresses.dedup();
        let (addresses, lines) = (addresses.len(), self.lines);
        let (exempt, unreadable, missing) = (self.exempt, self.unreadable, self.missing);
        let Text { ja, en } = text!(
            "{lines}行を集計しました(GATEWAY_EXEMPTの対象{exempt}行、読み取れない行{unreadable}行、記録されなかった要求{missing}件)。",
            "{lines} lines read, {exempt} of exempt machines, {unreadable} unreadable; {missing} requests have no line."
        );
        if addresses == 0 {
            return Finding::ok(
                "nobody-locked-out",
                text!(
                    "{ja}接続できなくなる端末はありません。",
                    "{en} Nobody would be locked out."
                ),
            );
        }
        Finding::warning(
            "locked-out",
            text!(
                "{ja}証明書を必須にすると、{addresses}か所のアドレスで接続できなくなります。",
                "{en} Who comes from {addresses} address(es) would be locked out."
            ),
            text!(
                "一覧の端末に証明書を登録するか、証明書を使えない機器は GATEWAY_EXEMPT に加えてください。",
                "give these machines certificates, or add those that cannot use any to GATEWAY_EXEMPT"
            ),
        )
    }
}

/// Causes that certificates, hours, operators and https would mend; not those of the application.
fn locks_out(cause: &str) -> Option<&'static str> {
    let known = Cause::ALL
        .into_iter()
        .find(|known| known.as_str() == cause)?;
    match known {
        Cause::BrokenRequest
        | Cause::CrossSite
        | Cause::NotForwarded
        | Cause::UpstreamBusy
        | Cause::UpstreamDown => None,
        Cause::BadSignature
        | Cause::CrlUnusable
        | Cause::Expired
        | Cause::Malformed
        | Cause::NoCertificate
        | Cause::NotYetValid
        | Cause::OutsideHours
        | Cause::PlainHttp
        | Cause::Revoked
        | Cause::UnknownCa
        | Cause::WrongOperator
        | Cause::WrongUsage => Some(known.as_str()),
    }
}

impl Row {
    fn new(line: &Line<'_>, time: Timestamp) -> Self {
        let owned = |text: &Option<Cow<'_, str>>| text.as_deref().map(str::to_owned);
        Self {
            count: 1,
            first: time,
            last: time,
            serial: owned(&line.client.serial),
            subject: owned(&line.client.subject),
            path: owned(&line.path),
            user_agent: owned(&line.user_agent),
        }
    }

    /// The latest line tells path and user agent.
    fn add(&mut self, line: &Line<'_>, time: Timestamp) {
        let newest = if time >= self.last {
            Self::new(line, time)
        } else {
            return self.add_older(time);
        };
        *self = Self {
            count: self.count + 1,
            first: self.first,
            path: newest.path.or_else(|| self.path.take()),
            user_agent: newest.user_agent.or_else(|| self.user_agent.take()),
            ..newest
        };
    }

    fn add_older(&mut self, time: Timestamp) {
        self.count += 1;
        self.first = self.first.min(time);
    }
}

const COLUMNS: [&str; 11] = [
    "address",
    "cause",
    "count",
    "first",
    "last",
    "scheme",
    "serial",
    "subject",
    "fingerprint",
    "path",
    "user_agent",
];

/// A row as scripts read it; the fields are [`COLUMNS`].
#[derive(Serialize)]
struct Shown<'a> {
    address: IpAddr,
    cause: &'static str,
    count: u64,
    #[serde(serialize_with = "rfc3339")]
    first: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    last: Timestamp,
    scheme: &'static str,
    serial: Option<&'a str>,
    subject: Option<&'a str>,
    fingerprint: Option<&'a str>,
    path: Option<&'a str>,
    user_agent: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn new(key: &'a Key, row: &'a Row) -> Self {
        let is_http = key.cause == Cause::PlainHttp.as_str();
        Self {
            address: key.address,
            cause: key.cause,
            count: row.count,
            first: row.first,
            last: row.last,
            scheme: if is_http { "http" } else { "https" },
            serial: row.serial.as_deref(),
            subject: row.subject.as_deref(),
            fingerprint: key.fingerprint.as_deref(),
            path: row.path.as_deref(),
            user_agent: row.user_agent.as_deref(),
        }
    }
}

fn rfc3339<S: serde::Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

/// Times are local; the fingerprint is left to the other forms.
fn table<'a>(rows: impl Iterator<Item = Shown<'a>>, lang: Lang, zone: &TimeZone) -> Table {
    let headings = [
        text!("アドレス", "address"),
        text!("理由", "cause"),
        text!("回数", "count"),
        text!("最初", "first"),
        text!("最後", "last"),
        text!("種類", "scheme"),
        text!("証明書", "certificate"),
        text!("パスの例", "path"),
        text!("プログラム", "user agent"),
    ];
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings.iter().map(|heading| heading.get(lang)));
    let time = |at: Timestamp| zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string();
    // Strangers wrote these.
    let foreign = |text: Option<&str>| render::one_line(text.unwrap_or_default());
    for row in rows {
        table.add_row([
            row.address.to_string(),
            row.cause.to_owned(),
            row.count.to_string(),
            time(row.first),
            time(row.last),
            row.scheme.to_owned(),
            foreign(row.subject),
            foreign(row.path),
            foreign(row.user_agent),
        ]);
    }
    table
}

/// A log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub(crate) struct ReportError {
    path: PathBuf,
    source: io::Error,
}

impl Localize for ReportError {
    fn id(&self) -> &'static str {
        "access-log-unreadable"
    }

    fn message(&self) -> Text {
        let (path, source) = (self.path.display(), &self.source);
        text!(
            "アクセスログ{path}を読み取れません({source})。",
            "cannot read the access log {path}: {source}"
        )
    }

    fn remedy(&self) -> Text {
        text!(
            "パスと権限を確認してください。圧縮されたログの場合は、壊れていないか gzip -t で確認してください。",
            "check the path and its mode; test a compressed log with gzip -t"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn line(time: &str, address: &str, cause: &str, rest: &str) -> String {
        let cause = match cause {
            "-" => "null".to_owned(),
            cause => format!("\"{cause}\""),
        };
        format!(
            "{{\"time\":\"{time}\",\"client\":{{\"address\":\"{address}\",\"issuer\":null,\
             \"serial\":null,\"subject\":null,\"fingerprint\":null}},\"method\":\"GET\",\
             \"path\":\"/p\",\"status\":200,\"cause\":{cause}{rest}}}\n"
        )
    }

    fn reported(files: &[&[u8]], since: Option<&str>) -> (Vec<String>, Report) {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = files
            .iter()
            .enumerate()
            .map(|(number, octets)| {
                let path = folder.path().join(number.to_string());
                File::create(&path).unwrap().write_all(octets).unwrap();
                path
            })
            .collect();
        let since = since.map(|since| since.parse::<Since>().unwrap().moment(&TimeZone::UTC));
        let report = Report::read(&paths, since).unwrap();
        let rows = report.rows.iter().map(|(key, row)| {
            let (first, last) = (row.first, row.last);
            format!("{} {} {} {first} {last}", key.address, key.cause, row.count)
        });
        (rows.collect(), report)
    }

    #[test]
    fn rows_are_counted_by_address_and_cause_over_files_in_any_order() {
        let mut newer = line(
            "2026-11-24T09:00:00+09:00",
            "10.0.0.2",
            "no-certificate",
            ",\"admitted\":\"observe\"",
        );
        newer += &line(
            "2026-11-24T09:00:01+09:00",
            "10.0.0.2",
            "plain-http",
            ",\"admitted\":\"observe\"",
        );
        newer += &line("2026-11-24T09:00:02+09:00", "10.0.0.1", "-", "");
        newer += &line(
            "2026-11-24T09:00:03+09:00",
            "10.0.0.3",
            "plain-http",
            ",\"admitted\":\"exempt\"",
        );
        newer += &line("2026-11-24T09:00:04+09:00", "10.0.0.4", "upstream-down", "");
        newer += "{\"time\":\"2026-11-24T09:00:05+09:00\",\"client\":{},\"cause\":null,\"log\":{\"event\":\"gap\",\"lines\":4}}\n";
        newer += "{\"time\":\"2026-11-24T09:00:05+09:00\",\"client\":{},\"log\":{\"left_out\":{\"expired\":2,\"revoked\":1}}}\n";
        newer += "{\"chain\":1}\nnonsense\n\n{\"time\":";
        let older = line(
            "2026-11-23T09:00:00+09:00",
            "10.0.0.2",
            "no-certificate",
            "",
        );
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(older.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let (rows, report) = reported(&[newer.as_bytes(), &gzip], None);
        assert_eq!(
            rows,
            [
                "10.0.0.2 no-certificate 2 2026-11-23T00:00:00Z 2026-11-24T00:00:00Z",
                "10.0.0.2 plain-http 1 2026-11-24T00:00:01Z 2026-11-24T00:00:01Z",
            ]
        );
        assert_eq!((report.lines, report.exempt, report.unreadable), (11, 1, 3));
        assert_eq!(report.missing, 7);
        let (rows, _) = reported(&[newer.as_bytes(), &gzip], Some("2026-11-24"));
        assert_eq!(rows.len(), 2);
        assert!(rows[0].contains(" 1 "), "{rows:?}");
    }

    #[test]
    fn every_certificate_at_an_address_has_a_row() {
        let with = |fingerprint: &str| {
            line("2026-11-24T00:00:00Z", "10.0.0.2", "expired", "")
                .replace(
                    "\"fingerprint\":null",
                    &format!("\"fingerprint\":\"{fingerprint}\""),
                )
                .replace("\"subject\":null", "\"subject\":\"/CN=\\u001b[31m\"")
        };
        let log = [with("aa"), with("bb"), with("aa")].concat();
        let (rows, report) = reported(&[log.as_bytes()], None);
        assert_eq!(rows.len(), 2);
        let printed = |format| {
            let mut out = Vec::new();
            report
                .print(format, Lang::En, &TimeZone::UTC, &mut out)
                .unwrap();
            String::from_utf8(out).unwrap()
        };
        let table = printed(Format::Table);
        assert!(
            table.contains("#033[31m") && !table.contains('\u{1b}'),
            "{table}"
        );
        let csv = printed(Format::Csv);
        assert_eq!(csv.lines().next(), Some(COLUMNS.join(",").as_str()));
        assert_eq!(csv.lines().count(), 3);
        let json: serde_json::Value = serde_json::from_str(&printed(Format::Json)).unwrap();
        assert_eq!(json[0]["count"], 2);
        let keys: Vec<_> = json[0].as_object().unwrap().keys().cloned().collect();
        let mut columns = COLUMNS.map(str::to_owned);
        columns.sort();
        assert!(keys.len() == columns.len() && keys.iter().all(|key| columns.contains(key)));
    }

    #[test]
    fn a_log_without_strangers_locks_nobody_out() {
        let log = line("2026-11-24T00:00:00Z", "10.0.0.2", "-", "");
        let (rows, report) = reported(&[log.as_bytes()], None);
        assert!(rows.is_empty());
        assert_eq!(report.summary().id, "nobody-locked-out");
        let missing = Report::read(&["/nowhere/x".into()], None).unwrap_err();
        assert_eq!(missing.id(), "access-log-unreadable");
    }
}
