//! Deliberate bugs, which the simulator switches on to prove that it finds bugs.

use std::cell::Cell;

/// A deliberate bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// Changes are taken though earlier ones are missing.
    GapAccepted,
    /// What arrived is acknowledged before it is merged.
    AckOfReceived,
    /// Credit is never given back.
    CreditKept,
    /// More is sent than the credit allows, and nobody refuses it.
    CreditIgnored,
    /// Both sides send and receive, whatever the mode.
    ModeIgnored,
    /// A checkpoint of another life of a feed counts for this one.
    IncarnationIgnored,
    /// Operations from the future are taken.
    DriftUnchecked,
    /// A peer is taken to have what came from an earlier life of its feed.
    CoversOtherIncarnation,
    /// A peer is taken to have what came from it beyond its head.
    CoversLaterSeq,
    /// A peer is taken to have what came from any peer.
    CoversEveryNode,
    /// A peer that told of a place in one feed is taken to have any feed up to there.
    PlacesOfAnyIncarnation,
    /// What is kept back, as the peer may get it by another way, is never sent.
    KeptBackForGood,
    /// What leaves something out is merged before the rest is there.
    LeftOutMergedApart,
    /// The last operation of a transaction in pieces is dropped.
    TailDropped,
    /// What was sent counts as acknowledged.
    KnownTooMuch,
    /// A checkpoint is never told to pass what its owner knows.
    UntoldNeverTold,
    /// A peer that is silent never counts as gone.
    SilenceIgnored,
    /// Tombstones may go once they are acknowledged, though older writes are on their way.
    SettledOnceAcked,
    /// A peer that missed tombstones isn't asked for its roll.
    RollNotCalled,
    /// A roll is of everything, merged before or not.
    RollOfEverything,
    /// A peer that missed tombstones is sent changes before its roll is merged.
    SentBeforeRoll,
    /// What a peer's scope leaves out is taken from it.
    ScopeIgnored,
    /// A feed that is seen through a scope has the places of the whole one.
    FeedUnmapped,
    /// A feed through a scope that went back is asked for only from there on.
    ScopedFeedResumed,
    /// Changes are compressed for a peer that can't read it.
    CompressionUnasked,
    /// What every fifth seq needs counts as told of the feed's dictionary.
    DefinitionsForgotten,
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
