//! Transactions that are written, processes that start and stop, and what they leave.

use std::sync::Arc;

use blaze_codec::Seq;
use blaze_db_adapter::{DatabaseAdapter, DatabaseError, Durability, Incoming, Write};
use blaze_sync_protocol::{Batch, Input};

use crate::network::Arrival;
use crate::node::{Job, Life};
use crate::oracle::Oracle;
use crate::policy::Terms;
use crate::ready::ready;
use crate::world::{Event, World};
use crate::{Driver, check};

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It closes all it has.
    Close,
    /// It is killed.
    Kill,
    /// The machine loses power.
    PowerCut,
}

impl World {
    /// Begins a transaction; returns the answer if it is there at once.
    pub(crate) fn submit(&mut self, node: usize, job: Job) -> Option<Input> {
        let answer = self.submit_canaries(node, &job);
        let found = &mut self.nodes[node];
        found.jobs.push_back(job);
        if found.jobs.len() == 1 {
            self.begin_job(node);
        }
        answer
    }

    fn submit_canaries(&mut self, node: usize, job: &Job) -> Option<Input> {
        let Job::Merge { batch, .. } = job else { return None };
        if let Some(arrived) = batch.checkpoint {
            self.nodes[node].arrived.insert(batch.peer, arrived);
        }
        if self.config.has(Driver::CheckpointFirst) {
            let (peer, checkpoint) = (batch.peer, batch.checkpoint);
            let incoming =
                Incoming { peer, checkpoint, operations: Vec::new(), ..Incoming::default() };
            let database = Arc::clone(&self.nodes[node].life.as_ref()?.database);
            ready(database.merge(incoming))?.ok()?;
        }
        let head = self.nodes[node].life.as_ref()?.head();
        self.config.has(Driver::MergeAckedEarly).then_some(Input::Merged { head })
    }

    fn begin_job(&mut self, node: usize) {
        let found = &self.nodes[node];
        let Some(life) = found.life.as_ref().map(|life| life.number) else { return };
        let at_once = found.durability != Durability::Disk;
        let wait_ms = if at_once { 0 } else { self.rng.between(0, found.write_ms) };
        self.schedule(wait_ms, Event::Written { node, life });
    }

    /// A transaction is durable at its level.
    pub(crate) fn written(&mut self, node: usize, life: u64) {
        if self.nodes[node].life.as_ref().is_none_or(|alive| alive.number != life) {
            return;
        }
        let Some(job) = self.nodes[node].jobs.pop_front() else { return };
        if !self.nodes[node].jobs.is_empty() {
            self.begin_job(node);
        }
        match job {
            Job::Commit(writes) => self.commit(node, writes, true),
            Job::Merge { session: (connection, side), batch, terms, after } => {
                let answer = self.merge(node, (connection, side), (&batch, &terms), after);
                if !self.config.has(Driver::MergeAckedEarly) {
                    self.feed(connection, side, answer);
                }
            }
            Job::Register { session: (connection, side), peer, name, holds } => {
                let answer = self.register(node, (connection, side), peer, &name, holds);
                if let Some(answer) = answer {
                    self.feed(connection, side, answer);
                }
            }
        }
    }

    fn commit(&mut self, node: usize, mut writes: Vec<Write>, answered: bool) {
        let Some(life) = &self.nodes[node].life else { return };
        let database = Arc::clone(&life.database);
        if self.nodes[node].full {
            self.report.saw("commit refused: full");
            if self.config.has(Driver::HalfCommitted) {
                writes.truncate(writes.len() / 2);
                let _ = ready(database.commit(writes));
            }
            return;
        }
        match ready(database.commit(writes)) {
            Some(Ok(committed)) if committed.operations().is_empty() => {
                self.report.saw("commit of nothing");
            }
            Some(Ok(committed)) => {
                let (seq, operations) = (committed.seq(), committed.operations().len() as u64);
                self.note(
                    "commit",
                    &[("node", node as u64), ("seq", seq.0), ("operations", operations)],
                );
                self.trace.detail(|| check::describe(committed.operations()));
                self.report.commits += 1;
                self.report.operations += operations;
                self.committed(node, &committed, answered);
            }
            Some(Err(DatabaseError::Write(error))) => {
                self.note("refused", &[("node", node as u64)]);
                self.trace.detail(|| error.to_string());
                self.report.saw("commit refused");
            }
            other => self.fail("a commit is done or refused", format!("{other:?}")),
        }
    }

    /// Merges a batch and checks what became of it; returns the answer.
    fn merge(
        &mut self,
        node: usize,
        session: (u64, usize),
        (batch, terms): (&Batch, &Terms),
        after: Seq,
    ) -> Input {
        let through = batch.checkpoint.map_or(after, |reached| reached.seq);
        let operations = batch.operations.len() as u64;
        self.note(
            "merge",
            &[
                ("node", node as u64),
                ("after", after.0),
                ("through", through.0),
                ("operations", operations),
            ],
        );
        self.trace.detail(|| check::describe(&batch.operations));
        let full = self.nodes[node].full;
        if full && !self.config.has(Driver::FullSwallowed) {
            self.report.saw("merge refused: full");
            let reason = DatabaseError::Full.to_string();
            return Input::StorageFailed { reason, retryable: true };
        }
        if full {
            return self.merged_to(node);
        }
        self.report.crossings += operations;
        if self.config.has(Driver::BatchCutInTwo) && batch.operations.len() > 1 {
            let mut first = batch.clone();
            first.operations.truncate(batch.operations.len() / 2);
            first.checkpoint = None;
            self.merge_one(node, session, (&first, terms), after);
        }
        self.merge_one(node, session, (batch, terms), after);
        self.merged_to(node)
    }

    fn merged_to(&self, node: usize) -> Input {
        let life = self.nodes[node].life.as_ref();
        Input::Merged { head: life.map(Life::head).unwrap_or_default() }
    }

    fn merge_one(
        &mut self,
        node: usize,
        session: (u64, usize),
        (batch, terms): (&Batch, &Terms),
        after: Seq,
    ) {
        let Some(life) = &self.nodes[node].life else { return };
        let database = Arc::clone(&life.database);
        let Batch { peer, mut checkpoint, roots, mut operations, holds, roll, .. } = batch.clone();
        if self.config.has(Driver::CheckpointSkipped) {
            checkpoint = None;
        }
        if self.config.has(Driver::HalfBatchMerged) {
            operations.truncate(operations.len().div_ceil(2));
        }
        let heard = self.heard(node, batch, terms);
        let Terms { limit, withdraws } = terms.clone();
        let incoming =
            Incoming { peer, checkpoint, roots, operations, holds, roll, limit, withdraws };
        match ready(database.merge(incoming)) {
            Some(Ok(merged)) => {
                self.merged(node, session, (batch, terms), (after, &heard), &merged);
            }
            other => self.fail("a batch is merged", format!("{other:?}")),
        }
    }

    /// What a node at level `Process` has written becomes durable.
    pub(crate) fn sync(&mut self, node: usize, life: u64) {
        if self.nodes[node].life.as_ref().is_some_and(|alive| alive.number == life) {
            self.nodes[node].sync();
            let again_ms = self.rng.between(50, 3_000);
            self.schedule(again_ms, Event::Sync { node, life });
        }
    }

    /// Whether a power cut takes a node back to what was synced last.
    fn goes_back(&self, node: usize) -> bool {
        self.nodes[node].durability != Durability::Disk
            || self.config.has(Driver::SendsUndurable)
            || self.config.has(Driver::CommitAckedEarly)
    }

    /// Whether an answer to a commit promises that it survives a power cut.
    pub(crate) fn promises_all(&self, node: usize) -> bool {
        self.nodes[node].durability == Durability::Disk && !self.config.has(Driver::SendsUndurable)
    }

    /// Starts a process on what the disk holds.
    pub(crate) fn start(&mut self, node: usize) {
        let found = &mut self.nodes[node];
        if found.life.is_some() || found.gone {
            return;
        }
        let kept = [Driver::ReusesSeqs, Driver::SendsUndurable];
        let anew = !kept.into_iter().any(|canary| self.config.has(canary));
        found.open(&mut self.rng, anew);
        let Some(life) = &found.life else { return };
        let (number, head, database) = (life.number, life.head(), Arc::clone(&life.database));
        self.note("start", &[("node", node as u64), ("life", number), ("head", head.0)]);
        self.check_contents(node, database.as_ref());
        self.meet(node, None);
        if self.goes_back(node) && !self.plan.large {
            self.schedule(1, Event::Sync { node, life: number });
        }
        self.purge_again(node, number);
        for link in 0..self.links.len() {
            if self.links[link].nodes[0] == node && !self.links[link].gone {
                self.links[link].connection = None;
                self.connect_after(link, 0);
            }
        }
    }

    /// Ends a process; `unanswered` tells whether the transaction that is being
    /// written gets onto the disk all the same.
    pub(crate) fn stop(&mut self, node: usize, how: Stop, unanswered: bool) {
        if self.nodes[node].life.is_none() {
            return;
        }
        self.note("stop", &[("node", node as u64), ("unanswered", u64::from(unanswered))]);
        self.trace.detail(|| format!("{how:?}"));
        let mut jobs = std::mem::take(&mut self.nodes[node].jobs);
        let done = match how {
            Stop::Close => jobs.len(),
            _ => usize::from(unanswered),
        };
        for job in jobs.drain(..).take(done) {
            match job {
                Job::Commit(writes) => self.commit(node, writes, how == Stop::Close),
                Job::Merge { session, batch, terms, after } => {
                    drop(self.merge(node, session, (&batch, &terms), after));
                }
                Job::Register { session, peer, name, holds } => {
                    drop(self.register(node, session, peer, &name, holds));
                }
            }
        }
        self.drop_sessions(node, how);
        let goes_back = self.goes_back(node);
        let found = &mut self.nodes[node];
        let Some(image) = found.image() else { return };
        found.life = None;
        found.arrived.clear();
        if how != Stop::PowerCut || !goes_back {
            found.file = Some(image);
            return;
        }
        found.file.clone_from(&found.synced);
        found.promised_until_cut.clear();
        self.lost(node);
    }

    /// A node's file isn't what it was: what is nowhere else is gone.
    pub(crate) fn lost(&mut self, node: usize) {
        self.nodes[node].losses += 1;
        self.lossy = true;
        let mut expected = Oracle::default();
        let left = self.nodes.iter().filter(|node| !node.gone).filter_map(|node| node.oracle());
        left.for_each(|oracle| expected.join_all(oracle));
        self.expected = expected;
        for (group, common) in &mut self.policies.common {
            let left = self.nodes.iter().filter(|node| !node.gone && node.group == *group);
            let left = left.filter_map(|node| node.oracle());
            *common = Oracle::default();
            left.for_each(|oracle| common.join_all(oracle));
        }
    }

    fn drop_sessions(&mut self, node: usize, how: Stop) {
        for (connection, side) in self.connections.of_node(node) {
            match how {
                Stop::Close => self.feed(connection, side, Input::Close),
                Stop::Kill => self.push(connection, side, Arrival::Closed),
                Stop::PowerCut => {
                    if let Some(found) = self.connections.get_mut(connection) {
                        found.wires[side].frames.clear();
                    }
                }
            }
            if let Some(found) = self.connections.get_mut(connection) {
                found.ends[side] = None;
            }
            self.connections.tidy(connection);
        }
        for link in self.links.iter_mut().filter(|link| link.nodes[0] == node) {
            link.connection = None;
            link.attempt += 1;
        }
    }
}
