//! A message in both languages, and errors that know their remedy.

use crate::Lang;

/// One sentence (or a few) in Japanese and English.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Text {
    /// Japanese, です・ます.
    pub ja: String,
    /// English.
    pub en: String,
}

impl Text {
    /// The sentence in one language.
    pub fn get(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Ja => &self.ja,
        }
    }
}

/// Builds a [`Text`] from two format strings, Japanese first; both may capture variables.
///
/// ```
/// let number = "000003";
/// let text = orca_messages::text!("証明書{number}はありません", "there is no certificate {number}");
/// assert_eq!(text.en, "there is no certificate 000003");
/// ```
#[macro_export]
macro_rules! text {
    ($ja:literal, $en:literal $(,)?) => {
        $crate::Text {
            ja: format!($ja),
            en: format!($en),
        }
    };
}

/// Something that went wrong and that a person has to read.
pub trait Localize {
    /// Stable identifier in kebab-case, for search and for scripts.
    fn id(&self) -> &'static str;

    /// What happened, with the facts.
    fn message(&self) -> Text;

    /// What to do about it.
    fn remedy(&self) -> Text;

    /// Exit code of the program: 1 refused or failed, 2 when the command line alone shows it wrong.
    fn exit_code(&self) -> u8 {
        1
    }
}
