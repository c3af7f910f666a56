//! One connection from accept to close: handshake, verdict, requests, and an end when its
//! certificate counts no longer.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use jiff::Timestamp;
use rustls::server::{Acceptor, ClientHello};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};
use tokio_util::sync::CancellationToken;

use crate::access_log::{Entry, Peer};
use crate::body::ResponseBody;
use crate::clock::Clock;
use crate::cork::Cork;
use crate::denial::deny;
use crate::examination::Examination;
use crate::forward::Forwarder;
use crate::http1::{Http1, Limits};
use crate::live::Live;
use crate::negotiated::Negotiated;
use crate::office::Office;
use crate::seldom::seldom;
use crate::session::Session;
use crate::shutdown::Phase;
use crate::stream::{Lent, Owned, Pace, Stream, drain_and_drop, lend};
use crate::tls::{CRL_DELIVERY, H2};
use crate::trust::Presented;

/// From accept to the first octet.
const FIRST_OCTET: Duration = Duration::from_secs(10);
/// How long a client without identity may take for a request head, and for leaving.
const STRANGER_PATIENCE: Duration = Duration::from_secs(10);
/// How long it may stay in all, even if it answers pings and asks for nothing.
const STRANGER_STAY: Duration = Duration::from_secs(30);
/// Header fields of a request, before and after a verdict.
const STRANGER_HEAD: usize = 16 * 1024;
const HEAD: usize = 128 * 1024;
/// Requests at a time on a connection of HTTP/2, before and after a verdict.
const STRANGER_STREAMS: u32 = 8;
const STREAMS: u32 = 128;
/// A client that has just connected is about to ask; a draining gateway waits this long for it.
const FIRST_REQUEST: Duration = Duration::from_secs(2);
/// A connection on which nothing happens gives its buffers back after this.
const QUIET: Duration = Duration::from_millis(50);
/// The clock of the machine may be set; dates are looked at again after this at the latest.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// What a worker needs for its connections.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) office: Arc<Office>,
    pub(crate) forwarder: Forwarder,
    /// `None` in HTTP mode.
    pub(crate) live: Option<Live>,
    pub(crate) phase: watch::Receiver<Phase>,
}

impl Front {
    /// Serves one accepted connection until it is closed.
    pub(crate) async fn connection(self, tcp: TcpStream, remote: SocketAddr) {
        let address = remote.ip().to_canonical();
        let mut place = match self.office.doorway.enter(address, Instant::now()) {
            Ok(place) => place,
            Err(crowded) => {
                if let Some(news) = crowded.news {
                    self.office.log.finding(&news);
                }
                return;
            }
        };
        let Some(live) = self.live.clone() else {
            let session = Session::open(self.office.clone(), self.forwarder.clone(), address);
            place.let_in();
            return self.drive(Stream::Plain(tcp), Version::One, session).await;
        };
        let deadline = self.office.limits.handshake;
        // Not within this future: a connection is open much longer than its handshake takes.
        let arriving = Box::pin(self.arrive(tcp, address, live));
        let Ok(arrived) = timeout(deadline, arriving).await else {
            return;
        };
        match arrived {
            Arrived::Served(stream, version, session) => {
                if session.is_trusted() {
                    place.let_in();
                }
                self.drive(stream, version, session).await;
            }
            Arrived::Refused(tcp) => drain_and_drop(tcp).await,
            Arrived::Gone => {}
        }
    }

    async fn arrive(&self, mut tcp: TcpStream, address: IpAddr, live: Live) -> Arrived {
        let mut first = [0];
        // Nobody who says nothing keeps a place.
        let spoke = timeout(FIRST_OCTET, tcp.peek(&mut first)).await;
        let (Ok(Ok(1)), Ok(local)) = (spoke, tcp.local_addr()) else {
            return Arrived::Gone;
        };
        // A handshake record begins with 22 (RFC 8446 §5.1), a request with a letter.
        if first[0].is_ascii_alphabetic() {
            let office = self.office.clone();
            let session = Session::plain_http(office, self.forwarder.clone(), address, local, live);
            return Arrived::Served(Stream::Plain(tcp), Version::One, session);
        }
        if self.office.choices.take(address, Instant::now()) {
            let snapshot = Arc::clone(&live.borrow());
            return match deny(&mut tcp, snapshot.tls()).await {
                Ok(()) => Arrived::Refused(tcp),
                Err(_) => Arrived::Gone,
            };
        }
        self.handshake(tcp, address, local, live).await
    }

    async fn handshake(
        &self,
        tcp: TcpStream,
        address: IpAddr,
        local: SocketAddr,
        mut live: Live,
    ) -> Arrived {
        let snapshot = Arc::clone(&live.borrow_and_update());
        let examination = Arc::new(Examination::new(
            snapshot,
            self.office.client_auth_of(address),
            self.office.clock,
        ));
        let mut hello = LazyConfigAcceptor::new(Acceptor::default(), Cork::new(tcp));
        let Ok(hello) = (&mut hello).await else {
            // An alert was sent; no certificate had been asked for yet.
            let cork = hello.take_io();
            return cork.map_or(Arrived::Gone, |cork| Arrived::Refused(cork.into_socket()));
        };
        if wants_delivery(&hello.client_hello()) {
            return self.delivery(hello, address, &examination).await;
        }
        let Ok(config) = examination.snapshot().tls().config(&examination) else {
            return Arrived::Gone;
        };
        let outcome = hello.into_stream(config).into_fallible().await;
        self.look_at_name(&examination, local);
        let tls = match outcome {
            Ok(tls) => tls,
            Err((error, cork)) => {
                self.note_refusal(&error, &examination, address);
                return Arrived::Refused(cork.into_socket());
            }
        };
        self.office.meters.handshakes.increment();
        let version = match tls.get_ref().1.alpn_protocol() {
            Some(H2) => Version::Two,
            _ => Version::One,
        };
        let negotiated = Negotiated::of(tls.get_ref().1);
        let office = self.office.clone();
        let forwarder = self.forwarder.clone();
        let session = Session::shown(office, forwarder, address, examination, live, negotiated);
        Arrived::Served(Stream::Tls(Box::new(tls)), version, session)
    }

    /// A connection for revocation lists only, in both modes: no identity can come of it.
    async fn delivery(
        &self,
        hello: StartHandshake<Cork>,
        address: IpAddr,
        examination: &Examination,
    ) -> Arrived {
        let Ok(config) = examination.snapshot().tls().delivery_config() else {
            return Arrived::Gone;
        };
        match hello.into_stream(config).into_fallible().await {
            Ok(tls) => {
                self.office.meters.handshakes.increment();
                let session =
                    Session::delivery(self.office.clone(), self.forwarder.clone(), address);
                Arrived::Served(Stream::Tls(Box::new(tls)), Version::One, session)
            }
            Err((_, cork)) => Arrived::Refused(cork.into_socket()),
        }
    }

    fn note_refusal(&self, error: &io::Error, examination: &Examination, address: IpAddr) {
        let tls = error.get_ref().and_then(|error| error.downcast_ref());
        let Some(refusal) = tls.and_then(|error| examination.refusal(error)) else {
            return;
        };
        self.office.meters.refused(refusal.cause).increment();
        let shown = examination.presented().map(Presented::certificate);
        let peer = Arc::new(Peer::new(address, shown.map(AsRef::as_ref)));
        let now = self.office.clock.now();
        let entry = Entry::of_handshake(now, &peer, refusal.cause);
        self.office.access_log.record(&entry);
    }

    fn look_at_name(&self, examination: &Examination, local: SocketAddr) {
        if let Some(asked) = examination.asked() {
            let names = examination.snapshot().tls().host_names();
            let log = &self.office.log;
            self.office.names.look(asked, local.ip(), names, log);
        }
    }

    /// Serves requests until either side ends the connection, or it has to end.
    async fn drive(mut self, stream: Stream, version: Version, session: Arc<Session>) {
        let (owned, lent) = lend(stream, version.pace());
        let idle = self.office.limits.idle;
        let asked = CancellationToken::new();
        let requests = Requests {
            session: Arc::clone(&session),
            asked: asked.clone(),
        };
        let mut http = Some(Http::new(lent, version, requests, idle));
        let clock = self.office.clock;
        let trusted = session.is_trusted();
        let mut stay = std::pin::pin!(sleep(STRANGER_STAY));
        let mut leaving = false;
        let mut awaited = false;
        loop {
            let is_tunnel = http.is_none();
            let interruption = seldom(async {
                tokio::select! {
                    biased;
                    () = owned.given_back(), if is_tunnel => Event::End,
                    () = judged_anew(self.live.as_mut()) => Event::Judge,
                    () = until(session.valid_until(), clock) => Event::Judge,
                    phase = next_phase(&mut self.phase) => phase,
                    () = session.left(), if !leaving => Event::Leave,
                    () = sleep(STRANGER_PATIENCE), if leaving => Event::End,
                    () = asked_or_late(&asked), if awaited => Event::Asked,
                    () = &mut stay, if !trusted => Event::End,
                }
            });
            let event = tokio::select! {
                biased;
                ended = over(&mut http, &owned) => Event::HttpOver(ended),
                event = interruption => event,
            };
            match event {
                // A tunnel may have taken over; then the connection is not given back yet.
                Event::HttpOver(ended) => {
                    http = None;
                    if let Err(error) = ended {
                        session.note_unreadable(&error);
                    }
                }
                Event::Judge if session.must_end() => break,
                Event::Judge => {}
                // Its other streams must not outlive the verdict.
                Event::Leave if version == Version::Two && session.has_fallen() => break,
                Event::Leave => {
                    leaving = true;
                    finish(&mut http);
                }
                // hyper would close a connection of HTTP/1.1 whose first request is on its way.
                Event::Drain if version == Version::One && !asked.is_cancelled() => awaited = true,
                Event::Drain => finish(&mut http),
                Event::Asked => {
                    awaited = false;
                    finish(&mut http);
                }
                Event::EndTunnels => session.closing().cancel(),
                Event::End => break,
            }
        }
        session.closing().cancel();
        drop(http);
        if let Some(stream) = owned.take() {
            stream.close().await;
        }
    }
}

/// What became of a connection within the deadline.
enum Arrived {
    Served(Stream, Version, Arc<Session>),
    Refused(TcpStream),
    Gone,
}

enum Event {
    Asked,
    Drain,
    End,
    EndTunnels,
    HttpOver(hyper::Result<()>),
    Judge,
    Leave,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn pace(self) -> Pace {
        match self {
            Self::One => Pace::AtOnce,
            Self::Two => Pace::Gathered,
        }
    }
}

/// Whether a client comes to deliver or fetch revocation lists, whatever else it could speak.
fn wants_delivery(hello: &ClientHello<'_>) -> bool {
    hello
        .alpn()
        .is_some_and(|mut offered| offered.any(|protocol| protocol == CRL_DELIVERY))
}

/// Its error says that the client misbehaved or left; either way this is the end.
async fn over(http: &mut Option<Http>, owned: &Owned) -> hyper::Result<()> {
    let Some(http) = http else {
        return std::future::pending().await;
    };
    poll_fn(|cx| {
        let ended = Pin::new(&mut *http).poll(cx);
        let Http::Two(connection) = http else {
            return ended;
        };
        if ended.is_pending() && matches!(owned.poll_flush(cx), Poll::Ready(Err(_))) {
            // It meets the error itself when it reads.
            return connection.as_mut().poll(cx);
        }
        ended
    })
    .await
}

async fn asked_or_late(asked: &CancellationToken) {
    // Late or not, the connection ends after what is under way.
    let _ = timeout(FIRST_REQUEST, asked.cancelled()).await;
}

fn finish(http: &mut Option<Http>) {
    if let Some(http) = http {
        http.graceful_shutdown();
    }
}

async fn judged_anew(live: Option<&mut Live>) {
    if let Some(live) = live
        && live.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

async fn until(moment: Option<Timestamp>, clock: Clock) {
    let Some(moment) = moment else {
        return std::future::pending().await;
    };
    let left = moment.duration_since(clock.now());
    let left = Duration::try_from(left).unwrap_or_default();
    // notAfter itself is still valid.
    sleep((left + Duration::from_secs(1)).min(LONGEST_SLEEP)).await;
}

async fn next_phase(phase: &mut watch::Receiver<Phase>) -> Event {
    if phase.changed().await.is_err() {
        return Event::End;
    }
    match *phase.borrow_and_update() {
        Phase::Serving | Phase::Draining => Event::Drain,
        Phase::EndingTunnels => Event::EndTunnels,
        Phase::Ended => Event::End,
    }
}

/// hyper's half, either version.
enum Http {
    One(Http1<Requests>),
    Two(Pin<Box<http2::Connection<TokioIo<Lent>, Requests, TokioExecutor>>>),
}

impl Http {
    fn new(lent: Lent, version: Version, requests: Requests, idle: Duration) -> Self {
        let (head, streams, patience) = if requests.session.is_trusted() {
            (HEAD, STREAMS, idle)
        } else {
            (STRANGER_HEAD, STRANGER_STREAMS, STRANGER_PATIENCE)
        };
        match version {
            Version::One => Self::One(Http1::new(
                lent,
                requests,
                Limits {
                    head,
                    patience,
                    quiet: QUIET,
                },
            )),
            Version::Two => Self::Two(Box::pin(
                http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
                    .max_concurrent_streams(streams)
                    .keep_alive_interval(patience)
                    .keep_alive_timeout(STRANGER_PATIENCE)
                    .serve_connection(TokioIo::new(lent), requests),
            )),
        }
    }

    fn graceful_shutdown(&mut self) {
        match self {
            Self::One(connection) => connection.graceful_shutdown(),
            Self::Two(connection) => connection.as_mut().graceful_shutdown(),
        }
    }
}

impl Future for Http {
    type Output = hyper::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::One(connection) => Pin::new(connection).poll(cx),
            Self::Two(connection) => connection.as_mut().poll(cx),
        }
    }
}

struct Requests {
    session: Arc<Session>,
    /// Fires with the first request.
    asked: CancellationToken,
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.asked.cancel();
        Box::pin(Arc::clone(&self.session).answer(request))
    }
}
