//! Batches by a dictionary.

mod common;

use std::collections::BTreeSet;

use blaze_codec::batch::{self, Definitions, Encoder, Entry};
use blaze_codec::limits::DEFINITION_BYTES_MAX;
use blaze_codec::view::BatchRef;
use blaze_codec::{Change, DecodeError, Name, NodeId, Operation, RecordKey, Version, record};
use proptest::prelude::*;

/// An encoder with a dictionary, and one reader that is told what it needs.
struct Pair {
    encoder: Encoder,
    told: BTreeSet<Entry>,
    known: Definitions,
}

impl Pair {
    fn new() -> Self {
        let encoder = Encoder::with_dictionary();
        Self { encoder, told: BTreeSet::new(), known: Definitions::default() }
    }

    fn encode(&mut self, operations: &[Operation]) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encoder.encode(operations, &mut bytes);
        for entry in self.encoder.needs() {
            if self.told.insert(*entry) {
                let mut definition = Vec::new();
                self.encoder.define(&[*entry], &mut definition);
                self.known.add(&definition).unwrap();
            }
        }
        bytes
    }

    fn in_place(&self, bytes: &[u8]) -> Result<Vec<Operation>, DecodeError> {
        let batch = BatchRef::defined(bytes, &self.known)?;
        Ok(batch.iter().map(|operation| operation.to_operation()).collect())
    }
}

fn insert(collection: &str, node: u8) -> Operation {
    let node = NodeId::from_bytes([node; 16]);
    Operation {
        collection: Name::new(collection).unwrap(),
        key: RecordKey::Int(7),
        version: Version { node, ..Version::ZERO },
        base: Version::ZERO,
        change: Change::Insert(record! { "title" => "hello" }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn batches_come_back(batches in prop::collection::vec(common::many_operations(), 1..5)) {
        let mut pair = Pair::new();
        for operations in &batches {
            let bytes = pair.encode(operations);
            prop_assert_eq!(&batch::decode_defined(&bytes, &pair.known)?, operations);
            prop_assert_eq!(&pair.in_place(&bytes)?, operations);
            prop_assert_eq!(pair.encode(operations), bytes, "once more");
        }
    }

    #[test]
    fn a_flipped_bit_is_refused_or_another_batch(operations in common::few_operations()) {
        let mut pair = Pair::new();
        let mut bytes = pair.encode(&operations);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let decoded = batch::decode_defined(&bytes, &pair.known);
            prop_assert_eq!(&decoded, &pair.in_place(&bytes));
            if let Ok(decoded) = decoded {
                prop_assert_ne!(&decoded, &operations);
                prop_assert_eq!(&pair.encode(&decoded), &bytes, "bit {}", bit);
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn any_definitions_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut known = Definitions::default();
        let _ = known.add(&bytes);
        prop_assert!(known.add(&[0]).is_err());
    }
}

#[test]
fn what_batches_have_in_common_is_told_once() {
    let mut pair = Pair::new();
    let first = pair.encode(&[insert("notes", 1)]);
    assert_eq!(first[0], batch::ROWS_DEFINED);
    assert_eq!(pair.encoder.needs().len(), 2);
    assert_eq!(pair.told.len(), 2);
    pair.encode(&[insert("notes", 2)]);
    assert_eq!(pair.told.len(), 3, "a node more");
    pair.encode(&[insert("notes", 1), insert("notes", 2)]);
    assert_eq!(pair.told.len(), 3);
    let mut alone = Vec::new();
    batch::encode(&[insert("notes", 1)], &mut alone);
    assert_eq!(alone.len() - first.len(), 1 + 6 + 6 + 1 + 16 + 1 + 4);
}

#[test]
fn what_is_not_defined_is_refused() {
    let mut pair = Pair::new();
    let operations = vec![insert("notes", 1); 4];
    for count in [1, 4] {
        let bytes = pair.encode(&operations[..count]);
        for known in [Definitions::default(), nodes_of(&pair)] {
            let error = batch::decode_defined(&bytes, &known).unwrap_err();
            assert!(error.to_string().contains("isn't defined"), "{error}");
            assert_eq!(BatchRef::defined(&bytes, &known).unwrap_err(), error);
        }
        assert!(batch::decode(&bytes).is_err());
    }
}

/// Only the nodes that a pair told.
fn nodes_of(pair: &Pair) -> Definitions {
    let mut known = Definitions::default();
    let node = pair.told.first().expect("nodes come before shapes");
    let mut definition = Vec::new();
    pair.encoder.define(&[*node], &mut definition);
    known.add(&definition).unwrap();
    known
}

#[test]
fn a_number_is_defined_once() {
    let mut pair = Pair::new();
    pair.encode(&[insert("notes", 1)]);
    for entry in &pair.told {
        let mut definition = Vec::new();
        pair.encoder.define(&[*entry], &mut definition);
        let error = pair.known.add(&definition).unwrap_err();
        assert!(error.to_string().contains("defined already"), "{error}");
    }
}

#[test]
fn nothing_has_two_numbers() {
    let node = [&[5][..], &[7; 16]].concat();
    let shape = |number: u8| [&[number, 2, 1][..], b"n", &[0]].concat();
    let two_nodes = [&[2, 1][..], &[7; 16], &node, &[0]].concat();
    let two_shapes = [&[0, 2][..], &shape(3), &shape(4)].concat();
    let first = [&[1][..], &node, &[1], &shape(3)].concat();
    for twice in [two_nodes, two_shapes] {
        let error = Definitions::default().add(&twice).unwrap_err();
        assert!(error.to_string().contains("second number"), "{error}");
        let mut known = Definitions::default();
        known.add(&first).unwrap();
        assert!(known.add(&twice).is_err());
    }
}

/// Until the dictionary is full, by the number of its entries or by their size.
#[test]
fn what_has_no_room_stands_for_itself_and_what_has_can_all_be_told() {
    for long in [1, 200] {
        let mut pair = Pair::new();
        let collection = |number: usize| format!("{number:0>long$}");
        let mut full = None;
        for number in 0..5_000 {
            let operation = insert(&collection(number), 1);
            let bytes = pair.encode(std::slice::from_ref(&operation));
            assert_eq!(batch::decode_defined(&bytes, &pair.known).unwrap(), [operation]);
            if bytes[0] == batch::ROWS {
                assert!(pair.encoder.needs().is_empty());
                full.get_or_insert(number);
            }
        }
        let full = full.expect("5,000 shapes are too many");
        assert!(full == 4_096 || full * (long + 20) > DEFINITION_BYTES_MAX, "{full} of {long}");
        let known = pair.encode(&[insert(&collection(0), 1)]);
        assert_eq!(known[0], batch::ROWS_DEFINED, "what is in it stays");
    }
}

#[test]
fn more_definitions_than_a_dictionary_has_are_refused() {
    let mut known = Definitions::default();
    let number = [1, 0x80, 0x20];
    let error = known.add(&[&number[..], &[0; 17]].concat()).unwrap_err();
    assert!(matches!(error, DecodeError::Limit { max: 4_095, .. }), "{error}");
    let error = known.add(&vec![0; DEFINITION_BYTES_MAX]).unwrap_err();
    assert!(matches!(error, DecodeError::Limit { .. }), "{error}");
}

#[test]
fn a_feed_names_what_each_range_needs_though_the_last_needed_as_much() {
    use blaze_codec::Seq;
    use blaze_codec::message::{Changes, FeedEncoder, Message, Range};
    let (mut feed, mut told) = (FeedEncoder::default(), BTreeSet::new());
    let mut known = Definitions::default();
    for (seq, (collection, node)) in (1..).zip([("a", 1), ("b", 1), ("b", 2), ("a", 2), ("a", 1)]) {
        let operation = insert(collection, node);
        let sent =
            feed.encode(&Range::new(Seq(seq - 1), Seq(seq)), std::slice::from_ref(&operation));
        for definition in sent.needs.iter().filter(|needed| told.insert(needed.entry)) {
            let message = Message::decode(definition.frame.clone());
            let Ok(Message::Definitions(payload)) = message else { panic!("{message:?}") };
            known.add(&payload).unwrap();
        }
        let message = Message::decode(sent.frames[0].bytes().clone());
        let Ok(Message::Changes(frame)) = message else { panic!("{message:?}") };
        let changes = Changes::decode_defined(&frame.payload, &known).unwrap();
        assert_eq!((changes.range.through, changes.operations), (Seq(seq), vec![operation]));
    }
}
