//! What goes wrong with peers, tombstones and rolls.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use blaze_codec::{Change, Name, NodeId, Operation, Record, RecordKey, Seq};
use blaze_db_adapter::{
    ChangeSet, DatabaseAdapter, DatabaseError, Purged, RecordState, Write, WriteKind,
};
use blaze_db_adapter_memory::MemoryDatabase;

use super::{Fault, FaultyDatabase, UNLIMITED};

impl FaultyDatabase {
    pub(super) async fn register_now(
        &self,
        peer: NodeId,
        name: &str,
        holds: Seq,
    ) -> Result<Seq, DatabaseError> {
        let held = if self.fault == Fault::HoldsIgnored { Seq(u64::MAX) } else { holds };
        let purged = self.memory.register(peer, name, held).await?;
        if self.fault == Fault::HoldsBelieved {
            self.memory.settle(&[(peer, holds)]).await?;
        }
        Ok(if self.fault == Fault::PurgeForgotten { Seq::ZERO } else { purged })
    }

    pub(super) async fn settle_now(&self, settled: &[(NodeId, Seq)]) -> Result<(), DatabaseError> {
        for &(node, seq) in settled {
            let known = self.memory.peers().await?.into_iter().find(|peer| peer.node == node);
            match (self.fault, known) {
                (Fault::SettleLowers, Some(peer)) => {
                    self.memory.register(node, &peer.name, seq).await?;
                }
                (Fault::SettleRegisters, None) => {
                    self.memory.register(node, "", seq).await?;
                }
                (Fault::SilenceKept, Some(peer)) if seq <= peer.settled => continue,
                _ => {}
            }
            self.memory.settle(&[(node, seq)]).await?;
        }
        Ok(())
    }

    pub(super) async fn purge_now(&self, silent_since_ms: u64) -> Result<Purged, DatabaseError> {
        let states = states(&self.memory).await?;
        let mut states = states.values();
        let waits = states.any(|state| !state.exists() && !state.is_empty());
        let purged = match self.fault {
            Fault::PurgeForAll => self.memory.purge(u64::MAX).await?,
            Fault::PurgeWaitsForSilent => self.memory.purge(0).await?,
            Fault::PurgeSparesWaiting if waits => Purged::default(),
            _ => self.memory.purge(silent_since_ms).await?,
        };
        if self.fault == Fault::PurgeTakesAll {
            self.file.gone.store(purged.through.0, Ordering::SeqCst);
        }
        if self.fault == Fault::PurgeCommits && purged.removed > 0 {
            let collection = Name::new("purges").expect("a short name");
            let kind = WriteKind::Put(Record::new());
            self.commit_now(vec![Write { collection, key: RecordKey::unique(), kind }]).await?;
        }
        Ok(purged)
    }

    pub(super) async fn roll_now(
        &self,
        after: Seq,
        through: Seq,
        count: usize,
    ) -> Result<ChangeSet, DatabaseError> {
        let after = if self.fault == Fault::RollOutOfRange { Seq::ZERO } else { after };
        let mut roll = self.memory.roll(after, through, count).await?;
        match self.fault {
            Fault::RollNamesDead => {
                let feed = self.memory.changes(after, UNLIMITED).await?.operations;
                let dead = feed.into_iter().filter(|operation| operation.change == Change::Delete);
                let change = Change::Update(vec![]);
                roll.operations
                    .extend(dead.map(|dead| Operation { change: change.clone(), ..dead }));
            }
            Fault::RollTorn => roll.operations.truncate(count.max(1)),
            Fault::RollEndsEarly => roll.more = false,
            Fault::RollOfLives => {
                let states = states(&self.memory).await?;
                for named in &mut roll.operations {
                    let place = (named.collection.clone(), named.key.clone());
                    named.version = states[&place].life().stamp.version;
                }
            }
            _ => {}
        }
        Ok(roll)
    }
}

/// The latest seq of which there is a record.
pub(super) async fn last(memory: &MemoryDatabase) -> Seq {
    let mut head = memory.feed().head();
    while let Some(before) = head.0.checked_sub(1).map(Seq) {
        let changes = memory.changes(before, UNLIMITED).await.expect("it is open");
        if !changes.operations.is_empty() {
            break;
        }
        head = before;
    }
    head
}

pub(super) async fn states(
    memory: &MemoryDatabase,
) -> Result<BTreeMap<(Name, RecordKey), RecordState>, DatabaseError> {
    let mut states = BTreeMap::<_, RecordState>::new();
    for operation in memory.changes(Seq::ZERO, UNLIMITED).await?.operations {
        let place = (operation.collection.clone(), operation.key.clone());
        states.entry(place).or_default().merge(&operation, &mut Vec::new());
    }
    Ok(states)
}
