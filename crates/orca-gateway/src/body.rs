//! Bodies of responses, whoever made them.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

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
