//! Asks a server who it is, and goes before it notes anything of that.

use std::io;
use std::time::Duration;

use blaze_codec::message::CompressionSet;
use blaze_codec::{HlcClock, Incarnation, Mode, NodeId, Role, Seq};
use blaze_db_adapter::WallClock;
use blaze_sync_protocol::{
    Event, Input, Limits, LocalNode, Moment, Output, Peer, Session, SessionConfig, SessionError,
    Side,
};
use blaze_transport::{
    Connection, Endpoint, FrameReceiver, FrameSender, PeerInfo, Transport, TransportError,
};
use tokio::time::{Instant, timeout, timeout_at};

use crate::driver::{GOODBYE, report, say_goodbye};

/// How far one clock may be ahead of another, in milliseconds: who is further behind refuses what
/// the other one writes.
pub const CLOCK_AHEAD_MS_MAX: u64 = HlcClock::DRIFT_MS_MAX;

/// By what name a server sees it come and go.
const NAME: &str = "probe";

/// What was found at an endpoint where somebody listens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probed {
    /// Who is at the other end, as far as the transport knows.
    pub process: PeerInfo,
    /// How it answered a hello, or why it didn't.
    pub greeting: Result<Greeting, SessionError>,
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Greeting {
    /// Who it is.
    pub peer: Peer,
    /// How far its clock is ahead of this device's, in milliseconds; negative if it is behind.
    pub clock_ahead_ms: i64,
    /// By how much that can be wrong: half of the time that the answer took, in milliseconds.
    pub clock_error_ms: u64,
}

/// Asks who listens at an endpoint: says hello as a peer of this role that wants to receive
/// `database`, hears the answer, and says goodbye.
///
/// It takes no part in the exchange. It asks for no changes, so that it is registered nowhere and
/// no tombstone is kept for it; the server's users see a link that comes and goes.
///
/// ```
/// use std::sync::Arc;
///
/// use blaze_codec::{Mode, Role};
/// use blaze_db_adapter_memory::MemoryDatabase;
/// use blaze_sync_engine::{Node, NodeOptions, probe};
/// use blaze_transport_memory::MemoryTransport;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (transport, endpoint) = (MemoryTransport::new(), "mem:office".parse()?);
/// let office = Node::new(Arc::new(MemoryDatabase::new()), "office", NodeOptions::default());
/// office.listen(Arc::new(transport.clone()), &endpoint, &Mode::ALL).await?;
///
/// let greeting = probe(&transport, &endpoint, "main", Role::Client).await?.greeting?;
/// assert_eq!(greeting.peer.name, "office");
/// assert!(office.database().peers().await?.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`TransportError`] if no connection can be had. What goes wrong after that is in
/// [`Probed::greeting`].
pub async fn probe(
    transport: &dyn Transport,
    endpoint: &Endpoint,
    database: &str,
    role: Role,
) -> Result<Probed, TransportError> {
    let Connection { sender, receiver, peer: process, .. } = transport.connect(endpoint).await?;
    let config = SessionConfig { agreed_role: process.role(), ..config(database, role)? };
    let mut probe = Probe::new(config, sender, receiver);
    let greeting = probe.greet().await;
    // A server that doesn't take the goodbye hears the end of the connection.
    let _ = timeout(GOODBYE, probe.leave()).await;
    Ok(Probed { process, greeting })
}

/// A node that nobody knows, and that wants to receive: a server registers a peer that it is to
/// receive from at its hello, any other when that asks for changes.
fn config(database: &str, role: Role) -> Result<SessionConfig, TransportError> {
    let local = LocalNode {
        node: NodeId::from_bytes(random()?),
        former: Vec::new(),
        history: Incarnation::drawn(u64::from_ne_bytes(random()?)).into(),
        database: database.to_owned(),
        name: NAME.to_owned(),
        role,
        head: Seq::ZERO,
    };
    let side = Side::Connector { mode: Mode::ReadOnly };
    Ok(SessionConfig { reads: CompressionSet::EMPTY, ..SessionConfig::new(local, side) })
}

fn random<const N: usize>() -> Result<[u8; N], TransportError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        TransportError::io("draw random bytes", io::Error::other(error.to_string()))
    })?;
    Ok(bytes)
}

struct Probe {
    session: Session,
    sender: Box<dyn FrameSender>,
    receiver: Box<dyn FrameReceiver>,
    clock: WallClock,
    began: Instant,
}

impl Probe {
    fn new(
        config: SessionConfig,
        sender: Box<dyn FrameSender>,
        receiver: Box<dyn FrameReceiver>,
    ) -> Self {
        let clock = WallClock::system();
        let now = Moment { mono_ms: 0, wall_ms: clock.now_ms() };
        let session = Session::new(config, now);
        Self { session, sender, receiver, clock, began: Instant::now() }
    }

    async fn greet(&mut self) -> Result<Greeting, SessionError> {
        loop {
            if let Some(peer) = self.established().await {
                // The answer was on its way for half of the time, more or less.
                let took_ms = self.now().mono_ms;
                let clock_error_ms = took_ms.div_ceil(2);
                let clock_ahead_ms = peer.clock_ahead_ms.saturating_add_unsigned(clock_error_ms);
                return Ok(Greeting { peer, clock_ahead_ms, clock_error_ms });
            }
            let input = self.hear().await;
            self.session.handle_input(self.now(), input)?;
        }
    }

    /// Sends what the session has to say; the peer, if that has said hello.
    async fn established(&mut self) -> Option<Peer> {
        while let Some(output) = self.session.poll_output() {
            match output {
                // Whether it arrives shows by the answer, which may be a goodbye already.
                Output::Send(frame) => drop(self.sender.feed(frame)),
                Output::Event(Event::Established(peer)) => return Some(peer),
                // It is gone before it would have to answer.
                _ => {}
            }
        }
        let _ = self.sender.flush().await;
        None
    }

    async fn hear(&mut self) -> Input {
        let due = Limits::default().handshake_ms;
        let due = self.began + Duration::from_millis(due);
        match timeout_at(due, self.receiver.recv()).await {
            Ok(Ok(Some(frame))) => Input::Frame(frame),
            Ok(Ok(None)) => Input::Disconnected("the peer closed it".into()),
            Ok(Err(error)) => Input::Disconnected(report(&error)),
            Err(_) => Input::Timeout,
        }
    }

    async fn leave(&mut self) {
        // A session that has ended has its goodbye ready, if the peer is to hear one.
        let _ = self.session.handle_input(self.now(), Input::Close);
        say_goodbye(&mut self.session, &mut *self.sender, &mut *self.receiver).await;
    }

    fn now(&self) -> Moment {
        let mono_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Moment { mono_ms, wall_ms: self.clock.now_ms() }
    }
}
