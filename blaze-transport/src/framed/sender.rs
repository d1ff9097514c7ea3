//! Writes frames to a byte stream.

use std::fmt;

use async_trait::async_trait;
use blaze_codec::frame;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{END, FrameLimits, queue::SendQueue, stream_error};
use crate::{FrameSender, TransportError};

/// A [`FrameSender`] over the write half of a byte stream.
pub struct FramedSender<W> {
    stream: W,
    queue: SendQueue,
    limits: FrameLimits,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The end marker is queued.
    Finishing,
    Finished,
}

impl<W> FramedSender<W> {
    pub(super) fn new(stream: W, limits: FrameLimits) -> Self {
        Self { stream, queue: SendQueue::default(), limits, phase: Phase::Open }
    }
}

#[async_trait]
impl<W: AsyncWrite + Send + Unpin> FrameSender for FramedSender<W> {
    fn feed(&mut self, frame: Bytes) -> Result<(), TransportError> {
        if self.phase != Phase::Open {
            return Err(TransportError::SenderFinished);
        }
        self.limits.check(frame.len())?;
        self.queue.push_small(&frame::header(&frame));
        self.queue.push(frame);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        // Each write takes from the queue exactly what the stream took, before the next await.
        while self.queue.has_remaining() {
            let written = self.stream.write_buf(&mut self.queue).await;
            if written.map_err(|error| stream_error("send a frame", error))? == 0 {
                return Err(TransportError::Broken {
                    reason: "the stream takes no more bytes",
                    source: None,
                });
            }
        }
        self.stream.flush().await.map_err(|error| stream_error("send a frame", error))
    }

    async fn finish(&mut self) -> Result<(), TransportError> {
        if self.phase == Phase::Finished {
            return Ok(());
        }
        if self.phase == Phase::Open {
            self.phase = Phase::Finishing;
            self.queue.push_small(&END);
        }
        self.flush().await?;
        let shut = self.stream.shutdown().await;
        shut.map_err(|error| stream_error("finish sending", error))?;
        self.phase = Phase::Finished;
        Ok(())
    }
}

impl<W> fmt::Debug for FramedSender<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramedSender")
            .field("queued_bytes", &self.queue.remaining())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
