//! What somebody looks for in the register.

use orca_pki::serial::SerialNumber;

/// A number as a number, the rest as text that contains it, whatever the case.
#[derive(Clone, Debug)]
pub struct Word {
    number: Option<u64>,
    lower: String,
}

impl Word {
    /// As typed.
    pub fn new(word: &str) -> Self {
        let serial = word.parse::<SerialNumber>().ok();
        Self {
            number: serial.and_then(|serial| serial.to_u64()),
            lower: word.to_lowercase(),
        }
    }

    /// The serial it is, where it is one.
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// As `text.to_lowercase().contains()`, but without a copy where all is ASCII. Octets that are
    /// no text contain nothing.
    pub(super) fn is_part_of(&self, text: &[u8]) -> bool {
        if !text.is_ascii() {
            let text = std::str::from_utf8(text).unwrap_or_default();
            return text.to_lowercase().contains(&self.lower);
        }
        let sought = self.lower.as_bytes();
        let Some((first, rest)) = sought.split_first() else {
            return true;
        };
        let Some(last) = text.len().checked_sub(sought.len()) else {
            return false;
        };
        (0..=last).any(|start| {
            text[start].eq_ignore_ascii_case(first)
                && text[start + 1..start + sought.len()].eq_ignore_ascii_case(rest)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_as_if_all_were_lower_case() {
        let texts = [
            "",
            "user1",
            "USER 山田",
            "İstanbul",
            "ſ",
            "K",
            "k",
            "受付PC",
            "user",
        ];
        for sought in ["", "user", "User1", "山", "pc", "k", "K", "s", "i̇", "1"] {
            let word = Word::new(sought);
            for text in texts {
                let expected = text.to_lowercase().contains(&sought.to_lowercase());
                assert_eq!(
                    word.is_part_of(text.as_bytes()),
                    expected,
                    "{sought:?} in {text:?}"
                );
            }
        }
    }
}
