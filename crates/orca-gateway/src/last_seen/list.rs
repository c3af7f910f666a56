//! `orca-gateway last_seen`.

use std::io;
use std::path::{Path, PathBuf};

use comfy_table::{ContentArrangement, Table, presets};
use jiff::tz::TimeZone;
use orca_messages::{Lang, Localize, Text, render, text};

use super::Seen;
use super::store::{self, Row};
use crate::args::Format;

/// Prints what a gateway with this state folder has seen; it writes the file every ten seconds.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn print(
    folder: &Path,
    format: Format,
    lang: Lang,
    zone: &TimeZone,
    out: &mut impl io::Write,
) -> Result<(), SeenError> {
    let path = folder.join(store::FILE);
    let seen = store::read(&path).map_err(|source| SeenError { path, source })?;
    // A closed pipe is nobody's trouble.
    let _ = write(&seen, format, lang, zone, out);
    Ok(())
}

pub(super) fn write(
    all: &[Seen],
    format: Format,
    lang: Lang,
    zone: &TimeZone,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let rows = all.iter().map(Row::shown);
    match format {
        Format::Table => {
            for line in table(all, lang, zone).lines() {
                writeln!(out, "{}", line.trim_end())?;
            }
        }
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &rows.collect::<Vec<_>>())?;
            writeln!(out)?;
        }
        Format::Csv => {
            let mut writer = csv::WriterBuilder::new()
                .has_headers(false)
                .from_writer(&mut *out);
            writer.write_record(COLUMNS)?;
            for row in rows {
                writer.serialize(row)?;
            }
            writer.flush()?;
        }
    }
    out.flush()
}

const COLUMNS: [&str; 9] = [
    "fingerprint",
    "serial",
    "subject",
    "issuer",
    "not_after",
    "last_seen",
    "last_address",
    "user_agent",
    "two_addresses",
];

fn table(all: &[Seen], lang: Lang, zone: &TimeZone) -> Table {
    let headings = [
        text!("番号", "NUMBER"),
        text!("名前", "SUBJECT"),
        text!("最終使用", "LAST SEEN"),
        text!("アドレス", "ADDRESS"),
        text!("有効期限", "EXPIRES"),
        text!("注意", "MARK"),
        text!("プログラム", "PROGRAM"),
    ];
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.get(lang)));
    let mark = text!("2か所で使用", "two addresses");
    for seen in all {
        let time = zone.to_datetime(seen.at).strftime("%Y-%m-%d %H:%M:%S");
        let marked = seen.two_addresses.map(|_| mark.get(lang));
        table.add_row(
            [
                seen.serial.to_string(),
                seen.subject.clone(),
                time.to_string(),
                seen.address.to_string(),
                render::date(seen.not_after, zone, lang),
                marked.unwrap_or_default().to_owned(),
                seen.user_agent.clone().unwrap_or_default(),
            ]
            .map(|cell| render::one_line(&cell)),
        );
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub(crate) struct SeenError {
    path: PathBuf,
    source: io::Error,
}

impl Localize for SeenError {
    fn id(&self) -> &'static str {
        "last-seen-unreadable"
    }

    fn message(&self) -> Text {
        let (path, source) = (self.path.display(), &self.source);
        text!(
            "証明書の最終使用の記録({path})を読み取れません({source})。",
            "the file {path} of when certificates were used last cannot be read: {source}",
        )
    }

    fn remedy(&self) -> Text {
        text!(
            "GATEWAY_STATEのフォルダを読み取れるユーザ(sudo、またはorca)で実行してください。",
            "run it as a user who may read the folder of GATEWAY_STATE: with sudo, or as orca",
        )
    }
}
