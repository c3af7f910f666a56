//! What reached the application.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use http::HeaderMap;
use http::Request;
use serde_json::Value;
use serde_json::json;

/// So many requests are kept in full; beyond that they are only counted.
const KEPT: usize = 10_000;

/// Counts connections and requests, and keeps the requests' heads and the sessions.
#[derive(Default)]
pub(super) struct Record {
    connections: AtomicU64,
    requests: AtomicU64,
    heads: Mutex<Vec<Value>>,
    sessions: Mutex<HashMap<String, String>>,
}

impl Record {
    pub(super) fn connection(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn request<B>(&self, request: &Request<B>) {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        if heads.len() < KEPT {
            heads.push(describe(request));
        }
    }

    pub(super) fn counters(&self) -> Value {
        json!({
            "connections": self.connections.load(Ordering::SeqCst),
            "requests": self.requests.load(Ordering::SeqCst),
        })
    }

    pub(super) fn requests(&self) -> Value {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        Value::Array(heads.clone())
    }

    pub(super) fn open_session(&self, token: String, operator: String) {
        self.sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token, operator);
    }

    /// The operator who logged in with this token.
    pub(super) fn operator(&self, token: &str) -> Option<String> {
        self.sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(token)
            .cloned()
    }
}

/// Method, target, version and every header field in the order of arrival.
pub(super) fn describe<B>(request: &Request<B>) -> Value {
    json!({
        "method": request.method().as_str(),
        "target": request.uri().to_string(),
        "version": format!("{:?}", request.version()),
        "headers": fields(request.headers()),
    })
}

/// Header or trailer fields as pairs, so that a name that came twice shows twice.
pub(super) fn fields(map: &HeaderMap) -> Vec<[String; 2]> {
    map.iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            [name.as_str().to_owned(), value]
        })
        .collect()
}
