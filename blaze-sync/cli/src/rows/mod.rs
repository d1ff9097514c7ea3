//! Records as rows of a file: JSON Lines and CSV, read and written as streams, and
//! what BlazeDB writes, read as a stream.

mod blazedb;
mod cell;
mod csv;
mod error;
mod format;
mod integer;
mod jsonl;
mod quotes;
mod source;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use blaze_sync::{Record, RecordKey};

pub(crate) use self::cell::infer;
pub(crate) use self::csv::CsvWriter;
pub(crate) use self::error::RowError;
pub(crate) use self::format::{Format, WriteFormat};
pub(crate) use self::integer::problem as integer_problem;
pub(crate) use self::jsonl::{parse_record, without_place, write as write_jsonl};
use self::source::{Counted, Counter};

/// Where an exported row has its record's key, unless another column is named.
pub(crate) const KEY_COLUMN: &str = "_key";
/// The longest row, in bytes. Longer ones are mistakes: no record is this large.
const ROW_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Where a row has the key of its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// In a column that isn't a field of the record; rows without it have no key.
    Column(String),
    /// In a field that every row has.
    Field(String),
}

/// How rows are understood.
#[derive(Debug, Clone)]
pub(crate) struct ReadOptions {
    /// Where the key is. Default: the column [`KEY_COLUMN`].
    pub(crate) keys: KeySource,
    /// Whether every cell of a CSV file is a text. Default: false.
    pub(crate) text: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { keys: KeySource::Column(KEY_COLUMN.to_owned()), text: false }
    }
}

/// A row: the key, if it has one, and the record.
pub(crate) type Row = (Option<RecordKey>, Record);

/// Reads rows one by one, and ends after the first error.
pub(crate) struct Reader {
    rows: Box<dyn Iterator<Item = Result<Row, RowError>> + Send>,
    counter: Counter,
    bytes_total: Option<u64>,
    ended: bool,
}

impl Reader {
    /// Opens a file. Without a format, its extension tells.
    ///
    /// # Errors
    ///
    /// [`RowError`] if the format is unknown or the file can't be opened.
    pub(crate) fn open(path: &Path, format: Option<Format>) -> Result<Self, RowError> {
        let format = Format::of(path, format)?;
        Self::open_with(path, format, ReadOptions::default())
    }

    /// Opens a file whose rows are to be understood by these options.
    ///
    /// # Errors
    ///
    /// [`RowError::Open`].
    pub(crate) fn open_with(
        path: &Path,
        format: Format,
        options: ReadOptions,
    ) -> Result<Self, RowError> {
        let failed = |source| RowError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let reader = Self::new(Box::new(file), format, options);
        Ok(Self { bytes_total: metadata.is_file().then_some(metadata.len()), ..reader })
    }

    /// Reads rows from standard input.
    pub(crate) fn stdin(format: Format, options: ReadOptions) -> Self {
        Self::new(Box::new(io::stdin()), format, options)
    }

    pub(crate) fn new(source: Box<dyn Read + Send>, format: Format, options: ReadOptions) -> Self {
        let counter = Counter::default();
        let source = Counted::new(source, counter.clone());
        let rows: Box<dyn Iterator<Item = _> + Send> = match format {
            Format::Jsonl => Box::new(jsonl::JsonLines::new(source, options)),
            Format::Csv => Box::new(csv::CsvRows::new(source, options)),
            Format::BlazeDb => Box::new(blazedb::BlazeDbRows::new(source, options)),
        };
        Self { rows, counter, bytes_total: None, ended: false }
    }

    /// The bytes read so far, those of a read-ahead included.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.counter.total()
    }

    /// The bytes of the whole file; `None` if that isn't known.
    pub(crate) const fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }
}

impl Iterator for Reader {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.rows.next();
        self.counter.row_ended();
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

/// Checks a row as a commit would, where its line is still known.
fn checked(line: u64, key: Option<RecordKey>, record: Record) -> Result<Row, RowError> {
    check(key.as_ref(), &record).map_err(|problem| RowError::Row { line, problem })?;
    Ok((key, record))
}

/// Checks a key and a record as a commit would.
fn check(key: Option<&RecordKey>, record: &Record) -> Result<(), String> {
    if let Some(key) = key {
        key.check().map_err(|error| error.to_string())?;
    }
    record.check().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
