//! A checksum of all that a batch says, on which all formats have to agree.
//!
//! It is to prove that a walk came to every field, and to cost next to nothing
//! beside the walk: of a text or of bytes it takes the length, the first and the
//! last byte, and what belongs to one operation is only added up, so that none of it
//! waits for the rest. That nothing is lost or changes places is proved apart from
//! it, by comparing what is decoded.

use crate::{borrowed, model};

/// What is folded in, so that a number isn't taken for a moment of the same value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Text,
    Bytes,
    Uuid,
    Timestamp,
    Array,
    Map,
    Removed,
    Insert,
    Update,
    Delete,
    Collection,
    Name,
    Clock,
    Node,
}

/// The checksum so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    /// Of the operations before.
    before: u64,
    operation: u64,
}

/// What can be folded into a checksum.
pub(crate) trait Fold {
    fn fold(&self, sum: &mut Sum);

    /// Folds an array or a map: apart, so that all else is folded where it is read.
    fn fold_nested(&self, _: &mut Sum) {}
}

impl Sum {
    /// The checksum of a whole batch.
    pub(crate) fn of<T: Fold>(batch: &[T]) -> u64 {
        let mut sum = Self::default();
        for operation in batch {
            sum.begin();
            operation.fold(&mut sum);
        }
        sum.finish()
    }

    /// An operation begins: the order of operations counts.
    #[inline]
    pub(crate) const fn begin(&mut self) {
        self.before = self.before.rotate_left(5).wrapping_add(self.operation);
        self.operation = 0;
    }

    pub(crate) const fn finish(mut self) -> u64 {
        self.begin();
        self.before
    }

    #[inline]
    pub(crate) const fn number(&mut self, kind: Kind, number: u64) {
        let kind = kind as u32;
        // A kind that has been seen counts, even with a zero.
        let seen = (kind as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.operation =
            self.operation.wrapping_add(number.rotate_left(3 * kind)).wrapping_add(seen);
    }

    #[inline]
    pub(crate) fn bytes(&mut self, kind: Kind, bytes: &[u8]) {
        let ends = bytes.first().zip(bytes.last());
        let ends = ends.map_or(0, |(first, last)| u64::from(*first) << 8 | u64::from(*last));
        self.number(kind, (bytes.len() as u64) << 16 | ends);
    }

    #[inline]
    pub(crate) fn id(&mut self, kind: Kind, id: &[u8; 16]) {
        let [low, high] = halves(id);
        self.number(kind, low);
        self.number(kind, high);
    }

    #[inline]
    pub(crate) fn version(&mut self, epoch: u64, hlc: u64, node: &[u8; 16]) {
        self.number(Kind::Clock, epoch);
        self.number(Kind::Clock, hlc);
        self.id(Kind::Node, node);
    }
}

#[inline]
fn halves(id: &[u8; 16]) -> [u64; 2] {
    let number = u128::from_le_bytes(*id);
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    [number as u64, (number >> 64) as u64]
}

/// The checksum of each operation's key and version alone.
pub(crate) fn ids(batch: &[model::Operation]) -> u64 {
    let mut sum = Sum::default();
    for operation in batch {
        sum.begin();
        operation.key.fold(&mut sum);
        operation.version.fold(&mut sum);
    }
    sum.finish()
}

impl Fold for model::Version {
    #[inline]
    fn fold(&self, sum: &mut Sum) {
        sum.version(self.epoch, self.hlc, &self.node.0);
    }
}

/// A number of any form by its bits.
pub(crate) trait Number {
    fn bits(&self) -> u64;
}

impl Number for bool {
    #[inline]
    fn bits(&self) -> u64 {
        u64::from(*self)
    }
}

impl Number for i64 {
    #[inline]
    fn bits(&self) -> u64 {
        self.cast_unsigned()
    }
}

impl Number for f64 {
    #[inline]
    fn bits(&self) -> u64 {
        self.to_bits()
    }
}

/// Folds types that have the fields and variants of the [`model`], whatever their
/// texts, bytes and numbers are.
macro_rules! fold {
    (
        $operation:ty, $key:ty, $change:ty,
        $(where $parameter:ident)? $value:ty
    ) => {
        impl $crate::sum::Fold for $operation {
            #[inline]
            fn fold(&self, sum: &mut $crate::sum::Sum) {
                sum.bytes($crate::sum::Kind::Collection, self.collection.as_bytes());
                self.key.fold(sum);
                self.version.fold(sum);
                match self.base.as_ref() {
                    Some(base) => base.fold(sum),
                    None => sum.number($crate::sum::Kind::Null, 0),
                }
                self.change.fold(sum);
            }
        }

        impl $crate::sum::Fold for $key {
            #[inline]
            fn fold(&self, sum: &mut $crate::sum::Sum) {
                use $crate::sum::{Kind, Number as _};

                match self {
                    Self::Uuid(id) => sum.id(Kind::Uuid, &id.0),
                    Self::Int(int) => sum.number(Kind::Int, int.bits()),
                    Self::Text(text) => sum.bytes(Kind::Text, text.as_bytes()),
                    Self::Bytes(bytes) => sum.bytes(Kind::Bytes, bytes),
                }
            }
        }

        impl $crate::sum::Fold for $change {
            #[inline]
            fn fold(&self, sum: &mut $crate::sum::Sum) {
                use $crate::sum::Kind;

                match self {
                    Self::Insert(fields) => {
                        sum.number(Kind::Insert, fields.len() as u64);
                        for field in fields.iter() {
                            sum.bytes(Kind::Name, field.0.as_bytes());
                            field.1.fold(sum);
                        }
                    }
                    Self::Update(fields) => {
                        sum.number(Kind::Update, fields.len() as u64);
                        for field in fields.iter() {
                            sum.bytes(Kind::Name, field.0.as_bytes());
                            match field.1.as_ref() {
                                Some(value) => value.fold(sum),
                                None => sum.number(Kind::Removed, 0),
                            }
                        }
                    }
                    Self::Delete => sum.number(Kind::Delete, 0),
                }
            }
        }

        impl $(<$parameter: $crate::sum::Fold>)? $crate::sum::Fold for $value {
            #[allow(clippy::inline_always, reason = "values of no format go through memory")]
            #[inline(always)]
            fn fold(&self, sum: &mut $crate::sum::Sum) {
                use $crate::sum::{Kind, Number as _};

                match self {
                    Self::Null => sum.number(Kind::Null, 0),
                    Self::Bool(bool) => sum.number(Kind::Bool, bool.bits()),
                    Self::Int(int) => sum.number(Kind::Int, int.bits()),
                    Self::Float(float) => sum.number(Kind::Float, float.bits()),
                    Self::Text(text) => sum.bytes(Kind::Text, text.as_bytes()),
                    Self::Bytes(bytes) => sum.bytes(Kind::Bytes, bytes),
                    Self::Uuid(id) => sum.id(Kind::Uuid, &id.0),
                    Self::Timestamp(ms) => sum.number(Kind::Timestamp, ms.bits()),
                    Self::Array(_) | Self::Map(_) => self.fold_nested(sum),
                }
            }

            fn fold_nested(&self, sum: &mut $crate::sum::Sum) {
                use $crate::sum::Kind;

                match self {
                    Self::Array(values) => {
                        sum.number(Kind::Array, values.len() as u64);
                        for value in values.iter() {
                            value.fold(sum);
                        }
                    }
                    Self::Map(fields) => {
                        sum.number(Kind::Map, fields.len() as u64);
                        for field in fields.iter() {
                            sum.bytes(Kind::Name, field.0.as_bytes());
                            field.1.fold(sum);
                        }
                    }
                    _ => {}
                }
            }
        }
    };
}
pub(crate) use fold;

fold!(model::Operation, model::Key, model::Change, model::Value);
fold!(borrowed::Operation<'_>, borrowed::Key<'_>, borrowed::Change<'_>, borrowed::Value<'_>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Change, Key, Operation, Value};
    use crate::workload::Workload;

    /// Or a format could leave a part of an operation out of its walk.
    #[test]
    fn every_part_of_an_operation_counts() {
        let [operation] = Workload::Update.batches(1).remove(0).try_into().expect("one operation");
        let sum = Sum::of(std::slice::from_ref(&operation));
        let changes: [fn(&mut Operation); 11] = [
            |operation| operation.collection.push('s'),
            |operation| operation.key = Key::Int(7),
            |operation| operation.version.epoch ^= 1,
            |operation| operation.version.hlc ^= 1,
            |operation| operation.version.node.0[3] ^= 1,
            |operation| operation.base = None,
            |operation| operation.change = Change::Delete,
            |operation| operation.change = Change::Insert(Vec::new()),
            |operation| update(operation)[0].0.push('s'),
            |operation| update(operation)[0].1 = None,
            |operation| update(operation)[0].1 = Some(Value::Timestamp(3)),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut other = operation.clone();
            change(&mut other);
            assert_ne!(Sum::of(&[other]), sum, "change {number}");
        }
    }

    #[test]
    fn the_order_of_operations_counts() {
        let mut operations = Workload::Mixed.batches(10).remove(0);
        let sum = Sum::of(&operations);
        operations.swap(2, 6);
        assert_ne!(Sum::of(&operations), sum);
    }

    #[test]
    fn ids_are_keys_and_versions_and_no_more() {
        let mut operations = Workload::Bug.batches(10).remove(0);
        let sum = ids(&operations);
        operations[3].change = Change::Delete;
        assert_eq!(ids(&operations), sum);
        operations[3].version.hlc += 1;
        assert_ne!(ids(&operations), sum);
    }

    fn update(operation: &mut Operation) -> &mut Vec<(String, Option<Value>)> {
        match &mut operation.change {
            Change::Update(fields) => fields,
            other => panic!("{other:?} is no update"),
        }
    }
}
