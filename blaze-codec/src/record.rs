//! Records: fields by name.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Name, NameError, Value};

/// A record: field names with their values, in the order of the names.
///
/// ```
/// use blaze_codec::{Value, record};
///
/// let note = record! { "title" => "hello", "stars" => 3 };
/// assert_eq!(note.get("stars"), Some(&Value::Int(3)));
/// assert_eq!(note.get("missing"), None);
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Record {
    fields: BTreeMap<Name, Value>,
}

impl Record {
    /// A record without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a field.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    /// Sets a field and returns the value that it had.
    ///
    /// # Errors
    ///
    /// [`NameError`] if `field` can't be a name; the record is unchanged.
    pub fn set(
        &mut self,
        field: &str,
        value: impl Into<Value>,
    ) -> Result<Option<Value>, NameError> {
        Ok(self.fields.insert(Name::new(field)?, value.into()))
    }

    /// Sets a field by a name already made, and returns the value that it had.
    pub fn insert(&mut self, field: Name, value: Value) -> Option<Value> {
        self.fields.insert(field, value)
    }

    /// Removes a field and returns the value that it had.
    pub fn remove(&mut self, field: &str) -> Option<Value> {
        self.fields.remove(field)
    }

    /// The fields in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Name, &Value)> {
        self.fields.iter()
    }

    pub(crate) const fn fields(&self) -> &BTreeMap<Name, Value> {
        &self.fields
    }

    pub(crate) const fn from_fields(fields: BTreeMap<Name, Value>) -> Self {
        Self { fields }
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl IntoIterator for Record {
    type Item = (Name, Value);
    type IntoIter = std::collections::btree_map::IntoIter<Name, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.fields.into_iter()
    }
}

impl FromIterator<(Name, Value)> for Record {
    fn from_iter<I: IntoIterator<Item = (Name, Value)>>(fields: I) -> Self {
        Self { fields: fields.into_iter().collect() }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields.fmt(f)
    }
}

/// Makes a [`Record`] of `"name" => value` pairs; values are anything that is
/// `Into<Value>`.
///
/// # Panics
///
/// If a name is empty or longer than [`Name::BYTES_MAX`](crate::Name::BYTES_MAX).
#[macro_export]
macro_rules! record {
    ($($name:expr => $value:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut record = $crate::Record::new();
        $(record.set($name, $value).expect("a field's name must be 1 to 255 bytes long");)*
        record
    }};
}
