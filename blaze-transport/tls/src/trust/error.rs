//! Why a peer isn't trusted.

use std::{io, path::PathBuf};

use blaze_transport::Endpoint;

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
