//! What the merge rule should make of operations, written a second time and differently.
//!
//! Nothing that once counted is ever dropped here: the latest insert, the latest delete
//! and each field are registers of their own for good, and what counts is worked out
//! when it is asked for. The product's `RecordState` is deliberately not used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use blaze_codec::{Hlc, Name, NodeId, Operation, Record, RecordKey, Scope, Seq, Version};
use blaze_db_adapter::{ChangesLimit, DatabaseAdapter};

use crate::ready::ready;

mod facts;
mod merge;

pub(crate) use facts::Facts;
pub(crate) use merge::Expected;

/// What a withdrawal's version is.
const WITHDRAWN: Version =
    Version { epoch: Hlc::ZERO, hlc: Hlc::from_bits(1), node: NodeId::from_bytes([0; 16]) };
/// What of a value is told to people.
const VALUE_CHARS_MAX: usize = 40;

/// A record's place.
pub(crate) type Place = (Name, RecordKey);

/// The place of the record that an operation is of.
pub(crate) fn place_of(operation: &Operation) -> Place {
    (operation.collection.clone(), operation.key.clone())
}

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
        let place = place_of(operation);
        let facts = self.records.entry(place).or_default();
        let changes = facts.changes(operation);
        if changes {
            facts.take(operation);
        }
        changes
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
        let place = place_of(operation);
        self.grave(&place).is_some_and(|grave| operation.version <= grave.last)
    }

    /// The same, or of a record that was withdrawn.
    pub(crate) fn is_gone(&self, operation: &Operation) -> bool {
        let place = place_of(operation);
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
        let place = place_of(operation);
        if let Some(facts) = self.records.get_mut(&place) {
            facts.changed = seq;
        }
    }

    /// What is held of the records that operations speak of.
    pub(crate) fn clone_places(&self, operations: &[Operation]) -> Self {
        let places = operations.iter().map(place_of);
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
        let place = place_of(operation);
        let held = self.records.get(&place).is_some_and(|facts| !facts.changes(operation));
        // What is withdrawn is known elsewhere, and not everybody takes it for gone.
        let withdrawn = operation.is_withdrawal() || self.withdrawn.contains(&place);
        held || self.is_buried(operation) || withdrawn
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

    /// The greatest version of each record that counts, or that which withdraws it.
    pub(crate) fn latest(&self) -> impl Iterator<Item = (&Place, Version)> {
        self.records.iter().map(|(place, facts)| {
            let withdrawn = facts.is_unknown() && facts.changed > Seq::ZERO;
            (place, if withdrawn { WITHDRAWN } else { facts.version() })
        })
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
            let value = format!("{:?}", fact.value);
            let value = value.chars().take(VALUE_CHARS_MAX).collect::<String>();
            let _ = write!(text, ", {name}={value} {}", version(&fact.version));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use blaze_codec::{Change, record};

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
