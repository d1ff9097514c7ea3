//! Seeded operations and writes: the same seed gives the same run.

use blaze_codec::{Change, Hlc, Operation, Record, RecordKey, Value, Version};
use blaze_db_adapter::Write;
use fastrand::Rng;

use crate::subject::{delete, name, peer, put, set, unset};

const COLLECTIONS: [&str; 2] = ["left", "right"];
const FIELDS: [&str; 3] = ["a", "b", "c"];
const KEYS: i64 = 4;
const WRITERS: u8 = 3;

/// Operations of several writers on few records, with many equal and close
/// versions, in no order.
pub(crate) fn operations(rng: &mut Rng, count: usize) -> Vec<Operation> {
    std::iter::repeat_with(|| operation(rng)).take(count).collect()
}

fn operation(rng: &mut Rng) -> Operation {
    let version = version(rng, 24);
    let base = match rng.u8(..3) {
        0 => Version::ZERO,
        _ => self::version(rng, version.hlc.to_bits()),
    };
    let change = match rng.u8(..5) {
        0 => Change::Delete,
        1 | 2 => Change::Insert(record(rng)),
        _ => {
            let fields = FIELDS.into_iter().filter(|_| rng.bool()).collect::<Vec<_>>();
            let value = |rng: &mut Rng| (rng.u8(..4) > 0).then(|| value(rng));
            Change::Update(fields.into_iter().map(|field| (name(field), value(rng))).collect())
        }
    };
    let collection = name(rng.choice(COLLECTIONS).expect("there are collections"));
    Operation { collection, key: key(rng), version, base, change }
}

/// A version whose clock is at most `hlc_max`; a server's write before it, at
/// most, is its epoch.
fn version(rng: &mut Rng, hlc_max: u64) -> Version {
    let hlc = rng.u64(1..=hlc_max);
    let epoch = if rng.bool() { 0 } else { rng.u64(..=hlc) };
    let node = peer(200 + rng.u8(..WRITERS));
    Version { epoch: Hlc::from_bits(epoch), hlc: Hlc::from_bits(hlc), node }
}

/// Writes that are allowed whatever the records are, to be committed one by one
/// or together.
pub(crate) fn writes(rng: &mut Rng, count: usize) -> Vec<Write> {
    let write = || {
        let collection = rng.choice(COLLECTIONS).expect("there are collections");
        match rng.u8(..4) {
            0 => delete(collection, key(rng)),
            _ => put(collection, key(rng), record(rng)),
        }
    };
    std::iter::repeat_with(write).take(count).collect()
}

/// Changes to one field of a record that exists.
pub(crate) fn field_write(rng: &mut Rng, collection: &str, key: &RecordKey) -> Write {
    let field = rng.choice(FIELDS).expect("there are fields");
    match rng.u8(..4) {
        0 => unset(collection, key, field),
        _ => set(collection, key, field, value(rng)),
    }
}

fn key(rng: &mut Rng) -> RecordKey {
    RecordKey::Int(rng.i64(0..KEYS))
}

fn record(rng: &mut Rng) -> Record {
    let fields = FIELDS.into_iter().filter(|_| rng.bool()).collect::<Vec<_>>();
    fields.into_iter().map(|field| (name(field), value(rng))).collect()
}

fn value(rng: &mut Rng) -> Value {
    match rng.u8(..4) {
        0 => Value::Null,
        1 => Value::Bool(rng.bool()),
        2 => Value::Int(rng.i64(0..8)),
        _ => Value::from(rng.alphabetic().to_string()),
    }
}
