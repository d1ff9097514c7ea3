//! What BlazeDB for Swift writes: one record, a counted sequence, or its JSON export.

mod export;
mod input;
mod plain;

use blaze_sync::blazedb::Decoder;
use blaze_sync::{Record, RecordKey, Uuid, Value};

use self::export::Export;
use self::input::Input;
use crate::rows::source::Counted;
use crate::rows::{KeySource, ReadOptions, Row, RowError, check, jsonl};

/// The field that has a record's key, unless an option names another.
const ID: &str = "id";

/// Reads records in whichever of the three forms they are.
pub(super) struct BlazeDbRows {
    input: Input,
    keys: KeySource,
    /// `None` before the first byte is read.
    form: Option<Form>,
}

enum Form {
    Binary(Decoder),
    Json(Export),
}

impl Form {
    /// The form of what begins with this byte. As the first of a count, those of JSON
    /// would mean 150 million records or more.
    fn of(first: Option<u8>) -> Self {
        match first {
            Some(b'{' | b' ' | b'\t' | b'\r' | b'\n' | 0xef) => Self::Json(Export::default()),
            _ => Self::Binary(Decoder::new()),
        }
    }
}

impl BlazeDbRows {
    pub(super) fn new(source: Counted, options: ReadOptions) -> Self {
        Self { input: Input::new(source), keys: options.keys, form: None }
    }

    fn next_row(&mut self) -> Result<Option<Row>, RowError> {
        let form = match &mut self.form {
            Some(form) => form,
            None => self.form.insert(Form::of(self.input.peek()?)),
        };
        let next = match form {
            Form::Binary(decoder) => next_binary(&mut self.input, decoder)?,
            Form::Json(export) => export.next_record(&mut self.input)?,
        };
        let Some((at, mut record)) = next else { return Ok(None) };
        let row = |problem| RowError::Place { at, problem };
        let key = take_key(&self.keys, &mut record).map_err(row)?;
        check(key.as_ref(), &record).map_err(row)?;
        Ok(Some((key, record)))
    }
}

impl Iterator for BlazeDbRows {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}

fn next_binary(
    input: &mut Input,
    decoder: &mut Decoder,
) -> Result<Option<(u64, Record)>, RowError> {
    loop {
        if let Some(record) = decoder.next_record()? {
            return Ok(Some(record));
        }
        let chunk = input.chunk()?;
        if chunk.is_empty() {
            decoder.end();
            return Ok(decoder.next_record()?);
        }
        decoder.feed(chunk);
        let count = chunk.len();
        input.advance(count);
    }
}

/// The key as for JSON Lines, else the id. A UUID is one as a text, too: a record has
/// the same key whether it comes as it is or through JSON.
fn take_key(keys: &KeySource, record: &mut Record) -> Result<Option<RecordKey>, String> {
    Ok(match jsonl::take_key(keys, record)? {
        Some(RecordKey::Text(text)) => {
            Some(uuid(&text).map_or(RecordKey::Text(text), RecordKey::Uuid))
        }
        Some(key) => Some(key),
        None => match record.get(ID) {
            Some(Value::Uuid(uuid)) => Some(RecordKey::Uuid(*uuid)),
            Some(Value::Text(text)) => uuid(text).map(RecordKey::Uuid),
            _ => None,
        },
    })
}

/// The UUID that a text of 36 characters is.
fn uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

#[cfg(test)]
mod tests;
