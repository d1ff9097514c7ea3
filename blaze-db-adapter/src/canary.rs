//! Deliberate bugs, which the simulator switches on to prove that it finds bugs.

use std::cell::Cell;

/// A deliberate bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// Writes of fields are ordered by their clocks before their epochs.
    HlcBeforeEpoch,
    /// A delete wins against a later insert.
    DeleteWins,
    /// An insert keeps the fields of an older life.
    OldLifeShines,
    /// A write below the record's life is kept.
    LateFieldKept,
    /// Of writes at the same time the one that comes last wins, whoever wrote it.
    TieByArrival,
    /// A write that was known counts as a change.
    RedeliveredCounts,
    /// An update brings a deleted record back.
    UpdateRevives,
    /// A server stamps its writes as a client does.
    ServerLikeClient,
    /// The clock follows the wall clock back.
    ClockFromWall,
    /// A peer that forgot a delete isn't told it again.
    DeleteToldOnce,
    /// Tombstones go without waiting for peers.
    PurgeWithoutPeers,
    /// What settled once stays so, though the peer went back.
    SettledForGood,
    /// What a peer may write depending on values isn't judged.
    ConditionUnjudged,
    /// What was withdrawn is taken for deleted.
    WithdrawnBuried,
    /// Who wrote what it may not isn't told.
    RefusalUntold,
    /// A peer that is told of a record for the first time isn't told what it missed.
    UnheardIgnored,
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
