//! Why rows can't be read.

use std::io;
use std::path::PathBuf;

/// Why rows can't be read. Nothing after it is read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RowError {
    /// Neither an option nor the extension tells the format.
    #[error("can't tell the format of {}; give --format jsonl or --format csv", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
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
}
