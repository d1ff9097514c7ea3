//! What a lane of commits writes, as a function of a seed: the driver knows what a
//! worker wrote without being told.

use std::collections::BTreeMap;

use blaze_codec::{Record, Value, record};

/// The key of the record that every commit of a lane writes: its number.
pub(crate) const COUNTER: i64 = 0;

/// What a lane's collection holds, the counter left out.
pub(crate) type State = BTreeMap<i64, Content>;

/// What a record holds, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    /// Which commit wrote it; differs between two histories' commits of one number.
    pub(crate) mark: i64,
    /// How many bytes it holds besides.
    pub(crate) bytes: usize,
}

/// What a commit of a lane does: each key once, with what it is set to, or `None` if
/// it is deleted.
pub(crate) type Writes = Vec<(i64, Option<Content>)>;

/// How much a lane writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Size {
    /// Mostly a few records, now and then hundreds or one of tens of kilobytes.
    Small,
    /// About a megabyte a commit, so that the log is soon written back.
    Large,
}

/// A seed made of two numbers, unlike those of their neighbours.
pub(crate) const fn mix(seed: u64, number: u64) -> u64 {
    // The finalizer of SplitMix64 (Steele et al., 2014).
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What commit `number` of a lane writes besides its counter.
pub(crate) fn writes(seed: u64, lane: u64, number: u64, size: Size) -> Writes {
    let seed = mix(mix(seed, lane), number);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mark = seed.cast_signed();
    let (count, key_max, bytes_max) = match (size, rng.u8(0..40)) {
        (Size::Large, _) => (rng.usize(200..300), 400, 6_000),
        (_, 0..30) => (rng.usize(1..=3), 60, 300),
        (_, 30..37) => (rng.usize(4..=30), 60, 300),
        (_, 37..39) => (rng.usize(100..=300), 400, 300),
        _ => (1, 8, 60_000),
    };
    let mut writes = BTreeMap::new();
    for _ in 0..count {
        let content = Content { mark, bytes: rng.usize(0..bytes_max) };
        let kept = rng.u8(0..5) > 0;
        writes.insert(rng.i64(1..=key_max), kept.then_some(content));
    }
    writes.into_iter().collect()
}

/// Does to a state what a commit does.
pub(crate) fn apply(state: &mut State, writes: &Writes) {
    for (key, content) in writes {
        match content {
            Some(content) => state.insert(*key, *content),
            None => state.remove(key),
        };
    }
}

/// The bytes that a record holds besides its mark.
pub(crate) fn padding(content: Content) -> Vec<u8> {
    vec![content.mark.to_le_bytes()[0]; content.bytes]
}

/// The record that stands for a content.
pub(crate) fn to_record(content: Content) -> Record {
    record! { "mark" => content.mark, "padding" => padding(content) }
}

/// What a record stands for, if it is whole.
pub(crate) fn of_record(record: &Record) -> Option<Content> {
    let (Some(Value::Int(mark)), Some(Value::Bytes(bytes))) =
        (record.get("mark"), record.get("padding"))
    else {
        return None;
    };
    let content = Content { mark: *mark, bytes: bytes.len() };
    (record.iter().len() == 2 && bytes[..] == padding(content)).then_some(content)
}

/// The name of a lane's collection.
pub(crate) fn collection(lane: u64) -> String {
    format!("lane{lane}")
}
