//! CSV: a header that names the fields, then a record a row.

use std::collections::BTreeSet;
use std::io::{self, Write};

use anyhow::{anyhow, bail};
use blaze_sync::{Name, Record, RecordKey, Value};
use csv::{ErrorKind, StringRecord};

use super::quotes::Quotes;
use super::source::Counted;
use super::{KeySource, ReadOptions, Row, RowError, cell, checked, jsonl};
use crate::keys;

const BUFFER_BYTES: usize = 128 * 1024;

/// Reads a header and rows.
pub(crate) struct CsvRows {
    reader: csv::Reader<Quotes<Counted>>,
    options: ReadOptions,
    /// The names of the columns; `None` before the header is read.
    columns: Option<Columns>,
    row: StringRecord,
}

/// What each column holds.
struct Columns {
    /// A field's name, or `None` for the key's column.
    names: Vec<Option<Name>>,
    /// Which holds the key.
    key: Option<usize>,
}

impl CsvRows {
    pub(crate) fn new(source: Counted, options: ReadOptions) -> Self {
        let mut builder = csv::ReaderBuilder::new();
        // Rows of another length are reported here, with what to do about it.
        builder.has_headers(false).flexible(true).buffer_capacity(BUFFER_BYTES);
        let reader = builder.from_reader(Quotes::new(source));
        Self { reader, options, columns: None, row: StringRecord::new() }
    }

    /// Reads a row into `self.row`; false at the end.
    fn read(&mut self) -> Result<bool, RowError> {
        let line = self.reader.position().line();
        let read =
            self.reader.read_record(&mut self.row).map_err(|error| match error.into_kind() {
                ErrorKind::Io(source) => RowError::Read { line, source },
                ErrorKind::Utf8 { pos, err } => RowError::Row {
                    line: pos.map_or(line, |position| position.line()),
                    problem: format!(
                        "cell {} is not UTF-8 text; convert the file to UTF-8",
                        err.field() + 1
                    ),
                },
                other => RowError::Row { line, problem: format!("{other:?}") },
            })?;
        if let Some(line) = self.reader.get_ref().unclosed() {
            let problem = "a quote opens here and is never closed; close it, or write a quote \
                           that is part of a cell twice in a cell in quotes";
            return Err(RowError::Row { line, problem: problem.to_owned() });
        }
        Ok(read)
    }

    fn line(&self) -> u64 {
        self.row.position().map_or(1, csv::Position::line)
    }

    fn next_row(&mut self) -> Result<Option<Row>, RowError> {
        if self.columns.is_none() {
            if !self.read()? {
                return Ok(None);
            }
            let (line, header) = (self.line(), &self.row);
            let columns = Columns::of(header, &self.options.keys);
            self.columns = Some(columns.map_err(|problem| RowError::Row { line, problem })?);
        }
        if !self.read()? {
            return Ok(None);
        }
        let line = self.line();
        let Some(columns) = &self.columns else { return Ok(None) };
        let row = columns.row(&self.row, &self.options);
        let (key, record) = row.map_err(|problem| RowError::Row { line, problem })?;
        checked(line, key, record).map(Some)
    }
}

impl Iterator for CsvRows {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}

impl Columns {
    fn of(header: &StringRecord, keys: &KeySource) -> Result<Self, String> {
        let mut seen = BTreeSet::new();
        let mut names = Vec::with_capacity(header.len());
        for (index, text) in header.iter().enumerate() {
            if !seen.insert(text) {
                return Err(format!("two columns are called {text:?}; rename one in the header"));
            }
            let name = Name::new(text);
            let name = name.map_err(|error| format!("column {} of the header: {error}", index + 1));
            names.push(Some(name?));
        }
        let (KeySource::Column(name) | KeySource::Field(name)) = keys;
        let key = header.iter().position(|column| column == name);
        match (keys, key) {
            (KeySource::Column(_), Some(key)) => names[key] = None,
            (KeySource::Field(field), None) => return Err(jsonl::no_key_field(field)),
            _ => {}
        }
        Ok(Self { names, key })
    }

    fn row(&self, row: &StringRecord, options: &ReadOptions) -> Result<Row, String> {
        let (found, expected) = (row.len(), self.names.len());
        if found != expected {
            return Err(format!(
                "it has {found} cells and the header {expected}; put cells with commas, quotes or \
                 line breaks in double quotes"
            ));
        }
        let mut record = Record::new();
        for (name, text) in self.names.iter().zip(row) {
            let Some(name) = name else { continue };
            if options.text {
                record.insert(name.clone(), Value::from(text));
            } else if !text.is_empty() {
                record.insert(name.clone(), cell::infer(text));
            }
        }
        let key = match self.key.map(|index| &row[index]) {
            None => None,
            Some("") => match &options.keys {
                KeySource::Column(_) => None,
                KeySource::Field(field) => return Err(jsonl::no_key_field(field)),
            },
            Some(text) => Some(keys::parse(text)?),
        };
        Ok((key, record))
    }
}

/// Writes a header, and then rows with the fields that it names.
pub(crate) struct CsvWriter<W: Write> {
    writer: csv::Writer<W>,
    fields: Vec<Name>,
}

impl<W: Write> CsvWriter<W> {
    /// Writes the header: the key's column, then these fields.
    ///
    /// # Errors
    ///
    /// A sentence if a field has the key column's name, or what the sink says.
    pub(crate) fn new(sink: W, key_column: &str, fields: BTreeSet<Name>) -> anyhow::Result<Self> {
        if fields.contains(key_column) {
            bail!("{}", collision(key_column, "a record"));
        }
        let mut writer = csv::WriterBuilder::new().from_writer(sink);
        let fields: Vec<_> = fields.into_iter().collect();
        let header = fields.iter().map(Name::as_str);
        writer.write_record([key_column].into_iter().chain(header)).map_err(into_io)?;
        Ok(Self { writer, fields })
    }

    /// Writes a row.
    ///
    /// # Errors
    ///
    /// A sentence if the record has a field that the header doesn't name, or what
    /// the sink says.
    pub(crate) fn write(&mut self, key: &RecordKey, record: &Record) -> anyhow::Result<()> {
        let mut known = 0;
        self.writer.write_field(keys::to_text(key)).map_err(into_io)?;
        for field in &self.fields {
            let value = record.get(field);
            known += usize::from(value.is_some());
            let cell = value.map(cell::to_cell).unwrap_or_default();
            self.writer.write_field(cell).map_err(into_io)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(into_io)?;
        if known < record.len() {
            bail!("record {} got a new field during the export; export again", keys::to_text(key));
        }
        Ok(())
    }

    /// Writes what is buffered, and gives back the sink.
    ///
    /// # Errors
    ///
    /// What the sink says.
    pub(crate) fn finish(self) -> io::Result<W> {
        self.writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// The error that a record's field has the name of the key's column.
pub(super) fn key_collision(key_column: &str, key: &RecordKey) -> anyhow::Error {
    anyhow!("{}", collision(key_column, &format!("record {}", keys::to_text(key))))
}

fn collision(key_column: &str, whose: &str) -> String {
    format!(
        "{whose} has a field {key_column:?}, which is where the export writes the key; choose \
         another place with --key-column NAME"
    )
}

fn into_io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
