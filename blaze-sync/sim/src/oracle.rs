//! What the merge rule should make of operations, written a second time and differently.
//!
//! Nothing that once counted is ever dropped here: the latest insert, the latest delete
//! and each field are registers of their own for good, and what counts is worked out
//! when it is asked for. The product's `RecordState` is deliberately not used.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;

use blaze_codec::{Change, Hlc, Name, Operation, Record, RecordKey, Seq, Value, Version, binary};
use blaze_db_adapter::{ChangesLimit, DatabaseAdapter};

use crate::ready::ready;

/// A record's place.
pub(crate) type Place = (Name, RecordKey);

/// What a replica should know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Oracle {
    records: BTreeMap<Place, Facts>,
    /// The latest clock seen.
    pub(crate) clock: Hlc,
}

/// All that was ever heard of a record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// The latest insert, and its base.
    born: (Version, Version),
    /// The latest delete, and its base.
    dead: (Version, Version),
    fields: BTreeMap<Name, Fact>,
}

#[derive(Debug, Clone)]
struct Fact {
    version: Version,
    base: Version,
    value: Option<Value>,
}

impl Fact {
    fn order(&self, other: &Self) -> Ordering {
        let versions = self.version.cmp(&other.version);
        if versions != Ordering::Equal {
            return versions;
        }
        let bytes = |fact: &Self| {
            fact.value.as_ref().map(|value| {
                let mut bytes = Vec::new();
                binary::encode_value(value, &mut bytes);
                bytes
            })
        };
        (bytes(self), self.base).cmp(&(bytes(other), other.base))
    }
}

impl Facts {
    /// When its life last began or ended, whether it ended, and on what base.
    fn life(&self) -> (Version, bool, Version) {
        if self.born.0 > self.dead.0 {
            (self.born.0, false, self.born.1)
        } else {
            (self.dead.0, self.dead.0 != Version::ZERO, self.dead.1)
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.born.0 > self.dead.0
    }

    /// The greatest epoch that a reader can see.
    pub(crate) fn epoch(&self) -> Hlc {
        let fields = self.counted().map(|(_, fact)| fact.version.epoch);
        fields.fold(self.life().0.epoch, Hlc::max)
    }

    /// The fields that a reader can see, or could if the record lived.
    fn counted(&self) -> impl Iterator<Item = (&Name, &Fact)> {
        let since = self.life().0;
        self.fields.iter().filter(move |(_, fact)| fact.version >= since)
    }

    /// Whether a fact would change what counts.
    fn field_changes(&self, name: &Name, theirs: &Fact, since: Version) -> bool {
        theirs.version >= since
            && self.fields.get(name).is_none_or(|ours| theirs.order(ours) == Ordering::Greater)
    }

    fn changes(&self, operation: &Operation) -> bool {
        let life = self.life();
        let (version, base) = (operation.version, operation.base);
        let fact = |value: Option<&Value>| Fact { version, base, value: value.cloned() };
        match &operation.change {
            Change::Delete => (version, true, base) > life,
            Change::Insert(record) => {
                (version, false, base) > life
                    || record.iter().any(|(name, value)| {
                        version >= life.0 && self.field_changes(name, &fact(Some(value)), life.0)
                    })
            }
            Change::Update(fields) => fields.iter().any(|(name, value)| {
                version >= life.0 && self.field_changes(name, &fact(value.as_ref()), life.0)
            }),
        }
    }

    fn keep(&mut self, name: &Name, theirs: Fact) {
        match self.fields.entry(name.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(theirs);
            }
            Entry::Occupied(mut entry) => {
                if theirs.order(entry.get()) == Ordering::Greater {
                    entry.insert(theirs);
                }
            }
        }
    }

    fn take(&mut self, operation: &Operation) {
        let (version, base) = (operation.version, operation.base);
        let fact = |value: Option<&Value>| Fact { version, base, value: value.cloned() };
        match &operation.change {
            Change::Delete => self.dead = self.dead.max((version, base)),
            Change::Insert(record) => {
                self.born = self.born.max((version, base));
                record.iter().for_each(|(name, value)| self.keep(name, fact(Some(value))));
            }
            Change::Update(fields) => {
                for (name, value) in fields {
                    self.keep(name, fact(value.as_ref()));
                }
            }
        }
    }

    /// Whether merging this into another would change nothing there.
    fn within(&self, other: &Self) -> bool {
        let life = other.life();
        self.life() <= life
            && !self.counted().any(|(name, fact)| other.field_changes(name, fact, life.0))
    }
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

    /// Joins all that another holds.
    pub(crate) fn join_all(&mut self, other: &Self) {
        for (place, theirs) in &other.records {
            let ours = self.records.entry(place.clone()).or_default();
            ours.born = ours.born.max(theirs.born);
            ours.dead = ours.dead.max(theirs.dead);
            theirs.fields.iter().for_each(|(name, fact)| ours.keep(name, fact.clone()));
        }
    }

    /// What is held of the records that operations speak of.
    pub(crate) fn clone_places(&self, operations: &[Operation]) -> Self {
        let places = operations
            .iter()
            .map(|operation| (operation.collection.clone(), operation.key.clone()));
        let held =
            places.filter_map(|place| Some((place.clone(), self.records.get(&place)?.clone())));
        Self { records: held.collect(), clock: self.clock }
    }

    pub(crate) fn facts(&self, place: &Place) -> Option<&Facts> {
        self.records.get(place)
    }

    /// Whether joining the operation would change nothing.
    pub(crate) fn holds(&self, operation: &Operation) -> bool {
        let place = (operation.collection.clone(), operation.key.clone());
        self.records.get(&place).is_some_and(|facts| !facts.changes(operation))
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
        self.records.iter().map(|(place, facts)| {
            let versions = facts.counted().map(|(_, fact)| fact.version);
            (place, versions.fold(facts.life().0, Version::max))
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
