//! Errors within the crate, before they know what was tried with which file.

use std::path::Path;

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

impl Fault {
    /// The error to hand out.
    pub(crate) fn into_error(self, action: &'static str, path: &Path) -> DatabaseError {
        let error = match self {
            Self::Database(error) => return error,
            Self::Sqlite(error) => error,
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => DatabaseError::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                let reason = format!("it is damaged ({error}); restore it from a peer or a backup");
                DatabaseError::Corrupt { path: path.to_owned(), reason }
            }
            _ => DatabaseError::Failed { action, source: Box::new(error) },
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
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
