//! Columns of floats: as integers with a decimal point, if all of them are such numbers.

/// Digits behind the point at most.
pub(super) const SCALE_MAX: usize = 9;
/// The greatest integer. Up to 15 digits, a decimal number and the float nearest to it
/// tell each other.
pub(super) const INT_MAX: i64 = 1_000_000_000_000_000;

/// The powers of ten, all of which floats hold exactly.
const TENS: [f64; SCALE_MAX + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// The float nearest to an integer with a decimal point.
#[expect(clippy::cast_precision_loss, reason = "up to 15 digits are exact")]
#[inline]
pub(super) fn float(int: i64, scale: usize) -> f64 {
    int as f64 / TENS[scale]
}

/// A float as an integer with a decimal point, if it is one, bit by bit.
#[expect(clippy::cast_possible_truncation, reason = "what isn't exact is refused")]
fn int(number: f64, scale: usize) -> Option<i64> {
    let scaled = number * TENS[scale];
    let int = (scaled + 0.5_f64.copysign(scaled)) as i64;
    let exact = int.unsigned_abs() <= INT_MAX.unsigned_abs()
        && float(int, scale).to_bits() == number.to_bits();
    exact.then_some(int)
}

/// Tells the floats as integers with the fewest digits behind the point that do for all;
/// `None` if there is a float that isn't such a number.
pub(super) fn decimals<F: Iterator<Item = f64> + Clone>(
    floats: &F,
    ints: &mut Vec<i64>,
) -> Option<usize> {
    let mut scale = 0;
    'again: loop {
        ints.clear();
        for number in floats.clone() {
            let Some(int_at_scale) = int(number, scale) else {
                scale = (scale + 1..=SCALE_MAX).find(|more| int(number, *more).is_some())?;
                continue 'again;
            };
            ints.push(int_at_scale);
        }
        return Some(scale);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(floats: &[f64]) -> Option<(usize, Vec<i64>)> {
        let mut ints = Vec::new();
        let scale = decimals(&floats.iter().copied(), &mut ints)?;
        Some((scale, ints))
    }

    #[test]
    fn the_fewest_digits_that_do_for_all_are_found() {
        assert_eq!(of(&[1.0, -2.0]), Some((0, vec![1, -2])));
        assert_eq!(of(&[21.5, 0.125, -3.0]), Some((3, vec![21_500, 125, -3_000])));
        assert_eq!(of(&[0.1, 1e15]), None, "16 digits are needed");
        assert_eq!(of(&[1e15]), Some((0, vec![INT_MAX])));
        for other in [-0.0, f64::NAN, f64::INFINITY, 1e300, f64::MIN_POSITIVE, 0.1 + 0.2] {
            assert_eq!(of(&[1.5, other]), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_found_tells_the_floats(ints in prop::collection::vec(-INT_MAX..=INT_MAX, 1..9), scale in 0..=SCALE_MAX) {
            let floats: Vec<f64> = ints.iter().map(|int| float(*int, scale)).collect();
            let (found, back) = of(&floats).unwrap();
            prop_assert!(found <= scale);
            let again: Vec<u64> = back.iter().map(|int| float(*int, found).to_bits()).collect();
            prop_assert_eq!(again, floats.iter().map(|float| float.to_bits()).collect::<Vec<_>>());
        }
    }
}
