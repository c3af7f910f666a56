//! An imitation of the WebORCA application: what a clinic's browser and its API programs find
//! behind the gateway. It keeps a record of everything that reached it, so that a test can show
//! that nothing did.

mod api;
mod login;
mod pages;
mod record;
mod streams;
mod websocket;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use record::Record;

/// The body of an answer of the imitation.
type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Serves the application on `application` and what it saw on `control`, until the task is dropped.
pub async fn serve(application: TcpListener, control: TcpListener) -> io::Result<()> {
    let record = Arc::new(Record::default());
    tokio::select! {
        ended = accept(application, Arc::clone(&record), Face::Application) => ended,
        ended = accept(control, record, Face::Control) => ended,
    }
}

/// Which of the two addresses a request came to.
#[derive(Clone, Copy)]
enum Face {
    Application,
    Control,
}

async fn accept(listener: TcpListener, record: Arc<Record>, face: Face) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        if matches!(face, Face::Application) {
            record.connection();
        }
        let record = Arc::clone(&record);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let record = Arc::clone(&record);
                async move { Ok::<_, Infallible>(answer(request, &record, face).await) }
            });
            // A connection that breaks is the client's affair; the record tells what had arrived.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, record: &Record, face: Face) -> Response<Body> {
    match face {
        Face::Application => {
            record.request(&request);
            application(request, record).await
        }
        Face::Control => match request.uri().path() {
            "/counters" => json(StatusCode::OK, &record.counters()),
            "/requests" => json(StatusCode::OK, &record.requests()),
            _ => not_found(),
        },
    }
}

async fn application(request: Request<Incoming>, record: &Record) -> Response<Body> {
    let path = request.uri().path();
    if let Some(rest) = path.strip_prefix("/api/api01rv2/") {
        let name = rest.to_owned();
        return api::answer(&name, &request);
    }
    match (request.method(), path) {
        (&Method::GET, "/") => html(StatusCode::OK, pages::login(None)),
        (&Method::POST, "/login") => login::log_in(request, record).await,
        (&Method::GET, "/main") => login::main_page(&request, record),
        (_, "/ws") => websocket::echo(request),
        (&Method::GET, "/download") => streams::download(&request),
        (&Method::GET, "/drip") => streams::drip(&request),
        (&Method::POST | &Method::PUT, "/upload") => streams::upload(request).await,
        (_, "/echo-headers") => json(StatusCode::OK, &record::describe(&request)),
        _ => not_found(),
    }
}

fn html(status: StatusCode, page: String) -> Response<Body> {
    respond(status, "text/html; charset=utf-8", page.into())
}

fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    respond(
        status,
        "application/json; charset=utf-8",
        value.to_string().into(),
    )
}

fn not_found() -> Response<Body> {
    html(StatusCode::NOT_FOUND, pages::not_found())
}

fn see_other(location: &'static str) -> Response<Body> {
    let mut response = respond(StatusCode::SEE_OTHER, "text/plain", Bytes::new());
    response
        .headers_mut()
        .insert(header::LOCATION, HeaderValue::from_static(location));
    response
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).boxed_unsync());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The number that stands under `key` in a query, if it is one.
fn query_number(request: &Request<Incoming>, key: &str) -> Option<u64> {
    let query = request.uri().query()?;
    let value = query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == key).then_some(value)
    })?;
    value.parse().ok()
}
