//! The blocking side of the network, for commands that ask once: connections on which nothing lasts
//! beyond a moment, and the head of an HTTP answer. No redirect is followed, no proxy is asked.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

/// Longest wait for a TCP connection to one address.
pub const CONNECT: Duration = Duration::from_secs(3);
/// Octets of an answer's head that are read.
const HEAD: usize = 16 * 1024;
/// Fields of an answer that are read.
const FIELDS: usize = 64;

/// A socket on which nothing lasts beyond a moment, however slowly the octets come.
#[derive(Debug)]
pub struct Timed {
    tcp: TcpStream,
    end: Instant,
}

impl Timed {
    /// Tries one address after the other; the last trouble is told.
    ///
    /// # Errors
    /// Nobody answers in time, or there is no address (`NotFound`).
    pub fn connect(
        addresses: impl IntoIterator<Item = SocketAddr>,
        end: Instant,
    ) -> io::Result<Self> {
        let mut trouble = io::ErrorKind::NotFound.into();
        for address in addresses {
            let limit = left(end)?.min(CONNECT);
            match TcpStream::connect_timeout(&address, limit) {
                Ok(tcp) => {
                    tcp.set_nodelay(true)?;
                    return Ok(Self { tcp, end });
                }
                Err(error) => trouble = error,
            }
        }
        Err(trouble)
    }
}

fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(Some(left(self.end)?))?;
        self.tcp.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(left(self.end)?))?;
        self.tcp.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// Leads a handshake to its end.
///
/// # Errors
/// Of the socket, or of TLS as [`rustls::Error`] inside.
pub fn shake<S: Read + Write>(
    connection: ClientConnection,
    socket: S,
) -> io::Result<StreamOwned<ClientConnection, S>> {
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// The head of an answer, and what came behind it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// Octets after the head that were read with it.
    pub rest: Vec<u8>,
    fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// The first field of this name, in whatever case, where it is text.
    pub fn field(&self, name: &str) -> Option<&str> {
        let named = |(field, _): &&(String, Vec<u8>)| field.eq_ignore_ascii_case(name);
        let (_, value) = self.fields.iter().find(named)?;
        std::str::from_utf8(value).ok().map(str::trim)
    }
}

/// Why there is no head.
#[derive(Debug)]
pub enum NoHead {
    /// The connection broke or ended.
    Lost(io::Error),
    /// Something else than HTTP came, or a head without end.
    NotHttp,
}

/// Reads on to the end of the first head that is final (RFC 9110 §15.2).
///
/// # Errors
/// See [`NoHead`].
pub fn read_head(stream: &mut impl Read) -> Result<Head, NoHead> {
    let mut octets = Vec::new();
    loop {
        match parse(&octets)? {
            Some((length, head)) if (100..200).contains(&head.status) => {
                octets.drain(..length);
            }
            Some((length, mut head)) => {
                head.rest = octets.split_off(length);
                return Ok(head);
            }
            None if octets.len() >= HEAD => return Err(NoHead::NotHttp),
            None => {
                let mut piece = [0; 4096];
                match stream.read(&mut piece).map_err(NoHead::Lost)? {
                    0 => return Err(NoHead::Lost(io::ErrorKind::UnexpectedEof.into())),
                    count => octets.extend_from_slice(&piece[..count]),
                }
            }
        }
    }
}

/// The head in front, with its length, once it is there.
fn parse(octets: &[u8]) -> Result<Option<(usize, Head)>, NoHead> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let length = match head.parse(octets) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(NoHead::NotHttp),
    };
    let fields = head.headers.iter();
    let head = Head {
        status: head.code.ok_or(NoHead::NotHttp)?,
        rest: Vec::new(),
        fields: fields
            .map(|field| (field.name.to_owned(), field.value.to_vec()))
            .collect(),
    };
    Ok(Some((length, head)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(mut wire: &[u8]) -> Result<u16, &'static str> {
        let head = read_head(&mut wire).map(|head| head.status);
        head.map_err(|error| match error {
            NoHead::Lost(_) => "lost",
            NoHead::NotHttp => "not http",
        })
    }

    #[test]
    fn only_the_final_head_counts() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\n\r\n"), Ok(204));
        assert_eq!(
            status(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\nbody"),
            Ok(403)
        );
        assert_eq!(status(b"SSH-2.0-OpenSSH_9.2\r\n"), Err("not http"));
        assert_eq!(status(b"HTTP/1.1 20"), Err("lost"));
        let mut endless = b"HTTP/1.1 204 No Content\r\n".to_vec();
        endless.extend_from_slice(&b"X: y\r\n".repeat(20_000));
        assert_eq!(status(&endless), Err("not http"));
        let mut endless = b"HTTP/1.1 204 No Content\r\nX: ".to_vec();
        endless.resize(1 << 20, b'y');
        assert_eq!(status(&endless), Err("not http"));
    }

    #[test]
    fn fields_and_what_follows_the_head_are_kept() {
        let mut wire: &[u8] = b"HTTP/1.1 200 OK\r\nretry-after: 7\r\nContent-Length: 3\r\n\r\nabc";
        let head = read_head(&mut wire).unwrap();
        assert_eq!(head.field("Retry-After"), Some("7"));
        assert_eq!(head.field("content-length"), Some("3"));
        assert_eq!(head.rest, b"abc");
    }
}
