//! The lock file: one process at a time writes, and the file that it writes is known
//! from its copies.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use blaze_db_adapter::DatabaseError;

use crate::create::{beside, private};
use crate::open::{setting, unusable};

/// More than a note ever has.
const NOTE_BYTES_MAX: u64 = 256;

/// Held for as long as this process may write. The file itself stays: whoever
/// deletes a lock file lets two others lock two different ones.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    /// What the last opening noted.
    noted: Option<Birth>,
}

/// What no copy of a file shares with it: its number in the file system and, where
/// that is known, when it was made, in nanoseconds since 1970. The device isn't part
/// of it, for its number can change with the next start of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Birth {
    inode: u64,
    made_ns: u128,
}

/// What is in a lock file: the pid of the latest holder, and the database's birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Note {
    pid: Option<u32>,
    birth: Option<Birth>,
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
                return Err(DatabaseError::InUse {
                    path: path.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let noted = Note::read(&mut file).birth;
        Ok(Self { file, noted })
    }

    /// Whether the file at `path` is the one that was last opened under this lock.
    pub(crate) fn is_of(&self, path: &Path) -> Result<bool, DatabaseError> {
        Ok(self.noted == Some(Birth::of(path)?))
    }

    /// Notes that the file at `path` is opened under this lock; durably if it is
    /// another one than before.
    pub(crate) fn note(&mut self, path: &Path) -> Result<(), DatabaseError> {
        let birth = Birth::of(path)?;
        let Birth { inode, made_ns } = birth;
        let note = format!("{} {inode} {made_ns}\n", std::process::id());
        let file = &mut self.file;
        let written = file.rewind().and_then(|()| file.write_all(note.as_bytes()));
        let written = written.and_then(|()| file.set_len(note.len() as u64));
        let known = self.noted.replace(birth) == Some(birth);
        let synced = written.and_then(|()| if known { Ok(()) } else { file.sync_all() });
        synced.map_err(|source| failed("write its lock file", source))
    }
}

impl Birth {
    fn of(path: &Path) -> Result<Self, DatabaseError> {
        let metadata = std::fs::metadata(path).map_err(|error| unusable(path, &error))?;
        let made = metadata.created().ok();
        let made = made.and_then(|made| made.duration_since(SystemTime::UNIX_EPOCH).ok());
        let made_ns = made.map_or(0, |made| made.as_nanos());
        Ok(Self { inode: metadata.ino(), made_ns })
    }
}

impl Note {
    /// What the file says; nothing of it if that is damaged.
    fn read(file: &mut File) -> Self {
        let mut text = String::new();
        let read = file.rewind().and_then(|()| file.take(NOTE_BYTES_MAX).read_to_string(&mut text));
        if read.is_err() {
            return Self::default();
        }
        let mut words = text.split_ascii_whitespace();
        let pid = words.next().and_then(|word| word.parse().ok());
        let inode = words.next().and_then(|word| word.parse().ok());
        let made_ns = words.next().and_then(|word| word.parse().ok());
        let birth = inode.zip(made_ns).map(|(inode, made_ns)| Birth { inode, made_ns });
        Self { pid, birth }
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

fn holder(file: &mut File) -> String {
    match Note::read(file).pid {
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
