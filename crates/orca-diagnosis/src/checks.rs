//! From facts to findings. Nothing here looks anywhere: facts, what is believed, and a moment.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::{Finding, Lang, Verdict, render};
use orca_pki::certificate::Certificate;
use orca_pki::validity::ValidityState;

use crate::facts::{Contact, Lists};
use crate::identity::Identity;
use crate::target::Target;

mod client;
mod future;
mod identity;
mod lists;
mod network;
mod pkcs12;
mod reply;
mod server;

pub use client::revocation;
pub use future::{Ending, at_day, intermediates, is_over};
pub use identity::no_identity;
pub use network::typed_http;
pub use server::issue_command;

/// What is known beside the facts.
#[derive(Clone, Debug)]
pub struct Beliefs {
    /// The authorities whose certificates are right; empty where nobody told.
    pub authorities: Vec<Certificate>,
    /// What the register says of the client's certificate.
    pub registered: Registered,
    /// The number of the newest revocation list, where the register was asked.
    pub newest_list: Option<u64>,
    /// Whether the server has to be the one of the address.
    pub names: Names,
    /// The zone of dates.
    pub zone: TimeZone,
}

/// What a register says of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Registered {
    /// The register does not have it.
    Absent,
    /// It is withdrawn, since then.
    Revoked(Timestamp),
    /// There is no register, or it has another issuer.
    Unasked,
    /// It is in force, or has ended.
    Known,
}

/// Which names a server's certificate must have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Names {
    /// Any: it was called by an address that no client uses.
    Any,
    /// That of the address.
    OfTarget,
}

/// All that is to be said of a server, and of a client at it.
pub fn outside(
    target: &Target,
    contact: &Contact,
    client: Option<&Identity>,
    beliefs: &Beliefs,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Contact::Tls(seen) = contact {
        findings.push(network::reached(target, seen));
        findings.extend(server::findings(target, seen, beliefs, now));
        findings.extend(reply::clock(&seen.answer));
        findings.extend(reply::findings(seen, client, beliefs, now));
    } else {
        findings.push(network::trouble(target, contact));
    }
    if let Some(client) = client {
        let lists = match contact {
            Contact::Tls(seen) => &seen.lists,
            _ => &Lists::Unknown,
        };
        merge(&mut findings, client::findings(client, lists, beliefs, now));
    }
    if let Contact::Tls(seen) = contact {
        findings.extend(lists::findings(seen, beliefs, now));
    }
    findings
}

/// All that is to be said of a client's files without a server.
pub fn alone(client: &Identity, beliefs: &Beliefs, now: Timestamp) -> Vec<Finding> {
    client::findings(client, &Lists::Unknown, beliefs, now)
}

/// Whether anything is broken; the exit code is 1 then.
pub fn any_failed(findings: &[Finding]) -> bool {
    let failed = |finding: &Finding| finding.verdict == Verdict::Failure;
    findings.iter().any(failed)
}

/// What the server said of a certificate is not said again from its file.
fn merge(findings: &mut Vec<Finding>, more: Vec<Finding>) {
    for finding in more {
        if !findings.iter().any(|known| known.id == finding.id) {
            findings.push(finding);
        }
    }
}

/// `2026年11月23日`, `2026-11-23`.
fn day(at: Timestamp, zone: &TimeZone) -> (String, String) {
    (
        render::date(at, zone, Lang::Ja),
        render::date(at, zone, Lang::En),
    )
}

/// How long ago, for people: `3日前`, `3 days ago`; within a day `24時間以内`.
fn ago(at: Timestamp, now: Timestamp) -> (String, String) {
    match (now.as_second() - at.as_second()) / 86_400 {
        0 => ("24時間以内".to_owned(), "within the last day".to_owned()),
        1 => ("1日前".to_owned(), "1 day ago".to_owned()),
        days => (format!("{days}日前"), format!("{days} days ago")),
    }
}

/// A length of time for people, to the nearest: three days less a second are three days.
fn span(seconds: u64) -> (String, String) {
    let whole = |unit: u64| (seconds + unit / 2) / unit;
    let (count, ja, en) = match seconds {
        0..120 => (seconds, "秒", "seconds"),
        120..7200 => (whole(60), "分", "minutes"),
        7200..172_800 => (whole(3600), "時間", "hours"),
        _ => (whole(86_400), "日", "days"),
    };
    (format!("{count}{ja}"), format!("{count} {en}"))
}

/// The name people know a certificate or an authority by.
fn name(certificate: &Certificate) -> String {
    let subject = certificate.subject();
    let name = subject.common_name();
    render::one_line(&name.unwrap_or_else(|| subject.one_line()))
}

/// `番号000003、user1`.
fn which(certificate: &Certificate) -> (String, String) {
    let (serial, name) = (certificate.serial(), name(certificate));
    (
        format!("番号{serial}、{name}"),
        format!("number {serial}, {name}"),
    )
}

/// Whether one of `authorities` issued it, perhaps through certificates that were sent along.
fn is_issued_by(
    certificate: &Certificate,
    others: &[Certificate],
    authorities: &[Certificate],
) -> bool {
    let signed = |issuer: &Certificate, subject: &Certificate| {
        issuer.subject() == subject.issuer() && subject.verify_signature(issuer).is_ok()
    };
    let mut current = certificate;
    for _ in 0..=others.len() {
        if authorities
            .iter()
            .any(|authority| signed(authority, current))
        {
            return true;
        }
        match others.iter().find(|other| signed(other, current)) {
            Some(next) if next.der() != current.der() => current = next,
            _ => return false,
        }
    }
    false
}

/// The names of authorities, one behind the other.
fn names(authorities: &[Certificate]) -> (String, String) {
    let names: Vec<String> = authorities.iter().map(name).collect();
    (names.join("、"), names.join(", "))
}

fn is_valid(certificate: &Certificate, at: Timestamp) -> bool {
    certificate.validity().state(at) == ValidityState::Valid
}
