//! A database as small as a session needs one.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use blaze_codec::message::{Encoded, FeedEncoder, Range, encode_roll};
use blaze_codec::{
    Change, Checkpoint, History, Hlc, Incarnation, Name, NodeId, Operation, Record, RecordKey, Seq,
    Span, Version, record,
};
use blaze_sync_protocol::{Batch, Known, Outgoing, OutgoingItem};

use super::WALL_MS;

/// Where a commit came from, if from a peer, its operations, and its roots.
type Commit = (Option<Checkpoint>, Vec<Operation>, Vec<Checkpoint>);

/// A database that keeps what it has seen in the order it came.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) node: NodeId,
    pub(crate) former: Vec<NodeId>,
    pub(crate) history: History,
    pub(crate) clock_ms: u64,
    pub(crate) commits: Vec<Commit>,
    pub(crate) seen: BTreeSet<Version>,
    /// The last place reached of each incarnation of the peer, the latest first.
    pub(crate) trail: Vec<Checkpoint>,
    /// Whether they are those of an id that the peer's file had before.
    pub(crate) trail_is_former: bool,
    /// Where catching up with the peer has come to.
    pub(crate) step: Option<Checkpoint>,
    /// The seq up to which tombstones are gone.
    pub(crate) purged: Seq,
    /// What was merged of rolls, and what the peer held when it was.
    pub(crate) rolled: Vec<Operation>,
    pub(crate) held: Seq,
    feed: Rc<RefCell<FeedEncoder>>,
}

impl Replica {
    pub(crate) fn new(byte: u8) -> Self {
        Self {
            node: NodeId::from_bytes([byte; 16]),
            former: Vec::new(),
            history: Incarnation(byte.into()).into(),
            clock_ms: WALL_MS,
            commits: Vec::new(),
            seen: BTreeSet::new(),
            trail: Vec::new(),
            trail_is_former: false,
            step: None,
            purged: Seq::ZERO,
            rolled: Vec::new(),
            held: Seq::ZERO,
            feed: Rc::default(),
        }
    }

    /// One with so many commits.
    pub(crate) fn filled(byte: u8, commits: usize) -> Self {
        let mut replica = Self::new(byte);
        (0..commits).for_each(|_| replica.commit(record! { "n" => 1 }));
        replica
    }

    /// Opens the file anew: what comes now is of another incarnation.
    pub(crate) fn reopen(&mut self, incarnation: u64) {
        let span = Span { incarnation: Incarnation(incarnation), first: self.head().next() };
        let mut spans = self.history.spans().to_vec();
        spans.push(span);
        self.history = History::new(spans).unwrap();
    }

    pub(crate) fn head(&self) -> Seq {
        Seq(self.commits.len() as u64)
    }

    pub(crate) fn commit(&mut self, record: Record) {
        let hlc = Hlc::from_millis(self.clock_ms + self.head().0);
        let operation = Operation {
            collection: Name::new("notes").unwrap(),
            key: RecordKey::Int(self.head().0.cast_signed()),
            version: Version { epoch: Hlc::ZERO, hlc, node: self.node },
            base: Version::ZERO,
            change: Change::Insert(record),
        };
        self.seen.insert(operation.version);
        self.commits.push((None, vec![operation], Vec::new()));
    }

    /// Makes so many commits of a text of so many bytes.
    pub(crate) fn commit_large(&mut self, commits: usize, bytes: usize) {
        let text = "x".repeat(bytes);
        (0..commits).for_each(|_| self.commit(record! { "text" => text.as_str() }));
    }

    /// Merges all that another wrote, over a link of which nothing else is told.
    pub(super) fn pull(&mut self, other: &Self) {
        let reached = other.history.place(other.head());
        let operations = other.commits.iter().flat_map(|commit| commit.1.clone());
        let operations: Vec<_> =
            operations.filter(|operation| self.seen.insert(operation.version)).collect();
        self.commits.push((Some(reached), operations, vec![reached]));
    }

    pub(super) fn merge(&mut self, batch: Batch) {
        let Batch { checkpoint, roots, operations, holds, roll, .. } = batch;
        self.held = holds;
        if roll {
            return self.rolled.extend(operations);
        }
        let fresh: Vec<_> = operations
            .into_iter()
            .filter(|operation| self.seen.insert(operation.version))
            .collect();
        if !fresh.is_empty() {
            self.commits.push((checkpoint, fresh, roots));
        }
        let Some(reached) = checkpoint else { return };
        self.trail.retain(|place| place.incarnation != reached.incarnation);
        self.trail.insert(0, reached);
    }

    /// Names the records of a range, two at a time.
    pub(super) fn roll(&self, after: Seq, through: Seq) -> Outgoing {
        let index = |seq: Seq| usize::try_from(seq.0).unwrap();
        let commits = &self.commits[index(after)..index(through).min(index(after) + 2)];
        let reached = Seq(after.0 + commits.len() as u64);
        let named = |operation: &Operation| Operation {
            change: Change::Update(vec![]),
            ..operation.clone()
        };
        let named: Vec<_> = commits.iter().flat_map(|commit| &commit.1).map(named).collect();
        let frames = vec![encode_roll(after, reached, &named).unwrap().into()];
        let encoded = Encoded { frames, ..Encoded::default() };
        let items = vec![OutgoingItem { after, through: reached, encoded, roots: Vec::new() }];
        Outgoing { items, ..Outgoing::default() }
    }

    pub(super) fn read(&self, after: Seq, known: &Known) -> Outgoing {
        let commits = self.commits.iter().enumerate().skip(usize::try_from(after.0).unwrap());
        let item = |(index, (origin, operations, roots)): (usize, &Commit)| {
            let (after, through) = (Seq(index as u64), Seq(index as u64 + 1));
            let (range, roots) = (Range::new(after, through), roots.clone());
            let skip =
                origin.is_some_and(|reached| known.covers(reached)) || known.covers_all(&roots);
            let range = Range { roots: roots.clone(), ..range };
            let mut feed = self.feed.borrow_mut();
            let encoded = if skip { Encoded::default() } else { feed.encode(&range, operations) };
            OutgoingItem { after, through, encoded, roots }
        };
        Outgoing { items: commits.take(3).map(item).collect(), ..Outgoing::default() }
    }
}
