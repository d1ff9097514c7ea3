//! Batches, operations and records in place.
#![expect(clippy::inline_always, reason = "measured: a walk took a sixth longer")]

use super::heads::{HeadRef, KeyRef, RowHead};
use super::value::{CHECKED, ValueRef};
use crate::batch::{
    CellOf, CellsOf, ChangeKind, Columns, Common, Cursor, Definitions, Head, Layout, Place, Places,
    Shape, Stamp,
};
use crate::nodes::Node;
use crate::reader::Reader;
use crate::{Change, DecodeError, Name, Operation, Record, Version};

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
pub struct BatchRef<'a>(Parsed<'a>);

#[derive(Debug)]
enum Parsed<'a> {
    Rows(Rows<'a>),
    Columns(Box<Columns<'a>>),
}

/// Operations that were read row by row.
#[derive(Debug)]
struct Rows<'a> {
    common: Common<'a>,
    operations: Vec<Row<'a>>,
    /// The values of all rows.
    nodes: Vec<Node<'a>>,
}

#[derive(Debug)]
struct Row<'a> {
    head: RowHead<'a>,
    /// Where its values begin among all.
    nodes: usize,
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
        Ok(Self(match Layout::read(Reader::new(bytes), definitions)? {
            Layout::Columns(tables, reader, start) => {
                Parsed::Columns(Box::new(Columns::read(reader, start, tables)?))
            }
            Layout::Rows(common, reader) => Parsed::Rows(Rows::read(common, reader)?),
        }))
    }

    /// The operations in their order.
    pub fn iter(&self) -> Operations<'_> {
        Operations(match &self.0 {
            Parsed::Columns(columns) => Walk::Columns(columns, columns.heads.places()),
            Parsed::Rows(rows) => Walk::Rows(rows, rows.operations.iter()),
        })
    }

    /// How many operations there are.
    pub const fn len(&self) -> usize {
        match &self.0 {
            Parsed::Columns(columns) => columns.heads.len(),
            Parsed::Rows(rows) => rows.operations.len(),
        }
    }

    /// Whether there is no operation.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> Rows<'a> {
    fn read(common: Common<'a>, reader: Reader<'a>) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(&common, reader)?;
        let mut operations = Vec::with_capacity(cursor.capacity::<Row<'_>>());
        let (mut nodes, mut values) = (Vec::new(), 0);
        while let Some(head) = cursor.next()? {
            let Head { number, key, stamp, .. } = head;
            let row = RowHead { shape: number, key, stamp };
            operations.push(Row { head: row, nodes: nodes.len() });
            head.nodes(&mut nodes, &mut values)?;
        }
        Ok(Self { common, operations, nodes })
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
    Rows(&'a Rows<'a>, std::slice::Iter<'a, Row<'a>>),
    Columns(&'a Columns<'a>, Places),
}

impl<'a> Iterator for Operations<'a> {
    type Item = OperationRef<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<OperationRef<'a>> {
        Some(OperationRef(match &mut self.0 {
            Walk::Rows(rows, left) => Source::Row(rows, left.next()?),
            Walk::Columns(columns, places) => {
                Source::Columns(columns, places.next(&columns.heads)?)
            }
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Walk::Rows(_, left) => left.len(),
            Walk::Columns(columns, places) => places.left(&columns.heads),
        };
        (left, Some(left))
    }

    #[inline(always)]
    fn fold<B, F: FnMut(B, OperationRef<'a>) -> B>(self, init: B, mut fold: F) -> B {
        let mut all = init;
        match self.0 {
            Walk::Rows(rows, left) => {
                for row in left {
                    all = fold(all, OperationRef(Source::Row(rows, row)));
                }
            }
            Walk::Columns(columns, mut places) => {
                while let Some(place) = places.next(&columns.heads) {
                    all = fold(all, OperationRef(Source::Columns(columns, place)));
                }
            }
        }
        all
    }

    #[inline(always)]
    fn for_each<F: FnMut(OperationRef<'a>)>(self, mut each: F) {
        self.fold(
            (),
            #[inline(always)]
            |(), operation| each(operation),
        );
    }
}

impl ExactSizeIterator for Operations<'_> {}

/// An operation in place. Its values lie untouched until they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct OperationRef<'a>(Source<'a>);

/// Where an operation is.
#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Row(&'a Rows<'a>, &'a Row<'a>),
    Columns(&'a Columns<'a>, Place),
}

impl<'a> OperationRef<'a> {
    /// What it has before its values.
    #[inline(always)]
    pub const fn head(&self) -> HeadRef<'a> {
        match self.0 {
            Source::Row(rows, row) => HeadRef::of_row(&rows.common, &row.head),
            Source::Columns(columns, place) => HeadRef::of_columns(&columns.heads, place),
        }
    }

    #[inline(always)]
    fn cells(&self) -> Cells<'a> {
        match self.0 {
            Source::Row(rows, row) => {
                Cells::Row(&self.head().shape().names, &rows.nodes[row.nodes..])
            }
            Source::Columns(columns, place) => Cells::Columns(columns.cells(place)),
        }
    }

    /// The collection of the record.
    #[inline(always)]
    pub fn collection(&self) -> &'a Name {
        self.head().collection()
    }

    /// The record.
    #[inline(always)]
    pub fn key(&self) -> KeyRef<'a> {
        self.head().key()
    }

    /// When and by whom it was written.
    #[inline(always)]
    pub fn version(&self) -> Version {
        self.head().version()
    }

    /// The version that it replaced; [`Version::ZERO`] if there was none.
    #[inline(always)]
    pub fn base(&self) -> Version {
        self.head().base()
    }

    /// What it does.
    #[inline(always)]
    pub fn change(&self) -> ChangeRef<'a> {
        match self.head().shape().change {
            ChangeKind::Insert => ChangeRef::Insert(RecordRef(self.cells())),
            ChangeKind::Update => ChangeRef::Update(UpdateRef(self.cells())),
            ChangeKind::Delete => ChangeRef::Delete,
        }
    }

    /// The operation, copied out.
    pub fn to_operation(&self) -> Operation {
        let row = match self.0 {
            Source::Row(_, row) => row,
            Source::Columns(columns, place) => return columns.operation(place),
        };
        let Shape { names, collection, .. } = self.head().shape();
        let change = match self.change() {
            ChangeRef::Insert(record) => {
                let values = record.iter().map(|(_, value)| value.to_value()).collect();
                Change::Insert(Record::of_sorted(names.clone(), values))
            }
            ChangeRef::Update(update) => {
                let fields = update.iter();
                let fields =
                    fields.map(|(name, value)| (name.clone(), value.map(|value| value.to_value())));
                Change::Update(fields.collect())
            }
            ChangeRef::Delete => Change::Delete,
        };
        let RowHead { key, stamp: Stamp { version, base }, .. } = &row.head;
        Operation {
            collection: collection.clone(),
            key: key.to_key(),
            version: *version,
            base: *base,
            change,
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
    /// Behind the values may lie those of others.
    Row(&'a [Name], &'a [Node<'a>]),
    Columns(CellsOf<'a>),
}

impl<'a> Cells<'a> {
    /// The names, and what goes through the values beside them.
    #[inline(always)]
    fn fields(self) -> (std::slice::Iter<'a, Name>, Values<'a>) {
        match self {
            Self::Row(names, nodes) => (names.iter(), Values::Row(nodes)),
            Self::Columns(cells) => (cells.names().iter(), Values::Columns(cells)),
        }
    }
}

#[derive(Debug, Clone)]
enum Values<'a> {
    Row(&'a [Node<'a>]),
    Columns(CellsOf<'a>),
}

impl<'a> Values<'a> {
    /// Steps over a field that is removed.
    #[inline(always)]
    fn skip_removed(&mut self) -> bool {
        match self {
            Self::Row(nodes) => skip_removed(nodes),
            Self::Columns(cells) => {
                let removed = cells.first().is_some_and(CellOf::is_removed);
                if removed {
                    cells.take();
                }
                removed
            }
        }
    }

    /// The next value.
    #[inline(always)]
    fn next(&mut self) -> ValueRef<'a> {
        match self {
            Self::Columns(cells) => cells.take().expect(CHECKED).value(),
            Self::Row(nodes) => ValueRef::take(nodes),
        }
    }
}

/// Steps over a field that is removed.
#[inline(always)]
fn skip_removed(nodes: &mut &[Node<'_>]) -> bool {
    let [Node::Removed, rest @ ..] = *nodes else { return false };
    *nodes = rest;
    true
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
    #[inline(always)]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a Name, ValueRef<'a>)> {
        let (names, values) = self.0.fields();
        RecordFields { names, values }
    }

    /// The value of a field.
    pub fn get(&self, field: &str) -> Option<ValueRef<'a>> {
        self.iter().find(|(name, _)| *name == field).map(|(_, value)| value)
    }
}

/// The fields of a [`RecordRef`].
#[derive(Debug, Clone)]
struct RecordFields<'a> {
    names: std::slice::Iter<'a, Name>,
    values: Values<'a>,
}

impl<'a> Iterator for RecordFields<'a> {
    type Item = (&'a Name, ValueRef<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        Some((self.names.next()?, self.values.next()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.names.size_hint()
    }

    #[inline(always)]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, mut fold: F) -> B {
        let mut all = init;
        match self.values {
            Values::Row(mut nodes) => {
                for name in self.names {
                    all = fold(all, (name, ValueRef::take(&mut nodes)));
                }
            }
            Values::Columns(cells) => {
                for (name, cell) in self.names.zip(cells.cells()) {
                    all = cell.visit(
                        #[inline(always)]
                        |value| fold(all, (name, value)),
                    );
                }
            }
        }
        all
    }

    #[inline(always)]
    fn for_each<F: FnMut(Self::Item)>(self, mut each: F) {
        self.fold(
            (),
            #[inline(always)]
            |(), field| each(field),
        );
    }
}

impl ExactSizeIterator for RecordFields<'_> {}

/// The fields that an update sets or removes, in place.
#[derive(Debug, Clone, Copy)]
pub struct UpdateRef<'a>(Cells<'a>);

impl<'a> UpdateRef<'a> {
    /// The fields in the order of their names, with `None` for a removed one.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`] checked the bytes.
    #[inline(always)]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a Name, Option<ValueRef<'a>>)> {
        let (names, values) = self.0.fields();
        UpdateFields { names, values }
    }
}

/// The fields of an [`UpdateRef`].
#[derive(Debug, Clone)]
struct UpdateFields<'a> {
    names: std::slice::Iter<'a, Name>,
    values: Values<'a>,
}

impl<'a> Iterator for UpdateFields<'a> {
    type Item = (&'a Name, Option<ValueRef<'a>>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let name = self.names.next()?;
        let removed = self.values.skip_removed();
        Some((name, (!removed).then(|| self.values.next())))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.names.size_hint()
    }

    #[inline(always)]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, mut fold: F) -> B {
        let mut all = init;
        match self.values {
            Values::Row(mut nodes) => {
                for name in self.names {
                    let removed = skip_removed(&mut nodes);
                    all = fold(all, (name, (!removed).then(|| ValueRef::take(&mut nodes))));
                }
            }
            Values::Columns(cells) => {
                for (name, cell) in self.names.zip(cells.cells()) {
                    if cell.is_removed() {
                        all = fold(all, (name, None));
                        continue;
                    }
                    all = cell.visit(
                        #[inline(always)]
                        |value| fold(all, (name, Some(value))),
                    );
                }
            }
        }
        all
    }

    #[inline(always)]
    fn for_each<F: FnMut(Self::Item)>(self, mut each: F) {
        self.fold(
            (),
            #[inline(always)]
            |(), field| each(field),
        );
    }
}

impl ExactSizeIterator for UpdateFields<'_> {}
