//! The receiving direction: frames in, batches to merge out, credit back.

use std::collections::VecDeque;
use std::sync::Arc;

use blaze_codec::batch::Definitions;
use blaze_codec::message::{
    Ack, BODY_BYTES_MAX, Changes, ChangesFrame, Range, Start, TRANSACTION_BYTES_MAX,
};
use blaze_codec::{Change, Checkpoint, History, HlcClock, NodeId, Operation, Seq};

#[cfg(feature = "canary")]
use crate::canary::{self, Canary};
use crate::roots::Roots;
use crate::{Batch, SessionError};

/// The most bytes of pieces that are put together: a transaction that a peer
/// forwards may take more bytes than where it was written.
const STAGED_BYTES_MAX: usize = 2 * TRANSACTION_BYTES_MAX;

/// Operations of several transactions that are merged in one commit at most.
/// So few that what follows arrives, and is granted again, while they are merged.
const GROUP_OPERATIONS_MAX: usize = 8 * 1024;

/// The most bytes of changes, as encoded, that are kept back because something is left out
/// of them. What takes more is merged in several steps, between which a reader sees half
/// transactions.
const CATCH_UP_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The most operations of them: what a database takes in one transaction.
const CATCH_UP_OPERATIONS_MAX: usize = 1024 * 1024;

/// What this side receives of the peer's feed.
#[derive(Debug)]
pub(crate) struct Inbound {
    peer: NodeId,
    history: Arc<History>,
    /// Everything up to here has arrived.
    received: Seq,
    /// Everything up to here is merged and durable.
    merged: Seq,
    /// Everything up to here was merged before, over another link, too: the hello was older.
    held: Seq,
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
    pending: VecDeque<Group>,
    merging: Option<Group>,
    /// What the peer has told of its dictionary.
    definitions: Definitions,
}

/// Whole transactions, to be merged in one commit.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
struct Group {
    through: Seq,
    /// Whether it ends with a part of what the next seq changed.
    partial: bool,
    /// What the frames cost.
    bytes: u64,
    /// How large the payloads are.
    encoded: u64,
    /// Whether it came in pieces; then it is merged alone.
    large: bool,
    /// Whether it is a piece of a roll; those are merged by themselves, too.
    roll: bool,
    roots: Roots,
    /// Whether records that changed again later are left out.
    left_out: bool,
    operations: Vec<Operation>,
}

impl Group {
    /// A piece of a roll, when everything up to a seq has arrived.
    fn roll(through: Seq) -> Self {
        Self {
            through,
            partial: true,
            bytes: 0,
            encoded: 0,
            large: false,
            roll: true,
            roots: Roots::default(),
            left_out: false,
            operations: Vec::new(),
        }
    }
}

impl Inbound {
    /// Starts after a checkpoint with a window of credit granted.
    pub(crate) fn new(peer: NodeId, history: Arc<History>, after: Seq, window: u64) -> Self {
        Self {
            held: after,
            peer,
            history,
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
            pending: VecDeque::new(),
            merging: None,
            definitions: Definitions::default(),
        }
    }

    /// Passes what was merged before. What it says may have been deleted since, and that
    /// forgotten.
    pub(crate) fn holding(self, held: Seq) -> Self {
        Self { held: held.max(self.held), ..self }
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
        let through = Some(self.merged).filter(|merged| missed && *merged > Seq::ZERO);
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
        payload: &[u8],
        bytes: u64,
        wall_ms: u64,
    ) -> Result<(), SessionError> {
        self.spend(bytes)?;
        let Changes { range: Range { after, through, .. }, operations } = Changes::decode(payload)?;
        let rule = "a roll comes where it is asked for, in order and to its end";
        let (arrived, end) = self.roll.ok_or(SessionError::Violation { rule })?;
        if after != arrived || through > end || (through == after && operations.is_empty()) {
            return Err(SessionError::Violation { rule });
        }
        check(&operations, wall_ms)?;
        let names = |operation: &Operation| match &operation.change {
            Change::Update(fields) => fields.iter().all(|(_, value)| value.is_none()),
            _ => false,
        };
        if !operations.iter().all(names) {
            return Err(SessionError::Violation { rule: "a roll names records and changes none" });
        }
        self.roll = (through < end).then_some((through, end));
        self.rolling += 1;
        let through = self.received;
        self.pending.push_back(Group { bytes, operations, ..Group::roll(through) });
        Ok(())
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
        frame: &ChangesFrame,
        bytes: u64,
        wall_ms: u64,
    ) -> Result<Vec<Checkpoint>, SessionError> {
        if !self.started || self.roll.is_some() {
            let rule = "changes come after a start, and after the roll that it asks for";
            return Err(SessionError::Violation { rule });
        }
        self.spend(bytes)?;
        if frame.more && bytes != BODY_BYTES_MAX as u64 {
            return Err(SessionError::Violation {
                rule: "all pieces but the last fill their frame",
            });
        }
        if frame.more || !self.staged.is_empty() {
            self.stage(&frame.payload)?;
            self.staged_cost += bytes;
            if frame.more {
                return Ok(Vec::new());
            }
            let payload = std::mem::take(&mut self.staged);
            let changes = Changes::decode_defined(&payload, &self.definitions)?;
            return self.changes(changes, (0, payload.len() as u64), true, wall_ms);
        }
        let changes = Changes::decode_defined(&frame.payload, &self.definitions)?;
        self.changes(changes, (bytes, bytes), false, wall_ms)
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

    fn changes(
        &mut self,
        changes: Changes,
        (mut bytes, encoded): (u64, u64),
        large: bool,
        wall_ms: u64,
    ) -> Result<Vec<Checkpoint>, SessionError> {
        let Changes { range: Range { after, through, left_out, roots }, operations } = changes;
        #[cfg(feature = "canary")]
        let (after, operations) = canaries(after.min(self.received), after, large, operations);
        if after > self.received || through < self.received {
            return Err(SessionError::Violation { rule: "changes follow what was sent before" });
        }
        check(&operations, wall_ms)?;
        let partial = through == self.received && !operations.is_empty();
        let was_merged = through <= self.held && !partial;
        let operations = if was_merged { Vec::new() } else { operations };
        self.received = through;
        let joins = |group: &&mut Group| {
            let count = group.operations.len() + operations.len();
            let fits = if group.left_out {
                group.encoded + encoded <= CATCH_UP_BYTES_MAX && count <= CATCH_UP_OPERATIONS_MAX
            } else {
                !large && !group.large && !left_out && count <= GROUP_OPERATIONS_MAX
            };
            // A part that is kept back with what is whole doesn't show before the rest.
            fits && !group.roll && (group.left_out || group.partial || !partial)
        };
        if left_out {
            // The rest doesn't come without it.
            self.staged_cost += std::mem::take(&mut bytes);
        }
        let place = self.history.place(through);
        let written = if roots.is_empty() { std::slice::from_ref(&place) } else { &roots };
        let written = written.iter().filter(|_| !operations.is_empty());
        if let Some(group) = self.pending.back_mut().filter(joins) {
            written.for_each(|root| group.roots.add(*root));
            (group.through, group.left_out) = (through, left_out);
            group.partial &= partial;
            (group.bytes, group.encoded) = (group.bytes + bytes, group.encoded + encoded);
            group.large |= large;
            group.operations.extend(operations);
        } else {
            let mut of_group = Roots::default();
            written.for_each(|root| of_group.add(*root));
            self.pending.push_back(Group {
                through,
                partial,
                bytes,
                encoded,
                large,
                roll: false,
                roots: of_group,
                left_out,
                operations,
            });
        }
        Ok(roots)
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
        let only = self.pending.front().filter(|_| self.pending.len() == 1);
        only.is_some_and(|group| group.left_out && group.encoded < CATCH_UP_BYTES_MAX)
    }

    /// The batch is merged and durable; returns the place that was reached.
    pub(crate) fn merged_batch(&mut self) -> Option<Seq> {
        let group = self.merging.take()?;
        self.merged = group.through;
        self.spent += group.bytes;
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
