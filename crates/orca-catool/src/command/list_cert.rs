//! `list_cert`.

mod seen;

use comfy_table::presets;
use comfy_table::{ContentArrangement, Table};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_ca::Authority;
use orca_ca::record::{CertificateRecord, CertificateStatus, Standing};
use orca_messages::{Lang, Text, render, text};
use orca_pki::certificate::Certificate;
use orca_pki::serial::SerialNumber;
use serde::Serialize;

use crate::args::{Format, ListArgs};
use crate::session::{Failure, Session};
pub(crate) use seen::SeenError;
use seen::{Use, Uses};

/// A row as scripts read it; the names are part of the contract.
#[derive(Serialize)]
struct Entry {
    serial: String,
    serial_hex: String,
    number: String,
    subject: String,
    issuer: String,
    common_name: String,
    profile: &'static str,
    status: &'static str,
    not_before: Option<String>,
    not_after: Option<String>,
    revoked_at: Option<String>,
    reason: Option<&'static str>,
    san: Vec<String>,
    holder: Option<String>,
    device: Option<String>,
    fingerprint_sha256: Option<String>,
    /// Only with `--seen`.
    #[serde(flatten)]
    last: Option<Use>,
}

pub(crate) fn run(
    authority: &Authority,
    args: ListArgs,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let uses = args.seen.as_deref().map(Uses::read).transpose()?;
    let uses = uses.as_ref();
    let mut records = authority.list()?;
    records.retain(|record| matches(record, &args, now));
    match args.format {
        Format::Table => {
            let table = table(&records, uses, session.lang, now);
            for line in table.lines() {
                writeln!(session.output, "{}", line.trim_end())?;
            }
        }
        Format::Json => {
            let issuer = authority.certificate().subject().one_line();
            let entries: Vec<Entry> = records
                .iter()
                .map(|record| entry(record, &issuer, uses, now))
                .collect();
            serde_json::to_writer_pretty(&mut *session.output, &entries)
                .map_err(std::io::Error::from)?;
            writeln!(session.output)?;
        }
        Format::Csv => {
            let issuer = authority.certificate().subject().one_line();
            let entries = records
                .iter()
                .map(|record| entry(record, &issuer, uses, now));
            write_csv(entries, uses, session)?;
        }
    }
    Ok(())
}

fn matches(record: &CertificateRecord, args: &ListArgs, now: Timestamp) -> bool {
    let standing = record.standing(now);
    let reservation = &record.reservation;
    let expires_soon = |days: u32| {
        standing == Standing::Valid
            && record.certificate.as_ref().is_some_and(|certificate| {
                let left = certificate.validity().not_after.as_second() - now.as_second();
                left <= i64::from(days) * 86_400
            })
    };
    args.status
        .as_deref()
        .is_none_or(|status| status == standing.name())
        && args
            .profile
            .is_none_or(|profile| profile == reservation.profile)
        && args.expiring.is_none_or(expires_soon)
        && args
            .word
            .as_deref()
            .is_none_or(|word| contains(record, word))
}

/// Number as a number, the rest as text that contains the word, whatever the case.
fn contains(record: &CertificateRecord, word: &str) -> bool {
    let reservation = &record.reservation;
    let needle = word.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&needle);
    word.parse::<SerialNumber>()
        .is_ok_and(|serial| serial == record.serial)
        || has(&reservation.common_name)
        || reservation.hosts.iter().any(|host| has(host))
        || reservation.holder.as_deref().is_some_and(has)
        || reservation.device.as_deref().is_some_and(has)
}

fn entry(record: &CertificateRecord, issuer: &str, uses: Option<&Uses>, now: Timestamp) -> Entry {
    let reservation = &record.reservation;
    let validity = record.certificate.as_ref().map(Certificate::validity);
    let (revoked_at, reason) = match record.status {
        CertificateStatus::Revoked { at, reason } => (Some(at.to_string()), reason),
        _ => (None, None),
    };
    Entry {
        serial: record.serial.decimal(),
        serial_hex: record.serial.hex(),
        number: record.serial.to_string(),
        subject: reservation.subject.clone(),
        issuer: issuer.to_owned(),
        common_name: reservation.common_name.clone(),
        profile: reservation.profile.name(),
        status: record.standing(now).name(),
        not_before: validity.map(|validity| validity.not_before.to_string()),
        not_after: validity.map(|validity| validity.not_after.to_string()),
        revoked_at,
        reason: reason.map(orca_pki::revocation::RevocationReason::name),
        san: reservation.hosts.clone(),
        holder: reservation.holder.clone(),
        device: reservation.device.clone(),
        fingerprint_sha256: record
            .fingerprint()
            .map(|fingerprint| fingerprint.to_string()),
        last: uses.map(|uses| last_use(record, uses)),
    }
}

fn last_use(record: &CertificateRecord, uses: &Uses) -> Use {
    let fingerprint = record.fingerprint().map(|shown| shown.to_string());
    uses.of(fingerprint.as_deref())
}

fn write_csv(
    entries: impl Iterator<Item = Entry>,
    uses: Option<&Uses>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let mut writer = csv::Writer::from_writer(&mut *session.output);
    let failed = |error: csv::Error| std::io::Error::from(error);
    let more: &[&str] = match uses {
        Some(_) => &["last_seen", "last_address", "user_agent"],
        None => &[],
    };
    let columns = [
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
    writer
        .write_record(columns.iter().chain(more))
        .map_err(failed)?;
    for entry in entries {
        let san = entry.san.join(" ");
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        let last = entry.last.clone().map(|last| {
            [
                optional(&last.last_seen),
                optional(&last.last_address),
                cell(&optional(&last.user_agent)),
            ]
        });
        let cells = [
            entry.serial,
            entry.serial_hex,
            entry.number,
            entry.subject,
            entry.issuer,
            cell(&entry.common_name),
            entry.profile.to_owned(),
            entry.status.to_owned(),
            optional(&entry.not_before),
            optional(&entry.not_after),
            optional(&entry.revoked_at),
            entry.reason.unwrap_or_default().to_owned(),
            san,
            cell(&optional(&entry.holder)),
            cell(&optional(&entry.device)),
            optional(&entry.fingerprint_sha256),
        ];
        writer
            .write_record(cells.into_iter().chain(last.into_iter().flatten()))
            .map_err(failed)?;
    }
    writer.flush()?;
    Ok(())
}

/// Spreadsheets take text that begins so for a formula; an apostrophe in front makes it text.
fn cell(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

/// Columns aligned by width on the screen, Japanese characters counting double.
fn table(records: &[CertificateRecord], uses: Option<&Uses>, lang: Lang, now: Timestamp) -> Table {
    let headings = [
        text!("番号", "NUMBER"),
        text!("状態", "STATUS"),
        text!("種類", "PROFILE"),
        text!("名前", "NAME"),
        text!("有効期限", "EXPIRES"),
        text!("破棄日", "REVOKED"),
        text!("ホスト", "HOSTS"),
        text!("使用者", "HOLDER"),
        text!("端末", "DEVICE"),
    ];
    let more = uses.map(|_| {
        [
            text!("最終使用", "LAST SEEN"),
            text!("アドレス", "ADDRESS"),
            text!("プログラム", "PROGRAM"),
        ]
    });
    let headings = headings.into_iter().chain(more.into_iter().flatten());
    let zone = TimeZone::system();
    let date = |at: Timestamp| render::date(at, &zone, lang);
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.map(|heading| heading.get(lang).to_owned()));
    for record in records {
        let reservation = &record.reservation;
        let revoked_at = match record.status {
            CertificateStatus::Revoked { at, .. } => date(at),
            _ => String::new(),
        };
        let expires = record
            .certificate
            .as_ref()
            .map(|certificate| certificate.validity().not_after);
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        let last = uses.map(|uses| last_use(record, uses));
        let last = last.map(|last| {
            let at = last.last_seen.and_then(|at| at.parse().ok());
            [
                at.map(|at| minute(at, &zone)).unwrap_or_default(),
                last.last_address.unwrap_or_default(),
                last.user_agent.unwrap_or_default(),
            ]
        });
        table.add_row(
            [
                record.serial.to_string(),
                word(record.standing(now)).get(lang).to_owned(),
                profile(record).get(lang).to_owned(),
                reservation.common_name.clone(),
                expires.map(date).unwrap_or_default(),
                revoked_at,
                reservation.hosts.join(" "),
                optional(&reservation.holder),
                optional(&reservation.device),
            ]
            .into_iter()
            .chain(last.into_iter().flatten())
            .map(|cell| render::one_line(&cell)),
        );
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

fn minute(at: Timestamp, zone: &TimeZone) -> String {
    zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string()
}

fn word(standing: Standing) -> Text {
    match standing {
        Standing::Expired => text!("期限切れ", "expired"),
        Standing::Reserved => text!("未完了", "reserved"),
        Standing::Revoked => text!("破棄", "revoked"),
        Standing::Valid => text!("有効", "valid"),
    }
}

fn profile(record: &CertificateRecord) -> Text {
    match record.reservation.profile.name() {
        "server" => text!("サーバ", "server"),
        _ => text!("クライアント", "client"),
    }
}
