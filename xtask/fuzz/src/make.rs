//! Valid values and operations from the decisions of an input.

use std::collections::BTreeMap;

use blaze_codec::{
    Change, Hlc, Name, NodeId, Operation, Record, RecordKey, Timestamp, Uuid, Value, Version,
};

use crate::source::Source;

/// The most operations of a batch.
const OPERATIONS_MAX: usize = 600;
/// How deep values are nested, mostly; a chain goes to the limit.
const DEPTH: usize = 3;

const NAMES: [&str; 12] = [
    "a",
    "b",
    "status",
    "title",
    "created",
    "$hex",
    "$map",
    "é",
    "a name beyond what lies inline",
    "z",
    "priority",
    "notes",
];
const TEXTS: [&str; 8] =
    ["", "open", "closed", "é", "in progress", "a text of 24 bytes here", "x", "\u{10ffff}"];

fn name(source: &mut Source<'_>) -> Name {
    let picked = source.below(NAMES.len() + 4);
    let text = NAMES
        .get(picked)
        .map_or_else(|| format!("n{}", "x".repeat(source.below(255))), |text| (*text).to_owned());
    Name::new(&text).expect("names have 1 to 255 bytes")
}

fn text(source: &mut Source<'_>) -> String {
    match source.below(4) {
        0 | 1 => source.pick(&TEXTS).to_owned(),
        2 => "y".repeat(source.below(140)),
        _ => {
            let length = source.below(40);
            String::from_utf8_lossy(source.take(length)).into_owned()
        }
    }
}

fn uuid(source: &mut Source<'_>) -> Uuid {
    Uuid::from_u128(u128::from(source.number()) << 64 | u128::from(source.number()))
}

/// The kinds of values that a column has.
const KINDS: usize = 13;

/// A value of one kind, as the values of a column are alike.
fn value_of(kind: usize, source: &mut Source<'_>) -> Value {
    match kind {
        0 => Value::Null,
        1 => Value::Bool(source.one_in(128)),
        2 => Value::Int(i64::from(source.byte() % 6)),
        3 => Value::Int(source.number().cast_signed()),
        4 => Value::Float(f64::from(i32::from(source.byte()) - 128) / 10.0),
        5 => Value::Float(f64::from_bits(source.number())),
        6 => Value::from(source.pick(&TEXTS)),
        7 => Value::from(text(source)),
        8 => {
            let length = source.below(50);
            Value::from(source.take(length))
        }
        9 => Value::Uuid(uuid(source)),
        10 => Value::Timestamp(Timestamp(1_700_000_000_000 + source.number().cast_signed() / 4)),
        11 => Value::Int(1_000 + 250 * i64::from(source.byte())),
        _ => value(source, 0),
    }
}

/// Any value.
pub(crate) fn value(source: &mut Source<'_>, depth: usize) -> Value {
    let kinds = if depth < DEPTH { KINDS + 2 } else { KINDS - 1 };
    match source.below(kinds) {
        12 => chain(source),
        13 => {
            let count = source.below(20);
            Value::Array((0..count).map(|_| value(source, depth + 1)).collect())
        }
        14 => Value::Map(record(source, depth + 1)),
        kind => value_of(kind, source),
    }
}

/// Arrays and maps within one another, up to the limit.
fn chain(source: &mut Source<'_>) -> Value {
    let (depth, kind) = (source.below(blaze_codec::limits::DEPTH_MAX - DEPTH), source.below(3));
    let name = name(source);
    (0..depth).fold(Value::Null, |inner, level| match kind {
        0 => Value::Map([(name.clone(), inner)].into()),
        1 if level % 2 == 0 => Value::Map([(name.clone(), inner)].into()),
        _ => Value::Array(vec![inner]),
    })
}

fn record(source: &mut Source<'_>, depth: usize) -> Record {
    let count = source.below(6);
    (0..count).map(|_| (name(source), value(source, depth))).collect()
}

fn key(kind: usize, source: &mut Source<'_>) -> RecordKey {
    match kind {
        0 => RecordKey::Uuid(uuid(source)),
        1 => RecordKey::Int(source.number().cast_signed()),
        2 => RecordKey::Text(text(source)),
        _ => {
            let length = source.below(30);
            RecordKey::Bytes(source.take(length).to_vec())
        }
    }
}

/// How versions are made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Versions {
    /// Any at all.
    Any,
    /// Those that a peer may send at a moment, in milliseconds since 1970, but for a few.
    Sane(u64),
}

impl Versions {
    fn make(self, source: &mut Source<'_>, at: u64) -> (Version, Version) {
        let clock = |source: &mut Source<'_>| match source.below(4) {
            0 | 1 => Hlc::from_bits(source.byte().into()),
            2 => Hlc::from_bits((1_700_000_000_000 + at) << 16 | u64::from(source.byte() % 3)),
            _ => Hlc::from_bits(source.number()),
        };
        let node = |source: &mut Source<'_>| NodeId::from_bytes([source.pick(&[0, 1, 2, 200]); 16]);
        let any = |source: &mut Source<'_>| match source.below(5) {
            0 => Version::ZERO,
            1 => {
                let hlc = clock(source);
                Version { epoch: hlc, hlc, node: node(source) }
            }
            2 => Version { epoch: Hlc::ZERO, hlc: clock(source), node: node(source) },
            _ => Version { epoch: clock(source), hlc: clock(source), node: node(source) },
        };
        match self {
            Self::Any => (any(source), any(source)),
            Self::Sane(now_ms) => {
                // Zeros, which a source that is used up gives, are none of the few.
                let rare = |source: &mut Source<'_>| source.byte() == u8::MAX;
                let ahead_ms = if rare(source) { source.number() % now_ms } else { 0 };
                let hlc = Hlc::from_bits(((now_ms + ahead_ms) << 16) + at);
                let epoch = match source.byte() {
                    0..80 => hlc,
                    80 => clock(source),
                    _ => Hlc::ZERO,
                };
                let version = Version { epoch, hlc, node: node(source) };
                let base = if rare(source) { any(source) } else { Version::ZERO };
                (version, if rare(source) { version } else { base })
            }
        }
    }
}

/// What operations have in common.
struct Shape {
    collection: Name,
    key: usize,
    change: usize,
    /// The fields with the kinds of their values.
    fields: BTreeMap<Name, usize>,
    /// How many in 256 values are null, or removed.
    nulls: u8,
}

impl Shape {
    fn make(source: &mut Source<'_>) -> Self {
        let (collection, key, change) = (name(source), source.below(4), source.below(8));
        let count = source.below(7);
        let fields = (0..count).map(|_| (name(source), source.below(KINDS))).collect();
        let nulls = source.pick(&[0, 0, 30, 128]);
        Self { collection, key, change, fields, nulls }
    }

    fn operation(&self, source: &mut Source<'_>, versions: Versions, at: u64) -> Operation {
        let mut cell = |kind: usize| {
            let null = self.nulls > 0 && source.one_in(self.nulls);
            if null { Value::Null } else { value_of(kind, source) }
        };
        let fields = self.fields.iter().map(|(name, kind)| (name.clone(), cell(*kind)));
        let change = match self.change {
            0..4 => Change::Insert(fields.collect()),
            4 => Change::Update(fields.map(|(name, value)| (name, Some(value))).collect()),
            // A null stands for a field that is removed.
            5 | 6 => {
                let set = |value: Value| Some(value).filter(|value| *value != Value::Null);
                Change::Update(fields.map(|(name, value)| (name, set(value))).collect())
            }
            _ => Change::Delete,
        };
        let (version, base) = versions.make(source, at);
        let key = key(self.key, source);
        Operation { collection: self.collection.clone(), key, version, base, change }
    }
}

/// Operations of a few shapes: by rows if there are few of a shape, else by columns.
pub(crate) fn operations(source: &mut Source<'_>, versions: Versions) -> Vec<Operation> {
    let shapes = 1 + source.below(5);
    let shapes: Vec<_> = (0..shapes).map(|_| Shape::make(source)).collect();
    let count = match source.below(4) {
        0 => source.below(6),
        1 => source.below(OPERATIONS_MAX),
        _ => source.below(64),
    };
    let mut operations = Vec::new();
    while operations.len() < count {
        let shape = &shapes[source.below(shapes.len())];
        operations.push(shape.operation(source, versions, operations.len() as u64));
    }
    operations
}
