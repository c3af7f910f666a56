//! The access log: one JSON object a line, written when the response has ended.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Response, StatusCode, request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_pki::certificate::Certificate;
use serde::Serialize;

use crate::admission::{Despite, Ground};
use crate::body::{BoxError, ResponseBody};
use crate::config::LogTarget;
use crate::identity::Cause;
use crate::line_writer::{LineWriter, LogError};

/// Who sent something, as the log shows it: made once for a connection.
#[derive(Debug, Serialize)]
pub(crate) struct Peer {
    address: IpAddr,
    issuer: Option<String>,
    serial: Option<String>,
    subject: Option<String>,
    fingerprint: Option<String>,
}

impl Peer {
    /// An address (IPv4-mapped ones as IPv4) and the certificate that was shown, accepted or not.
    pub(crate) fn new(address: IpAddr, certificate: Option<&Certificate>) -> Self {
        Self {
            address: address.to_canonical(),
            issuer: certificate.map(|shown| shown.issuer().one_line()),
            serial: certificate.map(|shown| shown.serial().decimal()),
            subject: certificate.map(|shown| shown.subject().one_line()),
            fingerprint: certificate.map(|shown| shown.fingerprint().to_string()),
        }
    }

    /// The subject of the certificate that was shown.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
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
    peer: Arc<Peer>,
    request: Option<(Method, String)>,
    status: Option<u16>,
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
        Self {
            time,
            peer: Arc::clone(peer),
            request: Some((request.method.clone(), request.uri.path().to_owned())),
            status: None,
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

    /// What ended before there was a request: a handshake that was refused by an alert, a head that
    /// could not be read.
    pub(crate) fn of_handshake(time: Timestamp, peer: &Arc<Peer>, cause: Cause) -> Self {
        Self {
            time,
            peer: Arc::clone(peer),
            request: None,
            status: None,
            cause: Some(cause),
            admitted: None,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    client: &'a Peer,
    method: Option<&'a str>,
    path: Option<&'a str>,
    status: Option<u16>,
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admitted: Option<&'static str>,
}

/// Takes entries of any thread and never makes them wait.
#[derive(Clone)]
pub(crate) struct AccessLog {
    lines: LineWriter,
    zone: TimeZone,
}

impl AccessLog {
    /// Opens the log; times are written with the offset of `zone`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(target: &LogTarget, zone: TimeZone) -> Result<Self, LogError> {
        Ok(Self {
            lines: LineWriter::open(target)?,
            zone,
        })
    }

    /// Writes the line of an entry that has no response to wait for.
    pub(crate) fn record(&self, entry: &Entry) {
        let line = Line {
            time: rfc3339(entry.time, &self.zone),
            client: &entry.peer,
            method: entry.request.as_ref().map(|(method, _)| method.as_str()),
            path: entry.request.as_ref().map(|(_, path)| path.as_str()),
            status: entry.status,
            cause: entry.cause.map(Cause::as_str),
            admitted: entry.admitted.map(Ground::as_str),
        };
        // Serialising a struct of strings and numbers into memory cannot fail.
        if let Ok(json) = serde_json::to_vec(&line) {
            self.lines.line(&json);
        }
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

    /// Lines that were lost so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.lines.dropped()
    }
}

/// With milliseconds and the offset of the zone (RFC 3339 §5.6).
fn rfc3339(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned_datetime(zone.clone());
    local.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

/// An entry whose line is written when it is dropped.
pub(crate) struct Pending {
    log: AccessLog,
    entry: Entry,
}

impl Pending {
    /// Ties the line to the end of the response, or of the tunnel that the response opens.
    pub(crate) fn on_end(
        mut self,
        mut response: Response<ResponseBody>,
        cause: Option<Cause>,
    ) -> Response<ResponseBody> {
        self.entry.status = Some(response.status().as_u16());
        self.entry.cause = cause.or(self.entry.cause);
        if let Some(TunnelEnd(slot)) = response.extensions_mut().remove::<TunnelEnd>() {
            // A tunnel that is over already has dropped its half: then the line is due now.
            let _ = slot.set(self);
            return response;
        }
        response.map(|body| {
            Logged {
                body,
                _pending: self,
            }
            .boxed_unsync()
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.log.record(&self.entry);
    }
}

/// Where a tunnel keeps the entry of its request until it ends.
#[derive(Clone, Default)]
pub(crate) struct TunnelEnd(Arc<OnceLock<Pending>>);

struct Logged {
    body: ResponseBody,
    _pending: Pending,
}

impl Body for Logged {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body;

    fn log() -> (tempfile::TempDir, AccessLog) {
        let folder = tempfile::tempdir().unwrap();
        let target = LogTarget::File(folder.path().join("access.log"));
        let zone = TimeZone::fixed(jiff::tz::offset(9));
        let log = AccessLog::open(&target, zone).unwrap();
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
        assert_eq!(
            written(&folder, &log),
            "{\"time\":\"2023-09-07T12:56:10.100+09:00\",\"client\":{\"address\":\"192.168.1.5\",\
             \"issuer\":null,\"serial\":null,\"subject\":null,\"fingerprint\":null},\
             \"method\":\"GET\",\"path\":\"/api\",\"status\":200,\"cause\":\"upstream-down\"}\n"
        );
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
}
