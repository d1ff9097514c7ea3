//! Why a topology can't be changed as asked.

use blaze_codec::Mode;

use crate::NodeKey;

/// Why a [`Topology`](crate::Topology) can't be changed as asked. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// The name is empty.
    #[error("a node's name must have at least 1 character")]
    EmptyName,
    /// The name is longer than [`Node::NAME_CHARS_MAX`](crate::Node::NAME_CHARS_MAX).
    #[error("the node name {name:?} has {found} characters, at most {max} are allowed")]
    NameTooLong {
        /// The name.
        name: String,
        /// Characters found.
        found: usize,
        /// Characters allowed.
        max: usize,
    },
    /// The name has a character that can't be seen, such as a line break.
    #[error("the node name {name:?} contains {character:?}, which can't be printed; remove it")]
    UnprintableName {
        /// The name.
        name: String,
        /// The first such character.
        character: char,
    },
    /// Another node has the name.
    #[error("there are two nodes named {name:?}; names must be unique")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The key belongs to no node of this topology.
    #[error("{key} is not in this topology; it was removed, or belongs to another one")]
    UnknownNode {
        /// The key.
        key: NodeKey,
    },
    /// No node has the name.
    #[error("there is no node named {name:?}; add it before linking it")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// Both ends of the link are one node.
    #[error("{name:?} can't be linked to itself")]
    SelfLink {
        /// The name of the node.
        name: String,
    },
    /// The two nodes are linked already, in this or the other direction.
    #[error("{from:?} is already linked to {to:?} ({mode}); remove that link first")]
    LinkExists {
        /// The connecting side of the link that exists.
        from: String,
        /// The accepting side of the link that exists.
        to: String,
        /// What the link that exists carries.
        mode: Mode,
    },
    /// The two nodes are not linked.
    #[error("{a:?} and {b:?} are not linked")]
    NoLink {
        /// The name of one node.
        a: String,
        /// The name of the other.
        b: String,
    },
    /// A tree in which no node may have children.
    #[error("a tree with a fanout of 0 has no links; use 1 or more")]
    ZeroFanout,
}
