//! One more place in `:crl_publish:`, with everything else in config.yml as it stands.

use std::path::Path;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use super::{Config, PublishTarget, scalar_text};
use crate::error::Error;
use crate::place::Place;

/// The text of config.yml with `file` among the places where CRLs go; `None` where it is there already.
///
/// # Errors
/// The text is not understood, or the list is written in a way that cannot be added to.
pub fn with_place(text: &str, file: &Path, place: &Place) -> Result<Option<String>, Error> {
    let target = PublishTarget::File(file.to_owned());
    if Config::parse(text, place)?.crl_publish.contains(&target) {
        return Ok(None);
    }
    let added = file.to_str().and_then(|file| add(text, &quoted(file)));
    added
        .filter(|text| {
            Config::parse(text, place).is_ok_and(|config| config.crl_publish.contains(&target))
        })
        .map(Some)
        .ok_or_else(|| Error::PublishListByHand {
            config: place.config.clone(),
            file: file.to_owned(),
        })
}

fn add(text: &str, entry: &str) -> Option<String> {
    let documents = MarkedYaml::load_from_str(text).ok()?;
    let list = documents.first().and_then(|document| match &document.data {
        YamlData::Mapping(mapping) => mapping
            .iter()
            .find(|(key, _)| scalar_text(key).is_some_and(|key| key.ends_with("crl_publish"))),
        _ => None,
    });
    let Some((key, value)) = list else {
        let gap = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        return Some(format!("{text}{gap}:crl_publish: [{entry}]\n"));
    };
    match &value.data {
        YamlData::Value(Scalar::Null) => {
            let start = octet(text, key.span.end.index());
            let colon = start + text[start..].find(':')?;
            Some(insert(text, colon + 1, &format!(" [{entry}]")))
        }
        YamlData::Sequence(entries) if is_flow(text, value) => {
            let start = octet(text, value.span.start.index());
            let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
            let behind = entries
                .last()
                .map_or(start, |last| octet(text, last.span.end.index()));
            let close = behind + text.get(behind..line_end)?.find(']')?;
            let comma = if entries.is_empty() { "" } else { ", " };
            Some(insert(text, close, &format!("{comma}{entry}")))
        }
        YamlData::Sequence(entries) => {
            let start = octet(text, entries.last()?.span.start.index());
            let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
            let dash = text[line_start..start].find('-')?;
            let indent = &text[line_start..line_start + dash];
            let line_end = text[start..].find('\n').map(|at| start + at + 1);
            Some(match line_end {
                Some(end) => insert(text, end, &format!("{indent}- {entry}\n")),
                None => format!("{text}\n{indent}- {entry}\n"),
            })
        }
        _ => None,
    }
}

fn is_flow(text: &str, value: &MarkedYaml<'_>) -> bool {
    text[octet(text, value.span.start.index())..].starts_with('[')
}

/// The parser counts characters.
fn octet(text: &str, character: usize) -> usize {
    text.char_indices()
        .nth(character)
        .map_or(text.len(), |(at, _)| at)
}

fn insert(text: &str, at: usize, what: &str) -> String {
    let (before, after) = text.split_at(at);
    format!("{before}{what}{after}")
}

fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c => vec![c],
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            config: "/home/user/.orca_catool/config.yml".into(),
            home: "/home/user".into(),
            owner: None,
            actor: crate::actor::Actor::default(),
        }
    }

    #[test]
    fn a_place_is_added_in_the_way_the_list_is_written() {
        let cases = [
            ("", ":crl_publish: [\"/a b/ca.crl\"]\n"),
            (
                ":country: JP",
                ":country: JP\n:crl_publish: [\"/a b/ca.crl\"]\n",
            ),
            (":crl_publish: []\n", ":crl_publish: [\"/a b/ca.crl\"]\n"),
            (
                ":crl_publish: # 置き場所\n:p12: compat\n",
                ":crl_publish: [\"/a b/ca.crl\"] # 置き場所\n:p12: compat\n",
            ),
            (
                "# 日本語\n:crl_publish: [/x] # [y]\n",
                "# 日本語\n:crl_publish: [/x, \"/a b/ca.crl\"] # [y]\n",
            ),
            (
                ":crl_publish: [\"/x]\", 'https://192.168.1.100:8000']\n",
                ":crl_publish: [\"/x]\", 'https://192.168.1.100:8000', \"/a b/ca.crl\"]\n",
            ),
            (
                "crl_publish:\n  - /x\n  - /y # z\n:p12: compat\n",
                "crl_publish:\n  - /x\n  - /y # z\n  - \"/a b/ca.crl\"\n:p12: compat\n",
            ),
            (
                "crl_publish:\n- /x",
                "crl_publish:\n- /x\n- \"/a b/ca.crl\"\n",
            ),
        ];
        for (text, expected) in cases {
            let added = with_place(text, Path::new("/a b/ca.crl"), &place()).unwrap();
            assert_eq!(added.as_deref(), Some(expected), "{text:?}");
            let twice = with_place(expected, Path::new("/a b/ca.crl"), &place()).unwrap();
            assert_eq!(twice, None, "{text:?}");
        }
    }

    #[test]
    fn a_list_over_several_lines_in_brackets_is_left_to_its_writer() {
        let text = ":crl_publish: [\n  /x\n]\n";
        let error = with_place(text, Path::new("/a"), &place()).unwrap_err();
        assert!(matches!(error, Error::PublishListByHand { .. }), "{error}");
    }
}
