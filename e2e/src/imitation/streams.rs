//! Large and slow bodies.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;
use tokio::time::Interval;

use super::Body;
use super::html;
use super::json as json_response;
use super::pages;
use super::query_number;
use super::record::fields;

/// The pattern has a prime period, so that a lost or doubled block of any usual size shows.
const PERIOD: usize = 251;
/// Whole periods, so that one buffer serves at every offset.
const BLOCK: usize = PERIOD * 256;

/// `/download?bytes=N`: byte `i` is `i % 251`.
pub(super) fn download(request: &Request<Incoming>) -> Response<Body> {
    let Some(length) = query_number(request, "bytes") else {
        return html(StatusCode::BAD_REQUEST, pages::not_found());
    };
    let body = Pattern {
        block: pattern(),
        left: length,
    };
    stream(body.boxed_unsync())
}

/// `/drip?count=N&ms=M`: N lines, M milliseconds apart.
pub(super) fn drip(request: &Request<Incoming>) -> Response<Body> {
    let count = query_number(request, "count").unwrap_or(10);
    let pause = query_number(request, "ms").unwrap_or(100).max(1);
    let body = Drip {
        beat: tokio::time::interval(Duration::from_millis(pause)),
        sent: 0,
        count,
    };
    stream(body.boxed_unsync())
}

/// Reads everything and answers how much it was, its SHA-256 and the trailer fields.
pub(super) async fn upload(request: Request<Incoming>) -> Response<Body> {
    let mut body = request.into_body();
    let mut context = digest::Context::new(&digest::SHA256);
    let mut count = 0_u64;
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return html(StatusCode::BAD_REQUEST, pages::not_found());
        };
        match frame.into_data() {
            Ok(data) => {
                count += data.len() as u64;
                context.update(&data);
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    let sha256: String = context
        .finish()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json_response(
        StatusCode::OK,
        &json!({ "bytes": count, "sha256": sha256, "trailers": fields(&trailers) }),
    )
}

/// One block of what `/download` sends.
fn pattern() -> Bytes {
    (0..BLOCK)
        .map(|index| (index % PERIOD) as u8)
        .collect::<Vec<_>>()
        .into()
}

fn stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    response
}

/// The same block again and again, never in memory twice.
struct Pattern {
    block: Bytes,
    left: u64,
}

impl http_body::Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = self.left.min(BLOCK as u64);
        self.left -= length;
        let data = self.block.slice(..length as usize);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A line at every beat.
struct Drip {
    beat: Interval,
    sent: u64,
    count: u64,
}

impl http_body::Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent == self.count {
            return Poll::Ready(None);
        }
        match self.beat.poll_tick(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => {
                self.sent += 1;
                let line = format!("line {}\n", self.sent);
                Poll::Ready(Some(Ok(Frame::data(line.into()))))
            }
        }
    }
}
