//! What a transport knows of the process at the other end.

use std::fmt;

/// What a transport knows of a connection's peer.
///
/// The uid and the gid come from the kernel and may decide what the peer is allowed. The pid is
/// a snapshot of the time of connecting and may have been reused since: log it, decide nothing
/// by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    description: String,
    uid: Option<u32>,
    gid: Option<u32>,
    pid: Option<u32>,
}

impl PeerInfo {
    /// A peer of which only a description for people is known, such as `127.0.0.1:52114`.
    pub fn new(description: impl Into<String>) -> Self {
        Self { description: description.into(), uid: None, gid: None, pid: None }
    }

    /// Adds the user and the group that the kernel names. Default: unknown.
    pub fn with_user(mut self, uid: u32, gid: u32) -> Self {
        self.uid = Some(uid);
        self.gid = Some(gid);
        self
    }

    /// Adds the process id that the kernel names. Default: unknown.
    pub fn with_pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// Whom this is, for logs and messages.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The peer's user id, where the transport can vouch for it.
    pub fn uid(&self) -> Option<u32> {
        self.uid
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
