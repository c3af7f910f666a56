//! `list_cert`: rows go out one after the other, whatever the length of the register.

mod seen;
mod table;

use std::io::{self, Write};
use std::ops::ControlFlow;

use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::record::{ListedCertificate, ListedDetails, Standing};
use orca_ca::store::{Columns, Scope, Word};
use orca_messages::Lang;
use serde::Serialize;

use crate::args::{Format, ListArgs};
use crate::session::{Failure, Session};
pub(crate) use seen::SeenError;
use seen::{Use, Uses};
use table::Rows;

/// A row as scripts read it; the names are part of the contract.
#[derive(Serialize)]
struct Entry<'a> {
    serial: String,
    serial_hex: String,
    number: String,
    subject: &'a str,
    issuer: &'a str,
    common_name: &'a str,
    profile: &'static str,
    status: &'static str,
    not_before: Option<String>,
    not_after: Option<String>,
    revoked_at: Option<String>,
    reason: Option<&'static str>,
    san: Vec<&'a str>,
    holder: Option<&'a str>,
    device: Option<&'a str>,
    fingerprint_sha256: Option<String>,
    /// Only with `--seen`.
    #[serde(flatten)]
    last: Option<Use>,
}

/// What every row is shown with.
#[derive(Clone, Copy)]
struct Setting<'a> {
    issuer: &'a str,
    uses: Option<&'a Uses>,
    now: Timestamp,
}

pub(crate) fn run(
    authority: &Authority,
    args: ListArgs,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let uses = args.seen.as_deref().map(Uses::read).transpose()?;
    let issuer = authority.certificate().subject().one_line();
    let setting = Setting {
        issuer: &issuer,
        uses: uses.as_ref(),
        now,
    };
    let mut writer = Writer::new(args.format, session.output, session.lang, setting)?;
    let sought = args.word.as_deref().map(Word::new);
    let scope = match (&sought, &args.word) {
        (Some(sought), Some(word)) if args.exact => Scope::Exactly {
            number: sought.number(),
            name: word,
        },
        (Some(sought), _) => Scope::Containing(sought),
        (None, _) => Scope::All,
    };
    let columns = match (args.format, setting.uses) {
        (Format::Table, None) => Columns::Table,
        _ => Columns::Whole,
    };
    let mut result = Ok(());
    authority.each(scope, columns, &mut |row| {
        if matches(row, &args, now) {
            result = writer.write(row);
        }
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    result?;
    Ok(writer.end()?)
}

fn matches(row: &ListedCertificate<'_>, args: &ListArgs, now: Timestamp) -> bool {
    let standing = row.standing(now);
    let expires_soon = |days: u32| {
        standing == Standing::Valid
            && row
                .not_after
                .is_some_and(|end| end.as_second() - now.as_second() <= i64::from(days) * 86_400)
    };
    args.status
        .as_deref()
        .is_none_or(|status| status == standing.name())
        && args.profile.is_none_or(|profile| profile == row.profile)
        && args.expiring.is_none_or(expires_soon)
}

/// Writes rows in one of the formats.
enum Writer<'a> {
    Table(Box<Rows<'a>>),
    Json {
        output: &'a mut dyn Write,
        setting: Setting<'a>,
        is_empty: bool,
    },
    Csv {
        writer: Box<csv::Writer<&'a mut dyn Write>>,
        setting: Setting<'a>,
    },
}

impl<'a> Writer<'a> {
    fn new(
        format: Format,
        output: &'a mut dyn Write,
        lang: Lang,
        setting: Setting<'a>,
    ) -> io::Result<Self> {
        Ok(match format {
            Format::Table => Self::Table(Box::new(Rows::new(output, lang, setting))),
            Format::Json => Self::Json {
                output,
                setting,
                is_empty: true,
            },
            Format::Csv => {
                let mut writer = Box::new(csv::Writer::from_writer(output));
                let more: &[&str] = match setting.uses {
                    Some(_) => &["last_seen", "last_address", "user_agent"],
                    None => &[],
                };
                writer.write_record(HEADINGS.iter().chain(more))?;
                Self::Csv { writer, setting }
            }
        })
    }

    fn write(&mut self, row: &ListedCertificate<'_>) -> io::Result<()> {
        match self {
            Self::Table(rows) => rows.add(row),
            Self::Json {
                output,
                setting,
                is_empty,
            } => {
                let comma = if *is_empty { "[" } else { "," };
                *is_empty = false;
                // As an array that is indented as a whole.
                let object = serde_json::to_string_pretty(&entry(row, *setting)?)?;
                write!(output, "{comma}\n  {}", object.replace('\n', "\n  "))
            }
            Self::Csv { writer, setting } => write_csv(writer, entry(row, *setting)?),
        }
    }

    fn end(self) -> io::Result<()> {
        match self {
            Self::Table(rows) => rows.end(),
            Self::Json {
                output,
                is_empty: true,
                ..
            } => writeln!(output, "[]"),
            Self::Json { output, .. } => writeln!(output, "\n]"),
            Self::Csv { mut writer, .. } => writer.flush(),
        }
    }
}

fn entry<'a>(row: &ListedCertificate<'a>, setting: Setting<'a>) -> io::Result<Entry<'a>> {
    let details = row.details.as_ref();
    let details = details.ok_or_else(|| io::Error::other("only half of the row was read"))?;
    let hex = format!("{:X}", row.number);
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    Ok(Entry {
        serial: row.number.to_string(),
        serial_hex: format!("{hex:0>width$}", width = hex.len().next_multiple_of(2)),
        number: format!("{:06}", row.number),
        subject: details.subject,
        issuer: setting.issuer,
        common_name: row.common_name,
        profile: row.profile.name(),
        status: row.standing(setting.now).name(),
        not_before: time(details.not_before),
        not_after: time(row.not_after),
        revoked_at: time(row.revoked_at),
        reason: details
            .reason
            .map(orca_pki::revocation::RevocationReason::name),
        san: row.hosts.lines().collect(),
        holder: row.holder,
        device: row.device,
        fingerprint_sha256: details.fingerprint.map(|octets| octets.to_string()),
        last: setting.uses.map(|uses| last_use(details, uses)),
    })
}

fn last_use(details: &ListedDetails<'_>, uses: &Uses) -> Use {
    let fingerprint = details.fingerprint.map(|shown| shown.to_string());
    uses.of(fingerprint.as_deref())
}

const HEADINGS: [&str; 16] = [
    "serial",
    "serial_hex",
    "number",
    "subject",
    "issuer",
    "common_name",
    "profile",
    "status",
    "not_before",
    "not_after",
    "revoked_at",
    "reason",
    "san",
    "holder",
    "device",
    "fingerprint_sha256",
];

fn write_csv(writer: &mut csv::Writer<&mut dyn Write>, entry: Entry<'_>) -> io::Result<()> {
    let san = entry.san.join(" ");
    let optional = |text: Option<String>| text.unwrap_or_default();
    let last = entry.last.map(|last| {
        [
            optional(last.last_seen),
            optional(last.last_address),
            cell(&optional(last.user_agent)),
        ]
    });
    let (not_before, not_after) = (optional(entry.not_before), optional(entry.not_after));
    let (revoked_at, fingerprint) = (
        optional(entry.revoked_at),
        optional(entry.fingerprint_sha256),
    );
    let (common_name, holder, device) = (
        cell(entry.common_name),
        cell(entry.holder.unwrap_or_default()),
        cell(entry.device.unwrap_or_default()),
    );
    let cells = [
        &entry.serial,
        &entry.serial_hex,
        &entry.number,
        entry.subject,
        entry.issuer,
        &common_name,
        entry.profile,
        entry.status,
        &not_before,
        &not_after,
        &revoked_at,
        entry.reason.unwrap_or_default(),
        &san,
        &holder,
        &device,
        &fingerprint,
    ];
    let more = last.iter().flatten().map(String::as_str);
    writer.write_record(cells.into_iter().chain(more))?;
    Ok(())
}

/// Spreadsheets take text that begins so for a formula; an apostrophe in front makes it text.
pub(super) fn cell(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}
