//! Who was there last, and who is locked out next where nobody acts.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use orca_pki::validity::Validity;
use serde::Serialize;

use super::report::{Sources, utc};
use crate::config::CrlUnusable;
use crate::last_seen::Seen;

/// Certificates that were not used for this long lock nobody out.
const RECENT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Rows of the list.
const MOST: usize = 100;

/// What ends first.
#[derive(Debug, Serialize)]
pub(super) struct Lockout {
    /// Whole days, negative afterwards.
    pub(super) days_left: i64,
    /// `server-certificate`, `authority`, `crl` or `client-certificate`.
    what: &'static str,
    subject: String,
    until: String,
}

/// The last use of a certificate.
#[derive(Debug, Serialize)]
pub(super) struct LastUse {
    fingerprint: String,
    serial: String,
    subject: String,
    not_after: String,
    last_seen: String,
    last_address: IpAddr,
    user_agent: Option<String>,
    two_addresses: Option<String>,
}

/// The first end of what somebody needs to be let in; `None` in HTTP mode.
pub(super) fn next(sources: &Sources, now: Timestamp) -> Option<Lockout> {
    let live = sources.live.as_ref()?.borrow().clone();
    let server = live.credentials().server();
    let mut ends = vec![(
        server.validity().not_after,
        "server-certificate",
        server.subject().one_line(),
    )];
    for report in live.trust().crl_reports(now) {
        let subject = report.authority.subject().one_line();
        let end = report.authority.validity().not_after;
        ends.push((end, "authority", subject.clone()));
        if sources.config.crl_unusable == CrlUnusable::Refuse {
            // Without a list everybody of this authority is out already.
            let end = report.crl.as_ref().map_or(now, |crl| crl.next_update());
            ends.push((end, "crl", subject));
        }
    }
    let clients = sources.seen.all().into_iter();
    let recent = clients.filter(|seen| is_in_use(seen, now));
    ends.extend(recent.map(|seen| (seen.not_after, "client-certificate", seen.subject)));
    let (until, what, subject) = ends.into_iter().min_by_key(|(end, _, _)| *end)?;
    let validity = Validity {
        not_before: now.min(until),
        not_after: until,
    };
    Some(Lockout {
        days_left: validity.days_left(now),
        what,
        subject,
        until: utc(until),
    })
}

/// The last uses, the newest first.
pub(super) fn last_uses(sources: &Sources) -> Vec<LastUse> {
    let all = sources.seen.all().into_iter().take(MOST);
    all.map(|seen| LastUse {
        fingerprint: seen.fingerprint.to_string(),
        serial: seen.serial.decimal(),
        subject: seen.subject,
        not_after: utc(seen.not_after),
        last_seen: utc(seen.at),
        last_address: seen.address,
        user_agent: seen.user_agent,
        two_addresses: seen.two_addresses.map(utc),
    })
    .collect()
}

/// A certificate that ended before its last month of use was replaced or given up.
fn is_in_use(seen: &Seen, now: Timestamp) -> bool {
    now.duration_since(seen.at) <= RECENT && seen.not_after >= now
}
