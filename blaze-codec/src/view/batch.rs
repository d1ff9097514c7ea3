//! Batches, operations and records in place.

use uuid::Uuid;

use super::value::{CHECKED, ValueRef};
use crate::batch::{ChangeKind, Cursor, Head, Tables};
use crate::binary::REMOVED;
use crate::reader::Reader;
use crate::{DecodeError, Name, Operation, RecordKey, Version};

/// A batch in place, checked as a whole.
///
/// ```
/// use blaze_codec::view::{BatchRef, ChangeRef};
/// use blaze_codec::{Change, Name, Operation, RecordKey, Version, batch, record};
///
/// let operation = Operation {
///     collection: Name::new("notes")?,
///     key: RecordKey::from(7),
///     version: Version::ZERO,
///     base: Version::ZERO,
///     change: Change::Insert(record! { "title" => "hello", "stars" => 3 }),
/// };
/// let mut bytes = Vec::new();
/// batch::encode(&[operation], &mut bytes);
///
/// let batch = BatchRef::new(&bytes)?;
/// for operation in batch.iter() {
///     assert_eq!(operation.collection(), "notes");
///     let ChangeRef::Insert(record) = operation.change() else { continue };
///     assert_eq!(record.get("stars").map(|stars| stars.to_value()), Some(3.into()));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BatchRef<'a> {
    tables: Tables,
    /// Behind the tables.
    reader: Reader<'a>,
    count: usize,
}

impl<'a> BatchRef<'a> {
    /// Checks that `bytes` are a batch: afterwards nothing that is read of it
    /// can fail.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], exactly where [`batch::decode`](crate::batch::decode) fails.
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let tables = Tables::read(&mut reader)?;
        let mut cursor = Cursor::new(&tables, reader)?;
        let count = cursor.left();
        while let Some(head) = cursor.next()? {
            head.check(&tables)?;
        }
        Ok(Self { tables, reader, count })
    }

    /// The operations in their order.
    ///
    /// # Panics
    ///
    /// Never: [`Self::new`] checked the bytes.
    pub fn iter(&self) -> Operations<'_> {
        let cursor = Cursor::new(&self.tables, self.reader).expect(CHECKED);
        Operations { tables: &self.tables, cursor }
    }

    /// How many operations there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no operation.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'b> IntoIterator for &'b BatchRef<'_> {
    type Item = OperationRef<'b>;
    type IntoIter = Operations<'b>;

    fn into_iter(self) -> Operations<'b> {
        self.iter()
    }
}

/// The operations of a [`BatchRef`].
#[derive(Debug, Clone)]
pub struct Operations<'a> {
    tables: &'a Tables,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Operations<'a> {
    type Item = OperationRef<'a>;

    fn next(&mut self) -> Option<OperationRef<'a>> {
        let head = self.cursor.next().expect(CHECKED)?;
        Some(OperationRef { tables: self.tables, head })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.cursor.left(), Some(self.cursor.left()))
    }
}

impl ExactSizeIterator for Operations<'_> {}

/// An operation in place. Its values lie untouched until they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct OperationRef<'a> {
    tables: &'a Tables,
    head: Head<'a>,
}

impl<'a> OperationRef<'a> {
    /// The collection of the record.
    pub fn collection(&self) -> &'a Name {
        self.tables.collection(self.head.shape)
    }

    /// The record.
    pub const fn key(&self) -> KeyRef<'a> {
        self.head.key
    }

    /// When and by whom it was written.
    pub const fn version(&self) -> Version {
        self.head.stamp.version
    }

    /// The version that it replaced; [`Version::ZERO`] if there was none.
    pub const fn base(&self) -> Version {
        self.head.stamp.base
    }

    /// What it does.
    pub const fn change(&self) -> ChangeRef<'a> {
        let Self { tables, head } = *self;
        match head.shape.change {
            ChangeKind::Insert => ChangeRef::Insert(RecordRef { tables, head }),
            ChangeKind::Update => ChangeRef::Update(UpdateRef { tables, head }),
            ChangeKind::Delete => ChangeRef::Delete,
        }
    }

    /// The operation, copied out.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`] checked the bytes.
    pub fn to_operation(&self) -> Operation {
        self.head.decode(self.tables).expect(CHECKED)
    }
}

/// What an [`OperationRef`] does to its record.
#[derive(Debug, Clone, Copy)]
pub enum ChangeRef<'a> {
    /// Starts a new life of the record with these fields.
    Insert(RecordRef<'a>),
    /// Sets or removes fields.
    Update(UpdateRef<'a>),
    /// Ends the record's life.
    Delete,
}

/// A record in place.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    tables: &'a Tables,
    head: Head<'a>,
}

impl<'a> RecordRef<'a> {
    /// The fields in the order of their names; each value is read when the
    /// iterator comes to it.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`] checked the bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a Name, ValueRef<'a>)> {
        let mut values = self.head.values;
        let names = self.tables.fields(self.head.shape);
        names.map(move |name| (name, ValueRef::read(&mut values)))
    }

    /// The value of a field.
    pub fn get(&self, field: &str) -> Option<ValueRef<'a>> {
        self.iter().find(|(name, _)| *name == field).map(|(_, value)| value)
    }
}

/// The fields that an update sets or removes, in place.
#[derive(Debug, Clone, Copy)]
pub struct UpdateRef<'a> {
    tables: &'a Tables,
    head: Head<'a>,
}

impl<'a> UpdateRef<'a> {
    /// The fields in the order of their names, with `None` for a removed one.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`] checked the bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a Name, Option<ValueRef<'a>>)> {
        let mut values = self.head.values;
        let names = self.tables.fields(self.head.shape);
        names.map(move |name| {
            let removed = values.skip_byte(REMOVED);
            (name, (!removed).then(|| ValueRef::read(&mut values)))
        })
    }
}

/// A record's key in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyRef<'a> {
    /// A UUID.
    Uuid(Uuid),
    /// A number.
    Int(i64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl KeyRef<'_> {
    /// The key, copied out.
    pub fn to_key(&self) -> RecordKey {
        match *self {
            Self::Uuid(uuid) => RecordKey::Uuid(uuid),
            Self::Int(int) => RecordKey::Int(int),
            Self::Text(text) => RecordKey::from(text),
            Self::Bytes(bytes) => RecordKey::Bytes(bytes.to_vec()),
        }
    }
}
