//! A small HTTP/1.1 client over any stream (RFC 9112): it shows exactly what came.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;

use anyhow::Context;
use serde_json::Value;

use crate::wait::PATIENCE;

/// A response, read whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Fields in the order of arrival, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The content, chunks joined.
    pub body: Vec<u8>,
}

impl Response {
    /// The first field of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(key, _)| key == name);
        field.map(|(_, value)| value.as_str())
    }

    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The content as JSON.
    ///
    /// # Errors
    ///
    /// When it is none; the error carries the content.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| self.text())
    }
}

/// Opens a connection for one request that wants no other answer than this.
///
/// # Errors
///
/// When nobody answers, or not with HTTP.
pub fn get(address: SocketAddr, path: &str) -> anyhow::Result<Response> {
    let stream = connect(address)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    Ok(exchange(stream, request.as_bytes())?)
}

/// A connection that gives up waiting after a while.
///
/// # Errors
///
/// When nobody listens there.
pub fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| format!("cannot reach {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends the request and reads the response.
///
/// # Errors
///
/// The stream's own error where it breaks; `InvalidData` where the answer is no HTTP.
pub fn exchange(mut stream: impl Read + Write, request: &[u8]) -> io::Result<Response> {
    stream.write_all(request)?;
    stream.flush()?;
    read(&mut BufReader::new(stream))
}

/// Reads a response that has content (so not one to HEAD).
///
/// # Errors
///
/// The stream's own error where it breaks; `InvalidData` where the answer is no HTTP.
pub fn read(stream: &mut impl BufRead) -> io::Result<Response> {
    let status_line = line(stream)?;
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| status_line.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| invalid(&status_line))?;
    let mut response = Response {
        status,
        headers: fields(stream)?,
        body: Vec::new(),
    };
    if response.header("transfer-encoding") == Some("chunked") {
        response.body = chunks(stream)?;
    } else if let Some(length) = response.header("content-length") {
        let length = length.parse().map_err(|_| invalid(length))?;
        response.body = vec![0; length];
        stream.read_exact(&mut response.body)?;
    } else if status >= 200 && status != 204 && status != 304 {
        stream.read_to_end(&mut response.body)?;
    }
    Ok(response)
}

fn fields(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let text = line(stream)?;
        if text.is_empty() {
            return Ok(fields);
        }
        let (name, value) = text.split_once(':').ok_or_else(|| invalid(&text))?;
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let text = line(stream)?;
        let size = u64::from_str_radix(&text, 16).map_err(|_| invalid(&text))?;
        if size == 0 {
            fields(stream)?;
            return Ok(body);
        }
        stream.by_ref().take(size).read_to_end(&mut body)?;
        line(stream)?;
    }
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    if stream.read_line(&mut text)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined() {
        let mut wire: &[u8] =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let response = read(&mut wire).unwrap();
        assert_eq!(
            (response.status, response.text()),
            (200, "abcde".to_owned())
        );
    }

    #[test]
    fn a_truncated_body_is_an_error() {
        let mut wire: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
        assert!(read(&mut wire).is_err());
    }
}
