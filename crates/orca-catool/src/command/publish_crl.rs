//! `publish_crl`.

use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::publication::{PlaceKind, PlaceReport};
use orca_messages::{Lang, Text, render, text, zone};
use serde::Serialize;

use crate::args::Format;
use crate::session::{Failure, Session};
use crate::tabular::{write_csv, write_json, write_table};

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
    let lang = session.lang;
    match format {
        Format::Table => write_table(session.output, headings(), cells(&places, lang), lang)?,
        Format::Json => {
            let entries: Vec<Entry> = places.iter().map(entry).collect();
            write_json(session.output, &entries)?;
        }
        Format::Csv => write_csv(
            session.output,
            COLUMNS,
            places.iter().map(entry).map(record),
        )?,
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

const COLUMNS: [&str; 6] = ["place", "kind", "number", "since", "state", "cause"];

fn record(entry: Entry) -> [String; 6] {
    [
        entry.place,
        entry.kind.to_owned(),
        entry.number.unwrap_or_default(),
        entry.since.unwrap_or_default(),
        entry.state.to_owned(),
        entry.cause.unwrap_or_default().to_owned(),
    ]
}

fn headings() -> [Text; 4] {
    [
        text!("場所", "PLACE"),
        text!("番号", "NUMBER"),
        text!("受信日", "SINCE"),
        text!("状態", "STATE"),
    ]
}

fn cells(places: &[PlaceReport], lang: Lang) -> impl Iterator<Item = [String; 4]> {
    let zone = zone::local();
    places.iter().map(move |place| {
        let state = match place.current {
            true => text!("最新", "current"),
            false => text!("未達", "behind"),
        };
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
    })
}
