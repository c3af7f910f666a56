//! Lines of the access log without patients and operators: only known fields are written again.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::identity::Cause;

/// Segments of a path that are kept; they name the part of the application.
const SEGMENTS: usize = 2;
const LONGEST_SEGMENT: usize = 32;

/// Operators by the number they have in this bundle: short names would be guessed from any hash.
#[derive(Default)]
pub(super) struct Operators(HashMap<String, usize>);

impl Operators {
    fn number(&mut self, name: &str) -> String {
        let next = self.0.len() + 1;
        let number = *self.0.entry(name.to_owned()).or_insert(next);
        format!("operator-{number}")
    }
}

#[derive(Deserialize, Serialize)]
struct Line {
    time: String,
    client: Client,
    method: Option<String>,
    path: Option<String>,
    status: Option<u16>,
    cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admitted: Option<String>,
    operator: Option<String>,
    user_agent: Option<String>,
    bytes: Option<u64>,
    duration_ms: Option<f64>,
    tls: Option<Tls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Incident>,
    chain: Option<Link>,
}

#[derive(Deserialize, Serialize)]
struct Client {
    address: Option<String>,
    issuer: Option<String>,
    serial: Option<String>,
    subject: Option<String>,
    fingerprint: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Tls {
    version: String,
    group: String,
}

/// What the log says of itself.
#[derive(Deserialize, Serialize)]
struct Incident {
    event: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<BTreeMap<String, u64>>,
    from: String,
    to: String,
}

/// Without the hash, which no longer fits.
#[derive(Deserialize, Serialize)]
struct Link {
    id: String,
    n: u64,
}

/// The line as it may leave; `None` where it is not the access log's.
pub(super) fn harmless(line: &str, operators: &mut Operators) -> Option<String> {
    let mut line: Line = serde_json::from_str(line).ok()?;
    line.method = line.method.map(method);
    line.path = line.path.as_deref().map(path);
    line.operator = line.operator.map(|name| operators.number(&name));
    if line.cause.as_deref() == Some(Cause::UnknownCa.as_str()) {
        // A card of somebody that has nothing to do with us bears a name, too.
        line.client.subject = line.client.subject.map(|_| "*".to_owned());
    }
    serde_json::to_string(&line).ok()
}

/// A method is a word that strangers choose.
fn method(method: String) -> String {
    match method.bytes().all(|octet| octet.is_ascii_uppercase()) {
        true => method,
        false => "*".to_owned(),
    }
}

fn path(path: &str) -> String {
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let kept: Vec<_> = segments.by_ref().take(SEGMENTS).map(segment).collect();
    let rest = match segments.next() {
        Some(_) => "/…",
        None => "",
    };
    format!("/{}{rest}", kept.join("/"))
}

fn segment(segment: &str) -> &str {
    let harmless = |octet: u8| octet.is_ascii_alphanumeric() || b"._-".contains(&octet);
    let digits = segment.split(|c: char| !c.is_ascii_digit());
    let most_digits = digits.map(str::len).max().unwrap_or(0);
    let begins = segment.bytes().next();
    let is_word = begins.is_none_or(|first| first.is_ascii_alphabetic() || b"._".contains(&first))
        && segment.len() <= LONGEST_SEGMENT
        && segment.bytes().all(harmless)
        && most_digits <= 2;
    if is_word { segment } else { "*" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_part_of_the_application_and_no_patient() {
        for (whole, kept) in [
            ("/", "/"),
            ("/api", "/api"),
            ("/api/api01rv2", "/api/api01rv2"),
            ("/api/api01rv2/", "/api/api01rv2/…"),
            ("/api/api01rv2/patientgetv2/00001234", "/api/api01rv2/…"),
            ("/patient/00001234", "/patient/*"),
            ("/patient/12", "/patient/*"),
            ("/patient/id-1234", "/patient/*"),
            ("/patient/id-12", "/patient/id-12"),
            ("/00001234/x", "/*/x"),
            ("/x?id=00001234", "/*"),
            ("/%E5%B1%B1%E7%94%B0/x", "/*/x"),
            ("/山田", "/*"),
            ("/x/a@b", "/x/*"),
            ("*", "/*"),
        ] {
            assert_eq!(path(whole), kept, "{whole}");
        }
    }

    fn line(path: &str, operator: &str, cause: &str) -> String {
        format!(
            r#"{{"time":"2026-11-24T12:00:00.000+09:00","client":{{"address":"192.168.1.31","issuer":"/CN=ca","serial":"3","subject":"/CN=user1","fingerprint":"ab","secret":"s"}},"method":"GET","path":"{path}","status":200,"cause":{cause},"operator":{operator},"user_agent":"curl/8","bytes":1,"duration_ms":0.5,"tls":null,"authorization":"Basic b3JtYXN0ZXI6","chain":{{"id":"0011","n":7,"hash":"ff"}}}}"#
        )
    }

    #[test]
    fn only_known_fields_are_kept_and_operators_are_numbers() {
        let mut operators = Operators::default();
        let mut kept = |operator: &str, cause: &str| {
            harmless(&line("/api/x/00001234", operator, cause), &mut operators).unwrap()
        };
        let first = kept("\"doctor1\"", "null");
        assert_eq!(
            first,
            r#"{"time":"2026-11-24T12:00:00.000+09:00","client":{"address":"192.168.1.31","issuer":"/CN=ca","serial":"3","subject":"/CN=user1","fingerprint":"ab"},"method":"GET","path":"/api/x/…","status":200,"cause":null,"operator":"operator-1","user_agent":"curl/8","bytes":1,"duration_ms":0.5,"tls":null,"chain":{"id":"0011","n":7}}"#
        );
        assert!(kept("\"nurse\"", "null").contains("operator-2"));
        assert!(kept("\"doctor1\"", "null").contains("operator-1"));
        let stranger = kept("null", "\"unknown-ca\"");
        assert!(stranger.contains(r#""subject":"*""#), "{stranger}");
        assert!(!stranger.contains("user1"), "{stranger}");
        assert_eq!(harmless("PASS=secret", &mut operators), None);
        let gap = r#"{"time":"t","client":{"address":null,"issuer":null,"serial":null,"subject":null,"fingerprint":null},"method":null,"path":null,"status":null,"cause":null,"log":{"event":"gap","lines":3,"from":"a","to":"b","more":"secret"}}"#;
        let gap = harmless(gap, &mut operators).unwrap();
        assert!(
            gap.contains(r#""log":{"event":"gap","lines":3,"from":"a","to":"b"}"#),
            "{gap}"
        );
    }
}
