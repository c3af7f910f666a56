//! The clock of a server that speaks http.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Instant;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use orca_wire::{Head, Timed};

use super::{TALK, addresses};
use crate::target::Target;

/// What the field Date (RFC 9110 §6.6.1) of its answer says; none where it does not answer.
pub fn over_http(target: &Target) -> Option<Timestamp> {
    let addresses: Vec<SocketAddr> = addresses(target)?;
    let mut tcp = Timed::connect(addresses, Instant::now() + TALK).ok()?;
    let request = format!(
        "HEAD / HTTP/1.1\r\nHost: {}\r\nUser-Agent: orca-diagnosis/{}\r\nConnection: close\r\n\r\n",
        target.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    tcp.write_all(request.as_bytes()).ok()?;
    of(&orca_wire::read_head(&mut tcp).ok()?)
}

pub(super) fn of(head: &Head) -> Option<Timestamp> {
    let date = head.field("date")?;
    DateTimeParser::new().parse_timestamp(date).ok()
}
