//! A connection that ends when its other side takes nothing any more.
//!
//! An answer that nobody reads holds memory; a client that stops reading is let go.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A stream with a bound on how long a write may wait.
pub(crate) struct Stalling<S> {
    stream: S,
    limit: Duration,
    /// Set while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Set until enough came to tell HTTP/1 from HTTP/2: nobody else bounds that.
    opening: Option<Pin<Box<Sleep>>>,
    read_bytes: usize,
}

/// Bytes by which the versions of HTTP are told apart (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;

impl<S> Stalling<S> {
    /// `opening` bounds the wait for the first bytes, `limit` every write.
    pub(crate) fn new(stream: S, opening: Duration, limit: Duration) -> Self {
        Self { stream, limit, waiting: None, opening: Some(Box::pin(sleep(opening))), read_bytes: 0 }
    }
}

impl<S: AsyncWrite + Unpin> Stalling<S> {
    /// Passes on what a write came to, or fails it when it has waited for too long.
    fn bounded<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = write(Pin::new(&mut self.stream), context) {
            self.waiting = None;
            return Poll::Ready(done);
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waiting.as_mut().poll(context));
        // A timer that is over must not be polled again.
        waiting.as_mut().reset(Instant::now() + limit);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.read_bytes = self.read_bytes.saturating_add(buffer.filled().len() - before);
        if self.read_bytes >= PREFACE_BYTES {
            self.opening = None;
        }
        match self.opening.as_mut().filter(|_| read.is_pending()) {
            Some(opening) => {
                ready!(opening.as_mut().poll(context));
                self.opening = None;
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client says nothing")))
            }
            None => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.bounded(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bounded(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bounded(context, |stream, context| stream.poll_shutdown(context))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.bounded(context, |stream, context| stream.poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Writes so many bytes, or until it fails.
    async fn write(stalling: &mut Stalling<TcpStream>, bytes: usize) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let part = vec![7; left.min(64 << 10)];
            let write = std::future::poll_fn(|context| Pin::new(&mut *stalling).poll_write(context, &part));
            left -= write.await?;
        }
        Ok(())
    }

    async fn pair(limit: Duration) -> (Stalling<TcpStream>, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Stalling::new(listener.accept().await.unwrap().0, limit, limit), theirs)
    }

    #[tokio::test]
    async fn who_reads_nothing_is_let_go() {
        let (mut stalling, _theirs) = pair(Duration::from_millis(100)).await;
        let error = write(&mut stalling, 1 << 30).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_says_nothing_is_let_go() {
        let (mut stalling, mut theirs) = pair(Duration::from_millis(100)).await;
        let mut bytes = [0; 64];
        let mut buffer = ReadBuf::new(&mut bytes);
        Write::write_all(&mut theirs, b"PRI").unwrap();
        let mut read = async || {
            std::future::poll_fn(|context| Pin::new(&mut stalling).poll_read(context, &mut buffer)).await
        };
        read().await.unwrap();
        assert_eq!(read().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_reads_slowly_is_not() {
        let (mut stalling, mut theirs) = pair(Duration::from_secs(5)).await;
        let reader = std::thread::spawn(move || {
            let (mut all, mut part) = (0, vec![0; 1 << 20]);
            while let Ok(read @ 1..) = theirs.read(&mut part) {
                all += read;
                std::thread::sleep(Duration::from_millis(2));
            }
            all
        });
        write(&mut stalling, 20 << 20).await.unwrap();
        drop(stalling);
        assert_eq!(reader.join().unwrap(), 20 << 20);
    }
}
