//! Why a peer isn't trusted.

use std::{io, path::PathBuf};

use blaze_transport::{Endpoint, PolicyNameError};

/// Why a peer wasn't trusted. The store is as it was, but where a variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The name can't be one.
    #[error("`{name}` is no name for a peer: {problem}")]
    NameInvalid {
        /// The name that was given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// A policy can't be called so.
    #[error(transparent)]
    PolicyNameInvalid(#[from] PolicyNameError),

    /// Another peer has the name.
    #[error("another peer is called `{name}` already; choose another name, or revoke that one")]
    NameTaken {
        /// The name that was given.
        name: String,
    },

    /// What was given is no peer's address.
    #[error("`{endpoint}` is no address of a peer; write tls://HOST:PORT")]
    EndpointInvalid {
        /// What was given.
        endpoint: Endpoint,
    },

    /// Others may write the file, and so say whom this node trusts. It wasn't read.
    #[error(
        "{} can be written by others (mode {mode:04o}, expected 0600); look through it, then run \
         chmod 0600", .path.display()
    )]
    TooOpen {
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },

    /// The file is another user's. It wasn't read.
    #[error(
        "{} belongs to uid {uid}, expected {expected}; choose a file of this user", .path.display()
    )]
    ForeignOwner {
        /// Where it is.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Whose it must be.
        expected: u32,
    },

    /// Other users could put an older file in the place of this one, as its directory lets them.
    /// It was neither read nor written.
    #[error("{} is not safe: {problem}", .path.display())]
    FolderUnsafe {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with its directory, and what helps.
        problem: String,
    },

    /// Another process changes the store, and doesn't come to an end.
    #[error(
        "cannot write the trusted peers in {}: its lock has been held{} for {waited_ms} ms and \
         more; wait for that process, or end it",
        .path.display(), .pid.map(|pid| format!(" by process {pid}")).unwrap_or_default()
    )]
    Busy {
        /// Where it is.
        path: PathBuf,
        /// The process that has the lock, if it said so.
        pid: Option<u32>,
        /// How long it was waited for.
        waited_ms: u64,
    },

    /// The file beside the store by which it's locked is something else.
    #[error("cannot write the trusted peers: {} is {problem}; remove it", .lock.display())]
    LockUnusable {
        /// Where the lock is.
        lock: PathBuf,
        /// What it is instead.
        problem: &'static str,
    },

    /// The store is as it was to be, here and in the file, but a power cut may undo that.
    #[error(
        "the trusted peers in {} were changed, but a power cut may undo that; look through them \
         after one", .path.display()
    )]
    Unsynced {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// What is there is no store. It was left as it is.
    #[error("{} has no trusted peers: {problem}; mend it, or choose another path", .path.display())]
    NotAStore {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// The operating system failed in another way.
    #[error("cannot {action} the trusted peers in {}", .path.display())]
    Io {
        /// What was tried: `read`, `write`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
