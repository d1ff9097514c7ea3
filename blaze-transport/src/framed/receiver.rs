//! Reads frames from a byte stream.

use std::fmt;

use async_trait::async_trait;
use blaze_codec::DecodeError;
use blaze_codec::frame::{FrameCodec, FrameError};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::codec::Decoder;

use super::{END, FrameLimits, stream_error};
use crate::{FrameReceiver, TransportError};

/// How much a read may take from the stream at once.
const READ_BYTES: usize = 64 * 1024;
/// Below this much room the buffer is extended before the next read.
const READ_BYTES_MIN: usize = 8 * 1024;

/// A [`FrameReceiver`] over the read half of a byte stream.
pub struct FramedReceiver<R> {
    stream: R,
    codec: FrameCodec,
    buffer: BytesMut,
    received_bytes: u64,
    /// The transport's limit.
    frame_bytes_max: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Finished,
    Failed,
}

impl<R> FramedReceiver<R> {
    pub(super) fn new(stream: R, limits: FrameLimits) -> Self {
        Self {
            stream,
            codec: FrameCodec::new().body_bytes_max(limits.frame_bytes_max()),
            buffer: BytesMut::new(),
            received_bytes: 0,
            frame_bytes_max: limits.frame_bytes_max(),
            state: State::Open,
        }
    }
}

impl<R> FramedReceiver<R> {
    /// Takes a frame, or the end, out of the buffer. `None` if neither has arrived whole.
    fn take(&mut self) -> Result<Option<Received>, TransportError> {
        if self.buffer.starts_with(&END) {
            return Ok(Some(Received::End));
        }
        let frame = self.codec.decode(&mut self.buffer);
        let frame = frame.map_err(|error| match error {
            FrameError::Decode(DecodeError::Limit { found, max, .. }) => {
                TransportError::FrameTooLong { bytes: found, bytes_max: max }
            }
            other => TransportError::Corrupt { reason: other.to_string() },
        })?;
        Ok(frame.map(Received::Frame))
    }

    /// Advances the state by what [`take`](Self::take) finds: `None` if more must be read.
    fn step(&mut self) -> Result<Option<Received>, TransportError> {
        match self.state {
            State::Finished => return Ok(Some(Received::End)),
            State::Failed => {
                let reason = "receiving failed before";
                return Err(TransportError::Broken { reason, source: None });
            }
            State::Open => {}
        }
        let taken = self.take();
        match taken {
            Ok(Some(Received::End)) => self.state = State::Finished,
            Err(_) => self.state = State::Failed,
            Ok(_) => {}
        }
        taken
    }
}

/// What stands at the front of the buffer.
enum Received {
    Frame(Bytes),
    End,
}

#[async_trait]
impl<R: AsyncRead + Send + Unpin> FrameReceiver for FramedReceiver<R> {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        loop {
            match self.step()? {
                Some(Received::Frame(frame)) => return Ok(Some(frame)),
                Some(Received::End) => return Ok(None),
                None => {}
            }
            if self.buffer.capacity() - self.buffer.len() < READ_BYTES_MIN {
                self.buffer.reserve(READ_BYTES);
            }
            // The only await: what it read is in the buffer, whether or not this future goes on.
            let read = self.stream.read_buf(&mut self.buffer).await;
            let error = match read {
                Ok(0) if self.buffer.is_empty() => TransportError::Broken {
                    reason: "the peer is gone without a finish",
                    source: None,
                },
                Ok(0) => TransportError::Broken {
                    reason: "the stream ends within a frame",
                    source: None,
                },
                Ok(bytes) => {
                    self.received_bytes += bytes as u64;
                    continue;
                }
                Err(error) => stream_error("receive a frame", error),
            };
            self.state = State::Failed;
            return Err(error);
        }
    }

    fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    fn limit_frames(&mut self, bytes_max: usize) {
        self.codec.set_body_bytes_max(bytes_max.min(self.frame_bytes_max));
    }

    fn buffered(&mut self) -> Result<Option<Bytes>, TransportError> {
        match self.step()? {
            Some(Received::Frame(frame)) => Ok(Some(frame)),
            Some(Received::End) | None => Ok(None),
        }
    }
}

impl<R> fmt::Debug for FramedReceiver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramedReceiver")
            .field("buffered_bytes", &self.buffer.len())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
