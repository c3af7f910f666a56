//! What may differ between the page and a run: times, random names, fingerprints. Each is known by its
//! shape; everything else is compared to the letter.

/// `0` a digit, `9` digits, `λ` and `Λ` hexadecimal digits, `α` letters and digits; all else is itself.
const SHAPES: [&str; 17] = [
    "0000-00-00T00:00:00.000+00:00",
    "0000-00-00T00:00:00+00:00",
    "0000-00-00 00:00:00",
    "0000-00-00 00:00",
    "0000-00-00",
    "0000/00/00 00:00:00",
    "00000000-000000",
    "9年9月9日",
    "orca CA ΛΛΛΛΛΛΛΛ",
    ":passphrase: \"αααααααααααααααα\"",
    "照合した記録点: 9",
    "残り9日",
    "will be expired in 9 days",
    "\"duration_ms\":9.9",
    "λλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλλ",
    "\"id\":\"λλλλλλλλλλλλλλλλ\"",
    "id=λλλλλλλλλλλλλλλλ",
];
/// A line that is a passphrase and nothing else has so many letters and digits.
const PASSPHRASE: usize = 16;
/// A line of the page that stands for any number of lines.
const LEFT_OUT: &str = "…";

/// Whether an output is as printed.
pub(super) fn alike(printed: &str, came: &str) -> bool {
    let printed: Vec<_> = printed.lines().map(masked).collect();
    let came: Vec<_> = came.lines().map(masked).collect();
    matches(&printed, &came)
}

fn matches(printed: &[String], came: &[String]) -> bool {
    match printed.split_first() {
        None => came.is_empty(),
        Some((line, rest)) if line == LEFT_OUT => {
            (0..=came.len()).any(|skipped| matches(rest, &came[skipped..]))
        }
        Some((line, rest)) => came.first() == Some(line) && matches(rest, &came[1..]),
    }
}

fn masked(line: &str) -> String {
    if line.len() == PASSPHRASE && line.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
        return "passphrase".to_owned();
    }
    let mut text = String::new();
    // Tables are as wide as the folders of the test.
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = line.as_str();
    while let Some(first) = rest.chars().next() {
        let shaped = SHAPES
            .iter()
            .find_map(|shape| Some((shape, fits(shape, rest)?)));
        match shaped {
            Some((shape, behind)) => {
                text.push_str(shape);
                rest = behind;
            }
            None => {
                text.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    text
}

/// What stands behind the shape at the beginning of a text.
fn fits<'a>(shape: &str, text: &'a str) -> Option<&'a str> {
    let mut rest = text;
    for wanted in shape.chars() {
        rest = match wanted {
            '9' => {
                let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                (behind.len() < rest.len()).then_some(behind)?
            }
            '0' => rest.strip_prefix(|c: char| c.is_ascii_digit())?,
            'λ' => rest.strip_prefix(|c: char| matches!(c, '0'..='9' | 'a'..='f'))?,
            'Λ' => rest.strip_prefix(|c: char| matches!(c, '0'..='9' | 'A'..='F'))?,
            'α' => rest.strip_prefix(|c: char| c.is_ascii_alphanumeric())?,
            _ => rest.strip_prefix(wanted)?,
        };
    }
    Some(rest)
}

#[test]
fn only_what_has_a_shape_may_differ() {
    for (printed, came, same) in [
        ("2026-11-24 12:00 a\n", "2027-01-02 13:59 a\n", true),
        ("2026年11月24日\n", "2027年1月2日\n", true),
        ("/CN=orca CA 1A2B3C4D\n", "/CN=orca CA 00FF00FF\n", true),
        ("6RYv24bqgpyu6tn8\n", "abcdefghjkmnpq23\n", true),
        ("a   b\n", "a b\n", true),
        ("number 3\n", "number 4\n", false),
        ("000003\n", "000004\n", false),
        ("a\n", "a\nb\n", false),
        ("a\n", "", false),
        ("…\nb\n", "a\na\nb\n", true),
        ("…\nb\n", "a\n", false),
        ("a\n…\n", "a\n", true),
    ] {
        assert_eq!(alike(printed, came), same, "{printed} {came}");
    }
}
