//! Looks at where a socket is or would be, by the checks of who listens there, and changes nothing.

use std::{
    env,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use blaze_transport::{Endpoint, TransportError};
use rustix::process::geteuid;

use crate::{
    SCHEME,
    directory::{self, VARIABLES},
    lock,
    path::{self, SocketPath},
    safety::Owners,
};

/// A place at which a server of this process's effective user could listen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketPlace {
    /// The socket's path, without symbolic links.
    pub path: PathBuf,
    /// The lock file's, which a server holds for as long as it listens.
    pub lock: PathBuf,
    /// Whether a socket of this user is there. Only by connecting could be told whether anybody
    /// listens to it.
    pub is_there: bool,
    /// The pid in the lock file, of the server that listens or was the last one to.
    pub noted_pid: Option<u32>,
}

/// Looks at the place of a `unix` endpoint as a server does before it listens there. Nothing is
/// created, removed, locked or connected to.
///
/// ```
/// use blaze_transport::Endpoint;
///
/// # let directory = tempfile::tempdir()?;
/// let endpoint = Endpoint::unix(directory.path().join("notes.sock"))?;
/// assert!(!blaze_transport_unix::inspect_socket(&endpoint)?.is_there);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// What listening would fail with: the directory is missing or not safe, the path is too long, or
/// something other than a socket of this user is there.
pub fn inspect_socket(endpoint: &Endpoint) -> Result<SocketPlace, TransportError> {
    endpoint.expect_scheme(SCHEME)?;
    let place = SocketPath::resolve(&path::of(endpoint), &Owners::own())?;
    let (path, lock) = (place.full(), place.lock());
    let metadata = place.socket_metadata()?;
    let expected = geteuid().as_raw();
    if let Some(uid) = metadata.as_ref().map(MetadataExt::uid).filter(|uid| *uid != expected) {
        return Err(TransportError::ForeignSocket { path, uid, expected });
    }
    let noted_pid = lock::noted_pid(&lock);
    Ok(SocketPlace { path, lock, is_there: metadata.is_some(), noted_pid })
}

/// The directory that [`default_endpoint`](crate::default_endpoint) would choose, which needn't
/// exist.
///
/// # Errors
///
/// [`TransportError::DirectoryUnknown`] if the environment names none.
pub fn default_socket_directory() -> Result<PathBuf, TransportError> {
    directory::default_directory(|variable| env::var_os(variable))
        .ok_or(TransportError::DirectoryUnknown { missing: VARIABLES })
}

/// Checks that nobody but this process's effective user and root can replace what is in a
/// directory, or lead elsewhere on the way to it, and tells where it really is.
///
/// # Errors
///
/// If it is missing, or it or a directory above it isn't safe; the topmost such is named.
pub fn inspect_socket_directory(directory: &Path) -> Result<PathBuf, TransportError> {
    Owners::own().resolve(directory)
}
