//! Configuration files without secrets: keys of ours with their values, of others the names alone, no
//! comments.

use std::path::{Path, PathBuf};

use orca_conf::ConfFile;
use orca_messages::render::one_line;
use orca_messages::text;

use super::{Item, unreadable};
use crate::config::OUR_KEYS;

const BLANKED: &str = "(blanked)";
/// Names of keys whose values stand nowhere in the bundle.
const SECRET: [&str; 5] = ["PASS", "PWD", "SECRET", "TOKEN", "KEY"];
/// Shorter values are part of other words.
const SHORTEST: usize = 4;

/// What must not be repeated: values of passwords, and whole lines that messages quote.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    fn add(&mut self, file: &ConfFile) {
        let secret = |key: &str| {
            let key = key.to_ascii_uppercase();
            SECRET.iter().any(|word| key.contains(word))
        };
        let others = file
            .assignments
            .iter()
            .filter(|assignment| !is_ours(&assignment.key));
        let values = others
            .filter(|assignment| secret(&assignment.key))
            .map(|assignment| assignment.value.clone());
        self.0
            .extend(values.filter(|value| value.len() >= SHORTEST));
        let odd = file.peculiarities.iter();
        self.0.extend(odd.map(|odd| one_line(&odd.text)));
        // The longest first: one may be part of another.
        self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// The text without them, and without what addresses may hide.
    pub(super) fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret, BLANKED);
        }
        plain_addresses(&text)
    }
}

/// The files, and what must not be repeated of them.
pub(super) fn items(paths: &[PathBuf]) -> (Vec<Item>, Secrets) {
    let mut secrets = Secrets::default();
    let items = paths.iter().map(|path| {
        let content = std::fs::read(path).map_err(|error| unreadable(&error));
        let content = content.map(|octets| {
            let file = ConfFile::parse(&String::from_utf8_lossy(&octets));
            secrets.add(&file);
            shown(path, &file)
        });
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let about = text!(
            "設定ファイル(ほかのプログラムの値とコメントなし)",
            "configuration, without values of others and comments"
        );
        Item::new(format!("conf/{}", one_line(&name)), about, content)
    });
    let items = items.collect();
    (items, secrets)
}

fn is_ours(key: &str) -> bool {
    OUR_KEYS.contains(&key)
}

fn shown(path: &Path, file: &ConfFile) -> String {
    let mut lines: Vec<_> = file
        .assignments
        .iter()
        .map(|assignment| {
            let value = match is_ours(&assignment.key) {
                true => plain_addresses(&one_line(&assignment.value)),
                false => BLANKED.to_owned(),
            };
            (assignment.line, format!("{}={value}", assignment.key))
        })
        .chain(file.peculiarities.iter().map(|odd| {
            let text = "(no plain assignment)".to_owned();
            (odd.line, text)
        }))
        .collect();
    lines.sort_by_key(|(line, _)| *line);
    let lines = lines
        .iter()
        .map(|(line, text)| format!("{line:>4}: {text}\n"));
    let head = format!("# {}\n", one_line(&path.display().to_string()));
    std::iter::once(head).chain(lines).collect()
}

/// Addresses without user, password and query.
fn plain_addresses(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        plain.push_str(before);
        plain.push_str("://");
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | ')' | '」');
        let (address, behind) = after.split_at(after.find(ends).unwrap_or(after.len()));
        plain.push_str(&plain_address(address));
        rest = behind;
    }
    plain + rest
}

fn plain_address(address: &str) -> String {
    let (address, query) = match address.split_once('?') {
        Some((address, _)) => (address, "?…"),
        None => (address, ""),
    };
    let (host, path) = address.split_at(address.find('/').unwrap_or(address.len()));
    let host = match host.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => host.to_owned(),
    };
    format!("{host}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = "# old PASS=comment-secret\nSERVER_PEM=/c/s.pem\nDBPASS='it s secret'\nHTTP_PORT=8001\n\
        PASS=top-secret CA_CRT=$(cat x)\nCA_CRL=https://u:word@ca/crl?token=t0ken\n";

    #[test]
    fn names_are_shown_and_values_of_others_are_not() {
        let shown = shown(Path::new("/c/x.conf"), &ConfFile::parse(CONF));
        assert_eq!(
            shown,
            "# /c/x.conf\n   2: SERVER_PEM=/c/s.pem\n   3: DBPASS=(blanked)\n   4: HTTP_PORT=(blanked)\n   \
             5: (no plain assignment)\n   6: CA_CRL=https://…@ca/crl?…\n"
        );
    }

    #[test]
    fn what_messages_repeat_is_blanked() {
        let mut secrets = Secrets::default();
        secrets.add(&ConfFile::parse(CONF));
        for (text, kept) in [
            (
                "line 5: PASS=top-secret CA_CRT=$(cat x)",
                "line 5: (blanked)",
            ),
            ("x it s secret y", "x (blanked) y"),
            ("port 8001", "port 8001"),
            (
                "(https://u:p@h:8000/a?b=c)、http://h/",
                "(https://…@h:8000/a?…)、http://h/",
            ),
        ] {
            assert_eq!(secrets.scrub(text), kept);
        }
    }
}
