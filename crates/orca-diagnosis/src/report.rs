//! Findings, written down.

use std::io::{self, Write};

use orca_messages::{Finding, Lang, Text, Verdict, render, text};
use serde::Serialize;

/// How findings are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// RFC 4180.
    Csv,
    /// An array of objects.
    Json,
    /// Lines for people.
    Table,
}

/// Writes findings.
///
/// # Errors
/// The output is closed.
pub fn print(
    findings: &[Finding],
    form: Form,
    lang: Lang,
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    let rows = findings.iter().map(|finding| Row::new(finding, lang));
    match form {
        Form::Table => {
            for finding in findings {
                writeln!(out, "{}", render::finding(finding, lang))?;
            }
            writeln!(out, "{}", summary(findings).get(lang))?;
        }
        Form::Json => {
            let text = serde_json::to_string_pretty(&rows.collect::<Vec<_>>())?;
            writeln!(out, "{text}")?;
        }
        Form::Csv => {
            writeln!(out, "id,verdict,message,remedy")?;
            for row in rows {
                let cells = [
                    row.id,
                    verdict(row.verdict),
                    row.message,
                    row.remedy.unwrap_or(""),
                ];
                writeln!(out, "{}", cells.map(csv_cell).join(","))?;
            }
        }
    }
    out.flush()
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    verdict: Verdict,
    message: &'a str,
    remedy: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn new(finding: &'a Finding, lang: Lang) -> Self {
        Self {
            id: finding.id,
            verdict: finding.verdict,
            message: finding.message.get(lang),
            remedy: finding.remedy.as_ref().map(|remedy| remedy.get(lang)),
        }
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Failure => "failure",
    }
}

/// RFC 4180 §2.
fn csv_cell(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The last line of a table: what was found, and what the exit code says of it.
fn summary(findings: &[Finding]) -> Text {
    let count = |verdict| findings.iter().filter(|one| one.verdict == verdict).count();
    let (failures, warnings) = (count(Verdict::Failure), count(Verdict::Warning));
    let code = u8::from(failures > 0);
    text!(
        "結果: 異常{failures}件、警告{warnings}件。終了コード{code}(異常があれば1、警告だけなら0)",
        "result: {failures} failed, {warnings} to look at; exit code {code} (1 if anything failed, 0 with warnings alone)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_print_as_lines_json_and_csv() {
        let found = [Finding::failure(
            "x-y",
            text!("壊れ,た", "broken, \"it\" is"),
            text!("直す", "mend"),
        )];
        let printed = |form| {
            let mut out = Vec::new();
            print(&found, form, Lang::En, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            printed(Form::Table),
            "failure: broken, \"it\" is [x-y]\nremedy: mend\n\
             result: 1 failed, 0 to look at; exit code 1 (1 if anything failed, 0 with warnings alone)\n"
        );
        assert_eq!(
            printed(Form::Csv),
            "id,verdict,message,remedy\nx-y,failure,\"broken, \"\"it\"\" is\",mend\n"
        );
        let json: serde_json::Value = serde_json::from_str(&printed(Form::Json)).unwrap();
        assert_eq!(json[0]["verdict"], "failure");
        assert_eq!(json[0]["remedy"], "mend");
    }
}
