//! Paths of any length, as the system takes them for sockets.

use std::{
    ffi::OsStr,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use crate::path::PATH_BYTES_MAX;

/// A path that fits a socket address, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Address {
    path: PathBuf,
    /// The directory that the path goes through, if it is too long by itself.
    _directory: Option<OwnedFd>,
}

impl Address {
    /// The address of a name in a directory whose path is resolved.
    pub(crate) fn of(directory: &Path, name: &OsStr) -> io::Result<Self> {
        let path = directory.join(name);
        if path.as_os_str().len() <= PATH_BYTES_MAX {
            return Ok(Self { path, _directory: None });
        }
        through_descriptor(directory, name)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether a path can be longer than an address here.
pub(crate) fn any_length() -> bool {
    cfg!(any(target_os = "linux", target_os = "android")) && Path::new(DESCRIPTORS).exists()
}

/// Where Linux has a process's open files as paths, unless `/proc` isn't mounted.
const DESCRIPTORS: &str = "/proc/self/fd";

/// The name in the directory as it is open here. The process's own directory would do as well,
/// but is all its threads'.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn through_descriptor(directory: &Path, name: &OsStr) -> io::Result<Address> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{Mode, OFlags, open};

    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open(directory, flags, Mode::empty())?;
    let path = Path::new(DESCRIPTORS).join(directory.as_raw_fd().to_string()).join(name);
    Ok(Address { path, _directory: Some(directory) })
}

/// No such path is known, so lengths are checked before.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn through_descriptor(_directory: &Path, _name: &OsStr) -> io::Result<Address> {
    Err(io::ErrorKind::InvalidFilename.into())
}
