//! `audit`: who did what, and whether that is still what was written.

mod verdict;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::trail::TrailRow;
use orca_ca::trail::anchors::Anchors;
use orca_messages::{Lang, Text, text, zone};
use serde::Serialize;

use super::list_cert::cell;
use crate::args::{AuditArgs, AuditTask, Format};
use crate::session::{Failure, Session};
use crate::tabular::{write_csv, write_json, write_table};

/// A row as scripts read it.
#[derive(Serialize)]
struct Entry {
    sequence: i64,
    at: Option<String>,
    actor: Option<String>,
    host: Option<String>,
    event: String,
    serial: Option<String>,
    detail: Option<String>,
    hash: Option<String>,
}

/// The exit code: 1 where the trail is not as it was written.
pub(crate) fn run(
    authority: &Authority,
    args: AuditArgs,
    session: &mut Session<'_>,
) -> Result<u8, Failure> {
    match args.task {
        AuditTask::List { since } => {
            let mut rows = authority.trail()?;
            rows.retain(|row| since.is_none_or(|since| row.at >= since.as_second()));
            list(&rows, args.format, session)?;
            Ok(0)
        }
        AuditTask::Verify { anchors } => {
            let mut read = Anchors::of(authority.trail_id());
            for path in &anchors {
                read_anchors(path, &mut read)?;
            }
            let verdict = authority.verify_trail(&read)?;
            let asked = !anchors.is_empty();
            verdict::print(&verdict, asked, args.format, session)?;
            Ok(u8::from(!verdict.is_good()))
        }
    }
}

fn read_anchors(path: &Path, anchors: &mut Anchors) -> Result<(), orca_ca::Error> {
    File::open(path)
        .and_then(|file| anchors.read(BufReader::new(file)))
        .map_err(|source| orca_ca::Error::Io {
            path: path.to_owned(),
            source,
        })
}

fn list(rows: &[TrailRow], format: Format, session: &mut Session<'_>) -> Result<(), Failure> {
    let lang = session.lang;
    match format {
        Format::Table => write_table(session.output, headings(), cells(rows, lang), lang)?,
        Format::Json => {
            let entries: Vec<Entry> = rows.iter().map(entry).collect();
            write_json(session.output, &entries)?;
        }
        Format::Csv => write_csv(session.output, COLUMNS, rows.iter().map(entry).map(record))?,
    }
    Ok(())
}

fn entry(row: &TrailRow) -> Entry {
    Entry {
        sequence: row.sequence,
        at: moment(row).map(|at| at.to_string()),
        actor: row.actor.clone(),
        host: row.host.clone(),
        event: row.event.clone(),
        serial: row.serial.map(|serial| serial.to_string()),
        detail: row.detail.clone(),
        hash: row.carried().map(|hash| hash.to_string()),
    }
}

fn moment(row: &TrailRow) -> Option<Timestamp> {
    Timestamp::from_second(row.at).ok()
}

const COLUMNS: [&str; 8] = [
    "sequence", "at", "actor", "host", "event", "serial", "detail", "hash",
];

fn record(entry: Entry) -> [String; 8] {
    let text = |text: Option<String>| cell(&text.unwrap_or_default());
    [
        entry.sequence.to_string(),
        entry.at.unwrap_or_default(),
        text(entry.actor),
        text(entry.host),
        cell(&entry.event),
        entry.serial.unwrap_or_default(),
        text(entry.detail),
        entry.hash.unwrap_or_default(),
    ]
}

fn headings() -> [Text; 7] {
    [
        text!("記録", "ROW"),
        text!("日時", "TIME"),
        text!("実行者", "WHO"),
        text!("マシン", "HOST"),
        text!("操作", "WHAT"),
        text!("番号", "NUMBER"),
        text!("内容", "DETAIL"),
    ]
}

fn cells(rows: &[TrailRow], lang: Lang) -> impl Iterator<Item = [String; 7]> {
    let zone = zone::local();
    rows.iter().map(move |row| {
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        let time = moment(row).map(|at| {
            let time = zone.to_datetime(at);
            time.strftime("%Y-%m-%d %H:%M:%S").to_string()
        });
        [
            row.sequence.to_string(),
            time.unwrap_or_default(),
            optional(&row.actor),
            optional(&row.host),
            word(&row.event).get(lang).to_owned(),
            row.serial
                .map(|serial| format!("{serial:06}"))
                .unwrap_or_default(),
            optional(&row.detail),
        ]
    })
}

/// What people call an event; a word that we do not know stands as it is.
fn word(event: &str) -> Text {
    match event {
        "init" => text!("認証局作成", "init"),
        "reserve" => text!("番号予約", "reserve"),
        "issue" => text!("発行", "issue"),
        "export" => text!("書き出し", "export"),
        "revoke" => text!("破棄", "revoke"),
        "crl" => text!("CRL発行", "crl"),
        "crl-renewed" => text!("CRL更新", "crl-renewed"),
        "publish" => text!("CRL配布", "publish"),
        "publish-failed" => text!("CRL配布失敗", "publish-failed"),
        "config" => text!("設定変更", "config"),
        "unsigned" => text!("署名なし検出", "unsigned"),
        other => text!("{other}", "{other}"),
    }
}
