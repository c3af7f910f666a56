//! `publish_crl`.

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::publication::{PlaceKind, PlaceReport};
use orca_messages::{Lang, render, text, zone};
use serde::Serialize;

use crate::args::Format;
use crate::session::{Failure, Session};

/// A row as scripts read it.
#[derive(Serialize)]
struct Entry {
    place: String,
    kind: &'static str,
    number: Option<String>,
    since: Option<String>,
    state: &'static str,
    cause: Option<&'static str>,
}

pub(crate) fn run(
    authority: &mut Authority,
    format: Format,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let (places, failures) = authority.publish_crl(now)?;
    match format {
        Format::Table => {
            for line in table(&places, session.lang).lines() {
                writeln!(session.output, "{}", line.trim_end())?;
            }
        }
        Format::Json => {
            let entries: Vec<Entry> = places.iter().map(entry).collect();
            serde_json::to_writer_pretty(&mut *session.output, &entries)
                .map_err(std::io::Error::from)?;
            writeln!(session.output)?;
        }
        Format::Csv => write_csv(places.iter().map(entry), session)?,
    }
    session.output.flush()?;
    if failures.is_empty() {
        return Ok(());
    }
    let revoked = Vec::new();
    Err(orca_ca::Error::CrlNotPublished { failures, revoked }.into())
}

fn entry(place: &PlaceReport) -> Entry {
    Entry {
        place: place.place.clone(),
        kind: match place.kind {
            PlaceKind::File => "file",
            PlaceKind::Gateway => "gateway",
        },
        number: place.number.map(|number| number.to_string()),
        since: place.since.map(|at| at.to_string()),
        state: if place.current { "current" } else { "behind" },
        cause: place.failure.as_ref().map(|failure| failure.word()),
    }
}

fn write_csv(
    entries: impl Iterator<Item = Entry>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let mut writer = csv::Writer::from_writer(&mut *session.output);
    let failed = |error: csv::Error| std::io::Error::from(error);
    writer
        .write_record(["place", "kind", "number", "since", "state", "cause"])
        .map_err(failed)?;
    for entry in entries {
        writer
            .write_record([
                entry.place,
                entry.kind.to_owned(),
                entry.number.unwrap_or_default(),
                entry.since.unwrap_or_default(),
                entry.state.to_owned(),
                entry.cause.unwrap_or_default().to_owned(),
            ])
            .map_err(failed)?;
    }
    writer.flush()?;
    Ok(())
}

fn table(places: &[PlaceReport], lang: Lang) -> Table {
    let headings = [
        text!("場所", "PLACE"),
        text!("番号", "NUMBER"),
        text!("受信日", "SINCE"),
        text!("状態", "STATE"),
    ];
    let zone = zone::local();
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings.iter().map(|heading| heading.get(lang)));
    for place in places {
        let state = match place.current {
            true => text!("最新", "current"),
            false => text!("未達", "behind"),
        };
        table.add_row(
            [
                place.place.clone(),
                place
                    .number
                    .map(|number| number.to_string())
                    .unwrap_or_default(),
                place
                    .since
                    .map(|at| render::date(at, &zone, lang))
                    .unwrap_or_default(),
                state.get(lang).to_owned(),
            ]
            .map(|cell| render::one_line(&cell)),
        );
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}
