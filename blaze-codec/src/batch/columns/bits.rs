//! Numbers of few bits each, one behind the other, from the lowest bit of the first byte.

use crate::DecodeError;
use crate::reader::Reader;

/// So many numbers of `width` bits are `width` bytes, and written or read together.
const GROUP: usize = 8;
/// Up to so many bits: half a group fits into a word.
const GROUPED_WIDTH_MAX: usize = 16;

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

/// Appends numbers of at most `width` bits: those of `items`.
#[inline]
pub(super) fn pack<T: Copy>(
    items: &[T],
    width: usize,
    number: impl Fn(T) -> u64,
    out: &mut Vec<u8>,
) {
    if width == 0 {
        return;
    }
    let (start, bytes) = (out.len(), bytes_of(items.len(), width));
    // Groups are written with bytes behind them, which the next one overwrites.
    out.resize(start + bytes + size_of::<u128>(), 0);
    let mut left = &mut out[start..];
    let (mut groups, mut others) = items.as_chunks::<GROUP>();
    if width > GROUPED_WIDTH_MAX {
        (groups, others) = (&[], items);
    }
    for group in groups {
        let four = |first: usize| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|at| number(group[first + at]));
            (a | b << width) | (c | d << width) << (2 * width)
        };
        let word = u128::from(four(0)) | u128::from(four(4)) << (4 * width);
        *left.first_chunk_mut().expect("there is room behind it") = word.to_le_bytes();
        left = &mut left[width..];
    }
    let (mut word, mut filled) = (0_u128, 0);
    for item in others {
        word |= u128::from(number(*item)) << filled;
        filled += width;
        if filled >= 64 {
            *left.first_chunk_mut().expect("there is room behind it") =
                halves(word)[0].to_le_bytes();
            left = &mut left[8..];
            word >>= 64;
            filled -= 64;
        }
    }
    *left.first_chunk_mut().expect("there is room behind it") = halves(word)[0].to_le_bytes();
    out.truncate(start + bytes);
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

    /// Appends what `of` makes of so many numbers, from the first.
    #[inline]
    pub(super) fn unpack<T: Copy + Default>(
        &self,
        count: usize,
        list: &mut Vec<T>,
        mut of: impl FnMut(u64) -> T,
    ) {
        let Self { bytes: mut left, width, mask } = *self;
        let start = list.len();
        list.resize(start + count, T::default());
        let places = &mut list[start..];
        let mut done = 0;
        if width <= GROUPED_WIDTH_MAX {
            for group in places.as_chunks_mut::<GROUP>().0 {
                let Some(bytes) = left.first_chunk() else { break };
                let word = u128::from_le_bytes(*bytes);
                let [low, high] = [word, word >> (4 * width)].map(|half| halves(half)[0]);
                let (first, second) = group.split_at_mut(GROUP / 2);
                for (part, word) in [(first, low), (second, high)] {
                    for (number, shift) in part.iter_mut().zip((0..).step_by(width.max(1))) {
                        *number = of(word >> shift & mask);
                    }
                }
                left = &left[width..];
                done += GROUP;
            }
        }
        for (number, place) in places[done..].iter_mut().zip(done..) {
            *number = of(self.get(place));
        }
    }

    /// Appends so many numbers of entries.
    pub(super) fn unpack_numbers(&self, count: usize, list: &mut Vec<u32>) {
        self.unpack(count, list, |number| u32::try_from(number).unwrap_or(u32::MAX));
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
                pack(&numbers[..count], width, |number| number, &mut bytes);
                assert_eq!(bytes.len(), bytes_of(count, width));
                let mut reader = Reader::new(&bytes);
                let packed = Packed::read(&mut reader, count, width).unwrap();
                assert_eq!(reader.remaining(), 0);
                let back: Vec<u64> = (0..count).map(|place| packed.get(place)).collect();
                assert_eq!(back, numbers[..count], "width {width}");
                let mut each = Vec::new();
                packed.unpack(count, &mut each, |number| number);
                assert_eq!(each, back, "width {width}");
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
