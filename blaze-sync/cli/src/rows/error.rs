//! Why rows can't be read.

use std::io;
use std::path::PathBuf;

use blaze_sync::blazedb::BlazeDbError;

/// Why rows can't be read. Nothing after it is read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RowError {
    /// Neither an option nor the extension tells the format.
    #[error("can't tell the format of {}; give --format {formats}", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What to give.
        formats: &'static str,
    },
    /// The file can't be opened.
    #[error("can't open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file can't be read further.
    #[error("line {line}: can't read further")]
    Read {
        /// Where the row begins.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// A row that makes no record.
    #[error("line {line}: {problem}")]
    Row {
        /// Where it begins, from 1.
        line: u64,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A file that isn't one of lines can't be read further.
    #[error("byte {at}: can't read further")]
    ReadPlace {
        /// How far it was read.
        at: u64,
        /// Why.
        source: io::Error,
    },
    /// A place, in a file that isn't one of lines, that makes no record.
    #[error("byte {at}: {problem}")]
    Place {
        /// Where it is, from 0.
        at: u64,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Bytes that are no records of BlazeDB.
    #[error(transparent)]
    BlazeDb(#[from] BlazeDbError),
}
