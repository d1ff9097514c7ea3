//! Definitions, and a batch by them: decoding and reading in place agree, and what decodes
//! encodes to the same bytes where the same numbers are known.

use std::collections::BTreeSet;

use blaze_codec::batch::Encoder;

use super::batch;
use super::known::Known;
use crate::make::{self, Versions};
use crate::mutate;
use crate::source::Source;

/// How often bytes are changed.
const CHANGES: usize = 4;
/// How many batches are by one dictionary.
const BATCHES: usize = 3;

/// A byte of flags; then either definitions in parts and a batch, or decisions for valid
/// ones and for changes of their bytes.
pub(super) fn run(input: &[u8]) {
    let mut source = Source::new(input);
    let flags = source.byte();
    if flags & 1 == 1 {
        return valid(&mut source);
    }
    let mut known = Known::default();
    for _ in 0..=flags >> 1 & 3 {
        if known.add(source.part().rest()).is_err() {
            return;
        }
    }
    batch::decode(source.rest(), &mut known);
}

/// Batches of one encoder, of which a reader is told what they need.
fn valid(source: &mut Source<'_>) {
    let mut decisions = source.part();
    let (mut encoder, mut told) = (Encoder::with_dictionary(), BTreeSet::new());
    let (mut known, mut definitions) = (Known::default(), Vec::new());
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let operations = make::operations(&mut decisions, Versions::Any);
        let mut bytes = Vec::new();
        encoder.encode(&operations, &mut bytes);
        let needs = encoder.needs().iter().filter(|entry| told.insert(**entry));
        let needs: Vec<_> = needs.copied().collect();
        let mut definition = Vec::new();
        encoder.define(&needs, &mut definition);
        known.add(&definition).expect("each is defined once");
        let decoded = batch::decode(&bytes, &mut known).expect("what was encoded decodes");
        assert_eq!(decoded, operations);
        definitions.push(definition);
        batches.push((operations, bytes));
    }
    for _ in 0..CHANGES {
        if source.is_empty() {
            return;
        }
        let at = source.below(BATCHES);
        if source.one_in(64) {
            let mut other = Known::default();
            definitions[at] = mutate::by_decisions(&definitions[at], source);
            if definitions.iter().any(|definition| other.add(definition).is_err()) {
                return;
            }
            for (_, bytes) in &batches {
                batch::decode(bytes, &mut other);
            }
            continue;
        }
        let (operations, bytes) = &batches[at];
        let changed = mutate::by_decisions(bytes, source);
        let decoded = batch::decode(&changed, &mut known);
        // A writer may do without the dictionary.
        let is_other = changed.first() != bytes.first();
        assert!(
            changed == *bytes || is_other || decoded.is_none_or(|decoded| decoded != *operations),
            "other bytes are the same operations: {operations:?}"
        );
    }
}

/// What a valid input is made of.
pub(crate) fn input(definitions: &[Vec<u8>], batch: &[u8]) -> Vec<u8> {
    let parts = definitions.len().clamp(1, 4);
    let mut input = vec![u8::try_from(parts - 1).unwrap_or(0) << 1];
    for definition in &definitions[..parts.min(definitions.len())] {
        let length = u16::try_from(definition.len()).unwrap_or(u16::MAX);
        input.extend_from_slice(&length.to_le_bytes());
        input.extend_from_slice(&definition[..length.into()]);
    }
    input.extend_from_slice(batch);
    input
}

#[cfg(test)]
mod tests {
    use blaze_codec::binary::encode_varint;
    use blaze_codec::limits::DEFINITIONS_MAX;

    use super::*;
    use crate::bound::Seen;

    /// A shape and a node by one number.
    fn defined(number: u8, shape: &[u8]) -> Vec<u8> {
        [&[1, number], &[7; 16][..], &[1, number], shape].concat()
    }

    #[test]
    fn an_encoder_is_made_that_knows_the_same_numbers() {
        // A delete with a uuid key, for each kind of change and key, and an insert of a field.
        let shapes: [&[u8]; 3] = [b"\x06\x01c\x00", b"\x09\x01c\x00", b"\x0c\x01c\x01\x01a"];
        for (shape, number) in shapes.into_iter().zip([0, 5, 100]) {
            let mut known = Known::default();
            known.add(&defined(number, shape)).unwrap();
            let entries = usize::from(number) + 1;
            assert_eq!(known.encoder().needs().len(), 2 * entries);
        }
    }

    #[test]
    fn rows_that_are_to_be_columns_are_refused() {
        let (mut known, rows) = (Known::default(), [0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        known.add(&defined(0, b"\x06\x01c\x00")).unwrap();
        let count =
            |known: &mut Known, batch: &[u8]| batch::decode(batch, known).map(|all| all.len());
        assert_eq!(count(&mut known, &[&[3, 3], &rows[..10]].concat()), Some(3));
        assert_eq!(count(&mut known, &[&[3, 4][..], &rows].concat()), None);
    }

    #[test]
    fn the_worst_definitions_are_within_the_bound_and_not_far() {
        let most = DEFINITIONS_MAX as u64;
        let node = |number: u64, out: &mut Vec<u8>| {
            encode_varint(number, out);
            out.extend_from_slice(&u128::from(number).to_be_bytes());
        };
        let shape = |number: u64, fields: u8, out: &mut Vec<u8>| {
            encode_varint(number, out);
            let letter = |shift: u32| b' ' + u8::try_from(number >> shift & 63).unwrap();
            out.extend_from_slice(&[6 - u8::from(fields > 0), 2, letter(0), letter(6), fields]);
            (1..=fields).for_each(|name| out.extend_from_slice(&[1, name]));
        };
        // The last numbers first: then the lists grow once more than they need to.
        let numbers = || [most - 2, most - 1].into_iter().chain(0..most - 2);
        let of = |count: usize, wide: usize| {
            let mut definitions = Vec::new();
            encode_varint(count as u64, &mut definitions);
            numbers().take(count).for_each(|number| node(number, &mut definitions));
            encode_varint(count as u64, &mut definitions);
            for (at, number) in numbers().take(count).enumerate() {
                shape(number, if at < wide { 127 } else { 0 }, &mut definitions);
            }
            definitions
        };
        let mut shares = Vec::new();
        let all = DEFINITIONS_MAX;
        let worst = [("two places", of(2, 0)), ("all places", of(all, 0)), ("wide", of(all, 600))];
        for (what, definitions) in worst {
            Seen::take();
            Known::default().add(&definitions).unwrap();
            let seen = Seen::take();
            eprintln!("{what}: {} bytes took {}", seen.input, seen.peak);
            shares.push(seen.share());
        }
        assert!(shares.iter().any(|share| *share > 0.7), "{shares:?}");
    }
}
