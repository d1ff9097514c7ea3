//! Whose clients a listener lets in.

use std::{collections::BTreeSet, fmt};

/// The users and groups whose processes may connect.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    uids: BTreeSet<u32>,
    gids: BTreeSet<u32>,
}

impl Clients {
    /// One user and nobody else.
    pub(crate) fn of_user(uid: u32) -> Self {
        Self { uids: [uid].into(), gids: BTreeSet::new() }
    }

    pub(crate) fn allow_user(&mut self, uid: u32) {
        self.uids.insert(uid);
    }

    pub(crate) fn allow_group(&mut self, gid: u32) {
        self.gids.insert(gid);
    }

    /// Whether a process of this user and effective group is let in.
    pub(crate) fn admit(&self, uid: u32, gid: u32) -> bool {
        self.uids.contains(&uid) || self.gids.contains(&gid)
    }

    /// The mode of the socket's file. Whoever may write to it can connect: its owner alone, or,
    /// as a mode can't list users, everybody whom the directory lets through. Who stays is
    /// decided by [`admit`](Self::admit) either way.
    pub(crate) fn socket_mode(&self) -> u32 {
        if self.uids.len() == 1 && self.gids.is_empty() { 0o600 } else { 0o666 }
    }
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uids = self.uids.iter().map(|uid| format!("uid {uid}"));
        let gids = self.gids.iter().map(|gid| format!("gid {gid}"));
        f.write_str(&uids.chain(gids).collect::<Vec<_>>().join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::Clients;

    #[test]
    fn only_listed_users_and_groups_are_let_in() {
        let mut clients = Clients::of_user(1000);
        assert!(clients.admit(1000, 7));
        assert!(!clients.admit(0, 0), "not even root, unless it is listed");
        assert!(!clients.admit(7, 1000), "a group isn't a user");
        assert_eq!((clients.socket_mode(), clients.to_string().as_str()), (0o600, "uid 1000"));

        clients.allow_group(50);
        clients.allow_user(1001);
        assert!(clients.admit(1001, 7) && clients.admit(7, 50));
        assert!(!clients.admit(50, 7));
        assert_eq!(clients.socket_mode(), 0o666);
        assert_eq!(clients.to_string(), "uid 1000 or uid 1001 or gid 50");
    }
}
