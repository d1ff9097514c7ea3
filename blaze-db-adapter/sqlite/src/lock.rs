//! The lock file: one process at a time writes.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use blaze_db_adapter::DatabaseError;

use crate::create::{beside, private};
use crate::open::{setting, unusable};

/// Held for as long as this process may write. The file itself stays: whoever
/// deletes a lock file lets two others lock two different ones.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of the database at `path`, without waiting.
    pub(crate) fn take(path: &Path) -> Result<Self, DatabaseError> {
        let lock = beside(path, ".lock");
        let mut options = OpenOptions::new();
        private(options.read(true).write(true).create(true).truncate(false));
        if lock.is_symlink() {
            let reason = format!("{} is a symbolic link; remove it", lock.display());
            return Err(setting("the lock file", reason));
        }
        let mut file = options.open(&lock).map_err(|error| unusable(&lock, &error))?;
        let metadata = file.metadata().map_err(|error| unusable(&lock, &error))?;
        check(&lock, &metadata)?;
        let failed = |source| failed("lock its file", source);
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DatabaseError::InUse { path: path.to_owned(), holder: holder(file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    /// Closing the file would do, but for a child that another thread is just starting:
    /// until it runs its own program it has the file, and with it the lock.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Checks that the file is one that this user made for it: another user's could be
/// locked by them, and one with other names is perhaps worth something.
fn check(lock: &Path, metadata: &Metadata) -> Result<(), DatabaseError> {
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    let found = if !metadata.is_file() {
        "is not a regular file; remove it".to_owned()
    } else if owner != user {
        format!("belongs to uid {owner}, but this process runs as uid {user}; run it as {owner}")
    } else if metadata.nlink() > 1 {
        format!("has {} names (hard links); remove it", metadata.nlink())
    } else {
        return Ok(());
    };
    Err(setting("the lock file", format!("{} {found}", lock.display())))
}

fn holder(mut file: File) -> String {
    let mut text = String::new();
    let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok());
    match pid {
        Some(pid) if pid == std::process::id() => format!("pid {pid}, this one"),
        Some(pid) => format!("pid {pid}"),
        None => "of unknown pid".to_owned(),
    }
}

fn failed(action: &'static str, source: std::io::Error) -> DatabaseError {
    DatabaseError::Failed { action, source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::Lock;

    #[test]
    fn the_lock_goes_though_a_child_still_has_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let lock = Lock::take(&path).unwrap();
        // What a process has between its fork and its exec.
        let inherited = lock.file.try_clone().unwrap();
        assert!(Lock::take(&path).is_err());
        drop(lock);
        Lock::take(&path).expect("it was given up");
        drop(inherited);
    }
}
