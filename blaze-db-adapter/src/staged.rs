//! What a transaction does to records, each of which is read once.

use std::collections::HashMap;

use blaze_codec::{Change, Name, Operation, RecordKey, Seq, Version};

#[cfg(feature = "canary")]
use crate::canary::{self, Canary};
use crate::{
    Conflict, Heard, Incoming, Joined, RecordState, Stamper, Withdrawn, Write, WriteError,
};

/// The records that a transaction touches, and what it does to them. Every adapter's
/// `commit` and `merge` goes through it; `S` is what the adapter wants to keep of where a
/// record is stored.
#[derive(Debug)]
pub struct Staged<'a, S> {
    records: Vec<Touched<'a, S>>,
    /// Where each is among them; empty as long as they came in ascending order.
    places: HashMap<(&'a Name, &'a RecordKey), usize>,
    /// The changed ones, in the order of the first change of each.
    changed: Vec<usize>,
}

/// A record that a transaction touches.
#[derive(Debug)]
pub struct Touched<'a, S> {
    /// Its collection.
    pub collection: &'a Name,
    /// Its key.
    pub key: &'a RecordKey,
    /// Where it is stored.
    pub stored: Stored<S>,
    /// What is known of it, as the transaction leaves it.
    pub state: RecordState,
    /// Whether a peer may change it.
    admission: Admission,
    changed: bool,
    /// Whether a merge's commit has all of it.
    whole: bool,
}

/// Whether a peer may change a record, depending on its values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Admission {
    #[default]
    Unjudged,
    /// It sees it.
    Granted,
    /// There is none, of which this is known; it may make one that it sees.
    Makes(Box<RecordState>),
    /// It doesn't see it.
    Refused,
}

/// What an adapter has of a record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stored<S> {
    /// The seq at which it last changed; `None` if it isn't stored.
    pub seq: Option<Seq>,
    /// What the adapter wants to keep.
    pub place: S,
}

/// What became of the operations of a merge, one after the other.
#[derive(Debug, Default)]
pub struct Merging {
    /// The losers of true conflicts.
    pub conflicts: Vec<Conflict>,
    /// The greatest of what became of them.
    pub most: Joined,
    /// What the peer has heard of the records, if it doesn't see all.
    pub heard: Heard,
    /// The records that a peer may not change so, once they were
    /// [judged](Staged::judge).
    pub refused: Vec<(Name, RecordKey)>,
    /// The records that existed and were withdrawn.
    pub withdrawn: Vec<Withdrawn>,
    /// The record of each that is a part of the commit.
    effective: Vec<Option<usize>>,
}

/// What a merge's commit has of the operations that came.
#[derive(Debug, Default)]
pub struct Parts {
    /// Empty if it has all, as they came.
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Nothing,
    AsItCame,
    /// All of the record instead.
    Record(Vec<Operation>),
}

impl<'a, S> Staged<'a, S> {
    /// A transaction of about so many operations, that hasn't touched anything.
    pub fn new(count: usize) -> Self {
        let (records, changed) = (Vec::with_capacity(count), Vec::with_capacity(count));
        Self { records, places: HashMap::new(), changed }
    }

    /// Does a local write to its record, and adds the operations that this makes. `load`
    /// tells what is stored of a record that the transaction hasn't touched yet.
    ///
    /// # Errors
    ///
    /// If the write can't be done, or the record not be read; nothing of the transaction
    /// is to be stored then.
    pub fn write<E: From<WriteError>>(
        &mut self,
        write: &'a Write,
        stamper: &mut Stamper<'_>,
        operations: &mut Vec<Operation>,
        load: impl FnOnce(&Name, &RecordKey) -> Result<(Stored<S>, RecordState), E>,
    ) -> Result<(), E> {
        let place = self.place(&write.collection, &write.key, load)?;
        let before = operations.len();
        stamper.stamp(write, &mut self.records[place].state, operations)?;
        if operations.len() > before {
            self.mark(place);
        }
        Ok(())
    }

    /// Joins one of a peer's operations into its record. `forgotten` is the greatest
    /// version of the tombstones that are gone, [`Version::ZERO`] if none is.
    ///
    /// # Errors
    ///
    /// If the record can't be read; nothing of the transaction is to be stored then.
    pub fn join<E>(
        &mut self,
        incoming: &Incoming,
        operation: &'a Operation,
        forgotten: Version,
        merging: &mut Merging,
        load: impl FnOnce(&Name, &RecordKey) -> Result<(Stored<S>, RecordState), E>,
    ) -> Result<(), E> {
        let place = self.place(&operation.collection, &operation.key, load)?;
        let joined = if self.admits(place, incoming, operation) {
            self.join_admitted(place, incoming, operation, forgotten, merging)
        } else if incoming.takes_away(operation)
            || self.is_passed_on(place, incoming, operation, merging)
        {
            // The peer has nothing that it may not, or from elsewhere. Were it told so, those who
            // hide a record from each other would tell each other for ever.
            Joined::Nothing
        } else {
            // It is as it was, and changes all the same: the peer hears from the feed what it
            // may not have.
            if !self.records[place].whole {
                merging.refuse(operation);
            }
            Joined::Whole
        };
        #[cfg(feature = "canary")]
        let joined = if self.records[place].admission == Admission::Refused
            && canary::is(Canary::RefusalUntold)
        {
            Joined::Nothing
        } else {
            joined
        };
        self.records[place].whole |= joined == Joined::Whole;
        merging.most = merging.most.max(joined);
        let effective = joined != Joined::Nothing;
        merging.effective.push(effective.then_some(place));
        if effective {
            self.mark(place);
        }
        Ok(())
    }

    /// Whether a peer may see the record that an operation of it is about, so far; it's judged
    /// when the transaction first meets it.
    fn admits(&mut self, place: usize, incoming: &Incoming, operation: &Operation) -> bool {
        let Some(rule) = incoming.judges(&operation.collection) else { return true };
        let record = &mut self.records[place];
        // What withdraws a record, or names it in a roll, makes none. But it may take one away.
        if operation.is_withdrawal() && !record.state.exists() {
            return true;
        }
        if incoming.takes_away(operation) {
            return rule.meets(|field| record.state.visible_field(field));
        }
        if record.admission == Admission::Unjudged {
            let state = &record.state;
            record.admission = match state.exists() {
                true if rule.meets(|field| state.visible_field(field)) => Admission::Granted,
                true => Admission::Refused,
                false => Admission::Makes(Box::new(state.clone())),
            };
        }
        record.admission != Admission::Refused
    }

    /// Whether a peer tells nothing new of a record that it may not see: what others wrote and
    /// is known here, or what it wrote and came by another way. It was told before what it may
    /// not have, and got it elsewhere since.
    fn is_passed_on(
        &self,
        place: usize,
        incoming: &Incoming,
        operation: &Operation,
        merging: &Merging,
    ) -> bool {
        let state = &self.records[place].state;
        let its_own = operation.version.node == incoming.peer;
        let known = || !state.clone().merge(operation, &mut Vec::new());
        let told = merging.heard.was_given(&operation.collection, &operation.key);
        // A delete that lost leaves nothing at its author that it may not have.
        let lost = its_own && operation.change != Change::Delete && !state.has(operation);
        told && !lost && known()
    }

    fn join_admitted(
        &mut self,
        place: usize,
        incoming: &Incoming,
        operation: &Operation,
        forgotten: Version,
        merging: &mut Merging,
    ) -> Joined {
        let Touched { state, stored, changed, .. } = &mut self.records[place];
        let may_go = incoming.withdraws && incoming.takes_away(operation);
        let record = may_go.then(|| state.record()).flatten();
        let seq = stored.seq.filter(|_| !*changed);
        let joined = incoming.join(operation, state, seq, forgotten, &mut merging.conflicts);
        if let Some(record) = record {
            let (collection, key) = (operation.collection.clone(), operation.key.clone());
            merging.withdrawn.push(Withdrawn { collection, key, record });
        }
        // It passed that in the feed when it wasn't to hear of it.
        let (collection, key) = (&operation.collection, &operation.key);
        let unheard = seq.is_some() && merging.heard.lacks(collection, key);
        #[cfg(feature = "canary")]
        let unheard = unheard && !canary::is(Canary::UnheardIgnored);
        // What was on its way when the peer heard that it is withdrawn, it has forgotten.
        let forgot = joined != Joined::Nothing && merging.heard.was_withdrawn(collection, key);
        if unheard || forgot { Joined::Whole } else { joined }
    }

    /// Takes the records back that a peer made and may not make, once all of its operations
    /// are joined: as they are then, it may not see them. It hears that from the feed, too. They
    /// aren't deleted: whose they are may be right to have them.
    pub fn judge(&mut self, incoming: &Incoming, merging: &mut Merging) {
        for record in &mut self.records {
            let Admission::Makes(before) = std::mem::take(&mut record.admission) else { continue };
            let Some(rule) = incoming.judges(record.collection) else { continue };
            let state = &mut record.state;
            if !state.exists() || rule.meets(|field| state.visible_field(field)) {
                continue;
            }
            (*state, record.whole) = (*before, true);
            merging.most = Joined::Whole;
            merging.refused.push((record.collection.clone(), record.key.clone()));
        }
    }

    /// How many records changed.
    pub const fn len(&self) -> usize {
        self.changed.len()
    }

    /// Whether nothing changed.
    pub const fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// The records that changed, in the order of the first change of each.
    pub fn changed(&self) -> impl Iterator<Item = &Touched<'a, S>> {
        self.changed.iter().map(|&place| &self.records[place])
    }

    /// The same, moved out.
    pub fn into_changed(self) -> impl Iterator<Item = Touched<'a, S>> {
        let Self { records, changed, .. } = self;
        let mut records: Vec<_> = records.into_iter().map(Some).collect();
        changed.into_iter().filter_map(move |place| records[place].take())
    }

    /// What the commit of a merge has of its operations.
    pub fn parts(&self, merging: &Merging) -> Parts {
        let is_whole = |place: usize| self.records[place].whole;
        if merging.effective.iter().all(|place| place.is_some_and(|place| !is_whole(place))) {
            return Parts::default();
        }
        let mut told = vec![false; self.records.len()];
        let part = |place: &Option<usize>| match *place {
            None => Part::Nothing,
            Some(place) if !is_whole(place) => Part::AsItCame,
            // Where it first changed, and there only.
            Some(place) if std::mem::replace(&mut told[place], true) => Part::Nothing,
            Some(place) => {
                let Touched { collection, key, state, .. } = &self.records[place];
                Part::Record(state.operations(collection, key))
            }
        };
        Parts { parts: merging.effective.iter().map(part).collect() }
    }

    fn mark(&mut self, place: usize) {
        if !std::mem::replace(&mut self.records[place].changed, true) {
            self.changed.push(place);
        }
    }

    /// The place of a record, which is read if the transaction meets it first.
    fn place<E>(
        &mut self,
        collection: &'a Name,
        key: &'a RecordKey,
        load: impl FnOnce(&Name, &RecordKey) -> Result<(Stored<S>, RecordState), E>,
    ) -> Result<usize, E> {
        let next = self.records.len();
        if self.places.is_empty() {
            let last = self.records.last().map(|last| (last.collection, last.key));
            match last.map(|last| last.cmp(&(collection, key))) {
                None | Some(std::cmp::Ordering::Less) => {}
                Some(std::cmp::Ordering::Equal) => return Ok(next - 1),
                Some(std::cmp::Ordering::Greater) => self.index(),
            }
        }
        if let Some(&place) = self.places.get(&(collection, key)) {
            return Ok(place);
        }
        let (stored, state) = load(collection, key)?;
        let (admission, changed, whole) = (Admission::Unjudged, false, false);
        self.records.push(Touched { collection, key, stored, state, admission, changed, whole });
        if !self.places.is_empty() {
            self.places.insert((collection, key), next);
        }
        Ok(next)
    }

    /// Makes the records known by their names, from now on.
    fn index(&mut self) {
        self.places.reserve(self.records.capacity());
        for (place, record) in self.records.iter().enumerate() {
            self.places.insert((record.collection, record.key), place);
        }
    }
}

impl Merging {
    fn refuse(&mut self, operation: &Operation) {
        self.refused.push((operation.collection.clone(), operation.key.clone()));
    }
}

impl Parts {
    /// What the commit has, of what came.
    pub fn of(self, came: Vec<Operation>) -> Vec<Operation> {
        if self.parts.is_empty() {
            return came;
        }
        let mut operations = Vec::with_capacity(came.len());
        for (operation, part) in came.into_iter().zip(self.parts) {
            match part {
                Part::Nothing => {}
                Part::AsItCame => operations.push(operation),
                Part::Record(record) => operations.extend(record),
            }
        }
        operations
    }
}
