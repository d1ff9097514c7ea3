//! The file of a private key: only its user's, from the moment it exists.

use std::{
    io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{SEED_BYTES, Seed};
use crate::{
    base32,
    own_file::{self, ReadError, WriteError},
};

/// What the file begins with: what it is, and the version of its form.
const PREFIX: &str = "blaze-private-key-1:";
/// No key file is longer; one that is isn't read to its end.
const FILE_BYTES_MAX: u32 = 256;
/// Nobody else may do anything with it.
const FORBIDDEN: u32 = 0o077;

/// Why a key pair can't be had. Nothing that was there was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// There's no file.
    #[error("there is no private key at {}", .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// There's a file already; it was left as it is.
    #[error("{} exists already; choose another path, or open it", .path.display())]
    Exists {
        /// Where it is.
        path: PathBuf,
    },

    /// Other users may read or replace the key. It wasn't read.
    #[error(
        "private key {} can be read by others (mode {mode:04o}, expected 0600); if nobody else \
         could have read it run chmod 0600, else remove it and pair this node anew", .path.display()
    )]
    TooOpen {
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },

    /// The file is another user's. It wasn't read.
    #[error(
        "private key {} belongs to uid {uid}, expected {expected}; choose a file of this user",
        .path.display()
    )]
    ForeignOwner {
        /// Where it is.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Whose it must be.
        expected: u32,
    },

    /// Other users could replace the file by another, as its directory lets them. It was neither
    /// read nor written.
    #[error("private key {} is not safe: {problem}", .path.display())]
    FolderUnsafe {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with its directory, and what helps.
        problem: String,
    },

    /// The key was made and is in its file, but a power cut may undo that.
    #[error("private key {} may not survive a power cut; open it again", .path.display())]
    Unsynced {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// What is there is no key file.
    #[error("{} is no private key: {problem}; choose another path", .path.display())]
    NotAKey {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// The system has no randomness to make a key of.
    #[error("the system has no randomness for a private key")]
    NoRandomness,

    /// The operating system failed in another way.
    #[error("cannot {action} the private key {}", .path.display())]
    Io {
        /// What was tried: `read`, `write`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Reads the key if the file is one that only this user can read.
pub(super) fn read(path: &Path) -> Result<Seed, KeyFileError> {
    let not_a_key = |problem| KeyFileError::NotAKey { path: path.into(), problem };
    let text = own_file::read(path, FORBIDDEN, FILE_BYTES_MAX);
    let text = text.map_err(|error| match error {
        ReadError::Missing => KeyFileError::Missing { path: path.into() },
        ReadError::TooOpen { mode } => KeyFileError::TooOpen { path: path.into(), mode },
        ReadError::ForeignOwner { uid, expected } => {
            KeyFileError::ForeignOwner { path: path.into(), uid, expected }
        }
        ReadError::Folder(problem) => KeyFileError::FolderUnsafe { path: path.into(), problem },
        ReadError::Unexpected(problem) => not_a_key(problem),
        ReadError::Io(source) => KeyFileError::Io { action: "read", path: path.into(), source },
    })?;
    let Some(encoded) = text.strip_prefix(PREFIX) else {
        return Err(not_a_key(format!("it does not begin with {PREFIX}")));
    };
    let seed = base32::decode(PREFIX, encoded).map_err(|error| not_a_key(error.to_string()))?;
    let seed: &[u8; SEED_BYTES] = seed
        .as_slice()
        .try_into()
        .map_err(|_| not_a_key(format!("it has {} bytes, not {SEED_BYTES}", seed.len())))?;
    Ok(Zeroizing::new(*seed))
}

/// Writes the key to a new file.
pub(super) fn create(path: &Path, seed: &Seed) -> Result<(), KeyFileError> {
    let encoded = base32::encode(PREFIX, &**seed);
    let created = own_file::create(path, &[PREFIX, &encoded, "\n"]);
    created.map_err(|error| match error {
        WriteError::Io(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            KeyFileError::Exists { path: path.into() }
        }
        WriteError::Folder(problem) => KeyFileError::FolderUnsafe { path: path.into(), problem },
        WriteError::Unsynced(source) => KeyFileError::Unsynced { path: path.into(), source },
        WriteError::Io(source) => KeyFileError::Io { action: "write", path: path.into(), source },
        error @ (WriteError::Lock { .. } | WriteError::Busy { .. }) => {
            unreachable!("no lock is taken: {error}")
        }
    })
}
