//! Socket paths: where they really are, and whether they fit a socket address.

use std::{
    ffi::OsString,
    fs::{self, FileType, Metadata},
    io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use blaze_transport::{Endpoint, TransportError};

use crate::{
    address::{self, Address},
    directory, path_error,
    safety::Owners,
};

/// The longest path that fits a socket address: Linux has 108 bytes for it, the BSDs and macOS
/// 104, and one is the terminating zero.
pub(crate) const PATH_BYTES_MAX: usize =
    if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };
/// Around the name of a socket, the name that it is first bound at.
const TEMPORARY_AFFIXES: (&str, &str) = (".", ".new");
/// What the temporary name is longer by.
const AFFIX_BYTES: usize = TEMPORARY_AFFIXES.0.len() + TEMPORARY_AFFIXES.1.len();
/// The longest path of a socket that fits an address with its temporary name as well.
const WHOLE_BYTES_MAX: usize = PATH_BYTES_MAX - AFFIX_BYTES;
/// The longest name of a socket whose path doesn't fit, on systems where its directory can be
/// written as `/proc/self/fd/` and a number of up to 10 digits.
const NAME_BYTES_MAX: usize = WHOLE_BYTES_MAX - "/proc/self/fd/4294967295/".len();

/// A socket path whose directory is resolved and safe.
#[derive(Clone, Debug)]
pub(crate) struct SocketPath {
    directory: PathBuf,
    name: OsString,
}

impl SocketPath {
    /// Resolves the directory, and checks that only these owners can replace what is in it.
    ///
    /// # Errors
    ///
    /// If the directory is missing, or not safe, or the path is too long.
    pub(crate) fn resolve(path: &Path, owners: &Owners) -> Result<Self, TransportError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(TransportError::NotASocket { path: path.to_owned(), found: "a directory" });
        };
        let resolved = Self { directory: owners.resolve(parent)?, name: name.to_owned() };
        resolved.check_length()?;
        Ok(resolved)
    }

    /// Checks that both the path and the one that the socket is first bound at can be written
    /// as an address.
    fn check_length(&self) -> Result<(), TransportError> {
        let bytes = self.full().as_os_str().len();
        if bytes <= WHOLE_BYTES_MAX || (self.name.len() <= NAME_BYTES_MAX && address::any_length())
        {
            return Ok(());
        }
        let bytes_max = if address::any_length() {
            (bytes - self.name.len() + NAME_BYTES_MAX).max(WHOLE_BYTES_MAX)
        } else {
            WHOLE_BYTES_MAX
        };
        let (path, suggestion) = (self.full(), self.shorter());
        Err(TransportError::PathTooLong { path, bytes, bytes_max, suggestion })
    }

    /// A path that fits: where sockets go by default, with the name if there is room for it.
    fn shorter(&self) -> PathBuf {
        [directory::suggested().join(&self.name), directory::suggested().join("blaze.sock")]
            .into_iter()
            .find(|path| path.as_os_str().len() <= WHOLE_BYTES_MAX)
            .unwrap_or_else(|| directory::short().join("blaze.sock"))
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

    /// The path as the system takes it for a socket.
    ///
    /// # Errors
    ///
    /// If it is too long, and the directory can't be opened.
    pub(crate) fn address(&self) -> Result<Address, TransportError> {
        Address::of(&self.directory, &self.name)
            .map_err(path_error("open the socket directory", &self.directory))
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
pub(crate) fn of(endpoint: &Endpoint) -> PathBuf {
    PathBuf::from(endpoint.address())
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
