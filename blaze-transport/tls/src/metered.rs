//! A TCP stream that reads no more than a handshake takes, until it's over.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::HandshakeError;

/// The most that is read of a peer before it's known. A mutual handshake takes about 800 bytes
/// both ways.
const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;

/// A TCP stream that fails when more than a handshake's bytes came in.
#[derive(Debug)]
pub(crate) struct Metered {
    stream: TcpStream,
    /// How many bytes may still be read; `None` once the peer is known.
    left: Option<usize>,
}

impl Metered {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, left: Some(HANDSHAKE_BYTES_MAX) }
    }

    /// Reads without a limit from now on.
    pub(crate) fn lift(&mut self) {
        self.left = None;
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if let Some(left) = self.left {
            let Some(left) = left.checked_sub(buffer.filled().len() - before) else {
                let error = HandshakeError::TooLong { bytes_max: HANDSHAKE_BYTES_MAX };
                return Poll::Ready(Err(io::Error::other(error)));
            };
            self.left = Some(left);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
