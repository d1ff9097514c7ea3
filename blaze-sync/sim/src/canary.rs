//! Deliberate bugs: a simulator that finds none of them proves nothing.

use std::fmt;
use std::str::FromStr;

pub use blaze_db_adapter::canary::Canary as Merge;
pub use blaze_sync_engine::canary::Canary as Engine;
pub use blaze_sync_protocol::canary::Canary as Session;

/// A deliberate bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// In the simulator's own driver and storage.
    Driver(Driver),
    /// In what the engine reads for a session.
    Engine(Engine),
    /// In the sessions.
    Session(Session),
    /// In merging and stamping.
    Merge(Merge),
}

/// A deliberate bug in the simulator's own driver and storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// A merge doesn't store the checkpoint.
    CheckpointSkipped,
    /// The checkpoint is stored in a transaction before the merge.
    CheckpointFirst,
    /// A merge is answered before it is durable.
    MergeAckedEarly,
    /// A commit is answered before it is durable.
    CommitAckedEarly,
    /// A node at level `Disk` sends what is not on its disk yet.
    SendsUndurable,
    /// After a power cut at level `Process` a node goes on in the same incarnation.
    ReusesSeqs,
    /// Half of a batch is merged, with its whole checkpoint.
    HalfBatchMerged,
    /// A batch is merged in two commits.
    BatchCutInTwo,
    /// A session resumes from what arrived instead of what was merged.
    ResumesFromReceived,
    /// A session that fell out of the ring goes on at its end.
    RingGapSkipped,
    /// A session goes on with single commits though records were left out before.
    BehindForgotten,
    /// A merge for which the disk has no room is answered as done.
    FullSwallowed,
    /// Of a commit for which the disk has no room, half is written.
    HalfCommitted,
    /// The driver never looks at the session's timeouts.
    TimerForgotten,
    /// A peer isn't registered.
    RegistrationForgotten,
    /// A purge doesn't note up to where it removed tombstones.
    PurgeForgotten,
    /// Of several sessions with a peer, the one that is furthest counts.
    SettledByAnySession,
    /// The lease of a peer that is there but acknowledges nothing runs out.
    LeaseOfPresent,
}

impl Canary {
    /// All of them.
    pub const ALL: [Self; 64] = [
        Self::Driver(Driver::CheckpointSkipped),
        Self::Driver(Driver::CheckpointFirst),
        Self::Driver(Driver::MergeAckedEarly),
        Self::Driver(Driver::CommitAckedEarly),
        Self::Driver(Driver::SendsUndurable),
        Self::Driver(Driver::ReusesSeqs),
        Self::Driver(Driver::HalfBatchMerged),
        Self::Driver(Driver::BatchCutInTwo),
        Self::Driver(Driver::ResumesFromReceived),
        Self::Driver(Driver::RingGapSkipped),
        Self::Driver(Driver::BehindForgotten),
        Self::Driver(Driver::FullSwallowed),
        Self::Driver(Driver::HalfCommitted),
        Self::Driver(Driver::TimerForgotten),
        Self::Driver(Driver::RegistrationForgotten),
        Self::Driver(Driver::PurgeForgotten),
        Self::Driver(Driver::SettledByAnySession),
        Self::Driver(Driver::LeaseOfPresent),
        Self::Session(Session::GapAccepted),
        Self::Session(Session::AckOfReceived),
        Self::Session(Session::CreditKept),
        Self::Session(Session::CreditIgnored),
        Self::Session(Session::ModeIgnored),
        Self::Session(Session::IncarnationIgnored),
        Self::Session(Session::DriftUnchecked),
        Self::Session(Session::CoversOtherIncarnation),
        Self::Session(Session::CoversLaterSeq),
        Self::Session(Session::CoversEveryNode),
        Self::Session(Session::PlacesOfAnyIncarnation),
        Self::Session(Session::KeptBackForGood),
        Self::Session(Session::LeftOutMergedApart),
        Self::Session(Session::TailDropped),
        Self::Session(Session::KnownTooMuch),
        Self::Session(Session::UntoldNeverTold),
        Self::Session(Session::SilenceIgnored),
        Self::Session(Session::SettledOnceAcked),
        Self::Session(Session::RollNotCalled),
        Self::Session(Session::RollOfEverything),
        Self::Session(Session::SentBeforeRoll),
        Self::Session(Session::ScopeIgnored),
        Self::Session(Session::FeedUnmapped),
        Self::Session(Session::ScopedFeedResumed),
        Self::Session(Session::CompressionUnasked),
        Self::Session(Session::DefinitionsForgotten),
        Self::Merge(Merge::HlcBeforeEpoch),
        Self::Merge(Merge::DeleteWins),
        Self::Merge(Merge::OldLifeShines),
        Self::Merge(Merge::LateFieldKept),
        Self::Merge(Merge::TieByArrival),
        Self::Merge(Merge::RedeliveredCounts),
        Self::Merge(Merge::UpdateRevives),
        Self::Merge(Merge::ServerLikeClient),
        Self::Merge(Merge::ClockFromWall),
        Self::Merge(Merge::DeleteToldOnce),
        Self::Merge(Merge::PurgeWithoutPeers),
        Self::Merge(Merge::SettledForGood),
        Self::Merge(Merge::ConditionUnjudged),
        Self::Merge(Merge::WithdrawnBuried),
        Self::Merge(Merge::RefusalUntold),
        Self::Merge(Merge::UnheardIgnored),
        Self::Engine(Engine::WithdrawalForgotten),
        Self::Engine(Engine::SharesForgotten),
        Self::Engine(Engine::RollOfAllCollections),
        Self::Engine(Engine::RootsOfPart),
    ];
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Driver(canary) => format!("{canary:?}"),
            Self::Engine(canary) => format!("{canary:?}"),
            Self::Session(canary) => format!("{canary:?}"),
            Self::Merge(canary) => format!("{canary:?}"),
        };
        let mut dashed = String::new();
        for (at, letter) in name.char_indices() {
            if at > 0 && letter.is_ascii_uppercase() {
                dashed.push('-');
            }
            dashed.push(letter.to_ascii_lowercase());
        }
        f.pad(&dashed)
    }
}

impl FromStr for Canary {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|canary| canary.to_string() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(|canary| canary.to_string()).join(", ");
            format!("there is no canary {text:?}; there are: {names}")
        })
    }
}

/// Keeps a canary armed on this thread.
#[derive(Debug)]
pub(crate) struct Armed;

impl Armed {
    pub(crate) fn new(canary: Option<Canary>) -> Self {
        blaze_sync_protocol::canary::arm(match canary {
            Some(Canary::Session(canary)) => Some(canary),
            _ => None,
        });
        blaze_sync_engine::canary::arm(match canary {
            Some(Canary::Engine(canary)) => Some(canary),
            _ => None,
        });
        blaze_db_adapter::canary::arm(match canary {
            Some(Canary::Merge(canary)) => Some(canary),
            _ => None,
        });
        Self
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        blaze_sync_protocol::canary::arm(None);
        blaze_sync_engine::canary::arm(None);
        blaze_db_adapter::canary::arm(None);
    }
}
