//! What a session is told before it starts.

use std::sync::Arc;

use blaze_codec::message::BODY_BYTES_MAX;
use blaze_codec::message::{
    Compression, CompressionSet, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN,
};
use blaze_codec::{History, Mode, NodeId, Role, Scope, Seq};

/// Who this side is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalNode {
    /// The replica.
    pub node: NodeId,
    /// Node ids that its file had before it was copied, the latest last.
    pub former: Vec<NodeId>,
    /// The history of its feed.
    pub history: History,
    /// The database: only replicas of one database sync.
    pub database: String,
    /// A name for people.
    pub name: String,
    /// The role.
    pub role: Role,
    /// The latest durable seq.
    pub head: Seq,
}

/// Which side of the link a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// It made the connection and asks for a mode.
    Connector {
        /// The mode that it asks for.
        mode: Mode,
    },
    /// It accepted the connection.
    Acceptor {
        /// The modes that it allows.
        allowed: Vec<Mode>,
    },
}

impl Side {
    /// An acceptor that allows every mode.
    pub fn acceptor() -> Self {
        Self::Acceptor { allowed: vec![Mode::Bidirectional, Mode::ReadOnly, Mode::WriteOnly] }
    }
}

/// Everything that a session is told before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// Who this side is.
    pub local: LocalNode,
    /// Which side it is.
    pub side: Side,
    /// The role that was agreed with the peer, which is refused in any other; `None` if none
    /// was agreed. Default: `None`.
    pub agreed_role: Option<Role>,
    /// What the peer may see and write of this side's database; `None` if all of it. Of what
    /// it is [told](Scope::told), it sends no more either. Default: `None`.
    pub scope: Option<Arc<Scope>>,
    /// Bounds of time and memory. Default: [`Limits::default`].
    pub limits: Limits,
    /// The oldest and the newest protocol version that it speaks. Default:
    /// [`Self::VERSIONS`].
    pub versions: (u16, u16),
    /// What to compress changes by, if the peer reads it. Default: [`Compression::None`].
    pub compression: Compression,
    /// What the peer may compress its changes by. Default: [`CompressionSet::BUILT`].
    pub reads: CompressionSet,
}

impl SessionConfig {
    /// What this build speaks.
    pub const VERSIONS: (u16, u16) = (PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX);

    /// What it is told with all else at its default.
    pub fn new(local: LocalNode, side: Side) -> Self {
        Self {
            local,
            side,
            agreed_role: None,
            scope: None,
            limits: Limits::default(),
            versions: Self::VERSIONS,
            compression: Compression::None,
            reads: CompressionSet::BUILT,
        }
    }
}

/// Bounds of time and memory, each with a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of changes that the peer may send before they are acknowledged, as they are
    /// when nothing is compressed; at least two frames. Default: 4 MiB.
    pub window_bytes: u64,
    /// How long both hellos may take, in milliseconds. Default: 5,000.
    pub handshake_ms: u64,
    /// After how long without sending a ping goes out, in milliseconds.
    /// Default: 15,000.
    pub heartbeat_ms: u64,
    /// After how long without hearing anything the peer counts as gone, in
    /// milliseconds. Default: 45,000.
    pub silence_ms: u64,
}

/// The most credit that a peer's grants add up to, in bytes: what a peer that reads
/// nothing can make this side queue.
pub const CREDIT_BYTES_MAX: u64 = 16 * BODY_BYTES_MAX as u64;

impl Default for Limits {
    fn default() -> Self {
        Self {
            window_bytes: 4 * BODY_BYTES_MAX as u64,
            handshake_ms: 5_000,
            heartbeat_ms: 15_000,
            silence_ms: 45_000,
        }
    }
}
