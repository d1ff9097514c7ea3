//! The merge rule: a pure join of an operation into a record's state.
//!
//! A record is a set of last-writer-wins registers: its *life* (the greater of
//! its latest insert and its latest delete) and one register a field. Each keeps
//! the greater [`Version`], so the result is the same in whatever order, and
//! however often, operations come.
//!
//! - A record exists if its latest insert is above its latest delete.
//! - A field counts only from its record's latest insert on: an insert starts a
//!   new life, and nothing of an older one shines through.
//! - A register below the life's version can never be seen again and is dropped. So is
//!   one at the version of a delete, which wins at equal versions.
//! - Registers of equal versions (two files that share a node id) are joined by
//!   the greater bytes, so that the rule is a join even then.
//!
//! A write that its winner's author didn't know of is a **true conflict**: it is
//! another author's, and its version lies above the winner's base, the greatest
//! version of another author that the winner's had seen there. Each such loser is
//! reported. (One version stands for all that lie below it: a write that the
//! winner's author hadn't seen, below one of a third author that it had, is taken
//! for seen. So is, by a delete or an insert, which have one base for all fields,
//! an unseen write to one field below a seen one to another.)

use std::cmp::Ordering;
use std::collections::BTreeMap;

use blaze_codec::{Change, Name, NodeId, Operation, Record, RecordKey, Value, Version, binary};

#[cfg(feature = "canary")]
use crate::canary::{self, Canary};
use crate::size;

/// Fields that one operation of a roll names at most, so that it fits into a frame.
const NAMED_FIELDS_MAX: usize = 1024;

/// A field's last write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// When and by whom.
    pub version: Version,
    /// What the writer had seen.
    pub base: Version,
    /// The value; `None` if the field was removed.
    pub value: Option<Value>,
}

/// Whether a record's life began or ended last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Life {
    /// The greater version of its latest insert and its latest delete;
    /// [`Version::ZERO`] if only updates were seen.
    pub version: Version,
    /// What the writer had seen.
    pub base: Version,
    /// Whether that was an insert.
    pub alive: bool,
}

/// Everything that a replica knows of a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordState {
    /// Whether it lives, since when.
    pub life: Life,
    /// The fields' last writes, none that the life hides.
    pub fields: BTreeMap<Name, Register>,
}

/// A value and who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// When and by whom.
    pub version: Version,
    /// What was written; `None` if the field or the record was removed.
    pub value: Option<Value>,
}

/// Two writes to one field of which neither author knew the other's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The record's collection.
    pub collection: Name,
    /// The record.
    pub key: RecordKey,
    /// The field.
    pub field: Name,
    /// What stands.
    pub winner: Written,
    /// What was lost.
    pub loser: Written,
}

impl Register {
    fn knew(&self, other: Version) -> bool {
        knew(self.version, self.base, other)
    }

    fn base_for(&self, node: NodeId) -> Version {
        base_for(self.version, self.base, node)
    }
}

impl Life {
    /// Whether a field's write can never be seen again: it lies below this life, or at
    /// its end.
    pub(crate) fn hides(&self, version: Version) -> bool {
        version < self.version || (version == self.version && !self.alive)
    }

    fn knew(&self, other: Version) -> bool {
        knew(self.version, self.base, other)
    }

    fn base_for(&self, node: NodeId) -> Version {
        base_for(self.version, self.base, node)
    }
}

/// Whether the author of a write knew of another one. An author knows its own.
fn knew(version: Version, base: Version, other: Version) -> bool {
    other <= base || (other.node == version.node && other < version)
}

/// The base of a write by `node` on top of another. Who goes on from a write of
/// its own has seen no more of the others than that write had: with its version
/// as the base, all that others wrote meanwhile would be taken for seen.
fn base_for(version: Version, base: Version, node: NodeId) -> Version {
    if version.node == node { base } else { version }
}

impl RecordState {
    /// Whether the record exists.
    pub const fn exists(&self) -> bool {
        self.life.alive
    }

    /// Whether all that is known of the record is that it was deleted. A field that was
    /// written later isn't seen, but may be again: an insert between the two may come.
    pub fn is_tombstone(&self) -> bool {
        !self.exists() && self.fields.is_empty()
    }

    /// The record, if it exists.
    pub fn record(&self) -> Option<Record> {
        self.exists()
            .then(|| self.visible().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// The fields that a reader sees, if the record exists.
    pub fn visible(&self) -> impl Iterator<Item = (&Name, &Value)> {
        let fields = self.exists().then_some(&self.fields).into_iter().flatten();
        fields.filter_map(|(name, register)| Some((name, register.value.as_ref()?)))
    }

    /// The greatest version in the record: what a writer who reads it has seen.
    pub fn version(&self) -> Version {
        let fields = self.fields.values().map(|register| register.version);
        fields.fold(self.life.version, Version::max)
    }

    /// What a write of `node` to the whole record is based on.
    pub(crate) fn base(&self, node: NodeId) -> Version {
        let fields = self.fields.values().map(|register| register.base_for(node));
        fields.fold(self.life.base_for(node), Version::max)
    }

    /// What a write of `node` to one field is based on.
    pub(crate) fn field_base(&self, field: &Name, node: NodeId) -> Version {
        let register = self.fields.get(field);
        register.map_or_else(|| self.life.base_for(node), |register| register.base_for(node))
    }

    /// Joins an operation in. Returns whether the state changed, and adds the
    /// losers of true conflicts to `conflicts`.
    pub fn merge(&mut self, operation: &Operation, conflicts: &mut Vec<Conflict>) -> bool {
        let report = &mut Report { operation, conflicts };
        match &operation.change {
            Change::Insert(record) => {
                let mut changed = self.join_life(operation, true, report);
                // Fields of an insert that isn't the latest life are below it, and dropped.
                for (name, value) in record {
                    changed |= self.join_field(operation, name, Some(value), report);
                }
                changed
            }
            Change::Update(fields) => fields.iter().fold(false, |changed, (name, value)| {
                self.join_field(operation, name, value.as_ref(), report) | changed
            }),
            Change::Delete => self.join_life(operation, false, report),
        }
    }

    /// The operations that make this state when they are merged into nothing:
    /// the record's part of the feed.
    pub fn operations(&self, collection: &Name, key: &RecordKey) -> Vec<Operation> {
        let operation = |version, base, change| Operation {
            collection: collection.clone(),
            key: key.clone(),
            version,
            base,
            change,
        };
        let Life { version, base, alive } = self.life;
        let mut inserted = Record::new();
        let mut updates: BTreeMap<_, Vec<(Name, Option<Value>)>> = BTreeMap::new();
        for (name, register) in &self.fields {
            match &register.value {
                Some(value) if alive && (register.version, register.base) == (version, base) => {
                    inserted.insert(name.clone(), value.clone());
                }
                value => updates
                    .entry((register.version, register.base))
                    .or_default()
                    .push((name.clone(), value.clone())),
            }
        }
        let life = match (alive, version) {
            (true, _) => Some(operation(version, base, Change::Insert(inserted))),
            (false, Version::ZERO) => None,
            (false, _) => Some(operation(version, base, Change::Delete)),
        };
        let updates = updates
            .into_iter()
            .map(|((version, base), fields)| operation(version, base, Change::Update(fields)));
        let mut operations = Vec::with_capacity(1);
        life.into_iter().chain(updates).for_each(|whole| split(whole, &mut operations));
        operations
    }

    /// Names the record in a roll, if it exists: updates without values, one a version,
    /// of the fields that were written since its life began, and based on that; if there
    /// is none, one of no field at its life's version.
    pub fn named(&self, collection: &Name, key: &RecordKey) -> Vec<Operation> {
        if !self.exists() {
            return Vec::new();
        }
        let life = self.life.version;
        let operation = |version, base, fields| Operation {
            collection: collection.clone(),
            key: key.clone(),
            version,
            base,
            change: Change::Update(fields),
        };
        let mut later: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, register) in self.fields.iter().filter(|(_, field)| field.version > life) {
            later.entry(register.version).or_default().push((name.clone(), None));
        }
        if later.is_empty() {
            return vec![operation(life, Version::ZERO, Vec::new())];
        }
        let parts = later.into_iter().flat_map(|(version, fields)| {
            let parts: Vec<_> = fields.chunks(NAMED_FIELDS_MAX).map(<[_]>::to_vec).collect();
            parts.into_iter().map(move |fields| (version, fields))
        });
        parts.map(|(version, fields)| operation(version, life, fields)).collect()
    }

    fn join_life(&mut self, operation: &Operation, alive: bool, report: &mut Report) -> bool {
        let theirs = Life { version: operation.version, base: operation.base, alive };
        // At equal versions a delete wins: a record exists only if born *above* dead.
        let rank = |life: &Life| (life.version, !life.alive, life.base);
        #[cfg(feature = "canary")]
        if canary::is(Canary::DeleteWins)
            && theirs != self.life
            && (!alive || (!self.life.alive && self.life.version != Version::ZERO))
        {
            let changed = self.life.alive && !alive;
            self.life = if alive { self.life } else { theirs };
            return changed;
        }
        if rank(&theirs) <= rank(&self.life) {
            #[cfg(feature = "canary")]
            if canary::is(Canary::RedeliveredCounts) && theirs == self.life {
                return true;
            }
            return false;
        }
        // What a reader saw and the new life hides is lost, unless its author knew it.
        for (name, register) in self.fields.iter().filter(|(_, register)| self.counts(register)) {
            let hidden = !alive || register.version < theirs.version;
            // A write that knew of this delete is of a later life: it isn't lost.
            let known = theirs.knew(register.version) || register.knew(theirs.version);
            if let (true, false, Some(_)) = (hidden, known, &register.value) {
                let inserted = match &operation.change {
                    Change::Insert(record) => record.get(name).cloned(),
                    _ => None,
                };
                report.add(name, (theirs.version, inserted), register.clone());
            }
        }
        self.life = theirs;
        #[cfg(feature = "canary")]
        if alive && canary::is(Canary::OldLifeShines) {
            return true;
        }
        self.fields.retain(|_, register| !theirs.hides(register.version));
        true
    }

    fn join_field(
        &mut self,
        operation: &Operation,
        name: &Name,
        value: Option<&Value>,
        report: &mut Report,
    ) -> bool {
        let theirs =
            Register { version: operation.version, base: operation.base, value: value.cloned() };
        let late = self.life.hides(theirs.version);
        #[cfg(feature = "canary")]
        let late = late && !canary::is(Canary::LateFieldKept);
        if late {
            self.report_hidden(name, theirs, report);
            return false;
        }
        let order = self.fields.get(name).map_or(Ordering::Greater, |ours| compare(&theirs, ours));
        if order == Ordering::Equal {
            return false;
        }
        #[cfg(feature = "canary")]
        if canary::is(Canary::UpdateRevives) && self.life.version != Version::ZERO {
            self.life.alive = true;
        }
        // An update of a record that a delete ended: kept, for an insert between
        // the two may still come, but not seen.
        if !self.life.alive && !theirs.knew(self.life.version) {
            report.add(name, (self.life.version, None), theirs.clone());
        }
        let changed = order == Ordering::Greater;
        let loser = if changed { self.fields.insert(name.clone(), theirs) } else { Some(theirs) };
        let winner = &self.fields[name];
        if let Some(loser) = loser.filter(|loser| !winner.knew(loser.version))
            && self.counts(winner)
        {
            report.add(name, (winner.version, winner.value.clone()), loser);
        }
        changed
    }

    /// Whether a register is seen, or will be: an author who knew of the delete that
    /// ended the record wrote to a later life, whose insert is still to come.
    fn counts(&self, register: &Register) -> bool {
        self.life.alive || register.knew(self.life.version)
    }

    /// A write below the record's life: lost to an insert or a delete whose author
    /// may not have known it.
    fn report_hidden(&self, name: &Name, theirs: Register, report: &mut Report) {
        if self.life.knew(theirs.version) {
            return;
        }
        let ours = self.fields.get(name).filter(|_| self.life.alive);
        let winner =
            ours.map_or((self.life.version, None), |ours| (ours.version, ours.value.clone()));
        report.add(name, winner, theirs);
    }
}

/// Below this no limit of an operation can be broken, whatever it holds.
const SUSPECT_BYTES: usize = 1024 * 1024;

/// Adds an operation, in parts if it breaks a limit that those which it was put
/// together from kept: a peer may write one version many times, in different fields.
fn split(operation: Operation, parts: &mut Vec<Operation>) {
    if size::bytes_max(&operation) <= SUSPECT_BYTES || operation.check().is_ok() {
        return parts.push(operation);
    }
    let part = |change| Operation { change, ..operation.clone() };
    match &operation.change {
        Change::Insert(record) if record.len() > 1 => {
            let mut fields = record.iter().map(|(name, value)| (name.clone(), value.clone()));
            let first: Record = fields.by_ref().take(record.len() / 2).collect();
            let rest = fields.map(|(name, value)| (name, Some(value))).collect();
            split(part(Change::Insert(first)), parts);
            split(part(Change::Update(rest)), parts);
        }
        Change::Update(fields) if fields.len() > 1 => {
            let (first, rest) = fields.split_at(fields.len() / 2);
            split(part(Change::Update(first.to_vec())), parts);
            split(part(Change::Update(rest.to_vec())), parts);
        }
        _ => parts.push(operation),
    }
}

struct Report<'a> {
    operation: &'a Operation,
    conflicts: &'a mut Vec<Conflict>,
}

impl Report<'_> {
    /// Two authors who wrote the same lost nothing.
    fn add(&mut self, field: &Name, (version, value): (Version, Option<Value>), loser: Register) {
        if value == loser.value {
            return;
        }
        self.conflicts.push(Conflict {
            collection: self.operation.collection.clone(),
            key: self.operation.key.clone(),
            field: field.clone(),
            winner: Written { version, value },
            loser: Written { version: loser.version, value: loser.value },
        });
    }
}

fn compare(a: &Register, b: &Register) -> Ordering {
    #[cfg(feature = "canary")]
    {
        let moment = |register: &Register| (register.version.epoch, register.version.hlc);
        if canary::is(Canary::HlcBeforeEpoch) && a.version.hlc != b.version.hlc {
            return a.version.hlc.cmp(&b.version.hlc);
        }
        if canary::is(Canary::TieByArrival) && a != b && moment(a) == moment(b) {
            return Ordering::Greater;
        }
    }
    a.version.cmp(&b.version).then_with(|| {
        let bytes = |register: &Register| {
            register.value.as_ref().map(|value| {
                let mut bytes = Vec::new();
                binary::encode_value(value, &mut bytes);
                bytes
            })
        };
        bytes(a).cmp(&bytes(b)).then_with(|| a.base.cmp(&b.base))
    })
}
