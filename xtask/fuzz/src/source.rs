//! Takes an input for a list of decisions.

/// Decisions by the bytes of an input, and by zeros once they are used up.
#[derive(Debug, Clone)]
pub(crate) struct Source<'a> {
    bytes: &'a [u8],
}

impl<'a> Source<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether all bytes are used up.
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All that is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    /// Whether it is one of so many in 256.
    pub(crate) fn one_in(&mut self, chances: u8) -> bool {
        self.byte() < chances
    }

    /// A number below another one that isn't 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let bytes = if limit <= 256 { 1 } else { 2 };
        let number =
            self.take(bytes).iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        number % limit
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A number of any size, often a small one.
    pub(crate) fn number(&mut self) -> u64 {
        let width = [1, 1, 1, 2, 3, 4, 6, 8][self.below(8)];
        let mut bytes = [0; 8];
        let taken = self.take(width);
        bytes[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(bytes)
    }

    /// Up to so many bytes.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(count.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    /// Bytes that are told by their length in two bytes.
    pub(crate) fn part(&mut self) -> Self {
        let length = u16::from_le_bytes([self.byte(), self.byte()]);
        Self::new(self.take(length.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_decisions_and_then_zeros() {
        let mut source = Source::new(&[7, 1, 2, 3, 2, 0, 9, 8, 5]);
        assert_eq!((source.byte(), source.below(300), source.below(2)), (7, 258, 1));
        let mut part = source.part();
        assert_eq!((part.byte(), part.byte(), part.byte(), part.is_empty()), (9, 8, 0, true));
        assert_eq!(source.rest(), [5]);
        assert_eq!((source.number(), source.number(), source.below(9)), (0, 0, 0));
    }
}
