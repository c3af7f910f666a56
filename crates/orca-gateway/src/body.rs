//! Bodies: what clients send, and what they get.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version, request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::headers;
use crate::upstream::Lease;

/// Any error that ends a body.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a response: a page of ours, or what the application sends.
pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// A body that is all there.
pub(crate) fn full(content: impl Into<Bytes>) -> ResponseBody {
    Full::new(content.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// No body.
pub(crate) fn empty() -> ResponseBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// The client ended its request before it was whole.
#[derive(Debug, thiserror::Error)]
#[error("the client ended its request early: {0}")]
pub(crate) struct ClientGone(#[source] hyper::Error);

/// How long the rest of a request on HTTP/2 is read after its answer, and how much of it. Letting go
/// of it resets the stream (NO_ERROR, RFC 9113 §8.1), and curl takes a reset that comes with the answer
/// for a failure; one that has used up its window sleeps until it gets more.
const LINGER: Duration = Duration::from_millis(200);
const LINGER_OCTETS: usize = 4 << 20;

/// Answers without reading the body: what remains of the request.
pub(crate) fn unread(request: Request<Incoming>) -> request::Parts {
    let (parts, incoming) = request.into_parts();
    let_go(incoming, parts.version);
    parts
}

/// Gives up a body that may not have been read to its end.
pub(crate) fn let_go(incoming: Incoming, version: Version) {
    if version != Version::HTTP_2 || incoming.is_end_stream() {
        return;
    }
    // At the end of a worker nobody is left to wait.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(timeout(LINGER, discard(incoming)));
    }
}

/// Ends with the body; one that is too long is held unread.
async fn discard(mut incoming: Incoming) {
    let mut left = LINGER_OCTETS;
    while left > 0 {
        let Some(Ok(frame)) = incoming.frame().await else {
            return;
        };
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
    }
    std::future::pending().await
}

/// What a client sends, on its way to the application.
pub(crate) struct RequestBody(Option<(Incoming, Version)>);

impl RequestBody {
    /// Streams the body of a request.
    pub(crate) fn streamed(incoming: Incoming, version: Version) -> Self {
        Self(Some((incoming, version)))
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self(None)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = ClientGone;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientGone>>> {
        let Some((incoming, _)) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(incoming).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map(clean).map_err(ClientGone)))
    }

    fn is_end_stream(&self) -> bool {
        let incoming = self.0.as_ref();
        incoming.is_none_or(|(incoming, _)| incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some((incoming, _)) => incoming.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some((incoming, version)) = self.0.take() {
            let_go(incoming, version);
        }
    }
}

/// What the application sends, on its way to a client. At its end the connection goes back to the
/// pool; a client that leaves earlier ends the connection.
pub(crate) struct Forwarded {
    incoming: Incoming,
    lease: Option<Lease>,
}

impl Forwarded {
    /// Streams the body of a response that came over the connection of `lease`.
    pub(crate) fn new(incoming: Incoming, lease: Lease) -> Self {
        let mut forwarded = Self {
            incoming,
            lease: Some(lease),
        };
        forwarded.give_back_at_end();
        forwarded
    }

    fn give_back_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Body for Forwarded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => self.give_back_at_end(),
            Some(Err(_)) => self.lease = None,
            None => self.give_back(),
        }
        Poll::Ready(frame.map(|frame| frame.map(clean).map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

fn clean(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            headers::clean_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}
