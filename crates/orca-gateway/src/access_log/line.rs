//! How the access log spells its lines.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use serde_json::value::RawValue;

const WITH_MILLISECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// JSON on one line. Besides what JSON demands, characters that move a terminal's cursor or turn the
/// direction of reading are escaped.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::with_capacity(1024);
    // Serialising structs of strings and numbers into memory cannot fail.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut line, Careful));
    line
}

/// What stands in many lines, written once.
pub(super) fn json_once(value: &impl Serialize) -> Option<Box<RawValue>> {
    let text = String::from_utf8(json(value)).ok()?;
    RawValue::from_string(text).ok()
}

/// With milliseconds and the offset of the zone (RFC 3339 §5.6).
pub(super) fn rfc3339(at: Timestamp, zone: &TimeZone) -> String {
    WITH_MILLISECONDS.timestamp_with_offset_to_string(&at, zone.to_offset(at))
}

/// The beginning of a text that a stranger may have made long.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

struct Careful;

impl Formatter for Careful {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let plain = |octet: u8| octet.is_ascii() && octet != 0x7f;
        if fragment.bytes().all(plain) {
            return CompactFormatter.write_string_fragment(writer, fragment);
        }
        for c in fragment.chars() {
            if is_harmless(c) {
                writer.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            } else {
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
        }
        Ok(())
    }
}

/// All that is not harmless has at most four hexadecimal digits.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_move_the_cursor_or_turn_the_text() {
        let text = "a\u{1b}[2J\n\u{9b}\u{7f}\u{202e}山田\"\\";
        let line = json(&text);
        assert_eq!(
            String::from_utf8(line.clone()).unwrap(),
            r#""a\u001b[2J\n\u009b\u007f\u202e山田\"\\""#
        );
        assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text);
    }

    #[test]
    fn long_texts_are_shortened() {
        assert_eq!(shortened("日レセ", 3), "日レセ");
        assert_eq!(shortened("日レセ", 2), "日レ…");
    }
}
