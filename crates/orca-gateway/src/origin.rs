//! Which pages may make a browser change something or open a WebSocket. A browser shows its
//! certificate for whatever page asks, so that the certificate alone does not say who wants it.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::header::{self, HeaderMap, HeaderValue};
use http::request;
use http::uri::Authority;

use orca_messages::{Finding, render, text};

use crate::headers::Scheme;
use crate::upgrade;

/// Said by browsers only, never by scripts (Fetch Metadata §2).
const SEC_FETCH_SITE: &str = "sec-fetch-site";
/// Longest origin shown.
const MOST_SHOWN: usize = 200;

/// Scheme, host and port (RFC 6454 §4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// The origins besides the application's own whose pages may do everything
/// (`GATEWAY_ALLOWED_ORIGINS`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct AllowedOrigins(Vec<Origin>);

/// Where a request comes from that another site started, as far as the browser tells.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Foreign(String);

impl AllowedOrigins {
    /// Whether another site started a request that changes something (RFC 9110 §9.2.1) or opens a
    /// WebSocket. Programs that are no browser say neither `Origin` nor `Sec-Fetch-Site` and are
    /// not asked. `Origin: null` is what sandboxed frames, `file:` and `data:` pages say, and pages
    /// that hide their address even from themselves; only of these the browser says `same-origin`.
    pub(crate) fn foreign(&self, request: &request::Parts, scheme: Scheme) -> Option<Foreign> {
        let headers = &request.headers;
        if request.method.is_safe() && !upgrade::asks_for_websocket(headers) {
            return None;
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (origin, second) = (origins.next(), origins.next());
        let is_own = match origin {
            Some(_) if second.is_some() => false,
            Some(origin) if origin != "null" => {
                let origin = origin.to_str().ok().and_then(|text| text.parse().ok());
                origin.is_some_and(|origin| {
                    self.0.contains(&origin) || owns(request, scheme, &origin)
                })
            }
            hidden => says_own(headers, hidden.is_some()),
        };
        (!is_own).then(|| Foreign::of(origin, headers))
    }
}

/// The word of the browser where there is no origin to compare.
fn says_own(headers: &HeaderMap, must_say: bool) -> bool {
    let mut words = headers.get_all(SEC_FETCH_SITE).iter();
    match (words.next(), words.next()) {
        (None, _) => !must_say,
        (Some(word), None) => word == "same-origin" || word == "none",
        (Some(_), Some(_)) => false,
    }
}

/// Whether `origin` is where the request goes. In HTTP mode TLS may end in front of us.
fn owns(request: &request::Parts, scheme: Scheme, origin: &Origin) -> bool {
    if scheme == Scheme::Https && origin.scheme != "https" {
        return false;
    }
    let field = || {
        let host = request.headers.get(header::HOST)?;
        Authority::try_from(host.as_bytes()).ok()
    };
    request
        .uri
        .authority()
        .cloned()
        .or_else(field)
        .is_some_and(|host| {
            host.host().eq_ignore_ascii_case(&origin.host)
                && host.port_u16().or_else(|| default_port(&origin.scheme)) == origin.port
        })
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

impl Foreign {
    fn of(origin: Option<&HeaderValue>, headers: &HeaderMap) -> Self {
        let word = origin.or_else(|| headers.get(SEC_FETCH_SITE));
        let word = word.map(|word| String::from_utf8_lossy(word.as_bytes()));
        Self(word.unwrap_or_default().chars().take(MOST_SHOWN).collect())
    }
}

impl Foreign {
    /// For the log.
    pub(crate) fn finding(&self) -> Finding {
        Finding::warning(
            "cross-site",
            text!(
                "別のサイト({self})のページからの操作を拒否しました。",
                "a page of another site ({self}) tried to act with a client's certificate and was refused",
            ),
            text!(
                "日レセと連携するシステムの場合は、そのアドレス(https://ホスト:ポート)をGATEWAY_ALLOWED_ORIGINSに加えてください。心当たりがない場合は、そのサイトを開かないよう周知してください。",
                "if that site is meant to work with ORCA, add its https://HOST:PORT to GATEWAY_ALLOWED_ORIGINS; otherwise keep people away from it",
            ),
        )
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::one_line(&self.0))
    }
}

/// No origin.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no origin like https://host:port")]
pub(crate) struct NoOrigin;

impl FromStr for Origin {
    type Err = NoOrigin;

    /// `https://host:port`, the port only where it is not the scheme's own.
    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let uri: Uri = text.parse().map_err(|_| NoOrigin)?;
        let (scheme, authority) = uri.scheme().zip(uri.authority()).ok_or(NoOrigin)?;
        let (scheme, host) = (scheme.as_str(), authority.host());
        // Nothing before the host, nothing behind the port.
        let rest = text.get(scheme.len() + 3..).ok_or(NoOrigin)?;
        if rest != authority.as_str() || authority.as_str().contains('@') || host.is_empty() {
            return Err(NoOrigin);
        }
        let port = match authority.port() {
            Some(port) => Some(port.as_u16()),
            None if rest.len() > host.len() => return Err(NoOrigin),
            None => default_port(scheme),
        };
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl FromStr for AllowedOrigins {
    type Err = NoOrigin;

    /// Origins between spaces or commas; a `/` behind one does no harm. `null` is none: any site can
    /// make a browser say it.
    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        text.split([' ', ','])
            .filter(|word| !word.is_empty())
            .map(|word| word.strip_suffix('/').unwrap_or(word).parse())
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Method, Request, Version};

    fn parts(method: &Method, fields: &[(&str, &str)]) -> request::Parts {
        let request = fields.iter().fold(
            Request::builder().method(method).uri("/api/x"),
            |request, (name, value)| request.header(*name, *value),
        );
        request.body(()).unwrap().into_parts().0
    }

    fn is_foreign(allowed: &str, scheme: Scheme, host: &str, fields: &[(&str, &str)]) -> bool {
        let fields: Vec<_> = [("host", host)]
            .into_iter()
            .chain(fields.iter().copied())
            .collect();
        let allowed: AllowedOrigins = allowed.parse().unwrap();
        allowed
            .foreign(&parts(&Method::POST, &fields), scheme)
            .is_some()
    }

    #[test]
    fn only_the_very_origin_is_ours() {
        for (host, origin, own) in [
            ("weborca:8000", "https://weborca:8000", true),
            ("WebORCA:8000", "https://weborca:8000", true),
            ("weborca", "https://weborca", true),
            ("weborca:443", "https://weborca", true),
            ("[::1]:8000", "https://[::1]:8000", true),
            ("weborca:8000", "https://weborca:8001", false),
            ("weborca:8000", "https://weborca", false),
            ("weborca:8000", "http://weborca:8000", false),
            ("weborca:8000", "https://weborca.evil:8000", false),
            ("weborca:8000", "https://u@weborca:8000", false),
            ("weborca:8000", "https://weborca:8000/", false),
            ("weborca:8000", "https://evil", false),
            ("weborca:8000", "nonsense", false),
            ("weborca:8000", "", false),
        ] {
            let foreign = is_foreign("", Scheme::Https, host, &[("origin", origin)]);
            assert_eq!(foreign, !own, "{origin} at {host}");
        }
    }

    #[test]
    fn without_tls_of_ours_the_scheme_may_be_that_of_a_proxy() {
        for origin in ["http://a", "https://a"] {
            assert!(!is_foreign("", Scheme::Http, "a", &[("origin", origin)]));
        }
        assert!(is_foreign("", Scheme::Http, "a", &[("origin", "http://b")]));
        assert!(is_foreign(
            "",
            Scheme::Http,
            "a:81",
            &[("origin", "http://a")]
        ));
    }

    #[test]
    fn the_browsers_word_counts_where_the_origin_is_hidden_or_missing() {
        for (fields, foreign) in [
            (&[][..], false),
            (&[("sec-fetch-site", "cross-site")][..], true),
            (&[("sec-fetch-site", "same-site")][..], true),
            (&[("sec-fetch-site", "same-origin")][..], false),
            (&[("sec-fetch-site", "none")][..], false),
            (&[("origin", "null")][..], true),
            (
                &[("origin", "null"), ("sec-fetch-site", "cross-site")][..],
                true,
            ),
            (
                &[("origin", "null"), ("sec-fetch-site", "same-origin")][..],
                false,
            ),
            (
                &[
                    ("origin", "https://evil"),
                    ("sec-fetch-site", "same-origin"),
                ][..],
                true,
            ),
            (
                &[("origin", "https://a"), ("origin", "https://a")][..],
                true,
            ),
            (
                &[("sec-fetch-site", "none"), ("sec-fetch-site", "none")][..],
                true,
            ),
        ] {
            assert_eq!(
                is_foreign("", Scheme::Https, "a", fields),
                foreign,
                "{fields:?}"
            );
        }
    }

    #[test]
    fn reading_is_free_but_for_a_websocket() {
        let none = AllowedOrigins::default();
        let evil = [("host", "a"), ("origin", "https://evil")];
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert_eq!(none.foreign(&parts(&method, &evil), Scheme::Https), None);
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let foreign = none.foreign(&parts(&method, &evil), Scheme::Https).unwrap();
            assert_eq!(foreign.to_string(), "https://evil");
        }
        let socket = [evil[0], evil[1], ("upgrade", "x, WebSocket")];
        assert!(
            none.foreign(&parts(&Method::GET, &socket), Scheme::Https)
                .is_some()
        );
    }

    #[test]
    fn http2_names_its_host_in_the_target() {
        let mut request = parts(&Method::POST, &[("origin", "https://a:1")]);
        (request.uri, request.version) = (Uri::from_static("https://a:1/x"), Version::HTTP_2);
        assert_eq!(
            AllowedOrigins::default().foreign(&request, Scheme::Https),
            None
        );
    }

    #[test]
    fn exceptions_are_named_between_spaces_or_commas() {
        let list = "https://charts:8443/, http://192.168.1.9  chrome-extension://abc";
        for origin in [
            "https://charts:8443",
            "http://192.168.1.9",
            "chrome-extension://abc",
        ] {
            assert!(
                !is_foreign(list, Scheme::Https, "a", &[("origin", origin)]),
                "{origin}"
            );
        }
        assert!(is_foreign(
            list,
            Scheme::Https,
            "a",
            &[("origin", "https://charts")]
        ));
        for bad in [
            "null",
            "*",
            "charts",
            "https://a/path",
            "https://*.a/x",
            "https://u@a",
        ] {
            assert_eq!(bad.parse::<AllowedOrigins>(), Err(NoOrigin), "{bad}");
        }
    }
}
