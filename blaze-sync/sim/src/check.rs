//! What must hold whenever something is committed, merged or acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;

use blaze_codec::{Checkpoint, HlcClock, Operation, Role, Seq};
use blaze_db_adapter::{Committed, DatabaseAdapter, Merged};
use blaze_sync_protocol::{Batch, Event as Told, SessionError};

use crate::fault::Fault;
use crate::network::sends;
use crate::oracle::{Expected, Oracle, Place, place_of};
use crate::policy::{Heard, Terms};
use crate::ready::ready;
use crate::workload;
use crate::world::{Event, World};

impl World {
    /// Takes note of a local commit, and checks its stamps.
    pub(crate) fn committed(&mut self, node: usize, committed: &Arc<Committed>, answered: bool) {
        if let Err(message) = self.check_stamps(node, committed) {
            self.fail("local writes are stamped by the rule", message);
        }
        let promises_all = self.promises_all(node);
        let Some(life) = &mut self.nodes[node].life else { return };
        let useless = committed.operations().iter().find(|operation| !life.oracle.join(operation));
        let useless = useless.map(describe_one);
        for operation in committed.operations() {
            self.expected.join(operation);
            let found = &mut self.nodes[node];
            if answered && promises_all {
                found.promised.join(operation);
            } else if answered {
                found.promised_until_cut.push(operation.clone());
            }
        }
        if let Some(useless) = useless {
            self.fail("a commit has only what changes something", useless);
        }
        self.log(node, committed);
        self.keep_common(node, committed);
        self.nodes[node].wrote.extend(committed.operations().iter().map(place_of));
    }

    /// Takes note of what those without limits among them should come to hold.
    fn keep_common(&mut self, node: usize, committed: &Committed) {
        if !self.plan.scopes.is_any() {
            return;
        }
        let common = self.policies.common.entry(self.nodes[node].group).or_default();
        committed.operations().iter().for_each(|operation| {
            common.join(operation);
        });
        self.meet(node, Some(committed.operations()));
    }

    fn check_stamps(&self, node: usize, committed: &Committed) -> Result<(), String> {
        let found = &self.nodes[node];
        let Some(life) = &found.life else { return Ok(()) };
        let mut seen = life.oracle.clone_places(committed.operations());
        for operation in committed.operations() {
            let version = operation.version;
            let place = place_of(operation);
            if version.node != found.id || version.hlc <= seen.clock {
                let last = seen.clock;
                return Err(format!("{} after {last}", describe_one(operation)));
            }
            let epoch = match found.role {
                Role::Server => version.hlc,
                Role::Client => seen.epoch(&place),
            };
            if version.epoch != epoch {
                return Err(format!("{} needs the epoch {epoch}", describe_one(operation)));
            }
            if life.oracle.is_buried(operation) && !self.came_back.contains(&place) {
                return Err(format!("{} below what was deleted before", describe_one(operation)));
            }
            seen.join(operation);
        }
        Ok(())
    }

    /// Takes note of a merge, and checks it against the oracle and the sender.
    pub(crate) fn merged(
        &mut self,
        node: usize,
        (connection, side): (u64, usize),
        (batch, terms): (&Batch, &Terms),
        (after, heard): (Seq, &Heard),
        merged: &Merged,
    ) {
        if self.lossy && !batch.roll {
            batch.operations.iter().for_each(|operation| {
                self.expected.join(operation);
            });
        }
        let Some(life) = &mut self.nodes[node].life else { return };
        let wanted = life.oracle.merge(batch, terms, heard);
        let committed = merged.committed.as_ref();
        let changed = committed.map_or(&[][..], |committed| committed.operations());
        if wanted.operations != changed {
            let should = describe(&wanted.operations);
            let message = format!("{}, where it is {should}", describe(changed));
            self.fail("a merge changes what the rule says", message);
        }
        if let Some(committed) = committed.filter(|_| !wanted.buried.is_empty() || self.lossy) {
            committed.operations().iter().for_each(|operation| {
                self.expected.join(operation);
            });
        }
        self.check_taken_back(node, &wanted, merged);
        self.check_graves(node, connection, &wanted);
        if let Some(committed) = committed {
            self.log(node, committed);
            self.keep_common(node, committed);
        }
        self.check_scope(node, terms, &batch.operations);
        self.hear(node, connection, batch);
        self.check_checkpoint(node, batch);
        self.check_link(node, connection, side, batch);
        self.check_whole(node, (connection, side), batch, after);
    }

    /// Checks what a merge refused and withdrew.
    fn check_taken_back(&mut self, node: usize, wanted: &Expected, merged: &Merged) {
        let refused = merged.refused.iter().cloned().collect::<BTreeSet<Place>>();
        let withdrawn = merged.withdrawn.iter();
        let withdrawn = withdrawn.map(|gone| (gone.collection.clone(), gone.key.clone()));
        let withdrawn = withdrawn.collect::<Vec<_>>();
        self.report.saw_times("refused", refused.len() as u64);
        self.report.saw_times("withdrawn", withdrawn.len() as u64);
        if refused != wanted.refused || withdrawn != wanted.withdrawn {
            let message =
                format!("node {node}: {refused:?} and {withdrawn:?}, where it is {wanted:?}");
            self.fail("what a peer may not do is refused", message);
        }
        self.policies.refused.extend(refused);
    }

    /// Adds a commit to the node's log, and checks that the observer sees it.
    fn log(&mut self, node: usize, committed: &Arc<Committed>) {
        let seq = committed.seq();
        let found = &mut self.nodes[node];
        found.log.push(Arc::clone(committed));
        let expected = found.log.len() as u64;
        let Some(life) = &mut found.life else { return };
        committed.operations().iter().for_each(|operation| life.oracle.changed(operation, seq));
        let (number, observed) = (life.number, life.observe(committed));
        if let Err(message) = observed {
            self.fail("an observer sees each change once and in order", message);
        }
        if seq.0 != expected {
            self.fail("seqs ascend without a gap", format!("{seq}, where {expected} is to come"));
        }
        self.schedule(0, Event::Wake { node, life: number });
    }

    fn check_checkpoint(&mut self, node: usize, batch: &Batch) {
        let Some(life) = &self.nodes[node].life else { return };
        let Some(reached) = batch.checkpoint else { return };
        let held = ready(life.database.checkpoints(batch.peer)).and_then(Result::ok);
        let is_there =
            |held: &Checkpoint| held.incarnation == reached.incarnation && held.seq >= reached.seq;
        if !held.as_ref().is_some_and(|held| held.iter().any(is_there)) {
            let message = format!("{held:?} after {reached:?}");
            self.fail("a merge stores its checkpoint", message);
        }
    }

    /// Checks that the mode and the clock allowed it.
    fn check_link(&mut self, node: usize, connection: u64, side: usize, batch: &Batch) {
        let mode = self.connections.get(connection).map(|found| found.mode);
        if let Some(mode) = mode.filter(|mode| !sends(*mode, 1 - side)) {
            let message = format!("node {node} merged {}", describe(&batch.operations));
            self.fail("nothing crosses a link against its mode", format!("{mode}: {message}"));
        }
        let latest_ms = self.nodes[node].clock.latest_ms();
        let far = |operation: &&Operation| {
            HlcClock::check_drift(operation.version.hlc, latest_ms).is_err()
        };
        if let Some(operation) = batch.operations.iter().find(far) {
            let message = format!("{} at {latest_ms} ms", describe_one(operation));
            self.fail("nothing from the far future is merged", message);
        }
    }

    /// Checks that the sender's transactions up to the checkpoint are here as wholes,
    /// and nothing of the next.
    fn check_whole(
        &mut self,
        node: usize,
        (connection, side): (u64, usize),
        batch: &Batch,
        after: Seq,
    ) {
        // No run has so much to catch up with that it doesn't fit into memory.
        if let Some(step) = batch.step {
            let message = format!("node {node} merges up to {} of what leaves some out", step.seq);
            self.fail("a reader never sees half a transaction", message);
        }
        let Some(found) = self.connections.get(connection) else { return };
        // What is seen in part is compared when all is quiet.
        if self.links[found.link].limited {
            return;
        }
        let sender = &self.nodes[found.nodes[1 - side]];
        let Some(theirs) = &sender.life else { return };
        let through = batch.checkpoint.map_or(after, |place| place.seq);
        // It may have been put back to something else since.
        let now = theirs.history();
        let covers = |place| now.as_ref().is_some_and(|now| now.covers(place, theirs.head()));
        let same = batch.checkpoint.is_none_or(covers);
        if !same || sender.id != batch.peer {
            return;
        }
        let read_back = found.ends[1 - side].as_ref().is_none_or(|end| end.read_back);
        let Some(ours) = &self.nodes[node].life else { return };
        let index = |seq: Seq| usize::try_from(seq.0).unwrap_or(usize::MAX);
        let range = sender.log.get(index(after)..index(through)).unwrap_or_default();
        let missing = range.iter().find_map(|commit| {
            let missing = |operation: &&Operation| {
                // What changed again since and is left out comes in the same batch.
                let gone = read_back && theirs.oracle.is_gone(operation);
                !gone && !ours.oracle.holds(operation) && !self.may_lack(operation)
            };
            let lost = commit.operations().iter().find(missing)?;
            Some(format!("seq {}: {}", commit.seq(), describe_one(lost)))
        });
        let torn = sender.log.get(index(through)).and_then(|next| {
            // As a whole: copies may give one version to two writes. What waited for an
            // insert goes with it once more, and so does what is told again.
            let is_next = |operation: &&Operation| {
                let before = sender.log.iter().take(index(through));
                let before = before.rev().any(|commit| commit.operations().contains(operation));
                next.operations().contains(operation) && !before
            };
            batch.operations.iter().find(is_next)
        });
        let early = torn.filter(|_| !read_back).map(describe_one);
        if let Some(missing) = missing {
            self.fail("what a checkpoint passes is merged", missing);
        }
        if let Some(early) = early {
            self.fail("a reader never sees half a transaction", early);
        }
    }

    /// Checks that a peer has what it acknowledged.
    pub(crate) fn check_acked(&mut self, connection: u64, side: usize, seq: Seq) {
        let Some(end) = self.connections.end_mut(connection, side) else { return };
        let (before, losses) = (end.acked.replace(seq), end.peer_losses);
        let Some(found) = self.connections.get(connection) else { return };
        let limited = self.links[found.link].limited;
        let [node, peer] = [found.nodes[side], found.nodes[1 - side]];
        self.note("acked", &[("node", node as u64), ("by", peer as u64), ("seq", seq.0)]);
        let (ours, theirs) = (&self.nodes[node], &self.nodes[peer]);
        let Some(peers) = theirs.oracle() else { return };
        if theirs.losses != losses || theirs.gone || limited {
            return;
        }
        let index = |seq: Seq| usize::try_from(seq.0).unwrap_or(usize::MAX);
        let range = ours.log.get(index(before.unwrap_or_default())..index(seq)).unwrap_or_default();
        let lacking = range.iter().find_map(|commit| {
            // What was removed before it was sent needn't be known there: here, or where
            // this file was when it was another one.
            let was_other = ours.losses > 0 || self.report.faults.contains_key(&Fault::Clone);
            let removed = |operation: &Operation| {
                (was_other && self.is_removed(operation))
                    || self.may_lack(operation)
                    || ours.oracle().is_some_and(|oracle| oracle.is_gone(operation))
            };
            let lacking = commit
                .operations()
                .iter()
                .find(|operation| !peers.holds(operation) && !removed(operation))?;
            Some(format!("seq {} of {seq}: {}", commit.seq(), describe_one(lacking)))
        });
        if let Some(lacking) = lacking {
            self.fail("a peer has what it acknowledged", lacking);
        }
    }

    /// Whether anybody removed a tombstone at or above an operation.
    fn is_removed(&self, operation: &Operation) -> bool {
        let place = place_of(operation);
        self.graves.get(&place).is_some_and(|grave| operation.version <= grave.last)
    }

    /// Whether a peer may lack what it is taken to have from where that was written: it was
    /// linked late, with one that had removed it and has all the rest from there.
    pub(crate) fn may_be_gone_elsewhere(&self, operation: &Operation) -> bool {
        self.met_late && self.is_removed(operation)
    }

    /// The same, and of who missed the tombstone: where that was removed, what it had below
    /// was buried, and it was sent all the rest.
    fn may_lack(&self, operation: &Operation) -> bool {
        self.may_be_gone_elsewhere(operation) || (self.roll_called && self.is_removed(operation))
    }

    /// Two correct sides never break the protocol, and only copies share an id.
    pub(crate) fn check_error(&mut self, error: &SessionError, tainted: bool, overreaches: bool) {
        let copies = self.lossy || self.report.faults.contains_key(&Fault::Clone);
        let wrong = match error {
            SessionError::Violation { .. } | SessionError::Decode(_) => !tainted,
            SessionError::SameNode { .. } | SessionError::Copied { .. } => !copies,
            SessionError::Scope { .. } => !overreaches,
            SessionError::Database { .. } | SessionError::SelfLink => true,
            _ => false,
        };
        if wrong {
            self.fail("two correct sides understand each other", error.to_string());
        }
    }

    /// Checks that something did go back if that is told.
    pub(crate) fn check_went_back(&mut self, connection: u64, side: usize, told: &Told) {
        // A hello that was long on its way is of a process that has ended.
        if self.connections.end(connection, 1 - side).is_none() {
            return;
        }
        if !self.lossy && !self.report.faults.contains_key(&Fault::Clone) {
            self.fail("a feed that is told to have gone back did", format!("{told:?}"));
        }
    }

    /// Checks that a database holds what it should, and nothing else.
    pub(crate) fn check_contents(&mut self, node: usize, database: &dyn DatabaseAdapter) {
        let Some(life) = &self.nodes[node].life else { return };
        let Some(found) = Oracle::of(database) else {
            return self.fail("the feed can be read", format!("node {node}"));
        };
        for collection in [workload::collection(), workload::second()] {
            let seen = ready(database.scan(&collection, None, usize::MAX)).and_then(Result::ok);
            let visible = life.oracle.visible(&collection);
            if seen.as_ref() != Some(&visible) {
                let mut wrong = seen.unwrap_or_default().into_iter();
                let wrong = wrong.find(|entry| !visible.contains(entry));
                let message = format!("node {node}: {wrong:?}, or {} in all", visible.len());
                return self.fail("a reader sees what the rule says", message);
            }
        }
        let lacking = life.oracle.missing_in(&found);
        let Some(place) = lacking.or_else(|| found.missing_in(&life.oracle)) else { return };
        let (is, should) = (found.describe(place), life.oracle.describe(place));
        let message = format!("node {node}: {} is {is}, should be {should}", place.1);
        self.fail("a database holds what the rule says", message);
    }
}

/// Operations, for people.
pub(crate) fn describe(operations: &[Operation]) -> String {
    operations.iter().map(describe_one).collect::<Vec<_>>().join("; ")
}

pub(crate) fn describe_one(operation: &Operation) -> String {
    let version = operation.version;
    let node = version.node.as_bytes()[0];
    let change = format!("{:?}", operation.change);
    let change: String = change.chars().take(80).collect();
    let (collection, key) = (&operation.collection, &operation.key);
    format!("{collection} {key} {}/{}/{node:02x} {change}", version.epoch, version.hlc)
}
