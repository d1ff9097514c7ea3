//! Keys and versions in place, without the values.
#![expect(clippy::inline_always, reason = "measured: a walk took a sixth longer")]

use uuid::Uuid;

use crate::batch::{Common, Cursor, Definitions, Heads, Layout, Place, Places, Shape, Stamp};
use crate::reader::Reader;
use crate::{DecodeError, Name, RecordKey, Version};

/// What a batch has before the values: which records, and when they were written by whom.
///
/// The values aren't touched: who has to know only whether there is something new in a
/// batch needn't read it. So they, and what follows, aren't checked either.
///
/// ```
/// use blaze_codec::view::HeadsRef;
/// use blaze_codec::{Change, Operation, RecordKey, Version, batch, record};
///
/// let operation = Operation {
///     collection: "notes".parse()?,
///     key: RecordKey::from(7),
///     version: Version::ZERO,
///     base: Version::ZERO,
///     change: Change::Insert(record! { "title" => "hello" }),
/// };
/// let mut bytes = Vec::new();
/// batch::encode(&[operation], &mut bytes);
/// let versions: Vec<Version> = HeadsRef::new(&bytes)?.iter().map(|head| head.version()).collect();
/// assert_eq!(versions, [Version::ZERO]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct HeadsRef<'a>(Parsed<'a>);

#[derive(Debug)]
enum Parsed<'a> {
    Rows(Common<'a>, Vec<RowHead<'a>>),
    Columns(Box<Heads<'a>>),
}

/// The head of an operation that was read in a row.
#[derive(Debug)]
pub(super) struct RowHead<'a> {
    /// Its shape among what all have in common.
    pub(super) shape: u32,
    pub(super) key: KeyRef<'a>,
    pub(super) stamp: Stamp,
}

impl<'a> HeadsRef<'a> {
    /// Reads the heads of a batch.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if `bytes` don't begin as a batch does.
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::defined(bytes, Definitions::none())
    }

    /// The same of a batch that may have numbers of a dictionary.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if `bytes` don't begin as a batch does, or a number isn't defined.
    pub fn defined(bytes: &'a [u8], definitions: &'a Definitions) -> Result<Self, DecodeError> {
        let (common, reader) = match Layout::read(Reader::new(bytes), definitions)? {
            Layout::Columns(tables, mut reader, start) => {
                let (heads, _) = Heads::read(&mut reader, start, tables)?;
                return Ok(Self(Parsed::Columns(Box::new(heads))));
            }
            Layout::Rows(common, reader) => (common, reader),
        };
        let mut cursor = Cursor::new(&common, reader)?;
        let mut rows = Vec::with_capacity(cursor.capacity::<RowHead<'_>>());
        while let Some(head) = cursor.next()? {
            rows.push(RowHead { shape: head.number, key: head.key, stamp: head.stamp });
        }
        Ok(Self(Parsed::Rows(common, rows)))
    }

    /// The heads in the order of the operations.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = HeadRef<'_>> {
        match &self.0 {
            Parsed::Rows(common, rows) => Walk::Rows(common, rows.iter()),
            Parsed::Columns(heads) => Walk::Columns(heads, heads.places()),
        }
    }

    /// How many operations there are.
    pub const fn len(&self) -> usize {
        match &self.0 {
            Parsed::Rows(_, rows) => rows.len(),
            Parsed::Columns(heads) => heads.len(),
        }
    }

    /// Whether there is no operation.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

enum Walk<'a> {
    Rows(&'a Common<'a>, std::slice::Iter<'a, RowHead<'a>>),
    Columns(&'a Heads<'a>, Places),
}

impl<'a> Iterator for Walk<'a> {
    type Item = HeadRef<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<HeadRef<'a>> {
        Some(match self {
            Self::Rows(common, left) => HeadRef::of_row(common, left.next()?),
            Self::Columns(heads, places) => HeadRef::of_columns(heads, places.next(heads)?),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self {
            Self::Rows(_, left) => left.len(),
            Self::Columns(heads, places) => places.left(heads),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Walk<'_> {}

/// What an operation has before its values, in place.
#[derive(Debug, Clone, Copy)]
pub struct HeadRef<'a>(Source<'a>);

#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Row(&'a Common<'a>, &'a RowHead<'a>),
    Columns(&'a Heads<'a>, Place),
}

impl<'a> HeadRef<'a> {
    #[inline(always)]
    pub(super) const fn of_row(common: &'a Common<'a>, row: &'a RowHead<'a>) -> Self {
        Self(Source::Row(common, row))
    }

    #[inline(always)]
    pub(super) const fn of_columns(heads: &'a Heads<'a>, place: Place) -> Self {
        Self(Source::Columns(heads, place))
    }

    #[inline(always)]
    pub(super) fn shape(&self) -> &'a Shape {
        match self.0 {
            Source::Row(common, row) => common.shape(row.shape),
            Source::Columns(heads, place) => heads.shape(place),
        }
    }

    /// The collection of the record.
    #[inline(always)]
    pub fn collection(&self) -> &'a Name {
        &self.shape().collection
    }

    /// The record.
    #[inline(always)]
    pub fn key(&self) -> KeyRef<'a> {
        match self.0 {
            Source::Row(_, row) => row.key,
            Source::Columns(heads, place) => heads.key(place),
        }
    }

    /// When and by whom it was written.
    #[inline(always)]
    pub fn version(&self) -> Version {
        match self.0 {
            Source::Row(_, row) => row.stamp.version,
            Source::Columns(heads, place) => heads.version(place),
        }
    }

    /// The version that it replaced; [`Version::ZERO`] if there was none.
    #[inline(always)]
    pub fn base(&self) -> Version {
        match self.0 {
            Source::Row(_, row) => row.stamp.base,
            Source::Columns(heads, place) => heads.base(place),
        }
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
