//! The requests of one connection: judged one by one, served or explained.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version, request};
use hyper::body::Incoming;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::access_log::{Entry, Peer};
use crate::admission::{Despite, Ground};
use crate::body::{self, ResponseBody};
use crate::config::ClientAuth;
use crate::crl_service;
use crate::examination::Examination;
use crate::explain::Asker;
use crate::forward::{Client, Forwarder, RESERVED, Unserved, is_reserved};
use crate::headers::Scheme;
use crate::identity::{Cause, ClientIdentity, Refusal};
use crate::last_seen::Past;
use crate::leaving::Leaving;
use crate::live::Live;
use crate::negotiated::Negotiated;
use crate::office::Office;
use crate::operators::WrongOperator;
use crate::origin::Foreign;
use crate::server_names;
use crate::standing::{Judged, Standing};
use crate::trust::Presented;

/// How long a refusal on HTTP/2 may be read before GOAWAY: Java 17 drops a response it has not handed
/// over yet when GOAWAY comes.
const READING: Duration = Duration::from_millis(200);

/// The same where other streams of the connection still serve somebody who counts no longer.
const FALLEN_READING: Duration = Duration::from_millis(100);

/// One connection's requests.
pub(crate) struct Session {
    office: Arc<Office>,
    forwarder: Forwarder,
    peer: Arc<Peer>,
    who: Who,
    /// Fires when whatever runs on the connection must end at once.
    closing: CancellationToken,
    leaving: Leaving,
}

/// On what ground requests are answered.
enum Who {
    /// HTTP mode: nobody is asked.
    Anybody(Arc<Client>),
    /// http on the TLS port.
    PlainHttp(PlainHttp),
    /// HTTPS.
    Shown(Box<Standing>),
    /// Whoever came for revocation lists only.
    Delivery,
}

struct PlainHttp {
    live: Live,
    local: SocketAddr,
    client: Arc<Client>,
}

/// Who may be answered what.
enum Ruling {
    Serve(Guest),
    Refuse(Refusal),
    /// The identity is good, its operator is not.
    WrongOperator(Guest, WrongOperator),
    /// Revocation lists, which are for everybody.
    Deliver,
    /// Nothing else is served here.
    Nothing,
}

/// Somebody who is served.
struct Guest {
    client: Arc<Client>,
    despite: Option<Despite>,
}

impl Session {
    /// HTTP mode.
    pub(crate) fn open(office: Arc<Office>, forwarder: Forwarder, address: IpAddr) -> Arc<Self> {
        let closing = CancellationToken::new();
        let peer = Arc::new(Peer::new(address, None));
        let client = Client::unverified(Arc::clone(&peer), Scheme::Http, closing.clone());
        Arc::new(Self {
            peer,
            who: Who::Anybody(Arc::new(client)),
            office,
            forwarder,
            closing,
            leaving: Leaving::default(),
        })
    }

    /// http was spoken on the TLS port at `local`.
    pub(crate) fn plain_http(
        office: Arc<Office>,
        forwarder: Forwarder,
        address: IpAddr,
        local: SocketAddr,
        live: Live,
    ) -> Arc<Self> {
        let closing = CancellationToken::new();
        let peer = Arc::new(Peer::new(address, None));
        let client = Client::unverified(Arc::clone(&peer), Scheme::Http, closing.clone());
        Arc::new(Self {
            peer,
            who: Who::PlainHttp(PlainHttp {
                live,
                local,
                client: Arc::new(client),
            }),
            office,
            forwarder,
            closing,
            leaving: Leaving::default(),
        })
    }

    /// After a completed handshake. `live` must have been seen last when `examination` got its
    /// snapshot, so that no change falls between.
    pub(crate) fn shown(
        office: Arc<Office>,
        forwarder: Forwarder,
        address: IpAddr,
        examination: Arc<Examination>,
        live: Live,
        tls: Option<Negotiated>,
    ) -> Arc<Self> {
        let certificate = examination.presented().map(Presented::certificate);
        let peer = Peer::new(address, certificate.map(AsRef::as_ref));
        let peer = Arc::new(peer.over(tls));
        Arc::new(Self {
            peer,
            who: Who::Shown(Box::new(Standing::new(examination, live))),
            office,
            forwarder,
            closing: CancellationToken::new(),
            leaving: Leaving::default(),
        })
    }

    /// On a connection for revocation lists, where nobody has an identity.
    pub(crate) fn delivery(
        office: Arc<Office>,
        forwarder: Forwarder,
        address: IpAddr,
    ) -> Arc<Self> {
        Arc::new(Self {
            peer: Arc::new(Peer::new(address, None)),
            who: Who::Delivery,
            office,
            forwarder,
            closing: CancellationToken::new(),
            leaving: Leaving::default(),
        })
    }

    /// Fires when whatever runs on the connection must end at once.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Waits until the connection is to end after what is under way.
    pub(crate) async fn left(&self) {
        self.leaving.come().await;
    }

    /// Whether somebody is served here, who may have large header fields and time.
    pub(crate) fn is_trusted(&self) -> bool {
        match &self.who {
            Who::Anybody(_) => true,
            Who::Delivery => false,
            Who::PlainHttp(_) => self.office.receives(self.peer.address()),
            Who::Shown(standing) => standing.is_good() || self.office.receives(self.peer.address()),
        }
    }

    /// The moment after which the present verdict says nothing.
    pub(crate) fn valid_until(&self) -> Option<Timestamp> {
        match &self.who {
            Who::Shown(standing) => standing.valid_until(self.office.clock.now()),
            Who::Anybody(_) | Who::Delivery | Who::PlainHttp(_) => None,
        }
    }

    /// Whether a connection that was let in must end at once, idle or not: its certificate counts no
    /// longer. While everybody is served nobody is cut off.
    pub(crate) fn must_end(&self) -> bool {
        let Who::Shown(standing) = &self.who else {
            return false;
        };
        let ends = standing.has_ended(self.office.clock.now())
            && self.office.client_auth != ClientAuth::Observe;
        self.note_fall(standing);
        ends
    }

    /// Whether the certificate counted on this connection and its client is cut off for that.
    pub(crate) fn has_fallen(&self) -> bool {
        let Who::Shown(standing) = &self.who else {
            return false;
        };
        standing.has_fallen() && self.office.client_auth != ClientAuth::Observe
    }

    fn note_fall(&self, standing: &Standing) {
        if self.office.client_auth == ClientAuth::Observe {
            return;
        }
        if let Some((certificate, cause)) = standing.take_fall() {
            let meters = &self.office.meters;
            meters.ended.increment();
            meters.cuts().note(certificate, cause, Instant::now());
        }
    }

    /// Answers one request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let now = self.office.clock.now();
        let is_ours = is_reserved(request.uri().path()) && !matches!(self.who, Who::Anybody(_));
        Ok(match self.ruling(&request, now) {
            Ruling::Refuse(refusal) => match &self.who {
                Who::PlainHttp(plain) => self.redirect(plain, request, now),
                _ => self.refuse(&refusal, request, now),
            },
            // On the heap, or every request would carry the room for it.
            Ruling::Deliver => Box::pin(self.deliver(request, now)).await,
            Ruling::Nothing => self.nothing_here(request, now),
            Ruling::Serve(guest) if is_ours => self.reserved(&guest.client, request, now),
            Ruling::Serve(guest) => self.serve(&guest, request, now).await,
            Ruling::WrongOperator(guest, wrong) => {
                self.refuse_operator(&guest.client, &wrong, request, now)
            }
        })
    }

    /// Revocation lists, for everybody.
    async fn deliver(&self, request: Request<Incoming>, now: Timestamp) -> Response<ResponseBody> {
        let Some(lists) = &self.office.lists else {
            return self.nothing_here(request, now);
        };
        let (parts, incoming) = request.into_parts();
        let entry = Entry::of_request(now, &self.peer, &parts, None);
        let pending = self.office.access_log.pending(entry);
        let version = parts.version;
        let request = Request::from_parts(parts, incoming);
        let mut response = lists.answer(self.peer.address(), request).await;
        let status = response.status();
        let cause = if status.is_success() || status == StatusCode::NOT_MODIFIED {
            None
        } else {
            if !self.is_trusted() {
                self.end_after(&mut response, version, READING);
            }
            self.office.meters.refused(Cause::NotForwarded).increment();
            Some(Cause::NotForwarded)
        };
        pending.on_end(response, cause)
    }

    fn nothing_here(&self, request: Request<Incoming>, now: Timestamp) -> Response<ResponseBody> {
        let parts = body::unread(request);
        let cause = Cause::NotForwarded;
        self.office.meters.refused(cause).increment();
        let response = bare(StatusCode::NOT_FOUND);
        self.last(response, &parts, now, Some(cause), READING)
    }

    fn ruling(&self, request: &Request<Incoming>, now: Timestamp) -> Ruling {
        let path = request.uri().path();
        let judged = match &self.who {
            Who::Delivery | Who::Shown(_) if path == crl_service::PATH => return Ruling::Deliver,
            Who::Delivery => return Ruling::Nothing,
            Who::Anybody(client) => {
                return Ruling::Serve(Guest {
                    client: Arc::clone(client),
                    despite: None,
                });
            }
            Who::PlainHttp(plain) => Judged {
                snapshot: Arc::clone(&plain.live.borrow()),
                verdict: Err(Refusal::without_certificate(Cause::PlainHttp)),
                client: Arc::clone(&plain.client),
            },
            Who::Shown(standing) => {
                let judged = standing.judged(now, &self.peer, &self.closing);
                self.note_fall(standing);
                judged
            }
        };
        let despite = match &judged.verdict {
            Ok(identity) => {
                self.note_use(identity, request.headers(), now);
                None
            }
            Err(refusal) => match self.office.ground(self.peer.address(), path) {
                Some(ground) => Some(Despite {
                    ground,
                    cause: refusal.cause,
                }),
                None => return Ruling::Refuse(refusal.clone()),
            },
        };
        let guest = Guest {
            client: judged.client,
            despite,
        };
        let identity = judged.verdict.as_deref().ok();
        let operators = &judged.snapshot.rules().operators;
        match operators.admit(identity, request.headers()) {
            Ok(()) => Ruling::Serve(guest),
            Err(_) if self.office.client_auth == ClientAuth::Observe => Ruling::Serve(Guest {
                despite: guest.despite.or(Some(Despite {
                    ground: Ground::Observe,
                    cause: Cause::WrongOperator,
                })),
                ..guest
            }),
            Err(wrong) => Ruling::WrongOperator(guest, wrong),
        }
    }

    async fn serve(
        &self,
        guest: &Guest,
        request: Request<Incoming>,
        now: Timestamp,
    ) -> Response<ResponseBody> {
        let client = &guest.client;
        let (parts, incoming) = request.into_parts();
        let asker = self.asker(&parts);
        let entry = Entry::of_request(now, client.peer(), &parts, None).despite(guest.despite);
        let pending = self.office.access_log.pending(entry);
        if let Some(site) = self.foreign(&parts) {
            body::let_go(incoming, parts.version);
            let page = self.refuse_site(&site, &asker, now);
            return pending.on_end(page, Some(Cause::CrossSite));
        }
        if let Some(despite) = guest.despite {
            self.office.meters.admitted(despite).increment();
        }
        let request = Request::from_parts(parts, incoming);
        match self.forwarder.forward(client, request).await {
            Ok(response) => {
                self.office.meters.served.increment();
                pending.on_end(response, None)
            }
            Err(unserved) => {
                let pages = &self.office.pages;
                let (page, cause) = match unserved {
                    Unserved::Busy => (pages.application_busy(&asker, now), Cause::UpstreamBusy),
                    Unserved::Down => (pages.application_down(&asker, now), Cause::UpstreamDown),
                    Unserved::NotForwarded(status) => (bare(status), Cause::NotForwarded),
                    Unserved::BrokenRequest => {
                        (bare(StatusCode::BAD_REQUEST), Cause::BrokenRequest)
                    }
                };
                self.office.meters.refused(cause).increment();
                pending.on_end(page, Some(cause))
            }
        }
    }

    /// Writes down a head that could not be read; hyper answers it by itself and ends the connection.
    pub(crate) fn note_unreadable(&self, error: &hyper::Error) {
        let status = match (error.is_parse(), error.is_parse_too_large()) {
            (false, _) => return,
            (true, false) => StatusCode::BAD_REQUEST,
            (true, true) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        };
        self.office.meters.refused(Cause::NotForwarded).increment();
        let now = self.office.clock.now();
        let entry = Entry::of_handshake(now, &self.peer, Cause::NotForwarded).answered(status);
        self.office.access_log.record(&entry);
    }

    /// The connection goes on: whoever sits there has done nothing wrong.
    fn refuse_site(&self, site: &Foreign, asker: &Asker, now: Timestamp) -> Response<ResponseBody> {
        self.office.meters.refused(Cause::CrossSite).increment();
        if self.office.sites.is_news(&site.to_string(), Instant::now()) {
            self.office.log.finding(&site.finding());
        }
        self.office.pages.cross_site(site, asker, now)
    }

    /// The connection goes on: its certificate is good. The body stays unread.
    fn refuse_operator(
        &self,
        client: &Client,
        wrong: &WrongOperator,
        request: Request<Incoming>,
        now: Timestamp,
    ) -> Response<ResponseBody> {
        let parts = body::unread(request);
        self.office.meters.refused(Cause::WrongOperator).increment();
        let told = wrong.finding(client.peer());
        let text = told.message.get(self.office.lang);
        if self.office.operators.is_news(text, Instant::now()) {
            self.office.log.finding(&told);
        }
        let page = self.office.pages.wrong_operator(&self.asker(&parts), now);
        let entry = Entry::of_request(now, client.peer(), &parts, Some(Cause::WrongOperator));
        self.office.access_log.pending(entry).on_end(page, None)
    }

    fn foreign(&self, request: &request::Parts) -> Option<Foreign> {
        let scheme = match &self.who {
            Who::Anybody(_) | Who::PlainHttp(_) => Scheme::Http,
            Who::Delivery | Who::Shown(_) => Scheme::Https,
        };
        self.office.origins.foreign(request, scheme)
    }

    /// The button, pressed on one of our own pages; other sites cannot press it.
    fn is_choice(&self, request: &request::Parts) -> bool {
        request.method == Method::POST
            && request.uri.path() == choose_path()
            && self.foreign(request).is_none()
    }

    fn note_use(&self, identity: &ClientIdentity, headers: &HeaderMap, now: Timestamp) {
        let address = self.peer.address();
        if let Some(finding) = self.office.seen.note(identity, address, headers, now) {
            self.office.log.finding(&finding);
        }
    }

    /// What became of the certificate this machine used before, where it shows none now.
    fn past(&self, refusal: &Refusal, now: Timestamp) -> Option<Past> {
        let Who::Shown(standing) = &self.who else {
            return None;
        };
        if refusal.cause != Cause::NoCertificate {
            return None;
        }
        let snapshot = standing.snapshot();
        let address = self.peer.address();
        self.office.seen.past(address, snapshot.trust(), now)
    }

    /// Never touches the body: the page is the end of the connection.
    fn refuse(
        &self,
        refusal: &Refusal,
        request: Request<Incoming>,
        now: Timestamp,
    ) -> Response<ResponseBody> {
        let parts = body::unread(request);
        let asker = self.asker(&parts);
        self.office.meters.refused(refusal.cause).increment();
        if self.is_choice(&parts) {
            let response = self.choose(&asker, now);
            return self.last(response, &parts, now, Some(refusal.cause), Duration::ZERO);
        }
        let authorities = self.authority_names();
        let pages = &self.office.pages;
        let past = self.past(refusal, now);
        let response = pages.refusal(refusal, &authorities, past, &asker, now);
        let reading = if self.has_fallen() {
            FALLEN_READING
        } else {
            READING
        };
        self.last(response, &parts, now, Some(refusal.cause), reading)
    }

    fn redirect(
        &self,
        plain: &PlainHttp,
        request: Request<Incoming>,
        now: Timestamp,
    ) -> Response<ResponseBody> {
        let parts = body::unread(request);
        let host = parts.headers.get(header::HOST);
        let asked = host.and_then(|host| host.to_str().ok());
        let snapshot = Arc::clone(&plain.live.borrow());
        let links = server_names::to_https(asked, snapshot.tls().host_names(), plain.local.port());
        let page = self
            .office
            .pages
            .plain_http(links, &self.asker(&parts), now);
        self.office.meters.refused(Cause::PlainHttp).increment();
        self.last(page, &parts, now, Some(Cause::PlainHttp), Duration::ZERO)
    }

    /// Our own paths, asked for by somebody who is served.
    fn reserved(
        &self,
        client: &Client,
        request: Request<Incoming>,
        now: Timestamp,
    ) -> Response<ResponseBody> {
        let parts = body::unread(request);
        if self.is_choice(&parts) {
            let response = self.choose(&self.asker(&parts), now);
            return self.last(response, &parts, now, None, Duration::ZERO);
        }
        let mut response = bare(StatusCode::NOT_FOUND);
        if parts.method == Method::GET && parts.uri.path() == choose_path() {
            // Somebody reloads the page that said to reload.
            response = bare(StatusCode::SEE_OTHER);
            let root = HeaderValue::from_static("/");
            response.headers_mut().insert(header::LOCATION, root);
        }
        let entry = Entry::of_request(now, client.peer(), &parts, None);
        self.office.access_log.pending(entry).on_end(response, None)
    }

    fn choose(&self, asker: &Asker, now: Timestamp) -> Response<ResponseBody> {
        self.office.choices.wish(asker.address, Instant::now());
        self.office.pages.chosen(asker, now)
    }

    /// A response that ends its connection, on HTTP/2 after `reading`.
    fn last(
        &self,
        mut response: Response<ResponseBody>,
        request: &request::Parts,
        now: Timestamp,
        cause: Option<Cause>,
        reading: Duration,
    ) -> Response<ResponseBody> {
        self.end_after(&mut response, request.version, reading);
        let entry = Entry::of_request(now, &self.peer, request, cause);
        self.office
            .access_log
            .pending(entry)
            .on_end(response, cause)
    }

    fn end_after(
        &self,
        response: &mut Response<ResponseBody>,
        version: Version,
        reading: Duration,
    ) {
        // HTTP/2 has GOAWAY instead (RFC 9113 §8.2.2).
        let mut leave = Instant::now();
        if version < Version::HTTP_2 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        } else {
            leave += reading;
        }
        self.leaving.not_later_than(leave);
    }

    fn asker(&self, request: &request::Parts) -> Asker {
        let path = request.uri.path();
        let lang = self.office.lang;
        let asker = Asker::new(self.peer.address(), path, &request.headers, lang);
        asker.with_method(&request.method)
    }

    fn authority_names(&self) -> Vec<String> {
        let Who::Shown(standing) = &self.who else {
            return Vec::new();
        };
        let snapshot = standing.snapshot();
        let authorities = snapshot.trust().authorities();
        let mut names: Vec<String> = authorities
            .iter()
            .map(|authority| {
                let subject = authority.subject();
                subject.common_name().unwrap_or_else(|| subject.one_line())
            })
            .collect();
        names.dedup();
        names
    }
}

fn choose_path() -> String {
    format!("{RESERVED}choose")
}

fn bare(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = status;
    response
}
