//! What goes wrong with scopes, withdrawals and what peers were given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use blaze_codec::{Change, Hlc, Incarnation, Name, Operation, RecordKey, Scope, Seq, Version};
use blaze_db_adapter::{
    Audience, Committed, DatabaseAdapter, DatabaseError, Incoming, Limit, Merged, Origin,
    RecordState, WallClock,
};

use super::tombstones::states;
use super::{Fault, FaultyDatabase, UNLIMITED};

/// A record, and who was given it.
type Shared = (Name, RecordKey, Audience);

/// What was shared by name, rather than by a merge.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// All that anybody was ever given.
    ever: BTreeSet<Shared>,
    /// When each was withdrawn, by the last that was noted of it.
    last: BTreeMap<Shared, Option<Seq>>,
    /// The records of which a write was refused once.
    refused: BTreeSet<(Name, RecordKey)>,
}

impl FaultyDatabase {
    /// What is merged instead of what came.
    pub(super) async fn distorted(&self, incoming: Incoming) -> Result<Incoming, DatabaseError> {
        let mut incoming = incoming;
        match self.fault {
            Fault::ScopeIgnored => incoming = unlimited(incoming),
            Fault::RollUnjudged if incoming.roll => incoming = unlimited(incoming),
            Fault::RefusedTakesAll if !self.foreseen(&incoming).await?.refused.is_empty() => {
                incoming.operations.clear();
            }
            Fault::RefusedStays if !self.foreseen(&incoming).await?.refused.is_empty() => {
                incoming.checkpoint = None;
            }
            Fault::RefusedUnheard | Fault::RefusedOnce | Fault::NewUntold => {
                self.leave_refused_out(&mut incoming).await?;
            }
            Fault::NewDeleted => self.delete_new(&mut incoming).await?,
            Fault::RefusedAgain => self.forget_given(&incoming).await?,
            Fault::WithdrawalIgnored => incoming.withdraws = false,
            Fault::WithdrawnByAnybody => incoming.withdraws = true,
            Fault::WithdrawnByScope if incoming.limit.is_some() => incoming.withdraws = false,
            Fault::WithdrawnIfKnown if !incoming.roll => {
                let stored = self.stored().await?;
                incoming.operations.retain(|it| !it.is_withdrawal() || stored.contains(&named(it)));
            }
            Fault::RefusedSpared if incoming.roll => {
                let states = states(&self.memory).await?;
                let spared =
                    |it: &Operation| states.get(&named(it)).is_some_and(RecordState::is_unknown);
                incoming.operations.retain(|operation| !spared(operation));
            }
            Fault::WithdrawnInPart if incoming.roll => {
                let states = states(&self.memory).await?;
                for operation in &mut incoming.operations {
                    if states.get(&named(operation)).is_some_and(waits) {
                        operation.change = Change::Delete;
                        incoming.roll = false;
                    }
                }
            }
            Fault::WithdrawnDeleted if incoming.withdraws => {
                incoming.operations.iter_mut().for_each(delete);
            }
            Fault::UnheardIgnored => self.give_all(&incoming).await?,
            Fault::UnheardRolls if incoming.roll => self.give_all(&incoming).await?,
            Fault::LosesForgotten if self.reopened && incoming.limit.is_some() => {
                incoming.holds = Seq(u64::MAX);
            }
            Fault::LosesUndone if self.was_given_again(&incoming) => {
                incoming.holds = Seq(u64::MAX);
            }
            _ => {}
        }
        Ok(incoming)
    }

    /// Leaves out what would be refused: all of it, what was refused before, or what is new.
    async fn leave_refused_out(&self, incoming: &mut Incoming) -> Result<(), DatabaseError> {
        let mut refused: BTreeSet<_> = self.foreseen(incoming).await?.refused.into_iter().collect();
        let new = self.new_ones(&refused).await?;
        let mut given = self.file.given.lock().expect("no panic");
        match self.fault {
            Fault::NewUntold => refused = new,
            Fault::RefusedOnce => {
                let again = refused.intersection(&given.refused).cloned().collect();
                given.refused.extend(std::mem::replace(&mut refused, again));
            }
            _ => refused.retain(|record| !new.contains(record)),
        }
        incoming.operations.retain(|operation| !refused.contains(&named(operation)));
        Ok(())
    }

    /// Deletes a new record that is refused.
    async fn delete_new(&self, incoming: &mut Incoming) -> Result<(), DatabaseError> {
        let refused: BTreeSet<_> = self.foreseen(incoming).await?.refused.into_iter().collect();
        let new = self.new_ones(&refused).await?;
        for operation in &mut incoming.operations {
            if new.contains(&named(operation)) {
                operation.change = Change::Delete;
            }
        }
        Ok(())
    }

    /// Those that don't exist.
    async fn new_ones(
        &self,
        records: &BTreeSet<(Name, RecordKey)>,
    ) -> Result<BTreeSet<(Name, RecordKey)>, DatabaseError> {
        let mut new = BTreeSet::new();
        for (collection, key) in records {
            if self.memory.read(collection, key).await?.is_none() {
                new.insert((collection.clone(), key.clone()));
            }
        }
        Ok(new)
    }

    async fn stored(&self) -> Result<BTreeSet<(Name, RecordKey)>, DatabaseError> {
        let feed = self.memory.changes(Seq::ZERO, UNLIMITED).await?;
        Ok(feed.operations.iter().map(named).collect())
    }

    /// Takes the peer for one that was never given what is refused, nor anything else.
    async fn forget_given(&self, incoming: &Incoming) -> Result<(), DatabaseError> {
        let Some(limit) = &incoming.limit else { return Ok(()) };
        self.memory.unregister(limit.audience.node).await?;
        Ok(())
    }

    /// Takes the peer for one that was given all that it writes to.
    async fn give_all(&self, incoming: &Incoming) -> Result<(), DatabaseError> {
        let Some((audience, records)) = incoming.shared() else { return Ok(()) };
        self.memory.share(audience, records, None).await
    }

    /// Whether the last that was noted of what the peer writes to is that it is given it.
    fn was_given_again(&self, incoming: &Incoming) -> bool {
        let Some((audience, records)) = incoming.shared() else { return false };
        let given = self.file.given.lock().expect("no panic");
        let last = |(collection, key)| given.last.get(&(collection, key, audience.clone()));
        records.into_iter().any(|record| last(record) == Some(&None))
    }

    /// Merges one operation after the other, each judged by itself.
    pub(super) async fn judged_apart(&self, incoming: &Incoming) -> Result<Merged, DatabaseError> {
        let mut all = Merged::default();
        for operation in &incoming.operations {
            let one = Incoming { operations: vec![operation.clone()], ..incoming.clone() };
            let merged = self.merge_now(one).await?;
            all.committed = merged.committed.or(all.committed);
            all.conflicts.extend(merged.conflicts);
            all.refused.extend(merged.refused);
            all.withdrawn.extend(merged.withdrawn);
        }
        Ok(all)
    }

    /// What there is to tell of a merge that would be done as it came.
    pub(super) async fn untold(&self, incoming: &Incoming) -> Result<Merged, DatabaseError> {
        match self.fault {
            Fault::RefusedConflicts => self.foreseen(&unlimited(incoming.clone())).await,
            Fault::RefusedUnheard | Fault::NewUntold | Fault::NewDeleted => {
                self.foreseen(incoming).await
            }
            _ => Ok(Merged::default()),
        }
    }

    /// What is told of a merge instead of what it did.
    pub(super) fn retold(&self, merged: &mut Merged, known: Origin, untold: Merged) {
        match self.fault {
            Fault::RefusedUntold => merged.refused.clear(),
            Fault::RefusedUnheard | Fault::NewUntold | Fault::NewDeleted => {
                merged.refused = untold.refused;
            }
            Fault::RefusedConflicts if !merged.refused.is_empty() => {
                merged.conflicts = untold.conflicts;
            }
            Fault::RefusedKnown if !merged.refused.is_empty() => {
                merged.committed = merged.committed.take().map(|committed| {
                    let operations = committed.operations().to_vec();
                    Arc::new(Committed::new(committed.seq(), known, operations))
                });
            }
            Fault::WithdrawnUntold => merged.withdrawn.clear(),
            Fault::WithdrawnTwice => merged.withdrawn.extend(merged.withdrawn.clone()),
            _ => {}
        }
    }

    /// What a merge would do, to a copy.
    async fn foreseen(&self, incoming: &Incoming) -> Result<Merged, DatabaseError> {
        let copy = self.memory.snapshot().open(Incarnation(0), WallClock::system());
        copy.merge(incoming.clone()).await
    }

    pub(super) async fn shared_now(
        &self,
        audience: &Audience,
        records: &[(Name, RecordKey)],
    ) -> Result<Vec<Option<Seq>>, DatabaseError> {
        let mut shared = self.memory.shared(&self.asked(audience), records).await?;
        for (shared, (collection, key)) in shared.iter_mut().zip(records) {
            let name = (collection.clone(), key.clone(), audience.clone());
            let given = self.file.given.lock().expect("no panic").ever.contains(&name);
            match self.fault {
                Fault::SharesForgotten if self.reopened => *shared = None,
                Fault::SharesKept if given => *shared = Some(shared.unwrap_or_default()),
                Fault::MergesUnnoted if !given => *shared = None,
                Fault::SharesOfWhatExists if self.memory.read(collection, key).await?.is_none() => {
                    *shared = None;
                }
                _ => {}
            }
        }
        Ok(shared)
    }

    pub(super) async fn share_now(
        &self,
        audience: &Audience,
        records: Vec<(Name, RecordKey)>,
        withdrawn: Option<Seq>,
    ) -> Result<(), DatabaseError> {
        for (collection, key) in records.iter().cloned() {
            let mut given = self.file.given.lock().expect("no panic");
            given.ever.insert((collection.clone(), key.clone(), audience.clone()));
            given.last.insert((collection, key, audience.clone()), withdrawn);
        }
        let withdrawn = match self.fault {
            Fault::ShareIgnored => return Ok(()),
            Fault::LosesIgnored => None,
            _ => withdrawn,
        };
        self.memory.share(&self.asked(audience), records, withdrawn).await
    }

    /// The audience that is taken for another one.
    fn asked(&self, audience: &Audience) -> Audience {
        match self.fault {
            Fault::SharesByNode => Audience { principal: String::new(), ..audience.clone() },
            _ => audience.clone(),
        }
    }
}

/// The same, from a peer that may write anything.
fn unlimited(incoming: Incoming) -> Incoming {
    let limit = incoming.limit.as_ref().map(|limit| {
        let (scope, audience) = (Arc::new(Scope::new()), limit.audience.clone());
        Arc::new(Limit { scope, audience })
    });
    Incoming { limit, ..incoming }
}

/// Whether there are but fields of a record.
fn waits(state: &RecordState) -> bool {
    !state.is_unknown() && !state.is_tombstone() && !state.exists()
}

fn named(operation: &Operation) -> (Name, RecordKey) {
    (operation.collection.clone(), operation.key.clone())
}

/// Makes a delete of a withdrawal.
fn delete(operation: &mut Operation) {
    if operation.is_withdrawal() {
        let hlc = Hlc::from_millis(1 << 46);
        operation.version = Version { hlc, ..operation.version };
        operation.change = Change::Delete;
    }
}
