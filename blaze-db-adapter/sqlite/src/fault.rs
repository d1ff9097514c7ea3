//! Errors within the crate, before they know what was tried with which file.

use std::path::Path;
use std::sync::Arc;

use blaze_codec::DecodeError;
use blaze_db_adapter::{DatabaseError, WriteError};
use rusqlite::ErrorCode;

#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite failed: what it was in the middle of is lost.
    Sqlite(rusqlite::Error),
    /// Anything else; nothing was changed.
    Database(DatabaseError),
}

/// Why a group of requests came to nothing; each of them is told.
#[derive(Debug, Clone)]
pub(crate) enum Undone {
    /// SQLite failed before the commit: nothing of the group is in the file.
    RolledBack(Arc<rusqlite::Error>),
    /// SQLite failed in the commit: it may be in the file.
    Unknown(Arc<rusqlite::Error>),
    /// The file can't be opened again after an earlier error.
    NotReopened(Arc<DatabaseError>),
    /// The writer stopped at an earlier error.
    Halted(String),
}

impl Fault {
    /// The error to hand out.
    pub(crate) fn into_error(self, action: &'static str, path: &Path) -> DatabaseError {
        match self {
            Self::Database(error) => error,
            Self::Sqlite(error) => explain(Arc::new(error), action, path),
        }
    }
}

impl Undone {
    /// An error of `COMMIT`. A write that finds no room leaves the commit incomplete
    /// in the log; after any other error, above all a failed sync, it may be whole.
    pub(crate) fn in_commit(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::RolledBack(Arc::new(error)),
            _ => Self::Unknown(Arc::new(error)),
        }
    }

    /// Whether there was no room for the group, though there may be for a part of it.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::RolledBack(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }

    /// Why nothing may be written after it. SQLite would go on, but what a failed
    /// write or sync left on the disk is unknown, and a second sync tells nothing.
    pub(crate) fn halts(&self) -> Option<String> {
        match self {
            Self::Unknown(error) => Some(error.to_string()),
            Self::RolledBack(error)
                if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) =>
            {
                Some(error.to_string())
            }
            Self::Halted(reason) => Some(reason.clone()),
            _ => None,
        }
    }

    /// The error to hand out.
    pub(crate) fn into_error(self, path: &Path) -> DatabaseError {
        match self {
            Self::RolledBack(error) => explain(error, "commit", path),
            Self::Unknown(error) => DatabaseError::OutcomeUnknown { source: Box::new(error) },
            Self::NotReopened(error) => {
                DatabaseError::Failed { action: "open its file again", source: Box::new(error) }
            }
            Self::Halted(reason) => DatabaseError::Halted { reason },
        }
    }
}

fn explain(error: Arc<rusqlite::Error>, action: &'static str, path: &Path) -> DatabaseError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => DatabaseError::Full,
        Some(ErrorCode::DatabaseBusy) => {
            let holder = "it holds SQLite's lock".to_owned();
            DatabaseError::InUse { path: path.to_owned(), holder }
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            let reason = format!("it is damaged ({error}); restore it from a peer or a backup");
            DatabaseError::Corrupt { path: path.to_owned(), reason }
        }
        _ => DatabaseError::Failed { action, source: Box::new(error) },
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            // A column holds what nobody stores there: damage, not a failure of SQLite.
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..) => {
                DecodeError::Malformed { what: "column", at: 0 }.into()
            }
            error => Self::Sqlite(error),
        }
    }
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Database(error.into())
    }
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        Self::Database(error.into())
    }
}
