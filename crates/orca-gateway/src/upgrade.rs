//! WebSocket tunnels (RFC 6455 over HTTP/1.1): raw octets both ways, once both sides agreed.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode, Version, request};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio_util::sync::CancellationToken;

use crate::access_log::TunnelEnd;

/// The client's half, if the request asks for a WebSocket (RFC 6455 §4.1). Other protocols are not
/// offered to the application.
pub(crate) fn requested(request: &mut request::Parts, body: &impl Body) -> Option<OnUpgrade> {
    let asks = request.method == Method::GET
        && request.version == Version::HTTP_11
        && body.is_end_stream()
        && has_token(&request.headers, header::CONNECTION, "upgrade")
        && asks_for_websocket(&request.headers);
    request.extensions.remove::<OnUpgrade>().filter(|_| asks)
}

/// Whether `Upgrade` names the protocol, whatever the rest of the request says.
pub(crate) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
}

/// Asks for a WebSocket, or grants one, after the connection fields were removed.
pub(crate) fn set(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// The application's half, if it switched to the protocol that was asked for.
pub(crate) fn granted<B>(response: &mut Response<B>) -> Option<OnUpgrade> {
    let mut protocols = response.headers().get_all(header::UPGRADE).iter();
    let only_websocket = protocols
        .next()
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && protocols.next().is_none();
    let grants = only_websocket
        && response.status() == StatusCode::SWITCHING_PROTOCOLS
        && has_token(response.headers(), header::CONNECTION, "upgrade");
    response
        .extensions_mut()
        .remove::<OnUpgrade>()
        .filter(|_| grants)
}

/// Copies both ways until both sides are done, one fails, or `closing` fires. A side that has
/// nothing more to say may still listen. Octets that were read too early are handed over by hyper.
pub(crate) async fn tunnel(
    client: OnUpgrade,
    application: OnUpgrade,
    closing: CancellationToken,
    end: TunnelEnd,
) {
    let copied = async {
        let (client, application) = tokio::try_join!(client, application).ok()?;
        let (mut client, mut application) = (TokioIo::new(client), TokioIo::new(application));
        copy_bidirectional(&mut client, &mut application).await.ok()
    };
    if let Some(Some((_, sent))) = closing.run_until_cancelled(copied).await {
        end.sent(sent);
    }
    drop(end);
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|octet| *octet == b','))
        .any(|word| word.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}
