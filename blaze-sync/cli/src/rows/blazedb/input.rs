//! A source with its position, and the primitives of JSON that are read there.

use std::io::{BufRead, BufReader};

use crate::rows::RowError;
use crate::rows::source::Counted;

const BUFFER_BYTES: usize = 128 * 1024;

/// What is read, and how far it is.
pub(super) struct Input {
    source: BufReader<Counted>,
    at: u64,
}

impl Input {
    pub(super) fn new(source: Counted) -> Self {
        Self { source: BufReader::with_capacity(BUFFER_BYTES, source), at: 0 }
    }

    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// What is there already of what follows; empty at the end only.
    pub(super) fn chunk(&mut self) -> Result<&[u8], RowError> {
        let at = self.at;
        self.source.fill_buf().map_err(|source| RowError::ReadPlace { at, source })
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.source.consume(count);
        self.at += count as u64;
    }

    pub(super) fn peek(&mut self) -> Result<Option<u8>, RowError> {
        Ok(self.chunk()?.first().copied())
    }

    /// Steps over the next byte if it is this one.
    pub(super) fn skip(&mut self, byte: u8) -> Result<bool, RowError> {
        let found = self.peek()? == Some(byte);
        self.advance(found.into());
        Ok(found)
    }

    /// The first byte after blanks.
    pub(super) fn peek_past_blanks(&mut self) -> Result<Option<u8>, RowError> {
        loop {
            let chunk = self.chunk()?;
            let blanks = chunk.iter().take_while(|byte| is_blank(**byte)).count();
            let first = chunk.get(blanks).copied();
            self.advance(blanks);
            if first.is_some() || blanks == 0 {
                return Ok(first);
            }
        }
    }

    /// Steps over blanks and this byte.
    pub(super) fn expect(&mut self, byte: u8, what: &str) -> Result<(), RowError> {
        match self.peek_past_blanks()? {
            Some(found) if found == byte => {
                self.advance(1);
                Ok(())
            }
            found => Err(self.unexpected(found, what)),
        }
    }

    /// Reads the JSON value that begins here, without looking into it.
    pub(super) fn value(&mut self, text: &mut Vec<u8>) -> Result<(), RowError> {
        text.clear();
        let mut extent = Extent::default();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Err(self.unexpected(None, "more of a value"));
            }
            let end = extent.end(chunk);
            let count = end.unwrap_or(chunk.len());
            text.extend_from_slice(&chunk[..count]);
            self.advance(count);
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// The error that something else is here.
    pub(super) fn unexpected(&self, found: Option<u8>, what: &str) -> RowError {
        let problem = match found {
            Some(found) => format!("expected {what}, found {:?}", char::from(found)),
            None => format!("expected {what}, but it ends here; was it cut off?"),
        };
        RowError::Place { at: self.at, problem }
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// How far a JSON value goes, from what was seen of it.
#[derive(Default)]
struct Extent {
    depth: usize,
    quoted: bool,
    escaped: bool,
}

impl Extent {
    /// Where the value ends in what follows of it, if it does.
    fn end(&mut self, chunk: &[u8]) -> Option<usize> {
        for (index, byte) in chunk.iter().copied().enumerate() {
            if self.quoted {
                self.quoted = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                if !self.quoted && self.depth == 0 {
                    return Some(index + 1);
                }
                continue;
            }
            match byte {
                b'"' => self.quoted = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                // Behind the bracket that closes it, or before one around it.
                b'}' | b']' => return Some(index + self.depth),
                b',' if self.depth == 0 => return Some(index),
                byte if self.depth == 0 && is_blank(byte) => return Some(index),
                _ => {}
            }
        }
        None
    }
}
