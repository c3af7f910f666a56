//! HTTP/2 frame by frame, for what no honest client would send (RFC 9113 §4).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::house::Speaker;
use super::proxy::soon;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A connection.
pub(super) struct RawHttp2(TlsStream<TcpStream>);

/// What became of a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Answered,
    /// With the code of the reset, or of the GOAWAY that ended the whole connection.
    Refused(u32),
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl RawHttp2 {
    /// With the preface and empty settings.
    pub(super) async fn connect(speaker: &Speaker) -> Self {
        let mut stream = speaker.clone().http2().connect().await.unwrap();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        stream.write_all(preface).await.unwrap();
        let mut raw = Self(stream);
        raw.send(SETTINGS, 0, 0, &[]).await;
        raw
    }

    /// A request head; values may be anything up to 126 octets.
    pub(super) async fn head(&mut self, stream: u32, fields: &[(&str, &[u8])], ends: bool) {
        let block: Vec<u8> = fields.iter().flat_map(|field| literal(*field)).collect();
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.send(HEADERS, flags, stream, &block).await;
    }

    /// A piece of the body.
    pub(super) async fn data(&mut self, stream: u32, octets: &[u8], ends: bool) {
        let flags = if ends { END_STREAM } else { 0 };
        self.send(DATA, flags, stream, octets).await;
    }

    /// Ends a stream as a client that does not want it any more.
    pub(super) async fn cancel(&mut self, stream: u32) {
        self.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes()).await;
    }

    /// Waits until a stream is answered or refused.
    pub(super) async fn outcome(&mut self, stream: u32) -> Outcome {
        loop {
            let frame = self.next().await.expect("closed without a word");
            match frame.kind {
                HEADERS if frame.stream == stream => return Outcome::Answered,
                RST_STREAM if frame.stream == stream => return Outcome::Refused(code(&frame, 0)),
                // An end without an error concerns later streams only.
                GOAWAY if code(&frame, 4) != 0 => return Outcome::Refused(code(&frame, 4)),
                _ => {}
            }
        }
    }

    /// Waits for a setting of the server.
    pub(super) async fn setting(&mut self, identifier: u16) -> Option<u32> {
        loop {
            let frame = self.next().await?;
            if frame.kind == SETTINGS && frame.flags & ACK == 0 {
                self.send(SETTINGS, ACK, 0, &[]).await;
                let mut settings = frame.payload.chunks_exact(6);
                let wanted = settings.find(|setting| setting[..2] == identifier.to_be_bytes());
                return wanted.map(|setting| u32::from_be_bytes(setting[2..].try_into().unwrap()));
            }
        }
    }

    /// Waits until the server asks for a sign of life.
    pub(super) async fn is_asked_for_life(&mut self) -> bool {
        while let Some(frame) = self.next().await {
            if frame.kind == PING && frame.flags & ACK == 0 {
                return true;
            }
        }
        false
    }

    /// Waits for GOAWAY, and tells whether the body of the stream had ended before.
    pub(super) async fn ends_before_goaway(&mut self, stream: u32) -> bool {
        let mut ended = false;
        loop {
            let frame = self.next().await.expect("closed without a word");
            match frame.kind {
                DATA if frame.stream == stream => ended |= frame.flags & END_STREAM != 0,
                GOAWAY => return ended,
                _ => {}
            }
        }
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // A server that has given us up already tells why when it is read.
        let _ = self.0.write_all(&frame).await;
        let _ = self.0.flush().await;
    }

    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        soon(self.0.read_exact(&mut head)).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        soon(self.0.read_exact(&mut payload)).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes(head[5..].try_into().unwrap()),
            payload,
        })
    }
}

/// A field that no table remembers (RFC 7541 §6.2.3).
fn literal((name, value): (&str, &[u8])) -> Vec<u8> {
    let mut octets = vec![0x10];
    for text in [name.as_bytes(), value] {
        assert!(text.len() < 127);
        octets.push(u8::try_from(text.len()).unwrap());
        octets.extend(text);
    }
    octets
}

fn code(frame: &Frame, at: usize) -> u32 {
    u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap())
}
