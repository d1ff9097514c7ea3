//! Whether what a user hands in can be encoded, sent and decoded again.

use crate::binary::head_len;
use crate::limits::{DEPTH_MAX, FIELDS_MAX, RECORD_BYTES_MAX, VALUES_MAX, what};
use crate::{Change, KeyError, Name, Operation, Record, Value};

/// Why a value, record or operation can't be stored. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A limit of [`limits`](crate::limits) was broken.
    #[error("{what} of {found} exceeds the limit of {max}; split the record")]
    Limit {
        /// The name of the limit.
        what: &'static str,
        /// What was found; counting ends with the first that is too much.
        found: usize,
        /// What is allowed.
        max: usize,
    },
    /// The key can't be one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The fields of an update are not in ascending order, each once.
    #[error("field {field:?} of an update doesn't follow in ascending order; sort the fields")]
    FieldOrder {
        /// The first that is out of order.
        field: Name,
    },
}

impl Value {
    /// Checks the value's depth, size and counts, so that it can be decoded
    /// where it arrives.
    ///
    /// # Errors
    ///
    /// [`ValueError::Limit`] with the first limit that is broken.
    pub fn check(&self) -> Result<(), ValueError> {
        Meter::default().value(self, 0)
    }
}

impl Record {
    /// Checks each value, and the record's size and number of fields.
    ///
    /// # Errors
    ///
    /// [`ValueError::Limit`] with the first limit that is broken.
    ///
    /// ```
    /// use blaze_codec::{Value, ValueError, record};
    ///
    /// assert_eq!(record! { "title" => "hello" }.check(), Ok(()));
    ///
    /// let deep = (0..65).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    /// assert!(matches!(record! { "deep" => deep }.check(), Err(ValueError::Limit { max: 64, .. })));
    /// ```
    pub fn check(&self) -> Result<(), ValueError> {
        within(what::FIELDS, self.len(), FIELDS_MAX)?;
        let mut meter = Meter::default();
        self.iter().try_for_each(|(_, value)| meter.value(value, 0))
    }
}

impl Operation {
    /// Checks the key, the values, and the order of an update's fields.
    ///
    /// # Errors
    ///
    /// [`ValueError`] with the first rule that is broken.
    pub fn check(&self) -> Result<(), ValueError> {
        self.key.check()?;
        match &self.change {
            Change::Insert(record) => record.check(),
            Change::Update(fields) => check_update(fields),
            Change::Delete => Ok(()),
        }
    }

    /// How many values it has: fields, removed ones too, and what lies within arrays and
    /// maps. [`BATCH_VALUES_MAX`](crate::limits::BATCH_VALUES_MAX) is about these.
    pub fn value_count(&self) -> usize {
        match &self.change {
            Change::Insert(record) => record.values().iter().map(value_count).sum(),
            Change::Update(fields) => {
                fields.iter().map(|(_, value)| value.as_ref().map_or(1, value_count)).sum()
            }
            Change::Delete => 0,
        }
    }
}

fn value_count(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(value_count).sum(),
        Value::Map(fields) => fields.values().iter().map(value_count).sum(),
        _ => 0,
    }
}

fn check_update(fields: &[(Name, Option<Value>)]) -> Result<(), ValueError> {
    within(what::FIELDS, fields.len(), FIELDS_MAX)?;
    for pair in fields.windows(2) {
        if pair[0].0 >= pair[1].0 {
            return Err(ValueError::FieldOrder { field: pair[1].0.clone() });
        }
    }
    let mut meter = Meter::default();
    fields.iter().try_for_each(|(_, value)| match value {
        Some(value) => meter.value(value, 0),
        None => meter.bytes(1),
    })
}

/// What one record takes so far.
#[derive(Default)]
struct Meter {
    bytes: usize,
    values: usize,
}

impl Meter {
    /// Adds a value that lies within `depth` arrays and maps.
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), ValueError> {
        self.values += 1;
        within(what::VALUES, self.values, VALUES_MAX)?;
        self.bytes(head_len(value))?;
        match value {
            Value::Array(values) => {
                within(what::DEPTH, depth + 1, DEPTH_MAX)?;
                values.iter().try_for_each(|value| self.value(value, depth + 1))
            }
            Value::Map(fields) => {
                within(what::DEPTH, depth + 1, DEPTH_MAX)?;
                within(what::FIELDS, fields.len(), FIELDS_MAX)?;
                fields.iter().try_for_each(|(name, value)| {
                    self.bytes(1 + name.len())?;
                    self.value(value, depth + 1)
                })
            }
            _ => Ok(()),
        }
    }

    fn bytes(&mut self, count: usize) -> Result<(), ValueError> {
        self.bytes = self.bytes.saturating_add(count);
        within(what::RECORD_BYTES, self.bytes, RECORD_BYTES_MAX)
    }
}

/// Refuses what exceeds a limit.
pub(crate) fn within(what: &'static str, found: usize, max: usize) -> Result<(), ValueError> {
    if found > max {
        return Err(ValueError::Limit { what, found, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, Uuid, binary};

    #[test]
    fn what_is_counted_is_what_is_encoded() {
        let ints = [0, -16, -17, 111, 112, 8191, 8192, -8192, -8193, i64::MIN, i64::MAX];
        let lengths = [0, 1, 15, 16, 63, 64, 127, 128, 16_383, 16_384];
        let map = |length: usize| {
            let names = (0..length).map(|number| Name::new(&number.to_string()).unwrap());
            Value::Map(names.map(|name| (name, Value::Null)).collect())
        };
        let mut values = vec![Value::Null, true.into(), 1.5.into(), Uuid::nil().into()];
        values.extend(ints.map(Value::Int));
        values.extend(ints.map(|ms| Timestamp(ms).into()));
        values.extend(lengths.map(|length| Value::from("x".repeat(length))));
        values.extend(lengths.map(|length| Value::from(vec![0_u8; length])));
        values.extend(lengths.map(|length| Value::Array(vec![Value::Null; length])));
        values.extend(lengths.map(map));
        for value in values.clone().into_iter().chain([Value::Array(values)]) {
            let mut meter = Meter::default();
            meter.value(&value, 0).unwrap();
            let mut bytes = Vec::new();
            binary::encode_value(&value, &mut bytes);
            assert_eq!(meter.bytes, bytes.len(), "{value:?}");
        }
    }
}
