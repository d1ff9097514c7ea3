//! Drives one session as an engine would, with a database that holds next to nothing, and
//! checks what it asks for.

use std::collections::{BTreeSet, VecDeque};

use blaze_codec::batch::{Definitions, Entry};
use blaze_codec::message::{
    Body, CONTROL_BYTES_MAX, Changes, Compression, CompressionSet, Encoded, FeedEncoder, Hello,
    Message, Range, encode_roll, expand,
};
use blaze_codec::{
    Change, Checkpoint, History, Hlc, Incarnation, Mode, Name, NodeId, Operation, RecordKey, Role,
    Seq, Span, Version, record,
};
use blaze_sync_protocol::{
    Batch, CREDIT_BYTES_MAX, Event, Input, LocalNode, Moment, Outgoing, OutgoingItem, Output,
    Session, SessionConfig, Side,
};
use bytes::Bytes;

use super::{SESSION, scopes};
use crate::heap;
use crate::source::Source;

/// The wall clock when a session begins.
pub(super) const WALL_MS: u64 = 1_700_000_000_000;
/// The peer's incarnation.
pub(super) const PEER: u64 = 9;

const MODES: [Mode; 3] = [Mode::Bidirectional, Mode::ReadOnly, Mode::WriteOnly];
const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd];
const COLLECTIONS: [&str; 2] = ["notes", "essays"];
/// How many commits a read finds at most.
const READ_MAX: u64 = 5;

/// A session with what is around it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(super) struct Driver {
    session: Session,
    now: Moment,
    head: Seq,
    purged: Seq,
    /// What was merged of the peer before.
    places: Vec<Checkpoint>,
    /// What is answered late: merges, reads.
    late: (bool, bool),
    /// Whether a merge, a read is not answered yet.
    merging: bool,
    reading: Option<(Seq, bool)>,
    /// What the peer's changes and its roll have told so far.
    pub(super) told: Seq,
    pub(super) rolled: Seq,
    /// The peer's dictionary, and what it has told of that.
    pub(super) peer: FeedEncoder,
    pub(super) defined: BTreeSet<Entry>,
    /// The dictionary here, what the session has told of that, and a transaction of which
    /// it has sent a piece.
    feed: FeedEncoder,
    known: Definitions,
    staged: Vec<u8>,
    /// The compressions that are read here, and by the peer.
    reads: CompressionSet,
    peer_reads: CompressionSet,
    /// What the session may still send of changes.
    credit: u64,
    merged: Seq,
    /// Whether it sent changes.
    sent_changes: bool,
    /// What the sides limit each other to.
    scopes: scopes::Scopes,
    ended: bool,
    finished: bool,
    /// The bytes of all frames that it got, and what it has on the heap.
    fed: usize,
    live: isize,
}

impl Driver {
    /// A session that has said and heard hello. Five bytes tell its side, mode and
    /// compressions, the local head, up to where tombstones are gone, what the two know of
    /// each other and limit each other to, and the peer's head; more follow for a history that
    /// nobody would have.
    pub(super) fn new(source: &mut Source<'_>) -> Self {
        let flags = source.byte();
        let mode = MODES[usize::from(flags >> 1 & 3) % MODES.len()];
        let compression = COMPRESSIONS[usize::from(flags >> 3 & 3) % COMPRESSIONS.len()];
        let peer_reads = CompressionSet(u64::from(flags >> 5 & 3));
        let reads = if flags >> 7 == 0 { CompressionSet::BUILT } else { CompressionSet::EMPTY };
        let side = if flags & 1 == 0 { Side::acceptor() } else { Side::Connector { mode } };
        let head = Seq(source.below(12) as u64);
        let purged = Seq(source.below(12) as u64).min(head);
        let known = source.byte();
        let peer_head = source.byte();
        let peer_head = Seq(if peer_head < 250 { u64::from(peer_head % 16) } else { u64::MAX });
        let places = match known % 4 {
            0 => vec![],
            1 => vec![Checkpoint { incarnation: Incarnation(PEER), seq: Seq(2) }],
            2 => vec![Checkpoint { incarnation: Incarnation(8), seq: Seq(9) }],
            _ => [PEER, 8, 77]
                .map(|peer| Checkpoint { incarnation: Incarnation(peer), seq: Seq(3) })
                .to_vec(),
        };
        let scopes = scopes::Scopes::of(known >> 5, flags & 1 == 1);
        let places = places.into_iter().map(|place| scopes.seen(place)).collect();
        let now = Moment { mono_ms: 0, wall_ms: WALL_MS };
        let (session, used) = heap::used_by(|| {
            let local = LocalNode {
                node: NodeId::from_bytes([if known & 16 == 0 { 1 } else { 200 }; 16]),
                former: Vec::new(),
                history: Incarnation(1).into(),
                database: "main".into(),
                name: "fuzzed".into(),
                role: Role::Client,
                head,
            };
            let (scope, config) = (scopes.ours.clone(), SessionConfig::new(local, side));
            Session::new(SessionConfig { scope, compression, reads, ..config }, now)
        });
        let mut driver = Self {
            session,
            now,
            head,
            purged,
            places,
            late: (false, false),
            merging: false,
            reading: None,
            told: Seq::ZERO,
            rolled: Seq::ZERO,
            peer: FeedEncoder::default(),
            defined: BTreeSet::new(),
            feed: FeedEncoder::default(),
            known: Definitions::default(),
            staged: Vec::new(),
            reads,
            peer_reads,
            credit: 0,
            merged: Seq::ZERO,
            sent_changes: false,
            scopes,
            ended: false,
            finished: false,
            fed: 0,
            live: used.left,
        };
        let hello = hello(mode, history(known, source), peer_head, peer_reads);
        driver.message(&Message::Hello(Hello { scope: driver.scopes.digest(), ..hello }));
        if let Some(told) = driver.scopes.told() {
            driver.message(&told);
        }
        driver.told = driver.session.received().unwrap_or_default();
        driver
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    #[cfg(test)]
    pub(super) fn has_merged(&self) -> bool {
        self.merged > Seq::ZERO
    }

    #[cfg(test)]
    pub(super) const fn has_sent(&self) -> bool {
        self.sent_changes
    }

    pub(super) fn message(&mut self, message: &Message) {
        self.frame(message.encode());
    }

    /// A frame arrives.
    pub(super) fn frame(&mut self, body: Bytes) {
        let expanded = expand(body.clone(), self.reads);
        self.fed += expanded.map_or(0, |expanded| expanded.len()).max(body.len());
        let granted = match Message::decode(body.clone()) {
            Ok(Message::Resume(resume)) => resume.credit,
            Ok(Message::Ack(ack)) => ack.credit,
            _ => 0,
        };
        self.feed(granted, move || Input::Frame(Bytes::copy_from_slice(&body)));
    }

    /// Time passes; then the session is looked at, if it wants to be.
    pub(super) fn wait(&mut self, ms: u64) {
        let ms = ms % 60_000;
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
        if self.session.poll_timeout().is_some_and(|due_ms| due_ms <= self.now.mono_ms) {
            self.feed(0, || Input::Timeout);
        }
    }

    /// Something is written here.
    pub(super) fn commit(&mut self) {
        self.head = self.head.next();
        let head = self.head;
        self.feed(0, || Input::Head(head));
    }

    /// Merges, reads or both are answered late from now on.
    pub(super) fn hold(&mut self, which: u8) {
        self.late = (which & 1 == 1, which & 2 == 2);
    }

    /// Answers what waits.
    pub(super) fn answer(&mut self) {
        if std::mem::take(&mut self.merging) {
            self.head = self.head.next();
            let head = self.head;
            self.feed(0, || Input::Merged { head });
        }
        if let Some((after, behind)) = self.reading.take() {
            let changes = self.read(after, behind);
            self.feed(0, || Input::Changes(changes));
        }
    }

    pub(super) fn local(&mut self, input: Input) {
        self.feed(0, || input);
    }

    /// Ends the session, if nothing has, and goes on as if nothing had.
    pub(super) fn close(mut self) {
        self.answer();
        self.feed(0, || Input::Close);
        assert!(self.ended && self.finished, "a session that was closed goes on");
        assert_eq!(self.session.poll_timeout(), None);
        self.feed(0, || Input::Frame(Message::Ping(1).encode()));
        self.feed(0, || Input::Timeout);
    }

    /// Feeds an input, carries out what comes of it, and feeds the answers. The heap is
    /// the session's but for what is dropped in here.
    fn feed(&mut self, granted: u64, input: impl FnOnce() -> Input) {
        let ((), used) = heap::used_by(|| {
            let mut inputs = VecDeque::from([(granted, input())]);
            while let Some((granted, input)) = inputs.pop_front() {
                let was_ended = self.ended;
                let result = self.session.handle_input(self.now, input);
                self.ended |= result.is_err();
                if result.is_ok() {
                    self.credit = self.credit.saturating_add(granted).min(CREDIT_BYTES_MAX);
                }
                while let Some(output) = self.session.poll_output() {
                    assert!(!was_ended, "after its end a session asks for {output:?}");
                    let answers = self.carry_out(output);
                    inputs.extend(answers.into_iter().map(|answer| (0, answer)));
                }
                if self.ended {
                    break;
                }
            }
        });
        let peak = usize::try_from(self.live + used.peak.cast_signed()).unwrap_or(0);
        SESSION.check(self.fed, peak);
        self.live += used.left;
    }

    fn carry_out(&mut self, output: Output) -> Vec<Input> {
        assert!(!self.finished, "after its last output a session asks for {output:?}");
        if self.ended {
            return self.at_the_end(&output);
        }
        match output {
            Output::Send(frame) => self.sent(&frame),
            Output::LoadCheckpoints { .. } => {
                let (places, former, step) = (self.places.clone(), false, None);
                return vec![Input::Head(self.head), Input::Checkpoints { places, former, step }];
            }
            Output::Read { after, bytes, behind, .. } => {
                assert!(after < self.head && bytes > 0, "{after} of {} is read", self.head);
                assert!(self.reading.is_none(), "two reads at once");
                if self.late.1 {
                    self.reading = Some((after, behind));
                    return Vec::new();
                }
                return vec![Input::Changes(self.read(after, behind))];
            }
            Output::Register { holds, .. } => {
                assert!(holds <= self.head, "{holds} of {} is held", self.head);
                return vec![Input::Registered(self.purged)];
            }
            Output::ReadRoll { after, through } => {
                return vec![Input::Roll(roll(after, through))];
            }
            Output::Merge(batch) => {
                self.merge(&batch);
                if self.late.0 {
                    self.merging = true;
                    return Vec::new();
                }
                self.head = self.head.next();
                return vec![Input::Merged { head: self.head }];
            }
            Output::Event(event) => self.told_of(&event),
            other => panic!("a session doesn't say {other:?} before it ends"),
        }
        Vec::new()
    }

    /// A goodbye, and the end.
    fn at_the_end(&mut self, output: &Output) -> Vec<Input> {
        match output {
            Output::Send(frame) => {
                let message = Message::decode(frame.clone());
                assert!(matches!(message, Ok(Message::Goodbye(_))), "{message:?}");
            }
            Output::Finish => self.finished = true,
            other => panic!("a session that ended asks for {other:?}"),
        }
        Vec::new()
    }

    /// What is sent can be read with what was told before, and costs what it expands to.
    fn sent(&mut self, frame: &Bytes) {
        let body = expand(frame.clone(), self.peer_reads).expect("the peer can expand it");
        let bytes = body.len();
        match Message::decode(body).expect("what is sent can be decoded") {
            Message::Changes(part) => {
                self.spend(bytes);
                self.staged.extend_from_slice(&part.payload);
                if !part.more {
                    let payload = std::mem::take(&mut self.staged);
                    let decoded = Changes::decode_defined(&payload, &self.known);
                    decoded.expect("what changes need is told before");
                }
            }
            Message::Roll(payload) => {
                self.spend(bytes);
                Changes::decode(&payload).expect("a roll needs no dictionary");
            }
            Message::Definitions(payload) => {
                self.known.add(&payload).expect("what is told is told once");
            }
            Message::Scope(payload) => self.scopes.check_told(&payload),
            _ => assert!(bytes <= CONTROL_BYTES_MAX, "a message of {bytes}"),
        }
    }

    fn spend(&mut self, bytes: usize) {
        self.sent_changes = true;
        let left = self.credit.checked_sub(bytes as u64);
        self.credit = left.expect("changes stay within the peer's credit");
    }

    /// A small commit a seq, and now and then one that is worth compressing.
    fn read(&mut self, after: Seq, behind: bool) -> Outgoing {
        let (feed, head) = (&mut self.feed, self.head);
        let item = |seq: u64| {
            let range = Range::new(Seq(seq - 1), Seq(seq));
            let text = "again and again, ".repeat(if seq.is_multiple_of(3) { 60 } else { 1 });
            let change = Change::Insert(record! { "n" => 1, "text" => text });
            let encoded = feed.encode(&range, &[operation(range.through, change)]);
            let Range { after, through, .. } = range;
            OutgoingItem { after, through, encoded, roots: Vec::new() }
        };
        let end = head.0.min(after.0 + READ_MAX);
        let items = (after.0 + 1..=end).map(item).collect();
        let behind = behind && end < head.0;
        Outgoing { items, behind, left_out: behind }
    }

    fn merge(&mut self, batch: &Batch) {
        assert!(!self.merging, "two merges at once");
        self.scopes.check_merged(batch);
        for operation in &batch.operations {
            assert_eq!(operation.check(), Ok(()), "{operation:?} is merged");
            let drift = HLC_MS_MAX + self.now.wall_ms;
            let Operation { version, base, change, .. } = operation;
            assert!(version.hlc.millis() <= drift, "{operation:?} is of the future");
            let buries = *change == Change::Delete && base == version;
            assert!(version.epoch <= version.hlc && (base < version || buries), "{operation:?}");
        }
        let reached = batch.checkpoint.map(|place| place.seq);
        assert!(
            reached.is_none_or(|reached| reached >= self.merged),
            "{reached:?} after {}",
            self.merged
        );
        self.merged = reached.unwrap_or(self.merged);
    }

    fn told_of(&self, event: &Event) {
        match event {
            Event::PeerAcked(seq) | Event::Settled(seq) => {
                assert!(*seq <= self.head, "{event:?} of {}", self.head);
            }
            _ => {}
        }
    }
}

/// How far ahead a peer's clock may be.
const HLC_MS_MAX: u64 = blaze_codec::HlcClock::DRIFT_MS_MAX;

/// The history of the peer's feed.
fn history(known: u8, source: &mut Source<'_>) -> History {
    let span =
        |incarnation, first| Span { incarnation: Incarnation(incarnation), first: Seq(first) };
    let spans = match known >> 2 & 3 {
        0 => vec![span(PEER, 1)],
        1 => vec![span(1, 1), span(PEER, 4)],
        2 => vec![span(77, 1), span(8, 3), span(PEER, 6)],
        _ => {
            let any = |_| span(source.pick(&[PEER, 8, 77, 1]), source.number());
            let mut spans: Vec<_> = (0..4).map(any).collect();
            spans.sort_by_key(|span| span.first);
            spans.dedup_by_key(|span| span.first);
            spans
        }
    };
    History::new(spans).expect("seqs ascend")
}

fn hello(mode: Mode, history: History, head: Seq, reads: CompressionSet) -> Hello {
    Hello {
        protocol_min: 1,
        protocol_max: 1,
        node: NodeId::from_bytes([9; 16]),
        former: Vec::new(),
        history,
        database: "main".into(),
        name: "stranger".into(),
        role: Role::Client,
        mode,
        head,
        wall_ms: WALL_MS,
        reads,
        scope: 0,
    }
}

/// What a seq changed, in one of two collections.
fn operation(seq: Seq, change: Change) -> Operation {
    Operation {
        collection: Name::new(COLLECTIONS[usize::from(seq.0.is_multiple_of(3))]).expect("a name"),
        key: RecordKey::Int(seq.0.cast_signed()),
        version: Version {
            epoch: Hlc::ZERO,
            hlc: Hlc::from_millis(WALL_MS),
            node: NodeId::from_bytes([1; 16]),
        },
        base: Version::ZERO,
        change,
    }
}

fn roll(after: Seq, through: Seq) -> Outgoing {
    let end = Seq(through.0.min(after.0 + READ_MAX));
    let named: Vec<_> =
        (after.0 + 1..=end.0).map(|seq| operation(Seq(seq), Change::Update(vec![]))).collect();
    let frames = encode_roll(after, end, &named).into_iter().map(Body::from).collect();
    let encoded = Encoded { frames, ..Encoded::default() };
    let items = vec![OutgoingItem { after, through: end, encoded, roots: Vec::new() }];
    Outgoing { items, ..Outgoing::default() }
}
