//! The lock file that decides who may listen at a path.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    process,
};

use blaze_transport::{Endpoint, TransportError};
use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
    process::geteuid,
};

use crate::{bind::Identity, path_error};

/// A pid has at most this many digits.
const PID_BYTES_MAX: u64 = 10;

/// The right to listen at a path, and to remove what is there, for as long as it is held.
#[derive(Debug)]
pub(crate) struct ListenLock {
    file: File,
    identity: Identity,
}

impl ListenLock {
    /// Takes the lock at `path`, creating the file if it is missing. It is never removed: of two
    /// processes that lock by one name, each could otherwise lock a file of its own.
    ///
    /// # Errors
    ///
    /// [`TransportError::AddressInUse`] with the holder's pid if another listener has it.
    pub(crate) fn acquire(path: &Path, endpoint: &Endpoint) -> Result<Self, TransportError> {
        let failed = path_error("open the lock file", path);
        let mut file = match open_lock(path) {
            Ok(file) => file,
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = read_pid(&mut file);
                return Err(TransportError::AddressInUse { endpoint: endpoint.clone(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let written = write_pid(&mut file).and_then(|()| file.metadata());
        let identity = Identity::of(&written.map_err(failed)?);
        Ok(Self { file, identity })
    }

    /// Which file is locked.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }
}

impl Drop for ListenLock {
    /// Closing the file would do, but for a child that another thread is just starting:
    /// until it runs its own program it has the file, and with it the lock.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// The pid in the lock file at `path`, of its holder or of the last one; `None` if there is no such
/// file, or it says nothing.
pub(crate) fn noted_pid(path: &Path) -> Option<u32> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(open(path, flags, Mode::empty()).ok()?);
    read_pid(&mut file.metadata().ok()?.is_file().then_some(file)?)
}

/// Opens what is at the path only if it is a regular file of our own.
fn open_lock(path: &Path) -> io::Result<File> {
    // A pipe at the path must not block, and a symbolic link must not lead elsewhere.
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match open(path, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(io::Error::other("it is a symbolic link, not followed")),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.uid() != geteuid().as_raw() {
        return Err(io::Error::other("it is not a regular file of this user"));
    }
    Ok(file)
}

/// The holder's pid. It may not have been written yet, so it is for messages only.
fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", process::id())
}

#[cfg(test)]
mod tests {
    use super::ListenLock;

    #[test]
    fn the_lock_goes_though_a_child_still_has_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket.lock");
        let endpoint = "unix:/socket".parse().unwrap();
        let lock = ListenLock::acquire(&path, &endpoint).unwrap();
        // What a process has between its fork and its exec.
        let inherited = lock.file.try_clone().unwrap();
        assert!(ListenLock::acquire(&path, &endpoint).is_err());
        drop(lock);
        ListenLock::acquire(&path, &endpoint).expect("it was given up");
        drop(inherited);
    }
}
