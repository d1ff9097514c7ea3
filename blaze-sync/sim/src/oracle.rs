//! What the merge rule should make of operations, written a second time and differently.
//!
//! Nothing that once counted is ever dropped here: the latest insert, the latest delete
//! and each field are registers of their own for good, and what counts is worked out
//! when it is asked for. The product's `RecordState` is deliberately not used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use blaze_codec::{Change, Hlc, Name, Operation, Record, RecordKey, Scope, Seq, Version};
use blaze_db_adapter::{ChangesLimit, DatabaseAdapter};
use blaze_sync_protocol::Batch;

use crate::policy::Limit;
use crate::ready::ready;

mod facts;

pub(crate) use facts::Facts;

/// A record's place.
pub(crate) type Place = (Name, RecordKey);

/// The tombstones that were removed.
pub(crate) type Graves = BTreeMap<Place, Grave>;

/// What was known of a deleted record.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Grave {
    /// When its life ended.
    pub(crate) ended: Version,
    /// The greatest version, of fields that waited for an insert, too.
    pub(crate) last: Version,
}

impl Grave {
    /// Joins another of the same record.
    pub(crate) fn join(&mut self, other: Self) {
        self.ended = self.ended.max(other.ended);
        self.last = self.last.max(other.last);
    }
}

/// What a replica should know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Oracle {
    records: BTreeMap<Place, Facts>,
    /// What it knew and removed.
    graves: Graves,
    /// The seq up to which tombstones are gone.
    pub(crate) purged: Seq,
    /// The greatest epoch of those.
    forgotten: Hlc,
    /// The latest clock seen.
    pub(crate) clock: Hlc,
    /// The records that were ever withdrawn.
    pub(crate) withdrawn: BTreeSet<Place>,
}

/// What a merge should make.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// The operations of its commit.
    pub(crate) operations: Vec<Operation>,
    /// Records that are told again, as a delete that their sender forgot.
    pub(crate) told_again: u64,
    /// Those of a roll that were deleted and forgotten, and a version of each that was.
    pub(crate) buried: Vec<(Place, Version)>,
    /// Those that exist again though a tombstone above them was removed here.
    pub(crate) revived: Vec<Place>,
    /// Those that the peer may not write so.
    pub(crate) refused: BTreeSet<Place>,
    /// Those that existed and were withdrawn.
    pub(crate) withdrawn: Vec<Place>,
}

impl Oracle {
    /// What a database says that it holds.
    pub(crate) fn of(database: &dyn DatabaseAdapter) -> Option<Self> {
        let limit = ChangesLimit { records: usize::MAX, bytes: usize::MAX };
        let changes = ready(database.changes(Seq::ZERO, limit))?.ok()?;
        let mut oracle = Self::default();
        changes.operations.iter().for_each(|operation| {
            oracle.join(operation);
        });
        Some(oracle)
    }

    /// Joins an operation in; returns whether what counts changed.
    pub(crate) fn join(&mut self, operation: &Operation) -> bool {
        self.clock = self.clock.max(operation.version.hlc).max(operation.version.epoch);
        let place = (operation.collection.clone(), operation.key.clone());
        let facts = self.records.entry(place).or_default();
        let changes = facts.changes(operation);
        if changes {
            facts.take(operation);
        }
        changes
    }

    /// Joins a batch in; returns what the commit should be.
    pub(crate) fn merge(&mut self, batch: &Batch, limit: &Limit) -> Expected {
        let mut expected = Expected::default();
        // What the commit has, and of which records it has all, where the first is.
        let mut came: Vec<(Place, &Operation)> = Vec::new();
        let (mut changed, mut whole) = (BTreeSet::new(), BTreeSet::new());
        let (mut before, mut original) = (BTreeMap::new(), BTreeMap::new());
        for operation in &batch.operations {
            let place = (operation.collection.clone(), operation.key.clone());
            let facts = self.records.get(&place).cloned().unwrap_or_default();
            let is_withdrawn = facts.changed > Seq::ZERO && facts.is_unknown();
            if batch.roll && is_withdrawn && !changed.contains(&place) {
                continue;
            }
            if operation.is_withdrawal() && !batch.roll {
                self.clock = self.clock.max(operation.version.hlc);
                let scope = limit.scope.as_ref().filter(|_| limit.judges(&place.0));
                let hidden = facts.exists() && scope.is_some_and(|it| !facts.meets(it, &place));
                if limit.withdraws && !hidden && !facts.is_unknown() {
                    original.entry(place.clone()).or_insert_with(|| facts.clone());
                    if facts.exists() {
                        expected.withdrawn.push(place.clone());
                    }
                    let nothing = Facts { changed: facts.changed, ..Facts::default() };
                    self.records.insert(place.clone(), nothing);
                    self.withdrawn.insert(place.clone());
                    came.push((place.clone(), operation));
                    changed.insert(place);
                }
                continue;
            }
            if limit.judges(&place.0) {
                before.entry(place.clone()).or_insert_with(|| facts.clone());
            }
            let stored = Some(facts.changed).filter(|seq| *seq > Seq::ZERO);
            let acknowledged = stored.is_some_and(|seq| seq <= batch.holds);
            let acknowledged = acknowledged && !changed.contains(&place);
            // A field that was written after the delete is sent without it.
            let acknowledged = acknowledged || (!facts.is_tombstone() && batch.holds > Seq::ZERO);
            // Who doesn't see all may have been told nothing of it.
            let acknowledged = acknowledged || limit.scope.is_some();
            if batch.roll {
                self.clock = self.clock.max(operation.version.hlc).max(operation.version.epoch);
                // All that is named was merged before: who knows less now has forgotten it.
                let of_life = Some(operation.base).filter(|base| *base > Version::ZERO);
                let of_life = of_life.unwrap_or(operation.version);
                let life_lacks = facts.life().0 < of_life;
                if life_lacks || facts.lacks_fields(operation) {
                    let lacking = if life_lacks { of_life } else { operation.version };
                    let version = operation.version.max(facts.version());
                    let buried = (version, version);
                    self.records.entry(place.clone()).or_default().dead = buried;
                    came.push((place.clone(), operation));
                    whole.insert(place.clone());
                    expected.buried.push((place, lacking));
                }
                continue;
            }
            if self.join(operation) {
                let now = &self.records[&place];
                came.push((place.clone(), operation));
                let begins = now.exists() && now.life().0 > facts.life().0;
                // Those that it lacks were written later, or by a copy at its version.
                let mut alone = Facts::default();
                alone.take(operation);
                if begins && !now.within(&alone) {
                    whole.insert(place.clone());
                }
                let born = !facts.exists() && now.exists();
                if born && self.graves.get(&place).is_some_and(|grave| now.life().0 < grave.ended) {
                    expected.revived.push(place.clone());
                }
                changed.insert(place);
            } else if acknowledged
                && !facts.exists()
                && operation.version <= facts.life().0
                && operation.change != Change::Delete
            {
                came.push((place.clone(), operation));
                whole.insert(place.clone());
                expected.told_again += 1;
                changed.insert(place);
            }
        }
        let came_of = came.iter().map(|(place, _)| place.clone()).collect::<BTreeSet<_>>();
        before.retain(|place, before| came_of.contains(place) || (before.exists() && !batch.roll));
        self.refuse(before, limit, &mut expected);
        // What is refused is as it was, whatever came before in the same batch.
        original.retain(|place, _| expected.refused.contains(place));
        self.records.extend(original);
        came.retain(|(place, _)| !expected.refused.contains(place));
        let mut told = BTreeSet::new();
        for (place, operation) in came {
            if !whole.contains(&place) {
                expected.operations.push(operation.clone());
            } else if told.insert(place.clone()) {
                expected.operations.extend(self.records[&place].operations(&place));
            }
        }
        expected
    }

    /// Takes back what became of records that a peer may not change so, which were this before:
    /// it may neither see them nor make them.
    fn refuse(&mut self, before: BTreeMap<Place, Facts>, limit: &Limit, expected: &mut Expected) {
        for (place, before) in before {
            let now = &self.records[&place];
            let judged = if before.exists() { &before } else { now };
            if judged.exists() && !limit.scope.as_ref().is_some_and(|it| judged.meets(it, &place)) {
                self.records.insert(place.clone(), before);
                expected.refused.insert(place);
            }
        }
        expected.buried.retain(|(place, _)| !expected.refused.contains(place));
        expected.revived.retain(|place| !expected.refused.contains(place));
    }

    /// The records that exist and are within a scope.
    pub(crate) fn met_by(&self, scope: &Scope) -> Vec<Place> {
        let met = self.records.iter().filter(|(place, facts)| facts.meets(scope, place));
        met.map(|(place, _)| place.clone()).collect()
    }

    /// The records of which something is known.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.records.keys()
    }

    /// The same without these records.
    pub(crate) fn without(&mut self, places: &BTreeSet<Place>) {
        self.records.retain(|place, _| !places.contains(place));
    }

    /// Removes the tombstones that last changed up to a seq; returns them.
    pub(crate) fn purge(&mut self, through: Seq) -> Vec<(Place, Grave, Seq)> {
        let (mut removed, mut last) = (Vec::new(), self.purged);
        self.records.retain(|place, facts| {
            // What was only ever joined to see what becomes of it was never stored.
            let gone = facts.is_tombstone() && facts.changed <= through;
            if gone && facts.changed > Seq::ZERO {
                self.forgotten = self.forgotten.max(facts.epoch());
                let grave = Grave { ended: facts.life().0, last: facts.version() };
                removed.push((place.clone(), grave, facts.changed));
                last = last.max(facts.changed);
            }
            !gone
        });
        self.purged = last;
        for (place, grave, _) in &removed {
            self.graves.entry(place.clone()).or_default().join(*grave);
        }
        removed
    }

    /// What was removed here of a record.
    pub(crate) fn grave(&self, place: &Place) -> Option<Grave> {
        self.graves.get(place).copied()
    }

    /// Whether an operation lies at or below a tombstone that was removed here.
    pub(crate) fn is_buried(&self, operation: &Operation) -> bool {
        let place = (operation.collection.clone(), operation.key.clone());
        self.grave(&place).is_some_and(|grave| operation.version <= grave.last)
    }

    /// The same, or of a record that was withdrawn.
    pub(crate) fn is_gone(&self, operation: &Operation) -> bool {
        let place = (operation.collection.clone(), operation.key.clone());
        self.is_buried(operation) || self.withdrawn.contains(&place)
    }

    /// A record of which nothing is known but that it was deleted.
    pub(crate) fn any_tombstone(&self) -> Option<&Place> {
        self.records.iter().find(|(_, facts)| facts.is_tombstone()).map(|(place, _)| place)
    }

    /// Forgets what was deleted of records that came back; or of any, where whoever went
    /// back or came late may not know it.
    pub(crate) fn forget(&mut self, came_back: &BTreeSet<Place>, removed: &Graves, any: bool) {
        let was_removed = |place: &Place, facts: &Facts| {
            let (since, last) = (facts.life().0, facts.version());
            removed.get(place).is_some_and(|grave| since <= grave.ended || last <= grave.last)
        };
        self.records.retain(|place, facts| {
            let gone = was_removed(place, facts);
            !(any && gone) && !(came_back.contains(place) && (gone || !facts.exists()))
        });
        if !any {
            return;
        }
        // Of the others, fields that waited for an insert when the tombstone went, and that
        // a life which came between the two would show.
        for (place, grave) in removed {
            let Some(facts) = self.records.get_mut(place) else { continue };
            let since = facts.life().0;
            facts.fields.retain(|_, fact| fact.version <= since || fact.version > grave.last);
        }
    }

    /// Forgets the records whose life a tombstone ended that was removed, as whoever may
    /// only receive them does.
    pub(crate) fn forget_ended(&mut self, removed: &Graves) {
        self.records.retain(|place, facts| {
            removed.get(place).is_none_or(|grave| facts.life().0 > grave.ended)
        });
    }

    pub(crate) fn exists(&self, place: &Place) -> bool {
        self.records.get(place).is_some_and(Facts::exists)
    }

    /// The first record that another doesn't hold as it is here. One that is deleted in
    /// both is the same, whatever is still known of it; and it may have been deleted there
    /// by what was removed since.
    pub(crate) fn differs_in(&self, other: &Self, removed: &Graves) -> Option<&Place> {
        let mut differing = self.records.iter().filter(|(place, facts)| {
            let is_gone = !other.exists(place)
                && (!facts.exists()
                    || removed.get(*place).is_some_and(|grave| facts.version() <= grave.last));
            !is_gone && !self.record_within(place, other)
        });
        differing.next().map(|(place, _)| place)
    }

    /// Joins all that another holds.
    pub(crate) fn join_all(&mut self, other: &Self) {
        for (place, theirs) in &other.records {
            let ours = self.records.entry(place.clone()).or_default();
            ours.born = ours.born.max(theirs.born);
            ours.dead = ours.dead.max(theirs.dead);
            theirs.fields.iter().for_each(|(name, fact)| ours.keep(name, fact.clone()));
        }
    }

    /// Notes at which seq a record changed.
    pub(crate) fn changed(&mut self, operation: &Operation, seq: Seq) {
        let place = (operation.collection.clone(), operation.key.clone());
        if let Some(facts) = self.records.get_mut(&place) {
            facts.changed = seq;
        }
    }

    /// What is held of the records that operations speak of.
    pub(crate) fn clone_places(&self, operations: &[Operation]) -> Self {
        let places = operations
            .iter()
            .map(|operation| (operation.collection.clone(), operation.key.clone()));
        let held =
            places.filter_map(|place| Some((place.clone(), self.records.get(&place)?.clone())));
        let forgotten = self.forgotten;
        Self { records: held.collect(), clock: self.clock, forgotten, ..Self::default() }
    }

    /// The epoch that a client's write to a record takes.
    pub(crate) fn epoch(&self, place: &Place) -> Hlc {
        let Some(facts) = self.records.get(place) else { return self.forgotten };
        let forgotten = Some(self.forgotten).filter(|_| !facts.exists());
        facts.epoch().max(forgotten.unwrap_or_default())
    }

    pub(crate) fn facts(&self, place: &Place) -> Option<&Facts> {
        self.records.get(place)
    }

    /// Whether joining the operation would change nothing, or would have before a
    /// tombstone was removed.
    pub(crate) fn holds(&self, operation: &Operation) -> bool {
        let place = (operation.collection.clone(), operation.key.clone());
        let held = self.records.get(&place).is_some_and(|facts| !facts.changes(operation));
        // What is withdrawn is known elsewhere.
        held || self.is_buried(operation) || self.withdrawn.contains(&place)
    }

    /// Whether another holds all that is held here of a record.
    pub(crate) fn record_within(&self, place: &Place, other: &Self) -> bool {
        let nothing = Facts::default();
        let ours = self.records.get(place).unwrap_or(&nothing);
        ours.within(other.records.get(place).unwrap_or(&nothing))
    }

    /// The first record of which another doesn't hold all that is held here.
    pub(crate) fn missing_in(&self, other: &Self) -> Option<&Place> {
        self.records.keys().find(|place| !self.record_within(place, other))
    }

    /// What a reader should see of a collection.
    pub(crate) fn visible(&self, collection: &Name) -> Vec<(RecordKey, Record)> {
        let existing =
            self.records.iter().filter(|((name, _), facts)| name == collection && facts.exists());
        let seen = existing.map(|((_, key), facts)| {
            let fields = facts.counted();
            let fields =
                fields.filter_map(|(name, fact)| Some((name.clone(), fact.value.clone()?)));
            (key.clone(), fields.collect())
        });
        seen.collect()
    }

    /// The greatest version of each record that counts.
    pub(crate) fn latest(&self) -> impl Iterator<Item = (&Place, Version)> {
        self.records.iter().map(|(place, facts)| (place, facts.version()))
    }

    /// What is held of a record, for people.
    pub(crate) fn describe(&self, place: &Place) -> String {
        let Some(facts) = self.records.get(place) else { return "nothing".to_owned() };
        let version = |version: &Version| {
            format!("{}/{}/{:02x}", version.epoch, version.hlc, version.node.as_bytes()[0])
        };
        let (since, ended, _) = facts.life();
        let mut text = format!("{} {}", if ended { "dead" } else { "born" }, version(&since));
        for (name, fact) in facts.counted() {
            // Writing to a string doesn't fail.
            let _ = write!(text, ", {name}={:?} {}", fact.value, version(&fact.version));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use blaze_codec::{NodeId, record};

    use super::*;

    fn operation(hlc: u64, change: Change) -> Operation {
        let node = NodeId::from_bytes([1; 16]);
        let version = Version { epoch: Hlc::ZERO, hlc: Hlc::from_bits(hlc), node };
        let (collection, key) = (Name::new("notes").unwrap(), RecordKey::Int(1));
        Operation { collection, key, version, base: Version::ZERO, change }
    }

    #[test]
    fn an_insert_hides_an_older_life_and_a_delete_ends_it() {
        let insert = |hlc, value: i64| operation(hlc, Change::Insert(record! { "a" => value }));
        let (first, delete) = (insert(1, 1), operation(2, Change::Delete));
        let update = operation(3, Change::Update(vec![(Name::new("a").unwrap(), None)]));
        let again = insert(4, 2);
        let orders: [[usize; 4]; 3] = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]];
        for order in orders {
            let all = [&first, &delete, &update, &again];
            let mut oracle = Oracle::default();
            for index in order {
                oracle.join(all[index]);
            }
            let place = (first.collection.clone(), first.key.clone());
            assert!(oracle.facts(&place).unwrap().exists());
            assert!(!all.iter().any(|operation| oracle.join(operation)), "{order:?}");
            assert_eq!(oracle.facts(&place).unwrap().counted().count(), 1);
        }
    }
}
