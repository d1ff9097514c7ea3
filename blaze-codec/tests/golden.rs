//! The bytes of the format, as files: whatever changes them fails here.
//!
//! Each version of the format has a directory in `tests/golden`: what is written is compared
//! with the newest one, and all of them are decoded, for ever. A file holds entries of three
//! lines: `# name`, the bytes in hexadecimal, and the JSON of what they decode to.
//!
//! To add an entry, add a sample below and run this test: it fails and prints the entry.
//! Check it by hand against `FORMAT.md`, then paste it at the end of the newest version's
//! file. An entry that was released is never changed: other bytes are another version.

#[path = "decoder/ours.rs"]
mod ours;

use std::fmt::Debug;
use std::fmt::Write;
use std::path::PathBuf;

use blaze_codec::batch::{Definitions, Encoder as BatchEncoder};
use blaze_codec::binary::FORMAT_VERSION;
use blaze_codec::frame::FrameCodec;
use blaze_codec::message::{
    Ack, Changes, CompressionSet, Goodbye, Hello, Message, Range, Reason, Resume, Start,
    encode_roll, expand,
};
use blaze_codec::view::BatchRef;
use blaze_codec::{
    Change, Checkpoint, History, Hlc, Incarnation, Mode, Name, NodeId, Operation, Record,
    RecordKey, Role, Rule, Scope, Seq, Span, Timestamp, Uuid, Value, Version, batch, binary,
    record,
};
use bytes::{Bytes, BytesMut};
use serde_json::{Value as Json, json};
use tokio_util::codec::{Decoder, Encoder};

use self::ours::{PARTS, entry, split};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { panic!("odd: {text}") };
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(|pair| byte(pair)).collect()
}

/// The file of a part of the format in a version.
fn file(version: u8, part: &str) -> PathBuf {
    let directory = format!("{}/tests/golden/v{version}", env!("CARGO_MANIFEST_DIR"));
    PathBuf::from(directory).join(part).with_extension("txt")
}

/// The JSON of what bytes of a part decode to.
fn decoded(part: &str, bytes: &[u8]) -> Json {
    let (_, decode) = PARTS.into_iter().find(|(name, _)| *name == part).unwrap();
    decode(bytes).unwrap()
}

/// Whether something decoded says all that was expected. Versions may know more of it, such
/// as another field of a message.
fn says(found: &Json, expected: &Json) -> bool {
    match (found, expected) {
        (Json::Object(found), Json::Object(expected)) => expected
            .iter()
            .all(|(name, expected)| found.get(name).is_some_and(|found| says(found, expected))),
        (Json::Array(found), Json::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| says(found, expected))
        }
        // As text, for -0.0 equals 0.0 otherwise.
        _ => {
            let [found, expected] = [found, expected].map(Json::to_string);
            found == expected
        }
    }
}

#[test]
fn every_version_decodes() {
    for version in 1..=FORMAT_VERSION {
        for (part, _) in PARTS {
            let text = std::fs::read_to_string(file(version, part)).unwrap();
            assert!(!text.is_empty(), "version {version}, {part}");
            for entry in text.split_terminator("\n\n") {
                let lines: Vec<_> = entry.lines().collect();
                let [name, bytes, expected] = lines[..] else { panic!("{part}: {entry}") };
                let found = decoded(part, &unhex(bytes));
                let expected = serde_json::from_str(expected).unwrap();
                assert!(says(&found, &expected), "version {version}, {part}, {name}: {found}");
            }
        }
    }
}

#[test]
fn what_says_less_or_something_else_is_told() {
    let expected = json!({ "a": [1, { "b": -0.0 }] });
    assert!(says(&json!({ "a": [1, { "b": -0.0, "later": 1 }], "later": 1 }), &expected));
    let others = [
        json!({}),
        json!({ "a": [1] }),
        json!({ "a": [1, { "b": -0.0 }, 2] }),
        json!({ "a": [1, { "b": 0.0 }] }),
        json!({ "a": [2, { "b": -0.0 }] }),
        json!({ "a": {} }),
    ];
    for other in others {
        assert!(!says(&other, &expected), "{other}");
    }
}

/// Compares the newest version's entries, in their order, with the samples, both ways.
fn check<T: Debug + PartialEq>(
    part: &str,
    samples: Vec<(&str, T)>,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> T,
) {
    let text = std::fs::read_to_string(file(FORMAT_VERSION, part)).unwrap_or_default();
    let mut entries = text.split_terminator("\n\n");
    let mut missing = String::new();
    for (name, sample) in samples {
        let bytes = encode(&sample);
        let expected = format!("# {name}\n{}\n{}", hex(&bytes), decoded(part, &bytes));
        let Some(entry) = entries.next() else {
            write!(missing, "{expected}\n\n").unwrap();
            continue;
        };
        assert_eq!(entry.trim_end(), expected, "{part}");
        assert_eq!(decode(&bytes), sample, "{name}");
    }
    assert!(missing.is_empty(), "{part} lack these entries:\n{missing}");
    assert_eq!(entries.next(), None, "{part} have entries without a sample");
}

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn version(epoch: u64, ms: u64, node: u8) -> Version {
    let node = NodeId::from_bytes([node; 16]);
    Version { epoch: Hlc::from_millis(epoch), hlc: Hlc::from_millis(ms), node }
}

#[test]
fn values() {
    let uuid = Uuid::from_u128(0x0192_3456_789a_7bcd_8ef0_1234_5678_9abc);
    let map = |fields: &[(&str, i64)]| {
        Value::Map(fields.iter().map(|(field, int)| (name(field), Value::Int(*int))).collect())
    };
    let many: Vec<_> = ('a'..='p').map(String::from).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), 0)).collect();
    let samples = vec![
        ("null", Value::Null),
        ("false", false.into()),
        ("true", true.into()),
        ("the smallest int in a tag", (-16).into()),
        ("zero", 0.into()),
        ("the greatest int in a tag", 111.into()),
        ("the first int below", (-17).into()),
        ("the first int above", 112.into()),
        ("the smallest int", i64::MIN.into()),
        ("the greatest int", i64::MAX.into()),
        ("a float", 1.5.into()),
        ("negative zero", (-0.0).into()),
        ("a nan with a payload", f64::from_bits(0xfff8_0000_0000_0001).into()),
        ("an empty text", "".into()),
        ("a short text", "héllo".into()),
        ("the longest text in a tag", "x".repeat(63).into()),
        ("a long text", "x".repeat(64).into()),
        ("empty bytes", Value::Bytes(Bytes::new())),
        ("short bytes", vec![0_u8, 0xff].into()),
        ("long bytes", vec![7_u8; 16].into()),
        ("a uuid", uuid.into()),
        ("a timestamp", Timestamp(1_700_000_000_000).into()),
        ("a timestamp before 1970", Timestamp(-1).into()),
        ("an empty array", Value::Array(vec![])),
        ("a short array", vec![Value::Null, 1.into(), "a".into()].into()),
        ("a long array", vec![Value::Bool(true); 16].into()),
        ("an empty map", map(&[])),
        ("a short map", map(&[("a", 1), ("b", -1)])),
        ("a long map", map(&many)),
        ("nested", vec![map(&[("a", 1)]), vec![Value::Null].into()].into()),
    ];
    let encode = |value: &Value| {
        let mut bytes = Vec::new();
        binary::encode_value(value, &mut bytes);
        bytes
    };
    check("values", samples, encode, |bytes| binary::decode_value(bytes).unwrap().0);
}

fn operation(key: impl Into<RecordKey>, stamps: [Version; 2], change: Change) -> Operation {
    let [version, base] = stamps;
    Operation { collection: name("notes"), key: key.into(), version, base, change }
}

/// The worked example of `FORMAT.md`.
fn example() -> Vec<Operation> {
    let (first, second) = (version(0, 1, 0xaa), version(0, 2, 0xaa));
    vec![
        operation(
            7,
            [first, Version::ZERO],
            Change::Insert(record! { "done" => false, "title" => "hi" }),
        ),
        operation(7, [second, first], Change::Update(vec![(name("done"), Some(true.into()))])),
    ]
}

#[test]
fn the_worked_example_is_true() {
    let text = include_str!("../FORMAT.md");
    let (_, section) = text.split_once("### Worked example").unwrap();
    let block = section.split("```").nth(1).unwrap();
    // The bytes stand in the first column, the explanation after two spaces.
    let columns = block.lines().filter_map(|line| line.split("  ").next());
    let written: String = columns.flat_map(str::split_whitespace).collect();
    let mut bytes = Vec::new();
    batch::encode(&example(), &mut bytes);
    assert_eq!(written, hex(&bytes));
}

/// Inserts of records at one millisecond after the other.
fn inserts(records: Vec<Record>) -> Vec<Operation> {
    let numbered = (1..).zip(records);
    let insert = |(at, record)| {
        let stamp = [version(0, at, 1), Version::ZERO];
        operation(300 * at.cast_signed(), stamp, Change::Insert(record))
    };
    numbered.map(insert).collect()
}

fn columns() -> Vec<Operation> {
    let uuid = |number: u128| Value::from(Uuid::from_u128(number));
    let ints = [5, 7, 6, 5, 1_000];
    let record = |at: usize| {
        let number = i64::try_from(at).unwrap();
        record! {
            "any" => if at == 2 { "x".into() } else { Value::Int(ints[at]) },
            "array" => vec![Value::Int(number)],
            "bool" => at % 2 == 1,
            "bytes" => vec![7_u8; at],
            "decimal" => [21.5, 0.125, -3.0, 20.0, 0.0][at],
            "float" => [0.5, f64::NAN, -0.0, 1e300, 0.1 + 0.2][at],
            "int" => ints[at],
            "maybe" => if at.is_multiple_of(3) { Value::Null } else { ints[at].into() },
            "null" => Value::Null,
            "steps" => 1_700_000_000_000 + 250 * number,
            "time" => Timestamp(1_700_000_000_000 + 60_000 * number),
            "uuid" => uuid(u128::try_from(at).unwrap()),
        }
    };
    inserts((0..5).map(record).collect())
}

fn texts_in_columns() -> Vec<Operation> {
    let titles = ["first", "zw\u{f6}lf", "", "the last but one", "x"];
    let states = ["open", "closed", "open", "open", "closed"];
    let record = |(title, state)| record! { "state" => state, "title" => title };
    let mut operations = inserts(titles.into_iter().zip(states).map(record).collect());
    operations.iter_mut().zip(["k", "l", "", "mm", "k"]).for_each(|(operation, key)| {
        operation.key = key.into();
    });
    operations
}

/// Keys of one to four bytes, and one column of texts.
fn text_keys() -> Vec<Operation> {
    let mut operations = inserts(["x", "", "y", "z"].map(|text| record! { "t" => text }).to_vec());
    operations.iter_mut().zip(["a", "é", "€", "😀"]).for_each(|(operation, key)| {
        operation.key = key.into();
    });
    operations
}

fn no_fields(key: &str) -> Operation {
    operation(key, [version(0, 1, 1), Version::ZERO], Change::Update(vec![]))
}

fn two_shapes() -> Vec<Operation> {
    let delete = |key: &[u8]| {
        let stamp = [version(0, 9, 1), version(0, 8, 2)];
        operation(RecordKey::Bytes(key.to_vec()), stamp, Change::Delete)
    };
    let removed = |value: Option<Value>| {
        let stamp = [version(0, 10, 1), Version::ZERO];
        operation(Uuid::from_u128(1), stamp, Change::Update(vec![(name("n"), value)]))
    };
    let mut operations = Vec::new();
    for value in [Some(1.into()), None, Some(2.into()), None] {
        operations.push(delete(&[1, 2]));
        operations.push(removed(value));
    }
    operations
}

fn fill() -> Vec<Operation> {
    let nothing = record! { "a" => Value::Null, "b" => Value::Null, "c" => Value::Null };
    inserts(vec![nothing; 200])
}

#[test]
fn batches() {
    let insert = || Change::Insert(record! { "n" => 1 });
    let keys = [
        RecordKey::Uuid(Uuid::from_u128(1)),
        RecordKey::Int(-300),
        RecordKey::Text("key".into()),
        RecordKey::Bytes(vec![0, 0xff]),
    ];
    let stamp = [version(0, 1, 1), Version::ZERO];
    let kinds = keys.into_iter().map(|key| operation(key, stamp, insert())).collect();
    let changes = vec![
        operation(1, stamp, Change::Insert(record! {})),
        operation(2, stamp, Change::Update(vec![])),
        operation(3, stamp, Change::Update(vec![(name("a"), None), (name("b"), Some(2.into()))])),
        operation(4, stamp, Change::Delete),
    ];
    let old = version(3, 3, 2);
    let stamps = [
        [version(0, 9, 1), Version::ZERO],
        [version(0, 9, 1), old],
        [version(0, 9, 1), old],
        [version(10, 10, 1), version(10, 4, 1)],
        [version(10, 11, 2), version(3, 4, 3)],
        [version(12, 11, 3), Version::ZERO],
    ];
    let in_columns = stamps.map(|stamp| operation(1, stamp, Change::Delete)).to_vec();
    let mut in_rows = in_columns.clone();
    in_rows.iter_mut().skip(1).step_by(2).for_each(|operation| operation.key = "key".into());
    let samples = vec![
        ("empty", vec![]),
        ("the worked example", example()),
        ("kinds of keys", kinds),
        ("kinds of changes", changes),
        ("ways to tell versions", in_rows),
        ("columns of versions", in_columns),
        ("columns of values", columns()),
        ("columns of texts", texts_in_columns()),
        ("columns of two shapes", two_shapes()),
        ("columns with fill", fill()),
        ("columns of text keys", text_keys()),
        ("columns with an empty heap", vec![no_fields("k"); 4]),
    ];
    let encode = |operations: &Vec<Operation>| {
        let mut bytes = Vec::new();
        batch::encode(operations, &mut bytes);
        bytes
    };
    check("batches", samples, encode, |bytes| {
        let views = BatchRef::new(bytes).unwrap();
        let decoded = batch::decode(bytes).unwrap();
        assert!(views.iter().map(|view| view.to_operation()).eq(decoded.iter().cloned()));
        decoded
    });
}

/// A dictionary in which the worked example is before the batches.
fn encoder() -> BatchEncoder {
    let mut encoder = BatchEncoder::with_dictionary();
    encoder.encode(&example(), &mut Vec::new());
    encoder
}

#[test]
fn dictionaries() {
    let mut backwards = example();
    backwards.reverse();
    let other_nodes = [[2, 3], [1, 2], [3, 1], [1, 3]].map(|[node, base]| {
        let stamp = [version(0, 9, node), version(0, 8, base)];
        operation(1, stamp, Change::Delete)
    });
    let samples = vec![
        ("empty", vec![]),
        ("rows", example()),
        ("rows in another order than the numbers", backwards),
        ("rows of new numbers", two_shapes().split_off(4)),
        ("columns of two shapes", two_shapes()),
        ("columns of texts", texts_in_columns()),
        ("columns of nodes", other_nodes.to_vec()),
    ];
    let encode = |operations: &Vec<Operation>| entry(&mut encoder(), operations);
    check("dictionaries", samples, encode, |bytes| {
        let (definitions, batch) = split(bytes).unwrap();
        let mut known = Definitions::default();
        known.add(definitions).unwrap();
        batch::decode_defined(batch, &known).unwrap()
    });
}

#[test]
fn messages() {
    let span =
        |incarnation, first| Span { incarnation: Incarnation(incarnation), first: Seq(first) };
    let spans = vec![span(300, 1), span(u64::MAX, 5)];
    let hello = Hello {
        protocol_min: 1,
        protocol_max: 1,
        node: NodeId::from_bytes([0xaa; 16]),
        former: vec![NodeId::from_bytes([0xbb; 16])],
        history: History::new(spans).unwrap(),
        database: "notes".into(),
        name: "laptop".into(),
        role: Role::Client,
        mode: Mode::Bidirectional,
        head: Seq(5),
        wall_ms: 1_700_000_000_000,
        reads: CompressionSet(0),
        scope: 0,
    };
    let last = Checkpoint { incarnation: Incarnation(300), seq: Seq(4) };
    let resume = |last| Resume { after: Seq(4), last, credit: 1 << 20 };
    let reasons = [
        ("goodbye: shutdown", Reason::Shutdown),
        ("goodbye: protocol version", Reason::ProtocolVersion),
        ("goodbye: database", Reason::Database),
        ("goodbye: mode", Reason::Mode),
        ("goodbye: same node", Reason::SameNode),
        ("goodbye: clock drift", Reason::ClockDrift),
        ("goodbye: violation", Reason::Violation),
        ("goodbye: timeout", Reason::Timeout),
        ("goodbye: storage", Reason::Storage),
        ("goodbye: busy", Reason::Busy),
        ("goodbye: self link", Reason::SelfLink),
        ("goodbye: role", Reason::Role),
    ];
    let goodbye = |reason| Message::Goodbye(Goodbye { reason, message: "bye".into() });
    let changes = |range: Range| Message::decode(range.encode(&example()).remove(0)).unwrap();
    let range = Range::new(Seq(4), Seq(5));
    let forwarded = Range { roots: vec![last], ..range.clone() };
    let behind = Range { left_out: true, ..range.clone() };
    let named = Operation { change: Change::Update(vec![]), ..example().remove(0) };
    let rule = Rule::all().only([name("text"), name("owner")]);
    let scope = Scope::new().with(name("tags"), Rule::all()).with(name("notes"), rule);
    let mut samples = vec![
        ("hello", Message::Hello(hello.clone())),
        ("resume from a seq", Message::Resume(resume(Some(last)))),
        ("resume from nothing", Message::Resume(resume(None))),
        ("changes", changes(range)),
        ("ack", Message::Ack(Ack { through: Seq(5), credit: 200, head: Seq(7) })),
        ("ping", Message::Ping(1)),
        ("pong", Message::Pong(1)),
    ];
    samples.extend(reasons.map(|(name, reason)| (name, goodbye(reason))));
    samples.push(("changes that were written elsewhere", changes(forwarded)));
    samples.push(("changes without records that changed again", changes(behind)));
    samples.extend([
        ("start", Message::Start(Start { roll: None })),
        ("start after a roll", Message::Start(Start { roll: Some(Seq(300)) })),
        ("roll", Message::decode(encode_roll(Seq(4), Seq(5), &[named]).unwrap()).unwrap()),
        (
            "hello of who reads LZ4",
            Message::Hello(Hello { reads: CompressionSet(1), ..hello.clone() }),
        ),
    ]);
    let definitions = entry(&mut encoder(), &two_shapes());
    let (definitions, _) = split(&definitions).unwrap();
    let definitions = Bytes::copy_from_slice(definitions);
    samples.push(("definitions", Message::Definitions(definitions)));
    let withdrawal = Operation::withdrawal(name("notes"), RecordKey::Int(7));
    let withdrawn = Range::new(Seq(5), Seq(5)).encode(std::slice::from_ref(&withdrawal));
    samples.extend([
        ("hello of who limits the other side", Message::Hello(Hello { scope: 300, ..hello })),
        ("scope", Message::Scope(scope.encode().into())),
        ("changes that withdraw a record", Message::decode(withdrawn[0].clone()).unwrap()),
        ("goodbye: scope", goodbye(Reason::Scope)),
    ]);
    check(
        "messages",
        samples,
        |message| message.encode().to_vec(),
        |bytes| {
            let message = Message::decode(bytes.to_vec().into()).unwrap();
            if let Message::Changes(frame) = &message {
                let found = Changes::decode(&frame.payload).unwrap().operations;
                assert!(found == example() || found == [withdrawal.clone()]);
            }
            message
        },
    );
}

#[test]
fn frames() {
    let samples = vec![("a ping", Message::Ping(1).encode())];
    let encode = |body: &Bytes| {
        let mut stream = BytesMut::new();
        FrameCodec::new().encode(body.clone(), &mut stream).unwrap();
        stream.to_vec()
    };
    check("frames", samples, encode, |bytes| {
        FrameCodec::new().decode(&mut BytesMut::from(bytes)).unwrap().unwrap()
    });
}

/// What each compression may make of one frame, and what it stands for. Encoders may make
/// others of it, so these are only expanded.
#[test]
fn compressed() {
    let text = std::fs::read_to_string(file(FORMAT_VERSION, "compressed")).unwrap();
    let entries: Vec<Vec<_>> =
        text.split_terminator("\n\n").map(|entry| entry.lines().collect()).collect();
    assert_eq!(entries.len(), 5);
    for entry in entries {
        let [name, bytes, expected] = entry[..] else { panic!("{entry:?}") };
        let expanded = expand(unhex(bytes).into(), CompressionSet::BUILT);
        if name.contains("Zstandard") && cfg!(not(feature = "zstd")) {
            assert!(expanded.is_err(), "{name}");
            continue;
        }
        assert_eq!(hex(&expanded.unwrap()), expected, "{name}");
    }
}
