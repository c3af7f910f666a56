//! Which header fields cross the gateway, and which are ours (RFC 9110 §7.6).

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Uri, Version, request};
use orca_pki::name::DistinguishedName;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::identity::ClientIdentity;

const CERT_SERIAL: HeaderName = HeaderName::from_static("x-client-cert-serial");
const CERT_SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");
const CERT_ISSUER: HeaderName = HeaderName::from_static("x-client-cert-issuer");
const CERT_FINGERPRINT: HeaderName = HeaderName::from_static("x-client-cert-fingerprint");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Fields that concern one connection only, whether `Connection` names them or not (RFC 9110 §7.6.1).
static HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// Everything a trailer may not be beside that: framing, routing, authentication (RFC 9110 §6.5.1).
const NEVER_TRAILERS: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::COOKIE,
    header::HOST,
    header::SET_COOKIE,
    header::TRAILER,
];

/// What a value inside a name is percent-encoded for, so that `/` and `=` always separate.
const IN_NAME: &AsciiSet = &CONTROLS.add(b'%').add(b'/').add(b'=');

/// The fields about the client, made once for a connection.
#[derive(Debug)]
pub(crate) struct ClientFields(Vec<(HeaderName, HeaderValue)>);

/// `https` or `http`, as the browser sees us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// A request that cannot be passed on, with the rule it breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadRequest {
    #[error("not exactly one Host (RFC 9112 §3.2)")]
    Host,
    #[error("Host and :authority differ (RFC 9113 §8.3.1)")]
    Authority,
    #[error("a transfer coding other than chunked (RFC 9112 §6.1)")]
    TransferEncoding,
}

impl ClientFields {
    /// Of a client at `address`, verified or not (HTTP mode).
    pub(crate) fn new(
        address: std::net::IpAddr,
        scheme: Scheme,
        identity: Option<&ClientIdentity>,
    ) -> Self {
        let mut fields = Vec::with_capacity(6);
        // Digits, hexadecimal digits and percent-encoded text are valid values.
        let mut push = |name, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                fields.push((name, value));
            }
        };
        if let Some(identity) = identity {
            push(CERT_SERIAL, identity.serial().decimal());
            push(CERT_SUBJECT, encoded_name(identity.subject()));
            push(CERT_ISSUER, encoded_name(identity.issuer()));
            push(CERT_FINGERPRINT, identity.fingerprint().to_string());
        }
        push(FORWARDED_FOR, address.to_canonical().to_string());
        let proto = match scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        push(FORWARDED_PROTO, proto.to_owned());
        Self(fields)
    }
}

/// `/C=JP/O=orca/CN=user1` with everything percent-encoded that is no visible ASCII or would look
/// like a separator.
fn encoded_name(name: &DistinguishedName) -> String {
    name.attributes()
        .map(|(label, value)| format!("/{label}={}", utf8_percent_encode(&value, IN_NAME)))
        .collect()
}

/// Makes a client's request one of ours towards the application: HTTP/1.1, origin-form, one `Host`,
/// no connection fields, nothing spoofed, then what we know about the client.
///
/// # Errors
/// The request contradicts itself.
pub(crate) fn to_upstream(
    request: &mut request::Parts,
    client: &ClientFields,
) -> Result<(), BadRequest> {
    refuse_odd_codings(&request.headers)?;
    let host = host(request)?;
    let headers = &mut request.headers;
    remove_connection_fields(headers);
    remove_spoofed(headers);
    join_cookies(headers);
    if let Some(host) = &host {
        headers.insert(header::HOST, host.clone());
        headers.insert(FORWARDED_HOST, host.clone());
    }
    for (name, value) in &client.0 {
        headers.insert(name, value.clone());
    }
    request.uri = origin_form(&request.uri);
    request.version = Version::HTTP_11;
    Ok(())
}

/// Makes the application's response one of ours: no connection fields, and nothing that would tie
/// browsers to a scheme or lead them past the gateway.
pub(crate) fn to_client(headers: &mut HeaderMap) {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        // Overridden by the coding (RFC 9112 §6.3), and wrong once that is gone.
        headers.remove(header::CONTENT_LENGTH);
    }
    remove_connection_fields(headers);
    headers.remove(header::STRICT_TRANSPORT_SECURITY);
    headers.remove(header::ALT_SVC);
}

/// Removes from trailers what would not have passed as a header field.
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) {
    remove_connection_fields(trailers);
    remove_spoofed(trailers);
    for name in NEVER_TRAILERS {
        trailers.remove(name);
    }
}

/// hyper decodes `chunked` and nothing else; another coding would lose its name on the way.
fn refuse_odd_codings(headers: &HeaderMap) -> Result<(), BadRequest> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(BadRequest::TransferEncoding),
    }
}

/// The one host of the request: of the target where it names one (RFC 9112 §3.2.2), else of `Host`.
/// Only HTTP/1.0 may have none.
fn host(request: &request::Parts) -> Result<Option<HeaderValue>, BadRequest> {
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let field = hosts.next();
    if hosts.next().is_some() {
        return Err(BadRequest::Host);
    }
    if let Some(field) = field {
        check_host(field.as_bytes())?;
    }
    let Some(authority) = request.uri.authority() else {
        return match field {
            None if request.version > Version::HTTP_10 => Err(BadRequest::Host),
            field => Ok(field.cloned()),
        };
    };
    check_host(authority.as_str().as_bytes())?;
    let differs = field.is_some_and(|field| {
        !field
            .as_bytes()
            .eq_ignore_ascii_case(authority.as_str().as_bytes())
    });
    if differs && request.version == Version::HTTP_2 {
        return Err(BadRequest::Authority);
    }
    HeaderValue::from_str(authority.as_str())
        .map(Some)
        .map_err(|_| BadRequest::Host)
}

fn check_host(host: &[u8]) -> Result<(), BadRequest> {
    if host.contains(&b'@') {
        return Err(BadRequest::Host);
    }
    Authority::try_from(host)
        .map(|_| ())
        .map_err(|_| BadRequest::Host)
}

fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query()
        .filter(|path| !path.as_str().is_empty())
        .map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()))
}

/// Removes what `Connection` names, then what always concerns one connection only. Fields that frame
/// and route a message cannot be named away.
fn remove_connection_fields(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|octet| *octet == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .collect();
    let leaving: Vec<HeaderName> = headers
        .keys()
        .filter(|name| HOP_BY_HOP.contains(name) || named.contains(name))
        .cloned()
        .collect();
    for name in leaving {
        headers.remove(name);
    }
}

fn remove_spoofed(headers: &mut HeaderMap) {
    let spoofed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_ours(name.as_str()))
        .cloned()
        .collect();
    for name in spoofed {
        headers.remove(name);
    }
}

/// Whether an application could take the field for one of ours. Some read `_` and `-` alike, and
/// relatives of our names are trusted as much (`X-Forwarded-Port`, `X-Forwarded-Client-Cert`).
fn is_ours(name: &str) -> bool {
    if !name.starts_with(['x', 'f']) {
        return false;
    }
    let name = name.replace('_', "-");
    name.starts_with("x-client-cert")
        || name.starts_with("x-forwarded-")
        || matches!(name.as_str(), "forwarded" | "x-real-ip")
}

/// HTTP/2 may split the cookies over several fields (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs = headers.get_all(header::COOKIE);
    if crumbs.iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = crumbs.iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(b"; ".as_slice())) {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn client() -> ClientFields {
        ClientFields::new("::ffff:10.0.0.7".parse().unwrap(), Scheme::Https, None)
    }

    fn passed(request: request::Builder) -> Result<request::Parts, BadRequest> {
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        to_upstream(&mut parts, &client())?;
        Ok(parts)
    }

    fn from_host() -> request::Builder {
        Request::get("/a?b").header("host", "weborca-server:8000")
    }

    fn field<'a>(parts: &'a request::Parts, name: &str) -> Option<&'a str> {
        assert!(parts.headers.get_all(name).iter().count() < 2, "{name}");
        parts.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn host_and_authorization_are_untouched() {
        let parts = passed(from_host().header("authorization", "Basic b3JtYXN0ZXI6")).unwrap();
        assert_eq!(field(&parts, "host"), Some("weborca-server:8000"));
        assert_eq!(field(&parts, "authorization"), Some("Basic b3JtYXN0ZXI6"));
        assert_eq!(parts.uri, "/a?b");
        assert_eq!(parts.version, Version::HTTP_11);
    }

    #[test]
    fn the_application_learns_address_scheme_and_host() {
        let parts = passed(from_host()).unwrap();
        assert_eq!(field(&parts, "x-forwarded-for"), Some("10.0.0.7"));
        assert_eq!(field(&parts, "x-forwarded-proto"), Some("https"));
        assert_eq!(
            field(&parts, "x-forwarded-host"),
            Some("weborca-server:8000")
        );
    }

    #[test]
    fn spoofed_fields_are_replaced_or_removed() {
        let names = [
            "X-Client-Cert-Serial",
            "x_client_cert_serial",
            "X-Client_Cert-Subject",
            "X-Client-Cert-Issuer",
            "X-Client-Cert-Fingerprint",
            "X-Forwarded-For",
            "x_forwarded_for",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
            "X_Forwarded_Client_Cert",
            "Forwarded",
            "X-Real-IP",
            "x_real_ip",
        ];
        let request = names.iter().fold(from_host(), |request, name| {
            request.header(*name, "spoofed").header(*name, "twice")
        });
        let parts = passed(request).unwrap();
        assert!(!parts.headers.values().any(|value| value == "spoofed"));
        assert!(!parts.headers.values().any(|value| value == "twice"));
    }

    #[test]
    fn connection_fields_and_those_it_names_stay_behind() {
        let parts = passed(
            from_host()
                .header("connection", "close, X-Private")
                .header(
                    "connection",
                    "x-other,x-forwarded-for, host ,content-length",
                )
                .header("x-private", "1")
                .header("x-other", "1")
                .header("keep-alive", "timeout=5")
                .header("proxy-connection", "keep-alive")
                .header("proxy-authorization", "x")
                .header("te", "trailers")
                .header("transfer-encoding", "chunked")
                .header("upgrade", "h2c")
                .header("content-length", "3")
                .header("x-kept", "1"),
        )
        .unwrap();
        let mut names: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "content-length",
                "host",
                "x-forwarded-for",
                "x-forwarded-host",
                "x-forwarded-proto",
                "x-kept"
            ]
        );
    }

    #[test]
    fn http2_authority_becomes_host_and_crumbs_become_one_cookie() {
        let request = Request::get("https://weborca-server:8000/x?y")
            .version(Version::HTTP_2)
            .header("cookie", "a=1")
            .header("cookie", "b=2");
        let parts = passed(request).unwrap();
        assert_eq!(field(&parts, "host"), Some("weborca-server:8000"));
        assert_eq!(field(&parts, "cookie"), Some("a=1; b=2"));
        assert_eq!(parts.uri, "/x?y");
    }

    #[test]
    fn an_absolute_target_names_the_host() {
        let request = Request::get("http://right/x").header("host", "wrong");
        assert_eq!(field(&passed(request).unwrap(), "host"), Some("right"));
    }

    #[test]
    fn contradictions_are_refused() {
        let cases = [
            (Request::get("/"), BadRequest::Host),
            (Request::get("/").header("host", ""), BadRequest::Host),
            (Request::get("/").header("host", "u@a"), BadRequest::Host),
            (Request::get("/").header("host", "a b"), BadRequest::Host),
            (Request::get("/").header("host", "a/b"), BadRequest::Host),
            (
                Request::get("/").header("host", "a").header("host", "a"),
                BadRequest::Host,
            ),
            (
                Request::get("https://a/")
                    .version(Version::HTTP_2)
                    .header("host", "b"),
                BadRequest::Authority,
            ),
            (
                from_host().header("transfer-encoding", "gzip, chunked"),
                BadRequest::TransferEncoding,
            ),
            (
                from_host()
                    .header("transfer-encoding", "chunked")
                    .header("transfer-encoding", "chunked"),
                BadRequest::TransferEncoding,
            ),
        ];
        for (request, error) in cases {
            let shown = format!("{request:?}");
            assert_eq!(passed(request).unwrap_err(), error, "{shown}");
        }
    }

    #[test]
    fn http10_may_come_without_host() {
        let parts = passed(Request::get("/").version(Version::HTTP_10)).unwrap();
        assert_eq!(field(&parts, "host"), None);
    }

    #[test]
    fn responses_lose_connection_fields_and_ties_to_the_browser() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-private"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "7"),
            ("keep-alive", "timeout=5"),
            ("strict-transport-security", "max-age=1"),
            ("alt-svc", "h3=\":443\""),
            ("set-cookie", "a=1"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        to_client(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["set-cookie"]);
    }

    #[test]
    fn trailers_cannot_smuggle_fields_in() {
        let mut trailers = HeaderMap::new();
        for name in [
            "x-client-cert-serial",
            "x_forwarded_for",
            "host",
            "content-length",
            "transfer-encoding",
            "x-checksum",
        ] {
            trailers.insert(name, HeaderValue::from_static("1"));
        }
        clean_trailers(&mut trailers);
        assert_eq!(trailers.keys().collect::<Vec<_>>(), ["x-checksum"]);
    }

    #[test]
    fn names_are_percent_encoded_so_that_slash_and_equals_separate() {
        let name = DistinguishedName::new(
            &"JP".parse().unwrap(),
            &"orca".parse().unwrap(),
            &"山 50%=x".parse().unwrap(),
        )
        .unwrap();
        assert_eq!(encoded_name(&name), "/C=JP/O=orca/CN=%E5%B1%B1 50%25%3Dx");
    }
}
