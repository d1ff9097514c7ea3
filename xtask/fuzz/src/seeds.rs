//! Inputs to begin with: the golden vectors of the codec, and generated ones of many kinds.

use std::collections::BTreeSet;

use blaze_codec::batch::Encoder;
use blaze_codec::limits::DEPTH_MAX;
use blaze_codec::message::{Compression, FeedEncoder, Message, Range};
use blaze_codec::{
    Change, Condition, Hlc, Name, NodeId, Operation, RecordKey, Rule, Scope, Seq, Timestamp, Uuid,
    Value, Version, batch, binary, record,
};

use crate::make::{self, Versions};
use crate::source::Source;
use crate::targets::{Script, Step, Target, dictionary};

const BATCHES: &str = include_str!("../../../blaze-codec/tests/golden/v1/batches.txt");
const COMPRESSED: &str = include_str!("../../../blaze-codec/tests/golden/v1/compressed.txt");
const FRAMES: &str = include_str!("../../../blaze-codec/tests/golden/v1/frames.txt");
const MESSAGES: &str = include_str!("../../../blaze-codec/tests/golden/v1/messages.txt");
const VALUES: &str = include_str!("../../../blaze-codec/tests/golden/v1/values.txt");

/// How many inputs are generated of each kind.
const GENERATED: u64 = 40;

/// Inputs for a target, the same each time.
pub fn of(target: Target) -> Vec<Vec<u8>> {
    match target {
        Target::Batch => batches(),
        Target::Operation => operations(),
        Target::Dictionary => dictionaries(),
        Target::Record => values(),
        Target::Frame => frames(),
        Target::Hello => messages(),
        Target::Session => scripts(),
    }
}

/// The bytes of a file of golden vectors: the second of each three lines.
fn golden(text: &str) -> Vec<Vec<u8>> {
    let entries = text.split_terminator("\n\n").filter_map(|entry| entry.lines().nth(1));
    entries.map(|hex| hex.as_bytes().chunks(2).map(byte).collect()).collect()
}

fn byte(digits: &[u8]) -> u8 {
    let digit = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or_default();
    let number = digits.iter().fold(0, |number, byte| number << 4 | digit(byte));
    u8::try_from(number).expect("two digits")
}

/// Decisions at random.
fn decisions(seed: u64, bytes: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..bytes).map(|_| rng.u8(..)).collect()
}

/// Batches of the golden vectors, of a bug tracker, of a sensor, of changes, and of all
/// kinds of columns.
fn batches() -> Vec<Vec<u8>> {
    let mut all = golden(BATCHES);
    let encode = |operations: &[Operation]| {
        let mut bytes = Vec::new();
        batch::encode(operations, &mut bytes);
        bytes
    };
    for count in [1, 3, 4, 20, 100] {
        for workload in [issue, reading, update] {
            let operations: Vec<_> = (0..count).map(workload).collect();
            all.push(encode(&operations));
        }
        let mixed: Vec<_> =
            (0..count).map(|at| [issue, reading, update][(at % 3) as usize](at)).collect();
        all.push(encode(&mixed));
    }
    all.push(encode(&(0..300).map(bits).collect::<Vec<_>>()));
    all.extend((0..GENERATED).map(|seed| {
        let bytes = decisions(seed, 900);
        encode(&make::operations(&mut Source::new(&bytes), Versions::Any))
    }));
    all
}

fn operation(key: RecordKey, at: u32, collection: &str, change: Change) -> Operation {
    let node = NodeId::from_bytes([1 + u8::from(at.is_multiple_of(5)); 16]);
    let hlc = Hlc::from_bits(((1_700_000_000_000 + u64::from(at) * 250) << 16) + u64::from(at % 3));
    let epoch = if at.is_multiple_of(5) { hlc } else { Hlc::ZERO };
    let collection = Name::new(collection).expect("a name");
    Operation {
        collection,
        key,
        version: Version { epoch, hlc, node },
        base: Version::ZERO,
        change,
    }
}

/// A new issue of a bug tracker.
fn issue(at: u32) -> Operation {
    let status = ["open", "closed", "in progress"][(at * 7 % 3) as usize];
    let change = record! {
        "assignee" => if at.is_multiple_of(4) { Value::Null } else { Value::from("grace") },
        "closed" => status == "closed",
        "created" => Timestamp(1_700_000_000_000 + i64::from(at * 250)),
        "priority" => at * 5 % 6,
        "status" => status,
        "title" => format!("the editor forgets issue {at}"),
    };
    let key = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + u128::from(at * 77));
    operation(key.into(), at, "issues", Change::Insert(change))
}

/// A row of numbers.
fn reading(at: u32) -> Operation {
    let drift = f64::from(at * 37 % 11);
    let change = record! {
        "battery" => 100 - i64::from(at / 9),
        "light" => 300 + at * 13 % 40,
        "temperature" => (180.0 + drift) / 10.0,
        "voltage" => 1.0 / (3.0 + drift),
    };
    operation(RecordKey::Int(48_213 + i64::from(at)), at, "readings", Change::Insert(change))
}

/// A change of one field, or its removal.
fn update(at: u32) -> Operation {
    let value = (at % 4 != 1).then(|| Value::from("closed"));
    let change = Change::Update(vec![(Name::new("status").expect("a name"), value)]);
    let mut operation = operation(RecordKey::Text(format!("issue {at}")), at, "issues", change);
    if !at.is_multiple_of(3) {
        operation.base = Version { hlc: Hlc::from_bits(at.into()), ..operation.version };
    }
    operation
}

/// Sixty integers of one bit, as an update: nothing takes more memory for its bytes.
fn bits(at: u32) -> Operation {
    let bit = |field: u32| {
        let name = Name::new(&format!("{field:02}")).expect("a name");
        (name, Some(Value::from((at + field) / 7 % 2)))
    };
    operation(RecordKey::Int(0), 1, "bits", Change::Update((0..60).map(bit).collect()))
}

/// Batches by dictionaries with what they need, decisions for such, and what can be wrong.
fn dictionaries() -> Vec<Vec<u8>> {
    let mut all: Vec<_> =
        golden(BATCHES).iter().map(|batch| dictionary::input(&[], batch)).collect();
    let mut add = |batches: &[Vec<Operation>]| {
        let (mut encoder, mut told) = (Encoder::with_dictionary(), BTreeSet::new());
        let mut definitions = Vec::new();
        for operations in batches {
            let mut bytes = Vec::new();
            encoder.encode(operations, &mut bytes);
            let needs = encoder.needs().iter().filter(|entry| told.insert(**entry));
            let needs: Vec<_> = needs.copied().collect();
            definitions.push(Vec::new());
            encoder.define(&needs, definitions.last_mut().expect("one was added"));
            all.push(dictionary::input(&definitions, &bytes));
        }
    };
    for count in [1, 3, 4, 30] {
        let mixed = (0..count).map(|at| [issue, reading, update][(at % 3) as usize](at)).collect();
        add(&[issue, reading, update].map(|workload| (0..count).map(workload).collect()));
        add(&[mixed]);
    }
    for seed in 0..GENERATED {
        let bytes = decisions(seed, 600);
        add(&[make::operations(&mut Source::new(&bytes), Versions::Any)]);
    }
    all.extend(operations().into_iter().map(|input| [&[1], &input[..]].concat()));
    // Two numbers for the same, and one that leaves others out.
    let (shape, node) = (b"\x06\x01c\x00", [7; 16]);
    let defined = |number: u8| [&[1, number], &node[..], &[1, number], shape].concat();
    let twice = [defined(0), defined(9)];
    all.push(dictionary::input(&twice, &[3, 2, 0, 8, 0, 0, 9, 8, 9, 0]));
    all.push(dictionary::input(&twice[1..], &[3, 1, 9, 8, 9, 0]));
    // As many rows of a shape as there may be, and one more, which are to be columns.
    let rows = [3, 3, 9, 8, 9, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0];
    let more = [&[3, 4], &rows[2..]].concat();
    all.extend([&rows[..12], &more].map(|batch| dictionary::input(&twice[1..], batch)));
    all
}

/// Decisions for operations, and those for changes of their bytes behind them.
fn operations() -> Vec<Vec<u8>> {
    let input = |seed: u64| {
        let valid = decisions(seed, 60 << (seed % 5));
        let length = u16::try_from(valid.len()).expect("at most 960").to_le_bytes();
        [&length[..], &valid, &decisions(seed + 1_000, 24)].concat()
    };
    (0..2 * GENERATED).map(input).collect()
}

fn values() -> Vec<Vec<u8>> {
    let encoded = golden(VALUES);
    let mut all: Vec<_> = encoded.iter().map(|bytes| [&[0], &bytes[..]].concat()).collect();
    let json = encoded.iter().filter_map(|bytes| {
        let (value, _) = binary::decode_value(bytes).ok()?;
        Some([b"\x02", serde_json::to_string(&value).ok()?.as_bytes()].concat())
    });
    all.extend(json);
    for seed in 0..GENERATED {
        let decisions = decisions(seed, 200);
        let value = make::value(&mut Source::new(&decisions), 0);
        let mut encoded = vec![0];
        binary::encode_value(&value, &mut encoded);
        all.extend([encoded, [&[3], &decisions[..]].concat()]);
    }
    all.extend([&[ARRAY][..], &[MAP, 1, b'a']].map(claims));
    // Of a later version, by itself and in an array, and cut off.
    let later: [&[u8]; 3] = [&[LATER, 2, 1, 7], &[0x12, 0, LATER, 3, 0], &[LATER, 2, 5, 0]];
    all.extend(later.map(|value| [&[0], value].concat()));
    all
}

/// The tag of a value of a later version.
const LATER: u8 = 0x0b;
/// The tags of an array and of a map that tell their lengths in a varint.
const ARRAY: u8 = 0x09;
const MAP: u8 = 0x0a;

/// Arrays or maps within one another, each of which claims a thousand elements, and what
/// would do for one.
fn claims(head: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    for _ in 0..DEPTH_MAX {
        bytes.push(head[0]);
        binary::encode_varint(1_000, &mut bytes);
        bytes.extend_from_slice(&head[1..]);
    }
    bytes.resize(bytes.len() + 3_000, 0);
    bytes
}

/// The golden messages, and changes of generated operations: as they are, by a dictionary
/// behind what they need, and compressed.
fn messages() -> Vec<Vec<u8>> {
    let mut all = golden(MESSAGES);
    all.extend(golden(COMPRESSED));
    // Ten literal bytes by LZ4, which take more than they would as they are.
    all.push([&[3, 2, 10, 0, 0, 0, 0xa0][..], &[7; 10]].concat());
    all.extend(scopes().iter().map(|scope| Message::Scope(scope.encode().into()).encode().into()));
    let mut feed = FeedEncoder::default();
    for count in [1, 8, 40] {
        let operations: Vec<_> = (0..count).map(issue).collect();
        let encoded = feed.encode(&Range::new(Seq(0), Seq(1)), &operations);
        all.extend(encoded.needs.iter().map(|definition| definition.frame.to_vec()));
        for body in encoded.frames {
            let methods = [Compression::None, Compression::Lz4, Compression::Zstd];
            all.extend(methods.map(|method| body.compressed(method).to_vec()));
        }
    }
    all.extend((0..GENERATED).flat_map(|seed| {
        let bytes = decisions(seed, 300);
        let operations = make::operations(&mut Source::new(&bytes), Versions::Any);
        Range::new(Seq(seed), Seq(2 * seed)).encode(&operations).into_iter().map(Into::into)
    }));
    all
}

/// A scope by each kind of condition.
fn scopes() -> Vec<Scope> {
    let name = |text| Name::new(text).expect("a name");
    let values = || vec![Value::Null, Value::from("anna"), Value::Int(5), Value::from(1.5)];
    let conditions = [
        Condition::is(name("owner"), "anna"),
        Condition::In(name("size"), values()),
        Condition::Has(name("tags"), Value::from(values())),
        Condition::Below(name("size"), Value::Int(9)),
        Condition::Above(name("n"), Value::from(0.5)),
        Condition::Above(name("text"), Value::from("a")),
    ];
    let any = Condition::Any(conditions.to_vec());
    let not = Condition::Not(Box::new(Condition::All(vec![any.clone(), any])));
    let of = |condition| Scope::new().with(name("notes"), Rule::all().when(condition));
    let some = Rule::all().only(["text", "n"].map(name));
    let told = Scope::new().with(name("notes"), some).with(name("tags"), Rule::all());
    conditions.into_iter().chain([not]).map(of).chain([told, Scope::new()]).collect()
}

/// How a stream is cut, in nine bytes, and streams: raw, and as bodies to be wrapped.
fn frames() -> Vec<Vec<u8>> {
    let head = |flags: u8| [flags, 0, 5, 1, 0, 0, 1, 0, 63];
    let mut all: Vec<_> =
        golden(FRAMES).iter().map(|stream| [&head(2)[..], stream].concat()).collect();
    let messages = messages();
    for (at, bodies) in messages.chunks(3).enumerate() {
        let flags = [1, 3, 5, 9, 25][at % 5];
        let mut input = head(flags).to_vec();
        if flags & 4 != 0 {
            input.extend_from_slice(&[0, 9, 3]);
        }
        for body in bodies {
            // In two pieces, if it is changes.
            let (first, second) = body.split_at(body.len() / 2);
            let pieces = match Message::decode(body.clone().into()) {
                Ok(Message::Changes(_)) if body.len() > 60 && flags & 8 == 0 => {
                    vec![[&[3, 1], &first[2..]].concat(), [&[3, 0], second].concat()]
                }
                _ => vec![body.clone()],
            };
            for piece in pieces {
                let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
                input.extend_from_slice(&length.to_le_bytes());
                input.extend_from_slice(&piece[..length.into()]);
            }
        }
        all.push(input);
    }
    all
}

/// Sessions that go well for a while, each with something else in them.
fn scripts() -> Vec<Vec<u8>> {
    let resume = [255, 0, 255, 7, 0, 0, 0, 0, 0, 1];
    // Side and mode in one byte: both ways, to the connector only, to the acceptor only.
    let begun = |session: [u8; 5], changes: &[u8]| {
        let [kind, ..] = session;
        let (sends, receives) = (![3, 4].contains(&(kind & 7)), ![2, 5].contains(&(kind & 7)));
        let mut script = Script::new(session);
        if sends {
            script = script.then(Step::Resume, &resume).then(Step::Start, &[255]);
            script = script.then(Step::Ack, &[9, 0, 3, 0, 0, 1, 0, 0, 0, 1]);
        }
        if receives { script.then(Step::Changes, changes) } else { script }
    };
    let mut all = Vec::new();
    for seed in 0_u8..48 {
        // What each side compresses by and reads is told above side and mode.
        let compressions = ((seed / 6 % 4) << 3) | ((seed / 4 % 4) << 5);
        let session = [(seed % 6) | compressions, seed % 7, seed % 5 / 4, seed * 5, seed % 11];
        let operations = decisions(seed.into(), 150);
        // After what was told, two seqs further, nothing left out, one root, a peer's versions.
        let changes = [&[255, 1, 2, 255, 1, 0, 3, 1][..], &operations].concat();
        let mut script = begun(session, &changes);
        for step in 0..6_u8 {
            script = match (seed + step * 5) % 13 {
                0 => script.then(Step::Hold, &[step]),
                1 => script.then(Step::Commit, &[]),
                2 => script.then(Step::Time, &[4, seed, step]),
                3 => script.then(Step::Answer, &[]),
                4 => script.then(Step::Ping, &[seed]),
                5 => script.then(Step::Damaged, &changes),
                6 => script.then(Step::Roll, &[&[3], &operations[..]].concat()),
                7 => script.then(Step::Ack, &[9, step, 2, seed]),
                8 if seed % 8 == 0 => script.then(Step::Large, &changes),
                9 => script.then(Step::Local, &[seed]),
                10 => script.then(Step::Defined, &changes),
                11 => script.then(Step::Compressed, &changes),
                _ => script.then(Step::Changes, &changes),
            };
        }
        all.push(script.bytes());
    }
    let raw = golden(MESSAGES).into_iter().chain(golden(COMPRESSED));
    all.extend(raw.map(|body| begun([0, 3, 0, 0, 5], &[]).then(Step::Raw, &body).bytes()));
    // By the fourth byte: what the peer is limited to, or limits this side to, or is about to
    // say that it does.
    let changes = [&[255, 1, 2, 255, 1, 0, 0, 0][..], &decisions(3, 60)].concat();
    for limits in 3..=6 {
        let script = begun([0, 3, 0, limits << 5, 5], &changes).then(Step::Commit, &[]);
        all.push(script.then(Step::Changes, &changes).bytes());
    }
    for scope in scopes() {
        let told = Message::Scope(scope.encode().into()).encode();
        let script = Script::new([0, 3, 0, 7 << 5, 5]).then(Step::Raw, &told);
        all.push(script.then(Step::Resume, &resume).then(Step::Raw, &told).bytes());
    }
    all
}

#[cfg(test)]
mod tests {
    use blaze_codec::message::Changes;

    use super::*;

    #[test]
    fn golden_vectors_are_read() {
        for (text, count) in
            [(BATCHES, 10), (COMPRESSED, 5), (FRAMES, 1), (MESSAGES, 20), (VALUES, 30)]
        {
            let found = golden(text);
            assert!(found.len() >= count && found.iter().all(|bytes| !bytes.is_empty()));
        }
        assert_eq!(golden(BATCHES)[0], [1, 0, 0, 0, 0]);
        let whole = golden(BATCHES).iter().filter(|bytes| batch::decode(bytes).is_ok()).count();
        assert_eq!(whole, golden(BATCHES).len());
    }

    #[test]
    fn seeds_are_many_the_same_each_time_and_keep_every_promise() {
        for target in Target::ALL {
            let seeds = of(target);
            assert_eq!(seeds, of(target));
            assert!(seeds.len() >= 25, "{} for {target}", seeds.len());
            for seed in &seeds {
                target.run(seed);
            }
        }
    }

    #[test]
    fn batches_are_of_both_layouts() {
        let layouts =
            batches().iter().map(|batch| batch[0]).fold((0, 0), |(rows, columns), first| {
                if first == batch::ROWS { (rows + 1, columns) } else { (rows, columns + 1) }
            });
        assert!(layouts.0 > 10 && layouts.1 > 20, "{layouts:?}");
    }

    #[test]
    fn changes_of_frames_come_whole() {
        let whole = messages().into_iter().filter_map(|body| match Message::decode(body.into()) {
            Ok(Message::Changes(frame)) => Changes::decode(&frame.payload).ok(),
            _ => None,
        });
        assert!(whole.count() as u64 >= GENERATED);
    }
}
