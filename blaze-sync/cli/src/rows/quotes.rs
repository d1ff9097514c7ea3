//! Whether a quote of a CSV file is still open at its end.

use std::io::{self, Read};

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// A source that follows its quotes by the rules of the CSV reader, which takes the
/// end of the file for a closing quote.
pub(super) struct Quotes<R> {
    inner: R,
    place: Place,
    offset: usize,
    line: u64,
    /// The line of the latest opening quote.
    opened: u64,
    ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Where a quote opens.
    Begin,
    /// In a cell without quotes, or after its closing quote.
    Plain,
    Quoted,
    /// After a quote that closes the cell, or is the first of a pair.
    Quote,
}

impl<R> Quotes<R> {
    pub(super) const fn new(inner: R) -> Self {
        Self { inner, place: Place::Begin, offset: 0, line: 1, opened: 0, ended: false }
    }

    /// The line of the quote that is open, once the source has ended.
    pub(super) fn unclosed(&self) -> Option<u64> {
        (self.ended && self.place == Place::Quoted).then_some(self.opened)
    }

    fn follow(&mut self, byte: u8) {
        let mark = BYTE_ORDER_MARK.get(self.offset) == Some(&byte);
        self.offset = self.offset.saturating_add(1);
        if mark {
            return;
        }
        self.place = match (self.place, byte) {
            (Place::Begin, b'"') => {
                self.opened = self.line;
                Place::Quoted
            }
            (Place::Quoted, b'"') => Place::Quote,
            (Place::Quoted, _) | (Place::Quote, b'"') => Place::Quoted,
            (_, b',' | b'\n' | b'\r') => Place::Begin,
            _ => Place::Plain,
        };
        self.line += u64::from(byte == b'\n');
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.ended = count == 0 && !buffer.is_empty();
        for byte in &buffer[..count] {
            self.follow(*byte);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_open_only_if_the_end_comes_before_its_pair() {
        for (csv, unclosed) in [
            ("a,b\n1,\"x\ny\n", Some(2)),
            ("\u{feff}\"a\n", Some(1)),
            ("a\n\"\"\"", Some(2)),
            ("a\n\"x\"\r\n\"\n", Some(3)),
            ("a\n\"x \"\"quoted\"\" y\"", None),
            ("a\n5\" pipe\n\"x\"y\"\n", None),
            ("", None),
        ] {
            let mut quotes = Quotes::new(csv.as_bytes());
            io::copy(&mut quotes, &mut io::sink()).unwrap();
            assert_eq!(quotes.unclosed(), unclosed, "{csv:?}");
        }
    }
}
