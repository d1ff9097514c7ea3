//! Numbers of few bits each, one behind the other, from the lowest bit of the first byte.

use crate::DecodeError;
use crate::reader::Reader;

/// So many numbers of so many bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed<'a> {
    /// From the first number to the end of all bytes: a number is read with what
    /// follows it, and cut.
    bytes: &'a [u8],
    pub(super) width: usize,
    mask: u64,
}

/// The bits that numbers up to one need.
pub(super) const fn width_of(max: u64) -> usize {
    (u64::BITS - max.leading_zeros()) as usize
}

fn bytes_of(count: usize, width: usize) -> usize {
    count.saturating_mul(width).div_ceil(8)
}

/// Appends numbers of at most `width` bits.
pub(super) fn pack(numbers: impl Iterator<Item = u64>, width: usize, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (mut word, mut filled) = (0_u128, 0);
    for number in numbers {
        word |= u128::from(number) << filled;
        filled += width;
        if filled >= 64 {
            let [low, _] = halves(word);
            out.extend_from_slice(&low.to_le_bytes());
            word >>= 64;
            filled -= 64;
        }
    }
    let [low, _] = halves(word);
    out.extend_from_slice(&low.to_le_bytes()[..filled.div_ceil(8)]);
}

#[expect(clippy::cast_possible_truncation, reason = "each half is one of 64 bits")]
const fn halves(word: u128) -> [u64; 2] {
    [word as u64, (word >> 64) as u64]
}

impl<'a> Packed<'a> {
    pub(super) fn read(
        reader: &mut Reader<'a>,
        count: usize,
        width: usize,
    ) -> Result<Self, DecodeError> {
        let (at, bytes) = (reader.at(), reader.rest());
        let taken = reader.take(bytes_of(count, width))?;
        let used = count * width % 8;
        if used > 0 && taken.last().is_some_and(|last| last >> used != 0) {
            return Reader::malformed("bits behind the last number", at);
        }
        let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
        Ok(Self { bytes, width, mask })
    }

    /// The number at a place below the count.
    #[inline]
    pub(super) fn get(&self, place: usize) -> u64 {
        let bit = place * self.width;
        let shift = bit % 8;
        if self.width > 56 {
            let bytes = self.at(bit / 8).unwrap_or_else(|| self.last(bit / 8));
            return halves(u128::from_le_bytes(bytes) >> shift)[0] & self.mask;
        }
        let bytes = self.at(bit / 8).unwrap_or_else(|| self.last(bit / 8));
        (u64::from_le_bytes(bytes) >> shift) & self.mask
    }

    #[inline]
    fn at<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }

    /// The last bytes, and zeros for those that aren't there.
    #[cold]
    fn last<const N: usize>(&self, at: usize) -> [u8; N] {
        let bytes = self.bytes.get(at..).unwrap_or_default();
        let mut padded = [0; N];
        padded[..bytes.len()].copy_from_slice(bytes);
        padded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_come_back() {
        for width in 0..=64 {
            let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
            let numbers: Vec<u64> =
                (0..40_u64).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask).collect();
            for count in 0..numbers.len() {
                let mut bytes = Vec::new();
                pack(numbers[..count].iter().copied(), width, &mut bytes);
                assert_eq!(bytes.len(), bytes_of(count, width));
                let mut reader = Reader::new(&bytes);
                let packed = Packed::read(&mut reader, count, width).unwrap();
                assert_eq!(reader.remaining(), 0);
                let back: Vec<u64> = (0..count).map(|place| packed.get(place)).collect();
                assert_eq!(back, numbers[..count], "width {width}");
            }
        }
    }

    #[test]
    fn bits_behind_the_last_number_are_refused() {
        let read = |byte: u8| Packed::read(&mut Reader::new(&[byte]), 2, 3).map(|_| ());
        assert_eq!(read(0b0011_1111), Ok(()));
        assert!(read(0b0100_0000).is_err());
    }
}
