//! Lines that wait for the end of a response, or of the tunnel that it opens.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use super::{AccessLog, Entry};
use crate::body::{BoxError, ResponseBody};
use crate::identity::Cause;

/// An entry whose line is written when it is dropped.
pub(crate) struct Pending {
    pub(super) log: AccessLog,
    pub(super) entry: Entry,
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
        if let Some(TunnelEnd(tunnel)) = response.extensions_mut().remove::<TunnelEnd>() {
            // A tunnel that is over already has dropped its half: then the line is due now.
            let _ = tunnel.pending.set(self);
            return response;
        }
        self.entry.bytes = Some(0);
        response.map(|body| {
            Logged {
                body,
                pending: self,
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
pub(crate) struct TunnelEnd(Arc<Tunnel>);

#[derive(Default)]
struct Tunnel {
    pending: OnceLock<Pending>,
    bytes: OnceLock<u64>,
}

impl TunnelEnd {
    /// How many octets the client got; unknown where the tunnel was broken off.
    pub(crate) fn sent(&self, octets: u64) {
        let _ = self.0.bytes.set(octets);
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.get_mut() {
            pending.entry.bytes = self.bytes.get().copied();
        }
    }
}

struct Logged {
    body: ResponseBody,
    pending: Pending,
}

impl Body for Logged {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Some(bytes) = &mut self.pending.entry.bytes
        {
            *bytes += u64::try_from(data.len()).unwrap_or(u64::MAX);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
