//! One look at the address in `CA_CRL`: a GET without redirects, under limits of size and time.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use orca_messages::{Text, render, text};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::connector::Connector;
use crate::crl_address::CrlAddress;
use crate::crl_intake::MOST_OCTETS;

/// For everything: name, connection, TLS, head and body.
const DEADLINE: Duration = Duration::from_secs(20);
/// The largest head, and what is read ahead of the body.
const BUFFER: usize = 64 * 1024;

/// What lies there.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// The content, and its tag.
    Content(Bytes, Option<HeaderValue>),
    /// The same as when the tag was given.
    Unchanged,
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0}")]
    Broken(#[from] hyper::Error),
    #[error("{0}")]
    Connect(#[from] io::Error),
    #[error("304 for a list that was not asked about")]
    NotAsked,
    #[error("a redirect")]
    Redirect,
    #[error("the status {0}")]
    Status(StatusCode),
    #[error("nothing within {} seconds", DEADLINE.as_secs())]
    TimedOut,
    #[error("larger than {} MiB", MOST_OCTETS / (1024 * 1024))]
    TooLarge,
}

/// Asks once, for something else than what has this tag.
///
/// # Errors
/// There is nothing to be had, or it is no way to deliver a list.
pub(crate) async fn fetch(
    connector: &Connector,
    address: &CrlAddress,
    known: Option<&HeaderValue>,
) -> Result<Fetched, FetchError> {
    timeout(DEADLINE, exchange(connector, address, known))
        .await
        .unwrap_or(Err(FetchError::TimedOut))
}

async fn exchange(
    connector: &Connector,
    address: &CrlAddress,
    known: Option<&HeaderValue>,
) -> Result<Fetched, FetchError> {
    let stream = connector.connect().await?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake(TokioIo::new(stream))
        .await?;
    // Its errors reach whoever waits for the response or reads the body.
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender.send_request(request(address, known)).await?;
    match response.status() {
        StatusCode::OK => {
            let tag = response.headers().get(header::ETAG).cloned();
            Ok(Fetched::Content(content(response).await?, tag))
        }
        StatusCode::NOT_MODIFIED if known.is_some() => Ok(Fetched::Unchanged),
        StatusCode::NOT_MODIFIED => Err(FetchError::NotAsked),
        status if status.is_redirection() => Err(FetchError::Redirect),
        status => Err(FetchError::Status(status)),
    }
}

fn request(address: &CrlAddress, known: Option<&HeaderValue>) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = address.path.clone().into();
    let fields = request.headers_mut();
    // An authority that was parsed is a value of a field.
    if let Ok(host) = HeaderValue::from_str(address.authority.as_str()) {
        fields.insert(header::HOST, host);
    }
    let agent = HeaderValue::from_static(concat!("orca-gateway/", env!("CARGO_PKG_VERSION")));
    fields.insert(header::USER_AGENT, agent);
    fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(tag) = known {
        fields.insert(header::IF_NONE_MATCH, tag.clone());
    }
    request
}

async fn content(response: Response<Incoming>) -> Result<Bytes, FetchError> {
    let mut body = response.into_body();
    let declared = body.size_hint().exact().unwrap_or_default();
    if declared > MOST_OCTETS as u64 {
        return Err(FetchError::TooLarge);
    }
    let mut octets = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            octets.extend_from_slice(&data);
        }
        if octets.len() > MOST_OCTETS {
            return Err(FetchError::TooLarge);
        }
    }
    Ok(octets.freeze())
}

impl FetchError {
    /// The word for it, which no server can choose.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Broken(_) => "broken",
            Self::Connect(_) => "connect",
            Self::NotAsked => "not-asked",
            Self::Redirect => "redirect",
            Self::Status(_) => "status",
            Self::TimedOut => "timed-out",
            Self::TooLarge => "too-large",
        }
    }

    /// The reason as a phrase without full stop.
    pub(crate) fn phrase(&self) -> Text {
        match self {
            Self::Broken(error) => {
                let error = render::one_line(&error.to_string());
                text!(
                    "応答が途中で切れたか、正しくありません: {error}",
                    "the answer is cut off or broken: {error}"
                )
            }
            Self::Connect(error) => {
                let error = render::one_line(&error.to_string());
                text!("接続できません: {error}", "no connection: {error}")
            }
            Self::NotAsked => text!(
                "尋ねていないのに「変更なし」(304)と応答しました",
                "it answers 304 although nothing was asked about"
            ),
            Self::Redirect => text!(
                "別のアドレスへの転送を応答しました",
                "it redirects elsewhere, which is not followed"
            ),
            Self::Status(status) => {
                let code = status.as_u16();
                text!(
                    "状態コード{code}を応答しました",
                    "it answers with status {code}"
                )
            }
            Self::TimedOut => {
                let seconds = DEADLINE.as_secs();
                text!(
                    "{seconds}秒以内に取得できません",
                    "nothing arrived within {seconds} seconds"
                )
            }
            Self::TooLarge => {
                let most = MOST_OCTETS / (1024 * 1024);
                text!(
                    "大きすぎます({most}MiBまで)",
                    "it is larger than {most} MiB"
                )
            }
        }
    }
}
