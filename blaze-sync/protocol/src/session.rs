//! One side of one link, from hello to goodbye.

use std::collections::VecDeque;
use std::sync::Arc;

use blaze_codec::message::{CONTROL_BYTES_MAX, CompressionSet, Message, expand};
use blaze_codec::{Checkpoint, Mode, Scope, Seq};
use bytes::Bytes;

use crate::inbound::Inbound;
use crate::outbound::Outbound;
use crate::settling::Settling;
use crate::{Event, Input, Moment, Output, Peer, SessionConfig, SessionError, Side};

mod opening;

const TOO_LONG: SessionError = SessionError::Violation { rule: "a hello is at most 4 KiB long" };

/// One side of one link.
///
/// Feed it inputs, and drain its outputs after each. An error from
/// [`handle_input`](Self::handle_input) ends the session; what is still to be
/// sent then is the goodbye.
///
/// ```
/// use blaze_codec::{Incarnation, Mode, NodeId, Role, Seq};
/// use blaze_sync_protocol::{Input, LocalNode, Moment, Output, Session, SessionConfig, Side};
///
/// let local = |byte: u8| LocalNode {
///     node: NodeId::from_bytes([byte; 16]),
///     former: vec![],
///     history: Incarnation(1).into(),
///     database: "notes".into(),
///     name: format!("app {byte}"),
///     role: Role::Client,
///     head: Seq::ZERO,
/// };
/// let config = |byte, side| SessionConfig::new(local(byte), side);
/// let now = Moment { mono_ms: 0, wall_ms: 1_700_000_000_000 };
///
/// let side = Side::Connector { mode: Mode::Bidirectional };
/// let mut connector = Session::new(config(1, side), now);
/// let mut acceptor = Session::new(config(2, Side::acceptor()), now);
///
/// let Some(Output::Send(hello)) = connector.poll_output() else { panic!("no hello") };
/// acceptor.handle_input(now, Input::Frame(hello))?;
/// assert_eq!(acceptor.peer().unwrap().name, "app 1");
/// # Ok::<(), blaze_sync_protocol::SessionError>(())
/// ```
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    phase: Phase,
    peer: Option<Peer>,
    accepted: Accepted,
    /// What tells this link's feeds, through the scopes of its sides, from others; 0 if there
    /// is no scope.
    scope: u64,
    /// The head that the hello told.
    announced: Seq,
    outbound: Option<Outbound>,
    inbound: Option<Inbound>,
    /// The seq up to which the last ack went.
    acked: Seq,
    /// The seq up to which the peer was last reported to have everything.
    peer_acked: Option<Seq>,
    caught_up: bool,
    /// The local seq up to which tombstones are gone, once the peer is registered.
    purged: Option<Seq>,
    /// Whether the peer's feed isn't the one any more that was merged here.
    parted: bool,
    /// Whether the peer was told that it may send.
    start_said: bool,
    settling: Settling,
    started_ms: u64,
    heard_ms: u64,
    sent_ms: u64,
    outputs: VecDeque<Output>,
}

/// What the peer lets this side see and write.
#[derive(Debug)]
enum Accepted {
    All,
    /// A part, that it is about to tell.
    Untold,
    /// This, by its conditions, of which it says nothing.
    Part(Arc<Scope>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The peer's hello hasn't come.
    Hello,
    /// Both sides said hello.
    Live,
    /// The peer was told that it is a copy. It may be about to say the same: then both
    /// sides have to hear it.
    Refusing,
    /// An error ended it.
    Ended,
}

impl Session {
    /// A session that begins now. A connector says hello at once.
    pub fn new(config: SessionConfig, now: Moment) -> Self {
        let mut session = Self {
            config,
            phase: Phase::Hello,
            peer: None,
            accepted: Accepted::All,
            scope: 0,
            announced: Seq::ZERO,
            outbound: None,
            inbound: None,
            acked: Seq::ZERO,
            peer_acked: None,
            caught_up: false,
            purged: None,
            parted: false,
            start_said: false,
            settling: Settling::default(),
            started_ms: now.mono_ms,
            heard_ms: now.mono_ms,
            sent_ms: now.mono_ms,
            outputs: VecDeque::new(),
        };
        if let Side::Connector { mode } = session.config.side {
            session.say_hello(mode, now);
        }
        session
    }

    /// Feeds one input. Drain [`poll_output`](Self::poll_output) before the next one.
    ///
    /// # Errors
    ///
    /// [`SessionError`] says why the session has ended; a goodbye may be left to
    /// send. Inputs after that are ignored.
    pub fn handle_input(&mut self, now: Moment, input: Input) -> Result<(), SessionError> {
        if self.phase == Phase::Ended {
            return Ok(());
        }
        let result = match self.phase {
            Phase::Refusing => self.refusing(now, input),
            _ => self.handle(now, input),
        };
        if let Err(error) = &result {
            self.end(error);
        } else {
            self.advance(now);
        }
        result
    }

    /// What the driver has to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to feed [`Input::Timeout`] at the latest, on the clock of
    /// [`Moment::mono_ms`]; `None` once the session has ended.
    pub fn poll_timeout(&self) -> Option<u64> {
        let limits = &self.config.limits;
        match self.phase {
            Phase::Hello => Some(self.started_ms.saturating_add(limits.handshake_ms)),
            Phase::Refusing => Some(self.sent_ms.saturating_add(limits.handshake_ms)),
            Phase::Live => {
                let ping = self.sent_ms.saturating_add(limits.heartbeat_ms);
                let silence = self.heard_ms.saturating_add(limits.silence_ms);
                let outbound = self.outbound.as_ref().and_then(Outbound::due_ms);
                Some(ping.min(silence).min(outbound.unwrap_or(u64::MAX)))
            }
            Phase::Ended => None,
        }
    }

    /// The other side, once it said hello.
    pub const fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// The scope that the peer limits this side to, if it does: without conditions, which it
    /// judges itself. It is known before anything is to be read.
    pub const fn accepted(&self) -> Option<&Arc<Scope>> {
        match &self.accepted {
            Accepted::Part(scope) => Some(scope),
            _ => None,
        }
    }

    /// The peer's seq up to which everything is merged here, once receiving.
    pub fn received(&self) -> Option<Seq> {
        self.inbound.as_ref().map(Inbound::merged)
    }

    fn handle(&mut self, now: Moment, input: Input) -> Result<(), SessionError> {
        match input {
            Input::Frame(body) => self.frame(now, body),
            Input::TooLong => Err(TOO_LONG),
            Input::Progress => {
                // A hello is small, and has its deadline.
                if self.phase == Phase::Live {
                    self.heard_ms = now.mono_ms;
                }
                Ok(())
            }
            Input::Disconnected(reason) => Err(SessionError::Disconnected { reason }),
            Input::Checkpoints { places, former, step } => {
                self.resume(&places, former, step, now);
                Ok(())
            }
            Input::Head(head) => {
                self.head(head);
                Ok(())
            }
            Input::Changes(outgoing) => {
                if let Some(outbound) = &mut self.outbound {
                    outbound.take(outgoing, now.mono_ms);
                }
                Ok(())
            }
            Input::Registered(purged) => {
                self.purged = Some(purged);
                if let Some(outbound) = &mut self.outbound {
                    outbound.registered(purged);
                }
                self.let_start(now);
                Ok(())
            }
            Input::Roll(outgoing) => {
                if let Some(outbound) = &mut self.outbound {
                    outbound.queue_roll(outgoing);
                }
                Ok(())
            }
            Input::Merged { head } => {
                self.head(head);
                let Some(inbound) = &mut self.inbound else { return Ok(()) };
                let merged = inbound.merged_batch();
                self.outputs.extend(merged.map(|seq| Output::Event(Event::Received(seq))));
                let roots = inbound.decode_arrived()?;
                self.learn(&roots);
                Ok(())
            }
            Input::StorageFailed { reason, retryable } => {
                Err(SessionError::Storage { reason, retryable })
            }
            Input::Copied => {
                self.phase = Phase::Refusing;
                self.outputs.clear();
                let goodbye = self.copied().goodbye();
                if let Some(goodbye) = goodbye {
                    self.send(&Message::Goodbye(goodbye), now);
                }
                Ok(())
            }
            Input::Renewed => Err(SessionError::Renewed),
            Input::Timeout => self.timeout(now),
            Input::Close => Err(SessionError::Closed),
        }
    }

    fn head(&mut self, head: Seq) {
        self.config.local.head = self.config.local.head.max(head);
        if let Some(outbound) = &mut self.outbound {
            outbound.head(head);
        }
    }

    /// The peer has the feeds of others up to these places.
    fn learn(&mut self, roots: &[Checkpoint]) {
        if let Some(outbound) = &mut self.outbound {
            outbound.learn(roots);
        }
    }

    /// Waits for the peer to end it.
    fn refusing(&self, now: Moment, input: Input) -> Result<(), SessionError> {
        match input {
            Input::Frame(body) => match Message::decode(self.expand(body)?)? {
                Message::Goodbye(goodbye) => {
                    Err(SessionError::PeerLeft { reason: goodbye.reason, message: goodbye.message })
                }
                _ => Ok(()),
            },
            Input::Timeout if Some(now.mono_ms) < self.poll_timeout() => Ok(()),
            Input::Disconnected(_) | Input::Timeout => Err(self.copied()),
            Input::Renewed => Err(SessionError::Renewed),
            Input::Close => Err(SessionError::Closed),
            _ => Ok(()),
        }
    }

    /// Puts a compressed body back. Who hasn't said hello doesn't know what is read here.
    fn expand(&self, body: Bytes) -> Result<Bytes, SessionError> {
        let reads = if self.peer.is_some() { self.config.reads } else { CompressionSet::EMPTY };
        Ok(expand(body, reads)?)
    }

    fn copied(&self) -> SessionError {
        let node = self.peer.as_ref().map(|peer| peer.node.to_string());
        SessionError::Copied { node: node.unwrap_or_default() }
    }

    fn frame(&mut self, now: Moment, body: Bytes) -> Result<(), SessionError> {
        self.heard_ms = now.mono_ms;
        if self.phase == Phase::Hello && body.len() > CONTROL_BYTES_MAX {
            return Err(TOO_LONG);
        }
        let body = self.expand(body)?;
        // What it takes here, not what it took on its way.
        let bytes = body.len() as u64;
        match (self.phase, Message::decode(body)?) {
            (Phase::Hello, Message::Hello(hello)) => self.hello(hello, now),
            (_, Message::Goodbye(goodbye)) => {
                Err(SessionError::PeerLeft { reason: goodbye.reason, message: goodbye.message })
            }
            (Phase::Hello, _) => {
                Err(SessionError::Violation { rule: "the first message is a hello" })
            }
            (_, Message::Hello(_)) => Err(SessionError::Violation { rule: "one hello a session" }),
            (_, Message::Scope(payload)) if matches!(self.accepted, Accepted::Untold) => {
                let scope = Scope::decode(&payload)?;
                if scope != scope.told() {
                    let rule = "a scope is told without its conditions";
                    return Err(SessionError::Violation { rule });
                }
                self.accepted = Accepted::Part(Arc::new(scope));
                Ok(())
            }
            (_, Message::Scope(_)) => {
                Err(SessionError::Violation { rule: "a scope follows a hello that names one" })
            }
            _ if matches!(self.accepted, Accepted::Untold) => {
                Err(SessionError::Violation { rule: "the scope that a hello names follows it" })
            }
            (_, Message::Resume(resume)) => self.start_sending(resume),
            (_, Message::Changes(frame)) => {
                let rule = "changes come only where the mode allows them, once asked for";
                let inbound = self.inbound.as_mut().ok_or(SessionError::Violation { rule })?;
                let roots = inbound.frame(frame, bytes, now.wall_ms)?;
                self.learn(&roots);
                Ok(())
            }
            (_, Message::Start(start)) => {
                let rule = "a start answers a resume";
                let outbound = self.outbound.as_mut().ok_or(SessionError::Violation { rule })?;
                outbound.start(start)
            }
            (_, Message::Roll(payload)) => {
                let rule = "a roll comes only where it is asked for";
                let inbound = self.inbound.as_mut().ok_or(SessionError::Violation { rule })?;
                inbound.roll(payload, bytes, now.wall_ms)
            }
            (_, Message::Definitions(payload)) => {
                let rule = "definitions come only with changes";
                let inbound = self.inbound.as_mut().ok_or(SessionError::Violation { rule })?;
                inbound.define(&payload)
            }
            (_, Message::Ack(ack)) => {
                self.settling.heard(ack.head);
                let rule = "an ack answers changes";
                let outbound = self.outbound.as_mut().ok_or(SessionError::Violation { rule })?;
                outbound.ack(ack)
            }
            (_, Message::Ping(nonce)) => {
                self.send(&Message::Pong(nonce), now);
                Ok(())
            }
            (_, Message::Pong(_)) => Ok(()),
        }
    }

    fn timeout(&mut self, now: Moment) -> Result<(), SessionError> {
        let limits = self.config.limits;
        let silence_ms = now.mono_ms.saturating_sub(self.heard_ms);
        let allowed = match self.phase {
            Phase::Hello => limits.handshake_ms,
            _ => limits.silence_ms,
        };
        #[cfg(feature = "canary")]
        let allowed = if crate::canary::is(crate::canary::Canary::SilenceIgnored) {
            u64::MAX
        } else {
            allowed
        };
        if silence_ms >= allowed {
            return Err(SessionError::Timeout { silence_ms });
        }
        if self.phase == Phase::Live
            && now.mono_ms >= self.sent_ms.saturating_add(limits.heartbeat_ms)
        {
            self.send(&Message::Ping(now.mono_ms), now);
        }
        Ok(())
    }

    /// Turns what the last input made possible into outputs.
    fn advance(&mut self, now: Moment) {
        if self.phase == Phase::Refusing {
            return;
        }
        if let Some(inbound) = &mut self.inbound {
            // What was left out it hasn't heard, which counts where it may not see all.
            let limited = self.scope != 0;
            let acked = |outbound: &Outbound| {
                if limited { outbound.complete() } else { outbound.acked() }
            };
            let holds = self.outbound.as_ref().map_or(Seq::ZERO, acked);
            let ack = inbound.poll_ack(&mut self.acked, self.config.local.head);
            // What both wrote is read before it is merged: a write that loses here is then
            // told there, so that both sides hear of the conflict.
            let waits = self.outbound.as_ref().is_some_and(Outbound::is_to_begin);
            let batch = inbound.poll_batch(holds, waits);
            if let Some(ack) = ack {
                self.send(&Message::Ack(ack), now);
            }
            self.outputs.extend(batch.map(Output::Merge));
        }
        self.report_caught_up();
        let may_receive = self.peer.as_ref().is_some_and(|peer| self.receives(peer.mode));
        let may_send = self.may_send(may_receive);
        let (Some(outbound), Some(peer)) = (&mut self.outbound, &self.peer) else { return };
        outbound.poll_kept(now.mono_ms, &peer.feed);
        loop {
            while let Some(frame) = outbound.poll_frame() {
                self.sent_ms = now.mono_ms;
                self.outputs.push_back(Output::Send(frame));
            }
            outbound.poll_untold(now.mono_ms);
            if !outbound.can_send() {
                break;
            }
        }
        if let Some((after, through)) = outbound.poll_roll() {
            self.outputs.push_back(Output::ReadRoll { after, through });
        }
        if may_send && let Some((after, bytes, behind)) = outbound.poll_read() {
            let known = outbound.known_to(&peer.feed);
            let (left_out, since) = (outbound.left_out(), outbound.since());
            self.outputs.push_back(Output::Read { after, bytes, known, behind, left_out, since });
        }
        if let Some(known) = outbound.known().filter(|known| self.peer_acked != Some(*known)) {
            self.peer_acked = Some(known);
            self.outputs.push_back(Output::Event(Event::PeerAcked(known)));
        }
        // What a peer sends that wasn't asked for its changes yet is all on its way. What it
        // has by other ways settles when it acknowledges that, as the rest does.
        let asked = self.inbound.is_some() || !may_receive;
        if asked {
            let merged = self.inbound.as_ref().map(Inbound::merged);
            let received = self.inbound.as_ref().map_or(Seq::ZERO, Inbound::received);
            let received = peer.head.max(received);
            let settled = self.settling.poll(outbound.acked(), received, merged);
            self.outputs.extend(settled.map(|seq| Output::Event(Event::Settled(seq))));
        }
    }

    /// Whether the peer is registered and holds nothing that was deleted and forgotten
    /// here. What it lacks is sent after that: its place in the feed tells, until then,
    /// that it has missed tombstones.
    fn may_send(&self, receives: bool) -> bool {
        let rolled = self.inbound.as_ref().is_none_or(|inbound| !inbound.awaits_roll());
        #[cfg(feature = "canary")]
        let rolled = rolled || crate::canary::is(crate::canary::Canary::SentBeforeRoll);
        self.purged.is_some() && (self.start_said || !receives) && rolled
    }

    fn report_caught_up(&mut self) {
        let Some(peer) = self.peer.as_ref().filter(|_| !self.caught_up) else { return };
        let merged = self.inbound.as_ref().map(Inbound::merged);
        if !self.receives(peer.mode) || merged >= Some(peer.head) {
            self.caught_up = true;
            self.outputs.push_back(Output::Event(Event::CaughtUp));
        }
    }

    fn end(&mut self, error: &SessionError) {
        let said = self.phase == Phase::Refusing;
        self.phase = Phase::Ended;
        self.outputs.clear();
        if let Some(goodbye) = error.goodbye().filter(|_| !said) {
            self.outputs.push_back(Output::Send(Message::Goodbye(goodbye).encode()));
        }
        self.outputs.push_back(Output::Finish);
    }

    fn send(&mut self, message: &Message, now: Moment) {
        self.sent_ms = now.mono_ms;
        self.outputs.push_back(Output::Send(message.encode()));
    }

    fn sends(&self, mode: Mode) -> bool {
        #[cfg(feature = "canary")]
        if crate::canary::is(crate::canary::Canary::ModeIgnored) {
            return true;
        }
        match self.config.side {
            Side::Connector { .. } => mode.connector_sends(),
            Side::Acceptor { .. } => mode.acceptor_sends(),
        }
    }

    fn receives(&self, mode: Mode) -> bool {
        #[cfg(feature = "canary")]
        if crate::canary::is(crate::canary::Canary::ModeIgnored) {
            return true;
        }
        match self.config.side {
            Side::Connector { .. } => mode.acceptor_sends(),
            Side::Acceptor { .. } => mode.connector_sends(),
        }
    }
}
