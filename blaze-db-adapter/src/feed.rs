//! What was just committed, for every session at once, and the head as a watch.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use blaze_codec::message::{Encoded, FeedEncoder, Range};
use blaze_codec::{Checkpoint, NodeId, Operation, Seq};
use tokio::sync::watch;

use crate::size;

/// Where a commit came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// It was written here.
    Local,
    /// It was merged from a peer's feed.
    Peer {
        /// The peer.
        node: NodeId,
        /// The place in its feed that was reached by it; `None` if it was a part of
        /// what the next seq changed.
        checkpoint: Option<Checkpoint>,
    },
}

/// A commit: the operations that changed something.
#[derive(Debug)]
pub struct Committed {
    seq: Seq,
    origin: Origin,
    roots: Vec<Checkpoint>,
    operations: Vec<Operation>,
    bytes_max: usize,
    encoded: OnceLock<Encoded>,
}

impl Committed {
    /// A commit with this seq.
    pub fn new(seq: Seq, origin: Origin, operations: Vec<Operation>) -> Self {
        let bytes_max = operations.iter().map(size::bytes_max).sum();
        let roots = Vec::new();
        Self { seq, origin, roots, operations, bytes_max, encoded: OnceLock::new() }
    }

    /// The same, with the roots of what was merged. Default: none.
    #[must_use]
    pub fn with_roots(self, roots: Vec<Checkpoint>) -> Self {
        Self { roots, ..self }
    }

    /// Its number.
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// Where it came from.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Where what was merged had been written first: places in the feeds of peers, up to
    /// which they have all of this commit, and this database all that they have. None if
    /// that isn't known, or it was written here.
    pub fn roots(&self) -> &[Checkpoint] {
        &self.roots
    }

    /// What changed something, in the order of writing.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }
}

/// A bounded ring of the latest commits, and the head of the feed.
///
/// A session that falls out of the ring goes back to
/// [`DatabaseAdapter::changes`](crate::DatabaseAdapter::changes).
#[derive(Debug)]
pub struct LiveFeed {
    ring: Mutex<Ring>,
    encoder: Mutex<FeedEncoder>,
    /// Tells the watchers of the head; kept by them, so that it ends when the
    /// database closes.
    watched: watch::Receiver<Seq>,
}

#[derive(Debug)]
struct Ring {
    /// `None` once the database is closed.
    head: Option<watch::Sender<Seq>>,
    commits: VecDeque<Arc<Committed>>,
    bytes: usize,
}

impl LiveFeed {
    /// The most bytes of changes that the ring holds: 8 MiB, as encoded; each compression
    /// that is in use adds what it makes of them. A commit larger than that is read from
    /// the database.
    pub const BYTES_MAX: usize = 8 * 1024 * 1024;

    /// A feed whose latest commit is `head`, with nothing in the ring.
    pub fn new(head: Seq) -> Self {
        let (sender, watched) = watch::channel(head);
        let ring = Ring { head: Some(sender), commits: VecDeque::new(), bytes: 0 };
        Self { ring: Mutex::new(ring), encoder: Mutex::default(), watched }
    }

    /// The latest seq that is durable.
    pub fn head(&self) -> Seq {
        *self.watched.borrow()
    }

    /// Watches the head. The channel ends when the database is closed.
    pub fn watch(&self) -> watch::Receiver<Seq> {
        let mut watch = self.watched.clone();
        watch.mark_unchanged();
        watch
    }

    /// Ends all watches: the database is closed. What the ring holds can still be
    /// taken.
    pub fn close(&self) {
        self.ring().head = None;
    }

    /// Adds commits that are durable now, in the order of their seqs, and wakes
    /// the watchers once.
    ///
    /// # Panics
    ///
    /// If the seqs don't follow the head without a gap: a bug of the adapter that
    /// would lose changes.
    pub fn push(&self, commits: impl IntoIterator<Item = Arc<Committed>>) {
        let mut ring = self.ring();
        let mut head = self.head();
        for commit in commits {
            assert_eq!(commit.seq, head.next(), "commits must be pushed in the order of seqs");
            head = commit.seq;
            ring.push(commit);
        }
        if let Some(sender) = &ring.head {
            sender.send_if_modified(|seen| std::mem::replace(seen, head) != head);
        }
    }

    /// At most `count` commits after a seq, or `None` if the ring has lost the first.
    pub fn after(&self, seq: Seq, count: usize) -> Option<Vec<Arc<Committed>>> {
        let ring = self.ring();
        if seq >= self.head() {
            return Some(Vec::new());
        }
        let first = ring.commits.front()?.seq;
        let skip = seq.next().0.checked_sub(first.0)?;
        let skip = usize::try_from(skip).ok()?;
        Some(ring.commits.iter().skip(skip).take(count).cloned().collect())
    }

    /// A commit for peers, encoded when first asked for, once for all sessions; nothing if
    /// nothing changed.
    pub fn encoded<'c>(&self, commit: &'c Committed) -> &'c Encoded {
        commit.encoded.get_or_init(|| match commit.seq.0.checked_sub(1) {
            Some(after) if !commit.operations.is_empty() => {
                let range = Range::new(Seq(after), commit.seq);
                let range = Range { roots: commit.roots.clone(), ..range };
                // What it has given numbers to stays, whatever panics.
                let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
                encoder.encode(&range, &commit.operations)
            }
            _ => Encoded::default(),
        })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // The ring is whole between any two statements that can panic.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, commit: Arc<Committed>) {
        self.bytes += commit.bytes_max;
        self.commits.push_back(commit);
        while self.bytes > LiveFeed::BYTES_MAX
            && let Some(oldest) = self.commits.pop_front()
        {
            self.bytes -= oldest.bytes_max;
        }
    }
}
