//! Exchanges with the application over connections that are kept.

pub(crate) mod trouble;

use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Method, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use crate::body::{ClientGone, RequestBody};
use crate::connector::Connector;
use crate::salvage::{Deaf, Salvage};
use crate::slots::{Slot, Slots};

/// Idle connections kept, and for how long.
const MAX_IDLE: usize = 64;
const MAX_IDLE_TIME: Duration = Duration::from_secs(60);
/// A connection that was idle this long may have been closed by the application just now.
const DOUBTFUL_AFTER: Duration = Duration::from_secs(1);

/// What is read ahead of a slow client, and the largest head of a response.
const BUFFER: usize = 256 * 1024;

/// Whose fault a failed exchange is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    Client,
    Upstream,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("no connection: {0}")]
    Connect(#[from] io::Error),
    #[error("no answer: {0}")]
    Exchange(#[from] hyper::Error),
    #[error("as many requests as it may have are with it already")]
    Busy,
}

impl UpstreamError {
    /// Whose fault it is.
    pub(crate) fn fault(&self) -> Fault {
        let Self::Exchange(error) = self else {
            return Fault::Upstream;
        };
        match error.source() {
            Some(source) if source.is::<ClientGone>() => Fault::Client,
            _ => Fault::Upstream,
        }
    }
}

/// The application, and the idle connections of one worker to it.
#[derive(Clone)]
pub(crate) struct Upstream {
    connector: Connector,
    slots: Slots,
    idle: Arc<Idle>,
}

/// Connections without a request, the one used last at the end.
#[derive(Default)]
struct Idle(Mutex<Vec<(Instant, Connection)>>);

/// The right to a connection while a response is under way. Dropped, it closes the connection.
pub(crate) struct Lease {
    connection: Connection,
    idle: Arc<Idle>,
    slot: Slot,
}

/// One connection to the application.
struct Connection {
    sender: SendRequest<RequestBody>,
    deaf: Deaf,
}

impl Upstream {
    /// Exchanges over connections of `connector`, as many at once as `slots` has.
    pub(crate) fn new(connector: Connector, slots: Slots) -> Self {
        Self {
            connector,
            slots,
            idle: Arc::default(),
        }
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// A kept connection that turns out to be closed is replaced by a new one, once, and only if the
    /// application cannot have acted: it never began to read, or the request is safe and has no body
    /// (RFC 9110 §9.2.2).
    ///
    /// # Errors
    /// The application is down or busy, or the client gave up.
    pub(crate) async fn send(
        &self,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        let slot = self.slots.take().await.ok_or(UpstreamError::Busy)?;
        let Some(connection) = self.idle.take().await else {
            // On the heap, or every request would carry the room for it.
            return Box::pin(self.send_anew(request, slot)).await;
        };
        let copy = repeatable(&request);
        let mut lease = self.lease(connection, slot);
        match lease.connection.sender.try_send_request(request).await {
            Ok(response) => Ok((response, lease)),
            Err(mut failed) => {
                let unsent = failed.take_message();
                let error = failed.into_error();
                match unsent.or(copy) {
                    Some(again) if !error.is_parse() => {
                        Box::pin(self.send_anew(again, lease.slot)).await
                    }
                    _ => Err(error.into()),
                }
            }
        }
    }

    async fn send_anew(
        &self,
        request: Request<RequestBody>,
        slot: Slot,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        let stream = Salvage::new(self.connector.connect().await?);
        let deaf = stream.deaf();
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(stream))
            .await?;
        // Its errors reach whoever waits for the response or reads the body.
        tokio::spawn(connection.with_upgrades());
        let mut lease = self.lease(Connection { sender, deaf }, slot);
        let response = lease.connection.sender.send_request(request).await?;
        Ok((response, lease))
    }

    fn lease(&self, connection: Connection, slot: Slot) -> Lease {
        Lease {
            connection,
            idle: Arc::clone(&self.idle),
            slot,
        }
    }
}

impl Lease {
    /// Keeps the connection for the next request; the response must have been read to its end.
    pub(crate) fn give_back(self) {
        self.idle.put(self.connection);
    }
}

impl Connection {
    fn is_ready(&self) -> bool {
        self.sender.is_ready() && !self.deaf.is_deaf()
    }
}

impl Idle {
    fn put(&self, connection: Connection) {
        if connection.sender.is_closed() || connection.deaf.is_deaf() {
            return;
        }
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= MAX_IDLE {
            idle.remove(0);
        }
        idle.push((Instant::now(), connection));
    }

    /// A connection that is open and ready for a request, as far as can be known.
    async fn take(&self) -> Option<Connection> {
        loop {
            let (since, connection) = self.take_ready()?;
            if since.elapsed() > DOUBTFUL_AFTER {
                // Lets the runtime look at the sockets: a close that has arrived is noticed now, and
                // not after the request has been written into the void.
                tokio::task::yield_now().await;
            }
            if connection.is_ready() {
                return Some(connection);
            }
        }
    }

    fn take_ready(&self) -> Option<(Instant, Connection)> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        idle.retain(|(since, connection)| {
            !connection.sender.is_closed() && now.duration_since(*since) < MAX_IDLE_TIME
        });
        // One that is not ready still sends the rest of a request that was answered early.
        let position = idle
            .iter()
            .rposition(|(_, connection)| connection.is_ready())?;
        Some(idle.remove(position))
    }
}

/// A second copy of a safe request without body.
fn repeatable(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if !safe || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(RequestBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}
