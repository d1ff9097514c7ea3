//! A broken framing of byte streams fails the rule that it breaks: the rules for streams can fail.

use std::{io, sync::Arc};

use async_trait::async_trait;
use blaze_transport::{
    Connection, Endpoint, FrameReceiver, FrameSender, Listener, PeerInfo, Transport, TransportError,
};
use blaze_transport_conformance::{
    Harness, stream_conformance,
    streams::{self, Front, StreamHarness},
};
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// What is wrong with a framing that otherwise works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// A header is taken to come in one piece.
    HeadersAreWhole,
    /// So is a frame.
    FramesAreWhole,
    /// An end of the stream is a clean one.
    EndsAreClean,
    /// An end between two frames is a clean one.
    EndsBetweenFramesAreClean,
    /// What has come of a frame at the end is one.
    TornFramesCount,
    /// Finishing leaves what is queued.
    FinishForgetsQueue,
    /// Who is gone can be sent to.
    DepartureIsIgnored,
}

/// Frames over TCP: a length of four bytes before each, and one of zero at the end.
#[derive(Clone, Copy, Debug)]
struct Naive(Fault);

impl Naive {
    fn connection(self, stream: TcpStream) -> Connection {
        let (read_half, write_half) = stream.into_split();
        let sender = NaiveSender { stream: write_half, queue: Vec::new(), fault: self.0 };
        let receiver = NaiveReceiver { stream: read_half, state: State::Open, fault: self.0 };
        Connection::new(sender, receiver, PeerInfo::new("the other end"))
    }
}

fn failed(error: io::Error) -> TransportError {
    TransportError::Broken { reason: "the stream failed", source: Some(error) }
}

#[async_trait]
impl Transport for Naive {
    fn scheme(&self) -> &'static str {
        "tcp"
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError> {
        let stream = TcpStream::connect(endpoint.address()).await.map_err(failed)?;
        Ok(self.connection(stream))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        let listener = TcpListener::bind(endpoint.address()).await.map_err(failed)?;
        let endpoint = Endpoint::tcp("127.0.0.1", listener.local_addr().map_err(failed)?.port())?;
        Ok(Box::new(NaiveListener { listener, endpoint, naive: *self }))
    }
}

#[derive(Debug)]
struct NaiveListener {
    listener: TcpListener,
    endpoint: Endpoint,
    naive: Naive,
}

#[async_trait]
impl Listener for NaiveListener {
    async fn accept(&mut self) -> Result<Connection, TransportError> {
        let (stream, _) = self.listener.accept().await.map_err(failed)?;
        Ok(self.naive.connection(stream))
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

#[derive(Debug)]
struct NaiveSender {
    stream: OwnedWriteHalf,
    queue: Vec<u8>,
    fault: Fault,
}

#[async_trait]
impl FrameSender for NaiveSender {
    fn feed(&mut self, frame: Bytes) -> Result<(), TransportError> {
        let length = u32::try_from(frame.len()).expect("the rules' frames are small");
        self.queue.extend_from_slice(&length.to_le_bytes());
        self.queue.extend_from_slice(&frame);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        let written = self.stream.write_all(&self.queue).await;
        self.queue.clear();
        match self.fault {
            Fault::DepartureIsIgnored => Ok(()),
            _ => written.map_err(failed),
        }
    }

    async fn finish(&mut self) -> Result<(), TransportError> {
        if self.fault == Fault::FinishForgetsQueue {
            self.queue.clear();
        }
        self.queue.extend_from_slice(&[0; 4]);
        self.flush().await?;
        self.stream.shutdown().await.map_err(failed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Finished,
    Failed,
}

#[derive(Debug)]
struct NaiveReceiver {
    stream: OwnedReadHalf,
    state: State,
    fault: Fault,
}

impl NaiveReceiver {
    /// Fills a buffer, or as much of it as comes before the end, or at once if it `hurries`.
    async fn read(&mut self, buffer: &mut [u8], hurries: bool) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.stream.read(&mut buffer[filled..]).await? {
                0 => break,
                read => filled += read,
            }
            if hurries {
                break;
            }
        }
        Ok(filled)
    }

    async fn take(&mut self) -> io::Result<Option<Bytes>> {
        let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let mut header = [0; 4];
        let found = self.read(&mut header, self.fault == Fault::HeadersAreWhole).await?;
        match (found, self.fault) {
            (0, Fault::EndsBetweenFramesAreClean) | (..4, Fault::EndsAreClean) => return Ok(None),
            (..4, fault) if fault != Fault::HeadersAreWhole => return Err(ended()),
            _ => {}
        }
        let length = u32::from_le_bytes(header) as usize;
        if length == 0 {
            return Ok(None);
        }
        let mut frame = vec![0; length];
        let found = self.read(&mut frame, self.fault == Fault::FramesAreWhole).await?;
        match self.fault {
            _ if found == length => Ok(Some(frame.into())),
            Fault::EndsAreClean => Ok(None),
            Fault::TornFramesCount | Fault::FramesAreWhole => Ok(Some(frame.into())),
            _ => Err(ended()),
        }
    }
}

#[async_trait]
impl FrameReceiver for NaiveReceiver {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        match self.state {
            State::Finished => return Ok(None),
            State::Failed => return Err(failed(io::ErrorKind::NotConnected.into())),
            State::Open => {}
        }
        let taken = self.take().await.map_err(failed);
        match taken {
            Ok(None) => self.state = State::Finished,
            Err(_) => self.state = State::Failed,
            Ok(Some(_)) => {}
        }
        taken
    }
}

impl Harness for Naive {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(*self)
    }

    fn endpoint(&self) -> Endpoint {
        "tcp://127.0.0.1:0".parse().unwrap()
    }

    fn in_flight_bytes_max(&self) -> usize {
        4 * 1024 * 1024
    }
}

#[async_trait]
impl StreamHarness for Naive {
    async fn front(&self) -> Front {
        Front::tcp("tcp", "127.0.0.1").await.unwrap()
    }

    fn header_bytes(&self) -> usize {
        4
    }
}

/// Without a fault it keeps every rule, so what fails below fails by its fault.
mod without_fault {
    use super::*;

    stream_conformance!(Naive(Fault::None));
}

/// One test per fault: the rule must panic.
macro_rules! faults_are_found {
    ($($name:ident: $fault:ident breaks $rule:ident;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let harness = Arc::new(Naive(Fault::$fault));
                let checking = tokio::spawn(async move { streams::$rule(&*harness).await });
                let failure = checking.await.expect_err("the rule must notice the fault");
                assert!(failure.is_panic());
            }
        )*
    };
}

faults_are_found! {
    finds_headers_in_one_read: HeadersAreWhole breaks frames_survive_any_pieces;
    finds_frames_in_one_read: FramesAreWhole breaks frames_survive_any_pieces;
    finds_any_end_taken_for_a_goodbye: EndsAreClean breaks cuts_are_never_clean_ends;
    finds_an_end_between_frames_taken_for_a_goodbye:
        EndsBetweenFramesAreClean breaks ends_at_any_byte_are_broken;
    finds_torn_frames: TornFramesCount breaks cuts_are_never_clean_ends;
    finds_a_queue_forgotten_by_finish:
        FinishForgetsQueue breaks finish_flushes_through_slow_streams;
    finds_an_ignored_departure: DepartureIsIgnored breaks hang_ups_end_both_sides;
}
