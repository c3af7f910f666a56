//! In which language and form a client wants to be told (RFC 9110 §12.5).

use std::net::IpAddr;

use http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderName};
use http::{HeaderMap, Method};
use orca_messages::Lang;

/// Who is told something, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    /// Address of the client, IPv4-mapped ones as IPv4.
    pub(crate) address: IpAddr,
    /// Language of the answer.
    pub(crate) lang: Lang,
    /// Form of the answer.
    pub(crate) form: Form,
    /// Whether the answer has content.
    pub(crate) content: Content,
}

/// Whether an answer has content, or is one to HEAD (RFC 9110 §9.3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Content {
    /// Fields and content.
    Sent,
    /// Fields only.
    Withheld,
}

/// For a browser or for a program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// A page.
    Html,
    /// An object.
    Json,
}

impl Asker {
    /// From a request; `default` counts where it names neither Japanese nor English.
    pub(crate) fn new(address: IpAddr, path: &str, headers: &HeaderMap, default: Lang) -> Self {
        Self {
            address: address.to_canonical(),
            lang: lang(headers).unwrap_or(default),
            form: if path.starts_with("/api/") {
                Form::Json
            } else {
                form(headers)
            },
            content: Content::Sent,
        }
    }

    /// The same for a method: content in an answer to HEAD breaks HTTP/2 (RFC 9113 §8.1).
    pub(crate) fn with_method(self, method: &Method) -> Self {
        let content = if method == Method::HEAD {
            Content::Withheld
        } else {
            self.content
        };
        Self { content, ..self }
    }
}

/// The one of our languages with the higher weight, the first named of equal ones.
fn lang(headers: &HeaderMap) -> Option<Lang> {
    let mut best: Option<(u16, Lang)> = None;
    for (tag, weight) in weighted(headers, &ACCEPT_LANGUAGE) {
        let primary = tag.split('-').next().unwrap_or_default();
        let lang = match primary {
            _ if primary.eq_ignore_ascii_case("ja") => Lang::Ja,
            _ if primary.eq_ignore_ascii_case("en") => Lang::En,
            _ => continue,
        };
        if weight > 0 && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, lang));
        }
    }
    best.map(|(_, lang)| lang)
}

/// JSON only where it is asked for and weighs more than HTML.
fn form(headers: &HeaderMap) -> Form {
    let weight = |media_type: &str| {
        weighted(headers, &ACCEPT)
            .filter(|(name, _)| name.eq_ignore_ascii_case(media_type))
            .map(|(_, weight)| weight)
            .max()
            .unwrap_or(0)
    };
    let json = weight("application/json");
    if json > 0 && json > weight("text/html") {
        Form::Json
    } else {
        Form::Html
    }
}

/// The items of a list field with their weight in thousandths (RFC 9110 §12.4.2).
fn weighted<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'a str, u16)> + use<'a> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(1000, thousandths);
            (name, weight)
        })
}

fn thousandths(weight: &str) -> u16 {
    let value: f32 = weight.parse().unwrap_or(0.0);
    (value.clamp(0.0, 1.0) * 1000.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(fields: &[(HeaderName, &str)], path: &str) -> Asker {
        let headers = fields
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        Asker::new(
            "::ffff:192.0.2.1".parse().unwrap(),
            path,
            &headers,
            Lang::Ja,
        )
    }

    #[test]
    fn the_language_with_the_higher_weight_counts() {
        for (accept, lang) in [
            ("ja,en-US;q=0.9,en;q=0.8", Lang::Ja),
            ("en-US,en;q=0.9,ja;q=0.8", Lang::En),
            ("en;q=0.1, ja-JP;q=0.5", Lang::Ja),
            ("fr, en;q=0", Lang::Ja),
            ("*", Lang::Ja),
            ("", Lang::Ja),
            ("en;q=nonsense", Lang::Ja),
            ("EN", Lang::En),
        ] {
            assert_eq!(
                asker(&[(ACCEPT_LANGUAGE, accept)], "/").lang,
                lang,
                "{accept}"
            );
        }
        assert_eq!(asker(&[], "/").lang, Lang::Ja);
    }

    #[test]
    fn programs_get_json() {
        for (accept, path, form) in [
            ("application/json", "/", Form::Json),
            ("text/html,application/json;q=0.9", "/", Form::Html),
            ("application/json, text/html;q=0.5", "/", Form::Json),
            ("*/*", "/", Form::Html),
            ("*/*", "/api/api01rv2/patientgetv2", Form::Json),
            ("text/html", "/api/", Form::Json),
            ("*/*", "/apix", Form::Html),
            ("application/json;q=0", "/", Form::Html),
        ] {
            assert_eq!(
                asker(&[(ACCEPT, accept)], path).form,
                form,
                "{accept} {path}"
            );
        }
    }

    #[test]
    fn a_mapped_address_is_shown_as_ipv4() {
        assert_eq!(asker(&[], "/").address.to_string(), "192.0.2.1");
    }
}
