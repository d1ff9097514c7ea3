//! A position in a record, and the primitives that are read there.

use super::checksum::checksum;
use super::{BlazeDbError, BlazeDbErrorKind, CHECKSUM_BYTES};
use crate::limits::{VALUES_MAX, what};

/// Reads from the front of bytes that nobody vouches for.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    values: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, values: 0 }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The same without the checksum at the end, which is verified.
    pub(super) fn without_checksum(mut self) -> Result<Self, BlazeDbError> {
        self.proven(CHECKSUM_BYTES, 1)?;
        let Some((content, last)) = self.bytes.split_last_chunk() else { return Ok(self) };
        let (found, computed) = (u32::from_be_bytes(*last), checksum(content));
        if found != computed {
            return Err(BlazeDbErrorKind::Checksum { found, computed }.at(content.len()));
        }
        self.bytes = content;
        Ok(self)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], BlazeDbError> {
        self.proven(count, 1)?;
        let taken = &self.bytes[self.at..self.at + count];
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], BlazeDbError> {
        let chunk = self.bytes[self.at..].first_chunk().ok_or_else(|| self.truncated(N))?;
        self.at += N;
        Ok(*chunk)
    }

    pub(super) fn byte(&mut self) -> Result<u8, BlazeDbError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, BlazeDbError> {
        self.array().map(u16::from_be_bytes)
    }

    /// A length or count of 32 bits.
    pub(super) fn length(&mut self) -> Result<usize, BlazeDbError> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    pub(super) fn float(&mut self) -> Result<f64, BlazeDbError> {
        self.array().map(f64::from_be_bytes)
    }

    pub(super) fn text(&mut self, bytes: usize) -> Result<&'a str, BlazeDbError> {
        let at = self.at;
        std::str::from_utf8(self.take(bytes)?)
            .map_err(|error| BlazeDbErrorKind::Utf8.at(at + error.valid_up_to()))
    }

    /// Refuses a count of elements that the bytes left have no room for.
    pub(super) fn proven(&self, count: usize, bytes_min: usize) -> Result<(), BlazeDbError> {
        let bytes = count.saturating_mul(bytes_min);
        if bytes > self.remaining() {
            return Err(self.truncated(bytes));
        }
        Ok(())
    }

    /// Counts values towards the limit of a record.
    pub(super) fn count_values(&mut self, count: usize) -> Result<(), BlazeDbError> {
        self.values = self.values.saturating_add(count);
        let limit = BlazeDbErrorKind::limit(what::VALUES, self.values, VALUES_MAX);
        limit.map_err(|kind| kind.at(self.at))
    }

    pub(super) fn finish(self) -> Result<(), BlazeDbError> {
        match self.remaining() {
            0 => Ok(()),
            _ => Err(BlazeDbErrorKind::Trailing.at(self.at)),
        }
    }

    fn truncated(&self, wanted: usize) -> BlazeDbError {
        let needed = (wanted - self.remaining()) as u64;
        BlazeDbErrorKind::Truncated { needed }.at(self.bytes.len())
    }
}
