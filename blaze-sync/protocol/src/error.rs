//! Why a session ended.

use blaze_codec::message::{Goodbye, Reason};
use blaze_codec::{ClockDrift, DecodeError, Role};

/// Why a session ended. Nothing that was acknowledged is lost by it; the next
/// session resumes at the checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// This side was asked to close.
    #[error("closed by this side")]
    Closed,
    /// The connection ended without a goodbye.
    #[error("the connection was lost: {reason}")]
    Disconnected {
        /// Why.
        reason: String,
    },
    /// The peer ended the session.
    #[error("the peer ended the session: {message}")]
    PeerLeft {
        /// Why, for programs.
        reason: Reason,
        /// Why, for people.
        message: String,
    },
    /// Nothing was heard from the peer for too long.
    #[error("nothing heard from the peer for {silence_ms} ms")]
    Timeout {
        /// For how long, in milliseconds.
        silence_ms: u64,
    },
    /// No protocol version is known to both.
    #[error(
        "the peer speaks protocol versions {theirs_min} to {theirs_max}, this side {ours_min} to {ours_max}; update the older side"
    )]
    ProtocolVersion {
        /// The peer's oldest.
        theirs_min: u16,
        /// The peer's newest.
        theirs_max: u16,
        /// This side's oldest.
        ours_min: u16,
        /// This side's newest.
        ours_max: u16,
    },
    /// The peer has another database.
    #[error(
        "the peer has the database {theirs:?}, this side {ours:?}; only replicas of one database sync"
    )]
    Database {
        /// The peer's.
        theirs: String,
        /// This side's.
        ours: String,
    },
    /// The peer has this side's node id: one of the files is a copy of the other.
    #[error("both sides are node {node}: one database file is a copy of the other")]
    SameNode {
        /// The node id of both.
        node: String,
    },
    /// The peer has the node id of another live replica.
    #[error("node {node} is connected already, with another feed: one of the two is a copy")]
    Copied {
        /// The node id of both.
        node: String,
    },
    /// This side took another node id.
    #[error("this replica was found to be a copy and took a node id of its own")]
    Renewed,
    /// The peer is this open database.
    #[error("both sides are one open database; name another endpoint")]
    SelfLink,
    /// The mode isn't allowed.
    #[error("a {mode} link is not allowed here")]
    Mode {
        /// The mode that was asked for.
        mode: String,
    },
    /// The peer has another role than was agreed with it.
    #[error(
        "the peer comes as a {theirs}, and was agreed to be a {agreed}; change its role back, or agree on another"
    )]
    Role {
        /// The role that it has.
        theirs: Role,
        /// The one that was agreed.
        agreed: Role,
    },
    /// The policy that was agreed with the peer isn't known.
    #[error(
        "the policy {name:?} was agreed with the peer, and isn't defined here; define it, or agree on another"
    )]
    Policy {
        /// Its name.
        name: String,
    },
    /// The peer wrote what it may not.
    #[error("the peer wrote {what}, which its policy doesn't let it")]
    Scope {
        /// What it wrote.
        what: String,
    },
    /// An operation lies too far in the future.
    #[error(transparent)]
    ClockDrift(#[from] ClockDrift),
    /// The peer sent what can't be decoded.
    #[error("the peer sent what can't be decoded")]
    Decode(#[from] DecodeError),
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {rule}")]
    Violation {
        /// The rule that it broke.
        rule: &'static str,
    },
    /// The local database failed.
    #[error("the local database failed: {reason}")]
    Storage {
        /// Why.
        reason: String,
        /// Whether trying again can help.
        retryable: bool,
    },
}

impl SessionError {
    /// Whether connecting again can help without anybody changing something.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Storage { retryable, .. } => *retryable,
            // The copy takes another id.
            Self::SameNode { .. }
            | Self::Copied { .. }
            | Self::Renewed
            | Self::Disconnected { .. }
            | Self::Timeout { .. }
            | Self::ClockDrift(_)
            | Self::Decode(_)
            | Self::Violation { .. } => true,
            Self::PeerLeft { reason, .. } => !matches!(
                reason,
                Reason::ProtocolVersion
                    | Reason::Database
                    | Reason::Mode
                    | Reason::SelfLink
                    | Reason::Role
                    | Reason::Scope
            ),
            Self::Closed
            | Self::ProtocolVersion { .. }
            | Self::Database { .. }
            | Self::SelfLink
            | Self::Mode { .. }
            | Self::Role { .. }
            | Self::Policy { .. }
            | Self::Scope { .. } => false,
        }
    }

    /// What to tell the peer, if it is still there.
    pub fn goodbye(&self) -> Option<Goodbye> {
        let reason = match self {
            Self::Disconnected { .. } | Self::PeerLeft { .. } => return None,
            Self::Closed | Self::Renewed => Reason::Shutdown,
            Self::Timeout { .. } => Reason::Timeout,
            Self::ProtocolVersion { .. } => Reason::ProtocolVersion,
            Self::Database { .. } => Reason::Database,
            Self::SameNode { .. } | Self::Copied { .. } => Reason::SameNode,
            Self::SelfLink => Reason::SelfLink,
            Self::Mode { .. } => Reason::Mode,
            Self::Role { .. } => Reason::Role,
            Self::Policy { .. } | Self::Scope { .. } => Reason::Scope,
            Self::ClockDrift(_) => Reason::ClockDrift,
            Self::Decode(_) | Self::Violation { .. } => Reason::Violation,
            Self::Storage { .. } => Reason::Storage,
        };
        Some(Goodbye { reason, message: truncated(self.peer_message(), MESSAGE_BYTES_MAX) })
    }

    /// The message from the peer's point of view; it tells nothing that the peer
    /// doesn't know, such as which databases exist here.
    fn peer_message(&self) -> String {
        match self {
            Self::Closed
            | Self::Renewed
            | Self::Disconnected { .. }
            | Self::PeerLeft { .. } => {
                "the other side closed".to_owned()
            }
            Self::Timeout { silence_ms } => format!("nothing heard from you for {silence_ms} ms"),
            Self::ProtocolVersion { theirs_min, theirs_max, ours_min, ours_max } => format!(
                "you speak protocol versions {theirs_min} to {theirs_max}, the other side {ours_min} to {ours_max}; update the older side"
            ),
            Self::Database { theirs, .. } => format!("the database {theirs:?} is not served here"),
            Self::SameNode { .. } | Self::Copied { .. } => {
                "your node id is that of another live replica: your database file is a copy, and needs an id of its own".to_owned()
            }
            Self::SelfLink => self.to_string(),
            Self::Mode { mode } => format!("a {mode} link is not allowed by the other side"),
            Self::Role { theirs, agreed } => format!(
                "you come as a {theirs}, and were agreed to be a {agreed}; change your role back, or agree on another"
            ),
            Self::Policy { .. } => {
                "the other side has lost the policy that was agreed with you".to_owned()
            }
            Self::Scope { what } => format!("the other side's policy doesn't let you write {what}"),
            Self::ClockDrift(drift) => format!(
                "your clock is ahead: {} ms there, {} ms here, at most {} ms apart are allowed; set both clocks, nothing is lost until then",
                drift.theirs_ms, drift.ours_ms, drift.allowed_ms
            ),
            Self::Decode(error) => format!("what you sent can't be decoded: {error}"),
            Self::Violation { rule } => format!("you broke the protocol: {rule}"),
            Self::Storage { .. } => "the other side's database failed".to_owned(),
        }
    }
}

/// The most bytes of a goodbye's message, so that it fits into a control message.
const MESSAGE_BYTES_MAX: usize = 1024;

/// The text, or as much of its beginning as so many bytes hold.
pub(crate) fn truncated(text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text;
    }
    let characters = text.char_indices();
    let kept = characters.take_while(|(at, _)| *at < bytes_max - 8);
    kept.map(|(_, character)| character).chain(['…']).collect()
}
