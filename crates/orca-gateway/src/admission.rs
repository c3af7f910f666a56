//! Who is served without a valid certificate while a clinic moves to certificates, and why. Nobody who
//! comes in this way ever gets an identity.

use std::time::Duration;

use orca_messages::{Finding, text};
use tokio::time::sleep;

use crate::config::ClientAuth;
use crate::exempt::{Exemption, Exemptions};
use crate::identity::Cause;
use crate::log::EventLog;

/// How often open doors are told of.
pub(crate) const REMINDER: Duration = Duration::from_secs(24 * 3600);

/// Why somebody without a verdict is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ground {
    /// Address and path are free (`GATEWAY_EXEMPT`).
    Exempt,
    /// Everybody is served (`GATEWAY_CLIENT_AUTH=observe`).
    Observe,
}

/// What would have kept somebody out who is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Despite {
    pub(crate) ground: Ground,
    pub(crate) cause: Cause,
}

impl Ground {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Exempt, Self::Observe];

    /// The word in logs and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Exempt => "exempt",
            Self::Observe => "observe",
        }
    }
}

/// Everything that lets somebody in without a certificate.
pub(crate) fn open_doors(client_auth: ClientAuth, exemptions: &Exemptions) -> Vec<Finding> {
    let observing = (client_auth == ClientAuth::Observe).then(observing);
    let exempt = exemptions.iter().map(Exemption::finding);
    observing.into_iter().chain(exempt).collect()
}

/// Tells of the open doors once a day, until the value is dropped.
pub(crate) async fn remind(log: EventLog, doors: Vec<Finding>, pause: Duration) {
    if doors.is_empty() {
        return;
    }
    loop {
        sleep(pause).await;
        for door in &doors {
            log.finding(door);
        }
    }
}

/// Nobody may forget that the door stands open.
fn observing() -> Finding {
    Finding::warning(
        "observing",
        text!(
            "観察モード(GATEWAY_CLIENT_AUTH=observe)です。証明書がなくても、httpでも、すべての接続を日レセに中継します。保護されていません。",
            "GATEWAY_CLIENT_AUTH=observe: everybody reaches the application, without a certificate and over plain http; nothing is protected"
        ),
        text!(
            "orca-gateway observe_report でアクセスログを集計し、接続できなくなる端末がないことを確認してから、explainに変更してください。",
            "look with orca-gateway observe_report who would be locked out, give them certificates, then set explain"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::LogTarget;
    use jiff::tz::TimeZone;

    #[test]
    fn open_doors_are_told_of_one_by_one() {
        let ids = |client_auth, exempt: &str| -> Vec<_> {
            let doors = open_doors(client_auth, &exempt.parse().unwrap());
            doors.iter().map(|door| door.id).collect()
        };
        assert_eq!(ids(ClientAuth::Explain, ""), [""; 0]);
        assert_eq!(
            ids(ClientAuth::Observe, "10.0.0.1 /a; 10.0.0.2 /b"),
            ["observing", "exempt", "exempt"]
        );
    }

    #[tokio::test]
    async fn the_reminder_comes_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let (target, clock) = (LogTarget::File(path.clone()), Clock::stopped());
        let lang = orca_messages::Lang::En;
        let log = EventLog::open(&target, clock, TimeZone::UTC, lang).unwrap();
        let doors = open_doors(ClientAuth::Observe, &Exemptions::default());
        let told = || {
            log.flush();
            let text = std::fs::read_to_string(&path).unwrap();
            text.matches("[observing]").count()
        };
        let reminding = remind(log.clone(), doors, Duration::from_millis(1));
        tokio::select! {
            () = reminding => panic!("it ended"),
            () = crate::in_process::proxy::until(|| told() >= 3) => {}
        }
    }
}
