//! The reference model behind a wrapper that can be told to break a rule, and that
//! can be opened again.

mod scopes;
mod tombstones;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use blaze_codec::{
    Change, History, Hlc, Incarnation, Name, NodeId, Operation, Record, RecordKey, Role, Seq, Value,
};
use blaze_db_adapter::{
    Audience, ChangeSet, ChangesLimit, Checkpoint, CollectionInfo, Committed, DatabaseAdapter,
    DatabaseError, Identity, Incoming, LiveFeed, Merged, Origin, Purged, RegisteredPeer, WallClock,
    Write,
};
use blaze_db_adapter_conformance::{Harness, Settings};
use blaze_db_adapter_memory::{MemoryDatabase, MemoryOptions};

const UNLIMITED: ChangesLimit = ChangesLimit { records: usize::MAX, bytes: usize::MAX };
/// How long a torn transaction lets others run between its halves.
const TORN: Duration = Duration::from_millis(1);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    CheckpointOfNothing,
    CheckpointForgotten,
    SeqReused,
    TransactionSplit,
    MergeSplit,
    RolesIgnored,
    RoleForgotten,
    DeletesOmitted,
    SeqsTorn,
    FeedEndsEarly,
    LeftOutInSilence,
    LeftOutAlways,
    MergeRepeats,
    MergePassesOnAll,
    ConflictsHidden,
    MergeByArrival,
    ClockForgotten,
    ClockAlone,
    ScanReversed,
    DeletedCounted,
    FloatsCanonical,
    StaysOpen,
    PushedLate,
    RingKept,
    WatchesKept,
    NewIdentity,
    IncarnationKept,
    HistoryForgotten,
    RenewalIgnored,
    PurgeForAll,
    PurgeWaitsForSilent,
    PurgeSparesWaiting,
    PurgeTakesAll,
    PurgeCommits,
    PurgeForgotten,
    HeadForgotten,
    HoldsIgnored,
    HoldsBelieved,
    SettleLowers,
    SettleRegisters,
    SilenceKept,
    PeersForgotten,
    UnregisterIgnored,
    RollNamesDead,
    RollOutOfRange,
    RollTorn,
    RollEndsEarly,
    RollOfLives,
    RollAsUpdates,
    AckIgnored,
    AckAssumed,
    WholeKnown,
    WholeRepeated,
    ForgottenTraced,
    ScopeIgnored,
    ScopeJudgedApart,
    RollUnjudged,
    RefusedTakesAll,
    RefusedStays,
    RefusedUntold,
    RefusedConflicts,
    RefusedUnheard,
    RefusedOnce,
    RefusedAgain,
    RefusedKnown,
    RefusedSpared,
    NewUntold,
    NewDeleted,
    UnheardIgnored,
    UnheardRolls,
    MergesUnnoted,
    LosesIgnored,
    LosesForgotten,
    LosesUndone,
    WithdrawalIgnored,
    WithdrawnByAnybody,
    WithdrawnByScope,
    WithdrawnIfKnown,
    WithdrawnDeleted,
    WithdrawnInPart,
    WithdrawnUntold,
    WithdrawnTwice,
    WithdrawalsOmitted,
    ShareIgnored,
    SharesByNode,
    SharesForgotten,
    SharesKept,
    SharesOfWhatExists,
}

/// Opens databases with a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faulty(pub(crate) Fault);

/// What stands for a file.
#[derive(Debug, Default)]
pub(crate) struct File {
    memory: Mutex<Option<Arc<MemoryDatabase>>>,
    openings: AtomicU64,
    role: Mutex<Role>,
    /// The seq up to which everything is gone, if a purge takes all.
    gone: AtomicU64,
    old: Mutex<Option<Arc<LiveFeed>>>,
    given: Mutex<scopes::Given>,
}

#[async_trait]
impl Harness for Faulty {
    type Storage = Arc<File>;

    const REOPENS: bool = true;

    fn storage(&self) -> Arc<File> {
        Arc::default()
    }

    async fn open(&self, file: &Arc<File>, settings: Settings) -> Arc<dyn DatabaseAdapter> {
        let Self(fault) = *self;
        let Settings { role, clock } = settings;
        let (memory, reopened) = {
            let mut memory = file.memory.lock().expect("no panic");
            let reopened = memory.is_some();
            let stamped = if fault == Fault::RolesIgnored { Role::Client } else { role };
            let opened = match memory.take() {
                None => Arc::new(MemoryOptions::new().role(stamped).clock(clock.clone()).build()),
                Some(memory) if fault == Fault::IncarnationKept => memory,
                Some(memory) => {
                    let drawn = Incarnation(file.openings.fetch_add(1, Ordering::SeqCst));
                    Arc::new(memory.snapshot().open(drawn, clock.clone()))
                }
            };
            (memory.insert(opened).clone(), reopened)
        };
        if !reopened || fault == Fault::RoleForgotten {
            *file.role.lock().expect("no panic") = role;
        }
        let head = match fault {
            Fault::HeadForgotten if reopened => tombstones::last(&memory).await,
            _ => memory.feed().head(),
        };
        if fault == Fault::PeersForgotten {
            for peer in memory.peers().await.expect("it is open") {
                memory.unregister(peer.node).await.expect("it is open");
            }
        }
        let mut old = file.old.lock().expect("no panic");
        let kept = old.take().filter(|_| fault == Fault::RingKept);
        let feed = kept.unwrap_or_else(|| Arc::new(LiveFeed::new(head)));
        *old = Some(feed.clone());
        Arc::new(FaultyDatabase {
            fault,
            reopened,
            clock,
            file: file.clone(),
            memory,
            feed,
            order: tokio::sync::Mutex::default(),
            closed: AtomicBool::default(),
        })
    }
}

#[derive(Debug)]
struct FaultyDatabase {
    fault: Fault,
    reopened: bool,
    clock: WallClock,
    file: Arc<File>,
    memory: Arc<MemoryDatabase>,
    feed: Arc<LiveFeed>,
    /// Held while a commit is made and pushed.
    order: tokio::sync::Mutex<Vec<Arc<Committed>>>,
    closed: AtomicBool,
}

impl FaultyDatabase {
    fn open(&self) -> Result<(), DatabaseError> {
        if self.closed.load(Ordering::SeqCst) && self.fault != Fault::StaysOpen {
            return Err(DatabaseError::Closed);
        }
        Ok(())
    }

    fn push(&self, late: &mut Vec<Arc<Committed>>, committed: &Arc<Committed>) {
        if committed.operations().is_empty() {
            return;
        }
        let ready = std::mem::take(late);
        late.push(committed.clone());
        self.feed.push(ready);
        if self.fault != Fault::PushedLate {
            self.feed.push(late.drain(..));
        }
    }

    async fn commit_now(&self, writes: Vec<Write>) -> Result<Arc<Committed>, DatabaseError> {
        let mut late = self.order.lock().await;
        let committed = self.memory.commit(writes).await?;
        self.push(&mut late, &committed);
        Ok(committed)
    }

    async fn merge_now(&self, incoming: Incoming) -> Result<Merged, DatabaseError> {
        let mut late = self.order.lock().await;
        let merged = self.memory.merge(incoming).await?;
        if let Some(committed) = &merged.committed {
            self.push(&mut late, committed);
        }
        Ok(merged)
    }

    /// The commit as it would be if the clock had been read from the wall alone.
    fn restamped(&self, committed: &Committed) -> Arc<Committed> {
        let hlc = Hlc::from_millis(self.clock.now_ms());
        let mut operations = committed.operations().to_vec();
        for operation in &mut operations {
            operation.version.hlc = hlc;
        }
        Arc::new(Committed::new(committed.seq(), committed.origin(), operations))
    }
}

#[async_trait]
impl DatabaseAdapter for FaultyDatabase {
    fn identity(&self) -> Identity {
        let role = *self.file.role.lock().expect("no panic");
        let identity = Identity { role, ..self.memory.identity() };
        match self.fault {
            Fault::NewIdentity if self.reopened => {
                Identity { node: NodeId::from_bytes([9; 16]), ..identity }
            }
            _ => identity,
        }
    }

    fn feed(&self) -> &LiveFeed {
        &self.feed
    }

    async fn announce(&self) -> Result<History, DatabaseError> {
        self.open()?;
        let history = self.memory.announce().await?;
        Ok(match self.fault {
            Fault::HistoryForgotten => history.latest().into(),
            _ => history,
        })
    }

    async fn renew(&self, node: NodeId) -> Result<(), DatabaseError> {
        self.open()?;
        match self.fault {
            Fault::RenewalIgnored => Ok(()),
            _ => self.memory.renew(node).await,
        }
    }

    async fn set_role(&self, role: Role) -> Result<(), DatabaseError> {
        self.open()?;
        *self.file.role.lock().expect("no panic") = role;
        match self.fault {
            Fault::RolesIgnored => Ok(()),
            _ => self.memory.set_role(role).await,
        }
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Arc<Committed>, DatabaseError> {
        self.open()?;
        if self.fault == Fault::TransactionSplit {
            let mut last = self.commit_now(vec![]).await?;
            for write in writes {
                last = self.commit_now(vec![write]).await?;
                tokio::time::sleep(TORN).await;
            }
            return Ok(last);
        }
        let committed = self.commit_now(writes).await?;
        Ok(match self.fault {
            Fault::SeqReused => {
                let seq = Seq(committed.seq().0.saturating_sub(1).max(1));
                let operations = committed.operations().to_vec();
                Arc::new(Committed::new(seq, Origin::Local, operations))
            }
            Fault::ClockForgotten if self.reopened => self.restamped(&committed),
            Fault::ClockAlone => self.restamped(&committed),
            _ => committed,
        })
    }

    async fn merge(&self, incoming: Incoming) -> Result<Merged, DatabaseError> {
        self.open()?;
        let Incoming { peer, checkpoint, mut operations, .. } = incoming.clone();
        if self.fault == Fault::MergeSplit && operations.len() > 1 {
            let mut all = Merged::default();
            for operation in operations {
                let incoming = Incoming { operations: vec![operation], ..incoming.clone() };
                let merged = self.merge_now(incoming).await?;
                all.committed = merged.committed.or(all.committed);
                all.conflicts.extend(merged.conflicts);
            }
            return Ok(all);
        }
        if self.fault == Fault::MergeByArrival {
            for (count, operation) in (1..).zip(&mut operations) {
                let head = self.memory.feed().head().0;
                operation.version.epoch = Hlc::from_bits((1 << 40) + (head << 20) + count);
            }
        }
        let known = self.memory.checkpoints(peer).await?;
        if self.fault == Fault::CheckpointOfNothing && !known.is_empty() {
            let before = self.memory.feed().head();
            let merged =
                self.merge_now(Incoming { peer: NodeId::ZERO, operations, ..incoming }).await?;
            let changed = self.memory.feed().head() > before;
            if changed {
                let nothing =
                    Incoming { peer, checkpoint, operations: vec![], ..Incoming::default() };
                self.memory.merge(nothing).await?;
            }
            return Ok(merged);
        }
        let mut incoming = Incoming { operations: operations.clone(), ..incoming };
        if self.fault == Fault::ScopeJudgedApart && incoming.limit.is_some() {
            return self.judged_apart(&incoming).await;
        }
        let untold = self.untold(&incoming).await?;
        incoming = self.distorted(incoming).await?;
        match self.fault {
            Fault::RollAsUpdates => incoming.roll = false,
            Fault::AckIgnored => incoming.holds = Seq::ZERO,
            Fault::AckAssumed => incoming.holds = Seq(u64::MAX),
            _ => {}
        }
        let roots = incoming.roots.clone();
        let mut merged = self.merge_now(incoming).await?;
        match (self.fault, &merged.committed) {
            (Fault::MergeRepeats, None) => {
                let head = self.feed.head();
                let repeated =
                    Committed::new(head, Origin::Peer { node: peer, checkpoint }, operations);
                merged.committed = Some(Arc::new(repeated));
            }
            (Fault::MergePassesOnAll, Some(committed)) => {
                let all = Committed::new(committed.seq(), committed.origin(), operations);
                merged.committed = Some(Arc::new(all));
            }
            (Fault::WholeKnown, Some(committed)) => {
                let operations = committed.operations().to_vec();
                let origin = Origin::Peer { node: peer, checkpoint };
                merged.committed =
                    Some(Arc::new(Committed::new(committed.seq(), origin, operations)));
            }
            (Fault::ForgottenTraced, Some(committed)) => {
                let operations = committed.operations().to_vec();
                let traced = Committed::new(committed.seq(), committed.origin(), operations);
                merged.committed = Some(Arc::new(traced.with_roots(roots)));
            }
            (Fault::WholeRepeated, Some(committed)) => {
                let twice = committed.operations().iter().flat_map(|operation| {
                    let deletes = usize::from(operation.change == Change::Delete);
                    std::iter::repeat_n(operation.clone(), 1 + deletes)
                });
                let (seq, origin) = (committed.seq(), committed.origin());
                merged.committed = Some(Arc::new(Committed::new(seq, origin, twice.collect())));
            }
            (Fault::ConflictsHidden, _) => merged.conflicts.clear(),
            _ => self.retold(&mut merged, Origin::Peer { node: peer, checkpoint }, untold),
        }
        Ok(merged)
    }

    async fn changes(&self, after: Seq, limit: ChangesLimit) -> Result<ChangeSet, DatabaseError> {
        self.open()?;
        let after = after.max(Seq(self.file.gone.load(Ordering::SeqCst)));
        let mut changes = self.memory.changes(after, limit).await?;
        match self.fault {
            Fault::DeletesOmitted => {
                changes.operations.retain(|operation| operation.change != Change::Delete);
            }
            Fault::WithdrawalsOmitted => {
                changes.operations.retain(|operation| !operation.is_withdrawal());
            }
            Fault::SeqsTorn => changes.operations.truncate(limit.records.max(1)),
            Fault::FeedEndsEarly => (changes.more, changes.left_out) = (false, false),
            Fault::LeftOutInSilence => changes.left_out = false,
            Fault::LeftOutAlways => changes.left_out = changes.more,
            _ => {}
        }
        Ok(changes)
    }

    async fn checkpoints(&self, peer: NodeId) -> Result<Vec<Checkpoint>, DatabaseError> {
        self.open()?;
        if self.fault == Fault::CheckpointForgotten && self.reopened {
            return Ok(Vec::new());
        }
        self.memory.checkpoints(peer).await
    }

    async fn register(&self, peer: NodeId, name: &str, holds: Seq) -> Result<Seq, DatabaseError> {
        self.open()?;
        self.register_now(peer, name, holds).await
    }

    async fn settle(&self, settled: &[(NodeId, Seq)]) -> Result<(), DatabaseError> {
        self.open()?;
        self.settle_now(settled).await
    }

    async fn peers(&self) -> Result<Vec<RegisteredPeer>, DatabaseError> {
        self.open()?;
        self.memory.peers().await
    }

    async fn shared(
        &self,
        audience: &Audience,
        records: &[(Name, RecordKey)],
    ) -> Result<Vec<Option<Seq>>, DatabaseError> {
        self.open()?;
        self.shared_now(audience, records).await
    }

    async fn share(
        &self,
        audience: &Audience,
        records: Vec<(Name, RecordKey)>,
        withdrawn: Option<Seq>,
    ) -> Result<(), DatabaseError> {
        self.open()?;
        self.share_now(audience, records, withdrawn).await
    }

    async fn unregister(&self, peer: NodeId) -> Result<bool, DatabaseError> {
        self.open()?;
        match self.fault {
            Fault::UnregisterIgnored => {
                Ok(self.memory.peers().await?.iter().any(|known| known.node == peer))
            }
            _ => self.memory.unregister(peer).await,
        }
    }

    async fn purge(&self, silent_since_ms: u64) -> Result<Purged, DatabaseError> {
        self.open()?;
        self.purge_now(silent_since_ms).await
    }

    async fn roll(
        &self,
        after: Seq,
        through: Seq,
        count: usize,
    ) -> Result<ChangeSet, DatabaseError> {
        self.open()?;
        self.roll_now(after, through, count).await
    }

    async fn read(
        &self,
        collection: &Name,
        key: &RecordKey,
    ) -> Result<Option<Record>, DatabaseError> {
        self.open()?;
        let record = self.memory.read(collection, key).await?;
        if self.fault != Fault::FloatsCanonical {
            return Ok(record);
        }
        let canonical = |value| match value {
            Value::Float(float) if float.is_nan() => Value::Float(f64::NAN),
            // The sum of a zero of either sign and zero is the positive one.
            Value::Float(float) => Value::Float(float + 0.0),
            value => value,
        };
        let fields = |record: Record| {
            record.into_iter().map(|(field, value)| (field, canonical(value))).collect()
        };
        Ok(record.map(fields))
    }

    async fn scan(
        &self,
        collection: &Name,
        after: Option<&RecordKey>,
        count: usize,
    ) -> Result<Vec<(RecordKey, Record)>, DatabaseError> {
        self.open()?;
        let mut records = self.memory.scan(collection, after, count).await?;
        if self.fault == Fault::ScanReversed {
            records.reverse();
        }
        Ok(records)
    }

    async fn collections(&self) -> Result<Vec<CollectionInfo>, DatabaseError> {
        self.open()?;
        if self.fault != Fault::DeletedCounted {
            return self.memory.collections().await;
        }
        let feed = self.memory.changes(Seq::ZERO, UNLIMITED).await?.operations;
        let mut keys: BTreeMap<Name, BTreeSet<RecordKey>> = BTreeMap::new();
        for Operation { collection, key, .. } in feed {
            keys.entry(collection).or_default().insert(key);
        }
        let count =
            |(name, keys): (Name, BTreeSet<_>)| CollectionInfo { name, records: keys.len() as u64 };
        Ok(keys.into_iter().map(count).collect())
    }

    async fn close(&self) -> Result<(), DatabaseError> {
        self.closed.store(true, Ordering::SeqCst);
        if self.fault != Fault::WatchesKept {
            self.feed.close();
        }
        Ok(())
    }
}
