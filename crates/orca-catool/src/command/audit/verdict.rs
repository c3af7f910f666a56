//! What `audit --verify` found, for people and for scripts.

use orca_ca::trail::verify::{Flaw, Verdict};
use orca_messages::{Lang, Text, text};
use serde::Serialize;

use crate::args::Format;
use crate::session::{Failure, Session};
use crate::tabular::{write_csv, write_json};

#[derive(Serialize)]
struct Report {
    intact: bool,
    rows: usize,
    older_rows: usize,
    anchors: usize,
    head: Option<String>,
    findings: Vec<Finding>,
    left_out: usize,
}

#[derive(Serialize)]
struct Finding {
    id: &'static str,
    verdict: &'static str,
    from: Option<i64>,
    to: Option<i64>,
    message: String,
}

/// Prints all of it. `asked` tells whether anchors were to be compared.
pub(super) fn print(
    verdict: &Verdict,
    asked: bool,
    format: Format,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let lang = session.lang;
    let flaws = verdict.flaws.iter().map(|flaw| flaw_finding(flaw, lang));
    let notes = notes(verdict, asked).into_iter().map(|(id, text)| Finding {
        id,
        verdict: "note",
        from: None,
        to: None,
        message: text.get(lang).to_owned(),
    });
    let findings: Vec<Finding> = flaws.chain(notes).collect();
    // The head of a trail that somebody meddled with is none to write down.
    let head = verdict.head.filter(|_| verdict.is_good());
    let head = head.map(|head| head.to_string());
    match format {
        Format::Table => {
            for finding in &findings {
                writeln!(session.output, "{}", line(finding, lang))?;
            }
            writeln!(session.output, "{}", summary(verdict).get(lang))?;
            if let Some(head) = head {
                let told = text!(
                    "操作記録の記録点: {head}",
                    "head of the audit trail: {head}"
                );
                writeln!(session.output, "{}", told.get(lang))?;
            }
        }
        Format::Json => {
            let report = Report {
                intact: verdict.is_good(),
                rows: verdict.rows,
                older_rows: verdict.older,
                anchors: verdict.anchors,
                head,
                findings,
                left_out: verdict.left_out,
            };
            write_json(session.output, &report)?;
        }
        Format::Csv => write_csv(session.output, COLUMNS, findings.iter().map(record))?,
    }
    Ok(())
}

const COLUMNS: [&str; 5] = ["id", "verdict", "from", "to", "message"];

fn record(finding: &Finding) -> [String; 5] {
    let number = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
    [
        finding.id.to_owned(),
        finding.verdict.to_owned(),
        number(finding.from),
        number(finding.to),
        finding.message.clone(),
    ]
}

fn line(finding: &Finding, lang: Lang) -> String {
    let label = match (finding.verdict, lang) {
        ("failure", Lang::En) => "failure:",
        ("failure", Lang::Ja) => "[異常]",
        (_, Lang::En) => "note:",
        (_, Lang::Ja) => "[参考]",
    };
    format!("{label} {} [{}]", finding.message, finding.id)
}

fn summary(verdict: &Verdict) -> Text {
    let Verdict { rows, anchors, .. } = verdict;
    let found = verdict.flaws.len() + verdict.left_out;
    let (more_ja, more_en) = match verdict.left_out {
        0 => (String::new(), String::new()),
        more => (
            format!("表示を省略したもの: {more}件。"),
            format!("; {more} more are not shown"),
        ),
    };
    match verdict.is_good() {
        true => text!(
            "正常: {rows}件の操作記録に、変更、削除、挿入はありません(照合した記録点: {anchors})。",
            "ok: {rows} rows are as they were written; {anchors} anchors agree"
        ),
        false => text!(
            "異常: {found}件({rows}件の操作記録、一致した記録点: {anchors})。{more_ja}",
            "failure: {found} findings in {rows} rows; {anchors} anchors agree{more_en}"
        ),
    }
}

fn notes(verdict: &Verdict, asked: bool) -> Vec<(&'static str, Text)> {
    let mut notes = Vec::new();
    let Verdict { older, rows, .. } = verdict;
    if *older > 0 && older == rows {
        notes.push((
            "audit-not-chained",
            text!(
                "{rows}件の操作記録は以前の版が書いたもので、まだ検証できません。次に認証局を操作した時から検証できます。",
                "all {rows} rows were written by an older version and cannot be verified yet; the next change of the CA begins the chain"
            ),
        ));
    } else if *older > 0 {
        notes.push((
            "audit-older-rows",
            text!(
                "最初の{older}件は以前の版が書いたものです。その後の記録に含まれるハッシュで保護されています。",
                "the first {older} rows were written by an older version; the hash of the row after them covers them since then"
            ),
        ));
    }
    if asked && verdict.anchors == 0 && verdict.is_good() {
        let others = verdict.foreign_anchors;
        notes.push((
            "audit-no-anchors",
            text!(
                "指定されたファイルに、この認証局の記録点がありません(ほかの記録点: {others})。",
                "the files hold no anchor of this CA ({others} of others)"
            ),
        ));
    }
    notes
}

fn flaw_finding(flaw: &Flaw, lang: Lang) -> Finding {
    let rows = flaw.rows();
    let (id, text) = flaw_text(flaw);
    Finding {
        id,
        verdict: "failure",
        from: rows.as_ref().map(|rows| *rows.start()),
        to: rows.as_ref().map(|rows| *rows.end()),
        message: text.get(lang).to_owned(),
    }
}

fn flaw_text(flaw: &Flaw) -> (&'static str, Text) {
    match flaw {
        Flaw::Changed { row } => (
            "audit-row-changed",
            text!(
                "記録{row}は変更されているか、前の記録につながりません。",
                "row {row} was changed, or does not follow the row before"
            ),
        ),
        Flaw::Removed { row, count } => (
            "audit-rows-removed",
            text!(
                "記録{row}の前で、{count}件の記録が削除されています。",
                "before row {row}, {count} rows were removed"
            ),
        ),
        Flaw::Inserted { from, to } => (
            "audit-rows-inserted",
            text!(
                "記録{from}から{to}までは、挿入されたものです。",
                "rows {from} to {to} were inserted"
            ),
        ),
        Flaw::Cut { from, to } => (
            "audit-rows-cut",
            text!(
                "記録{from}から{to}までが失われています。台帳が切り取られたか、古いものに戻されています。",
                "rows {from} to {to} are gone: the end was cut off, or the register is an old one"
            ),
        ),
        Flaw::Unsigned { from, to } => (
            "audit-rows-unsigned",
            text!(
                "記録{from}から{to}までに、認証局の署名がありません。認証局の鍵を使わずに書かれています。",
                "rows {from} to {to} are not signed by the CA: they were written without its key"
            ),
        ),
        Flaw::Recomputed { row } => (
            "audit-recomputed",
            text!(
                "記録{row}は、認証局が署名したものではありません。記録が書き換えられ、ハッシュが計算し直されています。",
                "row {row} is not the one that the CA signed: rows were rewritten and their hashes computed anew"
            ),
        ),
        Flaw::BadSignature { row } => (
            "audit-signature-wrong",
            text!(
                "記録{row}までの署名は、この認証局のものではありません。",
                "the signature over the rows up to {row} is not this CA's"
            ),
        ),
        Flaw::NoSignature => (
            "audit-signature-missing",
            text!(
                "操作記録に認証局の署名がありません。",
                "the trail has no signature of the CA"
            ),
        ),
        Flaw::Rewritten { row } => (
            "audit-rewritten",
            text!(
                "記録{row}は、ほかに記録された値と一致しません。この記録か、それより前の記録が書き換えられています。",
                "row {row} is not the one that was told elsewhere: it, or a row before it, was rewritten"
            ),
        ),
        Flaw::UnsignedBefore { row } => (
            "audit-unsigned-before",
            text!(
                "記録{row}の時点で、その前の記録に認証局の署名がありませんでした(その内容は記録{row}にあります)。",
                "when row {row} was written, the CA had not signed what stood before it (row {row} tells more)"
            ),
        ),
        other => (
            "audit-flaw",
            text!(
                "操作記録の異常: {other:?}",
                "trouble in the trail: {other:?}"
            ),
        ),
    }
}
