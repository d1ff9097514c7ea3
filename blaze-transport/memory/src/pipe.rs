//! One direction of a connection: a queue of frames, bounded in bytes.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use blaze_transport::{FrameLimits, FrameReceiver, FrameSender, TransportError};
use bytes::Bytes;
use tokio::sync::Notify;

/// Bytes that one direction holds before flushing waits for the receiver: 1 MiB.
///
/// The receiver takes all of them at once, so that up to twice as many may wait altogether.
pub const IN_FLIGHT_BYTES_MAX: usize = 1024 * 1024;
/// What a frame counts beyond its bytes, so that tiny frames are bounded, too.
const FRAME_OVERHEAD_BYTES: usize = mem::size_of::<Bytes>();

/// Makes both ends of one direction.
pub(crate) fn pipe() -> (MemorySender, MemoryReceiver) {
    let pipe = Arc::new(Pipe::default());
    let receiver = MemoryReceiver { pipe: Arc::clone(&pipe), taken: VecDeque::new() };
    (MemorySender { pipe, queued: VecDeque::new(), finished: false }, receiver)
}

#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<State>,
    /// Frames came, or the sender's end changed.
    readable: Notify,
    /// Frames were taken, or the receiver is gone.
    writable: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Bytes>,
    /// What `frames` counts against [`IN_FLIGHT_BYTES_MAX`].
    bytes: usize,
    sender: SenderEnd,
    receiver_gone: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum SenderEnd {
    #[default]
    Open,
    Finished,
    Gone,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and every step leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Moves as many frames as fit. At least one does when nothing is in flight.
    fn take_from(&mut self, queued: &mut VecDeque<Bytes>) {
        while let Some(frame) = queued.front() {
            let bytes = self.bytes + frame.len() + FRAME_OVERHEAD_BYTES;
            if bytes > IN_FLIGHT_BYTES_MAX && !self.frames.is_empty() {
                return;
            }
            self.bytes = bytes;
            self.frames.extend(queued.pop_front());
        }
    }
}

fn broken(reason: &'static str) -> TransportError {
    TransportError::Broken { reason, source: None }
}

#[derive(Debug)]
pub(crate) struct MemorySender {
    pipe: Arc<Pipe>,
    queued: VecDeque<Bytes>,
    finished: bool,
}

#[async_trait]
impl FrameSender for MemorySender {
    fn feed(&mut self, frame: Bytes) -> Result<(), TransportError> {
        if self.finished {
            return Err(TransportError::SenderFinished);
        }
        FrameLimits::default().check(frame.len())?;
        self.queued.push_back(frame);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        while !self.queued.is_empty() {
            let before = self.queued.len();
            {
                let mut state = self.pipe.lock();
                if state.receiver_gone {
                    return Err(broken("the peer is gone"));
                }
                state.take_from(&mut self.queued);
            }
            if self.queued.len() < before {
                self.pipe.readable.notify_one();
            }
            if !self.queued.is_empty() {
                self.pipe.writable.notified().await;
            }
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), TransportError> {
        self.finished = true;
        self.flush().await?;
        self.pipe.lock().sender = SenderEnd::Finished;
        self.pipe.readable.notify_one();
        Ok(())
    }
}

impl Drop for MemorySender {
    fn drop(&mut self) {
        let mut state = self.pipe.lock();
        if matches!(state.sender, SenderEnd::Open) {
            state.sender = SenderEnd::Gone;
        }
        drop(state);
        self.pipe.readable.notify_one();
    }
}

#[derive(Debug)]
pub(crate) struct MemoryReceiver {
    pipe: Arc<Pipe>,
    /// Frames taken out of the pipe at once, to lock it once for many.
    taken: VecDeque<Bytes>,
}

impl MemoryReceiver {
    /// Takes the next frame if there is one, and the sender's end as it was then.
    fn take(&mut self) -> (Option<Bytes>, SenderEnd) {
        if let Some(frame) = self.taken.pop_front() {
            return (Some(frame), SenderEnd::Open);
        }
        let mut state = self.pipe.lock();
        // The empty queue goes back with its capacity, so that nothing is allocated per batch.
        mem::swap(&mut self.taken, &mut state.frames);
        state.bytes = 0;
        let sender = state.sender;
        drop(state);
        let frame = self.taken.pop_front();
        if frame.is_some() {
            self.pipe.writable.notify_one();
        }
        (frame, sender)
    }
}

#[async_trait]
impl FrameReceiver for MemoryReceiver {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        loop {
            match self.take() {
                (Some(frame), _) => return Ok(Some(frame)),
                (None, SenderEnd::Finished) => return Ok(None),
                (None, SenderEnd::Gone) => return Err(broken("the peer is gone without a finish")),
                (None, SenderEnd::Open) => self.pipe.readable.notified().await,
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<Bytes>, TransportError> {
        Ok(self.take().0)
    }
}

impl Drop for MemoryReceiver {
    fn drop(&mut self) {
        let mut state = self.pipe.lock();
        state.receiver_gone = true;
        // A sender that lives on must not hold what nobody will read.
        state.frames = VecDeque::new();
        drop(state);
        self.pipe.writable.notify_one();
    }
}
