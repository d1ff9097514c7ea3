//! The traits that a transport implements, and the rules it must keep.

use std::fmt;

use async_trait::async_trait;
use blaze_codec::message::Compression;
use bytes::Bytes;

use crate::{Endpoint, PeerInfo, TransportError};

/// A way to reach peers: in this process, on this device, or on another one.
///
/// # Contract
///
/// - An endpoint of another scheme is refused as [`TransportError::UnsupportedEndpoint`].
/// - Connecting where nothing listens fails at once with an error that
///   [is retryable](TransportError::is_retryable).
/// - At most one listener serves an endpoint. A second one is refused, and the first goes on.
/// - Neither call sends anything to a peer that it has not checked as far as it can.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug + 'static {
    /// The scheme of the endpoints it serves: `mem`, `unix`, `tcp`.
    fn scheme(&self) -> &'static str;

    /// What changes are best compressed by on their way, if both sides can. The default
    /// implementation says by nothing, as befits what doesn't leave the device.
    fn compression(&self) -> Compression {
        Compression::None
    }

    /// Connects to the listener at `endpoint`.
    ///
    /// # Errors
    ///
    /// A retryable error if a later attempt may succeed, such as when nothing listens yet; any
    /// other means that the endpoint or the setup has to change first.
    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError>;

    /// Listens at `endpoint`. Peers can connect as soon as this returns.
    ///
    /// # Errors
    ///
    /// If the endpoint is taken, or may not or cannot be listened at. Nothing is left behind.
    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError>;
}

/// Accepts the connections that come in at one endpoint.
///
/// # Contract
///
/// - Dropping it stops listening and frees the endpoint, as [`close`](Self::close) does.
///   Connections that were accepted live on.
/// - Once it is closed or dropped, connecting fails and the endpoint can be listened at again.
#[async_trait]
pub trait Listener: Send + fmt::Debug {
    /// Waits for the next connection.
    ///
    /// Cancel-safe: a connection that came in while the future was dropped is accepted by the
    /// next call.
    ///
    /// # Errors
    ///
    /// A [retryable](TransportError::is_retryable) error concerns one peer only, such as one
    /// that runs as another user, or a shortage that passes: call again, after a pause if it
    /// repeats. Any other error ends the listener.
    async fn accept(&mut self) -> Result<Connection, TransportError>;

    /// Where peers reach it. What was left open in the request is filled in, such as TCP port 0.
    fn endpoint(&self) -> &Endpoint;

    /// Stops listening and reports what could not be cleaned up.
    ///
    /// # Errors
    ///
    /// If something was left behind. The listener is closed all the same.
    async fn close(self: Box<Self>) -> Result<(), TransportError> {
        Ok(())
    }
}

/// An established connection: two independent directions and the peer at the other end.
///
/// To close it without loss, [`finish`](FrameSender::finish) the sender, then receive until
/// `None`, then drop both. A side that drops the receiver with input unread may cost the peer
/// the last frames it was sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connection {
    /// The outgoing direction.
    pub sender: Box<dyn FrameSender>,
    /// The incoming direction.
    pub receiver: Box<dyn FrameReceiver>,
    /// Who is at the other end.
    pub peer: PeerInfo,
}

impl Connection {
    /// Joins the two directions and the peer's description.
    pub fn new(
        sender: impl FrameSender + 'static,
        receiver: impl FrameReceiver + 'static,
        peer: PeerInfo,
    ) -> Self {
        Self { sender: Box::new(sender), receiver: Box::new(receiver), peer }
    }
}

/// The outgoing direction of a connection.
///
/// # Contract
///
/// - Frames of [`FRAME_BYTES_MIN`](crate::FRAME_BYTES_MIN) bytes up to the transport's limit arrive whole, unchanged, in order, once.
/// - A frame that was fed need not leave before [`flush`](Self::flush), which returns only
///   when the transport has taken every queued byte. It waits while the peer doesn't read: what
///   the transport itself holds is bounded.
/// - Dropping the sender without [`finish`](Self::finish) tells the peer that the connection
///   broke, never that it ended.
#[async_trait]
pub trait FrameSender: Send + fmt::Debug {
    /// Queues a frame. Does no I/O and never waits.
    ///
    /// The queue grows until the next flush; flushing often enough is up to the caller.
    ///
    /// # Errors
    ///
    /// [`TransportError::FrameTooLarge`] or [`TransportError::FrameTooSmall`] if its size is not
    /// allowed, and the connection goes on without the frame.
    /// [`TransportError::SenderFinished`] after [`finish`](Self::finish).
    fn feed(&mut self, frame: Bytes) -> Result<(), TransportError>;

    /// Sends everything that is queued.
    ///
    /// Cancel-safe: what is not sent yet stays queued, and nothing is sent twice.
    ///
    /// # Errors
    ///
    /// If the connection broke. Frames that were queued may or may not have arrived.
    async fn flush(&mut self) -> Result<(), TransportError>;

    /// Flushes, then tells the peer that nothing more comes. Receiving goes on.
    ///
    /// Cancel-safe, and calling it again once it is done does nothing. From the first call on,
    /// nothing can be fed.
    ///
    /// # Errors
    ///
    /// If the connection broke. The peer may then see it as broken, too.
    async fn finish(&mut self) -> Result<(), TransportError>;
}

/// The incoming direction of a connection.
///
/// # Contract
///
/// - The peer's clean finish is told from its disappearance: the first is `None`, the second an
///   error, even if it disappeared between two frames.
/// - No bytes that a peer sends make it panic, or allocate beyond the frame limit and what was
///   received.
#[async_trait]
pub trait FrameReceiver: Send + fmt::Debug {
    /// Waits for the next frame. `None` after the peer's clean finish, from then on always.
    ///
    /// Cancel-safe: dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// If the connection broke, also in the middle of a frame, or what came is no frame.
    /// Nothing more can be received.
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError>;

    /// How many bytes have arrived, those of a frame that isn't whole yet included: a large
    /// one over a slow link is no silence. The default implementation knows of none.
    fn received_bytes(&self) -> u64 {
        0
    }

    /// Takes no frames longer than this from now on, as far as that is less than the
    /// transport's own limit: of who isn't known yet, little is to be kept. A longer one is
    /// [`TransportError::FrameTooLong`] as soon as its length has arrived. The default
    /// implementation ignores it, as is right for transports whose frames take no memory
    /// until they are whole.
    fn limit_frames(&mut self, bytes_max: usize) {
        let _ = bytes_max;
    }

    /// A frame that has already arrived, without waiting and without I/O.
    ///
    /// `None` says only that a frame may have to be waited for with [`recv`](Self::recv). The
    /// default implementation always says so.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    fn buffered(&mut self) -> Result<Option<Bytes>, TransportError> {
        Ok(None)
    }
}
