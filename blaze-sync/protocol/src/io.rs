//! What goes into a session, and what comes out.

use blaze_codec::{Checkpoint, Incarnation, Mode, NodeId, Operation, Role, Seq};
use bytes::Bytes;

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
    /// The connection ended; the reason is for people.
    Disconnected(String),
    /// The answer to [`Output::LoadCheckpoint`].
    Checkpoint(Option<Checkpoint>),
    /// The head of the local feed is at this seq.
    Head(Seq),
    /// The answer to [`Output::Read`].
    Changes(Outgoing),
    /// The answer to [`Output::Merge`]: merged and durable.
    Merged,
    /// The database failed.
    StorageFailed {
        /// Why, for people.
        reason: String,
        /// Whether trying again can help.
        retryable: bool,
    },
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
    /// Look up how far this peer's feed is merged; answer with [`Input::Checkpoint`].
    LoadCheckpoint {
        /// Whose.
        peer: NodeId,
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
    /// Where the feed is merged to afterwards.
    pub checkpoint: Checkpoint,
    /// The operations of whole transactions.
    pub operations: Vec<Operation>,
}

/// A piece of the local feed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outgoing {
    /// Its parts, in the order of their seqs.
    pub items: Vec<OutgoingItem>,
    /// Whether it was read back and the feed went on: then records that changed again
    /// later were left out.
    pub behind: bool,
}

/// The changes of a range of seqs, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingItem {
    /// The range begins after this seq.
    pub after: Seq,
    /// The range ends with this seq.
    pub through: Seq,
    /// The bodies of the frames, as [`encode_changes`](blaze_codec::message::encode_changes)
    /// makes them; none if the peer knows all of it.
    pub frames: Vec<Bytes>,
}

/// What a peer certainly has: its own feed, up to a place. A peer that lost its
/// file, or went back to a backup, has less, and is sent what came from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The peer.
    pub node: NodeId,
    /// The place in its feed.
    pub checkpoint: Checkpoint,
}

impl Known {
    /// Whether the peer has what came from a node's feed when this place in it was
    /// reached.
    pub fn covers(&self, node: NodeId, reached: Checkpoint) -> bool {
        #[cfg(feature = "canary")]
        if self.covers_too_much(node, reached) {
            return true;
        }
        node == self.node
            && reached.incarnation == self.checkpoint.incarnation
            && reached.seq <= self.checkpoint.seq
    }

    #[cfg(feature = "canary")]
    fn covers_too_much(&self, node: NodeId, reached: Checkpoint) -> bool {
        use crate::canary::{Canary, is};
        let same_life = reached.incarnation == self.checkpoint.incarnation;
        is(Canary::CoversEveryNode)
            || (is(Canary::CoversOtherIncarnation) && node == self.node && !same_life)
            || (is(Canary::CoversLaterSeq) && node == self.node && same_life)
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
    /// Everything that the peer had when the session began is merged here, or it
    /// sends nothing.
    CaughtUp,
}

/// Who the other side is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The replica.
    pub node: NodeId,
    /// The life of its feed.
    pub incarnation: Incarnation,
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
}
