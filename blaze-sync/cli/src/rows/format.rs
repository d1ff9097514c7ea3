//! The formats of rows, and which one a file has.

use std::path::Path;

use clap::ValueEnum;

use super::RowError;

/// How rows that are read are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON Lines: one object a line
    Jsonl,
    /// Comma-separated values, with a header that names the fields
    Csv,
    /// What BlazeDB for Swift writes: a record, a sequence, or its JSON export
    #[value(name = "blazedb")]
    BlazeDb,
}

impl Format {
    /// The format that is asked for, else that of the file's extension.
    ///
    /// # Errors
    ///
    /// [`RowError::UnknownFormat`] if neither tells.
    pub(crate) fn of(path: &Path, asked: Option<Self>) -> Result<Self, RowError> {
        let known = || WriteFormat::by_extension(path).map(Into::into);
        asked.or_else(known).ok_or_else(|| RowError::UnknownFormat {
            path: path.to_owned(),
            formats: "jsonl, --format csv or --format blazedb",
        })
    }
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WriteFormat {
    /// JSON Lines: one object a line
    Jsonl,
    /// Comma-separated values, with a header that names the fields
    Csv,
}

impl WriteFormat {
    /// The format that is asked for, else that of the file's extension.
    ///
    /// # Errors
    ///
    /// [`RowError::UnknownFormat`] if neither tells.
    pub(crate) fn of(path: &Path, asked: Option<Self>) -> Result<Self, RowError> {
        asked.or_else(|| Self::by_extension(path)).ok_or_else(|| RowError::UnknownFormat {
            path: path.to_owned(),
            formats: "jsonl or --format csv",
        })
    }

    fn by_extension(path: &Path) -> Option<Self> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

impl From<WriteFormat> for Format {
    fn from(format: WriteFormat) -> Self {
        match format {
            WriteFormat::Jsonl => Self::Jsonl,
            WriteFormat::Csv => Self::Csv,
        }
    }
}
