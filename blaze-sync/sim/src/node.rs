//! A node: its database while it runs, and what its disk holds when it doesn't.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use blaze_codec::{Checkpoint, Incarnation, NodeId, Operation, Role, Seq};
use blaze_db_adapter::{Committed, DatabaseAdapter, Durability, Observer, Write};
use blaze_db_adapter_memory::{MemoryDatabase, MemoryOptions, Snapshot};
use blaze_sync_protocol::Batch;

use crate::clock::Clock;
use crate::oracle::Oracle;
use crate::plan::NodePlan;
use crate::ready::ready;
use crate::rng::Rng;

/// What a file holds, and what it should.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) snapshot: Snapshot,
    pub(crate) oracle: Oracle,
}

/// How a file comes to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reopening {
    /// As the last process left it.
    Whole,
    /// Commits that peers may hold are gone, and the database can tell (an unclean
    /// end of the machine at durability `Process`).
    Shortened,
    /// Commits that peers may hold are gone, or go on elsewhere, and nothing in the
    /// file tells.
    Unknowing,
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
    /// What is found when it is started again, and how.
    pub(crate) file: Option<(Image, Reopening)>,
    /// What a power cut leaves at durability `Process`.
    pub(crate) synced: Option<Image>,
    pub(crate) backups: Vec<Image>,
    /// How often commits were lost that had not been durable.
    pub(crate) losses: u64,
    pub(crate) jobs: VecDeque<Job>,
    /// How far each peer's feed has arrived; only a canary looks at it.
    pub(crate) arrived: BTreeMap<NodeId, Checkpoint>,
    pub(crate) full: bool,
    /// Protocol versions that it claims to speak.
    pub(crate) speaks: Option<(u16, u16)>,
    pub(crate) gone: bool,
    /// Its commits, from seq 1 on.
    pub(crate) log: Vec<Arc<Committed>>,
    /// What was promised to survive everything.
    pub(crate) promised: Oracle,
    /// What was promised to survive the process.
    pub(crate) promised_until_cut: Vec<Operation>,
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) number: u64,
    pub(crate) incarnation: Incarnation,
    pub(crate) database: Arc<MemoryDatabase>,
    pub(crate) oracle: Oracle,
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
        /// How far the feed had been merged by the session before.
        after: Seq,
    },
}

impl Node {
    pub(crate) fn new(plan: &NodePlan, clock: Clock, rng: &mut Rng) -> Self {
        let incarnation = Incarnation(rng.next());
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
            file: Some((empty, Reopening::Whole)),
            backups: Vec::new(),
            losses: 0,
            jobs: VecDeque::new(),
            arrived: BTreeMap::new(),
            full: false,
            speaks: None,
            gone: false,
            log: Vec::new(),
            promised: Oracle::default(),
            promised_until_cut: Vec::new(),
        }
    }

    /// Opens the file, as a process does when it starts.
    ///
    /// The one place where a snapshot is opened: what an adapter does to tell that
    /// its feed went back belongs here.
    pub(crate) fn open(&mut self, rng: &mut Rng) {
        let Some((image, reopening)) = self.file.take() else { return };
        let Image { snapshot, oracle } = image;
        let snapshot = match reopening {
            Reopening::Whole | Reopening::Unknowing => snapshot,
            Reopening::Shortened => snapshot.with_incarnation(Incarnation(rng.next())),
        };
        // What lies beyond is of another past now, and so are backups of it.
        let head = snapshot.head();
        self.log.truncate(usize::try_from(head.0).unwrap_or(usize::MAX));
        self.backups.retain(|backup| backup.snapshot.head() <= head);
        let database = Arc::new(snapshot.open(self.clock.wall()));
        let identity = database.identity();
        (self.id, self.role) = (identity.node, identity.role);
        let incarnation = identity.incarnation;
        let observer = Observer::new(database.clone(), None);
        self.lives += 1;
        self.life = Some(Life { number: self.lives, incarnation, database, oracle, observer });
    }

    /// What the database holds now.
    pub(crate) fn image(&self) -> Option<Image> {
        let life = self.life.as_ref()?;
        let (snapshot, oracle) = (life.database.snapshot(), life.oracle.clone());
        Some(Image { snapshot, oracle })
    }

    /// What it holds, running or not.
    pub(crate) fn oracle(&self) -> Option<&Oracle> {
        let file = self.file.as_ref().map(|(image, _)| &image.oracle);
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

    pub(crate) fn head(&self) -> Seq {
        self.database.feed().head()
    }
}
