//! Files whose lines name client certificates: by their subject, or by their fingerprint.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use orca_messages::render::one_line;
use orca_messages::{Localize, Text, text};
use orca_pki::certificate::Fingerprint;
use orca_pki::name::DistinguishedName;

use crate::identity::ClientIdentity;

/// Lines complained of at once.
const MOST_FAULTS: usize = 20;

/// How a line names a certificate.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Named {
    /// `sha256:HEX`: one certificate and no other.
    Fingerprint(Fingerprint),
    /// `/C=JP/O=orca/CN=user1`: of whichever authority of `CA_CRT`, renewed ones included.
    Subject(String),
}

/// What is said of certificates.
#[derive(Clone, Debug)]
pub(crate) struct CertificateList<T>(HashMap<Named, Vec<T>>);

impl<T> CertificateList<T> {
    /// Adds one line.
    pub(crate) fn insert(&mut self, certificate: Named, value: T) {
        self.0.entry(certificate).or_default().push(value);
    }

    /// Everything that is said of a client's certificate.
    pub(crate) fn of(&self, identity: &ClientIdentity) -> impl Iterator<Item = &T> {
        let by_fingerprint = Named::Fingerprint(identity.fingerprint());
        let by_subject = self.subject(identity.subject());
        std::iter::once(by_fingerprint)
            .chain(by_subject)
            .filter_map(|named| self.0.get(&named))
            .flatten()
    }

    /// Whether a certificate is named by its subject.
    pub(crate) fn names_subjects(&self) -> bool {
        let mut named = self.0.keys();
        named.any(|named| matches!(named, Named::Subject(_)))
    }

    /// Whether nothing is said of anybody.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A value with `/` in it could pretend to be several attributes: such a certificate can only be
    /// named by its fingerprint.
    fn subject(&self, subject: &DistinguishedName) -> Option<Named> {
        let clear = !self.is_empty() && subject.attributes().all(|(_, value)| !value.contains('/'));
        clear.then(|| Named::Subject(subject.one_line()))
    }
}

impl<T> Default for CertificateList<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl Named {
    /// Reads one; surrounding blanks do no harm.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(hex) = text.strip_prefix("sha256:") {
            return fingerprint(hex).map(Self::Fingerprint);
        }
        let attributes = text.strip_prefix('/')?;
        let sound = attributes.split('/').all(|attribute| {
            let label = attribute.split_once('=').map(|(label, _)| label);
            label.is_some_and(|label| !label.is_empty() && !label.contains(' '))
        });
        (sound && !text.contains(char::is_control)).then(|| Self::Subject(text.to_owned()))
    }
}

/// 64 digits; the colons of OpenSSL are allowed.
fn fingerprint(hex: &str) -> Option<Fingerprint> {
    let digits: Vec<u8> = hex
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let mut octets = [0; 32];
    if digits.len() != octets.len() * 2 {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = pair[0] << 4 | pair[1];
    }
    Some(Fingerprint(octets))
}

/// The two fields of every line of a file that is no comment, with the line's number.
///
/// # Errors
/// All lines that cannot be read.
pub(crate) fn read<T>(
    file: ListFile,
    path: &Path,
    parse: impl Fn(&str, &str) -> Result<T, LineFault>,
) -> Result<Vec<T>, Vec<ListError>> {
    let error = |what| ListError {
        file,
        path: path.to_owned(),
        what,
    };
    let octets = std::fs::read(path)
        .map_err(|source| vec![error(Trouble::Unreadable(source.to_string()))])?;
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&octets);
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for (index, line) in octets.split(|octet| *octet == b'\n').enumerate() {
        match read_line(line, &parse) {
            Ok(value) => values.extend(value),
            Err(fault) if errors.len() < MOST_FAULTS => {
                let line = index + 1;
                errors.push(error(Trouble::Line { line, fault }));
            }
            Err(_) => break,
        }
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(errors)
    }
}

fn read_line<T>(
    line: &[u8],
    parse: impl Fn(&str, &str) -> Result<T, LineFault>,
) -> Result<Option<T>, LineFault> {
    let line = std::str::from_utf8(line).map_err(|_| LineFault::NotUtf8)?;
    let line = line.trim_end();
    if line.trim_start().is_empty() || line.trim_start().starts_with('#') {
        return Ok(None);
    }
    let (first, second) = line.split_once('\t').ok_or(LineFault::NoTab)?;
    parse(first, second.trim_start_matches('\t')).map(Some)
}

/// Which file is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ListFile {
    Operators,
    Windows,
}

impl ListFile {
    /// Its key in the configuration.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Operators => "GATEWAY_OPERATORS",
            Self::Windows => "GATEWAY_WINDOWS",
        }
    }

    fn form(self) -> &'static str {
        match self {
            Self::Operators => "operator<TAB>/C=JP/O=orca/CN=user1, operator<TAB>sha256:HEX",
            Self::Windows => {
                "/C=JP/O=orca/CN=vendor<TAB>mon-fri 09:00-18:00, sha256:HEX<TAB>2026-12-01..2026-12-05"
            }
        }
    }
}

impl fmt::Display for ListFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// What is wrong with a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum LineFault {
    /// Neither subject nor fingerprint.
    Certificate,
    NoTab,
    NotUtf8,
    /// Empty, with a colon, a control character or a blank at an end: Basic cannot carry it.
    Operator,
    /// No time; the part that cannot be read.
    Window(String),
}

impl LineFault {
    fn text(&self) -> Text {
        match self {
            Self::Certificate => text!(
                "証明書の指定(/C=… または sha256:…)が読み取れません",
                "there is no certificate like /C=… or sha256:… (a value with / in it needs sha256)"
            ),
            Self::NoTab => text!("タブ文字がありません", "there is no TAB"),
            Self::NotUtf8 => text!("UTF-8ではありません", "it is not UTF-8"),
            Self::Operator => text!(
                "オペレータIDとして使えない文字列です",
                "that cannot be an operator"
            ),
            Self::Window(part) => {
                let part = one_line(part);
                text!(
                    "時間の指定「{part}」が読み取れません",
                    "{part:?} is no time"
                )
            }
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Trouble {
    Line { line: usize, fault: LineFault },
    Unreadable(String),
}

/// Why a file of certificates cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{file}: {} cannot be used", path.display())]
pub(crate) struct ListError {
    file: ListFile,
    path: PathBuf,
    what: Trouble,
}

impl Localize for ListError {
    fn id(&self) -> &'static str {
        match self.what {
            Trouble::Line { .. } => "list-line-unreadable",
            Trouble::Unreadable(_) => "list-unreadable",
        }
    }

    fn message(&self) -> Text {
        let (key, path) = (self.file.key(), self.path.display());
        match &self.what {
            Trouble::Line { line, fault } => {
                let Text { ja, en } = fault.text();
                text!(
                    "{path}({key})の{line}行目: {ja}。",
                    "line {line} of {path} ({key}): {en}"
                )
            }
            Trouble::Unreadable(error) => {
                let error = one_line(error);
                text!(
                    "{path}({key})を読み取れません({error})。",
                    "cannot read {path} ({key}): {error}"
                )
            }
        }
    }

    fn remedy(&self) -> Text {
        let form = self.file.form();
        match self.what {
            Trouble::Line { .. } => text!(
                "次の形で書いてください: {form}",
                "write it as one of: {form}"
            ),
            Trouble::Unreadable(_) => text!(
                "パス、所有者、権限を確認してください。",
                "check the path, its owner and mode"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_named_by_subject_or_fingerprint() {
        let hex = "0a".repeat(32);
        let expected = Some(Named::Fingerprint(Fingerprint([0x0a; 32])));
        for text in [hex.clone(), hex.to_uppercase(), vec!["0A"; 32].join(":")] {
            assert_eq!(Named::parse(&format!("sha256:{text}")), expected, "{text}");
        }
        for subject in ["/C=JP/O=orca/CN=user1", "/CN=山田 太郎", "/O=/CN=a=b"] {
            let expected = Some(Named::Subject(subject.to_owned()));
            assert_eq!(Named::parse(subject), expected, "{subject}");
            assert_eq!(Named::parse(&format!(" {subject} ")), expected, "{subject}");
        }
        for text in [
            "",
            "user1",
            "CN=user1",
            "/",
            "//CN=a",
            "/CN",
            "/CN=a/b",
            "/=a",
            "/C N=a",
            "sha256:",
            "sha256:0a",
            "sha256:zz",
            "md5:00",
            "/CN=a\u{7}b",
        ] {
            assert_eq!(Named::parse(text), None, "{text:?}");
        }
    }

    fn lines(octets: &[u8]) -> Result<Vec<String>, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, octets))
            .unwrap();
        let parse = |a: &str, b: &str| match b {
            "bad" => Err(LineFault::Certificate),
            _ => Ok(format!("{a}={b}")),
        };
        read(ListFile::Operators, &path, parse).map_err(|errors| {
            errors
                .iter()
                .map(|error| error.message().get(orca_messages::Lang::En).to_owned())
                .map(|message| message.replace(&path.display().to_string(), "F"))
                .collect()
        })
    }

    #[test]
    fn comments_blank_lines_crlf_and_a_byte_order_mark_do_no_harm() {
        let octets = "\u{feff}# a\tb\r\n\r\n  \n\t\n  # c\na\tb\r\nあ\t\t/CN=い # no comment\n";
        assert_eq!(
            lines(octets.as_bytes()),
            Ok(vec!["a=b".to_owned(), "あ=/CN=い # no comment".to_owned()])
        );
        assert_eq!(lines(b""), Ok(vec![]));
    }

    #[test]
    fn every_bad_line_is_told_with_its_number() {
        assert_eq!(
            lines(b"a\tb\na b\n\xff\tx\nc\tbad"),
            Err(vec![
                "line 2 of F (GATEWAY_OPERATORS): there is no TAB".to_owned(),
                "line 3 of F (GATEWAY_OPERATORS): it is not UTF-8".to_owned(),
                "line 4 of F (GATEWAY_OPERATORS): there is no certificate like /C=… or sha256:… (a value with / in it needs sha256)".to_owned(),
            ])
        );
    }
}
