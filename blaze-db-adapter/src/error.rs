//! Why a database couldn't do what was asked.

use std::path::PathBuf;

use blaze_codec::DecodeError;

use crate::WriteError;

/// Why a database couldn't do what was asked. Unless a variant says otherwise,
/// nothing was changed by the call, and the database is usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// A write that can't be done as asked.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
    /// The password is wrong. The file is untouched.
    #[error("wrong password for {}", path.display())]
    WrongPassword {
        /// The file.
        path: PathBuf,
    },
    /// The file is encrypted and no password was given. The file is untouched.
    #[error("{} is encrypted; open it with its password", path.display())]
    PasswordRequired {
        /// The file.
        path: PathBuf,
    },
    /// The file is not encrypted and a password was given. The file is untouched.
    #[error("{} is not encrypted; open it without a password", path.display())]
    NotEncrypted {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a database of Blaze, or is damaged. The file is untouched.
    #[error("{} is not a usable Blaze database: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Another process has it open.
    #[error("{} is in use by another process ({holder}); each app opens its own database", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// What is known of the other process.
        holder: String,
    },
    /// The file was made with other settings than were asked for.
    #[error("{} holds database {found:?}, not {asked:?}", path.display())]
    OtherDatabase {
        /// The file.
        path: PathBuf,
        /// The database's name in the file.
        found: String,
        /// The name that was asked for.
        asked: String,
    },
    /// A write to a database that was opened read-only.
    #[error("{} was opened read-only; open it for writing to change it", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The commit failed while it was written. Whether it is in the database shows
    /// when that is opened again; until then it takes no more writes.
    #[error(
        "the commit failed while it was written; close the database, open it again and see whether it is there"
    )]
    OutcomeUnknown {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An earlier input or output error: what the disk holds is uncertain since, so
    /// nothing more is written. Nothing of this call was committed.
    #[error(
        "the database takes no more writes after an error ({reason}); close it and open it again"
    )]
    Halted {
        /// The error of before.
        reason: String,
    },
    /// There is no room. The transaction was not committed.
    #[error("no space left for the database; free some and try again")]
    Full,
    /// A setting that doesn't work.
    #[error("{setting} is not usable: {reason}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Why.
        reason: String,
    },
    /// What is stored can't be decoded: the database is damaged.
    #[error("a stored record can't be decoded; restore the database from a peer or a backup")]
    Stored(#[from] DecodeError),
    /// The database, its disk or its file failed. Nothing of a transaction was
    /// committed.
    #[error("the database failed to {action}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
