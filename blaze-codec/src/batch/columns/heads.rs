//! What a batch by columns has before the values: keys and versions.
#![expect(clippy::inline_always, reason = "measured: reading heads took 1.7 times as long")]

use super::bits::Packed;
use super::cells::{self, Lists};
use super::ints::Ints;
use super::stamps::{Stamps, width_of_places};
use super::{are_columns, bytes_min};
use crate::batch::shape::{FirstUses, KeyKind, Shape, Tables};
use crate::limits::{self, BATCH_OPERATIONS_MAX, BATCH_VALUES_MAX, KEY_BYTES_MAX, what};
use crate::reader::{Reader, utf8};
use crate::view::KeyRef;
use crate::{DecodeError, Uuid, Version};

/// The limit of keys.
const KEY: (&str, usize) = (what::KEY_BYTES, KEY_BYTES_MAX);

/// A batch by columns up to its values.
#[derive(Debug)]
pub(crate) struct Heads<'a> {
    pub(super) tables: Tables,
    count: u32,
    /// The shape of each operation.
    of: Packed<'a>,
    /// How many operations each shape has.
    pub(super) rows: Vec<u32>,
    /// How many fields all have.
    pub(super) values: usize,
    stamps: Stamps<'a>,
    /// Those of each shape.
    keys: Vec<Keys<'a>>,
    pub(super) lists: Lists<'a>,
}

#[derive(Debug)]
enum Keys<'a> {
    Uuids(&'a [[u8; 16]]),
    Ints(Ints),
    /// Where they begin in the list of texts.
    Texts(usize),
    /// Where they begin in that of bytes.
    Bytes(usize),
}

/// Where an operation is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Among all.
    at: u32,
    pub(super) shape: u32,
    /// Among those of its shape.
    pub(super) row: u32,
    /// How many before it have a base.
    based: u32,
}

/// Goes through the places of all operations.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    next: u32,
    based: u32,
    /// The next row of each shape.
    rows: Vec<u32>,
}

impl<'a> Heads<'a> {
    /// Reads the heads of a batch, which began at `start`, from behind its tables; and tells
    /// how many bytes the batch has at least.
    pub(crate) fn read(
        reader: &mut Reader<'a>,
        start: usize,
        tables: Tables,
    ) -> Result<(Self, usize), DecodeError> {
        let (at, whole) = (reader.at(), reader.at() - start + reader.remaining());
        let told = reader.varint()?;
        let Some(count) = u32::try_from(told).ok().filter(|told| *told as usize <= whole) else {
            let max = whole as u64;
            return Err(DecodeError::Limit { what: "number of operations", found: told, max });
        };
        let all = count as usize;
        limits::check(what::BATCH_OPERATIONS, all, BATCH_OPERATIONS_MAX)?;
        if all == 0 || !are_columns(all, tables.shapes.len()) {
            return Reader::malformed("layout of so few operations", at);
        }
        let of = Packed::read(reader, all, width_of_places(tables.shapes.len()))?;
        let rows = rows_of(&of, count, tables.shapes.len(), at)?;
        let values = rows.iter().zip(&tables.shapes);
        let values = values.map(|(rows, shape)| (*rows as usize).saturating_mul(shape.names.len()));
        let values = values.fold(0, usize::saturating_add);
        let min = bytes_min(all, values);
        if min > whole {
            return Err(DecodeError::Truncated { at, needed: min - whole });
        }
        limits::check(what::BATCH_VALUES, values, BATCH_VALUES_MAX)?;
        let mut lists = Lists::default();
        let stamps = Stamps::read(reader, all, &tables.nodes, &mut lists)?;
        let mut keys = Vec::with_capacity(tables.shapes.len());
        for (shape, rows) in tables.shapes.iter().zip(&rows) {
            keys.push(Keys::read(reader, shape.key, *rows as usize, &mut lists)?);
        }
        Ok((Self { tables, count, of, rows, values, stamps, keys, lists }, min))
    }

    pub(crate) const fn len(&self) -> usize {
        self.count as usize
    }

    #[inline(always)]
    fn shape_of(&self, at: u32) -> u32 {
        u32::try_from(self.of.get(at as usize)).unwrap_or(0)
    }

    pub(crate) fn places(&self) -> Places {
        Places { next: 0, based: 0, rows: vec![0; self.keys.len()] }
    }

    #[inline(always)]
    pub(crate) fn shape(&self, place: Place) -> &Shape {
        &self.tables.shapes[place.shape as usize]
    }

    #[inline(always)]
    pub(crate) fn version(&self, place: Place) -> Version {
        self.stamps.version(place.at as usize, &self.tables.nodes, &self.lists)
    }

    #[inline(always)]
    pub(crate) fn base(&self, place: Place) -> Version {
        let places = (place.at as usize, place.based as usize);
        self.stamps.base(places, &self.tables.nodes, &self.lists)
    }

    #[inline(always)]
    pub(crate) fn key(&self, place: Place) -> KeyRef<'a> {
        let row = place.row as usize;
        match &self.keys[place.shape as usize] {
            Keys::Uuids(uuids) => KeyRef::Uuid(Uuid::from_bytes_ref(&uuids[row])),
            Keys::Ints(ints) => KeyRef::Int(ints.get(row, &self.lists.ints)),
            Keys::Texts(start) => KeyRef::Text(self.lists.texts[start + row]),
            Keys::Bytes(start) => KeyRef::Bytes(self.lists.blobs[start + row]),
        }
    }
}

/// How many operations each shape has; they are used in their order.
fn rows_of(of: &Packed<'_>, count: u32, shapes: usize, at: usize) -> Result<Vec<u32>, DecodeError> {
    if shapes == 1 {
        return Ok(vec![count]);
    }
    let mut rows = vec![0; shapes];
    let mut uses = FirstUses::new("use of shapes", shapes);
    for place in 0..count as usize {
        rows[uses.add(of.get(place), at)?] += 1;
    }
    uses.check(at)?;
    Ok(rows)
}

impl<'a> Keys<'a> {
    fn read(
        reader: &mut Reader<'a>,
        kind: KeyKind,
        rows: usize,
        lists: &mut Lists<'a>,
    ) -> Result<Self, DecodeError> {
        Ok(match kind {
            KeyKind::Uuid => Self::Uuids(cells::read_uuids(reader, rows)?),
            KeyKind::Int => Self::Ints(Ints::read(reader, rows, &mut lists.ints)?),
            KeyKind::Text => {
                let start = lists.texts.len();
                let (at, first) = (reader.at(), lists.blobs.len());
                cells::read_bytes(reader, rows, KEY, lists)?;
                for bytes in lists.blobs.drain(first..) {
                    lists.texts.push(utf8(bytes, at)?);
                }
                Self::Texts(start)
            }
            KeyKind::Bytes => {
                let start = lists.blobs.len();
                cells::read_bytes(reader, rows, KEY, lists)?;
                Self::Bytes(start)
            }
        })
    }
}

impl Places {
    #[inline(always)]
    pub(crate) fn next(&mut self, heads: &Heads<'_>) -> Option<Place> {
        let at = self.next;
        if at == heads.count {
            return None;
        }
        self.next += 1;
        let (mut shape, mut row) = (0, at);
        if let [_, _, ..] = *self.rows {
            shape = heads.shape_of(at);
            row = self.rows[shape as usize];
            self.rows[shape as usize] += 1;
        }
        let based = self.based;
        self.based += u32::from(heads.stamps.has_base(at as usize));
        Some(Place { at, shape, row, based })
    }

    pub(crate) const fn left(&self, heads: &Heads<'_>) -> usize {
        (heads.count - self.next) as usize
    }
}
