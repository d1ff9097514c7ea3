//! Frames over any byte stream.

use std::io;

mod queue;
mod receiver;
mod sender;

use tokio::io::{AsyncRead, AsyncWrite};

pub use receiver::FramedReceiver;
pub use sender::FramedSender;

use crate::TransportError;

/// The largest frame that a transport of this workspace carries, in bytes: 1 MiB.
pub const FRAME_BYTES_MAX: usize = blaze_codec::limits::BODY_BYTES_MAX;

/// The smallest frame, in bytes: what every body of `blaze-codec` begins with.
pub const FRAME_BYTES_MIN: usize = blaze_codec::frame::BODY_BYTES_MIN;

/// What follows the last frame: a header of length 0, which no frame has.
///
/// Without it a peer that was killed between two frames would look like one that had finished.
const END: [u8; 8] = [0; 8];

/// What a framed stream carries at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameLimits {
    frame_bytes_max: usize,
}

impl FrameLimits {
    /// Sets the size of the largest frame. Default: [`FRAME_BYTES_MAX`].
    pub fn with_frame_bytes_max(mut self, frame_bytes_max: usize) -> Self {
        self.frame_bytes_max = frame_bytes_max;
        self
    }

    /// The size of the largest frame, in bytes.
    pub fn frame_bytes_max(self) -> usize {
        self.frame_bytes_max
    }

    /// Checks the size of a frame that is to be sent.
    ///
    /// # Errors
    ///
    /// [`TransportError::FrameTooSmall`] or [`TransportError::FrameTooLarge`].
    pub fn check(self, frame_bytes: usize) -> Result<(), TransportError> {
        if frame_bytes < FRAME_BYTES_MIN {
            return Err(TransportError::FrameTooSmall {
                bytes: frame_bytes,
                bytes_min: FRAME_BYTES_MIN,
            });
        }
        if frame_bytes > self.frame_bytes_max {
            return Err(TransportError::FrameTooLarge {
                bytes: frame_bytes,
                bytes_max: self.frame_bytes_max,
            });
        }
        Ok(())
    }
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self { frame_bytes_max: FRAME_BYTES_MAX }
    }
}

/// Turns the two halves of a byte stream into a [`FrameSender`](crate::FrameSender) and a
/// [`FrameReceiver`](crate::FrameReceiver).
///
/// Frames travel as a header of their length and checksum, then their bytes, as `blaze-codec`
/// defines it. Small frames leave together in one write; large ones are never copied on the way
/// out. [`finish`](crate::FrameSender::finish) sends a header of length 0 and shuts the write
/// half down; an end of the stream without it is [`TransportError::Broken`].
///
/// The halves must not share a lock that one holds while it waits, as both directions run at once.
///
/// ```
/// use blaze_transport::{FrameLimits, FrameReceiver, FrameSender, framed};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), blaze_transport::TransportError> {
/// let (near, far) = tokio::io::duplex(64);
/// let (near_read, near_write) = tokio::io::split(near);
/// let (far_read, far_write) = tokio::io::split(far);
/// let (mut sender, _) = framed(near_read, near_write, FrameLimits::default());
/// let (_, mut receiver) = framed(far_read, far_write, FrameLimits::default());
///
/// sender.feed("hello".into())?;
/// sender.finish().await?;
/// assert_eq!(receiver.recv().await?.unwrap(), "hello");
/// assert!(receiver.recv().await?.is_none());
/// # Ok(())
/// # }
/// ```
pub fn framed<R, W>(
    read_half: R,
    write_half: W,
    limits: FrameLimits,
) -> (FramedSender<W>, FramedReceiver<R>)
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    (FramedSender::new(write_half, limits), FramedReceiver::new(read_half, limits))
}

/// Tells a peer that is gone from other failures of the system.
fn stream_error(action: &'static str, error: io::Error) -> TransportError {
    match error.kind() {
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::WriteZero => {
            TransportError::Broken { reason: "the peer is gone", source: Some(error) }
        }
        _ => TransportError::io(action, error),
    }
}
