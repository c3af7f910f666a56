//! A connection to the application that is heard out even when it takes nothing more: whoever
//! refuses an upload often answers, closes, and so resets the connection under the rest of it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether the other side has stopped to listen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deaf(Arc<AtomicBool>);

impl Deaf {
    /// Whether it has.
    pub(crate) fn is_deaf(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Swallows what cannot be written any more, so that what has arrived is still read. An end of the
/// stream after that is an error: it says nothing about the answer being whole.
#[derive(Debug)]
pub(crate) struct Salvage<S> {
    stream: S,
    deaf: Deaf,
}

impl<S> Salvage<S> {
    /// Around a new connection.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            deaf: Deaf::default(),
        }
    }

    /// Tells when the other side has stopped to listen.
    pub(crate) fn deaf(&self) -> Deaf {
        self.deaf.clone()
    }

    fn swallow<T>(&self, written: io::Result<T>, all: T) -> io::Result<T> {
        written.or_else(|_| {
            self.deaf.0.store(true, Ordering::Relaxed);
            Ok(all)
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Salvage<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let ended = buffer.filled().len() == before && buffer.capacity() > before;
        Poll::Ready(if ended && self.deaf.is_deaf() {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Salvage<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf.is_deaf() {
            return Poll::Ready(Ok(octets.len()));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, octets));
        Poll::Ready(self.swallow(written, octets.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf.is_deaf() {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        Poll::Ready(self.swallow(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = slices.iter().map(|slice| slice.len()).sum();
        if self.deaf.is_deaf() {
            return Poll::Ready(Ok(all));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        Poll::Ready(self.swallow(written, all))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_has_arrived_is_read_and_the_end_is_an_error() {
        let (near, mut far) = tokio::io::duplex(64);
        far.write_all(b"413").await.unwrap();
        drop(far);
        let mut salvage = Salvage::new(near);
        let deaf = salvage.deaf();
        assert!(!deaf.is_deaf());
        salvage.write_all(b"more").await.unwrap();
        salvage.flush().await.unwrap();
        assert!(deaf.is_deaf());
        let mut answer = [0; 3];
        salvage.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"413");
        assert!(salvage.read(&mut answer).await.is_err());
    }

    #[tokio::test]
    async fn an_end_in_good_order_is_none() {
        let (near, far) = tokio::io::duplex(64);
        drop(far);
        let mut salvage = Salvage::new(near);
        assert_eq!(salvage.read(&mut [0; 3]).await.unwrap(), 0);
    }
}
