//! A client's connection as hyper drives it and as we end it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a client may take to read what it was told before we close. Closing with unread octets
/// in the receive buffer resets the connection, and the client never sees the page or the alert.
pub(crate) const DRAIN: Duration = Duration::from_secs(1);

/// Over TLS, or in HTTP mode.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Says goodbye, then reads until the client closes, a second at most.
    pub(crate) async fn close(mut self) {
        // A client that is gone already cannot be told anything.
        let _ = timeout(DRAIN, async {
            self.shutdown().await?;
            let tcp = match self {
                Self::Plain(tcp) => tcp,
                Self::Tls(tls) => tls.into_inner().0,
            };
            drain(tcp).await
        })
        .await;
    }
}

/// Reads until the client closes, a second at most.
pub(crate) async fn drain_and_drop(tcp: TcpStream) {
    // What is read here is nobody's any more.
    let _ = timeout(DRAIN, drain(tcp)).await;
}

async fn drain(mut tcp: TcpStream) -> io::Result<()> {
    let mut scratch = [0; 4096];
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
    _given_back: DropGuard,
}

/// Lends a connection out.
pub(crate) fn lend(stream: Stream) -> (Owned, Lent) {
    let stream = Arc::new(Mutex::new(Some(stream)));
    let given_back = CancellationToken::new();
    let lent = Lent {
        stream: Arc::clone(&stream),
        _given_back: given_back.clone().drop_guard(),
    };
    (Owned { stream, given_back }, lent)
}

impl Owned {
    /// Waits until nobody uses the connection any more.
    pub(crate) async fn given_back(&self) {
        self.given_back.cancelled().await;
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
    fn with<T>(
        &self,
        act: impl FnOnce(Pin<&mut Stream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match lock(&self.stream).as_mut() {
            Some(stream) => act(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, octets))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.stream)
            .as_ref()
            .is_some_and(AsyncWrite::is_write_vectored)
    }
}
