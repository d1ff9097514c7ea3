//! One direction of a connection, which ends when its peer isn't trusted any more.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{PublicKey, TrustStore, TrustedPeer};

/// One half of a stream. Whoever waits on it is woken when the peer's trust is withdrawn, and
/// from then on it neither reads nor writes.
pub(crate) struct Guarded<S> {
    stream: S,
    /// Ends when the peer isn't trusted any more; `None` once it has.
    withdrawn: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    name: String,
}

impl<S> Guarded<S> {
    pub(crate) fn new(stream: S, trust: &TrustStore, key: PublicKey, agreed: &TrustedPeer) -> Self {
        let name = agreed.name.clone();
        Self { stream, withdrawn: Some(Box::pin(trust.changed_from(key, agreed))), name }
    }

    /// Fails from the moment when the trust is withdrawn.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if let Some(withdrawn) = &mut self.withdrawn {
            if withdrawn.as_mut().poll(context).is_pending() {
                return Ok(());
            }
            self.withdrawn = None;
        }
        let reason = format!("what was agreed with `{}` was changed or revoked here", self.name);
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, reason))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S> fmt::Debug for Guarded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("name", &self.name).finish_non_exhaustive()
    }
}
