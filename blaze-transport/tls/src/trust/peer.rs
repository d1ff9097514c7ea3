//! What was agreed with a peer.

use blaze_codec::{Mode, Role};
use blaze_transport::{Endpoint, check_policy_name};

use super::TrustError;

/// The longest name of a peer, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// No peer's name, as a name has at least a character.
const UNNAMED: &str = "";

/// A peer that this node trusts.
///
/// Role, mode and policy are what people agreed on as they paired the nodes. The peer is let in
/// only in that role, and a link with it carries no more than that mode, and of that no more than
/// that policy lets through, whichever of the two connects or asks for more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustedPeer {
    /// What this node calls it.
    pub name: String,
    /// What it was agreed to be.
    pub role: Role,
    /// What was agreed that a link with it carries, seen from the peer: [`Mode::ReadOnly`] if
    /// it only receives.
    pub mode: Mode,
    /// The name of the policy by which it sees and writes this node's database, if one was
    /// agreed: the transport names it, and who drives the session has to know it.
    pub policy: Option<String>,
    /// Where it listens, if that is known.
    pub endpoint: Option<Endpoint>,
}

impl TrustedPeer {
    /// A client with a link in both directions, until told otherwise.
    pub fn new(name: impl Into<String>) -> Self {
        let (role, mode) = (Role::Client, Mode::Bidirectional);
        Self { name: name.into(), role, mode, policy: None, endpoint: None }
    }

    /// One of which no name is known yet: when it redeems a ticket, it's called by the
    /// [first words](crate::Fingerprint::short) of its key.
    pub fn unnamed() -> Self {
        Self::new(UNNAMED)
    }

    pub(crate) fn is_unnamed(&self) -> bool {
        self.name == UNNAMED
    }

    /// Sets what it was agreed to be. Default: [`Role::Client`].
    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// Sets what was agreed that a link with it carries. Default: [`Mode::Bidirectional`].
    pub fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Sets the name of the policy by which it sees and writes this node's database: 1 to 64
    /// letters, digits, `-`, `_` and `.`. Default: none was agreed.
    pub fn with_policy(self, policy: impl Into<String>) -> Self {
        Self { policy: Some(policy.into()), ..self }
    }

    /// Sets where it listens. Default: not known.
    pub fn with_endpoint(self, endpoint: Endpoint) -> Self {
        Self { endpoint: Some(endpoint), ..self }
    }

    /// Checks that its policy, if it has one, can be called so.
    pub(crate) fn check_policy(&self) -> Result<(), TrustError> {
        Ok(self.policy.as_deref().map_or(Ok(()), check_policy_name)?)
    }
}

/// Checks that a peer can have the name.
pub(super) fn check_name(name: &str) -> Result<(), TrustError> {
    let problem = match name {
        "" => "it is empty",
        _ if name.len() > NAME_BYTES_MAX => "it has more than 64 bytes",
        _ if name.chars().any(char::is_control) => "it has control characters",
        _ if name.trim() != name => "it begins or ends with white space",
        _ => return Ok(()),
    };
    Err(TrustError::NameInvalid { name: name.to_owned(), problem })
}
