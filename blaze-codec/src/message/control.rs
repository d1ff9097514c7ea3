//! Control messages: small, and encoded by postcard.

use serde::{Deserialize, Serialize};

use super::CompressionSet;
use crate::{Checkpoint, History, Mode, NodeId, Role, Seq};

/// Who speaks, and what it wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest protocol version that the speaker knows.
    pub protocol_min: u16,
    /// The newest protocol version that the speaker knows.
    pub protocol_max: u16,
    /// The speaker's node.
    pub node: NodeId,
    /// Node ids that the speaker's file had before it was copied, the latest last, at
    /// most [`Self::FORMER_MAX`].
    pub former: Vec<NodeId>,
    /// The history of the speaker's feed.
    pub history: History,
    /// The database: only replicas of one database sync.
    pub database: String,
    /// The speaker's name, for people.
    pub name: String,
    /// The speaker's role.
    pub role: Role,
    /// What the link carries, seen from the side that connects.
    pub mode: Mode,
    /// The speaker's latest seq.
    pub head: Seq,
    /// The speaker's clock, in milliseconds since 1970.
    pub wall_ms: u64,
    /// The compressions that the speaker can read; none if its version knows of none.
    #[serde(skip)]
    pub reads: CompressionSet,
    /// The [digest](crate::Scope::digest) of the scope that the other side is limited to; 0
    /// if it is to none.
    #[serde(skip)]
    pub scope: u64,
}

impl Hello {
    /// The most former ids.
    pub const FORMER_MAX: usize = 8;
    /// The most bytes of the name, and of the database's, so that a hello fits into a
    /// control message.
    pub const NAME_BYTES_MAX: usize = 256;
}

/// Asks for changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The other side's latest seq that is held and is in its history.
    pub after: Seq,
    /// The place in its feed that was merged last, if any: its feed went back if
    /// that isn't in its history.
    pub last: Option<Checkpoint>,
    /// How many bytes of changes the other side may send before an ack.
    pub credit: u64,
}

/// Lets the other side send its changes. Whoever receives says it after its [`Resume`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// A roll is to come first, of the records that exist and last changed at or before
    /// this seq: the other side has missed tombstones that are gone here, and must hear
    /// which of its records were deleted.
    pub roll: Option<Seq>,
}

/// What was merged and is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The latest seq of the other side that is merged and durable here.
    pub through: Seq,
    /// How many more bytes of changes the other side may send.
    pub credit: u64,
    /// The speaker's latest seq: what it commits later is by one who knows all that is
    /// acknowledged.
    pub head: Seq,
}

/// Why a side ends the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// The reason, for programs.
    pub reason: Reason,
    /// The reason, for people.
    pub message: String,
}

/// Why a session ends, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reason {
    /// The node shuts down or leaves; it may be back.
    Shutdown,
    /// No protocol version is known to both.
    ProtocolVersion,
    /// The databases differ.
    Database,
    /// The mode is not allowed.
    Mode,
    /// The other side has the node id of a live replica: it is a copy, and takes
    /// another one.
    SameNode,
    /// A clock is too far ahead.
    ClockDrift,
    /// The other side broke the protocol.
    Violation,
    /// Nothing was heard for too long.
    Timeout,
    /// The database failed.
    Storage,
    /// Too many sessions.
    Busy,
    /// Both sides are one open database.
    SelfLink,
    /// The other side has another role than was agreed with it.
    Role,
    /// The other side wrote what it may not.
    Scope,
}
