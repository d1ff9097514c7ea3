//! The in-process transport with one fault of choice.

use std::{
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use blaze_transport::{
    Connection, Endpoint, FRAME_BYTES_MAX, FrameReceiver, FrameSender, Listener, Transport,
    TransportError,
};
use blaze_transport_memory::MemoryTransport;
use bytes::Bytes;
use tokio::time::timeout;

/// What is wrong with a transport that otherwise works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    AbsenceIsFinal,
    ListenersPileUp,
    CloseKeepsEndpoint,
    AcceptLosesWhenDropped,
    ThirdFrameIsDropped,
    LongFramesAreCut,
    BitIsFlipped,
    NeighboursAreSwapped,
    LargestIsRefused,
    RefusalIsSwallowed,
    RefusalBreaks,
    FlushHoldsBack,
    BufferedOvertakes,
    RecvLosesWhenDropped,
    FlushRepeatsWhenDropped,
    FlushLosesWhenDropped,
    QueueIsUnbounded,
    BreakIsClean,
    EndIsBreak,
    EndPasses,
    FinishForgetsQueue,
    FinishClosesBoth,
    DepartureIsIgnored,
}

fn broken() -> TransportError {
    TransportError::Broken { reason: "by a fault", source: None }
}

#[derive(Clone, Debug)]
pub(crate) struct FaultyTransport {
    inner: MemoryTransport,
    fault: Fault,
}

impl FaultyTransport {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { inner: MemoryTransport::new(), fault }
    }
}

fn wrap(connection: Connection, fault: Fault) -> Connection {
    let closed = Arc::new(AtomicBool::new(false));
    let sender = FaultySender {
        inner: connection.sender,
        fault,
        queue: Vec::new(),
        fed: 0,
        unusable: false,
        closed: Arc::clone(&closed),
    };
    let receiver =
        FaultyReceiver { inner: connection.receiver, fault, held: None, ended: false, closed };
    Connection::new(sender, receiver, connection.peer)
}

#[async_trait]
impl Transport for FaultyTransport {
    fn scheme(&self) -> &'static str {
        self.inner.scheme()
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError> {
        match self.inner.connect(endpoint).await {
            Ok(connection) => Ok(wrap(connection, self.fault)),
            Err(TransportError::NothingListens { .. }) if self.fault == Fault::AbsenceIsFinal => {
                Err(TransportError::io("connect", io::ErrorKind::Unsupported.into()))
            }
            Err(error) => Err(error),
        }
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        let mut listening = self.inner.listen(endpoint).await;
        if listening.is_err() && self.fault == Fault::ListenersPileUp {
            listening = self.inner.listen(&Endpoint::memory("another")?).await;
        }
        Ok(Box::new(FaultyListener { inner: Some(listening?), fault: self.fault }))
    }
}

#[derive(Debug)]
struct FaultyListener {
    /// `None` only while it is dropped.
    inner: Option<Box<dyn Listener>>,
    fault: Fault,
}

#[async_trait]
impl Listener for FaultyListener {
    async fn accept(&mut self) -> Result<Connection, TransportError> {
        let connection = self.inner.as_mut().unwrap().accept().await?;
        if self.fault == Fault::AcceptLosesWhenDropped {
            tokio::task::yield_now().await;
        }
        Ok(wrap(connection, self.fault))
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.as_ref().unwrap().endpoint()
    }

    async fn close(self: Box<Self>) -> Result<(), TransportError> {
        Ok(())
    }
}

impl Drop for FaultyListener {
    fn drop(&mut self) {
        if self.fault == Fault::CloseKeepsEndpoint {
            mem::forget(self.inner.take());
        }
    }
}

#[derive(Debug)]
struct FaultySender {
    inner: Box<dyn FrameSender>,
    fault: Fault,
    /// What some faults keep back from the inner sender.
    queue: Vec<Bytes>,
    fed: usize,
    unusable: bool,
    closed: Arc<AtomicBool>,
}

#[async_trait]
impl FrameSender for FaultySender {
    fn feed(&mut self, frame: Bytes) -> Result<(), TransportError> {
        self.fed += 1;
        if self.unusable {
            return Err(broken());
        }
        let frame = match self.fault {
            Fault::ThirdFrameIsDropped if self.fed == 3 => return Ok(()),
            Fault::LongFramesAreCut if frame.len() > 1000 => frame.slice(1..),
            Fault::BitIsFlipped if frame.len() > 1000 => {
                let mut bytes = frame.to_vec();
                bytes[999] ^= 1;
                bytes.into()
            }
            Fault::LargestIsRefused if frame.len() == FRAME_BYTES_MAX => {
                let (bytes, bytes_max) = (FRAME_BYTES_MAX, FRAME_BYTES_MAX - 1);
                return Err(TransportError::FrameTooLarge { bytes, bytes_max });
            }
            Fault::NeighboursAreSwapped
            | Fault::FlushHoldsBack
            | Fault::FlushRepeatsWhenDropped
            | Fault::FlushLosesWhenDropped
            | Fault::FinishForgetsQueue => {
                self.queue.push(frame);
                return Ok(());
            }
            _ => frame,
        };
        match self.inner.feed(frame) {
            Err(_) if self.fault == Fault::RefusalIsSwallowed => Ok(()),
            Err(error) => {
                self.unusable = self.fault == Fault::RefusalBreaks;
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        match self.fault {
            Fault::FlushHoldsBack => return Ok(()),
            Fault::NeighboursAreSwapped => {
                self.queue.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
            }
            Fault::FlushRepeatsWhenDropped => {
                for frame in &self.queue {
                    self.inner.feed(frame.clone())?;
                }
                self.inner.flush().await?;
                self.queue.clear();
            }
            Fault::FlushLosesWhenDropped => {
                for frame in mem::take(&mut self.queue) {
                    self.inner.feed(frame)?;
                    self.inner.flush().await?;
                }
            }
            Fault::QueueIsUnbounded => {
                // What cannot leave now stays queued, and the caller is told that it left.
                let flushed = timeout(Duration::ZERO, self.inner.flush()).await;
                return flushed.unwrap_or(Ok(()));
            }
            _ => {}
        }
        for frame in self.queue.drain(..) {
            self.inner.feed(frame)?;
        }
        let flushed = self.inner.flush().await;
        if self.fault == Fault::DepartureIsIgnored { Ok(()) } else { flushed }
    }

    async fn finish(&mut self) -> Result<(), TransportError> {
        match self.fault {
            Fault::FinishForgetsQueue => self.queue.clear(),
            Fault::FinishClosesBoth => self.closed.store(true, Ordering::Relaxed),
            _ => {}
        }
        for frame in self.queue.drain(..) {
            self.inner.feed(frame)?;
        }
        self.inner.finish().await
    }
}

#[derive(Debug)]
struct FaultyReceiver {
    inner: Box<dyn FrameReceiver>,
    fault: Fault,
    /// A frame that another one overtook.
    held: Option<Bytes>,
    ended: bool,
    closed: Arc<AtomicBool>,
}

#[async_trait]
impl FrameReceiver for FaultyReceiver {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if let Some(frame) = self.held.take() {
            return Ok(Some(frame));
        }
        let received = self.inner.recv().await;
        if self.fault == Fault::RecvLosesWhenDropped {
            tokio::task::yield_now().await;
        }
        match (self.fault, received) {
            (Fault::BreakIsClean, Err(_)) => Ok(None),
            (Fault::EndIsBreak, Ok(None)) => Err(broken()),
            (Fault::EndPasses, Ok(None)) if mem::replace(&mut self.ended, true) => Err(broken()),
            (_, received) => received,
        }
    }

    fn buffered(&mut self) -> Result<Option<Bytes>, TransportError> {
        if let Some(frame) = self.held.take() {
            return Ok(Some(frame));
        }
        let first = self.inner.buffered()?;
        if self.fault != Fault::BufferedOvertakes {
            return Ok(first);
        }
        let second = self.inner.buffered()?;
        if second.is_none() {
            return Ok(first);
        }
        self.held = first;
        Ok(second)
    }
}
