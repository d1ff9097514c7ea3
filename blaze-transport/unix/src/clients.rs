//! Whose clients a listener lets in, what their links may carry, and by which policy.

use std::{collections::BTreeMap, fmt};

use blaze_codec::Mode;
use blaze_transport::PeerInfo;

/// The users and groups whose processes may connect, with what was agreed with them.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    uids: BTreeMap<u32, Agreed>,
    gids: BTreeMap<u32, Agreed>,
}

/// What was agreed with a user or a group; nothing with some.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agreed {
    /// What a link carries at most, seen from them.
    pub(crate) mode: Option<Mode>,
    /// The name of the policy by which they see and write.
    pub(crate) policy: Option<String>,
}

impl Clients {
    /// One user and nobody else.
    pub(crate) fn of_user(uid: u32) -> Self {
        Self { uids: [(uid, Agreed::default())].into(), gids: BTreeMap::new() }
    }

    pub(crate) fn allow_user(&mut self, uid: u32, agreed: Agreed) {
        self.uids.insert(uid, agreed);
    }

    pub(crate) fn allow_group(&mut self, gid: u32, agreed: Agreed) {
        self.gids.insert(gid, agreed);
    }

    /// What is known of a process of this user and effective group, with what was agreed with
    /// it, if it is let in. Of a user who is listed, the group doesn't matter.
    pub(crate) fn admit(&self, uid: u32, gid: u32, info: PeerInfo) -> Result<PeerInfo, PeerInfo> {
        match self.uids.get(&uid).or_else(|| self.gids.get(&gid)) {
            None => Err(info),
            Some(agreed) => Ok(agreed.with(info)),
        }
    }

    /// The mode of the socket's file. Whoever may write to it can connect: its owner alone, or,
    /// as a mode can't list users, everybody whom the directory lets through. Who stays is
    /// decided by [`admit`](Self::admit) either way.
    pub(crate) fn socket_mode(&self) -> u32 {
        if self.uids.len() == 1 && self.gids.is_empty() { 0o600 } else { 0o666 }
    }
}

impl Agreed {
    /// A mode alone.
    pub(crate) fn in_mode(mode: Mode) -> Self {
        Self { mode: Some(mode), policy: None }
    }

    /// A mode and a policy.
    pub(crate) fn under(mode: Mode, policy: impl Into<String>) -> Self {
        Self { mode: Some(mode), policy: Some(policy.into()) }
    }

    /// A peer with which this was agreed.
    fn with(&self, info: PeerInfo) -> PeerInfo {
        let info = match self.mode {
            Some(mode) => info.with_mode(mode),
            None => info,
        };
        match &self.policy {
            Some(policy) => info.with_policy(policy),
            None => info,
        }
    }
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uids = self.uids.keys().map(|uid| format!("uid {uid}"));
        let gids = self.gids.keys().map(|gid| format!("gid {gid}"));
        f.write_str(&uids.chain(gids).collect::<Vec<_>>().join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modes that a process of these is allowed; `None` if it isn't let in.
    fn modes(clients: &Clients, uid: u32, gid: u32) -> Option<Vec<Mode>> {
        let peer = clients.admit(uid, gid, PeerInfo::new("peer")).ok()?;
        Some(Mode::ALL.into_iter().filter(|mode| peer.allows(*mode)).collect())
    }

    #[test]
    fn only_listed_users_and_groups_are_let_in() {
        let mut clients = Clients::of_user(1000);
        assert_eq!(modes(&clients, 1000, 7).unwrap(), Mode::ALL);
        assert_eq!(modes(&clients, 0, 0), None, "not even root, unless it is listed");
        assert_eq!(modes(&clients, 7, 1000), None, "a group isn't a user");
        assert_eq!((clients.socket_mode(), clients.to_string().as_str()), (0o600, "uid 1000"));

        clients.allow_group(50, Agreed::default());
        clients.allow_user(1001, Agreed::default());
        assert!(modes(&clients, 1001, 7).is_some() && modes(&clients, 7, 50).is_some());
        assert_eq!(modes(&clients, 50, 7), None);
        assert_eq!(clients.socket_mode(), 0o666);
        assert_eq!(clients.to_string(), "uid 1000 or uid 1001 or gid 50");
    }

    #[test]
    fn a_user_gets_its_own_mode_whatever_its_group_gets() {
        let mut clients = Clients::of_user(1000);
        clients.allow_group(50, Agreed::in_mode(Mode::WriteOnly));
        clients.allow_user(1001, Agreed::in_mode(Mode::ReadOnly));
        assert_eq!(modes(&clients, 1001, 50).unwrap(), [Mode::ReadOnly]);
        assert_eq!(modes(&clients, 1002, 50).unwrap(), [Mode::WriteOnly]);
        assert_eq!(modes(&clients, 1000, 50).unwrap(), Mode::ALL);
    }

    #[test]
    fn a_user_gets_its_own_policy_whatever_its_group_gets() {
        let mut clients = Clients::of_user(1000);
        clients.allow_group(50, Agreed::under(Mode::ReadOnly, "staff"));
        clients.allow_user(1001, Agreed::under(Mode::Bidirectional, "anna"));
        clients.allow_user(1002, Agreed::default());
        let policy = |uid| {
            let peer = clients.admit(uid, 50, PeerInfo::new("peer")).unwrap();
            peer.policy().map(ToOwned::to_owned)
        };
        assert_eq!([1000, 1001, 1002].map(policy), [None, Some("anna".into()), None]);
        assert_eq!(policy(1003), Some("staff".into()));
        assert_eq!(modes(&clients, 1003, 50).unwrap(), [Mode::ReadOnly]);
    }
}
