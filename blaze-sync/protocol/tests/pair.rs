//! Two sessions and a queue between them: a network that the test controls.

use std::collections::{BTreeSet, VecDeque};

use blaze_codec::message::{Ack, Hello, Message, Reason, Resume, encode_changes};
use blaze_codec::{
    Change, Checkpoint, Hlc, HlcClock, Incarnation, Mode, Name, NodeId, Operation, Record,
    RecordKey, Role, Seq, Version, record,
};
use blaze_sync_protocol::{
    Batch, Event, Input, Known, Limits, LocalNode, Moment, Outgoing, OutgoingItem, Output, Session,
    SessionConfig, SessionError, Side,
};
use bytes::Bytes;

const WALL_MS: u64 = 1_700_000_000_000;

fn at(mono_ms: u64) -> Moment {
    Moment { mono_ms, wall_ms: WALL_MS + mono_ms }
}

/// Where a commit came from, if from a peer, and its operations.
type Commit = (Option<(NodeId, Checkpoint)>, Vec<Operation>);

/// A database that keeps what it has seen in the order it came.
struct Replica {
    node: NodeId,
    commits: Vec<Commit>,
    seen: BTreeSet<Version>,
    checkpoint: Option<Checkpoint>,
}

impl Replica {
    fn new(byte: u8) -> Self {
        Self {
            node: NodeId::from_bytes([byte; 16]),
            commits: Vec::new(),
            seen: BTreeSet::new(),
            checkpoint: None,
        }
    }

    fn head(&self) -> Seq {
        Seq(self.commits.len() as u64)
    }

    fn commit(&mut self, record: Record) {
        let hlc = Hlc::from_millis(WALL_MS + self.head().0);
        let operation = Operation {
            collection: Name::new("notes").unwrap(),
            key: RecordKey::Int(self.head().0.cast_signed()),
            version: Version { epoch: Hlc::ZERO, hlc, node: self.node },
            base: Version::ZERO,
            change: Change::Insert(record),
        };
        self.seen.insert(operation.version);
        self.commits.push((None, vec![operation]));
    }

    fn merge(&mut self, batch: Batch) {
        let Batch { peer, checkpoint, operations } = batch;
        let fresh: Vec<_> = operations
            .into_iter()
            .filter(|operation| self.seen.insert(operation.version))
            .collect();
        if !fresh.is_empty() {
            self.commits.push((Some((peer, checkpoint)), fresh));
        }
        self.checkpoint = Some(checkpoint);
    }

    fn read(&self, after: Seq, known: Known) -> Outgoing {
        let commits = self.commits.iter().enumerate().skip(usize::try_from(after.0).unwrap());
        let item = |(index, (origin, operations)): (usize, &Commit)| {
            let (after, through) = (Seq(index as u64), Seq(index as u64 + 1));
            let skip = origin.is_some_and(|(node, reached)| known.covers(node, reached));
            let frames = if skip { Vec::new() } else { encode_changes(after, through, operations) };
            OutgoingItem { after, through, frames }
        };
        Outgoing { items: commits.take(3).map(item).collect(), behind: false }
    }
}

/// One side: a session, its database, and what it has sent.
struct End {
    replica: Replica,
    session: Session,
    sent: VecDeque<Bytes>,
    events: Vec<Event>,
    finished: bool,
    merges_wait: bool,
    waiting_merges: usize,
    changes_sent: usize,
}

impl End {
    fn new(replica: Replica, side: Side) -> Self {
        Self::with(replica, side, |_| ())
    }

    fn with(replica: Replica, side: Side, adjust: impl FnOnce(&mut LocalNode)) -> Self {
        let mut local = LocalNode {
            node: replica.node,
            incarnation: Incarnation(1),
            database: "main".into(),
            name: format!("{:?}", replica.node),
            role: Role::Client,
            head: replica.head(),
        };
        adjust(&mut local);
        let session = Session::new(SessionConfig { local, side, limits: Limits::default() }, at(0));
        Self {
            replica,
            session,
            sent: VecDeque::new(),
            events: Vec::new(),
            finished: false,
            merges_wait: false,
            waiting_merges: 0,
            changes_sent: 0,
        }
    }

    fn input(&mut self, now: Moment, input: Input) -> Result<(), SessionError> {
        let mut result = self.session.handle_input(now, input);
        while let Some(output) = self.session.poll_output() {
            let answer = match output {
                Output::Send(frame) => {
                    self.changes_sent += usize::from(frame[0] == 3);
                    self.sent.push_back(frame);
                    None
                }
                Output::LoadCheckpoint { .. } => Some(Input::Checkpoint(self.replica.checkpoint)),
                Output::Read { after, known, .. } => {
                    Some(Input::Changes(self.replica.read(after, known)))
                }
                Output::Merge(batch) => {
                    self.replica.merge(batch);
                    self.waiting_merges += usize::from(self.merges_wait);
                    (!self.merges_wait).then_some(Input::Merged)
                }
                Output::Event(event) => {
                    self.events.push(event);
                    None
                }
                Output::Finish => {
                    self.finished = true;
                    None
                }
                other => panic!("unknown output {other:?}"),
            };
            if let (Some(answer), Ok(())) = (answer, &result) {
                result = self.session.handle_input(now, answer);
            }
        }
        let head = self.replica.head();
        if result.is_ok() { self.head(now, head) } else { result }
    }

    fn head(&mut self, now: Moment, head: Seq) -> Result<(), SessionError> {
        let result = self.session.handle_input(now, Input::Head(head));
        let mut pending = VecDeque::new();
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(frame) => {
                    self.changes_sent += usize::from(frame[0] == 3);
                    self.sent.push_back(frame);
                }
                Output::Read { after, known, .. } => pending.push_back((after, known)),
                Output::Event(event) => self.events.push(event),
                other => panic!("unexpected output {other:?}"),
            }
        }
        pending.into_iter().try_for_each(|(after, known)| {
            self.input(now, Input::Changes(self.replica.read(after, known)))
        })?;
        result
    }

    fn commit(&mut self, now: Moment) {
        self.replica.commit(record! { "title" => "hello" });
        self.head(now, self.replica.head()).unwrap();
    }
}

/// Carries frames until both sides are quiet.
fn exchange(now: Moment, a: &mut End, b: &mut End) -> Result<(), SessionError> {
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

fn connector(replica: Replica, mode: Mode) -> End {
    End::new(replica, Side::Connector { mode })
}

fn acceptor(replica: Replica) -> End {
    End::new(replica, Side::acceptor())
}

fn filled(byte: u8, records: usize) -> Replica {
    let mut replica = Replica::new(byte);
    (0..records).for_each(|_| replica.commit(record! { "n" => 1 }));
    replica
}

#[test]
fn both_sides_catch_up_then_follow_live_and_know_it() {
    let mut a = connector(filled(1, 10), Mode::Bidirectional);
    let mut b = acceptor(filled(2, 7));
    exchange(at(1), &mut a, &mut b).unwrap();
    assert_eq!(a.replica.seen, b.replica.seen);
    assert_eq!(a.replica.seen.len(), 17);
    assert!(a.events.contains(&Event::CaughtUp) && b.events.contains(&Event::CaughtUp));

    a.commit(at(2));
    exchange(at(2), &mut a, &mut b).unwrap();
    assert_eq!(a.replica.seen, b.replica.seen);
    let head = a.replica.head();
    assert_eq!(a.events.last(), Some(&Event::PeerAcked(head)));
}

#[test]
fn nothing_is_sent_back_to_where_it_came_from() {
    let mut a = connector(filled(1, 10), Mode::Bidirectional);
    let mut b = acceptor(Replica::new(2));
    exchange(at(1), &mut a, &mut b).unwrap();
    assert_eq!((a.changes_sent, b.changes_sent), (10, 0));
}

#[test]
fn a_new_session_resumes_at_the_checkpoint() {
    let mut a = connector(filled(1, 10), Mode::Bidirectional);
    let mut b = acceptor(Replica::new(2));
    exchange(at(1), &mut a, &mut b).unwrap();
    a.replica.commit(record! { "n" => 2 });

    let mut a = connector(a.replica, Mode::Bidirectional);
    let mut b = acceptor(b.replica);
    exchange(at(2), &mut a, &mut b).unwrap();
    assert_eq!(a.changes_sent, 1);
    assert_eq!(a.replica.seen, b.replica.seen);
}

#[test]
fn modes_carry_one_way_only() {
    for (mode, a_gets, b_gets) in [(Mode::ReadOnly, 5, 2), (Mode::WriteOnly, 3, 5)] {
        let mut a = connector(filled(1, 3), mode);
        let mut b = acceptor(filled(2, 2));
        exchange(at(1), &mut a, &mut b).unwrap();
        assert_eq!((a.replica.seen.len(), b.replica.seen.len()), (a_gets, b_gets), "{mode}");
    }
}

#[test]
fn changes_against_the_mode_end_the_session_before_anything_is_merged() {
    let mut a = connector(Replica::new(1), Mode::WriteOnly);
    let mut b = acceptor(Replica::new(2));
    exchange(at(1), &mut a, &mut b).unwrap();
    let changes = encode_changes(Seq(0), Seq(1), &filled(2, 1).commits[0].1);
    let error = a.input(at(1), Input::Frame(changes[0].clone())).unwrap_err();
    assert!(matches!(error, SessionError::Violation { .. }), "{error}");
    assert!(a.replica.seen.is_empty() && a.finished);
}

#[test]
fn what_cannot_work_is_refused_with_a_reason_on_both_sides() {
    type Case = (fn(&mut LocalNode), fn(&SessionError) -> bool, Reason);
    let cases: [Case; 2] = [
        (
            |local| local.database = "other".into(),
            |error| matches!(error, SessionError::Database { .. }),
            Reason::Database,
        ),
        (
            |local| local.node = NodeId::from_bytes([2; 16]),
            |error| matches!(error, SessionError::SameNode { .. }),
            Reason::SameNode,
        ),
    ];
    for (adjust, expected, reason) in cases {
        let side = Side::Connector { mode: Mode::Bidirectional };
        let mut a = End::with(filled(1, 1), side, adjust);
        let mut b = acceptor(filled(2, 1));
        let error = exchange(at(1), &mut a, &mut b).unwrap_err();
        assert!(expected(&error), "{error}");
        let goodbye = b.sent.pop_back().unwrap();
        let error = a.input(at(1), Input::Frame(goodbye)).unwrap_err();
        assert!(matches!(&error, SessionError::PeerLeft { reason: told, .. } if *told == reason));
        assert!(!error.is_retryable());
        assert_eq!(a.changes_sent + b.changes_sent, 0);
    }
}

#[test]
fn a_mode_that_is_not_allowed_is_refused() {
    let mut a = connector(Replica::new(1), Mode::WriteOnly);
    let mut b = End::new(Replica::new(2), Side::Acceptor { allowed: vec![Mode::ReadOnly] });
    let error = exchange(at(1), &mut a, &mut b).unwrap_err();
    assert_eq!(error, SessionError::Mode { mode: "write-only".into() });
}

fn hello(adjust: impl FnOnce(&mut Hello)) -> Bytes {
    let mut hello = Hello {
        protocol_min: 1,
        protocol_max: 1,
        node: NodeId::from_bytes([9; 16]),
        incarnation: Incarnation(1),
        database: "main".into(),
        name: "stranger".into(),
        role: Role::Client,
        mode: Mode::Bidirectional,
        head: Seq::ZERO,
        wall_ms: WALL_MS,
    };
    adjust(&mut hello);
    Message::Hello(hello).encode()
}

#[test]
fn the_highest_common_protocol_version_is_taken_and_none_is_refused() {
    let mut b = acceptor(Replica::new(2));
    b.input(at(0), Input::Frame(hello(|hello| hello.protocol_max = 9))).unwrap();
    assert_eq!(b.session.peer().unwrap().protocol, 1);

    let mut b = acceptor(Replica::new(2));
    let future = hello(|hello| (hello.protocol_min, hello.protocol_max) = (7, 9));
    let error = b.input(at(0), Input::Frame(future)).unwrap_err();
    assert!(matches!(error, SessionError::ProtocolVersion { theirs_min: 7, .. }), "{error}");
}

#[test]
fn the_first_message_must_be_a_hello_and_only_the_first() {
    let mut b = acceptor(Replica::new(2));
    let ack = Message::Ack(Ack { through: Seq(0), credit: 0 }).encode();
    assert!(b.input(at(0), Input::Frame(ack)).is_err());

    let mut b = acceptor(Replica::new(2));
    b.input(at(0), Input::Frame(hello(|_| ()))).unwrap();
    assert!(b.input(at(0), Input::Frame(hello(|_| ()))).is_err());
}

#[test]
fn another_incarnation_is_read_from_the_start() {
    let mut a = connector(filled(1, 10), Mode::Bidirectional);
    let mut b = acceptor(Replica::new(2));
    exchange(at(1), &mut a, &mut b).unwrap();

    let side = Side::Connector { mode: Mode::Bidirectional };
    let mut a = End::with(a.replica, side, |local| local.incarnation = Incarnation(2));
    let mut b = acceptor(b.replica);
    exchange(at(2), &mut a, &mut b).unwrap();
    assert_eq!(a.changes_sent, 10);
    assert_eq!(b.replica.checkpoint.unwrap().incarnation, Incarnation(2));
}

#[test]
fn an_operation_from_the_future_is_refused_with_both_clocks() {
    let mut a = connector(filled(1, 1), Mode::Bidirectional);
    let hlc = Hlc::from_millis(WALL_MS + HlcClock::DRIFT_MS_MAX + 60_000);
    a.replica.commits[0].1[0].version.hlc = hlc;
    let mut b = acceptor(Replica::new(2));
    let error = exchange(at(1), &mut a, &mut b).unwrap_err();
    let SessionError::ClockDrift(drift) = error else { panic!("{error}") };
    assert_eq!((drift.theirs_ms, drift.ours_ms), (hlc.millis(), WALL_MS + 1));
    assert!(b.replica.seen.is_empty());
}

#[test]
fn a_receiver_that_does_not_merge_stops_the_sender_at_its_window() {
    let mut a = connector(Replica::new(1), Mode::Bidirectional);
    let text = "x".repeat(100_000);
    (0..100).for_each(|_| a.replica.commit(record! { "text" => text.as_str() }));
    let mut b = acceptor(Replica::new(2));
    b.merges_wait = true;
    exchange(at(1), &mut a, &mut b).unwrap();
    let window = usize::try_from(Limits::default().window_bytes).unwrap();
    assert!((1..=window / 100_000).contains(&a.changes_sent), "{} sent", a.changes_sent);
    assert_eq!(b.waiting_merges, 1, "one merge at a time");

    // Merging again lets everything through.
    b.merges_wait = false;
    b.input(at(2), Input::Merged).unwrap();
    exchange(at(2), &mut a, &mut b).unwrap();
    assert_eq!(b.replica.seen.len(), 100);
}

#[test]
fn a_transaction_over_many_frames_arrives_whole() {
    let mut a = connector(Replica::new(1), Mode::Bidirectional);
    let text = "x".repeat(10_000_000);
    a.replica.commit(record! { "text" => text.as_str() });
    let mut b = acceptor(Replica::new(2));
    exchange(at(1), &mut a, &mut b).unwrap();
    assert!(a.changes_sent > 9, "{} frames", a.changes_sent);
    assert_eq!(b.replica.commits.len(), 1);
    assert_eq!(b.replica.commits[0].1, a.replica.commits[0].1);
}

#[test]
fn heartbeats_keep_a_quiet_session_alive_and_silence_ends_it() {
    let mut a = connector(Replica::new(1), Mode::Bidirectional);
    let mut b = acceptor(Replica::new(2));
    exchange(at(1), &mut a, &mut b).unwrap();
    for round in 1..10 {
        let now = at(round * 15_001);
        a.input(now, Input::Timeout).unwrap();
        assert_eq!(a.sent.len(), 1, "a ping is due");
        exchange(now, &mut a, &mut b).unwrap();
    }
    let due = b.session.poll_timeout().unwrap();
    assert!(due <= 10 * 15_001, "b pings by itself");
    let error = b.input(at(9 * 15_001 + 45_000), Input::Timeout).unwrap_err();
    assert_eq!(error, SessionError::Timeout { silence_ms: 45_000 });
}

#[test]
fn a_handshake_has_a_deadline() {
    let mut b = acceptor(Replica::new(2));
    assert_eq!(b.session.poll_timeout(), Some(5_000));
    assert!(b.input(at(4_999), Input::Timeout).is_ok());
    assert!(b.input(at(5_000), Input::Timeout).is_err());
}

#[test]
fn closing_says_goodbye() {
    let mut a = connector(Replica::new(1), Mode::Bidirectional);
    let mut b = acceptor(Replica::new(2));
    exchange(at(1), &mut a, &mut b).unwrap();
    assert_eq!(a.input(at(2), Input::Close), Err(SessionError::Closed));
    assert!(a.finished);
    let goodbye = a.sent.pop_front().unwrap();
    let error = b.input(at(2), Input::Frame(goodbye)).unwrap_err();
    assert!(matches!(&error, SessionError::PeerLeft { reason: Reason::Shutdown, .. }));
    assert!(error.is_retryable());
}

#[test]
fn a_resume_with_too_little_credit_is_refused() {
    let mut b = acceptor(filled(2, 1));
    b.input(at(0), Input::Frame(hello(|_| ()))).unwrap();
    let resume = Resume { incarnation: None, after: Seq::ZERO, credit: 10 };
    let error = b.input(at(0), Input::Frame(Message::Resume(resume).encode())).unwrap_err();
    assert!(matches!(error, SessionError::Violation { .. }), "{error}");
}

#[test]
fn a_peer_that_lost_its_file_gets_back_what_came_from_it() {
    let mut a = connector(filled(1, 3), Mode::Bidirectional);
    let mut b = acceptor(Replica::new(2));
    exchange(at(1), &mut a, &mut b).unwrap();

    let side = Side::Connector { mode: Mode::Bidirectional };
    let mut a = End::with(Replica::new(1), side, |local| local.incarnation = Incarnation(2));
    let mut b = acceptor(b.replica);
    exchange(at(2), &mut a, &mut b).unwrap();
    assert_eq!(a.replica.seen.len(), 3);
}

#[test]
fn what_the_peer_knows_behind_what_it_does_not_is_told_as_well() {
    let mut a = connector(filled(1, 1), Mode::WriteOnly);
    let mut b = acceptor(filled(2, 1));
    exchange(at(1), &mut a, &mut b).unwrap();
    // Now b has a commit of its own and then one of a's, and a has neither.
    let mut a = connector(a.replica, Mode::Bidirectional);
    let mut b = acceptor(b.replica);
    exchange(at(2), &mut a, &mut b).unwrap();
    assert!(a.events.contains(&Event::CaughtUp), "{:?}", a.events);
}

#[test]
fn what_was_not_sent_back_is_passed_after_a_second_and_not_read_again() {
    let mut a = connector(filled(1, 10), Mode::Bidirectional);
    let mut b = acceptor(Replica::new(2));
    exchange(at(1), &mut a, &mut b).unwrap();
    let due = b.session.poll_timeout().unwrap();
    assert!(due <= 1_001, "due at {due}");
    b.input(at(due), Input::Timeout).unwrap();
    exchange(at(due), &mut a, &mut b).unwrap();
    assert_eq!(a.replica.checkpoint.unwrap().seq, b.replica.head());
}

#[test]
fn a_link_that_receives_nothing_is_caught_up_at_once() {
    let mut a = connector(filled(1, 1), Mode::WriteOnly);
    let mut b = acceptor(filled(2, 1));
    exchange(at(1), &mut a, &mut b).unwrap();
    assert!(a.events.contains(&Event::CaughtUp) && b.events.contains(&Event::CaughtUp));
}

#[test]
fn a_peer_whose_feed_went_back_is_told_so_from_its_point_of_view() {
    let mut a = connector(filled(1, 10), Mode::WriteOnly);
    let mut b = acceptor(Replica::new(2));
    exchange(at(1), &mut a, &mut b).unwrap();

    let mut a = connector(filled(1, 4), Mode::WriteOnly);
    let mut b = acceptor(b.replica);
    let error = exchange(at(2), &mut a, &mut b).unwrap_err();
    assert_eq!(error, SessionError::PeerFeedWentBack { held: 10, head: 4 });
    let goodbye = b.sent.pop_back().unwrap();
    let error = a.input(at(2), Input::Frame(goodbye)).unwrap_err();
    assert!(error.to_string().contains("your database was restored"), "{error}");
    assert!(!error.is_retryable());
}

#[test]
fn a_refusal_is_short_enough_to_be_read_whatever_it_speaks_of() {
    let side = Side::Connector { mode: Mode::Bidirectional };
    let mut a = End::with(Replica::new(1), side, |local| local.database = "\u{1}".repeat(1_000));
    let mut b = acceptor(Replica::new(2));
    assert!(exchange(at(1), &mut a, &mut b).is_err());
    let goodbye = b.sent.pop_back().unwrap();
    let error = a.input(at(1), Input::Frame(goodbye)).unwrap_err();
    assert!(matches!(error, SessionError::PeerLeft { reason: Reason::Database, .. }), "{error}");
}

#[test]
fn limits_that_mean_never_are_possible() {
    let never = Limits { heartbeat_ms: u64::MAX, silence_ms: u64::MAX, ..Limits::default() };
    let local = LocalNode {
        node: NodeId::from_bytes([3; 16]),
        incarnation: Incarnation(1),
        database: "main".into(),
        name: "never".into(),
        role: Role::Client,
        head: Seq::ZERO,
    };
    let config = SessionConfig { local, side: Side::acceptor(), limits: never };
    let mut session = Session::new(config, at(1));
    session.handle_input(at(1), Input::Frame(hello(|_| ()))).unwrap();
    assert_eq!(session.poll_timeout(), Some(u64::MAX));
}

#[test]
fn the_smallest_window_does_not_stall() {
    let limits = Limits { window_bytes: 1, ..Limits::default() };
    let mut a = connector(Replica::new(1), Mode::WriteOnly);
    let text = "x".repeat(900_000);
    (0..20).for_each(|_| a.replica.commit(record! { "text" => text.as_str() }));
    let mut b = acceptor(Replica::new(2));
    let local = LocalNode {
        node: b.replica.node,
        incarnation: Incarnation(1),
        database: "main".into(),
        name: "small".into(),
        role: Role::Client,
        head: Seq::ZERO,
    };
    b.session = Session::new(SessionConfig { local, side: Side::acceptor(), limits }, at(0));
    exchange(at(1), &mut a, &mut b).unwrap();
    assert_eq!(b.replica.seen.len(), 20);
}
