//! What counts of all that was ever heard of one record.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use blaze_codec::{Change, Hlc, Name, Operation, Scope, Seq, Value, Version, binary};

use super::Place;

/// All that was ever heard of a record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// The latest insert, and its base.
    pub(super) born: (Version, Version),
    /// The latest delete, and its base.
    pub(super) dead: (Version, Version),
    pub(super) fields: BTreeMap<Name, Fact>,
    /// Whether it was withdrawn when nothing else of its life was known.
    pub(super) withdrawn: bool,
    /// The replica's seq at which this last changed.
    pub(crate) changed: Seq,
}

#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) version: Version,
    pub(super) base: Version,
    pub(super) value: Option<Value>,
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
    pub(super) fn life(&self) -> (Version, bool, Version) {
        if self.born.0 > self.dead.0 {
            (self.born.0, false, self.born.1)
        } else {
            (self.dead.0, self.dead.0 != Version::ZERO, self.dead.1)
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.born.0 > self.dead.0
    }

    /// Whether all that counts is that it was deleted.
    pub(super) fn is_tombstone(&self) -> bool {
        !self.exists() && self.counted().next().is_none() && !self.is_unknown()
    }

    /// Whether nothing is known of it, though it may have been before it was withdrawn.
    pub(crate) fn is_unknown(&self) -> bool {
        self.life().0 == Version::ZERO && self.counted().next().is_none()
    }

    /// Whether it was withdrawn, and has neither been inserted nor deleted since.
    pub(super) fn is_withdrawn(&self) -> bool {
        self.withdrawn && self.life().0 == Version::ZERO
    }

    /// Whether it exists within a scope.
    pub(crate) fn meets(&self, scope: &Scope, (collection, _): &Place) -> bool {
        let value = |field: &str| {
            let fact = self.counted().find(|(name, _)| **name == *field)?.1;
            fact.value.as_ref()
        };
        self.exists() && scope.rule(collection).is_some_and(|rule| rule.meets(value))
    }

    /// The same with these fields only.
    pub(crate) fn part(&self, shows: impl Fn(&str) -> bool) -> Self {
        let mut part = self.clone();
        part.fields.retain(|name, _| shows(name));
        part
    }

    /// The greatest epoch that a reader can see.
    pub(super) fn epoch(&self) -> Hlc {
        let fields = self.counted().map(|(_, fact)| fact.version.epoch);
        fields.fold(self.life().0.epoch, Hlc::max)
    }

    /// The fields that a reader can see, or could if the record lived.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&Name, &Fact)> {
        self.fields.iter().filter(|(_, fact)| self.counts(fact.version))
    }

    /// Whether a field's write is of the latest life: later than it, or of the insert that
    /// began it.
    fn counts(&self, version: Version) -> bool {
        let (since, ended, _) = self.life();
        version > since || (version == since && !ended)
    }

    /// Whether a field of an update would count, and was never written then or later.
    pub(super) fn lacks_fields(&self, update: &Operation) -> bool {
        let Change::Update(fields) = &update.change else { return false };
        let version = update.version;
        let written =
            |name| self.fields.get(name).is_some_and(|fact: &Fact| fact.version >= version);
        self.counts(version) && !fields.iter().all(|(name, _)| written(name))
    }

    /// Whether a fact would change what counts.
    fn field_changes(&self, name: &Name, theirs: &Fact) -> bool {
        self.counts(theirs.version)
            && self.fields.get(name).is_none_or(|ours| theirs.order(ours) == Ordering::Greater)
    }

    /// The greatest version that counts.
    pub(crate) fn version(&self) -> Version {
        self.counted().fold(self.life().0, |latest, (_, fact)| latest.max(fact.version))
    }

    /// Operations that say all that counts: its life, and then the other fields, those
    /// that were written together in one.
    pub(super) fn operations(&self, (collection, key): &Place) -> Vec<Operation> {
        if self.is_unknown() {
            return vec![Operation::withdrawal(collection.clone(), key.clone())];
        }
        let (since, ended, life_base) = self.life();
        let operation = |version, base, change| {
            let (collection, key) = (collection.clone(), key.clone());
            Operation { collection, key, version, base, change }
        };
        let mut born = Vec::new();
        let mut later: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, fact) in self.counted() {
            let written = (fact.version, fact.base);
            match fact.value.clone() {
                Some(value) if self.exists() && written == (since, life_base) => {
                    born.push((name.clone(), value));
                }
                value => later.entry(written).or_default().push((name.clone(), value)),
            }
        }
        let life = match (self.exists(), ended) {
            (true, _) => Some(Change::Insert(born.into_iter().collect())),
            (false, true) => Some(Change::Delete),
            (false, false) => None,
        };
        let life = life.map(|change| operation(since, life_base, change));
        let later = later
            .into_iter()
            .map(|((version, base), fields)| operation(version, base, Change::Update(fields)));
        life.into_iter().chain(later).collect()
    }

    pub(super) fn changes(&self, operation: &Operation) -> bool {
        let life = self.life();
        let (version, base) = (operation.version, operation.base);
        let fact = |value: Option<&Value>| Fact { version, base, value: value.cloned() };
        match &operation.change {
            Change::Delete => (version, true, base) > life,
            Change::Insert(record) => {
                (version, false, base) > life
                    || record
                        .iter()
                        .any(|(name, value)| self.field_changes(name, &fact(Some(value))))
            }
            Change::Update(fields) => {
                fields.iter().any(|(name, value)| self.field_changes(name, &fact(value.as_ref())))
            }
        }
    }

    pub(super) fn keep(&mut self, name: &Name, theirs: Fact) {
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

    pub(super) fn take(&mut self, operation: &Operation) {
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

    /// Whether all that an operation wrote is what counts.
    pub(super) fn stands(&self, operation: &Operation) -> bool {
        let (since, ended, _) = self.life();
        let written =
            |name| self.counted().any(|(it, fact)| it == name && fact.version == operation.version);
        match &operation.change {
            Change::Insert(_) => !ended && since == operation.version,
            Change::Delete => ended && since == operation.version,
            Change::Update(fields) => fields.iter().all(|(name, _)| written(name)),
        }
    }

    /// Whether merging this into another would change nothing there.
    pub(crate) fn within(&self, other: &Self) -> bool {
        self.life() <= other.life()
            && !self.counted().any(|(name, fact)| other.field_changes(name, fact))
    }
}
