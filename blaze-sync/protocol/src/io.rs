//! What goes into a session, and what comes out.

use std::sync::Arc;

use blaze_codec::message::{Compression, Encoded};
use blaze_codec::{Checkpoint, History, Mode, NodeId, Operation, Role, Seq};
use bytes::Bytes;

use crate::roots::Places;

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// A clock that never goes back, in milliseconds; for timeouts.
    pub mono_ms: u64,
    /// The wall clock, in milliseconds since 1970; to judge timestamps.
    pub wall_ms: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// A frame arrived.
    Frame(Bytes),
    /// A frame begins that is longer than a hello may be, before there was one.
    TooLong,
    /// A part of a frame arrived, as much as a slow link brings.
    Progress,
    /// The connection ended; the reason is for people.
    Disconnected(String),
    /// The answer to [`Output::LoadCheckpoints`]. [`Input::Head`] comes before it, with the
    /// head after they were read.
    Checkpoints {
        /// The last place that was reached of each incarnation, the latest that was
        /// merged first.
        places: Vec<Checkpoint>,
        /// Whether they are of a former id.
        former: bool,
        /// The last [`Batch::step`] of this peer that was merged, if that is known still.
        step: Option<Checkpoint>,
    },
    /// The head of the local feed is at this seq.
    Head(Seq),
    /// The answer to [`Output::Read`].
    Changes(Outgoing),
    /// The answer to [`Output::Merge`]: merged and durable.
    Merged {
        /// The head of the local feed after it.
        head: Seq,
    },
    /// The answer to [`Output::Register`]: the local seq up to which tombstones are gone.
    Registered(Seq),
    /// The answer to [`Output::ReadRoll`]. Its frames are those of
    /// [`encode_roll`](blaze_codec::message::encode_roll), one an item.
    Roll(Outgoing),
    /// The database failed.
    StorageFailed {
        /// Why, for people.
        reason: String,
        /// Whether trying again can help.
        retryable: bool,
    },
    /// The peer's node id is that of another live replica, whose feed is another one.
    Copied,
    /// This side took another node id; the next session says hello by that.
    Renewed,
    /// The moment of [`Session::poll_timeout`](crate::Session::poll_timeout) has come.
    Timeout,
    /// This side shuts down.
    Close,
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send a frame.
    Send(Bytes),
    /// Look up how far this peer's feed is merged; answer with [`Input::Checkpoints`].
    LoadCheckpoints {
        /// Whose.
        peer: NodeId,
        /// If nothing is known of that, these: ids that its file had before, the
        /// latest last.
        former: Vec<NodeId>,
    },
    /// Read the local feed; answer with [`Input::Changes`].
    Read {
        /// From after this seq on.
        after: Seq,
        /// About so many bytes; at least one seq if there is any.
        bytes: u64,
        /// What needn't be encoded, for the peer has it.
        known: Known,
        /// Whether only records that are read back whole will do: of what lies before,
        /// the peer may lack records that changed again later, for they were left
        /// out. A single commit would tell it of their last change only.
        behind: bool,
        /// Whether something was [left out](Outgoing::left_out) of what was read before,
        /// so that it comes only with what follows.
        left_out: bool,
        /// Up to where nothing was left out of what the peer had or was sent: of what it is to
        /// forget since then, it may not have been told.
        since: Seq,
    },
    /// Note, durably, that a session with the peer begins, so that no tombstone goes any
    /// more that it lacks; answer with [`Input::Registered`].
    Register {
        /// The peer.
        peer: NodeId,
        /// Its name, for people.
        name: String,
        /// The local seq up to which it holds the feed; zero if it receives nothing.
        holds: Seq,
    },
    /// Name the records that exist and last changed in a range of the local feed;
    /// answer with [`Input::Roll`], as far as one read goes.
    ReadRoll {
        /// From after this seq on.
        after: Seq,
        /// To this seq.
        through: Seq,
    },
    /// Merge a batch in one transaction; answer with [`Input::Merged`].
    Merge(Batch),
    /// Something that an onlooker wants to know.
    Event(Event),
    /// Send nothing more: half-close the connection.
    Finish,
}

/// Changes to be merged in one transaction, with the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Whose feed it is.
    pub peer: NodeId,
    /// Where the feed is merged to afterwards; `None` if the operations are a part of
    /// what the next seq changed, a step or a roll.
    pub checkpoint: Option<Checkpoint>,
    /// Where catching up has come to afterwards, if records are left out that changed
    /// again later. It isn't stored: should the peer lose those changes and go back to a
    /// backup, nothing would tell that the records are missing. As long as the process and
    /// the peer's go on, a new session can go on from here.
    pub step: Option<Checkpoint>,
    /// Where they were written first: places in feeds, up to which all of them lie, and
    /// all of which is merged afterwards. None if something is still missing.
    pub roots: Vec<Checkpoint>,
    /// The operations of whole transactions, or of that part.
    pub operations: Vec<Operation>,
    /// The local seq up to which the peer has acknowledged the feed; where one side limits the
    /// other, up to which nothing of that was left out.
    pub holds: Seq,
    /// Whether the operations are a roll: all of it was merged here before, so that what
    /// isn't known was deleted and forgotten, and the peer is to hear of it.
    pub roll: bool,
}

/// A piece of the local feed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outgoing {
    /// Its parts, in the order of their seqs.
    pub items: Vec<OutgoingItem>,
    /// Whether it was read back and the feed went on: then what follows is to be read back,
    /// too.
    pub behind: bool,
    /// Whether records may be left out of it, or of what was read before, that changed
    /// again later. Its ranges say so, too.
    pub left_out: bool,
}

/// The changes of a range of seqs, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingItem {
    /// The range begins after this seq.
    pub after: Seq,
    /// The range ends with this seq.
    pub through: Seq,
    /// The bodies of its frames, and what the peer has to be told before; none if the peer
    /// knows all of it.
    pub encoded: Encoded,
    /// Where its operations were written first, as its frames say.
    pub roots: Vec<Checkpoint>,
}

/// What a peer certainly has: its own feed, and what it told of others. A peer that lost
/// its file, or went back to a backup, has less, and is sent what came from it. Cheap to
/// clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The history of its feed.
    pub history: Arc<History>,
    pub(crate) places: Arc<Places>,
}

impl Known {
    /// Whether the peer has all that was written first up to these places, if there are
    /// any.
    pub fn covers_all(&self, roots: &[Checkpoint]) -> bool {
        !roots.is_empty() && roots.iter().all(|root| self.covers(*root))
    }

    /// Whether the peer has what came from a feed when this place in it was reached:
    /// an incarnation is in one feed, and in those of its file's copies.
    pub fn covers(&self, reached: Checkpoint) -> bool {
        self.is_of(reached) || self.places.cover(reached)
    }

    /// Whether that feed is the peer's own, and it has that still.
    pub fn is_of(&self, reached: Checkpoint) -> bool {
        #[cfg(feature = "canary")]
        if self.covers_too_much(reached) {
            return true;
        }
        // Whoever commits now has all that it ever did: had it lost something, it would be
        // another incarnation. What others got of it may be ahead of what it sent here.
        self.history.covers(reached, Seq(u64::MAX))
    }

    #[cfg(feature = "canary")]
    fn covers_too_much(&self, reached: Checkpoint) -> bool {
        use crate::canary::{Canary, is};
        let known = |span: &blaze_codec::Span| span.incarnation == reached.incarnation;
        let latest = self.history.spans().last().map(|span| span.first).unwrap_or_default();
        let known = self.history.spans().iter().any(known);
        is(Canary::CoversEveryNode)
            || (is(Canary::CoversOtherIncarnation) && !known && reached.seq <= latest)
            || (is(Canary::CoversLaterSeq) && known)
    }
}

/// Something that an onlooker wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Both sides said hello.
    Established(Peer),
    /// The peer has merged, durably, everything up to this seq.
    PeerAcked(Seq),
    /// The peer's feed is merged here, durably, up to this seq.
    Received(Seq),
    /// The peer has everything up to this seq for good: nothing that it wrote without
    /// knowing of that can come any more. Tombstones up to there needn't be kept for it.
    Settled(Seq),
    /// The peer was away for so long, or went back so far, that it has missed tombstones
    /// which are gone. It is asked which records it has, and told which were deleted.
    MissedTombstones,
    /// Everything that the peer had when the session began is merged here, or it
    /// sends nothing.
    CaughtUp,
    /// The peer's feed isn't the one that was merged here any more: its database was
    /// restored from an older backup, or lost its last commits. It goes on from the
    /// last seq that is common, and is sent what it has lost.
    PeerWentBack {
        /// What was merged of its feed.
        held: Seq,
        /// The last seq up to which it is still the same.
        common: Seq,
    },
    /// This side's feed isn't the one that the peer had merged any more.
    WentBack {
        /// What the peer had merged.
        held: Seq,
        /// The last seq up to which it is still the same.
        common: Seq,
    },
}

/// Who the other side is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The replica.
    pub node: NodeId,
    /// Node ids that its file had before it was copied, the latest last.
    pub former: Vec<NodeId>,
    /// The history of its feed.
    pub history: Arc<History>,
    /// The history of its feed as far as this link shows it: another feed, if a side is
    /// limited to a scope.
    pub feed: Arc<History>,
    /// Whether it limits this side to a scope.
    pub limits: bool,
    /// Its name, for people.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// What the link carries, seen from the side that connected.
    pub mode: Mode,
    /// The protocol version that both speak.
    pub protocol: u16,
    /// Its latest seq when it said hello.
    pub head: Seq,
    /// How far its clock was ahead of this side's, in milliseconds.
    pub clock_ahead_ms: i64,
    /// What changes to it are compressed by, where that pays.
    pub compression: Compression,
}

impl Peer {
    /// Whether this one, whose feed has reached a seq, and an older session's peer of the
    /// same id can't be one replica: the older one's feed has reached what this one's
    /// doesn't have. (The older session may be dead; then this one lost commits.)
    pub fn contradicts(&self, reached: Seq, (older, older_reached): (&Self, Seq)) -> bool {
        older.node == self.node
            && older_reached > Seq::ZERO
            && older.history.latest() != self.history.latest()
            && !self.history.covers(older.history.place(older_reached), reached)
    }
}
