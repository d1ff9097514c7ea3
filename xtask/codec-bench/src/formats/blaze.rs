//! BlazeBinary, through what `blaze-codec` makes public.

use std::collections::BTreeSet;

use blaze_codec::batch::{self, Definitions, Encoder, Entry};
use blaze_codec::view::{
    ArrayRef, BatchRef, ChangeRef, HeadsRef, KeyRef, MapRef, OperationRef, ValueRef,
};
use blaze_codec::{
    Change, Hlc, Name, NodeId, Operation, RecordKey, Timestamp, Uuid, Value, Version,
};

use super::Format;
use crate::model::{self, Id};
use crate::results::{BLAZE, BLAZE_SESSION};
use crate::sum::{Kind, Sum};

/// By itself, or with the dictionary of a session, which was told what it needs before.
pub(super) struct Blaze<const SESSION: bool>;

/// An encoder, and what its reader knows.
pub(super) struct Session<const SESSION: bool> {
    encoder: Encoder,
    known: Definitions,
    told: BTreeSet<Entry>,
    bytes: Vec<u8>,
}

impl<const SESSION: bool> Default for Session<SESSION> {
    fn default() -> Self {
        let encoder = if SESSION { Encoder::with_dictionary() } else { Encoder::new() };
        let (known, told) = (Definitions::default(), BTreeSet::new());
        Self { encoder, known, told, bytes: Vec::new() }
    }
}

impl<const SESSION: bool> Format for Blaze<SESSION> {
    const NAME: &'static str = if SESSION { BLAZE_SESSION } else { BLAZE };
    const PACKAGE: &'static str = "blaze-codec";
    const IDS: Option<fn(&Vec<u8>, &Self::Buffer) -> u64> =
        Some(|bytes, session| ids(bytes, &session.known));

    type Batch = Vec<Operation>;
    type Bytes = Vec<u8>;
    type Buffer = Session<SESSION>;

    fn batch(operations: &[model::Operation]) -> Vec<Operation> {
        operations.iter().cloned().map(operation).collect()
    }

    fn operations(batch: Vec<Operation>) -> Vec<model::Operation> {
        batch.into_iter().map(model_operation).collect()
    }

    fn keep(bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn encode<'a>(batch: &Vec<Operation>, session: &'a mut Self::Buffer) -> &'a [u8] {
        let Session { encoder, known, told, bytes } = session;
        bytes.clear();
        encoder.encode(batch, bytes);
        for entry in encoder.needs() {
            if told.insert(*entry) {
                let mut definition = Vec::new();
                encoder.define(&[*entry], &mut definition);
                known.add(&definition).expect("just defined");
            }
        }
        bytes
    }

    fn decode(bytes: &Vec<u8>, session: &mut Self::Buffer) -> Vec<Operation> {
        batch::decode_defined(bytes, &session.known).expect("just encoded")
    }

    fn walk(bytes: &Vec<u8>, session: &mut Self::Buffer) -> u64 {
        let mut sum = Sum::default();
        let batch = BatchRef::defined(bytes, &session.known).expect("just encoded");
        batch.iter().for_each(
            #[inline(always)]
            |operation| fold_operation(operation, &mut sum),
        );
        sum.finish()
    }
}

fn ids(bytes: &[u8], known: &Definitions) -> u64 {
    let mut sum = Sum::default();
    for head in HeadsRef::defined(bytes, known).expect("just encoded").iter() {
        sum.begin();
        fold_key(head.key(), &mut sum);
        fold_version(head.version(), &mut sum);
    }
    sum.finish()
}

#[expect(clippy::inline_always, reason = "as in `sum`: else values go through memory")]
#[inline(always)]
fn fold_operation(operation: OperationRef<'_>, sum: &mut Sum) {
    sum.begin();
    sum.bytes(Kind::Collection, operation.collection().as_bytes());
    fold_key(operation.key(), sum);
    fold_version(operation.version(), sum);
    match operation.base() {
        Version::ZERO => sum.number(Kind::Null, 0),
        base => fold_version(base, sum),
    }
    match operation.change() {
        ChangeRef::Insert(record) => {
            let fields = record.iter();
            sum.number(Kind::Insert, fields.len() as u64);
            fields.for_each(
                #[inline(always)]
                |(name, value)| {
                    sum.bytes(Kind::Name, name.as_bytes());
                    fold_value(value, sum);
                },
            );
        }
        ChangeRef::Update(update) => {
            let fields = update.iter();
            sum.number(Kind::Update, fields.len() as u64);
            fields.for_each(
                #[inline(always)]
                |(name, value)| {
                    sum.bytes(Kind::Name, name.as_bytes());
                    match value {
                        Some(value) => fold_value(value, sum),
                        None => sum.number(Kind::Removed, 0),
                    }
                },
            );
        }
        ChangeRef::Delete => sum.number(Kind::Delete, 0),
    }
}

#[inline]
fn fold_key(key: KeyRef<'_>, sum: &mut Sum) {
    match key {
        KeyRef::Uuid(uuid) => sum.id(Kind::Uuid, uuid.as_bytes()),
        KeyRef::Int(int) => sum.number(Kind::Int, int.cast_unsigned()),
        KeyRef::Text(text) => sum.bytes(Kind::Text, text.as_bytes()),
        KeyRef::Bytes(bytes) => sum.bytes(Kind::Bytes, bytes),
    }
}

#[inline]
fn fold_version(version: Version, sum: &mut Sum) {
    sum.version(version.epoch.to_bits(), version.hlc.to_bits(), version.node.as_bytes());
}

#[expect(clippy::inline_always, reason = "as in `sum`: else values go through memory")]
#[inline(always)]
fn fold_value(value: ValueRef<'_>, sum: &mut Sum) {
    match value {
        ValueRef::Null => sum.number(Kind::Null, 0),
        ValueRef::Bool(bool) => sum.number(Kind::Bool, u64::from(bool)),
        ValueRef::Int(int) => sum.number(Kind::Int, int.cast_unsigned()),
        ValueRef::Float(float) => sum.number(Kind::Float, float.to_bits()),
        ValueRef::Text(text) => sum.bytes(Kind::Text, text.as_bytes()),
        ValueRef::Bytes(bytes) => sum.bytes(Kind::Bytes, bytes),
        ValueRef::Uuid(uuid) => sum.id(Kind::Uuid, uuid.as_bytes()),
        ValueRef::Timestamp(Timestamp(ms)) => sum.number(Kind::Timestamp, ms.cast_unsigned()),
        ValueRef::Array(array) => fold_array(array, sum),
        ValueRef::Map(map) => fold_map(map, sum),
    }
}

/// Apart, so that the others are folded where they are read.
fn fold_array(array: ArrayRef<'_>, sum: &mut Sum) {
    sum.number(Kind::Array, array.len() as u64);
    for value in array.iter() {
        fold_value(value, sum);
    }
}

fn fold_map(map: MapRef<'_>, sum: &mut Sum) {
    sum.number(Kind::Map, map.len() as u64);
    for (name, value) in map.iter() {
        sum.bytes(Kind::Name, name.as_bytes());
        fold_value(value, sum);
    }
}

fn operation(operation: model::Operation) -> Operation {
    let model::Operation { collection, key, version: written, base, change } = operation;
    let key = match key {
        model::Key::Uuid(id) => RecordKey::Uuid(Uuid::from_bytes(id.0)),
        model::Key::Int(int) => RecordKey::Int(int),
        model::Key::Text(text) => RecordKey::Text(text),
        model::Key::Bytes(bytes) => RecordKey::Bytes(bytes),
    };
    let change = match change {
        model::Change::Insert(fields) => Change::Insert(
            fields.into_iter().map(|(field, set)| (name(&field), value(set))).collect(),
        ),
        model::Change::Update(fields) => Change::Update(
            fields.into_iter().map(|(field, set)| (name(&field), set.map(value))).collect(),
        ),
        model::Change::Delete => Change::Delete,
    };
    let base = base.map_or(Version::ZERO, version);
    Operation { collection: name(&collection), key, version: version(written), base, change }
}

fn model_operation(operation: Operation) -> model::Operation {
    let Operation { collection, key, version, base, change } = operation;
    let key = match key {
        RecordKey::Uuid(uuid) => model::Key::Uuid(Id(uuid.into_bytes())),
        RecordKey::Int(int) => model::Key::Int(int),
        RecordKey::Text(text) => model::Key::Text(text),
        RecordKey::Bytes(bytes) => model::Key::Bytes(bytes),
    };
    let change = match change {
        Change::Insert(record) => model::Change::Insert(
            record
                .into_iter()
                .map(|(name, value)| (name.to_string(), model_value(value)))
                .collect(),
        ),
        Change::Update(fields) => model::Change::Update(
            fields
                .into_iter()
                .map(|(name, value)| (name.to_string(), value.map(model_value)))
                .collect(),
        ),
        Change::Delete => model::Change::Delete,
    };
    let base = (base != Version::ZERO).then(|| model_version(base));
    let (collection, version) = (collection.to_string(), model_version(version));
    model::Operation { collection, key, version, base, change }
}

fn version(version: model::Version) -> Version {
    let model::Version { epoch, hlc, node } = version;
    let (epoch, hlc) = (Hlc::from_bits(epoch), Hlc::from_bits(hlc));
    Version { epoch, hlc, node: NodeId::from_bytes(node.0) }
}

fn model_version(version: Version) -> model::Version {
    let Version { epoch, hlc, node } = version;
    let node = Id(*node.as_bytes());
    model::Version { epoch: epoch.to_bits(), hlc: hlc.to_bits(), node }
}

fn value(value: model::Value) -> Value {
    match value {
        model::Value::Null => Value::Null,
        model::Value::Bool(bool) => Value::Bool(bool),
        model::Value::Int(int) => Value::Int(int),
        model::Value::Float(float) => Value::Float(float),
        model::Value::Text(text) => Value::from(text),
        model::Value::Bytes(bytes) => Value::from(bytes),
        model::Value::Uuid(id) => Value::Uuid(Uuid::from_bytes(id.0)),
        model::Value::Timestamp(ms) => Value::Timestamp(Timestamp(ms)),
        model::Value::Array(values) => Value::Array(values.into_iter().map(self::value).collect()),
        model::Value::Map(fields) => Value::Map(
            fields.into_iter().map(|(field, set)| (name(&field), self::value(set))).collect(),
        ),
    }
}

fn model_value(value: Value) -> model::Value {
    match value {
        Value::Null => model::Value::Null,
        Value::Bool(bool) => model::Value::Bool(bool),
        Value::Int(int) => model::Value::Int(int),
        Value::Float(float) => model::Value::Float(float),
        Value::Text(text) => model::Value::Text(text.into()),
        Value::Bytes(bytes) => model::Value::Bytes(bytes.to_vec()),
        Value::Uuid(uuid) => model::Value::Uuid(Id(uuid.into_bytes())),
        Value::Timestamp(Timestamp(ms)) => model::Value::Timestamp(ms),
        Value::Array(values) => model::Value::Array(values.into_iter().map(model_value).collect()),
        Value::Map(fields) => model::Value::Map(
            fields
                .into_iter()
                .map(|(name, value)| (name.to_string(), model_value(value)))
                .collect(),
        ),
    }
}

fn name(name: &str) -> Name {
    Name::new(name).expect("the workloads have proper names")
}
