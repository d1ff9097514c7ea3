//! The receiving direction: frames in, batches to merge out, credit back.

use std::collections::VecDeque;
use std::sync::Arc;

use blaze_codec::batch::Definitions;
use blaze_codec::message::{Ack, BODY_BYTES_MAX, Changes, ChangesFrame, Range, Start};
use blaze_codec::{Change, Checkpoint, History, HlcClock, NodeId, Operation, Scope, Seq};
use bytes::Bytes;

use self::group::{Group, LOAD_MAX, STAGED_BYTES_MAX, load_of};
#[cfg(feature = "canary")]
use crate::canary::{self, Canary};
use crate::roots::Roots;
use crate::{Batch, SessionError};

mod group;

/// Payloads of less are copied before they are kept: a read takes 64 KiB, so that what is kept
/// beside a larger one is at most as much again.
const APART_BYTES_MAX: usize = 64 * 1024;

const AFTER_ROLL: &str = "changes come after a start, and after the roll that it asks for";

/// What this side receives of the peer's feed.
#[derive(Debug)]
pub(crate) struct Inbound {
    peer: NodeId,
    history: Arc<History>,
    /// Whether one side limits the other to a scope: then neither has all that lies before the
    /// places where something was written first.
    limited: bool,
    /// What the peer may write; `None` if anything.
    scope: Option<Arc<Scope>>,
    /// Everything up to here has arrived.
    received: Seq,
    /// Everything up to here is merged and durable.
    merged: Seq,
    /// Everything up to here was merged before, over another link, too: the hello was older.
    held: Seq,
    /// What exists and last changed up to here was known, though all is asked for again.
    known: Seq,
    window: u64,
    /// What the peer may still send.
    granted: u64,
    /// What may be granted again with the next ack.
    spent: u64,
    /// The pieces so far of a payload that goes on.
    staged: Vec<u8>,
    /// What the pieces, and the changes that are kept back, cost; granted again once
    /// nothing else waits to be merged.
    staged_cost: u64,
    /// Whether the peer was told that it may send.
    started: bool,
    /// Up to where the roll that was asked for has arrived, and to where it goes.
    roll: Option<(Seq, Seq)>,
    /// Pieces of the roll that aren't merged yet.
    rolling: usize,
    /// What isn't decoded, as enough of what is waits to be merged. A few bytes can stand for
    /// many values.
    arrived: VecDeque<Arrived>,
    pending: VecDeque<Group>,
    merging: Option<Group>,
    /// What these two take in memory; see [`load_of`].
    load: usize,
    /// What the peer has told of its dictionary.
    definitions: Definitions,
}

/// A payload that is here as a whole and isn't decoded yet.
#[derive(Debug)]
struct Arrived {
    payload: Bytes,
    /// What its frame costs; nothing if it came in pieces, which were counted before.
    bytes: u64,
    /// How large it is.
    encoded: u64,
    /// Whether it came in pieces.
    large: bool,
    /// Whether it is one of the roll.
    roll: bool,
    /// When it arrived, on the wall clock.
    wall_ms: u64,
}

impl Inbound {
    /// Starts after a checkpoint with a window of credit granted.
    pub(crate) fn new(peer: NodeId, history: Arc<History>, after: Seq, window: u64) -> Self {
        Self {
            held: after,
            known: after,
            peer,
            history,
            limited: false,
            scope: None,
            received: after,
            merged: after,
            window,
            granted: window,
            spent: 0,
            staged: Vec::new(),
            staged_cost: 0,
            started: false,
            roll: None,
            rolling: 0,
            arrived: VecDeque::new(),
            pending: VecDeque::new(),
            merging: None,
            load: 0,
            definitions: Definitions::default(),
        }
    }

    /// What exists and last changed up to here was known when it was merged.
    pub(crate) fn knowing(self, known: Seq) -> Self {
        Self { known, ..self }
    }

    /// Passes what was merged before. What it says may have been deleted since, and that
    /// forgotten.
    pub(crate) fn holding(self, held: Seq) -> Self {
        Self { held: held.max(self.held), ..self }
    }

    /// Takes no more from the peer than this scope has; none if only the peer limits what
    /// comes.
    pub(crate) fn within(self, scope: Option<Arc<Scope>>) -> Self {
        Self { limited: true, scope, ..self }
    }

    /// Everything up to here has arrived.
    pub(crate) const fn received(&self) -> Seq {
        self.received
    }

    /// Everything up to here is merged and durable.
    pub(crate) const fn merged(&self) -> Seq {
        self.merged
    }

    /// Lets the peer send; one that has missed tombstones sends its roll first.
    pub(crate) fn start(&mut self, missed: bool) -> Start {
        self.started = true;
        let through = Some(self.known).filter(|known| missed && *known > Seq::ZERO);
        #[cfg(feature = "canary")]
        let through = through.filter(|_| !canary::is(Canary::RollNotCalled));
        self.roll = through.map(|through| (Seq::ZERO, through));
        Start { roll: through }
    }

    /// Whether a roll was asked for that isn't merged yet.
    pub(crate) const fn awaits_roll(&self) -> bool {
        self.roll.is_some() || self.rolling > 0
    }

    /// Takes a frame of the roll of `bytes` in all.
    pub(crate) fn roll(
        &mut self,
        payload: Bytes,
        bytes: u64,
        wall_ms: u64,
    ) -> Result<(), SessionError> {
        self.spend(bytes)?;
        let (large, roll) = (false, true);
        self.arrive(Arrived { payload, bytes, encoded: 0, large, roll, wall_ms }).map(drop)
    }

    fn spend(&mut self, bytes: u64) -> Result<(), SessionError> {
        #[cfg(feature = "canary")]
        if canary::is(Canary::CreditIgnored) {
            self.granted = u64::MAX;
        }
        let rule = "changes stay within their credit";
        self.granted = self.granted.checked_sub(bytes).ok_or(SessionError::Violation { rule })?;
        Ok(())
    }

    /// Takes a frame of changes of `bytes` in all; returns up to where the peer has the
    /// feeds of others.
    pub(crate) fn frame(
        &mut self,
        frame: ChangesFrame,
        bytes: u64,
        wall_ms: u64,
    ) -> Result<Vec<Checkpoint>, SessionError> {
        if !self.started {
            return Err(SessionError::Violation { rule: AFTER_ROLL });
        }
        self.spend(bytes)?;
        if frame.more && bytes != BODY_BYTES_MAX as u64 {
            return Err(SessionError::Violation {
                rule: "all pieces but the last fill their frame",
            });
        }
        let mut arrived = Arrived {
            payload: frame.payload,
            bytes,
            encoded: bytes,
            large: false,
            roll: false,
            wall_ms,
        };
        if frame.more || !self.staged.is_empty() {
            self.stage(&arrived.payload)?;
            self.staged_cost += bytes;
            if frame.more {
                return Ok(Vec::new());
            }
            let payload = std::mem::take(&mut self.staged);
            let encoded = payload.len() as u64;
            arrived =
                Arrived { payload: payload.into(), bytes: 0, encoded, large: true, ..arrived };
        }
        self.arrive(arrived)
    }

    fn arrive(&mut self, arrived: Arrived) -> Result<Vec<Checkpoint>, SessionError> {
        self.arrived.push_back(arrived);
        let reached = self.decode_arrived()?;
        if let Some(kept) = self.arrived.back_mut() {
            kept.payload = apart(&kept.payload);
        }
        Ok(reached)
    }

    /// Decodes what arrived, as long as little of what is decoded waits to be merged;
    /// returns up to where the peer has the feeds of others.
    pub(crate) fn decode_arrived(&mut self) -> Result<Vec<Checkpoint>, SessionError> {
        let mut reached = Vec::new();
        while self.has_room()
            && let Some(arrived) = self.arrived.pop_front()
        {
            if arrived.roll {
                self.roll_piece(&arrived)?;
            } else {
                reached.append(&mut self.changes(&arrived)?);
            }
        }
        Ok(reached)
    }

    /// Whether more may be decoded: little waits to be merged, or nothing is merged before
    /// more is here.
    fn has_room(&self) -> bool {
        self.load < LOAD_MAX || (self.merging.is_none() && self.keeps_back())
    }

    /// Takes definitions of what changes need.
    pub(crate) fn define(&mut self, definitions: &[u8]) -> Result<(), SessionError> {
        Ok(self.definitions.add(definitions)?)
    }

    fn stage(&mut self, piece: &[u8]) -> Result<(), SessionError> {
        if self.staged.len() + piece.len() > STAGED_BYTES_MAX {
            return Err(SessionError::Violation { rule: "a transaction stays within its limit" });
        }
        self.staged.extend_from_slice(piece);
        Ok(())
    }

    fn roll_piece(&mut self, arrived: &Arrived) -> Result<(), SessionError> {
        let Changes { range: Range { after, through, .. }, operations, values } =
            Changes::decode(&arrived.payload)?;
        let rule = "a roll comes where it is asked for, in order and to its end";
        let (reached, end) = self.roll.ok_or(SessionError::Violation { rule })?;
        if after != reached || through > end || (through == after && operations.is_empty()) {
            return Err(SessionError::Violation { rule });
        }
        check(&operations, arrived.wall_ms)?;
        self.check_scope(&operations)?;
        let names = |operation: &Operation| match &operation.change {
            Change::Update(fields) => fields.iter().all(|(_, value)| value.is_none()),
            _ => false,
        };
        if !operations.iter().all(names) {
            return Err(SessionError::Violation { rule: "a roll names records and changes none" });
        }
        self.roll = (through < end).then_some((through, end));
        self.rolling += 1;
        self.wait_to_merge(Group {
            through: self.received,
            partial: true,
            bytes: arrived.bytes,
            encoded: arrived.encoded,
            load: load_of(operations.len(), values),
            large: false,
            roll: true,
            roots: Roots::default(),
            left_out: false,
            operations,
        });
        Ok(())
    }

    fn changes(&mut self, arrived: &Arrived) -> Result<Vec<Checkpoint>, SessionError> {
        if self.roll.is_some() {
            return Err(SessionError::Violation { rule: AFTER_ROLL });
        }
        let Arrived { encoded, large, wall_ms, .. } = *arrived;
        let Changes { range: Range { after, through, left_out, roots }, operations, values } =
            Changes::decode_defined(&arrived.payload, &self.definitions)?;
        #[cfg(feature = "canary")]
        let (after, operations) = canaries(after.min(self.received), after, large, operations);
        if after > self.received || through < self.received {
            return Err(SessionError::Violation { rule: "changes follow what was sent before" });
        }
        check(&operations, wall_ms)?;
        self.check_scope(&operations)?;
        let roots = if self.limited { Vec::new() } else { roots };
        let partial = through == self.received && !operations.is_empty();
        let was_merged = through <= self.held && !partial;
        let (operations, values) = if was_merged { (Vec::new(), 0) } else { (operations, values) };
        self.received = through;
        let mut bytes = arrived.bytes;
        if left_out {
            // The rest doesn't come without it.
            self.staged_cost += std::mem::take(&mut bytes);
        }
        let place = self.history.place(through);
        let written = if roots.is_empty() { std::slice::from_ref(&place) } else { &roots };
        let written = if operations.is_empty() { &[] } else { written };
        self.wait_to_merge(Group {
            through,
            partial,
            bytes,
            encoded,
            load: load_of(operations.len(), values),
            large,
            roll: false,
            roots: Roots::default(),
            left_out,
            operations,
        });
        if let Some(group) = self.pending.back_mut() {
            for root in written {
                group.roots.add(*root);
            }
        }
        Ok(roots)
    }

    /// Checks that the peer may write these. What it may depending on values is judged where
    /// it is merged.
    fn check_scope(&self, operations: &[Operation]) -> Result<(), SessionError> {
        #[cfg(feature = "canary")]
        if canary::is(Canary::ScopeIgnored) {
            return Ok(());
        }
        let Some(scope) = &self.scope else { return Ok(()) };
        for Operation { collection, change, .. } in operations {
            let what = match scope.rule(collection).map(|rule| rule.hidden_field(change)) {
                Some(None) => continue,
                None => format!("the collection {collection:?}"),
                Some(Some(field)) => format!("the field {field:?} of {collection:?}"),
            };
            return Err(SessionError::Scope { what });
        }
        Ok(())
    }

    /// Puts a group behind those that wait to be merged, or with the last of them.
    fn wait_to_merge(&mut self, group: Group) {
        self.load += group.load;
        match self.pending.back_mut().filter(|last| last.has_room_for(&group)) {
            Some(last) => last.join(group),
            None => self.pending.push_back(group),
        }
    }

    /// The next batch to merge: everything that arrived while the last one was
    /// merged, so that batches grow as load does.
    ///
    /// Nothing but a roll as long as `waits`.
    pub(crate) fn poll_batch(&mut self, holds: Seq, waits: bool) -> Option<Batch> {
        let waits = waits && self.pending.front().is_some_and(|group| !group.roll);
        if self.merging.is_some() || self.keeps_back() || waits {
            return None;
        }
        let mut group = self.pending.pop_front()?;
        let operations = std::mem::take(&mut group.operations);
        // Its operations belong to a seq that is not reached yet.
        let place = (!group.partial).then(|| self.history.place(group.through));
        let checkpoint = place.filter(|_| !group.left_out);
        let step = place.filter(|_| group.left_out);
        let step = step.map(|step| Checkpoint { incarnation: self.history.latest(), ..step });
        let roots = std::mem::take(&mut group.roots);
        // What was left out isn't here yet, whatever place is reached.
        let roots = checkpoint.map(|reached| roots.or(reached));
        let (peer, roll, roots) = (self.peer, group.roll, roots.unwrap_or_default());
        self.merging = Some(group);
        Some(Batch { peer, checkpoint, step, roots, operations, holds, roll })
    }

    /// Whether all that waits to be merged would show half transactions until the rest is
    /// there, and there is room to wait for it.
    fn keeps_back(&self) -> bool {
        #[cfg(feature = "canary")]
        if canary::is(Canary::LeftOutMergedApart) {
            return false;
        }
        self.pending.len() == 1 && self.pending.front().is_some_and(Group::waits_for_more)
    }

    /// The batch is merged and durable; returns the place that was reached. Then there is
    /// room to [decode](Self::decode_arrived) more.
    pub(crate) fn merged_batch(&mut self) -> Option<Seq> {
        let group = self.merging.take()?;
        self.merged = group.through;
        self.spent += group.bytes;
        self.load -= group.load;
        self.rolling -= usize::from(group.roll);
        Some(self.merged)
    }

    /// The ack that is due: something was merged, or half of a window is kept aside.
    pub(crate) fn poll_ack(&mut self, acked: &mut Seq, head: Seq) -> Option<Ack> {
        if self.merging.is_none() && (self.pending.is_empty() || self.keeps_back()) {
            self.spent += std::mem::take(&mut self.staged_cost);
        }
        #[cfg(feature = "canary")]
        if canary::is(Canary::AckOfReceived) {
            self.merged = self.received;
        }
        if self.merged == *acked && self.spent < self.window / 2 {
            return None;
        }
        *acked = self.merged;
        let credit = std::mem::take(&mut self.spent);
        #[cfg(feature = "canary")]
        let credit = if canary::is(Canary::CreditKept) { 0 } else { credit };
        #[cfg(feature = "canary")]
        if canary::is(Canary::CreditIgnored) {
            self.granted = 0;
        }
        self.granted += credit;
        Some(Ack { through: self.merged, credit, head })
    }
}

/// A payload that is kept for a while. Frames are slices of what was read at once, all of
/// which a small one would keep.
fn apart(payload: &Bytes) -> Bytes {
    if payload.len() < APART_BYTES_MAX { Bytes::copy_from_slice(payload) } else { payload.clone() }
}

/// Checks what a peer says of its operations' versions.
fn check(operations: &[Operation], wall_ms: u64) -> Result<(), SessionError> {
    #[cfg(feature = "canary")]
    let wall_ms = if canary::is(Canary::DriftUnchecked) { u64::MAX } else { wall_ms };
    for operation in operations {
        let version = operation.version;
        HlcClock::check_drift(version.hlc, wall_ms)?;
        // An epoch is a clock that the writer had seen; one above its own would outrank
        // every server for good. A record that was deleted and forgotten is buried at
        // the version that it had: who did so had seen that.
        let seen = match operation.change {
            Change::Delete => operation.base > version,
            _ => operation.base >= version,
        };
        if version.epoch > version.hlc || seen {
            return Err(SessionError::Violation {
                rule: "a version lies above what its writer saw",
            });
        }
    }
    Ok(())
}

/// What two canaries make of changes.
#[cfg(feature = "canary")]
fn canaries(
    without_gap: Seq,
    after: Seq,
    large: bool,
    mut operations: Vec<Operation>,
) -> (Seq, Vec<Operation>) {
    if large && canary::is(Canary::TailDropped) {
        operations.pop();
    }
    (if canary::is(Canary::GapAccepted) { without_gap } else { after }, operations)
}

#[cfg(test)]
mod tests;
