//! Socket paths: where they really are, and whether they fit a socket address.

use std::{
    ffi::OsString,
    fs::{self, FileType, Metadata},
    io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use blaze_transport::{Endpoint, TransportError};

use crate::{SCHEME, directory, path_error};

/// The longest path that fits a socket address: Linux has 108 bytes for it, the BSDs and macOS
/// 104, and one is the terminating zero.
const PATH_BYTES_MAX: usize =
    if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };
/// Around the name of a socket, the name that it is first bound at.
const TEMPORARY_AFFIXES: (&str, &str) = (".", ".new");
/// The longest path of a socket whose temporary path fits an address as well.
const SOCKET_PATH_BYTES_MAX: usize =
    PATH_BYTES_MAX - TEMPORARY_AFFIXES.0.len() - TEMPORARY_AFFIXES.1.len();

/// A socket path whose directory is resolved and safe.
#[derive(Clone, Debug)]
pub(crate) struct SocketPath {
    directory: PathBuf,
    name: OsString,
}

impl SocketPath {
    /// Resolves the directory, and checks that only we can replace what is in it.
    ///
    /// Whoever else can rename a directory further up can only lead us to a socket of another
    /// user, which the peer's credentials then give away.
    ///
    /// # Errors
    ///
    /// If the directory is missing or insecure, or the path too long.
    pub(crate) fn resolve(path: &Path) -> Result<Self, TransportError> {
        check_length(path)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(TransportError::NotASocket { path: path.to_owned(), found: "a directory" });
        };
        // Resolved once, so that no symbolic link can be changed between two uses.
        let directory = fs::canonicalize(parent).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => TransportError::DirectoryMissing { path: parent.to_owned() },
            _ => path_error("find the socket directory", parent)(error),
        })?;
        directory::check(&directory)?;
        let resolved = Self { directory, name: name.to_owned() };
        check_length(&resolved.full())?;
        Ok(resolved)
    }

    /// The path of the socket.
    pub(crate) fn full(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// The path of the lock file.
    pub(crate) fn lock(&self) -> PathBuf {
        let mut name = self.name.clone();
        name.push(".lock");
        self.directory.join(name)
    }

    /// The path `.NAME.new` beside the socket, where it is bound before it is linked to its own.
    ///
    /// Always the same, so that the next holder of the lock finds what a killed one left there.
    pub(crate) fn temporary(&self) -> Self {
        let mut name = OsString::from(TEMPORARY_AFFIXES.0);
        name.push(&self.name);
        name.push(TEMPORARY_AFFIXES.1);
        Self { directory: self.directory.clone(), name }
    }

    /// What is at the path itself; a symbolic link is not followed. `None` if nothing is.
    pub(crate) fn metadata(&self) -> Result<Option<Metadata>, TransportError> {
        let path = self.full();
        match fs::symlink_metadata(&path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(path_error("look at", &path)(error)),
        }
    }

    /// As [`metadata`](Self::metadata), and an error if something other than a socket is there.
    pub(crate) fn socket_metadata(&self) -> Result<Option<Metadata>, TransportError> {
        let metadata = self.metadata()?;
        match &metadata {
            Some(found) if !found.file_type().is_socket() => {
                let found = describe(found.file_type());
                Err(TransportError::NotASocket { path: self.full(), found })
            }
            _ => Ok(metadata),
        }
    }
}

/// The path that a `unix` endpoint names.
pub(crate) fn of(endpoint: &Endpoint) -> Result<PathBuf, TransportError> {
    endpoint.expect_scheme(SCHEME)?;
    Ok(PathBuf::from(endpoint.address()))
}

/// Checks that both the path and the one that the socket is first bound at fit an address.
fn check_length(path: &Path) -> Result<(), TransportError> {
    let bytes = path.as_os_str().len();
    if bytes <= SOCKET_PATH_BYTES_MAX {
        return Ok(());
    }
    let (path, bytes_max) = (path.to_owned(), SOCKET_PATH_BYTES_MAX);
    let suggestion = directory::suggested().join("blaze.sock");
    Err(TransportError::PathTooLong { path, bytes, bytes_max, suggestion })
}

fn describe(file_type: FileType) -> &'static str {
    if file_type.is_dir() {
        return "a directory";
    }
    if file_type.is_symlink() {
        return "a symbolic link";
    }
    if file_type.is_file() {
        return "a regular file";
    }
    "a device or a pipe"
}
