//! The JSON export: `{"header": …, "records": [{…}, …], "manifest": …}`, record by record.

use blaze_sync::Record;
use serde::de::{Deserialize, IgnoredAny};

use super::input::Input;
use super::plain::PlainRecord;
use crate::rows::{RowError, integer, jsonl};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
const RECORDS: &str = "records";

/// Where in the document it is. Of what isn't a record, only the form is looked at.
#[derive(Default)]
pub(super) struct Export {
    place: Place,
    has_records: bool,
    text: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
enum Place {
    #[default]
    Begin,
    /// Before a member of the document, or its end.
    Member {
        first: bool,
    },
    /// Before a record, or the end of all.
    Record {
        first: bool,
    },
    End,
}

impl Export {
    /// The next record with the place where it begins.
    pub(super) fn next_record(
        &mut self,
        input: &mut Input,
    ) -> Result<Option<(u64, Record)>, RowError> {
        loop {
            self.place = match self.place {
                Place::Begin => begin(input)?,
                Place::Member { first } if more(input, first, b'}')? => self.member(input)?,
                Place::Member { .. } => self.end(input)?,
                Place::Record { first } if more(input, first, b']')? => {
                    self.place = Place::Record { first: false };
                    return self.record(input).map(Some);
                }
                Place::Record { .. } => Place::Member { first: false },
                Place::End => return Ok(None),
            };
        }
    }

    fn member(&mut self, input: &mut Input) -> Result<Place, RowError> {
        match input.peek_past_blanks()? {
            Some(b'"') => {}
            found => return Err(input.unexpected(found, "a name in quotes")),
        }
        let at = input.at();
        input.value(&mut self.text)?;
        let name: String = parse(at, &self.text)?;
        input.expect(b':', "a colon")?;
        if name != RECORDS {
            input.peek_past_blanks()?;
            let at = input.at();
            input.value(&mut self.text)?;
            parse::<IgnoredAny>(at, &self.text)?;
            return Ok(Place::Member { first: false });
        }
        if self.has_records {
            let problem = "\"records\" is given twice; this is no export of BlazeDB".to_owned();
            return Err(RowError::Place { at, problem });
        }
        input.expect(b'[', "the array of the records")?;
        self.has_records = true;
        Ok(Place::Record { first: true })
    }

    fn record(&mut self, input: &mut Input) -> Result<(u64, Record), RowError> {
        match input.peek_past_blanks()? {
            Some(b'{') => {}
            found => return Err(input.unexpected(found, "a record in braces")),
        }
        let at = input.at();
        input.value(&mut self.text)?;
        if let Some(problem) = integer::problem(&self.text) {
            return Err(RowError::Place { at, problem });
        }
        parse(at, &self.text).map(|PlainRecord(record)| (at, record))
    }

    fn end(&self, input: &mut Input) -> Result<Place, RowError> {
        if !self.has_records {
            let problem = "there are no \"records\" in this JSON document; give --format jsonl if \
                           each of its lines is a record";
            return Err(RowError::Place { at: input.at(), problem: problem.to_owned() });
        }
        match input.peek_past_blanks()? {
            None => Ok(Place::End),
            found => Err(input.unexpected(found, "nothing after the document")),
        }
    }
}

fn begin(input: &mut Input) -> Result<Place, RowError> {
    if input.peek()? == BYTE_ORDER_MARK.first().copied() {
        BYTE_ORDER_MARK.iter().try_for_each(|byte| input.expect(*byte, "UTF-8"))?;
    }
    input.expect(b'{', "a JSON document in braces")?;
    Ok(Place::Member { first: true })
}

/// Whether another element follows; steps over what comes before it, or closes.
fn more(input: &mut Input, first: bool, close: u8) -> Result<bool, RowError> {
    input.peek_past_blanks()?;
    if input.skip(close)? {
        return Ok(false);
    }
    if !first {
        input.expect(b',', "a comma or the end")?;
    }
    Ok(true)
}

/// The value of a text that begins at this place.
fn parse<'a, T: Deserialize<'a>>(at: u64, text: &'a [u8]) -> Result<T, RowError> {
    serde_json::from_slice(text).map_err(|error| {
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        let before: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
        let at = at + (before + error.column().saturating_sub(1)) as u64;
        RowError::Place { at, problem: jsonl::without_place(&error) }
    })
}
