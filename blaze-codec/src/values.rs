//! A record's values.

use std::ops::Deref;
use std::sync::Arc;

use crate::Value;

/// The values of a record: in a list of its own, or in one that its clones have, too, until
/// one of them changes.
///
/// What is decoded or put together at once is shared, so that a database and those who pass a
/// record on needn't copy it. What grows field by field is a list that can grow.
#[derive(Debug, Clone)]
pub(crate) enum RecordValues {
    Own(Vec<Value>),
    Shared(Arc<[Value]>),
}

impl RecordValues {
    /// None.
    pub(crate) const fn new() -> Self {
        Self::Own(Vec::new())
    }

    /// So many that are null, to be [`put`] into their places.
    #[inline]
    pub(crate) fn nulls(count: usize) -> Self {
        if count == 0 {
            return Self::new();
        }
        Self::Shared((0..count).map(|_| Value::Null).collect())
    }

    /// A list that can grow.
    pub(crate) fn own(&mut self) -> &mut Vec<Value> {
        if let Self::Shared(shared) = self {
            *self = Self::Own(match Arc::get_mut(shared) {
                Some(values) => values.iter_mut().map(std::mem::take).collect(),
                None => shared.to_vec(),
            });
        }
        match self {
            Self::Own(values) => values,
            Self::Shared(_) => unreachable!("it was just made its own"),
        }
    }

    /// The values, to be changed in their places.
    pub(crate) fn places(&mut self) -> &mut [Value] {
        match self {
            Self::Own(values) => values,
            Self::Shared(values) => Arc::make_mut(values),
        }
    }

    /// The values, moved out.
    pub(crate) fn into_vec(mut self) -> Vec<Value> {
        std::mem::take(self.own())
    }
}

/// Puts a value into the place of one that is still to be read. That is null, which needn't be
/// dropped: to look costs more than the value.
#[inline]
pub(crate) fn put(place: &mut Value, value: Value) {
    debug_assert_eq!(*place, Value::Null);
    std::mem::forget(std::mem::replace(place, value));
}

impl Deref for RecordValues {
    type Target = [Value];

    #[inline]
    fn deref(&self) -> &[Value] {
        match self {
            Self::Own(values) => values,
            Self::Shared(values) => values,
        }
    }
}

impl From<Vec<Value>> for RecordValues {
    fn from(values: Vec<Value>) -> Self {
        Self::Own(values)
    }
}

impl FromIterator<Value> for RecordValues {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        Self::Shared(values.into_iter().collect())
    }
}
