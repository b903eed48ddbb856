//! The socket of a connection. It reports each read and write to the connection's [`Activity`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::Activity;
use super::permits::ConnectionPermit;

/// The socket of a connection, including one that became a WebSocket.
pub(super) struct Socket {
    stream: TcpStream,
    activity: Activity,
    /// The permit of the connection. It is freed when the socket is dropped.
    _permit: ConnectionPermit,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, activity: Activity, permit: ConnectionPermit) -> Self {
        Self { stream, activity, _permit: permit }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A linger time of 0 discards the unsent bytes of an aborted connection. Otherwise the operating system would
        // keep these bytes for as long as the client wants.
        if self.activity.is_aborted()
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "an aborted connection could not be reset; it may be closed already");
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if poll.is_ready() && buffer.filled().len() > before {
            self.activity.bytes_received();
        }
        poll
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.activity.socket_write(&poll, Instant::now());
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes only after it has written everything that it buffered.
        self.activity.socket_flushed();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.activity.socket_write(&poll, Instant::now());
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
