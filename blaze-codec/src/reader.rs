//! A position in bytes, and the primitives that are read there.

use crate::limits::NAME_BYTES_MAX;
use crate::{DecodeError, Name};

/// Reads from the front of bytes that nobody vouches for.
///
/// Positions in errors count from the first byte of the whole input, also in a
/// reader that [`Self::split`] made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many values were read, for their limit.
    pub(crate) values: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, values: 0 }
    }

    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// What lies between this place and that of another reader of the same bytes.
    pub(crate) fn up_to(&self, end: &Self) -> &'a [u8] {
        &self.bytes[self.at..end.at]
    }

    /// All that is left, which stays unread.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.truncated(1))?;
        self.at += 1;
        Ok(byte)
    }

    /// Steps over the next byte if it is this one.
    pub(crate) fn skip_byte(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        if count > self.remaining() {
            return Err(self.truncated(count));
        }
        let taken = &self.bytes[self.at..self.at + count];
        self.at += count;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.array_ref().copied()
    }

    pub(crate) fn array_ref<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let chunk = self.bytes[self.at..].first_chunk().ok_or_else(|| self.truncated(N))?;
        self.at += N;
        Ok(chunk)
    }

    /// A reader of the next `count` bytes, which this one steps over.
    pub(crate) fn split(&mut self, count: usize) -> Result<Self, DecodeError> {
        let at = self.at;
        self.take(count)?;
        Ok(Self { bytes: &self.bytes[..self.at], at, values: 0 })
    }

    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(byte.into())
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let start = self.at;
        let malformed = DecodeError::Malformed { what: "varint", at: start };
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            number |= bits << shift;
            if byte & 0x80 != 0 {
                continue;
            }
            // A last byte of 0 adds nothing, and the 10th has room for one bit.
            let shortest = byte != 0 || shift == 0;
            return if shortest && number >> shift == bits { Ok(number) } else { Err(malformed) };
        }
        Err(malformed)
    }

    /// A zigzag number.
    pub(crate) fn signed(&mut self) -> Result<i64, DecodeError> {
        let number = self.varint()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// A count of bytes or elements that is within a limit.
    pub(crate) fn bounded(&mut self, what: &'static str, max: usize) -> Result<usize, DecodeError> {
        let number = self.varint()?;
        let limit = DecodeError::Limit { what, found: number, max: max as u64 };
        usize::try_from(number).ok().filter(|number| *number <= max).ok_or(limit)
    }

    /// A count of elements that the bytes left have room for.
    pub(crate) fn count(&mut self, element_bytes_min: usize) -> Result<usize, DecodeError> {
        let at = self.at;
        let number = self.varint()?;
        let count =
            usize::try_from(number).map_err(|_| DecodeError::Malformed { what: "count", at })?;
        self.proven(count, element_bytes_min)
    }

    /// Refuses a count of elements that the bytes left have no room for.
    pub(crate) fn proven(
        &self,
        count: usize,
        element_bytes_min: usize,
    ) -> Result<usize, DecodeError> {
        let bytes = count.saturating_mul(element_bytes_min);
        if bytes > self.remaining() {
            return Err(self.truncated(bytes));
        }
        Ok(count)
    }

    pub(crate) fn text(&mut self, bytes: usize) -> Result<&'a str, DecodeError> {
        let at = self.at;
        utf8(self.take(bytes)?, at)
    }

    /// A length byte and so many bytes of UTF-8.
    pub(crate) fn name(&mut self) -> Result<&'a str, DecodeError> {
        const { assert!(NAME_BYTES_MAX == u8::MAX as usize) };
        let at = self.at;
        match self.byte()? {
            0 => Err(DecodeError::Malformed { what: "empty name", at }),
            bytes => self.text(bytes.into()),
        }
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { count }),
        }
    }

    pub(crate) const fn malformed<T>(what: &'static str, at: usize) -> Result<T, DecodeError> {
        Err(DecodeError::Malformed { what, at })
    }

    fn truncated(&self, wanted: usize) -> DecodeError {
        DecodeError::Truncated { at: self.at, needed: wanted - self.remaining() }
    }
}

/// The text that bytes are, which were found at a place.
pub(crate) fn utf8(bytes: &[u8], at: usize) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::Malformed { what: "UTF-8", at })
}

/// How many of `count` elements to reserve memory for. Claims can be nested, so
/// what the bytes left could hold is no proof: whatever really is more than a few
/// grows as it comes.
pub(crate) const fn capacity<T>(count: usize) -> usize {
    let few = RESERVE_BYTES_MAX / size_of::<T>();
    if count < few { count } else { few }
}

/// The most memory that is reserved for elements which haven't been read.
const RESERVE_BYTES_MAX: usize = 4 * 1024;

/// The name of a text that [`Reader::name`] read.
pub(crate) fn owned_name(text: &str) -> Result<Name, DecodeError> {
    Name::new(text).map_err(|_| DecodeError::Malformed { what: "name", at: 0 })
}
