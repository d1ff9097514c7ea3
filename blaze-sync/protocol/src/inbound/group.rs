//! Whole transactions that wait to be merged in one commit, and how much may wait.

use blaze_codec::message::TRANSACTION_BYTES_MAX;
use blaze_codec::{Operation, Seq};

use crate::roots::Roots;

/// The most bytes of pieces that are put together: a transaction that a peer
/// forwards may take more bytes than where it was written.
pub(super) const STAGED_BYTES_MAX: usize = 2 * TRANSACTION_BYTES_MAX;

/// Operations of several transactions that are merged in one commit at most.
/// So few that what follows arrives, and is granted again, while they are merged.
const GROUP_OPERATIONS_MAX: usize = 8 * 1024;

/// What may wait to be merged before nothing more is decoded; see [`load_of`].
pub(super) const LOAD_MAX: usize = 1024 * 1024;

/// The most bytes of changes, as encoded, that are kept back because something is left out
/// of them. What takes more is merged in several steps, between which a reader sees half
/// transactions.
pub(super) const CATCH_UP_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The most operations of them: what a database takes in one transaction.
const CATCH_UP_OPERATIONS_MAX: usize = 1024 * 1024;

/// How much of them, see [`load_of`].
pub(super) const CATCH_UP_LOAD_MAX: usize = 8 * 1024 * 1024;

/// What operations with so many values take in memory, in that of a value: 40 bytes, or
/// up to 64 in an update. An operation takes that of four.
pub(super) const fn load_of(operations: usize, values: usize) -> usize {
    operations.saturating_mul(4).saturating_add(values)
}

/// Whole transactions, to be merged in one commit.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(super) struct Group {
    pub(super) through: Seq,
    /// Whether it ends with a part of what the next seq changed.
    pub(super) partial: bool,
    /// What the frames cost.
    pub(super) bytes: u64,
    /// How large the payloads are.
    pub(super) encoded: u64,
    /// What it takes in memory.
    pub(super) load: usize,
    /// Whether it came in pieces; then it is merged alone.
    pub(super) large: bool,
    /// Whether it is a piece of a roll; those are merged by themselves, too.
    pub(super) roll: bool,
    pub(super) roots: Roots,
    /// Whether records that changed again later are left out.
    pub(super) left_out: bool,
    pub(super) operations: Vec<Operation>,
}

impl Group {
    /// What this is with what comes after it, if both may be merged in one commit.
    pub(super) fn has_room_for(&self, next: &Self) -> bool {
        let count = self.operations.len() + next.operations.len();
        let (encoded, load) = (self.encoded + next.encoded, self.load + next.load);
        let fits = if self.left_out {
            encoded <= CATCH_UP_BYTES_MAX
                && count <= CATCH_UP_OPERATIONS_MAX
                && load <= CATCH_UP_LOAD_MAX
        } else {
            let apart = self.large || next.large || next.left_out;
            !apart && count <= GROUP_OPERATIONS_MAX && load <= LOAD_MAX
        };
        // A part that is kept back with what is whole doesn't show before the rest.
        let part = next.partial && !self.partial && !self.left_out;
        fits && !self.roll && !part
    }

    /// Adds what comes after it, but for its roots.
    pub(super) fn join(&mut self, next: Self) {
        self.through = next.through;
        self.left_out = next.left_out;
        self.partial &= next.partial;
        self.bytes += next.bytes;
        self.encoded += next.encoded;
        self.load += next.load;
        self.large |= next.large;
        self.operations.extend(next.operations);
    }

    /// Whether it is kept back, for a part of it would show half transactions, and there is
    /// room to wait for the rest.
    pub(super) const fn waits_for_more(&self) -> bool {
        self.left_out && self.encoded < CATCH_UP_BYTES_MAX && self.load < CATCH_UP_LOAD_MAX
    }
}
