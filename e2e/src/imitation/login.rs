//! Logging in as an operator, as a browser does it.

use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::Body;
use super::html;
use super::pages;
use super::record::Record;
use super::see_other;

const OPERATOR: &str = "ormaster";
const PASSWORD: &str = "ormaster";
const COOKIE: &str = "weborca_session";

/// Opens a session and leads to the main page, or shows the form again.
pub(super) async fn log_in(request: Request<Incoming>, record: &Record) -> Response<Body> {
    let Ok(body) = request.into_body().collect().await else {
        return html(
            StatusCode::BAD_REQUEST,
            pages::login(Some("送信が中断されました。")),
        );
    };
    let form = body.to_bytes();
    let operator = form_value(&form, "operator");
    let password = form_value(&form, "password");
    if operator != Some(OPERATOR) || password != Some(PASSWORD) {
        let complaint = "オペレータIDまたはパスワードが正しくありません。";
        return html(StatusCode::OK, pages::login(Some(complaint)));
    }
    let mut response = see_other("/main");
    if let Some((token, cookie)) = new_session() {
        record.open_session(token, OPERATOR.to_owned());
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// The main page of whoever is logged in; everybody else is led to the form.
pub(super) fn main_page(request: &Request<Incoming>, record: &Record) -> Response<Body> {
    let operator = request
        .headers()
        .get(header::COOKIE)
        .and_then(|cookies| cookies.to_str().ok())
        .and_then(|cookies| {
            cookies
                .split("; ")
                .find_map(|pair| pair.strip_prefix(COOKIE)?.strip_prefix('='))
        })
        .and_then(|token| record.operator(token));
    match operator {
        Some(operator) => html(StatusCode::OK, pages::main(&operator)),
        None => see_other("/"),
    }
}

fn new_session() -> Option<(String, HeaderValue)> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax");
    Some((token, HeaderValue::try_from(cookie).ok()?))
}

/// A value of a form as browsers send it; the right ones need no percent-decoding.
fn form_value<'a>(form: &'a [u8], key: &str) -> Option<&'a str> {
    std::str::from_utf8(form).ok()?.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == key).then_some(value)
    })
}
