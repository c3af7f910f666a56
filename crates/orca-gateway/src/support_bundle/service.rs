//! What the gateway that runs says of itself.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use orca_messages::{Text, text};

use super::Item;

const DEADLINE: Duration = Duration::from_secs(3);
const MOST: u64 = 4 << 20;

/// `/status` and `/metrics`.
pub(super) fn items(address: Option<SocketAddr>) -> [Item; 2] {
    let page = |path: &str| match address {
        Some(address) => page(address, path).map_err(|error| not_running(&error)),
        None => Err(text!(
            "GATEWAY_STATUS=none と設定されています",
            "GATEWAY_STATUS is none"
        )),
    };
    [
        Item::new(
            "status.json",
            text!("/status の内容", "what /status says"),
            page("/status"),
        ),
        Item::new(
            "metrics.txt",
            text!("/metrics の内容", "what /metrics says"),
            page("/metrics"),
        ),
    ]
}

fn not_running(error: &io::Error) -> Text {
    text!(
        "起動していないか、応答がありません({error})",
        "it does not run or answer: {error}"
    )
}

fn page(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(io::Error::other(head.lines().next().unwrap_or_default())),
    }
}
