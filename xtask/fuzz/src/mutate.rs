//! Changes bytes: by the decisions of an input, or at random from a seed.

use crate::source::Source;

/// Bytes that formats often take for something else.
const TELLING: [u8; 12] = [0, 1, 2, 3, 0x0f, 0x10, 0x7f, 0x80, 0x81, 0x90, 0xfe, 0xff];

/// Flips a bit, cuts, doubles, moves or overwrites a piece, one to three times.
pub(crate) fn by_decisions(bytes: &[u8], source: &mut Source<'_>) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for _ in 0..=source.below(3) {
        if changed.is_empty() {
            break;
        }
        let at = source.below(changed.len());
        match source.below(8) {
            0 | 1 => changed[at] ^= 1 << source.below(8),
            2 => changed[at] = source.byte(),
            3 => changed.truncate(at),
            4 => changed[at] = source.pick(&TELLING),
            5 => {
                let count = source.below(8);
                changed.splice(at..at, source.take(count).iter().copied());
            }
            6 => {
                let end = changed.len().min(at + 1 + source.below(8));
                changed.drain(at..end);
            }
            _ => {
                let end = changed.len().min(at + 1 + source.below(32));
                let (piece, to) = (changed[at..end].to_vec(), source.below(changed.len()));
                changed.splice(to..to, piece);
            }
        }
    }
    changed
}

/// Changes an input at random, with pieces of another one, to at most so many bytes.
pub fn at_random(input: &[u8], other: &[u8], bytes_max: usize, rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut changed = input.to_vec();
    for _ in 0..1 << rng.usize(..4) {
        let at = rng.usize(..=changed.len());
        let end = changed.len().min(at + rng.usize(..16));
        match rng.usize(..9) {
            0 => {
                changed.splice(at..at, (0..rng.usize(1..9)).map(|_| rng.u8(..)));
            }
            1 => drop(changed.drain(at..end)),
            2 => changed.truncate(at),
            3 => {
                let piece = changed[at..end].to_vec();
                let to = rng.usize(..=changed.len());
                changed.splice(to..to, piece);
            }
            4 if !other.is_empty() => {
                let from = rng.usize(..other.len());
                let to = other.len().min(from + rng.usize(..64));
                changed.splice(at..end, other[from..to].iter().copied());
            }
            kind => {
                let Some(byte) = changed.get_mut(at) else { continue };
                *byte = match kind {
                    5 => rng.u8(..),
                    6 => TELLING[rng.usize(..TELLING.len())],
                    7 => byte.wrapping_add([1, 0xff][rng.usize(..2)]),
                    _ => *byte ^ (1 << rng.u8(..8)),
                };
            }
        }
    }
    changed.truncate(bytes_max);
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_change_bytes_and_the_same_ones_the_same_way() {
        let bytes: Vec<u8> = (0..40).collect();
        let mut rng = fastrand::Rng::with_seed(1);
        let mut different = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let decisions: Vec<u8> = (0..20).map(|_| rng.u8(..)).collect();
            let changed = by_decisions(&bytes, &mut Source::new(&decisions));
            assert_eq!(changed, by_decisions(&bytes, &mut Source::new(&decisions)));
            different.insert(changed);
        }
        assert!(different.len() > 150, "{}", different.len());
    }

    #[test]
    fn a_seed_makes_the_same_inputs_of_bounded_length() {
        let make = |seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            (0..300).map(|_| at_random(b"some bytes", b"others", 30, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        assert!(make(1).iter().all(|input| input.len() <= 30));
    }
}
