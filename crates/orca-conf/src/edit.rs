//! Changing assignments and nothing else: comments, order, other keys and line ends stay.

use std::fmt;

use crate::read::{Command, ConfFile, Piece, pieces};

/// Assigns values: where a key is assigned already its last assignment changes in place, else a line
/// is added at the end.
///
/// # Errors
/// A key stands in a line that is no plain assignment, so that nobody can say what would hold.
pub fn set(text: &str, assignments: &[(&str, &str)]) -> Result<String, EditError> {
    let keys: Vec<_> = assignments.iter().map(|(key, _)| *key).collect();
    let form = Form::of(text);
    refuse_peculiar(&form.text, &keys)?;
    let mut edited = form.text.clone();
    for (key, value) in assignments {
        edited = set_one(&edited, key, value);
    }
    let read = ConfFile::parse(&edited);
    for (key, value) in assignments {
        // An open quote further up would swallow what is added below it.
        if read.get(key).map_or("", |found| &found.value) != *value {
            let line = read.peculiarities.first().map_or(1, |odd| odd.line);
            let key = (*key).to_owned();
            return Err(EditError { line, key });
        }
    }
    Ok(form.restore(&edited))
}

/// Makes every assignment of these keys a comment that begins with `mark`.
///
/// # Errors
/// As [`set`].
pub fn comment_out(text: &str, keys: &[&str], mark: &str) -> Result<String, EditError> {
    let form = Form::of(text);
    refuse_peculiar(&form.text, keys)?;
    let edited: String = pieces(&form.text)
        .iter()
        .map(|piece| match assigned(piece, keys) {
            true => format!("# {mark}: {}", piece.text),
            false => piece.text.to_owned(),
        })
        .collect();
    Ok(form.restore(&edited))
}

/// A line that cannot be edited.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EditError {
    /// From 1 on.
    pub line: usize,
    /// The key that it concerns.
    pub key: String,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, key } = self;
        write!(f, "line {line} concerns {key} and is no plain assignment")
    }
}

impl std::error::Error for EditError {}

/// Byte order mark and line ends, which editors of Windows leave.
struct Form {
    text: String,
    mark: &'static str,
    line_end: &'static str,
}

impl Form {
    fn of(text: &str) -> Self {
        let (mark, rest) = match text.strip_prefix('\u{feff}') {
            Some(rest) => ("\u{feff}", rest),
            None => ("", text),
        };
        let line_end = if rest.contains("\r\n") { "\r\n" } else { "\n" };
        Self {
            text: rest.replace("\r\n", "\n"),
            mark,
            line_end,
        }
    }

    fn restore(&self, edited: &str) -> String {
        format!("{}{}", self.mark, edited.replace('\n', self.line_end))
    }
}

fn refuse_peculiar(text: &str, keys: &[&str]) -> Result<(), EditError> {
    for odd in ConfFile::parse(text).peculiarities {
        if let Some(key) = keys.iter().find(|key| odd.mentions(key)) {
            let key = (*key).to_owned();
            return Err(EditError {
                line: odd.line,
                key,
            });
        }
    }
    Ok(())
}

fn set_one(text: &str, key: &str, value: &str) -> String {
    let pieces = pieces(text);
    let last = pieces.iter().rposition(|piece| assigned(piece, &[key]));
    let mut edited: String = pieces
        .iter()
        .enumerate()
        .map(|(at, piece)| match Some(at) == last {
            true => replaced(piece.text, value),
            false => piece.text.to_owned(),
        })
        .collect();
    if last.is_none() {
        if !edited.is_empty() && !edited.ends_with('\n') {
            edited.push('\n');
        }
        edited.push_str(&format!("{key}={}\n", quoted(value)));
    }
    edited
}

fn assigned(piece: &Piece<'_>, keys: &[&str]) -> bool {
    matches!(&piece.command, Command::Assignment { key, .. } if keys.contains(&key.as_str()))
}

/// Indentation, `export` and a comment behind the value stay.
fn replaced(command: &str, value: &str) -> String {
    let (head, tail) = command.split_at(command.find('=').map_or(command.len(), |at| at + 1));
    let mut quote = None;
    let mut escaped = false;
    let end = tail.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, ' ' | '\t' | '\n') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        None
    });
    let rest = &tail[end.unwrap_or(tail.len())..];
    format!("{head}{}{rest}", quoted(value))
}

/// As a shell reads it back (POSIX.1-2017 §2.2.2).
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%[]=".contains(c);
    if value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_changes_where_it_stands_and_nothing_else_does() {
        let cases = [
            ("", "KEY=/a\n"),
            ("A=1", "A=1\nKEY=/a\n"),
            ("KEY=old\nA=1\n", "KEY=/a\nA=1\n"),
            ("KEY=1\nKEY=2\n", "KEY=1\nKEY=/a\n"),
            ("  export KEY='o l d' # why\n", "  export KEY=/a # why\n"),
            ("KEY=\nA=1\n", "KEY=/a\nA=1\n"),
            ("#KEY=old\nA='x # y'\n", "#KEY=old\nA='x # y'\nKEY=/a\n"),
            ("A='x\nKEY=y\n'\n", "A='x\nKEY=y\n'\nKEY=/a\n"),
            ("A=1\r\nKEY=2\r\n", "A=1\r\nKEY=/a\r\n"),
            ("\u{feff}A=1\r\n", "\u{feff}A=1\r\nKEY=/a\r\n"),
            ("unset OTHER\n", "unset OTHER\nKEY=/a\n"),
            ("KEY=o\\ ld\n", "KEY=/a\n"),
        ];
        for (text, expected) in cases {
            // A quoted text over several lines is peculiar, but not about KEY as a word of ours.
            match set(text, &[("KEY", "/a")]) {
                Ok(edited) => assert_eq!(edited, expected, "{text:?}"),
                Err(error) => assert!(text.starts_with("A='x\n"), "{text:?}: {error}"),
            }
        }
    }

    #[test]
    fn values_are_read_back_as_they_were_meant() {
        for value in ["/a b/c.crt", "it's", "$HOME", "a#b", "山田.crt", "~/x", ""] {
            let text = set("KEY=1\n", &[("KEY", value)]).unwrap();
            let read = ConfFile::parse(&text);
            assert_eq!(read.assignments[0].value, value, "{text}");
            let script = format!("{text}\nprintf %s \"$KEY\"");
            let shell = std::process::Command::new("sh")
                .args(["-c", &script])
                .output();
            assert_eq!(shell.unwrap().stdout, value.as_bytes(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_not_touched() {
        for (text, line) in [
            ("A=1\nKEY=$(x)\n", 2),
            ("unset KEY\n", 1),
            ("A=1\n\nKEY=a; B=c\n", 3),
            ("A=\"open\n", 1),
        ] {
            let error = set(text, &[("KEY", "/a")]).unwrap_err();
            assert_eq!((error.line, error.key.as_str()), (line, "KEY"), "{text:?}");
        }
    }

    #[test]
    fn assignments_become_comments() {
        let text = "A=1\n  KEY='x' # y\nexport OTHER=2\nKEY=3";
        let expected = "A=1\n# moved:   KEY='x' # y\n# moved: export OTHER=2\n# moved: KEY=3";
        let edited = comment_out(text, &["KEY", "OTHER"], "moved").unwrap();
        assert_eq!(edited, expected);
    }
}
