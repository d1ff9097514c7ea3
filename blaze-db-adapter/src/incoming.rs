//! What comes from a peer, and what becomes of each operation of it.

use std::sync::Arc;

use blaze_codec::{
    Change, Checkpoint, Name, NodeId, Operation, RecordKey, Rule, Scope, Seq, Version,
};

#[cfg(feature = "canary")]
use crate::canary::{self, Canary};
use crate::{Audience, Conflict, Origin, RecordState, Stamp};

/// A peer's operations, to be merged in one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Incoming {
    /// Whose feed it is.
    pub peer: NodeId,
    /// Where the peer's feed is merged to, once this is; `None` if the operations are
    /// a part of what the next seq changed, of which more comes, or a roll.
    pub checkpoint: Option<Checkpoint>,
    /// Where the operations were written first, as far as known; see
    /// [`Committed::roots`](crate::Committed::roots).
    pub roots: Vec<Checkpoint>,
    /// What changed there.
    pub operations: Vec<Operation>,
    /// The local seq up to which the peer has acknowledged this feed. If it had a delete
    /// and sends a write below that, it has forgotten it.
    pub holds: Seq,
    /// Whether the operations are a roll: see [`DatabaseAdapter::roll`](crate::DatabaseAdapter::roll).
    /// All of it was merged here before, so that what isn't known any more was deleted,
    /// and forgotten.
    pub roll: bool,
    /// What the peer sees and writes; `None` if all.
    pub limit: Option<Arc<Limit>>,
    /// Whether the peer may withdraw records, as it limits what is seen of its own.
    pub withdraws: bool,
}

/// What a peer sees and writes that doesn't see all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What it may write. What changes a record beyond that is
    /// [refused](crate::Merged::refused).
    pub scope: Arc<Scope>,
    /// Who it is. In the transaction of the merge it is noted that it has the records of the
    /// operations, and it is told what is known of those that it was never
    /// [given](crate::DatabaseAdapter::share) before, or that are being withdrawn from it:
    /// that it hasn't heard, or is about to lose.
    pub audience: Audience,
}

/// What became of an operation that was joined into a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Joined {
    /// It changed nothing.
    #[default]
    Nothing,
    /// It changed the record: the commit has it as it came.
    Changed,
    /// It changed the record, which may be one that was deleted here and forgotten: the
    /// commit has it as it came, but not where it was written first. Who has it from there
    /// may have deleted it, and says so when it is sent.
    Anew,
    /// Instead of all that came of the record, the commit has the
    /// [operations](RecordState::operations) of its state at the end of the transaction,
    /// once: others, and the peer itself, may lack some. See [`Incoming::source`].
    Whole,
}

impl Incoming {
    /// Joins one of the operations into what is known of its record. This, too, is the
    /// same for every adapter.
    ///
    /// `changed` is the seq at which the record is stored, `None` if it isn't, or if this
    /// transaction has changed it. `forgotten` is the greatest version of the tombstones
    /// that are gone, [`Version::ZERO`] if none is. Whatever isn't [`Joined::Nothing`] makes the record a
    /// part of the commit.
    pub fn join(
        &self,
        operation: &Operation,
        state: &mut RecordState,
        changed: Option<Seq>,
        forgotten: Version,
        conflicts: &mut Vec<Conflict>,
    ) -> Joined {
        if self.roll {
            // What was withdrawn is known elsewhere.
            let withdrawn = state.is_withdrawn();
            #[cfg(feature = "canary")]
            let withdrawn = withdrawn && !canary::is(Canary::WithdrawnBuried);
            return if withdrawn { Joined::Nothing } else { bury(operation, state) };
        }
        if operation.is_withdrawal() {
            // Also what never came is stored as withdrawn: whoever noted that it sends it may
            // have gone back to that moment, and name it in a roll.
            let withdrawn = self.withdraws && state.withdraw();
            return if withdrawn { Joined::Changed } else { Joined::Nothing };
        }
        let (existed, before) = (state.exists(), state.life().stamp.version);
        let had_fields = !state.is_empty();
        if state.merge(operation, conflicts) {
            let begins = state.exists() && state.life().stamp.version > before;
            let outlived = begins && had_fields && has_more(state, operation);
            let written = |version: Version| (version.epoch, version.hlc);
            let anew = !existed && written(operation.version) <= written(forgotten);
            return match (outlived, anew) {
                (true, _) => Joined::Whole,
                (false, true) => Joined::Anew,
                (false, false) => Joined::Changed,
            };
        }
        let lost = !state.exists()
            && operation.version <= state.life().stamp.version
            && operation.change != Change::Delete;
        #[cfg(feature = "canary")]
        let lost = lost && !canary::is(Canary::DeleteToldOnce);
        // Where a field was written after the delete, that may be the last change, and be
        // sent to the peer without the delete.
        let acknowledged = changed.is_some_and(|changed| changed <= self.holds)
            || (!state.is_empty() && self.holds > Seq::ZERO);
        if lost && acknowledged {
            return Joined::Whole;
        }
        Joined::Nothing
    }

    /// The records of the operations, each once, in their order, if it is to be noted that the
    /// peer has them.
    pub fn shared(&self) -> Option<(&Audience, Vec<(Name, RecordKey)>)> {
        let audience = &self.limit.as_ref()?.audience;
        let names = self.operations.iter();
        let names = names.map(|operation| (operation.collection.clone(), operation.key.clone()));
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names.dedup();
        Some((audience, names))
    }

    /// Whether one of the operations is a withdrawal. What a roll names looks like one.
    pub(crate) const fn takes_away(&self, operation: &Operation) -> bool {
        !self.roll && operation.is_withdrawal()
    }

    /// What the peer may write of a collection depending on a record's values, if it does.
    pub(crate) fn judges(&self, collection: &str) -> Option<&Rule> {
        let rule = self.limit.as_ref()?.scope.rule(collection)?;
        #[cfg(feature = "canary")]
        if canary::is(Canary::ConditionUnjudged) {
            return None;
        }
        rule.condition().is_some().then_some(rule)
    }

    /// The origin and the roots of the commit that this becomes; `most` is the greatest of
    /// what became of the operations. One that has whole records instead of what came goes
    /// to the peer, too: as if it were a part of what the next seq changed, and written here.
    pub fn source(&self, most: Joined) -> (Origin, Vec<Checkpoint>) {
        let (node, checkpoint) = (self.peer, self.checkpoint);
        match most {
            Joined::Nothing | Joined::Changed => {
                (Origin::Peer { node, checkpoint }, self.roots.clone())
            }
            Joined::Anew => (Origin::Peer { node, checkpoint }, Vec::new()),
            Joined::Whole => (Origin::Peer { node, checkpoint: None }, Vec::new()),
        }
    }
}

/// Whether a record has fields beside those of the insert that began its life: written
/// later, to a life before it, or by a copy, at the very version. Others may have forgotten
/// them, with the delete that ended that.
fn has_more(state: &RecordState, insert: &Operation) -> bool {
    let Change::Insert(record) = &insert.change else { return false };
    let stamp = Stamp::of(insert);
    state.fields().any(|(name, field)| {
        field.stamp != stamp || field.value.is_none() || field.value != record.get(name)
    })
}

/// Ends a record that was deleted here and forgotten, at the version that a peer still
/// has of it: what was written later stays. It was forgotten if its life or one of its
/// fields isn't known that was merged; something else of it may have come since.
fn bury(operation: &Operation, state: &mut RecordState) -> Joined {
    let version = operation.version;
    let life = if operation.base == Version::ZERO { version } else { operation.base };
    let Change::Update(fields) = &operation.change else { return Joined::Nothing };
    let later = |name| state.field(name).is_some_and(|field| field.stamp.version >= version);
    let is_known = |name| state.life().hides(version) || later(name);
    let lives = state.life().stamp.version >= life;
    let nothing_lacks = lives && fields.iter().all(|(name, _)| is_known(name));
    // Nothing that exists is of the zero version: whoever says so can bury nothing.
    if nothing_lacks || version == Version::ZERO {
        return Joined::Nothing;
    }
    state.bury(version.max(state.version()));
    Joined::Whole
}

#[cfg(test)]
mod tests {
    use blaze_codec::{Hlc, Record, record};

    use crate::Life;

    use super::*;

    fn version(hlc: u64) -> Version {
        Version { hlc: Hlc::from_bits(hlc), ..Version::ZERO }
    }

    fn operation(hlc: u64, change: Change) -> Operation {
        let (collection, key) = (Name::new("notes").unwrap(), RecordKey::Int(1));
        Operation { collection, key, version: version(hlc), base: Version::ZERO, change }
    }

    fn join(incoming: &Incoming, operation: &Operation, state: &mut RecordState) -> Joined {
        let changed = (*state != RecordState::default()).then_some(Seq(7));
        incoming.join(operation, state, changed, Version::ZERO, &mut Vec::new())
    }

    #[test]
    fn what_a_peer_withdraws_is_forgotten_and_not_taken_for_deleted() {
        let withdrawal = operation(1, Change::Update(vec![]));
        let insert = operation(5, Change::Insert(record! { "a" => 1 }));
        let peer = Incoming { withdraws: true, ..Incoming::default() };
        let known = |change| {
            let mut state = RecordState::default();
            state.merge(&operation(5, change), &mut Vec::new());
            state
        };
        for change in [insert.change.clone(), Change::Delete] {
            let mut state = known(change.clone());
            assert_eq!(join(&Incoming::default(), &withdrawal, &mut state), Joined::Nothing);
            assert_eq!(state, known(change), "not everybody may withdraw");
            assert_eq!(join(&peer, &withdrawal, &mut state), Joined::Changed);
            assert!(state.is_unknown() && !state.is_tombstone() && !state.exists());
            assert_eq!(join(&peer, &withdrawal, &mut state), Joined::Nothing);
            let roll = Incoming { roll: true, ..Incoming::default() };
            let named = operation(9, Change::Update(vec![]));
            assert_eq!(join(&roll, &named, &mut state), Joined::Nothing);
            assert!(state.is_withdrawn() && state.is_unknown());
            let told = state.operations(&withdrawal.collection, &withdrawal.key);
            let (collection, key) = (withdrawal.collection.clone(), withdrawal.key.clone());
            assert_eq!(told, [Operation::withdrawal(collection, key)]);
            // A field of it may come from elsewhere, and still nobody deleted it.
            let field = operation(7, Change::Update(vec![("b".parse().unwrap(), None)]));
            let mut waits = state.clone();
            assert_ne!(join(&peer, &field, &mut waits), Joined::Nothing);
            assert_eq!(join(&roll, &named, &mut waits), Joined::Nothing);
            assert!(waits.is_withdrawn() && !waits.is_unknown());
            assert_ne!(join(&peer, &insert, &mut state), Joined::Nothing);
            assert_eq!(state, known(insert.change.clone()), "it comes back as it is");
        }
        let mut never = RecordState::default();
        assert_eq!(join(&peer, &withdrawal, &mut never), Joined::Changed);
        assert!(never.is_withdrawn(), "what never came is known as withdrawn");
    }

    #[test]
    fn a_roll_buries_what_is_forgotten_and_nothing_else() {
        let roll = Incoming { roll: true, ..Incoming::default() };
        let named = operation(5, Change::Update(vec![]));
        let mut forgotten = RecordState::default();
        assert_eq!(join(&roll, &named, &mut forgotten), Joined::Whole);
        let stamp = Stamp { version: version(5), base: version(5) };
        assert_eq!(*forgotten.life(), Life { stamp, alive: false });
        let nothing = operation(0, Change::Update(vec![]));
        assert_eq!(join(&roll, &nothing, &mut RecordState::default()), Joined::Nothing);
        let mut known = RecordState::default();
        known.merge(&operation(5, Change::Insert(record! { "a" => 1 })), &mut Vec::new());
        let before = known.clone();
        assert_eq!(join(&roll, &named, &mut known), Joined::Nothing);
        assert_eq!(known, before);
    }

    #[test]
    fn what_comes_late_of_a_forgotten_record_does_not_make_it_known() {
        let roll = Incoming { roll: true, ..Incoming::default() };
        for late in [Change::Delete, Change::Insert(record! { "a" => 1 })] {
            let mut state = RecordState::default();
            state.merge(&operation(3, late), &mut Vec::new());
            let joined = join(&roll, &operation(5, Change::Update(vec![])), &mut state);
            let delete = Operation { base: version(5), ..operation(5, Change::Delete) };
            assert_eq!((joined, state.life().stamp.version), (Joined::Whole, delete.version));
            assert!(!state.exists());
        }
    }

    #[test]
    fn a_record_of_another_life_is_not_the_one_that_was_merged() {
        let field = |hlc| operation(hlc, Change::Update(vec![("b".parse().unwrap(), None)]));
        let lived = |since, hlc| {
            let mut state = RecordState::default();
            let insert = operation(since, Change::Insert(record! { "a" => 1 }));
            state.merge(&insert, &mut Vec::new());
            state.merge(&field(hlc), &mut Vec::new());
            state
        };
        let place = operation(0, Change::Delete);
        let named = lived(4, 8).named(&place.collection, &place.key).remove(0);
        let roll = Incoming { roll: true, ..Incoming::default() };
        // The one of 4 was deleted and forgotten; an older one came back, and with it
        // what is common to both.
        let mut older = lived(2, 8);
        assert_eq!(join(&roll, &named, &mut older), Joined::Whole);
        assert!(!older.exists());
        let mut same = lived(4, 9);
        assert_eq!(join(&roll, &named, &mut same), Joined::Nothing);
        let mut later = lived(5, 8);
        assert_eq!(join(&roll, &named, &mut later), Joined::Nothing);
    }

    #[test]
    fn a_field_that_was_forgotten_buries_its_record_under_a_later_one() {
        let roll = Incoming { roll: true, ..Incoming::default() };
        let field = |hlc, name: &str| {
            operation(hlc, Change::Update(vec![(name.parse().unwrap(), Some(1.into()))]))
        };
        let lived = |updates: &[Operation]| {
            let mut state = RecordState::default();
            state.merge(&operation(4, Change::Insert(Record::default())), &mut Vec::new());
            for update in updates {
                state.merge(update, &mut Vec::new());
            }
            state
        };
        let place = operation(0, Change::Delete);
        let theirs = lived(&[field(6, "a"), field(6, "b"), field(7, "c")]);
        let named = theirs.named(&place.collection, &place.key);
        let of = |hlc, names: &[&str]| {
            let fields = names.iter().map(|name| (name.parse().unwrap(), None)).collect();
            Operation { base: version(4), ..operation(hlc, Change::Update(fields)) }
        };
        assert_eq!(named, [of(6, &["a", "b"]), of(7, &["c"])]);
        let joined = |state: &mut RecordState| {
            named.iter().map(|named| join(&roll, named, state)).max().unwrap()
        };
        let mut overwritten = lived(&[field(9, "a"), field(6, "b"), field(7, "c")]);
        assert_eq!(joined(&mut overwritten), Joined::Nothing);
        // It was deleted and forgotten, and came back from who has a later field.
        let mut lacking = lived(&[field(9, "a"), field(7, "c")]);
        assert_eq!(joined(&mut lacking), Joined::Whole);
        assert_eq!((lacking.exists(), lacking.version()), (false, version(9)));
    }

    #[test]
    fn a_buried_record_lives_again_only_by_a_later_insert() {
        let roll = Incoming { roll: true, ..Incoming::default() };
        let mut state = RecordState::default();
        join(&roll, &operation(5, Change::Update(vec![])), &mut state);
        let insert = |hlc| operation(hlc, Change::Insert(record! { "a" => 1 }));
        let incoming = Incoming::default();
        assert_eq!(join(&incoming, &insert(5), &mut state), Joined::Nothing);
        assert_eq!(join(&incoming, &insert(6), &mut state), Joined::Changed);
    }

    #[test]
    fn a_peer_that_had_a_delete_and_writes_below_it_is_told_again() {
        let mut state = RecordState::default();
        state.merge(&operation(5, Change::Delete), &mut Vec::new());
        let older = operation(4, Change::Insert(record! { "a" => 1 }));
        let holds = |seq| Incoming { holds: Seq(seq), ..Incoming::default() };
        assert_eq!(join(&holds(6), &older, &mut state), Joined::Nothing, "it is on its way");
        assert_eq!(join(&holds(7), &older, &mut state), Joined::Whole);
        let delete = operation(4, Change::Delete);
        assert_eq!(join(&holds(7), &delete, &mut state), Joined::Nothing);
        // What a roll buries ends at the version of its last write.
        let buried = operation(5, Change::Insert(record! { "a" => 1 }));
        assert_eq!(join(&holds(6), &buried, &mut state), Joined::Nothing);
        assert_eq!(join(&holds(7), &buried, &mut state), Joined::Whole);
        // The peer is sent a later field without the delete.
        let field = Change::Update(vec![(Name::new("a").unwrap(), None)]);
        state.merge(&operation(6, field), &mut Vec::new());
        assert_eq!(join(&holds(1), &older, &mut state), Joined::Whole);
        assert_eq!(join(&holds(0), &older, &mut state), Joined::Nothing, "it never had any");
    }

    #[test]
    fn what_is_later_than_an_insert_goes_on_with_it() {
        let name = Name::new("a").unwrap();
        let update = operation(8, Change::Update(vec![(name, Some(2.into()))]));
        // It waited for an insert, or was written to an older life.
        for before in [Change::Delete, Change::Insert(Record::default())] {
            let mut state = RecordState::default();
            state.merge(&operation(5, before), &mut Vec::new());
            state.merge(&update, &mut Vec::new());
            let insert = operation(6, Change::Insert(record! { "b" => 1 }));
            let joined = join(&Incoming::default(), &insert, &mut state);
            assert_eq!(joined, Joined::Whole);
            let all = state.operations(&insert.collection, &insert.key);
            assert_eq!(all, [insert, update.clone()]);
            let hides = operation(9, Change::Insert(record! { "b" => 1 }));
            assert_eq!(join(&Incoming::default(), &hides, &mut state), Joined::Changed);
        }
    }

    #[test]
    fn what_a_copy_wrote_at_the_version_of_an_insert_goes_on_with_it() {
        for (field, value) in [("a", Some(2.into())), ("b", Some(2.into())), ("a", None)] {
            let mut state = RecordState::default();
            state.merge(&operation(5, Change::Delete), &mut Vec::new());
            let update = operation(6, Change::Update(vec![(Name::new(field).unwrap(), value)]));
            state.merge(&update, &mut Vec::new());
            let insert = operation(6, Change::Insert(record! { "b" => 1 }));
            let joined = join(&Incoming::default(), &insert, &mut state);
            assert_eq!(joined, Joined::Whole, "{update:?}");
        }
    }

    #[test]
    fn a_commit_of_something_else_is_not_taken_for_known_to_the_peer() {
        let checkpoint = Some(Checkpoint { incarnation: blaze_codec::Incarnation(1), seq: Seq(3) });
        let roots = checkpoint.into_iter().collect::<Vec<_>>();
        let incoming = Incoming { checkpoint, roots: roots.clone(), ..Incoming::default() };
        let node = NodeId::ZERO;
        let origin = Origin::Peer { node, checkpoint: None };
        assert_eq!(incoming.source(Joined::Whole), (origin, vec![]));
        let origin = Origin::Peer { node, checkpoint };
        assert_eq!(incoming.source(Joined::Anew), (origin, vec![]));
        assert_eq!(incoming.source(Joined::Changed), (origin, roots));
    }

    #[test]
    fn what_may_have_been_forgotten_is_not_taken_for_known_to_who_has_it_from_elsewhere() {
        let join = |state: &mut RecordState, hlc, change| {
            let operation = operation(hlc, change);
            let (changed, forgotten) = (None, version(5));
            Incoming::default().join(&operation, state, changed, forgotten, &mut Vec::new())
        };
        let insert = || Change::Insert(record! { "a" => 1 });
        let mut state = RecordState::default();
        assert_eq!(join(&mut state, 4, insert()), Joined::Anew);
        assert_eq!(join(&mut state, 4, insert()), Joined::Nothing);
        let update = Change::Update(vec![(Name::new("a").unwrap(), None)]);
        assert_eq!(join(&mut state, 5, update), Joined::Changed, "that it exists was told");
        assert_eq!(join(&mut RecordState::default(), 6, insert()), Joined::Changed);
        // Of a forgotten record something that waits for an insert may be known again.
        let mut waits = RecordState::default();
        waits.merge(
            &operation(7, Change::Update(vec![(Name::new("b").unwrap(), None)])),
            &mut Vec::new(),
        );
        assert_eq!(join(&mut waits, 5, Change::Delete), Joined::Anew);
    }
}
