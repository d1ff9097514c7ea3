//! What a merge should make of a batch.

use std::collections::{BTreeMap, BTreeSet};

use blaze_codec::{Change, Operation, Seq, Version};
use blaze_sync_protocol::Batch;

use super::{Facts, Oracle, Place, place_of};
use crate::policy::{Heard, Terms};

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

/// What a merge has done so far.
struct Merge<'b> {
    batch: &'b Batch,
    terms: &'b Terms,
    /// What the peer was told of the records.
    heard: &'b Heard,
    expected: Expected,
    /// What the commit has.
    came: Vec<(Place, &'b Operation)>,
    changed: BTreeSet<Place>,
    /// The records of which the commit has all, where the first of it came.
    whole: BTreeSet<Place>,
    /// What was known of records that didn't exist, and which the peer may make.
    makes: BTreeMap<Place, Facts>,
    granted: BTreeSet<Place>,
    /// Those that the peer may not see.
    hidden: BTreeSet<Place>,
}

/// What an operation should make of its record.
#[derive(PartialEq, Eq)]
enum Effect {
    Nothing,
    AsItCame,
    Whole,
}

impl Oracle {
    /// Joins a batch in; returns what the commit should be.
    pub(crate) fn merge(&mut self, batch: &Batch, terms: &Terms, heard: &Heard) -> Expected {
        let mut merge = Merge {
            batch,
            terms,
            heard,
            expected: Expected::default(),
            came: Vec::new(),
            changed: BTreeSet::new(),
            whole: BTreeSet::new(),
            makes: BTreeMap::new(),
            granted: BTreeSet::new(),
            hidden: BTreeSet::new(),
        };
        for operation in &batch.operations {
            self.clock = self.clock.max(operation.version.hlc).max(operation.version.epoch);
            let place = place_of(operation);
            let effect = merge.take(self, &place, operation);
            if effect == Effect::Nothing {
                continue;
            }
            merge.came.push((place.clone(), operation));
            if effect == Effect::Whole {
                merge.whole.insert(place.clone());
            }
            merge.changed.insert(place);
        }
        merge.judge(self);
        merge.tell(self)
    }
}

impl<'b> Merge<'b> {
    fn take(&mut self, oracle: &mut Oracle, place: &Place, operation: &'b Operation) -> Effect {
        let takes_away = operation.is_withdrawal() && !self.batch.roll;
        let before = oracle.records.get(place).cloned().unwrap_or_default();
        if !self.admits(place, &before, operation.is_withdrawal(), takes_away) {
            // What others wrote and is known here, or what it wrote and stands, it has from
            // elsewhere.
            let its_own = operation.version.node == self.batch.peer;
            let lost = its_own && operation.change != Change::Delete && !before.stands(operation);
            let known = !before.changes(operation) && !lost;
            let known = known && self.heard.was_given(place);
            if takes_away || known {
                return Effect::Nothing;
            }
            self.expected.refused.insert(place.clone());
            return Effect::Whole;
        }
        let stored = Some(before.changed).filter(|seq| *seq > Seq::ZERO);
        let stored = stored.filter(|_| !self.changed.contains(place));
        let effect = if self.batch.roll {
            let withdrawn = before.is_withdrawn();
            if withdrawn { Effect::Nothing } else { self.bury(oracle, place, operation, &before) }
        } else if takes_away {
            self.withdraw(oracle, place, &before)
        } else {
            self.join(oracle, place, operation, &before, stored)
        };
        let unheard = stored.is_some() && self.heard.lacks(place);
        let forgot = effect != Effect::Nothing && self.heard.was_withdrawn(place);
        if unheard || forgot { Effect::Whole } else { effect }
    }

    /// Whether the peer may do that to a record which is this now: who may not see it may
    /// neither change nor withdraw it.
    fn admits(&mut self, place: &Place, now: &Facts, is_empty: bool, takes_away: bool) -> bool {
        if !self.terms.judges(&place.0) || (is_empty && !now.exists()) {
            return true;
        }
        if takes_away {
            return self.terms.sees(place, now);
        }
        let known = self.makes.contains_key(place) || self.granted.contains(place);
        if !known && !self.hidden.contains(place) {
            if !now.exists() {
                self.makes.insert(place.clone(), now.clone());
            } else if self.terms.sees(place, now) {
                self.granted.insert(place.clone());
            } else {
                self.hidden.insert(place.clone());
            }
        }
        !self.hidden.contains(place)
    }

    /// All that a roll names was merged before: who knows less now has forgotten it.
    fn bury(
        &mut self,
        oracle: &mut Oracle,
        place: &Place,
        named: &Operation,
        before: &Facts,
    ) -> Effect {
        let of_life = Some(named.base).filter(|base| *base > Version::ZERO);
        let of_life = of_life.unwrap_or(named.version);
        let life_lacks = before.life().0 < of_life;
        if !life_lacks && !before.lacks_fields(named) {
            return Effect::Nothing;
        }
        let lacking = if life_lacks { of_life } else { named.version };
        let version = named.version.max(before.version());
        oracle.records.entry(place.clone()).or_default().dead = (version, version);
        self.expected.buried.push((place.clone(), lacking));
        Effect::Whole
    }

    /// Also what never came is noted as withdrawn.
    fn withdraw(&mut self, oracle: &mut Oracle, place: &Place, before: &Facts) -> Effect {
        if !self.terms.withdraws || (before.is_unknown() && before.is_withdrawn()) {
            return Effect::Nothing;
        }
        if before.exists() {
            self.expected.withdrawn.push(place.clone());
        }
        let nothing = Facts { withdrawn: true, changed: before.changed, ..Facts::default() };
        oracle.records.insert(place.clone(), nothing);
        oracle.withdrawn.insert(place.clone());
        Effect::AsItCame
    }

    fn join(
        &mut self,
        oracle: &mut Oracle,
        place: &Place,
        operation: &Operation,
        before: &Facts,
        stored: Option<Seq>,
    ) -> Effect {
        let holds = self.batch.holds;
        if oracle.join(operation) {
            let now = &oracle.records[place];
            let born = !before.exists() && now.exists();
            if born && oracle.grave(place).is_some_and(|grave| now.life().0 < grave.ended) {
                self.expected.revived.push(place.clone());
            }
            // Fields that it lacks were written later, or by a copy at its version.
            let begins = now.exists() && now.life().0 > before.life().0;
            let mut alone = Facts::default();
            alone.take(operation);
            let outlived = begins && !now.within(&alone);
            return if outlived { Effect::Whole } else { Effect::AsItCame };
        }
        let acknowledged = stored.is_some_and(|seq| seq <= holds);
        // A field that was written after the delete is sent without it.
        let acknowledged = acknowledged || (!before.is_tombstone() && holds > Seq::ZERO);
        let lost = !before.exists()
            && operation.version <= before.life().0
            && operation.change != Change::Delete;
        if !lost || !acknowledged {
            return Effect::Nothing;
        }
        self.expected.told_again += 1;
        Effect::Whole
    }

    /// Takes back what the peer made and may not see as it is now.
    fn judge(&mut self, oracle: &mut Oracle) {
        for (place, before) in std::mem::take(&mut self.makes) {
            let now = oracle.records.get(&place).cloned().unwrap_or_default();
            if !now.exists() || self.terms.sees(&place, &now) {
                continue;
            }
            self.whole.insert(place.clone());
            self.expected.buried.retain(|(buried, _)| *buried != place);
            self.expected.revived.retain(|revived| *revived != place);
            oracle.records.insert(place.clone(), before);
            self.expected.refused.insert(place);
        }
    }

    fn tell(mut self, oracle: &Oracle) -> Expected {
        let mut told = BTreeSet::new();
        for (place, operation) in self.came {
            if !self.whole.contains(&place) {
                self.expected.operations.push(operation.clone());
            } else if told.insert(place.clone()) {
                let whole = oracle.records[&place].operations(&place);
                self.expected.operations.extend(whole);
            }
        }
        self.expected
    }
}
