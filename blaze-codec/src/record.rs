//! Records: fields by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::values::RecordValues;
use crate::{Name, NameError, Value, names};

/// The names of a record without fields.
static NO_NAMES: LazyLock<Arc<Vec<Name>>> = LazyLock::new(Arc::default);

/// A record, or a map within one: field names with their values, in the order of the
/// names.
///
/// Records that were decoded from one batch, clones, and most that are made one after the
/// other of equal names share these. A clone of a record that was decoded or collected shares
/// its values, too, until one of the two changes.
///
/// ```
/// use blaze_codec::{Value, record};
///
/// let note = record! { "title" => "hello", "stars" => 3 };
/// assert_eq!(note.get("stars"), Some(&Value::Int(3)));
/// assert_eq!(note.get("missing"), None);
/// ```
#[derive(Clone)]
pub struct Record {
    /// Ascending, each once.
    names: Arc<Vec<Name>>,
    /// As many as names.
    values: RecordValues,
}

impl Record {
    /// A record without fields.
    pub fn new() -> Self {
        Self { names: NO_NAMES.clone(), values: RecordValues::new() }
    }

    /// A record of ascending names, each once, with as many values.
    pub(crate) fn of_sorted(names: Arc<Vec<Name>>, values: RecordValues) -> Self {
        debug_assert!(names.is_sorted_by(|a, b| a < b) && names.len() == values.len());
        Self { names, values }
    }

    /// The value of a field.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.position(field).map(|place| &self.values[place])
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
        Ok(self.insert(Name::new(field)?, value.into()))
    }

    /// Sets a field by a name already made, and returns the value that it had.
    pub fn insert(&mut self, field: Name, value: Value) -> Option<Value> {
        match self.place(&field) {
            Ok(place) => Some(std::mem::replace(&mut self.values.places()[place], value)),
            Err(place) => {
                Arc::make_mut(&mut self.names).insert(place, field);
                self.values.own().insert(place, value);
                None
            }
        }
    }

    /// Removes a field and returns the value that it had.
    pub fn remove(&mut self, field: &str) -> Option<Value> {
        let place = self.place(field).ok()?;
        Arc::make_mut(&mut self.names).remove(place);
        Some(self.values.own().remove(place))
    }

    /// The fields in the order of their names.
    pub fn iter(&self) -> Iter<'_> {
        Iter { names: self.names.iter(), values: self.values.iter() }
    }

    /// The names, in their order.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// The values, in the order of the names.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The values, in the order of the names, to be changed.
    pub fn values_mut(&mut self) -> &mut [Value] {
        self.values.places()
    }

    /// A record of the same names, which they share, with these values in their order;
    /// `None` if there aren't as many.
    pub fn with_values(&self, values: Vec<Value>) -> Option<Self> {
        let names = || self.names.clone();
        (values.len() == self.len()).then(|| Self { names: names(), values: values.into() })
    }

    /// Where a field is, in the order of the names.
    pub fn position(&self, field: &str) -> Option<usize> {
        self.place(field).ok()
    }

    /// The list of names, to be shared.
    pub(crate) const fn shared_names(&self) -> &Arc<Vec<Name>> {
        &self.names
    }

    /// Whether another record has the very same list of names.
    fn shares_names(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.names, &other.names)
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Where a field is, or is to be. What comes in order is found at once.
    fn place(&self, field: &str) -> Result<usize, usize> {
        if self.names.last().is_none_or(|last| last.as_str() < field) {
            return Err(self.names.len());
        }
        self.names.binary_search_by(|name| name.as_str().cmp(field))
    }
}

impl Default for Record {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        (self.shares_names(other) || self.names == other.names) && *self.values == *other.values
    }
}

impl Eq for Record {}

/// The fields of a [`Record`], in the order of their names.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    names: std::slice::Iter<'a, Name>,
    values: std::slice::Iter<'a, Value>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a Name, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.names.next().zip(self.values.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.values.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Record {
    type Item = (&'a Name, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The fields of a [`Record`], moved out.
#[derive(Debug)]
pub struct IntoIter {
    names: Arc<Vec<Name>>,
    next: usize,
    values: std::vec::IntoIter<Value>,
}

impl Iterator for IntoIter {
    type Item = (Name, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let value = self.values.next()?;
        self.next += 1;
        Some((self.names[self.next - 1].clone(), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.values.size_hint()
    }
}

impl ExactSizeIterator for IntoIter {}

impl IntoIterator for Record {
    type Item = (Name, Value);
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter { names: self.names, next: 0, values: self.values.into_vec().into_iter() }
    }
}

/// Of a name that comes twice, the last value counts.
impl FromIterator<(Name, Value)> for Record {
    fn from_iter<I: IntoIterator<Item = (Name, Value)>>(fields: I) -> Self {
        let mut fields: Vec<(Name, Value)> = fields.into_iter().collect();
        if !fields.is_sorted_by(|a, b| a.0 < b.0) {
            // Sorted as they came among equals, of which the last is to stay.
            fields.reverse();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            fields.dedup_by(|later, first| later.0 == first.0);
        }
        let mut list = Vec::with_capacity(fields.len());
        let values = fields.into_iter().map(|(name, value)| {
            list.push(name);
            value
        });
        let values = values.collect();
        Self { names: names::shared(list), values }
    }
}

impl From<BTreeMap<Name, Value>> for Record {
    fn from(fields: BTreeMap<Name, Value>) -> Self {
        fields.into_iter().collect()
    }
}

impl<const N: usize> From<[(Name, Value); N]> for Record {
    fn from(fields: [(Name, Value); N]) -> Self {
        fields.into_iter().collect()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
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
        let fields: [($crate::Name, $crate::Value); _] = [$((
            $crate::Name::new($name).expect("a field's name must be 1 to 255 bytes long"),
            ::core::convert::Into::<$crate::Value>::into($value),
        )),*];
        $crate::Record::from(fields)
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn fields_stay_in_order_each_once() {
        let mut record = record! { "b" => 1, "a" => 2, "c" => 3, "b" => 4 };
        assert_eq!(record.names(), ["a", "b", "c"].map(name));
        assert_eq!(record.values(), [2, 4, 3].map(Value::from));
        assert_eq!(record.insert(name("a"), 5.into()), Some(2.into()));
        assert_eq!(record.remove("b"), Some(4.into()));
        assert_eq!(record.remove("b"), None);
        assert_eq!(record, record! { "a" => 5, "c" => 3 });
    }

    #[test]
    fn a_clone_shares_its_names_until_one_of_the_two_changes() {
        let first = record! { "a" => 1, "b" => 2 };
        let mut second = first.clone();
        second.insert(name("b"), 3.into());
        assert!(second.shares_names(&first));
        second.insert(name("c"), 4.into());
        assert!(!second.shares_names(&first));
        assert_eq!(first, record! { "a" => 1, "b" => 2 });
        assert_eq!(second, record! { "a" => 1, "b" => 3, "c" => 4 });
    }

    #[test]
    fn a_clone_shares_its_values_until_one_of_the_two_changes() {
        let first = record! { "a" => 1, "b" => 2 };
        let same = |a: &Record, b: &Record| std::ptr::eq(a.values(), b.values());
        let changes: [fn(&mut Record); 4] = [
            |record| drop(record.insert(name("a"), 3.into())),
            |record| drop(record.insert(name("c"), 3.into())),
            |record| drop(record.remove("a")),
            |record| record.values_mut()[0] = 3.into(),
        ];
        for change in changes {
            let mut second = first.clone();
            assert!(same(&first, &second));
            change(&mut second);
            assert!(!same(&first, &second));
            assert_ne!(first, second);
            assert_eq!(first, record! { "a" => 1, "b" => 2 });
        }
        let moved: Vec<_> = first.clone().into_iter().collect();
        assert_eq!(moved, [(name("a"), 1.into()), (name("b"), 2.into())]);
        assert_eq!(first, record! { "a" => 1, "b" => 2 });
    }

    #[test]
    fn a_record_of_the_same_names_shares_them() {
        let first = record! { "a" => 1, "b" => 2 };
        let second = first.with_values(vec![3.into(), 4.into()]).unwrap();
        assert_eq!(second, record! { "a" => 3, "b" => 4 });
        assert!(second.shares_names(&first));
        assert_eq!(first.with_values(vec![3.into()]), None);
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let fields = [("b", 1), ("a", 2), ("b", 3), ("a", 4)];
        let record: Record =
            fields.into_iter().map(|(text, int)| (name(text), int.into())).collect();
        assert_eq!(record, record! { "a" => 4, "b" => 3 });
        let back: Vec<_> = record.into_iter().collect();
        assert_eq!(back, [(name("a"), 4.into()), (name("b"), 3.into())]);
    }
}
