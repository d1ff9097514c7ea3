//! Frames over a blocking stream, or a queue between two threads.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;

use anyhow::{Context as _, Result};

/// As much as Blaze's transports read at once.
const READ_BYTES: usize = 64 * 1024;
/// Frames that a queue holds.
const QUEUE_FRAMES: usize = 64;

/// Carries frames in both directions.
pub(crate) enum Pipe {
    /// Each frame is its length in 4 bytes and its bytes, in one write.
    Stream {
        reader: BufReader<Box<dyn Read + Send>>,
        writer: Box<dyn Write + Send>,
        out: Vec<u8>,
    },
    Queue {
        sender: mpsc::SyncSender<Vec<u8>>,
        receiver: mpsc::Receiver<Vec<u8>>,
    },
}

pub(crate) enum Listener {
    Unix { listener: UnixListener, endpoint: String },
    Tcp(TcpListener),
}

impl Listener {
    pub(crate) fn bind(endpoint: &str) -> Result<Self> {
        let (scheme, address) = split(endpoint)?;
        if scheme == "unix" {
            let listener = UnixListener::bind(address)?;
            return Ok(Self::Unix { listener, endpoint: endpoint.to_owned() });
        }
        Ok(Self::Tcp(TcpListener::bind(address)?))
    }

    pub(crate) fn endpoint(&self) -> Result<String> {
        match self {
            Self::Unix { endpoint, .. } => Ok(endpoint.clone()),
            Self::Tcp(listener) => Ok(format!("tcp://{}", listener.local_addr()?)),
        }
    }

    pub(crate) fn accept(&self) -> Result<Pipe> {
        match self {
            Self::Unix { listener, .. } => Pipe::unix(listener.accept()?.0),
            Self::Tcp(listener) => Pipe::tcp(listener.accept()?.0),
        }
    }
}

impl Pipe {
    pub(crate) fn connect(endpoint: &str) -> Result<Self> {
        match split(endpoint)? {
            ("unix", path) => Self::unix(UnixStream::connect(path)?),
            (_, address) => Self::tcp(TcpStream::connect(address)?),
        }
    }

    /// Both ends of a queue within a process.
    pub(crate) fn pair() -> (Self, Self) {
        let (near, from_near) = mpsc::sync_channel(QUEUE_FRAMES);
        let (far, from_far) = mpsc::sync_channel(QUEUE_FRAMES);
        (
            Self::Queue { sender: near, receiver: from_far },
            Self::Queue { sender: far, receiver: from_near },
        )
    }

    pub(crate) fn send(&mut self, frame: &[u8]) -> Result<()> {
        match self {
            Self::Stream { writer, out, .. } => {
                out.clear();
                out.extend_from_slice(&u32::try_from(frame.len())?.to_ne_bytes());
                out.extend_from_slice(frame);
                Ok(writer.write_all(out)?)
            }
            Self::Queue { sender, .. } => Ok(sender.send(frame.to_vec())?),
        }
    }

    /// Waits for the next frame, and puts it in the place of what `frame` held.
    pub(crate) fn recv(&mut self, frame: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Stream { reader, .. } => {
                let mut length = [0; 4];
                reader.read_exact(&mut length)?;
                frame.resize(u32::from_ne_bytes(length) as usize, 0);
                reader.read_exact(frame)?;
            }
            Self::Queue { receiver, .. } => *frame = receiver.recv()?,
        }
        Ok(())
    }

    fn unix(stream: UnixStream) -> Result<Self> {
        Ok(Self::stream(Box::new(stream.try_clone()?), Box::new(stream)))
    }

    fn tcp(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::stream(Box::new(stream.try_clone()?), Box::new(stream)))
    }

    fn stream(reader: Box<dyn Read + Send>, writer: Box<dyn Write + Send>) -> Self {
        let reader = BufReader::with_capacity(READ_BYTES, reader);
        Self::Stream { reader, writer, out: Vec::new() }
    }
}

fn split(endpoint: &str) -> Result<(&str, &str)> {
    let (scheme, address) = endpoint.split_once(':').context("an endpoint has a scheme")?;
    Ok((scheme, address.trim_start_matches("//")))
}
