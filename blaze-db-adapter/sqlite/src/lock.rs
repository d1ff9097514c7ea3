//! The lock file: one process at a time writes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use blaze_db_adapter::DatabaseError;

use crate::create::{beside, private};
use crate::open::unusable;

/// Held for as long as this process may write. The file itself stays: whoever
/// deletes a lock file lets two others lock two different ones.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the database at `path`, without waiting.
    pub(crate) fn take(path: &Path) -> Result<Self, DatabaseError> {
        let lock = beside(path, ".lock");
        let mut options = OpenOptions::new();
        private(options.read(true).write(true).create(true).truncate(false));
        let mut file = options.open(&lock).map_err(|error| unusable(&lock, &error))?;
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
        Ok(Self { _file: file })
    }
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
