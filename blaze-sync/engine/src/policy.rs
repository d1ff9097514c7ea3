//! What a peer sees and writes of a node's database.

use std::sync::Arc;

use blaze_codec::{Mode, Name, NodeId, Record, RecordKey, Scope};
use blaze_transport::TransportError;

/// What leaves a node for a peer, and what may come from it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportPolicy {
    /// What the link carries, seen from the side that connects.
    /// Default: [`Mode::Bidirectional`].
    pub mode: Mode,
    /// What the peer sees and writes of this node's database; `None` if all of it. What was
    /// agreed with a peer, by name (see [`NodeOptions::policies`](crate::NodeOptions::policies)),
    /// goes before this. Default: `None`.
    pub scope: Option<Arc<Scope>>,
    /// Whether the peer may withdraw records from this node, if it limits it to a scope: they
    /// are forgotten here then. Default: `true`, for who connects asks for what another has.
    pub yields: bool,
}

/// Whom a listener takes, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Admission {
    /// The modes that peers may ask for.
    pub modes: Vec<Mode>,
    /// What peers see and write, as in [`ExportPolicy::scope`].
    pub scope: Option<Arc<Scope>>,
    /// Whether peers may withdraw records from this node that limit it to a scope. Default:
    /// `false`, for who listens has what others ask for: whatever they say, it keeps that.
    pub yields: bool,
}

/// A record that a peer may not see any more, and so doesn't have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// The peer.
    pub peer: NodeId,
    /// The record's collection.
    pub collection: Name,
    /// The record.
    pub key: RecordKey,
    /// What it was here, if the peer withdrew it from this node, with what was written here and
    /// hadn't got there. `None` if it was this node that withdrew it from the peer, which had
    /// written what it may not.
    pub record: Option<Record>,
}

impl ExportPolicy {
    /// A policy with this mode, that lets the peer see and write everything.
    pub const fn new(mode: Mode) -> Self {
        Self { mode, scope: None, yields: true }
    }

    /// The same with a scope.
    #[must_use]
    pub fn with_scope(self, scope: Scope) -> Self {
        Self { scope: Some(Arc::new(scope)), ..self }
    }
}

impl Default for ExportPolicy {
    fn default() -> Self {
        Self::new(Mode::default())
    }
}

impl From<Mode> for ExportPolicy {
    fn from(mode: Mode) -> Self {
        Self::new(mode)
    }
}

impl Admission {
    /// Takes peers that ask for one of these modes.
    pub fn new(modes: impl Into<Vec<Mode>>) -> Self {
        Self { modes: modes.into(), scope: None, yields: false }
    }

    /// The same, and peers that limit this node may withdraw records from it: for one that
    /// listens to be reached by who owns what it has.
    #[must_use]
    pub fn yielding(self) -> Self {
        Self { yields: true, ..self }
    }

    /// The same, and they see and write no more than a scope.
    #[must_use]
    pub fn with_scope(self, scope: Scope) -> Self {
        Self { scope: Some(Arc::new(scope)), ..self }
    }
}

impl<M: AsRef<[Mode]>> From<M> for Admission {
    fn from(modes: M) -> Self {
        Self::new(modes.as_ref())
    }
}

/// The policy, if its scope keeps the limits.
pub(crate) fn checked(policy: ExportPolicy) -> Result<ExportPolicy, TransportError> {
    policy.scope.as_deref().map_or(Ok(()), |scope| check_scope(scope, "a policy"))?;
    Ok(policy)
}

pub(crate) fn check_scope(scope: &Scope, what: &str) -> Result<(), TransportError> {
    let failed = |error| TransportError::io(format!("use {what}"), std::io::Error::other(error));
    scope.check().map_err(failed)
}
