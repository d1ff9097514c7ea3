//! The decoder in `tests/decoder`, which knows only `FORMAT.md`, agrees with this crate.
//!
//! It is a program in Python. It runs on the golden files, on mutations of their entries,
//! and on batches that are arbitrary or at the edges of what the format allows. Where there
//! is no `python3`, each test says that it is skipped.

mod common;
#[path = "decoder/dictionaries.rs"]
mod dictionaries;
#[path = "decoder/ours.rs"]
mod ours;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use blaze_codec::batch::Encoder;
use blaze_codec::binary::FORMAT_VERSION;
use blaze_codec::message::{CompressionSet, Goodbye, Hello, Message, Reason, expand};
use blaze_codec::{
    Change, DecodeError, Hlc, Incarnation, Mode, Name, NodeId, Operation, RecordKey, Role, Seq,
    Value, Version, batch, binary,
};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value as Json, json};

use self::ours::{Decode, LZ4, PARTS, entry};

/// What an entry is called, and its bytes.
type Entry = (String, Vec<u8>);

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The entries of a part in all versions.
fn golden(part: &str) -> Vec<Entry> {
    let path = |version| tests().join(format!("golden/v{version}/{part}.txt"));
    let texts = (1..=FORMAT_VERSION).map(|version| std::fs::read_to_string(path(version)).unwrap());
    let text = texts.collect::<Vec<_>>().join("\n");
    let entry = |entry: &str| {
        let mut lines = entry.lines();
        let name = lines.next().unwrap().trim_start_matches("# ");
        (name.to_owned(), unhex(lines.next().unwrap()))
    };
    text.split_terminator("\n\n").map(entry).collect()
}

/// A line of the decoder for each entry; none if it can't run.
fn run(arguments: &[&str], entries: &[Entry]) -> Option<Vec<Json>> {
    let mut python = Command::new("python3");
    python.arg(tests().join("decoder/blazebinary.py")).args(arguments);
    python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match python.spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("skipped: there is no python3 program here: {error}");
            return None;
        }
    };
    let mut input = String::new();
    for (name, bytes) in entries {
        write!(input, "# {name}\n{}\n\n", hex(bytes)).unwrap();
    }
    // It reads everything before it writes anything, so that neither waits for the other.
    let written = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{arguments:?}");
    written.unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Json> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), entries.len(), "{arguments:?}");
    Some(lines)
}

/// Whether the decoder refuses what this crate refuses, and decodes the rest to the same.
fn compare(part: &str, decode: Decode, entries: &[Entry]) -> Result<(), String> {
    for (line, (name, bytes)) in run(&[part], entries).iter().flatten().zip(entries) {
        // As text, for -0.0 equals 0.0 otherwise.
        let here = decode(bytes).map(|ours| ours.to_string());
        let there = line.get("decoded").map(Json::to_string);
        if here.as_ref().ok() != there.as_ref() {
            let short = |text: &str| text.chars().take(1_000).collect::<String>();
            let [here, there] = [format!("{here:?}"), line.to_string()].map(|text| short(&text));
            let bytes = short(&hex(bytes));
            return Err(format!("{part}, {name}: {bytes}\nhere: {here}\nthere: {there}"));
        }
    }
    Ok(())
}

/// Each bit flipped, each beginning, and a byte behind.
fn mutations((name, bytes): &Entry) -> Vec<Entry> {
    let flip = |bit: usize| (format!("{name}, bit {bit} flipped"), flipped(bytes, bit));
    let cut = |end: usize| (format!("{name}, cut at byte {end}"), bytes[..end].to_vec());
    let longer = (format!("{name}, a byte behind"), [bytes, &[0][..]].concat());
    (0..8 * bytes.len()).map(flip).chain((0..bytes.len()).map(cut)).chain([longer]).collect()
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

#[test]
fn golden_files_decode_alike() {
    for (part, decode) in PARTS {
        let entries = golden(part);
        assert!(!entries.is_empty(), "{part}");
        for (name, bytes) in &entries {
            assert!(decode(bytes).is_ok(), "{part}, {name}");
        }
        assert_eq!(compare(part, decode, &entries), Ok(()));
    }
}

#[test]
fn mutations_are_judged_alike() {
    for (part, decode) in PARTS {
        // Most mutations of a batch of 200 operations would be written out in full.
        let is_short = |(_, bytes): &Entry| decode(bytes).unwrap().to_string().len() < 10_000;
        let entries = golden(part).into_iter().filter(is_short);
        let mutations: Vec<_> = entries.flat_map(|entry| mutations(&entry)).collect();
        assert_eq!(compare(part, decode, &mutations), Ok(()));
    }
}

#[test]
fn the_decoder_tells_mutations_apart() {
    for (part, _) in PARTS {
        for line in run(&[part, "--mutate"], &golden(part)).unwrap_or_default() {
            assert_eq!(line["same"], json!([]), "{line}");
        }
    }
}

/// What a compressed body stands for.
fn compressed(body: &[u8]) -> Result<Json, DecodeError> {
    Ok(hex(&expand(body.to_vec().into(), LZ4)?).into())
}

/// One encoding among others, so that what was mutated may expand to the same.
#[test]
fn compressed_frames_expand_alike() {
    let (lz4, others): (Vec<_>, Vec<_>) =
        golden("compressed").into_iter().partition(|(name, _)| name.starts_with("LZ4"));
    assert!(lz4.iter().all(|(_, bytes)| compressed(bytes).is_ok()));
    let mutations = lz4.iter().flat_map(mutations);
    let entries: Vec<_> = lz4.iter().cloned().chain(mutations).collect();
    assert_eq!(compare("compressed", compressed, &entries), Ok(()));

    for line in run(&["compressed"], &others).unwrap_or_default() {
        assert!(line["error"]["what"].as_str().unwrap().contains("only LZ4"), "{line}");
    }
}

proptest! {
    // Each case starts the program, once for all of its batches.
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn arbitrary_batches_decode_alike(
        batches in prop::collection::vec((common::operations(), any::<Index>()), 1..40),
    ) {
        let entries = batches.iter().flat_map(|(operations, bit)| {
            let bytes = encoded(operations);
            let flipped = flipped(&bytes, bit.index(8 * bytes.len()));
            [("whole".to_owned(), bytes), ("a bit flipped".to_owned(), flipped)]
        });
        let entries: Vec<_> = entries.collect();
        prop_assert_eq!(compare("batches", ours::operations, &entries), Ok(()));
    }

    #[test]
    fn arbitrary_batches_by_a_dictionary_decode_alike(
        batches in prop::collection::vec((common::operations(), any::<Index>()), 1..40),
    ) {
        // One for all of them, so that numbers begin anywhere.
        let mut encoder = Encoder::with_dictionary();
        let entries = batches.iter().flat_map(|(operations, bit)| {
            let bytes = entry(&mut encoder, operations);
            let flipped = flipped(&bytes, bit.index(8 * bytes.len()));
            [("whole".to_owned(), bytes), ("a bit flipped".to_owned(), flipped)]
        });
        let entries: Vec<_> = entries.collect();
        prop_assert_eq!(compare("dictionaries", ours::defined, &entries), Ok(()));
    }
}

fn encoded(operations: &[Operation]) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch::encode(operations, &mut bytes);
    bytes
}

fn update(key: RecordKey, fields: Vec<(Name, Option<Value>)>) -> Operation {
    let (epoch, hlc) = (Hlc::ZERO, Hlc::from_millis(1));
    let version = Version { epoch, hlc, node: NodeId::from_bytes([1; 16]) };
    let (collection, base, change) = (name("c"), Version::ZERO, Change::Update(fields));
    Operation { collection, key, version, base, change }
}

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

/// One field in one operation each, in columns.
fn column(values: impl IntoIterator<Item = Value>) -> Vec<Operation> {
    let values = values.into_iter();
    values.map(|value| update(1.into(), vec![(name("f"), Some(value))])).collect()
}

/// Batches at the edges of the rules of columns.
fn edges_of_columns() -> Vec<Vec<Operation>> {
    let decimals = [1e15, -1e15, 1e15 + 1.0, -1e15 - 1.0, 1e6 + 1e-9, 1e5 + 1e-9, 1e-9, 5e-10];
    let (min, max) = (i64::MIN, i64::MAX);
    let ints = [
        vec![min, max, min, max, min],
        vec![max, min, 0, -1],
        vec![min, min + 1_000, min + 2_000, min + 3_000],
        vec![0, 100, 200, 300],
        vec![0, 85, 170, 255],
    ];
    let floats = decimals.map(|float| column([float, 0.0, 1.0, 2.5].map(Value::from)));
    let alike = decimals.map(|float| column(vec![float.into(); 4]));
    let ints = ints.map(|ints| column(ints.into_iter().map(Value::Int)));
    // By its first 16 texts the first of these has no dictionary, by 17 it would have one. The
    // second has none for 16 places of one bit, and would have one for 2.
    let texts = [
        column((0..17).map(|at| "x".repeat(at.min(15)).into())),
        column((0..16).map(|at| "x".repeat(usize::from(at < 2)).into())),
    ];
    [floats.to_vec(), alike.to_vec(), ints.to_vec(), texts.to_vec()].concat()
}

/// Batches at the limits and beyond, each in rows and in columns.
fn edges_of_limits() -> Vec<Vec<Operation>> {
    let nested = |depth| (1..depth).fold(Value::Array(vec![]), |inner, _| vec![inner].into());
    let nulls = |count| Value::Array(vec![Value::Null; count]);
    let text = |bytes| RecordKey::Text("x".repeat(bytes));
    let mut edges = vec![update(text(1_024), vec![]), update(text(1_025), vec![])];
    edges.extend(column([nested(64), nested(65), nulls(1_048_576)]));
    // A field that is removed isn't a value.
    let removed = vec![(name("f"), Some(nulls(1_048_575))), (name("g"), None)];
    edges.push(update(1.into(), removed));
    let with_small = |edge: Operation| {
        let Change::Update(fields) = &edge.change else { unreachable!("it is an update") };
        let fields = fields.iter().map(|(name, _)| (name.clone(), Some(Value::Null)));
        let small = update(edge.key.clone(), fields.collect());
        [vec![edge.clone()], vec![edge, small.clone(), small.clone(), small]]
    };
    edges.into_iter().flat_map(with_small).collect()
}

#[test]
fn edges_are_judged_alike() {
    let entry = |(at, operations): (usize, &Vec<_>)| (format!("edge {at}"), encoded(operations));
    let columns: Vec<_> = edges_of_columns().iter().enumerate().map(entry).collect();
    assert!(columns.iter().all(|(_, bytes)| ours::operations(bytes).is_ok()));
    assert_eq!(compare("batches", ours::operations, &columns), Ok(()));

    let limits: Vec<_> = edges_of_limits().iter().enumerate().map(entry).collect();
    let beyond = limits.iter().filter(|(_, bytes)| ours::operations(bytes).is_err());
    assert_eq!(beyond.count(), 6, "keys, depth and values, in rows and in columns");
    assert_eq!(compare("batches", ours::operations, &limits), Ok(()));

    let value = |values| {
        let mut bytes = Vec::new();
        binary::encode_value(&Value::Array(vec![Value::Null; values]), &mut bytes);
        (format!("{values} values"), bytes)
    };
    assert_eq!(compare("values", ours::value, &[value(1_048_575), value(1_048_576)]), Ok(()));
}

#[test]
fn later_formats_are_named_alike() {
    let bytes: [&[u8]; 9] = [
        &[0x0b, 2, 0],
        &[0x0b, 0xff, 2, 1, 2],
        &[0x21, 1, b'a', 0x11, 0x0b, 7, 1, 0],
        &[0x0b, 0, 0],
        &[0x0b, 1, 0],
        &[0x0b, 2, 0x80, 0],
        &[0x0b, 2, 1],
        &[0x0b, 2],
        &[0x0c],
    ];
    let entries: Vec<_> = bytes.map(|bytes| (hex(bytes), bytes.to_vec())).into();
    assert_eq!(compare("values", ours::value, &entries), Ok(()));
    for (line, (name, bytes)) in run(&["values"], &entries).iter().flatten().zip(&entries) {
        let needs = match ours::value(bytes) {
            Err(DecodeError::LaterFormat { needed, .. }) => json!(needed),
            _ => Json::Null,
        };
        assert_eq!(line["error"]["needs"], needs, "{name}: {line}");
    }
}

/// A number in as many bytes.
fn long(number: u8, bytes: usize) -> Vec<u8> {
    let mut long = vec![0x80; bytes];
    long[0] |= number;
    long[bytes - 1] &= 0x7f;
    long
}

#[test]
fn long_numbers_in_control_messages_are_judged_alike() {
    let hello = Hello {
        protocol_min: 1,
        protocol_max: 2,
        node: NodeId::from_bytes([1; 16]),
        former: vec![],
        history: Incarnation(3).into(),
        database: "notes".into(),
        name: "x".repeat(300),
        role: Role::Client,
        mode: Mode::WriteOnly,
        head: Seq(5),
        wall_ms: 6,
        reads: CompressionSet(7),
        scope: 0,
    };
    let goodbye = Goodbye { reason: Reason::Busy, message: "bye".into() };
    let hello = Message::Hello(hello).encode().to_vec();
    let goodbye = Message::Goodbye(goodbye).encode().to_vec();
    // The first number of a hello is a u16, and of a goodbye an enum's.
    let mut entries = Vec::new();
    for bytes in 1..=11 {
        for message in [&[5, 0, 7][..], &hello, &goodbye] {
            let long = [&message[..2], &long(message[2], bytes), &message[3..]].concat();
            entries.push((format!("kind {}, {bytes} bytes", message[0]), long));
        }
    }
    let taken = entries.iter().filter(|(_, bytes)| ours::message(bytes).is_ok());
    assert_eq!(taken.count(), 10 + 3 + 5);
    assert_eq!(compare("messages", ours::message, &entries), Ok(()));
}
