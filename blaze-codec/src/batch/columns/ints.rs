//! Columns of integers: above the least of them, or above the least step from one to the
//! next, whichever takes fewer bits.

use super::bits::{Packed, pack, width_of};
use super::run::Run;
use crate::DecodeError;
use crate::binary::encode_signed;
use crate::reader::Reader;

/// Marks steps; the bits below are the width.
const STEPS: u8 = 0x80;
/// Columns of at most so many bits a number are never told by steps: there is little
/// to win, and much to check.
const PLAIN_WIDTH_MAX: usize = 8;
/// How many numbers are looked at before steps may be given up.
const STEPS_AT_ONCE: usize = 64;

/// A column of integers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ints {
    /// Where they are in the list of the batch.
    run: Run,
    least: i64,
    greatest: i64,
}

/// The least of some numbers, and the bits that the others need above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spread {
    least: i64,
    width: usize,
}

/// The least and the greatest of some numbers.
#[derive(Clone, Copy)]
struct Ends {
    least: i64,
    greatest: i64,
}

impl Ends {
    const fn at(number: i64) -> Self {
        Self { least: number, greatest: number }
    }

    #[inline]
    fn take(&mut self, number: i64) {
        self.least = self.least.min(number);
        self.greatest = self.greatest.max(number);
    }

    const fn spread(self) -> Spread {
        Spread { least: self.least, width: width_of(above(self.least, self.greatest)) }
    }
}

/// How far a number lies above another one that isn't greater.
#[inline]
const fn above(least: i64, number: i64) -> u64 {
    number.wrapping_sub(least).cast_unsigned()
}

/// The least and the greatest of a column; zero of none.
fn ends(numbers: &[i64]) -> Ends {
    let Some((first, others)) = numbers.split_first() else { return Ends::at(0) };
    let mut ends = Ends::at(*first);
    for number in others {
        ends.take(*number);
    }
    ends
}

fn steps(numbers: &[i64]) -> impl Iterator<Item = i64> {
    numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]))
}

/// How a column is told by steps, if it is to be.
fn by_steps(numbers: &[i64], plain: Spread) -> Option<Spread> {
    if plain.width <= PLAIN_WIDTH_MAX {
        return None;
    }
    let mut all = Ends::at(steps(numbers).next()?);
    // Most columns that steps don't suit show that soon.
    for some in numbers.chunks(STEPS_AT_ONCE) {
        steps(some).for_each(|step| all.take(step));
        if all.spread().width >= plain.width {
            return None;
        }
    }
    // What lies between the chunks.
    for pair in numbers.windows(2).skip(STEPS_AT_ONCE - 1).step_by(STEPS_AT_ONCE) {
        all.take(pair[1].wrapping_sub(pair[0]));
    }
    Some(all.spread()).filter(|steps| steps.width < plain.width)
}

/// Appends a column.
pub(super) fn write(numbers: &[i64], out: &mut Vec<u8>) {
    let plain = ends(numbers).spread();
    let head = |width: usize| u8::try_from(width).expect("at most 64");
    if let Some(Spread { least, width }) = by_steps(numbers, plain) {
        out.push(STEPS | head(width));
        encode_signed(numbers[0], out);
        encode_signed(least, out);
        let steps: Vec<i64> = steps(numbers).collect();
        return pack(&steps, width, |step| above(least, step), out);
    }
    let Spread { least, width } = plain;
    out.push(head(width));
    encode_signed(least, out);
    pack(numbers, width, |number| above(least, number), out);
}

/// Appends a column of lengths.
pub(super) fn write_lengths(
    lengths: impl Iterator<Item = usize>,
    ints: &mut Vec<i64>,
    out: &mut Vec<u8>,
) {
    ints.clear();
    ints.extend(lengths.map(|length| i64::try_from(length).unwrap_or(i64::MAX)));
    write(ints, out);
}

impl Ints {
    /// Reads a column of at least one number, and checks that [`write`] writes it so.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        count: usize,
        list: &mut Vec<i64>,
    ) -> Result<Self, DecodeError> {
        let at = reader.at();
        let head = reader.byte()?;
        let width = usize::from(head & !STEPS);
        if width > 64 {
            return Reader::malformed("width of integers", at);
        }
        if head & STEPS == 0 {
            let least = reader.signed()?;
            let packed = Packed::read(reader, count, width)?;
            return Self::plain(least, packed, count, list)
                .ok_or(DecodeError::Malformed { what: "width of integers", at });
        }
        let (first, least) = (reader.signed()?, reader.signed()?);
        let packed = Packed::read(reader, count - 1, width)?;
        Self::by_steps(first, least, packed, count, list)
            .ok_or(DecodeError::Malformed { what: "steps of integers", at })
    }

    fn plain(least: i64, packed: Packed<'_>, count: usize, list: &mut Vec<i64>) -> Option<Self> {
        let (width, start) = (packed.width, list.len());
        if width == 0 {
            list.push(least);
            return Some(Self { run: Run::of_one(start), least, greatest: least });
        }
        let (mut lowest, mut highest) = (u64::MAX, 0);
        packed.unpack(count, list, |number| {
            lowest = lowest.min(number);
            highest = highest.max(number);
            least.wrapping_add(number.cast_signed())
        });
        let greatest = least.checked_add_unsigned(highest)?;
        let tight = lowest == 0 && width_of(highest) == width;
        let is_written_so = tight && by_steps(&list[start..], Spread { least, width }).is_none();
        is_written_so.then_some(Self { run: Run::of_all(start), least, greatest })
    }

    fn by_steps(
        first: i64,
        step: i64,
        packed: Packed<'_>,
        count: usize,
        list: &mut Vec<i64>,
    ) -> Option<Self> {
        let start = list.len();
        let (mut number, mut ends) = (first, Ends::at(first));
        let (mut lowest, mut highest) = (u64::MAX, 0);
        list.push(number);
        packed.unpack(count - 1, list, |above| {
            lowest = lowest.min(above);
            highest = highest.max(above);
            number = number.wrapping_add(step).wrapping_add(above.cast_signed());
            ends.take(number);
            number
        });
        // Without steps there is one number, and no bits for it.
        let tight = lowest == 0 && width_of(highest) == packed.width;
        step.checked_add_unsigned(highest)?;
        let plain = ends.spread().width;
        let is_written_so = tight && plain > PLAIN_WIDTH_MAX && packed.width < plain;
        let Ends { least, greatest } = ends;
        is_written_so.then_some(Self { run: Run::of_all(start), least, greatest })
    }

    /// Puts the numbers of a column that was read last below those of this one, which move
    /// up by so many bits.
    pub(super) fn join(self, below: Self, bits: u32, count: usize, list: &mut Vec<i64>) -> Self {
        let join = |above: i64, below: i64| above << bits | below;
        let run = if self.run.is_one() && !below.run.is_one() {
            for number in below.run.of_mut(count, list) {
                *number = join(self.least, *number);
            }
            below.run
        } else {
            let (all, others) = list.split_at_mut(below.run.start());
            let all = self.run.of_mut(count, all).iter_mut();
            if below.run.is_one() {
                all.for_each(|number| *number = join(*number, below.least));
            } else {
                all.zip(others).for_each(|(number, other)| *number = join(*number, *other));
            }
            list.truncate(below.run.start());
            self.run
        };
        let (least, greatest) =
            (join(self.least, below.least), join(self.greatest, below.greatest));
        Self { run, least, greatest }
    }

    /// The least and the greatest.
    pub(super) const fn ends(&self) -> (i64, i64) {
        (self.least, self.greatest)
    }

    /// Where they are in the list.
    pub(super) const fn run(&self) -> Run {
        self.run
    }

    /// Whether something holds for all numbers.
    pub(super) fn all(&self, count: usize, list: &[i64], holds: impl Fn(i64) -> bool) -> bool {
        self.run.of(count, list).iter().all(|number| holds(*number))
    }

    #[inline]
    pub(super) fn get(&self, place: usize, list: &[i64]) -> i64 {
        self.run.get(place, list)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(numbers: &[i64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(numbers, &mut bytes);
        bytes
    }

    fn decoded(bytes: &[u8], count: usize) -> Result<(Vec<i64>, usize), DecodeError> {
        let (mut reader, mut list) = (Reader::new(bytes), vec![7]);
        let column = Ints::read(&mut reader, count, &mut list)?;
        Ok(((0..count).map(|place| column.get(place, &list)).collect(), reader.remaining()))
    }

    fn numbers() -> impl Strategy<Value = Vec<i64>> {
        let all = prop::collection::vec(any::<i64>(), 1..20);
        let near = (any::<i64>(), prop::collection::vec(-300_i64..300, 1..20));
        let near = near.prop_map(|(base, offsets)| {
            offsets.into_iter().map(|offset| base.wrapping_add(offset)).collect()
        });
        let ramp = (any::<i64>(), any::<i64>(), prop::collection::vec(-3_i64..3, 1..20));
        let ramp = ramp.prop_map(|(first, step, noise)| {
            let next = |number: &mut i64, noise: i64| {
                *number = number.wrapping_add(step).wrapping_add(noise);
                Some(*number)
            };
            noise.into_iter().scan(first, next).collect()
        });
        prop_oneof![all, near, ramp]
    }

    proptest! {
        #[test]
        fn columns_come_back(numbers in numbers()) {
            prop_assert_eq!(decoded(&encoded(&numbers), numbers.len()), Ok((numbers, 0)));
        }

        #[test]
        fn a_flipped_bit_is_refused_or_another_column(numbers in numbers()) {
            let mut bytes = encoded(&numbers);
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                if let Ok((found, 0)) = decoded(&bytes, numbers.len()) {
                    prop_assert_ne!(&found, &numbers);
                    prop_assert_eq!(encoded(&found), &bytes[..]);
                }
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    /// Whether either of the two is one number for all rows, or both, or neither.
    #[test]
    fn columns_are_joined() {
        let (one, many) = ([5; 9], [0, 1, 2, 3, 4, 3, 2, 1, 0]);
        for (above, below) in [(one, one), (one, many), (many, one), (many, many)] {
            let (above_bytes, below_bytes) = (encoded(&above), encoded(&below));
            let mut list = vec![7];
            let mut read = |bytes| Ints::read(&mut Reader::new(bytes), 9, &mut list).unwrap();
            let (first, second) = (read(&above_bytes), read(&below_bytes));
            let joined = first.join(second, 4, 9, &mut list);
            let found: Vec<i64> = (0..9).map(|row| joined.get(row, &list)).collect();
            let expected: Vec<i64> =
                above.iter().zip(below).map(|(above, below)| above << 4 | below).collect();
            assert_eq!(found, expected);
            assert!(joined.all(9, &list, |number| number < 1 << 8));
            let (least, greatest) = joined.ends();
            assert!(expected.iter().all(|number| (least..=greatest).contains(number)));
        }
    }

    #[test]
    fn a_ramp_takes_no_bits_and_few_values_take_few() {
        let ramp: Vec<i64> = (0..1_000).map(|at| 1_700_000_000_000 + at * 250).collect();
        assert_eq!(encoded(&ramp).len(), 1 + 6 + 2);
        let five: Vec<i64> = (0..1_000).map(|at| 1 + at % 5).collect();
        assert_eq!(encoded(&five).len(), 1 + 1 + 375);
    }
}
