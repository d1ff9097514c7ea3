//! The bytes that a user's types become, and what they take.

use std::ops::Range;

use super::error::{TypedError, TypedErrorKind};
use crate::binary::{Token, encode_name, is_null_next, read_map_name, read_token, skip_value};
use crate::check::within;
use crate::limits::{DEPTH_MAX, FIELDS_MAX, RECORD_BYTES_MAX, VALUES_MAX, what};
use crate::reader::Reader;
use crate::{DecodeError, Name, ValueError};

type Result<T> = std::result::Result<T, TypedError>;

/// Where a value lies: within how many arrays and maps, the record itself included.
pub(super) type Level = usize;

/// The level of a record. What lies there is none of the values that are limited.
pub(super) const RECORD: Level = 0;
/// The level of a field's value, and so that of a standalone one.
pub(super) const VALUE: Level = 1;

/// Writes BlazeBinary, and keeps its limits.
pub(super) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// Where the fields lie of the maps that are open, with their names.
    fields: Vec<Range<usize>>,
    /// Fields on their way into their order, and longer heads.
    spare: Vec<u8>,
    values: usize,
    bytes: usize,
}

/// How far a writer has come.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    end: usize,
    fields: usize,
    values: usize,
    bytes: usize,
}

/// An array or map that is open.
pub(super) struct Open {
    level: Level,
    /// How many values or fields its head claims until it is closed.
    claimed: usize,
    head: Range<usize>,
    token: fn(usize) -> Token<'static>,
    /// The first of its fields.
    first: usize,
}

impl Open {
    /// The level of what it holds.
    pub(super) const fn inside(&self) -> Level {
        self.level + 1
    }
}

impl<'o> Writer<'o> {
    pub(super) const fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, fields: Vec::new(), spare: Vec::new(), values: 0, bytes: 0 }
    }

    pub(super) const fn mark(&self) -> Mark {
        let (end, fields) = (self.out.len(), self.fields.len());
        Mark { end, fields, values: self.values, bytes: self.bytes }
    }

    /// Takes back what was written since.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.out.truncate(mark.end);
        self.fields.truncate(mark.fields);
        (self.values, self.bytes) = (mark.values, mark.bytes);
    }

    /// What was written since.
    fn since(&self, mark: Mark) -> Reader<'_> {
        Reader::new(&self.out[mark.end..])
    }

    /// Whether the value that was written since is null.
    pub(super) fn is_null(&self, mark: Mark) -> bool {
        is_null_next(&self.since(mark))
    }

    /// The text that the value becomes as a map's key which was written since.
    pub(super) fn key_text(&self, mark: Mark) -> Result<String> {
        match read_token(&mut self.since(mark))? {
            Token::Text(text) => Ok(text.to_owned()),
            Token::Int(int) => Ok(int.to_string()),
            Token::Bool(bool) => Ok(bool.to_string()),
            Token::Uuid(uuid) => Ok(uuid.to_string()),
            other => Err(TypedErrorKind::Key { found: other.kind() }.into()),
        }
    }

    /// Writes a value without contents.
    pub(super) fn write(&mut self, level: Level, token: &Token<'_>) -> Result<()> {
        self.count_value(level)?;
        if let Token::Text(text) = token {
            self.room(level, text.len())?;
        }
        if let Token::Bytes(bytes) = token {
            self.room(level, bytes.len())?;
        }
        self.counted(level, |writer| token.encode(writer.out))
    }

    /// Writes a value that somebody else encoded.
    pub(super) fn write_encoded(&mut self, level: Level, bytes: &[u8]) -> Result<()> {
        let read = |error| match error {
            DecodeError::Limit { what, found, max } => {
                let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
                let limit = ValueError::Limit { what, found: size(found), max: size(max) };
                TypedErrorKind::from(limit)
            }
            other => other.into(),
        };
        let mut reader = Reader::new(bytes);
        reader.values = self.values;
        let added = match level.checked_sub(VALUE) {
            Some(depth) => skip_value(&mut reader, depth).map(|()| bytes.len()),
            None => skip_record(&mut reader),
        };
        let added = added.and_then(|added| reader.finish().map(|()| added)).map_err(read)?;
        self.bytes += added;
        within(what::RECORD_BYTES, self.bytes, RECORD_BYTES_MAX)?;
        self.values = reader.values;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Begins an array or map of which it isn't sure how much it will hold.
    pub(super) fn open(
        &mut self,
        level: Level,
        claimed: Option<usize>,
        token: fn(usize) -> Token<'static>,
    ) -> Result<Open> {
        within(what::DEPTH, level, DEPTH_MAX)?;
        self.count_value(level)?;
        let (claimed, at) = (claimed.unwrap_or(0), self.out.len());
        self.counted(level, |writer| token(claimed).encode(writer.out))?;
        let (head, first) = (at..self.out.len(), self.fields.len());
        Ok(Open { level, claimed, head, token, first })
    }

    /// Ends an array or map, which is the last that was begun.
    pub(super) fn close(&mut self, open: Open, count: usize) -> Result<()> {
        if count == open.claimed {
            return Ok(());
        }
        self.spare.clear();
        (open.token)(count).encode(&mut self.spare);
        self.counted(open.level, |writer| {
            writer.out.splice(open.head, writer.spare.drain(..));
        })
    }

    /// Begins a field of the map that was begun last.
    pub(super) fn begin_field(&mut self, open: &Open, name: &str) -> Result<()> {
        Name::check(name)?;
        let (at, count) = (self.out.len(), self.fields.len() + 1 - open.first);
        within(what::FIELDS, count, FIELDS_MAX)?;
        self.counted(open.level, |writer| encode_name(name, writer.out))?;
        self.fields.push(at..at);
        Ok(())
    }

    /// Forgets a map whose one field was begun: it needs no order, and its head is right.
    pub(super) fn leave(&mut self, open: &Open) {
        self.fields.truncate(open.first);
    }

    /// Ends the field that was begun last.
    pub(super) fn end_field(&mut self) {
        let field = self.fields.last_mut().expect("a field was begun");
        field.end = self.out.len();
    }

    /// The name of the field that was begun first since.
    pub(super) fn field_name(&self, mark: Mark) -> &str {
        let field = &self.fields[mark.fields];
        Reader::new(&self.out[field.start..]).name().expect("it was written here")
    }

    /// Ends a map: its fields get into their order.
    pub(super) fn close_map(&mut self, open: Open) -> Result<()> {
        let (fields, out) = (&mut self.fields[open.first..], &mut *self.out);
        let name = |field: &Range<usize>| {
            let start = field.start + 1;
            &out[start..start + usize::from(out[field.start])]
        };
        if !fields.is_sorted_by(|a, b| name(a) < name(b)) {
            fields.sort_unstable_by(|a, b| name(a).cmp(name(b)));
            let twice = fields.windows(2).find(|pair| name(&pair[0]) == name(&pair[1]));
            if let Some([field, ..]) = twice {
                let name = String::from_utf8_lossy(name(field));
                return Err(TypedError::from(TypedErrorKind::Twice).in_field(&name));
            }
            self.spare.clear();
            for field in &*fields {
                self.spare.extend_from_slice(&out[field.clone()]);
            }
            out[open.head.end..].copy_from_slice(&self.spare);
        }
        let count = fields.len();
        self.fields.truncate(open.first);
        self.close(open, count)
    }

    fn count_value(&mut self, level: Level) -> Result<()> {
        if level == RECORD {
            return Ok(());
        }
        self.values += 1;
        within(what::VALUES, self.values, VALUES_MAX)?;
        Ok(())
    }

    /// Refuses what is too long before it is copied.
    fn room(&self, level: Level, bytes: usize) -> Result<()> {
        if level == RECORD {
            return Ok(());
        }
        let found = self.bytes.saturating_add(bytes);
        within(what::RECORD_BYTES, found, RECORD_BYTES_MAX)?;
        Ok(())
    }

    /// Counts the bytes by which the output grows, or shrinks.
    fn counted(&mut self, level: Level, write: impl FnOnce(&mut Self)) -> Result<()> {
        let before = self.out.len();
        write(self);
        if level == RECORD {
            return Ok(());
        }
        self.bytes = self.bytes + self.out.len() - before;
        self.room(level, 0)
    }
}

/// Steps over a record, and tells how many bytes its values take. What is none is left for
/// others to refuse.
fn skip_record(reader: &mut Reader<'_>) -> std::result::Result<usize, DecodeError> {
    let mut inside = *reader;
    let Token::Map(count) = read_token(&mut inside)? else {
        return skip_value(reader, 0).map(|()| 0);
    };
    inside.values = reader.values;
    let (mut previous, mut bytes) = (None, 0);
    for _ in 0..count {
        read_map_name(&mut inside, &mut previous)?;
        let before = inside.at();
        skip_value(&mut inside, 0)?;
        bytes += inside.at() - before;
    }
    *reader = inside;
    Ok(bytes)
}
