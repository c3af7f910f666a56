//! How messages look on a terminal or in a log.

use crate::{Finding, Lang, Localize, Verdict};

/// An error as two lines: what happened with its id, then the remedy.
///
/// ```text
/// error: certificate 000003 is already revoked [already-revoked]
/// remedy: nothing is to be done
/// ```
pub fn error(error: &dyn Localize, lang: Lang) -> String {
    let label = match lang {
        Lang::En => "error",
        Lang::Ja => "エラー",
    };
    let message = error.message();
    let remedy = error.remedy();
    let id = error.id();
    format!(
        "{label}: {} [{id}]\n{}",
        message.get(lang),
        remedy_line(remedy.get(lang), lang)
    )
}

/// A finding as one line, or two where it has a remedy; the verdict in front.
pub fn finding(finding: &Finding, lang: Lang) -> String {
    let label = match (finding.verdict, lang) {
        (Verdict::Ok, Lang::En) => "ok",
        (Verdict::Ok, Lang::Ja) => "正常",
        (Verdict::Warning, Lang::En) => "warning",
        (Verdict::Warning, Lang::Ja) => "警告",
        (Verdict::Failure, Lang::En) => "failure",
        (Verdict::Failure, Lang::Ja) => "異常",
    };
    let head = match lang {
        Lang::En => format!("{label}: {} [{}]", finding.message.en, finding.id),
        Lang::Ja => format!("[{label}] {} [{}]", finding.message.ja, finding.id),
    };
    match &finding.remedy {
        Some(remedy) => format!("{head}\n{}", remedy_line(remedy.get(lang), lang)),
        None => head,
    }
}

fn remedy_line(remedy: &str, lang: Lang) -> String {
    match lang {
        Lang::En => format!("remedy: {remedy}"),
        Lang::Ja => format!("対処: {remedy}"),
    }
}

/// A day as people write it: `2026年11月24日`, `2026-11-24`.
pub fn date(at: jiff::Timestamp, zone: &jiff::tz::TimeZone, lang: Lang) -> String {
    let local = zone.to_datetime(at);
    match lang {
        Lang::En => format!(
            "{:04}-{:02}-{:02}",
            local.year(),
            local.month(),
            local.day()
        ),
        Lang::Ja => format!("{}年{}月{}日", local.year(), local.month(), local.day()),
    }
}

/// Makes text safe for one line of a log or a terminal: control characters become `#ooo`, the octal
/// form rsyslog uses (`#012` is a line feed), so that nobody can forge a line or move the cursor.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            line.push_str(&format!("#{:03o}", u32::from(c)));
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    #[test]
    fn control_characters_cannot_forge_a_line() {
        assert_eq!(one_line("a\nb\u{1b}[31m"), "a#012b#033[31m");
        assert_eq!(one_line("山田"), "山田");
    }

    #[test]
    fn a_finding_names_its_remedy_in_both_languages() {
        let f = Finding::failure(
            "x-y",
            text!("壊れています。", "broken"),
            text!("直します。", "mend"),
        );
        assert_eq!(finding(&f, Lang::En), "failure: broken [x-y]\nremedy: mend");
        assert_eq!(
            finding(&f, Lang::Ja),
            "[異常] 壊れています。 [x-y]\n対処: 直します。"
        );
    }
}
