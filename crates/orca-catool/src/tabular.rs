//! What is listed, for people, programs and spreadsheets.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use orca_messages::{Lang, Text, render};
use serde::Serialize;

/// Columns without lines between them, each row on one line.
pub(crate) fn write_table<const N: usize>(
    output: &mut dyn Write,
    headings: [Text; N],
    rows: impl IntoIterator<Item = [String; N]>,
    lang: Lang,
) -> io::Result<()> {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings.iter().map(|heading| heading.get(lang)));
    for row in rows {
        table.add_row(row.map(|cell| render::one_line(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for line in table.lines() {
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Indented, and a line of its own at the end.
pub(crate) fn write_json(output: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, value)?;
    writeln!(output)
}

/// RFC 4180, with the names of the columns first.
pub(crate) fn write_csv<const N: usize>(
    output: &mut dyn Write,
    columns: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(output);
    writer.write_record(columns)?;
    for row in rows {
        writer.write_record(row)?;
    }
    writer.flush()
}
