//! Deliberate bugs, which the simulator switches on to prove that it finds bugs.

use std::cell::Cell;

/// A deliberate bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// A peer isn't told what it may not see any more.
    WithdrawalForgotten,
    /// What a peer is given isn't noted.
    SharesForgotten,
    /// A roll names what its reader may not see.
    RollOfAllCollections,
    /// What a peer sees in part names where it was written first.
    RootsOfPart,
}

thread_local! {
    static ARMED: Cell<Option<Canary>> = const { Cell::new(None) };
}

/// Switches one bug on, or all off, for what runs on this thread.
pub fn arm(canary: Option<Canary>) {
    ARMED.set(canary);
}

/// Whether this bug is on.
pub(crate) fn is(canary: Canary) -> bool {
    ARMED.get() == Some(canary)
}
