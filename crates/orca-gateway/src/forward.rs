//! A request of a known client, to the application and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version, request};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use orca_messages::text;
use tokio_util::sync::CancellationToken;

use crate::access_log::{Peer, TunnelEnd};
use crate::body::{self, Forwarded, RequestBody, ResponseBody};
use crate::connector::Connector;
use crate::headers::{self, ClientFields, Scheme};
use crate::identity::ClientIdentity;
use crate::log::EventLog;
use crate::slots::Slots;
use crate::upgrade;
use crate::upstream::trouble::Trouble;
use crate::upstream::{Fault, Lease, Upstream, UpstreamError};

/// Paths of ours; the application never sees them.
pub(crate) const RESERVED: &str = "/.orca-gateway/";
const ALL_RESERVED: [&str; 2] = [RESERVED, "/.well-known/orca-mtls/"];

/// The other end of a connection that may talk to the application.
pub(crate) struct Client {
    peer: Arc<Peer>,
    fields: ClientFields,
    /// Fires when its connection must end; tunnels watch it.
    closing: CancellationToken,
}

impl Client {
    /// A client with a certificate, the one of `peer`, as it was judged.
    pub(crate) fn verified(
        peer: Arc<Peer>,
        identity: &ClientIdentity,
        closing: CancellationToken,
    ) -> Self {
        Self {
            fields: ClientFields::new(peer.address(), Scheme::Https, Some(identity)),
            peer,
            closing,
        }
    }

    /// A client without a verdict, whatever it showed: of the HTTP mode, or of a transition.
    pub(crate) fn unverified(peer: Arc<Peer>, scheme: Scheme, closing: CancellationToken) -> Self {
        Self {
            fields: ClientFields::new(peer.address(), scheme, None),
            peer,
            closing,
        }
    }

    /// How the access log shows it.
    pub(crate) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

/// Why there is no answer of the application.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unserved {
    /// It has as many requests as it may: E-111, 503.
    Busy,
    /// It is down: E-109, 502.
    Down,
    /// The request broke off or its body could not be read.
    BrokenRequest,
    /// The request may not reach it; there is a status and no page.
    NotForwarded(StatusCode),
}

/// Whether the application answers, shared by all workers, so that the log tells a change once.
#[derive(Debug)]
pub(crate) struct Health(AtomicBool);

impl Default for Health {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Health {
    /// Whether the last exchange with the application succeeded.
    pub(crate) fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes the present state and tells whether it is new.
    fn changes_to(&self, up: bool) -> bool {
        self.is_up() != up && self.0.swap(up, Ordering::Relaxed) != up
    }
}

/// Passes requests on; every worker has its own, with its own connections to the application.
#[derive(Clone)]
pub(crate) struct Forwarder {
    upstream: Upstream,
    health: Arc<Health>,
    log: EventLog,
}

impl Forwarder {
    /// Forwards over connections of `connector`, as many requests at once as `slots` has.
    pub(crate) fn new(
        connector: Connector,
        slots: Slots,
        health: Arc<Health>,
        log: EventLog,
    ) -> Self {
        Self {
            upstream: Upstream::new(connector, slots),
            health,
            log,
        }
    }

    /// Sends the request to the application and returns its response. Bodies stream both ways.
    ///
    /// # Errors
    /// The application is down, or busy.
    pub(crate) async fn forward(
        &self,
        client: &Client,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Unserved> {
        let (mut parts, body) = request.into_parts();
        let body = RequestBody::streamed(body, parts.version);
        if let Some(status) = refused(&parts) {
            return Err(Unserved::NotForwarded(status));
        }
        let upgrade = upgrade::requested(&mut parts, &body);
        if headers::to_upstream(&mut parts, &client.fields).is_err() {
            return Err(Unserved::NotForwarded(StatusCode::BAD_REQUEST));
        }
        frame(&mut parts.headers, &body);
        if upgrade.is_some() {
            upgrade::set(&mut parts.headers);
        }
        parts.extensions.clear();
        let request = Request::from_parts(parts, body);
        let (response, lease) = match self.upstream.send(request).await {
            Ok(answer) => answer,
            Err(error) => return self.failed(&error),
        };
        if self.health.changes_to(true) {
            self.log.note(
                "upstream-up",
                &text!(
                    "日レセ(アプリケーション)の応答が戻りました。",
                    "the application answers again"
                ),
            );
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switched(client, upgrade, response);
        }
        Ok(streamed(response, lease))
    }

    fn failed(&self, error: &UpstreamError) -> Result<Response<ResponseBody>, Unserved> {
        if let UpstreamError::Busy = error {
            return Err(Unserved::Busy);
        }
        if error.fault() == Fault::Client {
            return Err(Unserved::BrokenRequest);
        }
        if self.health.changes_to(false) {
            self.log.trouble(&Trouble::of(error));
        }
        Err(Unserved::Down)
    }

    fn switched(
        &self,
        client: &Client,
        upgrade: Option<OnUpgrade>,
        mut response: Response<Incoming>,
    ) -> Result<Response<ResponseBody>, Unserved> {
        let Some((client_half, application)) = upgrade.zip(upgrade::granted(&mut response)) else {
            self.log.note(
                "upstream-switched",
                &text!(
                    "日レセ(アプリケーション)が、要求していないプロトコルに切り替えました。",
                    "the application switched to a protocol that was not asked for"
                ),
            );
            return Err(Unserved::Down);
        };
        let end = TunnelEnd::default();
        let closing = client.closing.clone();
        tokio::spawn(upgrade::tunnel(
            client_half,
            application,
            closing,
            end.clone(),
        ));
        let (mut parts, _) = response.into_parts();
        headers::to_client(&mut parts.headers);
        upgrade::set(&mut parts.headers);
        parts.extensions.insert(end);
        Ok(Response::from_parts(parts, body::empty()))
    }
}

/// What is never passed on: tunnels to anywhere, echoes of what only the application may see, and
/// our own paths.
fn refused(request: &request::Parts) -> Option<StatusCode> {
    if matches!(request.method, Method::CONNECT | Method::TRACE) {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    is_reserved(request.uri.path()).then_some(StatusCode::NOT_FOUND)
}

/// Whether a path is ours in any spelling an application may take for the same.
pub(crate) fn is_reserved(path: &str) -> bool {
    // All of ours begin with a dot, plain or encoded.
    if !path.contains(['.', '%']) {
        return false;
    }
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let segments = |path: &'static str| path.split('/').filter(|segment| !segment.is_empty());
    ALL_RESERVED.into_iter().any(|reserved| {
        let mut given = decoded
            .split('/')
            .filter(|segment| !matches!(*segment, "" | "."));
        segments(reserved).all(|ours| {
            given
                .next()
                .is_some_and(|segment| segment.eq_ignore_ascii_case(ours))
        })
    })
}

/// Frames the request by what its body is, not by what its fields say (RFC 9112 §6).
fn frame(headers: &mut HeaderMap, body: &RequestBody) {
    let had_length = headers.remove(header::CONTENT_LENGTH).is_some();
    match body.size_hint().exact() {
        Some(0) if !had_length => {}
        Some(length) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            headers.insert(
                header::TRANSFER_ENCODING,
                HeaderValue::from_static("chunked"),
            );
        }
    }
}

fn streamed(response: Response<Incoming>, lease: Lease) -> Response<ResponseBody> {
    let (mut parts, incoming) = response.into_parts();
    headers::to_client(&mut parts.headers);
    // An HTTP/1.0 application says nothing about the connection to the client.
    parts.version = Version::HTTP_11;
    let body = Forwarded::new(incoming, lease).boxed_unsync();
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_paths_are_ours_in_every_spelling() {
        for path in [
            "/.orca-gateway",
            "/.orca-gateway/",
            "/.orca-gateway/choose",
            "//.orca-gateway/x",
            "/.orca%2dgateway/x",
            "/%2eorca-gateway%2fx",
            "/.ORCA-gateway/x",
            "/./.orca-gateway/x",
            "/.well-known/orca-mtls/crl",
            "/.well-known/orca-mtls",
            "/.well-known//orca-mtls/./x",
            "/.Well-Known%2Forca-mtls/crl",
        ] {
            assert!(is_reserved(path), "{path}");
        }
        for path in [
            "/",
            "/.orca-gateways/",
            "/a/.orca-gateway/",
            "/.orca",
            "/.well-known/",
            "/.well-known/acme-challenge/orca-mtls/",
            "/.well-known/orca-mtls2",
            "/日",
        ] {
            assert!(!is_reserved(path), "{path}");
        }
    }
}
