//! Lines of the event log. The file may be WebORCA's own log as well, which is not ours to hand on: only
//! lines that have a form of ours are kept.

/// What the start-up lines of the original begin with.
const START: [&str; 6] = [
    "CA_CRT ...",
    "SERVER_CRT ...",
    "SERVER_PEM ...",
    "Server Mode: HTTP",
    "PASSWORD input was canceled",
    "The certificate(",
];
/// Ids without a hyphen. Others write `[error]` and the like at the end of a line, too.
const SHORT_IDS: [&str; 6] = [
    "attached",
    "detached",
    "exempt",
    "listening",
    "observing",
    "stopped",
];
/// Its message repeats a line of the configuration.
const QUOTING: &str = "not-a-plain-assignment";

/// The line as it may leave; `None` where it is nobody's or another program's.
pub(super) fn harmless(line: &str) -> Option<String> {
    let (moment, said) = (line.get(..20)?, line.get(20..)?);
    if !is_moment(moment) {
        return None;
    }
    if START.iter().any(|start| said.starts_with(start)) {
        return Some(line.to_owned());
    }
    if said.starts_with("対処: ") || said.starts_with("remedy: ") {
        return Some(line.to_owned());
    }
    match id(said)? {
        QUOTING => Some(format!("{moment}… [{QUOTING}]")),
        _ => Some(line.to_owned()),
    }
}

/// `2023/09/07 12:56:10 `.
fn is_moment(text: &str) -> bool {
    let form = b"0000/00/00 00:00:00 ";
    text.bytes().zip(form).all(|(octet, form)| match form {
        b'0' => octet.is_ascii_digit(),
        _ => octet == *form,
    })
}

/// `… [kebab-case]` at the end.
fn id(said: &str) -> Option<&str> {
    let (_, id) = said.strip_suffix(']')?.rsplit_once(" [")?;
    let is_kebab =
        |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    let is_ours = SHORT_IDS.contains(&id) || id.contains('-');
    (is_ours && id.bytes().all(is_kebab)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_ours_are_kept() {
        for line in [
            "2023/09/07 12:56:10 CA_CRT ...file exists",
            "2023/09/07 12:56:10 Server Mode: HTTPS",
            "2023/09/07 12:56:10 The certificate(/C=JP) will be expired in -1 days.#012Please update the certificate.",
            "2023/09/07 12:56:10 CRLを読み込みました。 [crl-taken]",
            "2023/09/07 12:56:10 待ち受けています。 [listening]",
            "2023/09/07 12:56:10 対処: 確認してください。",
            "2023/09/07 12:56:10 remedy: look",
        ] {
            assert_eq!(harmless(line).as_deref(), Some(line));
        }
        for line in [
            "",
            "2023/09/07 12:56:10 GET /api/patient?id=00001234",
            "2023/09/07 12:56:10 patient 00001234 [error]",
            "2023/09/07 12:56:10 patient [00001234",
            "DBPASS=secret [listening]",
            "日本語だけの行で二十文字より長いものです。",
        ] {
            assert_eq!(harmless(line), None, "{line}");
        }
        assert_eq!(
            harmless("2023/09/07 12:56:10 3行目: PASS=x CA_CRT=y [not-a-plain-assignment]")
                .as_deref(),
            Some("2023/09/07 12:56:10 … [not-a-plain-assignment]")
        );
    }
}
