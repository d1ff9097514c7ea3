//! Batches, operations and records in place.

use uuid::Uuid;

use super::value::{CHECKED, ValueRef};
use crate::batch::{
    CellOf, CellsOf, ChangeKind, Columns, Cursor, Definitions, Head, Layout, Place, Places, Shape,
};
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
    layout: Layout<'a>,
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
        Self::defined(bytes, Definitions::none())
    }

    /// The same of a batch that may have numbers of a dictionary.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], exactly where
    /// [`batch::decode_defined`](crate::batch::decode_defined) fails.
    pub fn defined(bytes: &'a [u8], definitions: &'a Definitions) -> Result<Self, DecodeError> {
        let layout = Layout::read(Reader::new(bytes), definitions)?;
        let count = match &layout {
            Layout::Columns(columns) => columns.len(),
            Layout::Rows(tables, reader) => {
                let mut cursor = Cursor::new(tables, *reader)?;
                let count = cursor.left();
                while let Some(head) = cursor.next()? {
                    head.check()?;
                }
                count
            }
        };
        Ok(Self { layout, count })
    }

    /// The operations in their order.
    ///
    /// # Panics
    ///
    /// Never: [`Self::new`] checked the bytes.
    pub fn iter(&self) -> Operations<'_> {
        Operations(match &self.layout {
            Layout::Columns(columns) => Walk::Columns(columns, columns.places()),
            Layout::Rows(tables, reader) => {
                Walk::Rows(Cursor::new(tables, *reader).expect(CHECKED))
            }
        })
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
pub struct Operations<'a>(Walk<'a>);

#[derive(Debug, Clone)]
enum Walk<'a> {
    Rows(Cursor<'a>),
    Columns(&'a Columns<'a>, Places),
}

impl<'a> Iterator for Operations<'a> {
    type Item = OperationRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<OperationRef<'a>> {
        Some(OperationRef(match &mut self.0 {
            Walk::Rows(cursor) => Source::Row(cursor.next().expect(CHECKED)?),
            Walk::Columns(columns, places) => Source::Columns(columns, places.next(columns)?),
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Walk::Rows(cursor) => cursor.left(),
            Walk::Columns(columns, places) => places.left(columns),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Operations<'_> {}

/// An operation in place. Its values lie untouched until they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct OperationRef<'a>(Source<'a>);

/// Where an operation is.
#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Row(Head<'a>),
    Columns(&'a Columns<'a>, Place),
}

impl<'a> OperationRef<'a> {
    #[inline]
    fn shape(&self) -> &'a Shape {
        match self.0 {
            Source::Row(Head { shape, .. }) => shape,
            Source::Columns(columns, place) => columns.shape(place),
        }
    }

    #[inline]
    fn cells(&self) -> Cells<'a> {
        match self.0 {
            Source::Row(Head { shape, values, .. }) => Cells::Row(&shape.names, values.rest()),
            Source::Columns(columns, place) => Cells::Columns(columns.cells(place)),
        }
    }

    /// The collection of the record.
    #[inline]
    pub fn collection(&self) -> &'a Name {
        &self.shape().collection
    }

    /// The record.
    #[inline]
    pub fn key(&self) -> KeyRef<'a> {
        match self.0 {
            Source::Row(head) => head.key,
            Source::Columns(columns, place) => columns.key(place),
        }
    }

    /// When and by whom it was written.
    #[inline]
    pub fn version(&self) -> Version {
        match self.0 {
            Source::Row(head) => head.stamp.version,
            Source::Columns(columns, place) => columns.version(place),
        }
    }

    /// The version that it replaced; [`Version::ZERO`] if there was none.
    #[inline]
    pub fn base(&self) -> Version {
        match self.0 {
            Source::Row(head) => head.stamp.base,
            Source::Columns(columns, place) => columns.base(place),
        }
    }

    /// What it does.
    #[inline]
    pub fn change(&self) -> ChangeRef<'a> {
        match self.shape().change {
            ChangeKind::Insert => ChangeRef::Insert(RecordRef(self.cells())),
            ChangeKind::Update => ChangeRef::Update(UpdateRef(self.cells())),
            ChangeKind::Delete => ChangeRef::Delete,
        }
    }

    /// The operation, copied out.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`] checked the bytes.
    pub fn to_operation(&self) -> Operation {
        match self.0 {
            Source::Row(head) => head.decode().expect(CHECKED),
            Source::Columns(columns, place) => columns.operation(place),
        }
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

/// The names of an operation with its values.
#[derive(Debug, Clone, Copy)]
enum Cells<'a> {
    Row(&'a [Name], &'a [u8]),
    Columns(CellsOf<'a>),
}

impl<'a> Cells<'a> {
    #[inline]
    fn iter(self) -> Fields<'a> {
        match self {
            Self::Row(names, values) => {
                Fields { names: names.iter(), values: Values::Row(Reader::new(values)) }
            }
            Self::Columns(cells) => {
                Fields { names: cells.names().iter(), values: Values::Columns(cells, 0) }
            }
        }
    }
}

/// Goes through [`Cells`].
#[derive(Debug, Clone)]
struct Fields<'a> {
    names: std::slice::Iter<'a, Name>,
    values: Values<'a>,
}

#[derive(Debug, Clone)]
enum Values<'a> {
    Row(Reader<'a>),
    Columns(CellsOf<'a>, usize),
}

impl<'a> Values<'a> {
    /// Steps over a field that is removed.
    #[inline]
    fn skip_removed(&mut self) -> bool {
        match self {
            Self::Row(reader) => reader.skip_byte(REMOVED),
            Self::Columns(cells, next) => {
                let removed = cells.get(*next).is_some_and(CellOf::is_removed);
                *next += usize::from(removed);
                removed
            }
        }
    }

    /// The next value.
    #[inline(always)]
    fn next(&mut self) -> ValueRef<'a> {
        match self {
            Self::Columns(cells, next) => {
                let cell = cells.get(*next).expect(CHECKED);
                *next += 1;
                cell.value()
            }
            Self::Row(reader) => ValueRef::read(reader),
        }
    }
}

/// A record in place.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a>(Cells<'a>);

impl<'a> RecordRef<'a> {
    /// The fields in the order of their names; each value is read when the
    /// iterator comes to it.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`] checked the bytes.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a Name, ValueRef<'a>)> {
        let Fields { names, mut values } = self.0.iter();
        names.map(
            #[inline(always)]
            move |name| (name, values.next()),
        )
    }

    /// The value of a field.
    pub fn get(&self, field: &str) -> Option<ValueRef<'a>> {
        self.iter().find(|(name, _)| *name == field).map(|(_, value)| value)
    }
}

/// The fields that an update sets or removes, in place.
#[derive(Debug, Clone, Copy)]
pub struct UpdateRef<'a>(Cells<'a>);

impl<'a> UpdateRef<'a> {
    /// The fields in the order of their names, with `None` for a removed one.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`] checked the bytes.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a Name, Option<ValueRef<'a>>)> {
        let Fields { names, mut values } = self.0.iter();
        names.map(move |name| (name, (!values.skip_removed()).then(|| values.next())))
    }
}

/// A record's key in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyRef<'a> {
    /// A UUID.
    Uuid(&'a Uuid),
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
            Self::Uuid(uuid) => RecordKey::Uuid(*uuid),
            Self::Int(int) => RecordKey::Int(int),
            Self::Text(text) => RecordKey::from(text),
            Self::Bytes(bytes) => RecordKey::Bytes(bytes.to_vec()),
        }
    }
}
