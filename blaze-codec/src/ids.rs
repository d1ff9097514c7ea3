//! Identities and positions: nodes, incarnations, seqs, versions, roles, modes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Hlc;

/// One replica, that is, one database file: 16 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct NodeId([u8; 16]);

/// Why a text is not a [`NodeId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a node id is 32 hexadecimal digits, not {text:?}")]
pub struct ParseNodeIdError {
    text: String,
}

impl NodeId {
    /// Below every other node id; the author of nothing.
    pub const ZERO: Self = Self([0; 16]);

    /// The node id of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

impl FromStr for NodeId {
    type Err = ParseNodeIdError;

    fn from_str(text: &str) -> Result<Self, ParseNodeIdError> {
        let error = || ParseNodeIdError { text: text.to_owned() };
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(error());
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| error())?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// Who commits to a feed: random, drawn anew at each opening of its database, so
/// that one seq of one incarnation is one commit, whatever becomes of the file.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Incarnation(#[serde(with = "fixed")] pub u64);

impl Incarnation {
    /// Set in those of a feed that is seen through a scope.
    const SEEN_THROUGH: u64 = 1 << 63;
    /// The bits that tell incarnations of one view from each other; those above tell views. Two
    /// views that are taken for one, in 2²³, only make a peer believe that a feed went back.
    const NUMBER_BITS: u32 = 40;
    const NUMBER: u64 = (1 << Self::NUMBER_BITS) - 1;

    /// One of random bits.
    pub const fn drawn(random: u64) -> Self {
        Self(random & !Self::SEEN_THROUGH)
    }

    /// The one in whose stead a peer sees it through a scope of this
    /// [digest](crate::Scope::digest); itself if that is 0.
    #[must_use]
    pub const fn through(self, scope: u64) -> Self {
        if scope == 0 {
            return self;
        }
        let number = (self.0 ^ (self.0 >> Self::NUMBER_BITS) ^ scope) & Self::NUMBER;
        Self(Self::SEEN_THROUGH | (scope & !Self::NUMBER) | number)
    }

    /// What is mostly equal of incarnations that are seen through one scope, and differs from
    /// those of another; 0 of those that are seen as they are.
    pub const fn view(self) -> u64 {
        if self.0 & Self::SEEN_THROUGH == 0 { 0 } else { self.0 >> Self::NUMBER_BITS }
    }
}

/// A random number in eight bytes: as a varint it would take ten.
mod fixed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(super) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        number.to_le_bytes().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        <[u8; 8]>::deserialize(from).map(u64::from_le_bytes)
    }
}

/// A database's own commit number. The first commit has seq 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first commit.
    pub const ZERO: Self = Self(0);

    /// The seq of the following commit.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in a node's feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Who committed it.
    pub incarnation: Incarnation,
    /// The latest seq that is held.
    pub seq: Seq,
}

/// When and by whom a register was written: the total order of all writes.
///
/// Ordered by epoch, then clock, then node. A server writes with its own clock
/// as the epoch, a client with the greatest epoch that it saw in the record, so
/// a server's write beats each client's that didn't know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version {
    /// The clock of the latest server's write that the writer knew of.
    pub epoch: Hlc,
    /// The writer's clock.
    pub hlc: Hlc,
    /// The writer.
    pub node: NodeId,
}

impl Version {
    /// Below every version that a writer can make: "never".
    pub const ZERO: Self = Self { epoch: Hlc::ZERO, hlc: Hlc::ZERO, node: NodeId::ZERO };
}

/// Whether a node's writes have priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Role {
    /// Its writes beat those of clients that hadn't seen them.
    Server,
    /// Its writes are ordered by their clocks alone.
    #[default]
    Client,
}

/// What a link carries, seen from the side that connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Mode {
    /// Both sides send.
    #[default]
    Bidirectional,
    /// The connecting side only receives.
    ReadOnly,
    /// The connecting side only sends.
    WriteOnly,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bidirectional, Self::ReadOnly, Self::WriteOnly];

    /// Whether the connecting side may send changes.
    pub const fn connector_sends(self) -> bool {
        matches!(self, Self::Bidirectional | Self::WriteOnly)
    }

    /// Whether the accepting side may send changes.
    pub const fn acceptor_sends(self) -> bool {
        matches!(self, Self::Bidirectional | Self::ReadOnly)
    }

    /// The same, seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Bidirectional => Self::Bidirectional,
            Self::ReadOnly => Self::WriteOnly,
            Self::WriteOnly => Self::ReadOnly,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Server => "server",
            Self::Client => "client",
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bidirectional => "bidirectional",
            Self::ReadOnly => "read-only",
            Self::WriteOnly => "write-only",
        })
    }
}
