//! A node: its database while it runs, and what its disk holds when it doesn't.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use blaze_codec::{Checkpoint, History, Incarnation, NodeId, Operation, Role, Seq};
use blaze_db_adapter::{Committed, DatabaseAdapter, Durability, Observer, Write};
use blaze_db_adapter_memory::{MemoryDatabase, MemoryOptions, Snapshot};
use blaze_sync_protocol::Batch;

use crate::clock::Clock;
use crate::oracle::{Graves, Oracle, Place};
use crate::plan::NodePlan;
use crate::policy::Terms;
use crate::ready::ready;
use crate::rng::Rng;

/// What a file holds, and what it should.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) snapshot: Snapshot,
    pub(crate) oracle: Oracle,
}

/// A node, running or not.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) role: Role,
    pub(crate) durability: Durability,
    pub(crate) write_ms: u64,
    pub(crate) clock: Clock,
    /// The database, while the process runs.
    pub(crate) life: Option<Life>,
    /// Counts the processes.
    pub(crate) lives: u64,
    /// What is found when it is started again.
    pub(crate) file: Option<Image>,
    /// Whose its commits were before.
    drawn: Incarnation,
    /// What a power cut leaves at durability `Process`.
    pub(crate) synced: Option<Image>,
    pub(crate) backups: Vec<Image>,
    /// How often commits were lost that had not been durable.
    pub(crate) losses: u64,
    /// The tombstones that it ever removed, whatever its file became since.
    pub(crate) removed: Graves,
    /// Losses of each peer, and of itself, when the last session with it began.
    pub(crate) met: BTreeMap<NodeId, (u64, u64)>,
    pub(crate) jobs: VecDeque<Job>,
    /// How far each peer's feed has arrived; only a canary looks at it.
    pub(crate) arrived: BTreeMap<NodeId, Checkpoint>,
    pub(crate) full: bool,
    /// Protocol versions that it claims to speak.
    pub(crate) speaks: Option<(u16, u16)>,
    pub(crate) gone: bool,
    /// Its commits, from seq 1 on.
    pub(crate) log: Vec<Arc<Committed>>,
    /// The nodes that are linked without limits have one.
    pub(crate) group: usize,
    /// The node whose file it began with: peers take both for the same user.
    pub(crate) original: usize,
    /// What its apps wrote.
    pub(crate) wrote: BTreeSet<Place>,
    /// What was promised to survive everything.
    pub(crate) promised: Oracle,
    /// What was promised to survive the process.
    pub(crate) promised_until_cut: Vec<Operation>,
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) number: u64,
    pub(crate) database: Arc<MemoryDatabase>,
    pub(crate) oracle: Oracle,
    /// When it last took another id.
    pub(crate) renewed_ms: Option<u64>,
    observer: Observer,
}

/// A transaction that is being written.
#[derive(Debug)]
pub(crate) enum Job {
    /// Of the app.
    Commit(Vec<Write>),
    /// Of a session.
    Merge {
        /// The session's connection and side.
        session: (u64, usize),
        /// What it merges.
        batch: Batch,
        /// What its peer may do.
        terms: Terms,
        /// How far the feed had been merged by the session before.
        after: Seq,
    },
    /// Of a session, too: its peer is registered.
    Register {
        /// The session's connection and side.
        session: (u64, usize),
        peer: NodeId,
        name: String,
        /// Up to where the peer holds the feed.
        holds: Seq,
    },
}

impl Node {
    pub(crate) fn new(plan: &NodePlan, clock: Clock, rng: &mut Rng) -> Self {
        let incarnation = Incarnation::drawn(rng.next());
        let options = MemoryOptions::new().node(plan.id).incarnation(incarnation);
        let database = options.role(plan.role).clock(clock.wall()).build();
        let snapshot = database.snapshot();
        let empty = Image { snapshot, oracle: Oracle::default() };
        Self {
            id: plan.id,
            role: plan.role,
            durability: plan.durability,
            write_ms: plan.write_ms,
            clock,
            life: None,
            lives: 0,
            synced: Some(empty.clone()),
            file: Some(empty),
            drawn: incarnation,
            backups: Vec::new(),
            losses: 0,
            removed: Graves::default(),
            met: BTreeMap::new(),
            jobs: VecDeque::new(),
            arrived: BTreeMap::new(),
            full: false,
            speaks: None,
            gone: false,
            log: Vec::new(),
            group: 0,
            original: 0,
            wrote: BTreeSet::new(),
            promised: Oracle::default(),
            promised_until_cut: Vec::new(),
        }
    }

    /// Opens the file, as a process does when it starts.
    ///
    /// The one place where a snapshot is opened; `anew` as adapters do it, whose commits
    /// are of another incarnation each time.
    pub(crate) fn open(&mut self, rng: &mut Rng, anew: bool) {
        let Some(Image { snapshot, oracle }) = self.file.take() else { return };
        let drawn = Incarnation::drawn(rng.next());
        self.drawn = if anew { drawn } else { self.drawn };
        // What lies beyond is of another past now, and so are backups of it.
        let head = snapshot.head();
        self.log.truncate(usize::try_from(head.0).unwrap_or(usize::MAX));
        self.backups.retain(|backup| backup.snapshot.head() <= head);
        let database = Arc::new(snapshot.open(self.drawn, self.clock.wall()));
        let identity = database.identity();
        (self.id, self.role) = (identity.node, identity.role);
        let observer = Observer::new(database.clone(), None);
        self.lives += 1;
        self.life = Some(Life { number: self.lives, database, oracle, renewed_ms: None, observer });
    }

    /// What the database holds now.
    pub(crate) fn image(&self) -> Option<Image> {
        let life = self.life.as_ref()?;
        let (snapshot, oracle) = (life.database.snapshot(), life.oracle.clone());
        Some(Image { snapshot, oracle })
    }

    /// What it holds, running or not.
    pub(crate) fn oracle(&self) -> Option<&Oracle> {
        let file = self.file.as_ref().map(|image| &image.oracle);
        self.life.as_ref().map(|life| &life.oracle).or(file)
    }

    /// Everything so far is on the disk.
    pub(crate) fn sync(&mut self) {
        self.synced = self.image().or(self.synced.take());
        for operation in std::mem::take(&mut self.promised_until_cut) {
            self.promised.join(&operation);
        }
    }
}

impl Life {
    /// Checks that the observer sees a commit next, and nothing else.
    pub(crate) fn observe(&mut self, committed: &Committed) -> Result<(), String> {
        let mut expected = committed.operations().iter();
        while let Some(observed) = ready(self.observer.next()) {
            let observed = observed.map_err(|error| error.to_string())?;
            let next = expected.next().map(|operation| (&operation.key, operation.version));
            if next != Some((&observed.key, observed.version)) || observed.seq != committed.seq() {
                let (key, seq) = (&observed.key, observed.seq);
                return Err(format!(
                    "{key} in seq {seq}, where seq {} is to come, with {next:?}",
                    committed.seq()
                ));
            }
        }
        match expected.next() {
            Some(operation) => Err(format!("nothing of {} in {}", operation.key, committed.seq())),
            None => Ok(()),
        }
    }

    /// What peers are told of its feed.
    pub(crate) fn history(&self) -> Option<History> {
        ready(self.database.announce())?.ok()
    }

    /// How far its feed, as one sees it through a link's scopes, is merged in another
    /// database, as far as that can tell.
    pub(crate) fn held_by(&self, other: &MemoryDatabase, view: u64) -> Option<Seq> {
        let (identity, head) = (self.database.identity(), self.head());
        let history = self.history()?.through(view);
        let ids = std::iter::once(identity.node).chain(identity.former.into_iter().rev());
        let trails = ids.filter_map(|id| ready(other.checkpoints(id))?.ok());
        let trail = trails.filter(|trail| !trail.is_empty()).take(1).flatten();
        let merged = trail.map(|place| history.common(place, head));
        let own = ready(other.announce())?.ok()?;
        let copied = own.fork(other.feed().head(), &history, head).map(|place| place.seq);
        merged.chain(copied).max()
    }

    pub(crate) fn head(&self) -> Seq {
        self.database.feed().head()
    }
}
