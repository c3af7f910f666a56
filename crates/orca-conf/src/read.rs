//! The shape of the configuration file: shell assignments, as WebORCA sources them itself.
//!
//! Only what a POSIX shell would assign without running anything is read (POSIX.1-2017 §2.2, §2.6):
//! comments, quotes and backslashes, `export`. Everything else is a [`Peculiarity`], and whoever reads
//! the file decides whether it matters.

use orca_messages::{Finding, text};

/// One `KEY=VALUE`, quotes and backslashes already removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Assignment {
    /// From 1 on.
    pub line: usize,
    /// What is assigned to.
    pub key: String,
    /// Without quotes.
    pub value: String,
}

/// Something a shell would understand and this reader does not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peculiarity {
    /// From 1 on.
    pub line: usize,
    /// As it stands there.
    pub text: String,
}

impl Peculiarity {
    /// Whether `key` stands in it as a word of its own.
    pub fn mentions(&self, key: &str) -> bool {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        self.text.match_indices(key).any(|(start, _)| {
            let before = self.text[..start].chars().next_back();
            let after = self.text[start + key.len()..].chars().next();
            !before.is_some_and(is_name) && !after.is_some_and(is_name)
        })
    }

    /// For the log. The line itself stays out of it: it may hold a password of the application.
    pub fn finding(&self) -> Finding {
        let line = self.line;
        Finding::warning(
            "line-left-alone",
            text!(
                "設定ファイルの{line}行目は「キー=値」の形ではないため、無視します。",
                "line {line} of the configuration file is no plain assignment and is left alone",
            ),
            text!(
                "orca-gatewayの設定であれば「キー=値」の形に直してください。",
                "if it is meant for orca-gateway, write it as KEY=VALUE",
            ),
        )
    }
}

/// The file in its order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConfFile {
    /// What assigns something.
    pub assignments: Vec<Assignment>,
    /// What may mean something else.
    pub peculiarities: Vec<Peculiarity>,
}

impl ConfFile {
    /// Reads the text; a byte order mark and CRLF line ends are allowed.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.replace("\r\n", "\n");
        let text = text.strip_suffix('\r').unwrap_or(&text);
        let mut file = Self::default();
        for piece in pieces(text) {
            let line = piece.line;
            match piece.command {
                Command::Nothing => {}
                Command::Assignment { key, value } => {
                    file.assignments.push(Assignment { line, key, value });
                }
                Command::Other => file.peculiarities.push(Peculiarity {
                    line,
                    text: piece.text.trim_end().to_owned(),
                }),
            }
        }
        file
    }

    /// The last value of `key`; an empty one counts as none.
    pub fn get(&self, key: &str) -> Option<&Assignment> {
        self.assignments
            .iter()
            .rev()
            .find(|assignment| assignment.key == key)
            .filter(|assignment| !assignment.value.is_empty())
    }
}

/// One command of the file, where it stands.
pub(crate) struct Piece<'a> {
    pub(crate) line: usize,
    /// With its line feed.
    pub(crate) text: &'a str,
    pub(crate) command: Command,
}

/// The commands of a text with line feeds only; put together again they are the text.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let (text, after) = rest.split_at(end_of_command(rest));
        pieces.push(Piece {
            line,
            text,
            command: parse_command(text),
        });
        line += text.matches('\n').count();
        rest = after;
    }
    pieces
}

/// Length of the first command with its line feed: a quote or a backslash carries it over the line's
/// end, as in a shell, so that what stands inside a quote is never taken for an assignment.
fn end_of_command(text: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    let mut blank_before = true;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '\n') => return at + 1,
            (None, '#') if blank_before => {
                return text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        blank_before = quote.is_none() && !escaped && c.is_ascii_whitespace();
    }
    text.len()
}

pub(crate) enum Command {
    Nothing,
    Assignment { key: String, value: String },
    Other,
}

fn parse_command(command: &str) -> Command {
    let command = command.trim_start_matches([' ', '\t']);
    if matches!(command.chars().next(), None | Some('#' | '\n')) {
        return Command::Nothing;
    }
    let assignment = match command.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start_matches([' ', '\t']),
        _ => command,
    };
    let Some((key, rest)) = assignment.split_once('=') else {
        return Command::Other;
    };
    match (is_name(key), plain_value(rest)) {
        (true, Some(value)) => Command::Assignment {
            key: key.to_owned(),
            value,
        },
        _ => Command::Other,
    }
}

fn is_name(key: &str) -> bool {
    let mut chars = key.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The word after `=` with its quotes removed, if nothing but a comment follows and a shell would
/// expand nothing in it.
fn plain_value(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = text.chars().peekable();
    // A shell replaces a tilde at the beginning and after a colon (POSIX.1-2017 §2.6.1).
    let mut tilde_expands = true;
    while let Some(c) = chars.next() {
        let expands_here = std::mem::replace(&mut tilde_expands, c == ':');
        match c {
            ' ' | '\t' | '\n' => return only_comment(chars).then_some(value),
            '\'' => value.push_str(&single_quoted(&mut chars)?),
            '"' => value.push_str(&double_quoted(&mut chars)?),
            '\\' => match chars.next()? {
                '\n' => return None,
                escaped => value.push(escaped),
            },
            '~' if expands_here => return None,
            '$' | '`' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => return None,
            _ => value.push(c),
        }
    }
    Some(value)
}

fn only_comment(rest: impl Iterator<Item = char>) -> bool {
    let next = rest.into_iter().find(|c| !matches!(c, ' ' | '\t'));
    matches!(next, None | Some('#' | '\n'))
}

fn single_quoted(chars: &mut impl Iterator<Item = char>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '\'' => return Some(text),
            '\n' => return None,
            c => text.push(c),
        }
    }
}

/// Inside double quotes a backslash only protects `$`, a backtick, `"` and itself (POSIX.1-2017 §2.2.3).
fn double_quoted(chars: &mut impl Iterator<Item = char>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '$' | '`' | '\n' => return None,
            '\\' => match chars.next()? {
                '\n' => return None,
                c @ ('$' | '`' | '"' | '\\') => text.push(c),
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<String> {
        ConfFile::parse(text)
            .get("KEY")
            .map(|assignment| assignment.value.clone())
    }

    const PLAIN: &[(&str, &str)] = &[
        ("KEY=/a/b.crt", "/a/b.crt"),
        ("  KEY=a", "a"),
        ("export KEY=a", "a"),
        ("export\tKEY='a b'", "a b"),
        ("KEY='a b'", "a b"),
        ("KEY=\"a b\"", "a b"),
        ("KEY=a'b c'\"d e\"f", "ab cd ef"),
        ("KEY='a\\b'", "a\\b"),
        ("KEY=\"a\\b\\\"c\\\\d\\$e\"", "a\\b\"c\\d$e"),
        ("KEY=a\\ b\\#c", "a b#c"),
        ("KEY=a # comment", "a"),
        ("KEY=a\t#comment", "a"),
        ("KEY=a#b", "a#b"),
        ("KEY='#'", "#"),
        ("KEY=a  ", "a"),
        ("KEY=a=b", "a=b"),
        ("KEY=*?[x]", "*?[x]"),
        ("KEY=a~b", "a~b"),
        ("KEY='~/a'", "~/a"),
        ("KEY=[::]:8000", "[::]:8000"),
        ("KEY=000002__JP_orca_山田.crt", "000002__JP_orca_山田.crt"),
        ("KEY=a\nKEY=b\n", "b"),
    ];

    #[test]
    fn plain_values_read_as_in_a_shell() {
        for (text, expected) in PLAIN {
            assert_eq!(value(text).as_deref(), Some(*expected), "{text:?}");
        }
    }

    #[test]
    fn a_shell_agrees() {
        for (text, expected) in PLAIN {
            let script = format!("{text}\nprintf %s \"$KEY\"");
            let shell = std::process::Command::new("sh")
                .args(["-c", &script])
                .output();
            let read = String::from_utf8(shell.unwrap().stdout).unwrap();
            assert_eq!(read, *expected, "{text:?}");
        }
    }

    #[test]
    fn files_from_windows_are_read() {
        assert_eq!(value("\u{feff}KEY=a\r\n").as_deref(), Some("a"));
        assert_eq!(value("KEY=a\r\nOTHER=b\r\n").as_deref(), Some("a"));
        assert_eq!(value("KEY=a\r").as_deref(), Some("a"));
    }

    #[test]
    fn what_a_shell_would_run_or_expand_is_peculiar() {
        let cases = [
            "KEY=$(cat x)",
            "KEY=`cat x`",
            "KEY=${A}",
            "KEY=$A",
            "KEY=\"$A\"",
            "KEY = a",
            "KEY= a",
            "KEY =a",
            "KEY=a b",
            "KEY=a OTHER=b",
            "KEY=a; OTHER=b",
            "KEY=~/a",
            "KEY=a:~/b",
            "KEY=a\\\nb",
            "KEY='a\nb'",
            "KEY=\"a",
            "unset KEY",
            "export KEY",
            "readonly KEY=a",
            ": ${KEY:=a}",
        ];
        for text in cases {
            let file = ConfFile::parse(text);
            assert_eq!(value(text), None, "{text:?}");
            assert_eq!(file.peculiarities.len(), 1, "{text:?}");
            assert!(file.peculiarities[0].mentions("KEY"), "{text:?}");
        }
    }

    #[test]
    fn a_key_inside_the_quotes_of_another_is_no_assignment() {
        let file = ConfFile::parse("A='x\nKEY=evil\n'\nB=1\n");
        assert_eq!(file.get("KEY"), None);
        assert_eq!(file.peculiarities[0].line, 1);
        assert_eq!(file.get("B").map(|b| b.line), Some(4));
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        let file =
            ConfFile::parse("#PostgreSQL\n\n  # it's a comment\n#KEY=a\n \nKEY=b # it's\nC=d");
        assert_eq!(file.peculiarities, []);
        let lines: Vec<_> = file.assignments.iter().map(|a| a.line).collect();
        assert_eq!(lines, [6, 7]);
    }

    #[test]
    fn a_word_is_not_found_inside_a_longer_one() {
        let line = |text: &str| Peculiarity {
            line: 1,
            text: text.into(),
        };
        assert!(!line("unset MY_CA_CRT").mentions("CA_CRT"));
        assert!(!line("unset CA_CRT2").mentions("CA_CRT"));
        assert!(line("unset CA_CRT2 CA_CRT").mentions("CA_CRT"));
    }

    #[test]
    fn an_empty_value_is_none_and_undoes_an_earlier_one() {
        assert_eq!(value("KEY=a\nKEY="), None);
        assert_eq!(value("KEY=''"), None);
    }
}
