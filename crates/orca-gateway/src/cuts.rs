//! Connections that were cut because their certificate counts no longer, told certificate by
//! certificate: a browser has a dozen of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use orca_messages::{Finding, Text, render, text};
use orca_pki::certificate::{Certificate, Fingerprint};

use crate::identity::Cause;

/// All connections of a certificate end within this after the first.
const GATHERED: Duration = Duration::from_millis(500);

/// Cut connections that are not told of yet.
#[derive(Debug, Default)]
pub(crate) struct Cuts(Mutex<HashMap<Fingerprint, Cut>>);

#[derive(Debug)]
struct Cut {
    certificate: Arc<Certificate>,
    cause: Cause,
    connections: usize,
    first: Instant,
}

impl Cuts {
    /// One connection with this certificate is being cut.
    pub(crate) fn note(&self, certificate: &Arc<Certificate>, cause: Cause, now: Instant) {
        let mut cuts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = cuts
            .entry(certificate.fingerprint())
            .or_insert_with(|| Cut {
                certificate: Arc::clone(certificate),
                cause,
                connections: 0,
                first: now,
            });
        cut.connections += 1;
    }

    /// What is to be told now.
    pub(crate) fn due(&self, now: Instant) -> Vec<Finding> {
        self.take(|cut| now.saturating_duration_since(cut.first) >= GATHERED)
    }

    /// All the rest.
    pub(crate) fn all(&self) -> Vec<Finding> {
        self.take(|_| true)
    }

    fn take(&self, wanted: impl Fn(&Cut) -> bool) -> Vec<Finding> {
        let mut cuts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due: Vec<Cut> = cuts
            .extract_if(|_, cut| wanted(cut))
            .map(|(_, cut)| cut)
            .collect();
        drop(cuts);
        due.sort_by_key(|cut| cut.first);
        due.iter().map(Cut::finding).collect()
    }
}

impl Cut {
    fn finding(&self) -> Finding {
        let serial = self.certificate.serial().decimal();
        let subject = render::one_line(&self.certificate.subject().one_line());
        let (count, Text { ja, en }) = (self.connections, reason(self.cause));
        let s = if count == 1 { "" } else { "s" };
        Finding::ok(
            "client-cut",
            text!(
                "証明書(番号{serial:0>6}、{subject})の接続{count}件を切断しました({ja})。",
                "{count} connection{s} of certificate {serial:0>6} ({subject}) cut: {en}",
            ),
        )
    }
}

fn reason(cause: Cause) -> Text {
    match cause {
        Cause::Revoked => text!("失効", "revoked"),
        Cause::Expired => text!("有効期限切れ", "expired"),
        Cause::NotYetValid => text!("有効期間前", "not yet valid"),
        Cause::UnknownCa => text!("認証局が CA_CRT にない", "its CA is not in CA_CRT"),
        other => {
            let cause = other.as_str();
            text!("{cause}", "{cause}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_process::forge::Ca;

    #[test]
    fn the_connections_of_a_certificate_are_told_together() {
        let cuts = Cuts::default();
        let start = Instant::now();
        let ca = Ca::new("orca CA");
        let certificate = |serial| {
            let identity = ca.client(serial);
            Arc::new(Certificate::from_der(identity.der()).unwrap())
        };
        let (one, other) = (certificate(3), certificate(1_234_567));
        cuts.note(&one, Cause::Revoked, start);
        cuts.note(&other, Cause::Expired, start + GATHERED / 2);
        cuts.note(&one, Cause::Revoked, start + GATHERED / 2);
        assert_eq!(cuts.due(start + GATHERED / 2).len(), 0);
        let told = |findings: Vec<Finding>| -> Vec<String> {
            findings.into_iter().map(|cut| cut.message.en).collect()
        };
        assert_eq!(
            told(cuts.due(start + GATHERED)),
            ["2 connections of certificate 000003 (/CN=user1) cut: revoked"]
        );
        assert_eq!(
            told(cuts.all()),
            ["1 connection of certificate 1234567 (/CN=user1) cut: expired"]
        );
        assert_eq!(cuts.all().len(), 0);
    }
}
