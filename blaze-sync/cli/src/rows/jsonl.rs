//! JSON Lines: one object a line.

use std::io::{self, BufRead, BufReader, Write};

use blaze_sync::{Record, RecordKey, Value};

use super::source::Counted;
use super::{KeySource, ReadOptions, Row, RowError, checked, integer};
use crate::keys;

const BUFFER_BYTES: usize = 128 * 1024;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads lines; empty ones are left out.
pub(crate) struct JsonLines {
    source: BufReader<Counted>,
    keys: KeySource,
    line: u64,
    buffer: Vec<u8>,
}

impl JsonLines {
    pub(crate) fn new(source: Counted, options: ReadOptions) -> Self {
        let source = BufReader::with_capacity(BUFFER_BYTES, source);
        Self { source, keys: options.keys, line: 0, buffer: Vec::new() }
    }

    fn row(&self) -> Result<Row, RowError> {
        let line = self.line;
        let row = |problem: String| RowError::Row { line, problem };
        let mut record = parse_record(self.text()).map_err(row)?;
        let key = take_key(&self.keys, &mut record).map_err(row)?;
        checked(line, key, record)
    }

    fn text(&self) -> &[u8] {
        let text = &self.buffer[..];
        if self.line > 1 {
            return text;
        }
        text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
    }
}

impl Iterator for JsonLines {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.line += 1;
            self.buffer.clear();
            match self.source.read_until(b'\n', &mut self.buffer) {
                Ok(0) => return None,
                Ok(_) if self.text().trim_ascii().is_empty() => {}
                Ok(_) => return Some(self.row()),
                Err(source) => return Some(Err(RowError::Read { line: self.line, source })),
            }
        }
    }
}

/// The key of a record, taken out of it where its place isn't a field.
///
/// # Errors
///
/// A sentence if there is none where one must be, or a value that can't be one.
pub(super) fn take_key(
    source: &KeySource,
    record: &mut Record,
) -> Result<Option<RecordKey>, String> {
    match source {
        KeySource::Column(column) => {
            let value = record.remove(column);
            let key = value.map(|value| match value {
                // Where an export writes keys as text.
                Value::Text(text) => keys::parse(&text),
                other => keys::of_value(&other),
            });
            key.transpose().map_err(|problem| format!("{column:?}: {problem}"))
        }
        KeySource::Field(field) => {
            let value = record.get(field).ok_or_else(|| no_key_field(field))?;
            keys::of_value(value).map(Some).map_err(|problem| format!("{field:?}: {problem}"))
        }
    }
}

/// A row lacks the field that is to be its key.
pub(super) fn no_key_field(field: &str) -> String {
    format!("it has no {field:?} to take the key from; add it, or leave --key out")
}

/// A record of the text of one JSON object.
///
/// # Errors
///
/// A sentence that says what was found.
pub(crate) fn parse_record(text: &[u8]) -> Result<Record, String> {
    if let Some(problem) = integer::problem(text) {
        return Err(problem);
    }
    serde_json::from_slice(text).map_err(|error| {
        let message = without_place(&error);
        if error.is_data() && !text.trim_ascii_start().starts_with(b"{") {
            return r#"expected a JSON object such as {"title": "hello"}"#.to_owned();
        }
        format!("{message} (column {})", error.column())
    })
}

/// What an error says, without its place in the text.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&place).unwrap_or(&message).to_owned()
}

/// Writes a record and its key as a line.
///
/// # Errors
///
/// A sentence if the record has a field of the key column's name, or what the
/// sink says.
pub(crate) fn write(
    sink: &mut impl Write,
    key_column: &str,
    key: &RecordKey,
    mut record: Record,
) -> anyhow::Result<()> {
    let text = keys::to_text(key);
    if record.set(key_column, Value::from(text))?.is_some() {
        return Err(super::csv::key_collision(key_column, key));
    }
    serde_json::to_writer(&mut *sink, &record).map_err(io::Error::from)?;
    sink.write_all(b"\n")?;
    Ok(())
}
