//! What is wrong with a `config.yml`, and what belongs there.

use std::path::PathBuf;

use orca_messages::{Localize, Text, text};

use crate::place::REGISTER;

/// Why a configuration cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}:{line}: {problem}")]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: ConfigProblem,
}

/// What is wrong in a line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigProblem {
    /// A database that is not built.
    #[error("{0} is not supported")]
    Database(String),
    /// A key stands twice.
    #[error("{0} stands twice")]
    Doubled(String),
    /// No YAML.
    #[error("no YAML")]
    Syntax,
    /// A value of another kind was expected.
    #[error("{key}: {expected} expected")]
    Type {
        /// The key.
        key: String,
        /// What it takes.
        expected: Expected,
    },
}

/// What a key takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Two letters.
    Country,
    /// A whole number of days, 1 to [`super::MOST_DAYS`].
    Days,
    /// The word of a key algorithm.
    Key,
    /// A mapping of keys to values.
    Mapping,
    /// A name of up to 64 characters.
    Name,
    /// `compat` or `modern`.
    P12,
    /// A path.
    Path,
    /// A list of paths and `https://` addresses.
    PublishList,
    /// Text.
    Text,
    /// `true` or `false`.
    YesNo,
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text().en)
    }
}

impl Expected {
    fn text(self) -> Text {
        match self {
            Self::Country => text!(
                "大文字2文字の国コード",
                "a country code of two capital letters"
            ),
            Self::Days => text!("1から36525までの日数", "a number of days from 1 to 36525"),
            Self::Key => text!(
                "p256、p384、rsa2048、rsa3072、rsa4096 のいずれか",
                "one of p256, p384, rsa2048, rsa3072, rsa4096"
            ),
            Self::Mapping => text!("「:キー: 値」の行", "lines of the form ':key: value'"),
            Self::Name => text!(
                "「/」や制御文字を含まない64文字以内の名前",
                "a name of up to 64 characters without / or control characters"
            ),
            Self::P12 => text!("compat か modern", "compat or modern"),
            Self::Path => text!("ファイルのパス", "a path"),
            Self::PublishList => text!(
                "パスまたは https://ホスト:ポート の一覧",
                "a list of paths and https://HOST:PORT"
            ),
            Self::Text => text!("文字列", "text"),
            Self::YesNo => text!("true か false", "true or false"),
        }
    }
}

impl Localize for ConfigError {
    fn id(&self) -> &'static str {
        match self.problem {
            ConfigProblem::Database(_) => "database-not-supported",
            ConfigProblem::Doubled(_) => "config-doubled-key",
            ConfigProblem::Syntax => "config-syntax",
            ConfigProblem::Type { .. } => "config-type",
        }
    }

    fn message(&self) -> Text {
        let (path, line) = (self.path.display(), self.line);
        match &self.problem {
            ConfigProblem::Database(url) => text!(
                "{path} の{line}行目: データベース {url} にはまだ対応していません。",
                "{path} line {line}: the database {url} is not supported yet"
            ),
            ConfigProblem::Doubled(key) => text!(
                "{path} の{line}行目: :{key}: が2回書かれています。",
                "{path} line {line}: :{key}: stands there a second time"
            ),
            ConfigProblem::Syntax => text!(
                "{path} の{line}行目を読み取れません。引用符や括弧が閉じているか、「:」の後に空白があるか、字下げにタブがないかを確認してください。",
                "{path} line {line} cannot be read: look for a quote or bracket that is not closed, a missing blank after the colon, a tab as indentation"
            ),
            ConfigProblem::Type { key, expected } => {
                let Text { ja, en } = expected.text();
                text!(
                    "{path} の{line}行目: :{key}: の値が正しくありません({ja}を書いてください)。",
                    "{path} line {line}: the value of :{key}: is wrong, expected is {en}"
                )
            }
        }
    }

    fn remedy(&self) -> Text {
        let (path, line) = (self.path.display(), self.line);
        match self.problem {
            ConfigProblem::Database(_) => text!(
                "{path} の :database: にはファイル名(例: {REGISTER})を書いてください。",
                "give :database: in {path} a file name, e.g. {REGISTER}"
            ),
            _ => text!(
                "{path} の{line}行目を修正してください。何も変更されていません。",
                "correct line {line} of {path}; nothing was changed"
            ),
        }
    }
}
