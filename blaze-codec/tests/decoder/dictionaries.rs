//! Definitions by hand, and in streams.

use blaze_codec::frame::FrameCodec;
use bytes::{Bytes, BytesMut};
use tokio_util::codec::Encoder as _;

use super::{compare, ours};

/// Definitions of nodes and shapes, each with its number, and a batch by them.
fn entry(nodes: &[&[u8]], shapes: &[&[u8]], batch: &[u8]) -> Vec<u8> {
    numbered(nodes, shapes, (1, 1), batch)
}

/// The same of nodes and shapes that differ from the one before by so much.
fn numbered(nodes: &[&[u8]], shapes: &[&[u8]], step: (u8, u8), batch: &[u8]) -> Vec<u8> {
    let node = |(at, number): (u8, &&[u8])| [number, &[step.0 * at; 16][..]].concat();
    // Inserts into `c` with int keys and a field.
    let shape = |(at, number): (u8, &&[u8])| {
        [number, &[0x04, 1, b'c', 1, 1, b'f' + step.1 * at][..]].concat()
    };
    let count = |of: &[&[u8]]| vec![u8::try_from(of.len()).unwrap()];
    let nodes = [count(nodes), (0..).zip(nodes).flat_map(node).collect()].concat();
    let shapes = [count(shapes), (0..).zip(shapes).flat_map(shape).collect()].concat();
    let length = u32::try_from(nodes.len() + shapes.len()).unwrap();
    [&length.to_le_bytes()[..], &nodes, &shapes, batch].concat()
}

/// The inserts of nulls at version zero of a node, in rows.
fn rows(shapes: &[&[u8]], node: &[u8]) -> Vec<u8> {
    let mut batch = vec![3, u8::try_from(shapes.len()).unwrap()];
    for (at, shape) in shapes.iter().enumerate() {
        batch.extend_from_slice(shape);
        batch.push(if at == 0 { 0x08 } else { 0 });
        batch.extend_from_slice(if at == 0 { node } else { &[] });
        batch.extend_from_slice(&[0, 1, 0]);
    }
    batch
}

const NONE: &[&[u8]] = &[];
const ZERO: &[u8] = &[0];
const ONE: &[u8] = &[1];
const LAST: &[u8] = &[0xff, 0x1f];
const BEYOND: &[u8] = &[0x80, 0x20];

#[test]
fn edges_of_definitions_are_judged_alike() {
    let row = rows(&[ZERO], ZERO);
    let columns = |shapes: &[u8]| {
        // Four operations a shape, at version zero of one node, with the key 0 and nulls.
        let many = 4 * shapes[0];
        let places: &[u8] = if shapes[0] == 2 { &[0b1010_1010] } else { &[] };
        let keys = [0, 0].repeat(usize::from(shapes[0]));
        let fields = vec![0; usize::from(shapes[0])];
        [&[4], shapes, &[1, 0, many], places, &[0, 0, 0, 0, 0], &keys, &[0], &fields].concat()
    };
    let taken = [
        ("a row", entry(&[ZERO], &[ZERO], &row)),
        ("the last numbers", entry(&[LAST], &[LAST], &rows(&[LAST], LAST))),
        ("descending numbers", entry(&[ONE, ZERO], &[ONE, ZERO], &row)),
        ("columns", entry(&[ZERO], &[ZERO], &columns(&[1, 0]))),
        ("columns of two", entry(&[ZERO], &[ZERO, ONE], &columns(&[2, 0, 1]))),
    ];
    let refused = [
        ("a node's number twice", entry(&[ZERO, ZERO], &[ZERO], &row)),
        ("a shape's number twice", entry(&[ZERO], &[ZERO, ZERO], &row)),
        ("a node by two numbers", numbered(&[ZERO, ONE], &[ZERO], (0, 1), &row)),
        ("a shape by two numbers", numbered(&[ZERO], &[ZERO, ONE], (1, 0), &row)),
        ("a node beyond", entry(&[ZERO, BEYOND], &[ZERO], &row)),
        ("a shape beyond", entry(&[ZERO], &[ZERO, BEYOND], &row)),
        ("no operations", entry(NONE, NONE, &[3, 0])),
        ("no operations in columns", entry(NONE, NONE, &[4, 0, 0, 0])),
        ("a shape twice in columns", entry(&[ZERO], &[ZERO], &columns(&[2, 0, 0]))),
        ("an unknown shape in columns", entry(&[ZERO], &[ZERO], &columns(&[1, 1]))),
        ("four rows of a shape", entry(&[ZERO], &[ZERO], &rows(&[ZERO; 4], ZERO))),
    ];
    for (entries, is_taken) in [(&taken[..], true), (&refused, false)] {
        let entries = entries.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone()));
        let entries: Vec<_> = entries.collect();
        for (name, bytes) in &entries {
            assert_eq!(ours::defined(bytes).is_ok(), is_taken, "{name}");
        }
        assert_eq!(compare("dictionaries", ours::defined, &entries), Ok(()));
    }
}

/// The bodies of the messages that carry an entry: definitions, and changes or a roll.
fn bodies(entry: &[u8], kind: u8) -> [Vec<u8>; 2] {
    let (definitions, batch) = ours::split(entry).unwrap();
    let range = [[4, 0, 0, 0, 0, 0, 0, 0], [5, 0, 0, 0, 0, 0, 0, 0]].concat();
    [[&[10, 0], definitions].concat(), [&[kind, 0], &range[..], &[0, 0], batch].concat()]
}

fn stream(bodies: &[&[u8]]) -> Vec<u8> {
    let (mut codec, mut stream) = (FrameCodec::new(), BytesMut::new());
    for body in bodies {
        codec.encode(Bytes::copy_from_slice(body), &mut stream).unwrap();
    }
    stream.to_vec()
}

#[test]
fn definitions_hold_from_where_they_are_in_a_stream() {
    let entry = entry(&[ZERO], &[ZERO], &rows(&[ZERO], ZERO));
    let [definitions, changes] = &bodies(&entry, 3);
    let [_, roll] = &bodies(&entry, 9);
    let nothing: &[u8] = &[10, 0, 0, 0];
    let streams: [(&str, bool, &[&[u8]]); 7] = [
        ("before", true, &[definitions, changes]),
        ("twice used", true, &[definitions, changes, nothing, changes]),
        ("behind", false, &[changes, definitions]),
        ("none", false, &[nothing, changes]),
        ("twice told", false, &[definitions, definitions, changes]),
        ("a roll by them", false, &[definitions, roll]),
        ("with a flag", false, &[&[10, 1, 0, 0]]),
    ];
    let mut entries = Vec::new();
    for (name, is_taken, bodies) in streams {
        let bytes = stream(bodies);
        assert_eq!(ours::frames(&bytes).is_ok(), is_taken, "{name}");
        entries.push((name.to_owned(), bytes));
    }
    assert_eq!(compare("frames", ours::frames, &entries), Ok(()));
}

#[test]
fn definitions_of_more_bytes_than_the_limit_are_judged_alike() {
    // A shape with a hundred of the longest names.
    let names = (0..100).flat_map(|at| [vec![255], format!("{at:0>255}").into_bytes()].concat());
    let names: Vec<_> = names.collect();
    let definition = |number: u8| {
        let head = [10, 0, 0, 1, number, 0, 1, b'a' + number, 100];
        [&head[..], &names].concat()
    };
    let definitions: Vec<_> = (0..11).map(definition).collect();
    let bodies: Vec<&[u8]> = definitions.iter().map(Vec::as_slice).collect();
    // Ten take 256,070 bytes, and the limit is 262,144.
    let [fits, exceeds] = [&bodies[..10], &bodies].map(stream);
    assert!(ours::frames(&fits).is_ok());
    assert!(ours::frames(&exceeds).is_err());
    let entries = [("fits".to_owned(), fits), ("exceeds".to_owned(), exceeds)];
    assert_eq!(compare("frames", ours::frames, &entries), Ok(()));
}
