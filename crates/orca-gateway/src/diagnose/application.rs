//! What the application takes for now.

use http::uri::Scheme;
use jiff::Timestamp;
use orca_diagnosis::facts::{self, Answer, Contact};
use orca_diagnosis::target::Target;

use crate::config::Upstream;

/// Nothing where it does not say.
pub(super) fn clock(upstream: &Upstream, now: Timestamp) -> Option<Timestamp> {
    let host = upstream.authority.host().trim_matches(['[', ']']);
    let target = Target {
        host: host.parse().ok()?,
        port: upstream.authority.port_u16()?,
    };
    if upstream.scheme == Scheme::HTTP {
        return facts::date::over_http(&target);
    }
    let Contact::Tls(seen) = facts::look(&target, None, now) else {
        return None;
    };
    match seen.answer {
        Answer::Http(reply) => Timestamp::from_second(now.as_second() + reply.ahead?).ok(),
        Answer::Alert(_) | Answer::Closed | Answer::NotHttp | Answer::Silent => None,
    }
}
