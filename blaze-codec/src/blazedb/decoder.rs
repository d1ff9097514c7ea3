//! Records as they arrive, alone or as a counted sequence.

use bytes::{Buf, BytesMut};

use super::{BlazeDbError, BlazeDbErrorKind, INPUT_BYTES_MAX, MAGIC, decode_record, may_begin};
use crate::Record;

/// A count, or a length.
const NUMBER_BYTES: usize = 4;
/// Where the first record of a sequence begins: after the count and its length.
const FIRST_AT: usize = 2 * NUMBER_BYTES;

/// Takes the bytes of a record, or of a counted sequence of records, in pieces
/// of any length, and gives the records.
///
/// Which of the two it is, the first bytes tell. It holds the bytes that were
/// fed and not yet decoded: a record of [`INPUT_BYTES_MAX`] at most, if each
/// piece is followed by [`Self::next_record`] until there is none.
///
/// ```
/// use blaze_codec::blazedb::Decoder;
///
/// let mut decoder = Decoder::new();
/// decoder.feed(b"\x00\x00\x00\x01\x00\x00\x00\x0bBLAZE\x01\x00");
/// assert_eq!(decoder.next_record()?, None);
/// decoder.feed(b"\x01\x16\x12\x2a");
/// decoder.end();
/// let (at, record) = decoder.next_record()?.expect("it is complete");
/// assert_eq!((at, record.get("age")), (8, Some(&42.into())));
/// assert_eq!(decoder.next_record()?, None);
/// # Ok::<(), blaze_codec::blazedb::BlazeDbError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    buffer: BytesMut,
    /// Where in the input the buffer begins.
    at: u64,
    expected: Expected,
    ended: bool,
}

/// What comes next.
#[derive(Debug, Clone, Copy, Default)]
enum Expected {
    /// What it is isn't known yet.
    #[default]
    Any,
    /// One record, up to the end of the input.
    Record,
    /// So many records, with their lengths.
    Records(u32),
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what follows in the input.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Says that nothing follows.
    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// The next record with the place in the input where it begins; `None` if
    /// more is to be fed or, after [`Self::end`], if there is none.
    ///
    /// # Errors
    ///
    /// [`BlazeDbError`] if what follows is no record. The next call gives the
    /// same: nothing after it can be read.
    pub fn next_record(&mut self) -> Result<Option<(u64, Record)>, BlazeDbError> {
        if matches!(self.expected, Expected::Any) && !self.recognise()? {
            return Ok(None);
        }
        match self.expected {
            Expected::Any => Ok(None),
            Expected::Record => self.whole(),
            Expected::Records(0) if self.buffer.is_empty() => Ok(None),
            Expected::Records(0) => Err(self.error(0, BlazeDbErrorKind::Trailing)),
            Expected::Records(left) => self.one_of(left),
        }
    }

    /// Finds out what the input is; false if more bytes are needed for that.
    fn recognise(&mut self) -> Result<bool, BlazeDbError> {
        let enough = self.ended || self.buffer.len() >= FIRST_AT + MAGIC.len();
        if !enough {
            return Ok(false);
        }
        if may_begin(&self.buffer) {
            self.expected = Expected::Record;
            return Ok(true);
        }
        let count = self.number(0)?;
        let first = self.buffer.get(FIRST_AT..).unwrap_or_default();
        if count > 0 && !may_begin(first) {
            return Err(self.error(0, BlazeDbErrorKind::Unknown));
        }
        self.advance(NUMBER_BYTES);
        self.expected = Expected::Records(count);
        Ok(true)
    }

    /// The record that is all of the input.
    fn whole(&mut self) -> Result<Option<(u64, Record)>, BlazeDbError> {
        // Endless input is refused here; its end need not come first.
        if !self.ended && self.buffer.len() <= INPUT_BYTES_MAX {
            return Ok(None);
        }
        let record = decode_record(&self.buffer)?;
        self.advance(self.buffer.len());
        self.expected = Expected::Records(0);
        Ok(Some((0, record)))
    }

    /// The next record of a sequence of which so many are left.
    fn one_of(&mut self, left: u32) -> Result<Option<(u64, Record)>, BlazeDbError> {
        if !self.ended && self.buffer.len() < NUMBER_BYTES {
            return Ok(None);
        }
        let length = self.number(0)? as usize;
        let limit = BlazeDbErrorKind::limit("record bytes", length, INPUT_BYTES_MAX);
        limit.map_err(|kind| self.error(0, kind))?;
        let end = NUMBER_BYTES + length;
        let at = self.at + NUMBER_BYTES as u64;
        let Some(bytes) = self.buffer.get(NUMBER_BYTES..end) else {
            return if self.ended { Err(self.truncated(end)) } else { Ok(None) };
        };
        let record = decode_record(bytes).map_err(|error| error.in_record(at))?;
        self.advance(end);
        self.expected = Expected::Records(left - 1);
        Ok(Some((at, record)))
    }

    fn number(&self, at: usize) -> Result<u32, BlazeDbError> {
        let bytes = self.buffer.get(at..).and_then(<[u8]>::first_chunk);
        bytes
            .map(|bytes| u32::from_be_bytes(*bytes))
            .ok_or_else(|| self.truncated(at + NUMBER_BYTES))
    }

    fn advance(&mut self, count: usize) {
        self.buffer.advance(count);
        self.at += count as u64;
    }

    fn error(&self, at: usize, kind: BlazeDbErrorKind) -> BlazeDbError {
        kind.at(at).in_record(self.at)
    }

    /// The input has ended, and so many bytes of the buffer were to come.
    fn truncated(&self, wanted: usize) -> BlazeDbError {
        let needed = (wanted - self.buffer.len()) as u64;
        self.error(self.buffer.len(), BlazeDbErrorKind::Truncated { needed })
    }
}
