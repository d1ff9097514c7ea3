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

use blaze_codec::{Change, Name, Operation, RecordKey, Value, Version, binary};

#[cfg(feature = "canary")]
use crate::canary::{self, Canary};
use crate::{Life, RecordState, Register, Stamp};

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

impl RecordState {
    /// Joins an operation in. Returns whether the state changed, and adds the
    /// losers of true conflicts to `conflicts`.
    pub fn merge(&mut self, operation: &Operation, conflicts: &mut Vec<Conflict>) -> bool {
        let report = &mut Report { operation, conflicts };
        match &operation.change {
            Change::Insert(record) => {
                let mut changed = self.join_life(operation, true, report);
                let stamp = Stamp::of(operation);
                if self.is_empty() && *self.life() == (Life { stamp, alive: true }) {
                    *self = Self::of_insert(stamp, record.clone());
                    return changed || !record.is_empty();
                }
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

    fn join_life(&mut self, operation: &Operation, alive: bool, report: &mut Report) -> bool {
        let theirs = Life { stamp: Stamp::of(operation), alive };
        let ours = *self.life();
        // At equal versions a delete wins: a record exists only if born *above* dead.
        let rank = |life: &Life| (life.stamp.version, !life.alive, life.stamp.base);
        #[cfg(feature = "canary")]
        if canary::is(Canary::DeleteWins)
            && theirs != ours
            && (!alive || (!ours.alive && ours.stamp.version != Version::ZERO))
        {
            self.begin_with(if alive { ours } else { theirs }, |_| true);
            return ours.alive && !alive;
        }
        if rank(&theirs) <= rank(&ours) {
            #[cfg(feature = "canary")]
            if canary::is(Canary::RedeliveredCounts) && theirs == ours {
                return true;
            }
            return false;
        }
        // What a reader saw and the new life hides is lost, unless its author knew it.
        for (name, register) in self.fields().filter(|(_, register)| self.counts(*register)) {
            let version = register.stamp.version;
            let hidden = !alive || version < theirs.stamp.version;
            // A write that knew of this delete is of a later life: it isn't lost.
            let known = theirs.stamp.knew(version) || register.stamp.knew(theirs.stamp.version);
            if let (true, false, Some(_)) = (hidden, known, register.value) {
                let inserted = match &operation.change {
                    Change::Insert(record) => record.get(name),
                    _ => None,
                };
                report.add(name, Register { stamp: theirs.stamp, value: inserted }, register);
            }
        }
        #[cfg(feature = "canary")]
        if alive && canary::is(Canary::OldLifeShines) {
            self.begin_with(theirs, |_| true);
            return true;
        }
        self.begin(theirs);
        true
    }

    fn join_field(
        &mut self,
        operation: &Operation,
        name: &Name,
        value: Option<&Value>,
        report: &mut Report,
    ) -> bool {
        let theirs = Register { stamp: Stamp::of(operation), value };
        let late = self.life().hides(theirs.stamp.version);
        #[cfg(feature = "canary")]
        let late = late && !canary::is(Canary::LateFieldKept);
        if late {
            self.report_hidden(name, theirs, report);
            return false;
        }
        let ours = self.field(name);
        let order = ours.map_or(Ordering::Greater, |ours| compare(theirs, ours));
        if order == Ordering::Equal {
            return false;
        }
        let life = *self.life();
        #[cfg(feature = "canary")]
        let life = if canary::is(Canary::UpdateRevives) && life.stamp.version != Version::ZERO {
            self.begin_with(Life { alive: true, ..life }, |_| true);
            *self.life()
        } else {
            life
        };
        // An update of a record that a delete ended: kept, for an insert between
        // the two may still come, but not seen.
        if !life.alive && !theirs.stamp.knew(life.stamp.version) {
            report.add(name, Register { stamp: life.stamp, value: None }, theirs);
        }
        let changed = order == Ordering::Greater;
        if let Some(ours) = self.field(name) {
            let (winner, loser) = if changed { (theirs, ours) } else { (ours, theirs) };
            if !winner.stamp.knew(loser.stamp.version) && self.counts(winner) {
                report.add(name, winner, loser);
            }
        }
        if changed {
            self.set(name, theirs.stamp, value);
        }
        changed
    }

    /// Whether a register is seen, or will be: an author who knew of the delete that
    /// ended the record wrote to a later life, whose insert is still to come.
    fn counts(&self, register: Register<'_>) -> bool {
        self.exists() || register.stamp.knew(self.life().stamp.version)
    }

    /// A write below the record's life: lost to an insert or a delete whose author
    /// may not have known it.
    fn report_hidden(&self, name: &Name, theirs: Register<'_>, report: &mut Report) {
        let stamp = self.life().stamp;
        if stamp.knew(theirs.stamp.version) {
            return;
        }
        let ours = self.field(name).filter(|_| self.exists());
        report.add(name, ours.unwrap_or(Register { stamp, value: None }), theirs);
    }
}

struct Report<'a> {
    operation: &'a Operation,
    conflicts: &'a mut Vec<Conflict>,
}

impl Report<'_> {
    /// Two authors who wrote the same lost nothing.
    fn add(&mut self, field: &Name, winner: Register<'_>, loser: Register<'_>) {
        if winner.value == loser.value {
            return;
        }
        let written = |register: Register<'_>| Written {
            version: register.stamp.version,
            value: register.value.cloned(),
        };
        self.conflicts.push(Conflict {
            collection: self.operation.collection.clone(),
            key: self.operation.key.clone(),
            field: field.clone(),
            winner: written(winner),
            loser: written(loser),
        });
    }
}

fn compare(a: Register<'_>, b: Register<'_>) -> Ordering {
    let (ours, theirs) = (a.stamp.version, b.stamp.version);
    #[cfg(feature = "canary")]
    {
        let moment = |version: Version| (version.epoch, version.hlc);
        if canary::is(Canary::HlcBeforeEpoch) && ours.hlc != theirs.hlc {
            return ours.hlc.cmp(&theirs.hlc);
        }
        if canary::is(Canary::TieByArrival) && a != b && moment(ours) == moment(theirs) {
            return Ordering::Greater;
        }
    }
    ours.cmp(&theirs).then_with(|| {
        let bytes = |register: Register<'_>| {
            register.value.map(|value| {
                let mut bytes = Vec::new();
                binary::encode_value(value, &mut bytes);
                bytes
            })
        };
        bytes(a).cmp(&bytes(b)).then_with(|| a.stamp.base.cmp(&b.stamp.base))
    })
}
