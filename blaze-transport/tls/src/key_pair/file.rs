//! The file of a private key: only its user's, from the moment it exists.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
    process::geteuid,
};
use zeroize::Zeroizing;

use super::{SEED_BYTES, Seed};
use crate::base32;

/// What the file begins with: what it is, and the version of its form.
const PREFIX: &str = "blaze-private-key-1:";
/// No key file is longer; one that is isn't read to its end.
const FILE_BYTES_MAX: u16 = 256;

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
    let failed = |source| KeyFileError::Io { action: "read", path: path.into(), source };
    let not_a_key = |problem| KeyFileError::NotAKey { path: path.into(), problem };
    // A pipe at the path must not block, and a symbolic link must not lead elsewhere. What is
    // checked is the file that was opened, whatever becomes of its name meanwhile.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Err(KeyFileError::Missing { path: path.into() }),
        Err(Errno::LOOP) => return Err(not_a_key("it is a symbolic link, not followed".into())),
        Err(error) => return Err(failed(error.into())),
    };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(not_a_key("it is not a regular file".into()));
    }
    let (uid, expected) = (metadata.uid(), geteuid().as_raw());
    if uid != expected {
        return Err(KeyFileError::ForeignOwner { path: path.into(), uid, expected });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::TooOpen { path: path.into(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX.into()));
    match file.take(FILE_BYTES_MAX.into()).read_to_string(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(not_a_key("it is no text".into()));
        }
        Err(error) => return Err(failed(error)),
    }
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

/// Writes the key to a new file. It has its name only when it's whole and on disk, so that who
/// finds it finds a key.
pub(super) fn create(path: &Path, seed: &Seed) -> Result<(), KeyFileError> {
    let failed = |source| KeyFileError::Io { action: "write", path: path.into(), source };
    let temporary = temporary(path)?;
    let linked = write_new(&temporary, seed).and_then(|()| fs::hard_link(&temporary, path));
    // Removed by its other name in any case; if it was never made, there's nothing to remove.
    let _ = fs::remove_file(&temporary);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(KeyFileError::Exists { path: path.into() })
        }
        Err(error) => Err(failed(error)),
        Ok(()) => sync_folder(path).map_err(failed),
    }
}

fn write_new(path: &Path, seed: &Seed) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = File::from(open(path, flags, Mode::RUSR | Mode::WUSR)?);
    let encoded = base32::encode(PREFIX, &**seed);
    for part in [PREFIX, &encoded, "\n"] {
        file.write_all(part.as_bytes())?;
    }
    file.sync_all()
}

/// A name beside `path` that nobody can have foreseen.
fn temporary(path: &Path) -> Result<PathBuf, KeyFileError> {
    let mut random = [0; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| KeyFileError::NoRandomness)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}", u64::from_ne_bytes(random)));
    Ok(path.with_file_name(name))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
