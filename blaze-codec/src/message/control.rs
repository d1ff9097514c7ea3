//! Control messages: small, and encoded by postcard.

use serde::{Deserialize, Serialize};

use crate::{Incarnation, Mode, NodeId, Role, Seq};

/// Who speaks, and what it wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest protocol version that the speaker knows.
    pub protocol_min: u16,
    /// The newest protocol version that the speaker knows.
    pub protocol_max: u16,
    /// The speaker's node.
    pub node: NodeId,
    /// The life of the speaker's feed.
    pub incarnation: Incarnation,
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
}

/// Asks for changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The incarnation that `after` belongs to; `None` if nothing is held.
    pub incarnation: Option<Incarnation>,
    /// The latest seq of the other side that is held.
    pub after: Seq,
    /// How many bytes of changes the other side may send before an ack.
    pub credit: u64,
}

/// What was merged and is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The latest seq of the other side that is merged and durable here.
    pub through: Seq,
    /// How many more bytes of changes the other side may send.
    pub credit: u64,
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
    /// Both sides are one node: a copied database file, or a link to oneself.
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
    /// A database was restored from an older backup: its peers hold more of its
    /// feed than there is.
    FeedWentBack,
}
