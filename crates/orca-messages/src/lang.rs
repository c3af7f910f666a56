//! Which language a person reads.

use std::str::FromStr;

/// A language of the messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lang {
    /// English.
    En,
    /// Japanese.
    Ja,
}

impl Lang {
    /// The language of a terminal session, from the environment.
    ///
    /// `LC_ALL`, `LC_MESSAGES` and `LANG` count in that order (POSIX.1-2017 §8.2); a value that begins with
    /// `ja` means Japanese, anything else English. `TERM=linux` is English always: the Linux console
    /// has no kanji.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        if get("TERM").as_deref() == Some("linux") {
            return Self::En;
        }
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(get)
            .find(|value| !value.is_empty());
        match locale {
            Some(value) if value.starts_with("ja") => Self::Ja,
            _ => Self::En,
        }
    }

    /// The value of `--lang` (`ja`, `en`).
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ja => "ja",
        }
    }
}

/// The text is neither `ja` nor `en`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownLang;

impl std::fmt::Display for UnknownLang {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("expected ja or en")
    }
}

impl std::error::Error for UnknownLang {}

impl FromStr for Lang {
    type Err = UnknownLang;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "en" => Ok(Self::En),
            "ja" => Ok(Self::Ja),
            _ => Err(UnknownLang),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lang(pairs: &[(&str, &str)]) -> Lang {
        Lang::from_env(|key| {
            pairs
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_first_variable_that_is_set_counts() {
        assert_eq!(lang(&[("LANG", "ja_JP.UTF-8")]), Lang::Ja);
        assert_eq!(lang(&[("LC_ALL", "C"), ("LANG", "ja_JP.UTF-8")]), Lang::En);
        assert_eq!(
            lang(&[("LC_ALL", ""), ("LC_MESSAGES", "ja_JP.UTF-8")]),
            Lang::Ja
        );
        assert_eq!(lang(&[]), Lang::En);
    }

    #[test]
    fn the_linux_console_has_no_kanji() {
        assert_eq!(
            lang(&[("TERM", "linux"), ("LANG", "ja_JP.UTF-8")]),
            Lang::En
        );
    }
}
