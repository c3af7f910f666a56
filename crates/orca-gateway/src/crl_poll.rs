//! Asks the address in `CA_CRL` for newer lists, again and again. Whatever comes, the last good list
//! stays in force.

mod fetch;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use orca_messages::{Finding, Text, text};
use rustls_pki_types::CertificateDer;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::connector::{Connector, ConnectorError};
use crate::crl_address::CrlAddress;
use crate::crl_intake::{Accepted, Intake, Unwanted};
use crate::log::EventLog;
use crate::meters::Meters;
use crate::reload::ListSource;
pub(crate) use fetch::{FetchError, Fetched, fetch};

/// The longest pause after failures, unless the interval itself is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How often a failure that goes on is told, and one of a kind at most that comes and goes.
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3600);

/// Asks one address.
pub(crate) struct Poller {
    pub(crate) address: CrlAddress,
    /// Between two looks.
    pub(crate) interval: Duration,
    pub(crate) intake: Arc<Intake>,
    /// Notified: a signal asks for a look now.
    pub(crate) now: Arc<Notify>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) clock: Clock,
    pub(crate) log: EventLog,
}

/// What is known of the other side.
#[derive(Default)]
struct Acquaintance {
    /// Under these authorities the content with the tag was all right.
    authorities: Vec<CertificateDer<'static>>,
    connector: Option<Connector>,
    tag: Option<HeaderValue>,
}

/// Why a look brought nothing.
#[derive(Debug)]
enum Failure {
    Connector(ConnectorError),
    Fetch(FetchError),
    Unwanted(Unwanted),
}

impl Poller {
    /// Asks until it is dropped; `first` learns when the first look is over.
    pub(crate) async fn run(self, first: impl FnOnce()) -> Infallible {
        let mut first = Some(first);
        let mut known = Acquaintance::default();
        let mut telling = Telling::default();
        let mut failures = 0;
        loop {
            let outcome = self.look(&mut known).await;
            self.note(&outcome);
            if let Some(finding) = telling.about(&outcome, &self.address, Instant::now()) {
                self.log.finding(&finding);
            }
            failures = match outcome {
                Ok(_) => 0,
                Err(_) => failures + 1,
            };
            if let Some(first) = first.take() {
                first();
            }
            // Either way it is time.
            let _ = timeout(self.pause(failures), self.now.notified()).await;
        }
    }

    async fn look(&self, known: &mut Acquaintance) -> Result<Accepted, Failure> {
        let authorities = self.intake.authorities();
        if known.authorities != authorities {
            // What was of no use under the old ones may be now.
            *known = Acquaintance {
                authorities,
                ..Acquaintance::default()
            };
        }
        let connector = match &known.connector {
            Some(connector) => connector,
            None => {
                let connector = Connector::for_lists(&self.address, &known.authorities)
                    .map_err(Failure::Connector)?;
                known.connector.insert(connector)
            }
        };
        let fetched = fetch(connector, &self.address, known.tag.as_ref())
            .await
            .map_err(Failure::Fetch)?;
        let Fetched::Content(octets, tag) = fetched else {
            return Ok(Accepted::Unchanged);
        };
        known.tag = None;
        let source = ListSource::Polled(self.address.to_string());
        let accepted = self.intake.offer(octets, source).await;
        let accepted = accepted.map_err(Failure::Unwanted)?;
        known.tag = tag;
        Ok(accepted)
    }

    fn note(&self, outcome: &Result<Accepted, Failure>) {
        let word = match outcome {
            Ok(Accepted::Taken) => Ok("taken"),
            Ok(Accepted::Unchanged) => Ok("unchanged"),
            Err(failure) => Err(failure.kind()),
        };
        self.meters.fetched(self.clock.now(), word);
    }

    /// Twice as long after every failure, and never at the same moment as everybody else.
    fn pause(&self, failures: u32) -> Duration {
        if failures == 0 {
            return self.interval;
        }
        let most = LONGEST_PAUSE.max(self.interval);
        let pause = self
            .interval
            .saturating_mul(1 << failures.min(16))
            .min(most);
        pause / 2 + pause.mul_f64(chance() / 2.0)
    }
}

/// From 0 to 1.
fn chance() -> f64 {
    let mut octet = [0];
    // Without chance the pause is only a little shorter.
    let _ = rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut octet);
    f64::from(octet[0]) / f64::from(u8::MAX)
}

impl Failure {
    fn kind(&self) -> &'static str {
        match self {
            Self::Connector(_) => "tls",
            Self::Fetch(error) => error.kind(),
            Self::Unwanted(reason) => reason.kind(),
        }
    }

    fn phrase(&self) -> Text {
        match self {
            Self::Connector(error) => text!("{error}", "{error}"),
            Self::Fetch(error) => error.phrase(),
            Self::Unwanted(reason) => reason.phrase(),
        }
    }
}

/// Nothing new from an address, for the log and for `check`.
pub(crate) fn not_fetched(address: &CrlAddress, reason: Text) -> Finding {
    let Text { ja, en } = reason;
    Finding::warning(
        "crl-fetch-failed",
        text!(
            "{address} からCRLを取得できません({ja})。使用中のCRLがあれば使い続けます。",
            "no CRL from {address} (CA_CRL): {en}; one that is in force stays so"
        ),
        text!(
            "CA_CRL のアドレスと、そのサーバが動いているかを確認してください。https の場合、サーバ証明書は CA_CRT の認証局か、公的な認証局のものである必要があります。",
            "check the address in CA_CRL and that its server runs; an https server needs a certificate of a CA in CA_CRT or of a public one"
        ),
    )
}

/// What of it is worth a line: a change, and once a day that it goes on.
#[derive(Default)]
struct Telling {
    failing: bool,
    last: Option<&'static str>,
    told: HashMap<&'static str, Instant>,
}

impl Telling {
    fn about(
        &mut self,
        outcome: &Result<Accepted, Failure>,
        address: &CrlAddress,
        now: Instant,
    ) -> Option<Finding> {
        let Err(failure) = outcome else {
            self.last = None;
            let recovered = std::mem::take(&mut self.failing);
            return recovered.then(|| fetched_again(address));
        };
        let kind = failure.kind();
        let pause = match self.last == Some(kind) {
            true => DAY,
            false => HOUR,
        };
        self.last = Some(kind);
        let told = self.told.get(kind);
        if told.is_some_and(|told| now.saturating_duration_since(*told) < pause) {
            return None;
        }
        self.told.insert(kind, now);
        self.failing = true;
        Some(not_fetched(address, failure.phrase()))
    }
}

fn fetched_again(address: &CrlAddress) -> Finding {
    Finding::ok(
        "crl-fetch-recovered",
        text!(
            "{address} からのCRLの取得が再開しました。",
            "a CRL comes from {address} again"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(error: FetchError) -> Result<Accepted, Failure> {
        Err(Failure::Fetch(error))
    }

    #[test]
    fn a_change_is_told_and_once_a_day_that_it_goes_on() {
        let address: CrlAddress = "http://ca/".parse().unwrap();
        let mut telling = Telling::default();
        let start = Instant::now();
        let mut told = |outcome: Result<Accepted, Failure>, after: Duration| {
            let finding = telling.about(&outcome, &address, start + after);
            finding.map(|finding| finding.id)
        };
        let minute = Duration::from_secs(60);
        let failing = Some("crl-fetch-failed");
        assert_eq!(told(Ok(Accepted::Taken), minute), None);
        assert_eq!(told(failed(FetchError::TimedOut), minute), failing);
        assert_eq!(told(failed(FetchError::TimedOut), minute * 2), None);
        assert_eq!(told(failed(FetchError::Redirect), minute * 3), failing);
        assert_eq!(told(failed(FetchError::TimedOut), minute * 4), None);
        let recovered = Some("crl-fetch-recovered");
        assert_eq!(told(Ok(Accepted::Unchanged), minute * 5), recovered);
        assert_eq!(told(Ok(Accepted::Unchanged), minute * 6), None);
        // A server that comes and goes cannot fill the log.
        assert_eq!(told(failed(FetchError::TimedOut), minute * 7), None);
        assert_eq!(told(Ok(Accepted::Unchanged), minute * 8), None);
        assert_eq!(told(failed(FetchError::TimedOut), HOUR + minute), failing);
        assert_eq!(told(failed(FetchError::TimedOut), HOUR * 20), None);
        assert_eq!(told(failed(FetchError::TimedOut), HOUR * 26), failing);
    }
}
