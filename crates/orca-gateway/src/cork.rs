//! Below TLS: what several streams of HTTP/2 write leaves together. tokio-rustls sends every record as
//! soon as there is one; while the socket seems to take nothing, rustls keeps them, 64 KiB at most.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection that can be stopped up.
#[derive(Debug)]
pub(crate) struct Cork<S = TcpStream> {
    socket: S,
    is_in: bool,
}

impl<S> Cork<S> {
    /// Around a connection; nothing holds it up yet.
    pub(crate) fn new(socket: S) -> Self {
        Self {
            socket,
            is_in: false,
        }
    }

    /// Lets nothing out until [`Self::pull`]. Nobody is woken by that: whoever puts the cork in pulls
    /// it before it gives the thread away.
    pub(crate) fn put_in(&mut self) {
        self.is_in = true;
    }

    /// Lets out what is written from now on.
    pub(crate) fn pull(&mut self) {
        self.is_in = false;
    }

    /// The connection itself.
    pub(crate) fn socket(&self) -> &S {
        &self.socket
    }

    /// Gives the connection back.
    pub(crate) fn into_socket(self) -> S {
        self.socket
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cork<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cork<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_in {
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_in {
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
