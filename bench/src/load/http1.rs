//! HTTP/1.1 as a client speaks it (RFC 9112), no more than a load generator needs.

use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;
use orca_e2e::site::SERVER_NAME;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;

use crate::load::Work;
use crate::origin;

/// Whether the server is asked to keep the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Connection {
    Close,
    KeepAlive,
}

/// A request, ready to be sent, and how long its answer is.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    request: Vec<u8>,
    /// Octets of the body of the answer.
    answer: usize,
}

impl Exchange {
    pub(crate) fn new(work: Work, connection: Connection) -> Self {
        let close = match connection {
            Connection::Close => "Connection: close\r\n",
            Connection::KeepAlive => "",
        };
        let host =
            format!("Host: {SERVER_NAME}\r\nUser-Agent: orca-bench\r\nAccept: */*\r\n{close}");
        match work {
            Work::Get(length) => Self {
                request: format!("GET /{length} HTTP/1.1\r\n{host}\r\n").into_bytes(),
                answer: length,
            },
            Work::Post(length) => {
                let head =
                    format!("POST /upload HTTP/1.1\r\n{host}Content-Length: {length}\r\n\r\n");
                let mut request = head.into_bytes();
                request.resize(request.len() + length, b'x');
                Self {
                    request,
                    answer: origin::THANKS.len(),
                }
            }
        }
    }

    /// Sends the request and reads the answer, which must be a 200 of the right length.
    pub(crate) async fn run(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        buffer: &mut Vec<u8>,
    ) -> anyhow::Result<()> {
        stream.write_all(&self.request).await.context("write")?;
        stream.flush().await.context("flush")?;
        buffer.clear();
        let (head, body) = loop {
            let count = stream.read_buf(buffer).await.context("read the head")?;
            ensure!(count > 0, "the connection ended instead of an answer");
            if let Some(end) = end_of_head(buffer) {
                break (&buffer[..end], buffer.len() - end);
            }
            ensure!(buffer.len() < 65_536, "an endless head");
        };
        let length = length_of_ok(head)?;
        ensure!(length == self.answer, "{length} octets announced");
        let mut missing = self.answer.checked_sub(body).context("too much body")?;
        while missing > 0 {
            buffer.clear();
            let count = stream.read_buf(buffer).await.context("read the body")?;
            ensure!(count > 0, "the connection ended within the body");
            missing = missing.checked_sub(count).context("too much body")?;
        }
        Ok(())
    }
}

/// Reads until the other side ends the connection; whatever still comes is too much.
pub(crate) async fn end(stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<()> {
    let count = stream.read(&mut [0; 64]).await.context("read the end")?;
    ensure!(count == 0, "more than the answer");
    Ok(())
}

fn end_of_head(octets: &[u8]) -> Option<usize> {
    let at = octets.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(at + 4)
}

fn length_of_ok(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head).context("a head that is no text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 200"), "answered {status:?}");
    for line in lines {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            return value.trim().parse().context("a strange length");
        }
    }
    bail!("no Content-Length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_with_its_length_counts() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n";
        assert_eq!(length_of_ok(head).unwrap(), 16);
        assert_eq!(end_of_head(head), Some(head.len()));
        for head in [
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 16\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert!(length_of_ok(head.as_bytes()).is_err());
        }
    }
}
