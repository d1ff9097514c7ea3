//! Protocol Buffers by `prost`, with the types that `protoc` would make.

use ::prost::{Message, Oneof};

use super::Format;
use crate::model::{self, Id};
use crate::sum::{Fold, Kind, Sum};

pub(super) struct Prost;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Batch {
    #[prost(message, repeated, tag = "1")]
    operations: Vec<Operation>,
}

#[derive(Clone, PartialEq, Message)]
struct Operation {
    #[prost(string, tag = "1")]
    collection: String,
    #[prost(oneof = "Key", tags = "2, 3, 4, 5")]
    key: Option<Key>,
    #[prost(message, optional, tag = "6")]
    version: Option<Version>,
    #[prost(message, optional, tag = "7")]
    base: Option<Version>,
    #[prost(oneof = "Change", tags = "8, 9, 10")]
    change: Option<Change>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Key {
    #[prost(bytes, tag = "2")]
    Uuid(Vec<u8>),
    #[prost(sint64, tag = "3")]
    Int(i64),
    #[prost(string, tag = "4")]
    Text(String),
    #[prost(bytes, tag = "5")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
struct Version {
    #[prost(fixed64, tag = "1")]
    epoch: u64,
    #[prost(fixed64, tag = "2")]
    hlc: u64,
    #[prost(bytes, tag = "3")]
    node: Vec<u8>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Change {
    #[prost(message, tag = "8")]
    Insert(Fields),
    #[prost(message, tag = "9")]
    Update(Fields),
    #[prost(bool, tag = "10")]
    Delete(bool),
}

#[derive(Clone, PartialEq, Message)]
struct Fields {
    #[prost(message, repeated, tag = "1")]
    fields: Vec<Field>,
}

#[derive(Clone, PartialEq, Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    /// Removed, if there is none.
    #[prost(message, optional, tag = "2")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(oneof = "Kinds", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
    kind: Option<Kinds>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kinds {
    #[prost(bool, tag = "1")]
    Null(bool),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(sint64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Float(f64),
    #[prost(string, tag = "5")]
    Text(String),
    #[prost(bytes, tag = "6")]
    Bytes(Vec<u8>),
    #[prost(bytes, tag = "7")]
    Uuid(Vec<u8>),
    #[prost(int64, tag = "8")]
    Timestamp(i64),
    #[prost(message, tag = "9")]
    Array(Array),
    #[prost(message, tag = "10")]
    Map(Fields),
}

#[derive(Clone, PartialEq, Message)]
struct Array {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

impl Format for Prost {
    const NAME: &'static str = "prost";
    const IN_PLACE: bool = false;

    type Batch = Batch;
    type Bytes = Vec<u8>;
    type Buffer = Vec<u8>;

    fn batch(operations: &[model::Operation]) -> Batch {
        Batch { operations: operations.iter().cloned().map(Operation::from).collect() }
    }

    fn operations(batch: Batch) -> Vec<model::Operation> {
        batch.operations.into_iter().map(Into::into).collect()
    }

    fn keep(bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn encode<'a>(batch: &Batch, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        buffer.clear();
        batch.encode(buffer).expect("a Vec takes everything");
        buffer
    }

    fn decode(bytes: &Vec<u8>, _: &mut Vec<u8>) -> Batch {
        Batch::decode(bytes.as_slice()).expect("just encoded")
    }

    fn walk(bytes: &Vec<u8>, buffer: &mut Vec<u8>) -> u64 {
        Sum::of(&Self::decode(bytes, buffer).operations)
    }
}

const SET: &str = "the adapter sets all fields";

impl From<model::Operation> for Operation {
    fn from(operation: model::Operation) -> Self {
        let model::Operation { collection, key, version, base, change } = operation;
        let key = match key {
            model::Key::Uuid(id) => Key::Uuid(id.0.to_vec()),
            model::Key::Int(int) => Key::Int(int),
            model::Key::Text(text) => Key::Text(text),
            model::Key::Bytes(bytes) => Key::Bytes(bytes),
        };
        let change = match change {
            model::Change::Insert(fields) => Change::Insert(fields.into()),
            model::Change::Update(fields) => {
                let field = |(name, value): (_, Option<model::Value>)| Field {
                    name,
                    value: value.map(Into::into),
                };
                Change::Update(Fields { fields: fields.into_iter().map(field).collect() })
            }
            model::Change::Delete => Change::Delete(true),
        };
        let (version, base) = (Some(version.into()), base.map(Into::into));
        Self { collection, key: Some(key), version, base, change: Some(change) }
    }
}

impl From<Operation> for model::Operation {
    fn from(operation: Operation) -> Self {
        let Operation { collection, key, version, base, change } = operation;
        let key = match key.expect(SET) {
            Key::Uuid(id) => model::Key::Uuid(id_of(&id)),
            Key::Int(int) => model::Key::Int(int),
            Key::Text(text) => model::Key::Text(text),
            Key::Bytes(bytes) => model::Key::Bytes(bytes),
        };
        let change = match change.expect(SET) {
            Change::Insert(fields) => model::Change::Insert(fields.into()),
            Change::Update(fields) => {
                let field = |field: Field| (field.name, field.value.map(Into::into));
                model::Change::Update(fields.fields.into_iter().map(field).collect())
            }
            Change::Delete(_) => model::Change::Delete,
        };
        let (version, base) = (version.expect(SET).into(), base.map(Into::into));
        Self { collection, key, version, base, change }
    }
}

impl From<model::Version> for Version {
    fn from(version: model::Version) -> Self {
        let model::Version { epoch, hlc, node } = version;
        Self { epoch, hlc, node: node.0.to_vec() }
    }
}

impl From<Version> for model::Version {
    fn from(version: Version) -> Self {
        let Version { epoch, hlc, node } = version;
        Self { epoch, hlc, node: id_of(&node) }
    }
}

impl From<Vec<(String, model::Value)>> for Fields {
    fn from(fields: Vec<(String, model::Value)>) -> Self {
        let field = |(name, value): (_, model::Value)| Field { name, value: Some(value.into()) };
        Self { fields: fields.into_iter().map(field).collect() }
    }
}

impl From<Fields> for Vec<(String, model::Value)> {
    fn from(fields: Fields) -> Self {
        let field = |field: Field| (field.name, field.value.expect(SET).into());
        fields.fields.into_iter().map(field).collect()
    }
}

impl From<model::Value> for Value {
    fn from(value: model::Value) -> Self {
        let kind = match value {
            model::Value::Null => Kinds::Null(true),
            model::Value::Bool(bool) => Kinds::Bool(bool),
            model::Value::Int(int) => Kinds::Int(int),
            model::Value::Float(float) => Kinds::Float(float),
            model::Value::Text(text) => Kinds::Text(text),
            model::Value::Bytes(bytes) => Kinds::Bytes(bytes),
            model::Value::Uuid(id) => Kinds::Uuid(id.0.to_vec()),
            model::Value::Timestamp(ms) => Kinds::Timestamp(ms),
            model::Value::Array(values) => {
                Kinds::Array(Array { values: values.into_iter().map(Into::into).collect() })
            }
            model::Value::Map(fields) => Kinds::Map(fields.into()),
        };
        Self { kind: Some(kind) }
    }
}

impl From<Value> for model::Value {
    fn from(value: Value) -> Self {
        match value.kind.expect(SET) {
            Kinds::Null(_) => Self::Null,
            Kinds::Bool(bool) => Self::Bool(bool),
            Kinds::Int(int) => Self::Int(int),
            Kinds::Float(float) => Self::Float(float),
            Kinds::Text(text) => Self::Text(text),
            Kinds::Bytes(bytes) => Self::Bytes(bytes),
            Kinds::Uuid(id) => Self::Uuid(id_of(&id)),
            Kinds::Timestamp(ms) => Self::Timestamp(ms),
            Kinds::Array(array) => Self::Array(array.values.into_iter().map(Into::into).collect()),
            Kinds::Map(fields) => Self::Map(fields.into()),
        }
    }
}

fn id_of(bytes: &[u8]) -> Id {
    Id(id(bytes))
}

fn id(bytes: &[u8]) -> [u8; 16] {
    bytes.try_into().expect("an id of 16 bytes")
}

impl Fold for Operation {
    fn fold(&self, sum: &mut Sum) {
        sum.bytes(Kind::Collection, self.collection.as_bytes());
        match self.key.as_ref().expect(SET) {
            Key::Uuid(uuid) => sum.id(Kind::Uuid, &id(uuid)),
            Key::Int(int) => sum.number(Kind::Int, int.cast_unsigned()),
            Key::Text(text) => sum.bytes(Kind::Text, text.as_bytes()),
            Key::Bytes(bytes) => sum.bytes(Kind::Bytes, bytes),
        }
        self.version.as_ref().expect(SET).fold(sum);
        match &self.base {
            Some(base) => base.fold(sum),
            None => sum.number(Kind::Null, 0),
        }
        match self.change.as_ref().expect(SET) {
            Change::Insert(fields) => fields.fold(Kind::Insert, sum),
            Change::Update(fields) => fields.fold(Kind::Update, sum),
            Change::Delete(_) => sum.number(Kind::Delete, 0),
        }
    }
}

impl Fold for Version {
    fn fold(&self, sum: &mut Sum) {
        sum.version(self.epoch, self.hlc, &id(&self.node));
    }
}

impl Fields {
    fn fold(&self, kind: Kind, sum: &mut Sum) {
        sum.number(kind, self.fields.len() as u64);
        for Field { name, value } in &self.fields {
            sum.bytes(Kind::Name, name.as_bytes());
            match value {
                Some(value) => value.fold(sum),
                None => sum.number(Kind::Removed, 0),
            }
        }
    }
}

impl Fold for Value {
    fn fold(&self, sum: &mut Sum) {
        match self.kind.as_ref().expect(SET) {
            Kinds::Null(_) => sum.number(Kind::Null, 0),
            Kinds::Bool(bool) => sum.number(Kind::Bool, u64::from(*bool)),
            Kinds::Int(int) => sum.number(Kind::Int, int.cast_unsigned()),
            Kinds::Float(float) => sum.number(Kind::Float, float.to_bits()),
            Kinds::Text(text) => sum.bytes(Kind::Text, text.as_bytes()),
            Kinds::Bytes(bytes) => sum.bytes(Kind::Bytes, bytes),
            Kinds::Uuid(uuid) => sum.id(Kind::Uuid, &id(uuid)),
            Kinds::Timestamp(ms) => sum.number(Kind::Timestamp, ms.cast_unsigned()),
            Kinds::Array(array) => {
                sum.number(Kind::Array, array.values.len() as u64);
                for value in &array.values {
                    value.fold(sum);
                }
            }
            Kinds::Map(fields) => fields.fold(Kind::Map, sum),
        }
    }
}
