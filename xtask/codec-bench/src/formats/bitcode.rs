//! bitcode by its own traits.
//!
//! It lays out a column for each field of each type, and so has no types that
//! contain themselves: a value nests to a depth that its type spells out.

use bitcode::{Buffer, Decode, Encode};

use super::Format;
use crate::model::{self, Id, Key, Version};
use crate::sum::{Fold, Sum, fold};

pub(super) struct Bitcode;

/// A value with arrays and maps of arrays and maps of scalars: what the workloads have.
type Value = Nested<Nested<Nested<Never>>>;
type ValueRef<'a> = NestedRef<'a, NestedRef<'a, NestedRef<'a, Never>>>;

/// A batch in bitcode's own types.
#[derive(Encode, Decode)]
pub(super) struct Operation {
    collection: String,
    key: Key,
    version: Version,
    base: Option<Version>,
    change: Change,
}

#[derive(Encode, Decode)]
enum Change {
    Insert(Vec<(String, Value)>),
    Update(Vec<(String, Option<Value>)>),
    Delete,
}

#[derive(Encode, Decode)]
enum Nested<T> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Uuid(Id),
    Timestamp(i64),
    Array(Vec<T>),
    Map(Vec<(String, T)>),
}

#[derive(Encode, Decode)]
enum Never {}

/// The same in place; but bytes are copied, since bitcode borrows texts only.
#[derive(Decode)]
struct OperationRef<'a> {
    collection: &'a str,
    key: KeyRef<'a>,
    version: Version,
    base: Option<Version>,
    change: ChangeRef<'a>,
}

#[derive(Decode)]
enum KeyRef<'a> {
    Uuid(Id),
    Int(i64),
    Text(&'a str),
    Bytes(Vec<u8>),
}

#[derive(Decode)]
enum ChangeRef<'a> {
    Insert(Vec<(&'a str, ValueRef<'a>)>),
    Update(Vec<(&'a str, Option<ValueRef<'a>>)>),
    Delete,
}

#[derive(Decode)]
enum NestedRef<'a, T> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    Bytes(Vec<u8>),
    Uuid(Id),
    Timestamp(i64),
    Array(Vec<T>),
    Map(Vec<(&'a str, T)>),
}

impl Format for Bitcode {
    const NAME: &'static str = "bitcode";

    type Batch = Vec<Operation>;
    type Bytes = Vec<u8>;
    type Buffer = Buffer;

    fn batch(operations: &[model::Operation]) -> Vec<Operation> {
        operations.iter().cloned().map(Operation::from).collect()
    }

    fn operations(batch: Vec<Operation>) -> Vec<model::Operation> {
        batch.into_iter().map(Into::into).collect()
    }

    fn keep(bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn encode<'a>(batch: &Vec<Operation>, buffer: &'a mut Buffer) -> &'a [u8] {
        buffer.encode(batch)
    }

    fn decode(bytes: &Vec<u8>, buffer: &mut Buffer) -> Vec<Operation> {
        buffer.decode(bytes).expect("just encoded")
    }

    fn walk(bytes: &Vec<u8>, buffer: &mut Buffer) -> u64 {
        let batch: Vec<OperationRef<'_>> = buffer.decode(bytes).expect("just encoded");
        Sum::of(&batch)
    }
}

/// A value of some depth.
trait Depth: Sized {
    fn of(value: model::Value) -> Self;
    fn value(self) -> model::Value;
}

impl Depth for Never {
    fn of(value: model::Value) -> Self {
        panic!("{value:?} is nested deeper than the type")
    }

    fn value(self) -> model::Value {
        match self {}
    }
}

impl<T: Depth> Depth for Nested<T> {
    fn of(value: model::Value) -> Self {
        match value {
            model::Value::Null => Self::Null,
            model::Value::Bool(bool) => Self::Bool(bool),
            model::Value::Int(int) => Self::Int(int),
            model::Value::Float(float) => Self::Float(float),
            model::Value::Text(text) => Self::Text(text),
            model::Value::Bytes(bytes) => Self::Bytes(bytes),
            model::Value::Uuid(id) => Self::Uuid(id),
            model::Value::Timestamp(ms) => Self::Timestamp(ms),
            model::Value::Array(values) => Self::Array(values.into_iter().map(T::of).collect()),
            model::Value::Map(fields) => {
                Self::Map(fields.into_iter().map(|(name, value)| (name, T::of(value))).collect())
            }
        }
    }

    fn value(self) -> model::Value {
        match self {
            Self::Null => model::Value::Null,
            Self::Bool(bool) => model::Value::Bool(bool),
            Self::Int(int) => model::Value::Int(int),
            Self::Float(float) => model::Value::Float(float),
            Self::Text(text) => model::Value::Text(text),
            Self::Bytes(bytes) => model::Value::Bytes(bytes),
            Self::Uuid(id) => model::Value::Uuid(id),
            Self::Timestamp(ms) => model::Value::Timestamp(ms),
            Self::Array(values) => model::Value::Array(values.into_iter().map(T::value).collect()),
            Self::Map(fields) => model::Value::Map(
                fields.into_iter().map(|(name, value)| (name, value.value())).collect(),
            ),
        }
    }
}

impl From<model::Operation> for Operation {
    fn from(operation: model::Operation) -> Self {
        let model::Operation { collection, key, version, base, change } = operation;
        let change = match change {
            model::Change::Insert(fields) => Change::Insert(
                fields.into_iter().map(|(name, value)| (name, Value::of(value))).collect(),
            ),
            model::Change::Update(fields) => Change::Update(
                fields.into_iter().map(|(name, value)| (name, value.map(Value::of))).collect(),
            ),
            model::Change::Delete => Change::Delete,
        };
        Self { collection, key, version, base, change }
    }
}

impl From<Operation> for model::Operation {
    fn from(operation: Operation) -> Self {
        let Operation { collection, key, version, base, change } = operation;
        let change = match change {
            Change::Insert(fields) => model::Change::Insert(
                fields.into_iter().map(|(name, value)| (name, value.value())).collect(),
            ),
            Change::Update(fields) => model::Change::Update(
                fields.into_iter().map(|(name, value)| (name, value.map(Depth::value))).collect(),
            ),
            Change::Delete => model::Change::Delete,
        };
        Self { collection, key, version, base, change }
    }
}

fold!(OperationRef<'_>, KeyRef<'_>, ChangeRef<'_>, where T NestedRef<'_, T>);

impl Fold for Never {
    fn fold(&self, _: &mut Sum) {
        match *self {}
    }
}
