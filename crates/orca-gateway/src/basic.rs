//! The operator that a request claims in Basic authentication (RFC 7617), read so that no reader
//! behind us can come to another one.

use base64ct::{Base64, Base64Unpadded, Encoding};
use http::header::{self, HeaderMap};
use zeroize::Zeroizing;

/// What a request says about its operator. The password never leaves this module.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Claim {
    /// No Basic authentication; browsers log in by a page.
    Nobody,
    /// An operator.
    Operator(String),
    /// Something that two readers may read in two ways, or not at all.
    Unreadable,
}

/// Reads the operator out of `Authorization`.
pub(crate) fn claim(headers: &HeaderMap) -> Claim {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    match (fields.next(), fields.next()) {
        (None, _) => Claim::Nobody,
        (Some(field), None) => read(field.as_bytes().trim_ascii()),
        // One reader takes the first, another the last.
        (Some(_), Some(_)) => Claim::Unreadable,
    }
}

fn read(field: &[u8]) -> Claim {
    let end = field.iter().position(|octet| !is_token(*octet));
    let (scheme, rest) = field.split_at(end.unwrap_or(field.len()));
    match scheme {
        [] if rest.is_empty() => Claim::Nobody,
        [] => Claim::Unreadable,
        _ if scheme.eq_ignore_ascii_case(b"basic") => operator(rest),
        _ if hides_basic(rest) => Claim::Unreadable,
        _ => Claim::Nobody,
    }
}

/// RFC 9110 §5.6.2.
fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}

/// Another scheme in front, such as `Bearer x, Basic y`: some readers look for the word.
fn hides_basic(rest: &[u8]) -> bool {
    rest.windows(6)
        .any(|six| six[..5].eq_ignore_ascii_case(b"basic") && (six[5] == b' ' || six[5] == b'\t'))
}

/// `1*SP token68` (RFC 9110 §11.4), then `user-id ":" password` without control characters
/// (RFC 7617 §2). Who leaves the padding out means the same by it.
fn operator(rest: &[u8]) -> Claim {
    let Some(encoded) = rest.strip_prefix(b" ") else {
        return Claim::Unreadable;
    };
    let encoded = std::str::from_utf8(encoded)
        .unwrap_or("=")
        .trim_start_matches(' ');
    let decoded = if encoded.contains('=') {
        Base64::decode_vec(encoded)
    } else {
        Base64Unpadded::decode_vec(encoded)
    };
    let Ok(decoded) = decoded.map(Zeroizing::new) else {
        return Claim::Unreadable;
    };
    let colon = decoded.iter().position(|octet| *octet == b':');
    let user = colon.map(|colon| &decoded[..colon]);
    match user.map(std::str::from_utf8) {
        Some(Ok(user))
            if !decoded.iter().any(u8::is_ascii_control) && !user.contains(char::is_control) =>
        {
            Claim::Operator(user.to_owned())
        }
        _ => Claim::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn claimed(fields: &[&[u8]]) -> Claim {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(
                header::AUTHORIZATION,
                HeaderValue::from_bytes(field).unwrap(),
            );
        }
        claim(&headers)
    }

    fn basic(credentials: &[u8]) -> String {
        format!("Basic {}", Base64::encode_string(credentials))
    }

    #[test]
    fn an_operator_is_what_stands_before_the_first_colon() {
        for (credentials, operator) in [
            ("ormaster:secret", "ormaster"),
            ("a:b:c", "a"),
            (":secret", ""),
            ("山田:パス", "山田"),
            ("ormaster:", "ormaster"),
        ] {
            let expected = Claim::Operator(operator.to_owned());
            let field = basic(credentials.as_bytes());
            assert_eq!(claimed(&[field.as_bytes()]), expected, "{credentials}");
            let unpadded = field.trim_end_matches('=');
            assert_eq!(claimed(&[unpadded.as_bytes()]), expected, "{credentials}");
        }
        // The password may be of any encoding; only the operator is read.
        let field = basic(b"a:\x83\x7f\x83"); // DEL is a control character
        assert_eq!(claimed(&[field.as_bytes()]), Claim::Unreadable);
        let field = basic(b"a:\x83\x8b");
        assert_eq!(claimed(&[field.as_bytes()]), Claim::Operator("a".into()));
    }

    #[test]
    fn the_scheme_has_any_case_and_any_number_of_spaces() {
        for field in ["basic YTpi", "BASIC YTpi", "bAsIc   YTpi", "Basic YTpi "] {
            assert_eq!(
                claimed(&[field.as_bytes()]),
                Claim::Operator("a".into()),
                "{field}"
            );
        }
    }

    #[test]
    fn other_schemes_and_none_claim_nobody() {
        assert_eq!(claimed(&[]), Claim::Nobody);
        for field in ["", "Bearer YTpi", "Digest username=\"a\"", "Basically YTpi"] {
            assert_eq!(claimed(&[field.as_bytes()]), Claim::Nobody, "{field}");
        }
    }

    #[test]
    fn what_two_readers_may_read_in_two_ways_is_unreadable() {
        let fields: [&[u8]; 16] = [
            b"Basic",
            b"Basic ",
            b"Basic\tYTpi",
            b"Basic \tYTpi",
            b"Basic,YTpi",
            b"Basic YTpi,",
            b"Basic YT pi",
            b"Basic YTpi YTpi",
            b"Basic YWI6Yg=",
            b"Basic YTpi====",
            b"Basic Y@T-p_i",
            b"Basic \xe3\x81\x82",
            b"\"Basic YTpi",
            b"Bearer x, Basic YTpi",
            b"Bearer x,basic\tYTpi",
            b"Basic YWI",
        ];
        for field in fields {
            let shown = String::from_utf8_lossy(field);
            assert_eq!(claimed(&[field]), Claim::Unreadable, "{shown}");
        }
        for credentials in [
            &b"no colon"[..],
            b"a\0b:c",
            b"a\n:c",
            b"a:c\r\n",
            b"\xff:c",
            "a\u{85}:c".as_bytes(),
        ] {
            let field = basic(credentials);
            assert_eq!(
                claimed(&[field.as_bytes()]),
                Claim::Unreadable,
                "{credentials:?}"
            );
        }
        assert_eq!(claimed(&[b"Basic YTpi", b"Basic YTpi"]), Claim::Unreadable);
        assert_eq!(claimed(&[b"Bearer x", b"Basic YTpi"]), Claim::Unreadable);
    }
}
