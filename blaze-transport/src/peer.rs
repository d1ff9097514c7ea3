//! What a transport knows of the process at the other end.

use std::fmt;

use blaze_codec::{Mode, Role};

/// Who a peer is, as far as its transport vouches for that: what rights are bound to.
///
/// Two connections of one principal are of the same party, whichever process, group or port
/// they come from. It is written as `uid:1000`, or `key:` and the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Principal {
    /// A user of this device, named by its kernel when the peer connected, or listened.
    User(u32),
    /// Who holds the private part of a key, as text that names the key.
    Key(String),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid:{uid}"),
            Self::Key(key) => write!(f, "key:{key}"),
        }
    }
}

/// What a transport knows of a connection's peer.
///
/// The principal and the gid come from who can vouch for them and may decide what the peer is
/// allowed. The pid is a snapshot of the time of connecting and may have been reused since: log
/// it, decide nothing by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    description: String,
    principal: Option<Principal>,
    gid: Option<u32>,
    pid: Option<u32>,
    mode: Option<Mode>,
    role: Option<Role>,
    policy: Option<String>,
}

impl PeerInfo {
    /// A peer of which only a description for people is known, such as `127.0.0.1:52114`.
    pub fn new(description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            principal: None,
            gid: None,
            pid: None,
            mode: None,
            role: None,
            policy: None,
        }
    }

    /// Adds the key that the peer has proved to hold, as the [principal](Self::principal).
    /// Default: unknown.
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.principal = Some(Principal::Key(key.into()));
        self
    }

    /// Adds the user, as the [principal](Self::principal), and the group that the kernel names.
    /// Default: unknown.
    pub fn with_user(mut self, uid: u32, gid: u32) -> Self {
        self.principal = Some(Principal::User(uid));
        self.gid = Some(gid);
        self
    }

    /// Adds the process id that the kernel names. Default: unknown.
    pub fn with_pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// Adds what was agreed that a link with this peer carries, seen from the peer: one that
    /// is read-only only receives, whichever side connects. Default: nothing was agreed.
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Adds the role that was agreed with this peer, in which alone it's let in. Default: none
    /// was agreed.
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    /// Adds the name of the policy by which the peer sees and writes. Default: none was agreed.
    pub fn with_policy(mut self, name: impl Into<String>) -> Self {
        self.policy = Some(name.into());
        self
    }

    /// Whether a link of this mode, seen from the peer, carries no more than what was agreed
    /// with it.
    pub fn allows(&self, mode: Mode) -> bool {
        let Some(agreed) = self.mode else { return true };
        agreed.connector_sends() >= mode.connector_sends()
            && agreed.acceptor_sends() >= mode.acceptor_sends()
    }

    /// The role that was agreed with the peer, if one was.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// The name of the policy by which the peer sees and writes, if one was agreed.
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// Whom this is, for logs and messages.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Who the peer is, where the transport can vouch for it. What may be read and written is
    /// to be decided by this.
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// The peer's user id, where the transport can vouch for it.
    pub fn uid(&self) -> Option<u32> {
        match self.principal {
            Some(Principal::User(uid)) => Some(uid),
            _ => None,
        }
    }

    /// The peer's group id, where the transport can vouch for it.
    pub fn gid(&self) -> Option<u32> {
        self.gid
    }

    /// The process that connected, for logs only.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }
}

impl fmt::Display for PeerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_carries_no_more_than_what_was_agreed() {
        let all = [Mode::Bidirectional, Mode::ReadOnly, Mode::WriteOnly];
        let allowed = |peer: &PeerInfo| all.map(|mode| peer.allows(mode));
        let peer = PeerInfo::new("peer");
        assert_eq!(allowed(&peer), [true; 3]);
        assert_eq!(allowed(&peer.clone().with_mode(Mode::Bidirectional)), [true; 3]);
        assert_eq!(allowed(&peer.clone().with_mode(Mode::ReadOnly)), [false, true, false]);
        assert_eq!(allowed(&peer.with_mode(Mode::WriteOnly)), [false, false, true]);
    }
}
