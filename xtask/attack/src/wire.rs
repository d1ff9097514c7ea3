//! Connections to the hub on which anything can be said.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use blaze_codec::frame::{HEADER_BYTES, header};
use blaze_codec::message::{CompressionSet, Hello, Message, Reason, Resume, Start};
use blaze_codec::{Incarnation, Mode, NodeId, Role, Seq};

use crate::PATIENCE;

/// What follows the last frame.
const END: [u8; HEADER_BYTES] = [0; HEADER_BYTES];

/// The most credit that is taken.
const CREDIT: u64 = 16 * 1024 * 1024;

/// Where the hub listens.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Target {
    /// The target of an endpoint of this scheme.
    pub(crate) fn parse(endpoint: &str, scheme: &str) -> Option<Self> {
        let address = endpoint.strip_prefix(scheme)?;
        match scheme {
            "unix:" => Some(Self::Unix(address.into())),
            _ => address.parse().ok().map(Self::Tcp),
        }
    }

    /// The endpoint, for whoever connects as users do.
    pub(crate) fn endpoint(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix:{}", path.display()),
            Self::Tcp(address) => format!("tcp://{address}"),
        }
    }

    pub(crate) fn connect(&self) -> Result<Wire> {
        let stream: Box<dyn Stream> = match self {
            Self::Unix(path) => Box::new(connect_unix(path)?),
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).context("can't connect")?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        };
        Ok(Wire { stream })
    }

    /// Connects, and says hello as the node of this number.
    pub(crate) fn greeted(&self, node: u64, change: impl FnOnce(&mut Hello)) -> Result<Wire> {
        let mut wire = self.connect()?;
        let mut hello = hello(node);
        change(&mut hello);
        wire.say(&Message::Hello(hello));
        Ok(wire)
    }

    /// A conversation in which that node may send changes, and gets those that are made from now
    /// on.
    pub(crate) fn started(&self, node: u64) -> Result<Wire> {
        self.started_as(node, |_| (), &[])
    }

    /// The same with another hello, and with what follows it.
    pub(crate) fn started_as(
        &self,
        node: u64,
        change: impl FnOnce(&mut Hello),
        after: &[Message],
    ) -> Result<Wire> {
        let mut wire = self.greeted(node, change)?;
        for message in after {
            wire.say(message);
        }
        let Some(Message::Hello(hub)) = wire.hear()? else { bail!("the hub says no hello") };
        wire.say(&Message::Resume(Resume { after: hub.head, last: None, credit: CREDIT }));
        wire.say(&START);
        wire.hear_until(|message| matches!(message, Message::Start(_)))?;
        Ok(wire)
    }
}

fn connect_unix(path: &PathBuf) -> Result<UnixStream> {
    let stream = UnixStream::connect(path).context("can't connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The hello of a node that nobody knows.
pub(crate) fn hello(node: u64) -> Hello {
    Hello {
        protocol_min: 1,
        protocol_max: 1,
        node: NodeId::from_bytes(u128::from(node).to_be_bytes()),
        former: Vec::new(),
        history: Incarnation(node).into(),
        database: "main".into(),
        name: "hostile".into(),
        role: Role::Client,
        mode: Mode::Bidirectional,
        head: Seq(1),
        wall_ms: 0,
        reads: CompressionSet::EMPTY,
        scope: 0,
    }
}

/// Lets the hub send.
pub(crate) const START: Message = Message::Start(Start { roll: None });

/// Asks for everything.
pub(crate) fn resume() -> Message {
    Message::Resume(Resume { after: Seq::ZERO, last: None, credit: CREDIT })
}

trait Stream: Read + Write + Send {
    fn finish(&self) -> io::Result<()>;
}

impl Stream for UnixStream {
    fn finish(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for TcpStream {
    fn finish(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// A connection.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
}

impl Wire {
    /// Writes bytes; false if the hub has hung up.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Writes a frame with this body; false if the hub has hung up.
    pub(crate) fn frame(&mut self, body: &[u8]) -> bool {
        self.write(&[&header(body), body].concat())
    }

    pub(crate) fn say(&mut self, message: &Message) -> bool {
        self.frame(&message.encode())
    }

    /// The next message; `None` at the end.
    pub(crate) fn hear(&mut self) -> Result<Option<Message>> {
        let mut header = [0; HEADER_BYTES];
        if !self.read(&mut header)? || header == END {
            return Ok(None);
        }
        let length = u32::from_le_bytes(header[..4].try_into()?);
        let mut body = vec![0; usize::try_from(length)?];
        if !self.read(&mut body)? {
            return Ok(None);
        }
        Ok(Some(Message::decode(body.into()).context("the hub speaks nonsense")?))
    }

    /// Waits for a message that fulfils a condition.
    pub(crate) fn hear_until(&mut self, condition: impl Fn(&Message) -> bool) -> Result<Message> {
        loop {
            match self.hear()? {
                Some(message) if condition(&message) => return Ok(message),
                Some(Message::Goodbye(goodbye)) => bail!("the hub left: {}", goodbye.message),
                Some(_) => {}
                None => bail!("the hub hung up"),
            }
        }
    }

    /// Waits for a goodbye for this reason, with this in its message, and for the end.
    pub(crate) fn refused(mut self, reason: Reason, with: &str) -> Result<String> {
        let told = self.told(reason, with)?;
        self.ends()?;
        Ok(told)
    }

    /// Waits for a goodbye for this reason, with this in its message.
    pub(crate) fn told(&mut self, reason: Reason, with: &str) -> Result<String> {
        let said = self.hear_until(|message| matches!(message, Message::Goodbye(_)))?;
        let Message::Goodbye(goodbye) = said else { bail!("{said:?} is no goodbye") };
        let message = goodbye.message;
        ensure!(
            goodbye.reason == reason && message.contains(with),
            "expected {reason:?} with {with:?}, found {:?}: {message}",
            goodbye.reason
        );
        Ok(format!("goodbye: {message}"))
    }

    /// Waits until the hub hangs up, whatever it says before.
    pub(crate) fn ends(&mut self) -> Result<()> {
        let mut rest = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_late(&error) => bail!("the hub neither speaks nor hangs up"),
                Err(_) => return Ok(()),
            }
        }
    }

    /// Ends this side's direction, and waits until the hub hangs up.
    pub(crate) fn end(mut self) -> Result<()> {
        // It may have hung up first.
        let _ = self.stream.finish();
        self.ends()
    }

    /// Fills a buffer; false at the end. Hanging up on what is unread is an end, too.
    fn read(&mut self, buffer: &mut [u8]) -> Result<bool> {
        match self.stream.read_exact(buffer) {
            Ok(()) => Ok(true),
            Err(error) if is_late(&error) => bail!("the hub neither speaks nor hangs up"),
            Err(_) => Ok(false),
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
