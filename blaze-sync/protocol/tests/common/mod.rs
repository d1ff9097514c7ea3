//! Two sessions and a queue between them: a network that the test controls.
#![allow(dead_code, reason = "each test file uses a part")]

mod replica;

use std::collections::VecDeque;

use blaze_codec::message::{CompressionSet, Hello, Message};
use blaze_codec::{Incarnation, Mode, NodeId, Role, Seq, record};
use blaze_sync_protocol::{
    Event, Input, LocalNode, Moment, Output, Session, SessionConfig, SessionError, Side,
};
use bytes::Bytes;

pub(crate) use replica::Replica;

pub(crate) const WALL_MS: u64 = 1_700_000_000_000;

/// What a frame of changes begins with.
const CHANGES: u8 = 3;

pub(crate) fn at(mono_ms: u64) -> Moment {
    Moment { mono_ms, wall_ms: WALL_MS + mono_ms }
}

/// One side: a session, its database, and what it has sent.
pub(crate) struct End {
    pub(crate) replica: Replica,
    pub(crate) session: Session,
    pub(crate) sent: VecDeque<Bytes>,
    pub(crate) events: Vec<Event>,
    pub(crate) finished: bool,
    pub(crate) merges_wait: bool,
    pub(crate) reads_wait: bool,
    /// Answers to reads that wait.
    pub(crate) waiting_reads: Vec<Input>,
    pub(crate) waiting_merges: usize,
    pub(crate) changes_sent: usize,
    /// What the peer held when it was registered.
    pub(crate) registered: Vec<Seq>,
}

impl End {
    pub(crate) fn new(replica: Replica, side: Side) -> Self {
        Self::with(replica, side, |_| ())
    }

    pub(crate) fn with(
        replica: Replica,
        side: Side,
        adjust: impl FnOnce(&mut SessionConfig),
    ) -> Self {
        let mut config = config(&replica, side);
        adjust(&mut config);
        let session = Session::new(config, at(0));
        Self {
            replica,
            session,
            sent: VecDeque::new(),
            events: Vec::new(),
            finished: false,
            merges_wait: false,
            reads_wait: false,
            waiting_reads: Vec::new(),
            waiting_merges: 0,
            changes_sent: 0,
            registered: Vec::new(),
        }
    }

    /// Takes an input and does what follows from it; then tells the head, which
    /// merges may have moved.
    pub(crate) fn input(&mut self, now: Moment, input: Input) -> Result<(), SessionError> {
        self.feed(now, input)?;
        self.feed(now, Input::Head(self.replica.head()))
    }

    /// Feeds an input and every answer to what it asks for. After an error only what
    /// is left to send is taken.
    fn feed(&mut self, now: Moment, input: Input) -> Result<(), SessionError> {
        let mut result = self.session.handle_input(now, input);
        while let Some(output) = self.session.poll_output() {
            if let (Some(answer), Ok(())) = (self.answer(output), &result) {
                result = self.session.handle_input(now, answer);
            }
        }
        result
    }

    /// Carries out an output.
    fn answer(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Send(frame) => {
                self.changes_sent += usize::from(frame[0] == CHANGES);
                self.sent.push_back(frame);
            }
            Output::LoadCheckpoints { .. } => {
                let (places, former) = (self.replica.trail.clone(), self.replica.trail_is_former);
                return Some(Input::Checkpoints { places, former, step: self.replica.step });
            }
            Output::Read { after, known, .. } => {
                let changes = Input::Changes(self.replica.read(after, &known));
                if self.reads_wait {
                    self.waiting_reads.push(changes);
                    return None;
                }
                return Some(changes);
            }
            Output::Register { holds, .. } => {
                self.registered.push(holds);
                return Some(Input::Registered(self.replica.purged));
            }
            Output::ReadRoll { after, through } => {
                return Some(Input::Roll(self.replica.roll(after, through)));
            }
            Output::Merge(batch) => {
                self.replica.merge(batch);
                self.waiting_merges += usize::from(self.merges_wait);
                let head = self.replica.head();
                return (!self.merges_wait).then_some(Input::Merged { head });
            }
            Output::Event(event) => self.events.push(event),
            Output::Finish => self.finished = true,
            other => panic!("unknown output {other:?}"),
        }
        None
    }

    /// Merges what came over another link from a replica, and tells the head.
    pub(crate) fn take_from(&mut self, now: Moment, other: &Replica) {
        self.replica.pull(other);
        self.feed(now, Input::Head(self.replica.head())).unwrap();
    }

    /// Answers the reads that waited.
    pub(crate) fn read(&mut self, now: Moment) -> Result<(), SessionError> {
        std::mem::take(&mut self.waiting_reads)
            .into_iter()
            .try_for_each(|read| self.feed(now, read))
    }

    pub(crate) fn commit(&mut self, now: Moment) {
        self.replica.commit(record! { "title" => "hello" });
        self.feed(now, Input::Head(self.replica.head())).unwrap();
    }
}

/// How a side with nothing peculiar takes part.
pub(crate) fn config(replica: &Replica, side: Side) -> SessionConfig {
    let local = LocalNode {
        node: replica.node,
        former: replica.former.clone(),
        history: replica.history.clone(),
        database: "main".into(),
        name: format!("{:?}", replica.node),
        role: Role::Client,
        head: replica.head(),
    };
    SessionConfig::new(local, side)
}

/// Carries frames until both sides are quiet.
pub(crate) fn exchange(now: Moment, a: &mut End, b: &mut End) -> Result<(), SessionError> {
    a.input(now, Input::Head(a.replica.head()))?;
    loop {
        let (from_a, from_b) = (a.sent.pop_front(), b.sent.pop_front());
        if from_a.is_none() && from_b.is_none() {
            return Ok(());
        }
        if let Some(frame) = from_a {
            b.input(now, Input::Frame(frame))?;
        }
        if let Some(frame) = from_b {
            a.input(now, Input::Frame(frame))?;
        }
    }
}

/// A connector and an acceptor that have told each other everything.
pub(crate) fn connected(now: Moment, mode: Mode, a: Replica, b: Replica) -> (End, End) {
    let (mut a, mut b) = (connector(a, mode), acceptor(b));
    exchange(now, &mut a, &mut b).unwrap();
    (a, b)
}

pub(crate) fn connector(replica: Replica, mode: Mode) -> End {
    End::new(replica, Side::Connector { mode })
}

pub(crate) fn acceptor(replica: Replica) -> End {
    End::new(replica, Side::acceptor())
}

/// A stranger's hello to an acceptor.
pub(crate) fn hello(adjust: impl FnOnce(&mut Hello)) -> Bytes {
    let mut hello = Hello {
        protocol_min: 1,
        protocol_max: 1,
        node: NodeId::from_bytes([9; 16]),
        former: Vec::new(),
        history: Incarnation(9).into(),
        database: "main".into(),
        name: "stranger".into(),
        role: Role::Client,
        mode: Mode::Bidirectional,
        head: Seq::ZERO,
        wall_ms: WALL_MS,
        reads: CompressionSet::EMPTY,
        scope: 0,
    };
    adjust(&mut hello);
    Message::Hello(hello).encode()
}
