//! The access log: one JSON object a line, written when the response has ended.

mod beginning;
mod line;
mod pending;
mod throttle;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{self, HeaderMap};
use http::{Method, StatusCode, request};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_pki::certificate::Certificate;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::admission::{Despite, Ground};
use crate::basic::{self, Claim};
use crate::chain::Head;
use crate::clock::Clock;
use crate::config::LogTarget;
use crate::identity::Cause;
use crate::line_writer::{LineWriter, LogError, Loss};
use crate::negotiated::Negotiated;
use line::{json, json_once, rfc3339, shortened};
pub(crate) use pending::{Pending, TunnelEnd};
use throttle::{LeftOut, Throttle};

/// Characters kept of a name in a certificate, of an operator and of a path.
const MOST_OF_NAME: usize = 512;
const MOST_OF_OPERATOR: usize = 64;
const MOST_OF_PATH: usize = 4096;
const MOST_OF_USER_AGENT: usize = 256;

/// Who sent something, as the log shows it: made once for a connection, and its JSON too.
#[derive(Debug)]
pub(crate) struct Peer {
    address: IpAddr,
    subject: Option<String>,
    client: Option<Box<RawValue>>,
    tls: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    address: IpAddr,
    issuer: Option<String>,
    serial: Option<String>,
    subject: Option<&'a str>,
    fingerprint: Option<String>,
}

impl Peer {
    /// An address (IPv4-mapped ones as IPv4) and the certificate that was shown, accepted or not.
    pub(crate) fn new(address: IpAddr, certificate: Option<&Certificate>) -> Self {
        let address = address.to_canonical();
        let name = |name: String| shortened(&name, MOST_OF_NAME);
        let subject = certificate.map(|shown| name(shown.subject().one_line()));
        let client = json_once(&Shown {
            address,
            issuer: certificate.map(|shown| name(shown.issuer().one_line())),
            serial: certificate.map(|shown| shown.serial().decimal()),
            subject: subject.as_deref(),
            fingerprint: certificate.map(|shown| shown.fingerprint().to_string()),
        });
        Self {
            address,
            subject,
            client,
            tls: None,
        }
    }

    /// The subject of the certificate that was shown.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The same over a connection with TLS.
    pub(crate) fn over(self, tls: Option<Negotiated>) -> Self {
        Self {
            tls: tls.as_ref().and_then(json_once),
            ..self
        }
    }

    /// The address.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }
}

/// One line to be.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    time: Timestamp,
    begun: Option<Instant>,
    peer: Arc<Peer>,
    request: Option<(Method, String)>,
    operator: Option<String>,
    user_agent: Option<String>,
    status: Option<u16>,
    bytes: Option<u64>,
    cause: Option<Cause>,
    admitted: Option<Ground>,
}

impl Entry {
    /// A request that began at `time`. Its query stays out: it may hold patient numbers.
    pub(crate) fn of_request(
        time: Timestamp,
        peer: &Arc<Peer>,
        request: &request::Parts,
        cause: Option<Cause>,
    ) -> Self {
        let path = shortened(request.uri.path(), MOST_OF_PATH);
        let operator = match basic::claim(&request.headers) {
            Claim::Operator(name) => Some(name),
            Claim::Nobody | Claim::Unreadable => None,
        };
        Self {
            time,
            begun: Some(Instant::now()),
            peer: Arc::clone(peer),
            request: Some((request.method.clone(), path)),
            operator: operator.map(|name| shortened(&name, MOST_OF_OPERATOR)),
            user_agent: user_agent(&request.headers),
            status: None,
            bytes: None,
            cause,
            admitted: None,
        }
    }

    /// With the status of an answer that was given all the same.
    pub(crate) fn answered(mut self, status: StatusCode) -> Self {
        self.status = Some(status.as_u16());
        self
    }

    /// Served all the same; the cause is what would have kept it out.
    pub(crate) fn despite(mut self, despite: Option<Despite>) -> Self {
        self.cause = despite.map(|despite| despite.cause).or(self.cause);
        self.admitted = despite.map(|despite| despite.ground);
        self
    }

    /// Why somebody without a valid certificate was turned away, if so.
    fn refused_as_stranger(&self) -> Option<Cause> {
        let cause = self.cause.filter(|cause| cause.is_of_stranger());
        cause.filter(|_| self.admitted.is_none())
    }

    /// What ended before there was a request: a handshake that was refused by an alert, a head that
    /// could not be read.
    pub(crate) fn of_handshake(time: Timestamp, peer: &Arc<Peer>, cause: Cause) -> Self {
        Self {
            time,
            begun: None,
            peer: Arc::clone(peer),
            request: None,
            operator: None,
            user_agent: None,
            status: None,
            bytes: None,
            cause: Some(cause),
            admitted: None,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    client: Option<&'a RawValue>,
    method: Option<&'a str>,
    path: Option<&'a str>,
    status: Option<u16>,
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admitted: Option<&'static str>,
    operator: Option<&'a str>,
    user_agent: Option<&'a str>,
    bytes: Option<u64>,
    duration_ms: Option<f64>,
    tls: Option<&'a RawValue>,
}

/// A line of the log about itself: the fields of others are there and empty.
#[derive(Serialize)]
struct Notice {
    time: String,
    client: Nobody,
    method: (),
    path: (),
    status: (),
    cause: (),
    log: Incident,
}

#[derive(Default, Serialize)]
struct Nobody {
    address: (),
    issuer: (),
    serial: (),
    subject: (),
    fingerprint: (),
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Incident {
    /// Lines that could not be written.
    Gap {
        lines: u64,
        from: String,
        to: String,
    },
    /// Refusals of strangers that have no line of their own.
    RefusalsLeftOut {
        left_out: BTreeMap<&'static str, u64>,
        from: String,
        to: String,
    },
}

/// Takes entries of any thread and never makes them wait.
#[derive(Clone)]
pub(crate) struct AccessLog {
    lines: LineWriter,
    clock: Clock,
    zone: TimeZone,
    throttle: Arc<Throttle>,
}

impl AccessLog {
    /// Opens the log; times are written with the offset of `zone`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(target: &LogTarget, clock: Clock, zone: TimeZone) -> Result<Self, LogError> {
        let tell = {
            let zone = zone.clone();
            Box::new(move |loss: &Loss| json(&gap(loss, &zone)))
        };
        let chain = beginning::chain(target, clock.now(), &zone);
        Ok(Self {
            lines: LineWriter::open(target, clock, tell, Some(chain))?,
            clock,
            zone,
            throttle: Arc::default(),
        })
    }

    /// Writes the line of an entry that has no response to wait for. Refusals of strangers are only
    /// counted where there are too many.
    pub(crate) fn record(&self, entry: &Entry) {
        if let Some(cause) = entry.refused_as_stranger() {
            let now = Instant::now();
            if let Some(left_out) = self.throttle.due(now) {
                self.sum_up(left_out);
            }
            let address = entry.peer.address;
            if !self.throttle.admits(address, cause, entry.time, now) {
                return;
            }
        }
        let duration = entry.begun.map(|begun| begun.elapsed().as_micros());
        self.lines.line(&json(&Line {
            time: rfc3339(entry.time, &self.zone),
            client: entry.peer.client.as_deref(),
            method: entry.request.as_ref().map(|(method, _)| method.as_str()),
            path: entry.request.as_ref().map(|(_, path)| path.as_str()),
            status: entry.status,
            cause: entry.cause.map(Cause::as_str),
            admitted: entry.admitted.map(Ground::as_str),
            operator: entry.operator.as_deref(),
            user_agent: entry.user_agent.as_deref(),
            bytes: entry.bytes,
            duration_ms: duration.map(milliseconds),
            tls: entry.peer.tls.as_deref(),
        }));
    }

    /// Sums up the refusals that were left out, when it is time.
    pub(crate) fn sum_up_refusals(&self) {
        if let Some(left_out) = self.throttle.due(Instant::now()) {
            self.sum_up(left_out);
        }
    }

    fn sum_up(&self, left_out: LeftOut) {
        let (from, to) = (left_out.from, left_out.to);
        let incident = Incident::RefusalsLeftOut {
            left_out: left_out.causes,
            from: rfc3339(from, &self.zone),
            to: rfc3339(to, &self.zone),
        };
        let notice = notice(self.clock.now(), incident, &self.zone);
        self.lines.line(&json(&notice));
    }

    /// Writes the line when the value is dropped: a request that its client gives up before there is
    /// an answer leaves a line without status.
    pub(crate) fn pending(&self, entry: Entry) -> Pending {
        Pending {
            log: self.clone(),
            entry,
        }
    }

    /// Opens the file anew by its name.
    ///
    /// # Errors
    /// It cannot be opened; the old file stays in use.
    pub(crate) fn reopen(&self) -> Result<(), LogError> {
        self.lines.reopen()
    }

    /// Waits for the lines taken so far to be written.
    pub(crate) fn flush(&self) {
        self.lines.flush();
    }

    /// The end: nothing that was counted stays untold.
    pub(crate) fn finish(&self) {
        if let Some(left_out) = self.throttle.rest() {
            self.sum_up(left_out);
        }
        self.lines.flush();
    }

    /// Lines that were lost so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.lines.dropped()
    }

    /// Why the last attempt to write has failed, if it has.
    pub(crate) fn trouble(&self) -> Option<Arc<LogError>> {
        self.lines.trouble()
    }

    /// How far the chain of the lines has come.
    pub(crate) fn head(&self) -> Option<Head> {
        self.lines.head()
    }
}

/// What a program calls itself, as far as it is kept.
pub(crate) fn user_agent(headers: &HeaderMap) -> Option<String> {
    let field = headers.get(header::USER_AGENT)?;
    let text = String::from_utf8_lossy(field.as_bytes());
    Some(shortened(&text, MOST_OF_USER_AGENT))
}

fn gap(loss: &Loss, zone: &TimeZone) -> Notice {
    let incident = Incident::Gap {
        lines: loss.lines,
        from: rfc3339(loss.from, zone),
        to: rfc3339(loss.to, zone),
    };
    notice(loss.to, incident, zone)
}

fn notice(at: Timestamp, log: Incident, zone: &TimeZone) -> Notice {
    Notice {
        time: rfc3339(at, zone),
        client: Nobody::default(),
        method: (),
        path: (),
        status: (),
        cause: (),
        log,
    }
}

/// With three digits after the point.
fn milliseconds(micros: u128) -> f64 {
    f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1000.0
}

#[cfg(test)]
mod tests {
    use http::Response;
    use http_body_util::BodyExt;

    use super::*;
    use crate::body;

    fn log() -> (tempfile::TempDir, AccessLog) {
        let folder = tempfile::tempdir().unwrap();
        let target = LogTarget::File(folder.path().join("access.log"));
        let zone = TimeZone::fixed(jiff::tz::offset(9));
        let log = AccessLog::open(&target, Clock::stopped(), zone).unwrap();
        (folder, log)
    }

    fn written(folder: &tempfile::TempDir, log: &AccessLog) -> String {
        log.flush();
        std::fs::read_to_string(folder.path().join("access.log")).unwrap()
    }

    fn peer() -> Arc<Peer> {
        Arc::new(Peer::new("::ffff:192.168.1.5".parse().unwrap(), None))
    }

    fn entry(path: &str) -> Entry {
        let request = http::Request::get(path).body(()).unwrap();
        let time = "2023-09-07T03:56:10.100456Z".parse().unwrap();
        Entry::of_request(time, &peer(), &request.into_parts().0, None)
    }

    #[test]
    fn a_line_is_the_contracts_object_without_the_query() {
        let (folder, log) = log();
        drop(
            log.pending(entry("/api?id=00012"))
                .on_end(Response::new(body::full("x")), Some(Cause::UpstreamDown)),
        );
        let line = written(&folder, &log);
        let start = "{\"time\":\"2023-09-07T12:56:10.100+09:00\",\"client\":{\"address\":\"192.168.1.5\",\
             \"issuer\":null,\"serial\":null,\"subject\":null,\"fingerprint\":null},\
             \"method\":\"GET\",\"path\":\"/api\",\"status\":200,\"cause\":\"upstream-down\",\
             \"operator\":null,\"user_agent\":null,\"bytes\":0,\"duration_ms\":";
        assert!(line.starts_with(start), "{line}");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(line["duration_ms"].as_f64().unwrap() < 60_000.0);
        assert_eq!(line["tls"], serde_json::Value::Null);
        assert_eq!(line["chain"]["n"], 1);
        assert_eq!(line["chain"]["writer"]["pid"], std::process::id());
    }

    #[test]
    fn a_refused_handshake_has_no_method_path_and_status() {
        let (folder, log) = log();
        log.record(&Entry::of_handshake(
            Timestamp::UNIX_EPOCH,
            &peer(),
            Cause::Revoked,
        ));
        let line: serde_json::Value = serde_json::from_str(&written(&folder, &log)).unwrap();
        assert_eq!(line["cause"], "revoked");
        for key in ["method", "path", "status"] {
            assert!(line[key].is_null(), "{key}");
        }
    }

    #[test]
    fn the_line_waits_for_the_end_of_the_response() {
        let (folder, log) = log();
        let response = log
            .pending(entry("/"))
            .on_end(Response::new(body::full("x")), None);
        assert_eq!(written(&folder, &log), "");
        drop(response);
        assert_eq!(written(&folder, &log).lines().count(), 1);
    }

    #[test]
    fn the_line_of_a_tunnel_waits_for_the_tunnel() {
        let (folder, log) = log();
        let tunnel = TunnelEnd::default();
        let mut response = Response::new(body::empty());
        response.extensions_mut().insert(tunnel.clone());
        drop(log.pending(entry("/")).on_end(response, None));
        assert_eq!(written(&folder, &log), "");
        drop(tunnel);
        assert_eq!(written(&folder, &log).lines().count(), 1);
    }

    #[tokio::test]
    async fn octets_operator_and_tls_are_told() {
        let (folder, log) = log();
        let request = http::Request::get("/api?x=1")
            .header("authorization", "Basic b3JtYXN0ZXI6c2VjcmV0")
            .body(());
        let parts = request.unwrap().into_parts().0;
        let tls = Some(Negotiated {
            version: "TLSv1.3",
            group: "X25519MLKEM768",
        });
        let peer = Peer::new("192.0.2.1".parse().unwrap(), None).over(tls);
        let entry = Entry::of_request(Timestamp::UNIX_EPOCH, &Arc::new(peer), &parts, None);
        let response = log
            .pending(entry)
            .on_end(Response::new(body::full("12345")), None);
        drop(response.into_body().collect().await.unwrap());
        let text = written(&folder, &log);
        assert!(!text.contains("secret"), "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["operator"], "ormaster");
        assert_eq!(line["bytes"], 5);
        assert_eq!(line["tls"]["version"], "TLSv1.3");
        assert_eq!(line["tls"]["group"], "X25519MLKEM768");
    }

    #[test]
    fn too_many_refusals_are_summed_up() {
        let (folder, log) = log();
        for _ in 0..1000 {
            log.record(&Entry::of_handshake(
                Timestamp::UNIX_EPOCH,
                &peer(),
                Cause::UnknownCa,
            ));
        }
        log.finish();
        let text = written(&folder, &log);
        assert!(text.lines().count() < 300);
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["log"]["event"], "refusals-left-out");
        let left_out = last["log"]["left_out"]["unknown-ca"].as_u64().unwrap();
        assert_eq!(left_out as usize + text.lines().count(), 1001);
        assert!(last["client"]["address"].is_null() && last["cause"].is_null());
    }

    #[test]
    fn a_restart_names_the_end_of_the_chain_before() {
        let (folder, log) = log();
        log.record(&entry("/one"));
        log.record(&entry("/two"));
        log.flush();
        let head = log.head().unwrap();
        let target = LogTarget::File(folder.path().join("access.log"));
        let again = AccessLog::open(&target, Clock::stopped(), TimeZone::UTC).unwrap();
        again.record(&entry("/three"));
        let text = written(&folder, &again);
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["chain"]["n"], 1);
        assert_eq!(last["chain"]["writer"]["previous"]["n"], 2);
        let hash = &last["chain"]["writer"]["previous"]["hash"];
        assert_eq!(*hash, head.hash.to_string());
    }
}
