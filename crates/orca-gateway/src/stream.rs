//! A client's connection as hyper drives it and as we end it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::cork::Cork;

/// How long a client may take to read what it was told before we close. Closing with unread octets
/// in the receive buffer resets the connection, and the client never sees the page or the alert.
pub(crate) const DRAIN: Duration = Duration::from_secs(1);

/// A full frame of HTTP/2 is a piece of something large, which costs more where it waits for the rest
/// (docs/performance.md).
const BULK: usize = 16 * 1024;

/// Over TLS, or in HTTP mode.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<Cork>>),
}

impl Stream {
    /// Says goodbye, then reads until the client closes, a second at most.
    pub(crate) async fn close(mut self) {
        // A client that is gone already cannot be told anything.
        let _ = timeout(DRAIN, async {
            self.shutdown().await?;
            let tcp = match self {
                Self::Plain(tcp) => tcp,
                Self::Tls(tls) => tls.into_inner().0.into_socket(),
            };
            drain(tcp).await
        })
        .await;
    }

    /// Whether octets of the client have arrived, or its end.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0.socket(),
        };
        // An error is met by whoever reads.
        tcp.poll_read_ready(cx).map(drop)
    }

    /// Leaves what is written with TLS, as much of it as TLS takes, unless it is much.
    fn gather<T>(
        mut self: Pin<&mut Self>,
        length: usize,
        mut write: impl FnMut(Pin<&mut Self>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Self::Tls(tls) = &mut *self else {
            return write(self);
        };
        if length >= BULK {
            return write(self);
        }
        tls.get_mut().0.put_in();
        let written = write(self.as_mut());
        if let Self::Tls(tls) = &mut *self {
            tls.get_mut().0.pull();
        }
        match written {
            Poll::Pending => write(self),
            Poll::Ready(_) => written,
        }
    }
}

/// Reads until the client closes, a second at most.
pub(crate) async fn drain_and_drop(tcp: TcpStream) {
    // What is read here is nobody's any more.
    let _ = timeout(DRAIN, drain(tcp)).await;
}

async fn drain(mut tcp: TcpStream) -> io::Result<()> {
    // On the heap: a future lives as long as its connection.
    let mut scratch = vec![0; 4096];
    while tcp.read(&mut scratch).await? > 0 {}
    Ok(())
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, octets),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }
}

/// The owner of a connection. hyper, and a tunnel after it, hold a [`Lent`]; whoever owns the
/// connection can take it away from them at any time.
#[derive(Debug)]
pub(crate) struct Owned {
    stream: Arc<Mutex<Option<Stream>>>,
    given_back: CancellationToken,
}

/// The connection in the hands of hyper or of a tunnel.
#[derive(Debug)]
pub(crate) struct Lent {
    stream: Arc<Mutex<Option<Stream>>>,
    pace: Pace,
    activity: Arc<Activity>,
    /// What was read before and given back.
    ahead: Bytes,
    _given_back: DropGuard,
}

/// What happened last on a connection.
#[derive(Debug)]
pub(crate) struct Activity {
    /// Octets were read after the last ones that were written.
    unanswered: AtomicBool,
    /// Octets were written and have not left yet.
    unsent: AtomicBool,
}

impl Activity {
    fn none() -> Self {
        Self {
            unanswered: AtomicBool::new(false),
            unsent: AtomicBool::new(false),
        }
    }

    /// Whether all that was read has been answered and every answer has left, as far as can be seen
    /// from below HTTP.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.unanswered.load(Ordering::Relaxed) && !self.unsent.load(Ordering::Relaxed)
    }

    fn read(&self) {
        self.unanswered.store(true, Ordering::Relaxed);
    }

    fn written(&self) {
        self.unanswered.store(false, Ordering::Relaxed);
        self.unsent.store(true, Ordering::Relaxed);
    }

    fn sent(&self) {
        self.unsent.store(false, Ordering::Relaxed);
    }
}

/// When what is written leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pace {
    /// When whoever wrote it flushes.
    AtOnce,
    /// When the owner flushes, or when there is much of it. HTTP/2 would flush every frame.
    Gathered,
}

/// Lends a connection out.
pub(crate) fn lend(stream: Stream, pace: Pace) -> (Owned, Lent) {
    let stream = Arc::new(Mutex::new(Some(stream)));
    let given_back = CancellationToken::new();
    let lent = Lent {
        stream: Arc::clone(&stream),
        pace,
        activity: Arc::new(Activity::none()),
        ahead: Bytes::new(),
        _given_back: given_back.clone().drop_guard(),
    };
    (Owned { stream, given_back }, lent)
}

impl Owned {
    /// Waits until nobody uses the connection any more.
    pub(crate) async fn given_back(&self) {
        self.given_back.cancelled().await;
    }

    /// Sends what was gathered.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match lock(&self.stream).as_mut() {
            Some(stream) => Pin::new(stream).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Takes the connection back, whoever still uses it.
    pub(crate) fn take(self) -> Option<Stream> {
        lock(&self.stream).take()
    }
}

fn lock(stream: &Mutex<Option<Stream>>) -> MutexGuard<'_, Option<Stream>> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lent {
    /// What happened last.
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Gives back what was read: the next read begins with it.
    pub(crate) fn read_first(&mut self, octets: Bytes) {
        self.ahead = octets;
    }

    /// Whether there is something to read, or the connection is taken away.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match lock(&self.stream).as_ref() {
            Some(stream) => stream.poll_readable(cx),
            None => Poll::Ready(()),
        }
    }

    fn with<T>(
        &self,
        act: impl FnOnce(Pin<&mut Stream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match lock(&self.stream).as_mut() {
            Some(stream) => act(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn send<T>(
        &self,
        length: usize,
        mut act: impl FnMut(Pin<&mut Stream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.activity.written();
        match self.pace {
            Pace::AtOnce => self.with(act),
            Pace::Gathered => self.with(|stream| stream.gather(length, &mut act)),
        }
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(length));
            self.activity.read();
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = self.with(|stream| stream.poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.activity.read();
        }
        read
    }
}

impl AsyncWrite for Lent {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.send(octets.len(), |stream| stream.poll_write(cx, octets))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.pace {
            Pace::AtOnce => {
                let flushed = self.with(|stream| stream.poll_flush(cx));
                if flushed.is_ready() {
                    self.activity.sent();
                }
                flushed
            }
            Pace::Gathered => self.with(|_| Poll::Ready(Ok(()))),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        self.send(length, |stream| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.stream)
            .as_ref()
            .is_some_and(AsyncWrite::is_write_vectored)
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use socket2::SockRef;
    use tokio::net::TcpListener;
    use tokio_rustls::{TlsAcceptor, TlsConnector, client};

    use super::*;

    /// More than TLS keeps for a socket.
    const MUCH: usize = 1 << 20;

    #[tokio::test]
    async fn gathered_pieces_leave_when_the_owner_flushes() {
        let (mut client, server) = connected().await;
        let (owned, mut lent) = lend(server, Pace::Gathered);
        for piece in [b"one ", b"two ", b"six "] {
            lent.write_all(piece).await.unwrap();
            lent.flush().await.unwrap();
        }
        let mut octet = [std::mem::MaybeUninit::uninit()];
        let nothing = SockRef::from(client.get_ref().0).peek(&mut octet);
        assert_eq!(nothing.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        std::future::poll_fn(|cx| owned.poll_flush(cx))
            .await
            .unwrap();
        let mut arrived = [0; 12];
        client.read_exact(&mut arrived).await.unwrap();
        assert_eq!(&arrived, b"one two six ");
    }

    #[tokio::test]
    async fn more_than_can_be_gathered_leaves_at_once() {
        for length in [BULK - 1, BULK] {
            let (mut client, server) = connected().await;
            let (_owned, mut lent) = lend(server, Pace::Gathered);
            let writing = async {
                for piece in vec![7; MUCH].chunks(length) {
                    lent.write_all(piece).await.unwrap();
                }
                lent.shutdown().await.unwrap();
            };
            let mut arrived = Vec::new();
            let ((), read) = tokio::join!(writing, client.read_to_end(&mut arrived));
            assert_eq!(read.unwrap(), MUCH);
            assert!(arrived.iter().all(|octet| *octet == 7));
        }
    }

    #[tokio::test]
    async fn what_was_gathered_is_sent_before_the_goodbye() {
        let (mut client, server) = connected().await;
        let (owned, mut lent) = lend(server, Pace::Gathered);
        lent.write_all(b"farewell").await.unwrap();
        drop(lent);
        let stream = owned.take().unwrap();
        let mut arrived = Vec::new();
        let reading = async move {
            client.read_to_end(&mut arrived).await.unwrap();
            arrived
        };
        let ((), arrived) = tokio::join!(stream.close(), reading);
        assert_eq!(arrived, b"farewell");
    }

    async fn connected() -> (client::TlsStream<TcpStream>, Stream) {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = CertificateDer::from(own.cert);
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        server.send_tls13_tickets = 0;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let (client, server) = tokio::join!(
            TlsConnector::from(Arc::new(client)).connect(name, tcp),
            TlsAcceptor::from(Arc::new(server)).accept(Cork::new(accepted)),
        );
        (client.unwrap(), Stream::Tls(Box::new(server.unwrap())))
    }
}
