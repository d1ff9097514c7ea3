//! Columns of values: what the operations of one shape have in one field.

use std::ops::Range;

use super::bits::Packed;
use super::floats::{self, decimals};
use super::ints::Ints;
use super::stamps::width_of_places;
use crate::batch::shape::FirstUses;
use crate::binary::{REMOVED, kind_of_next, skip_value};
use crate::limits::{self, RECORD_BYTES_MAX, what};
use crate::reader::Reader;
use crate::view::ValueRef;
use crate::{DecodeError, Timestamp, Uuid};

pub(super) const NULLS: u8 = 0;
pub(super) const BOOLS: u8 = 1;
pub(super) const INTS: u8 = 2;
pub(super) const FLOATS: u8 = 3;
pub(super) const DECIMALS: u8 = 4;
pub(super) const TEXTS: u8 = 5;
pub(super) const DICTIONARY: u8 = 6;
pub(super) const BYTES: u8 = 7;
pub(super) const UUIDS: u8 = 8;
pub(super) const TIMESTAMPS: u8 = 9;
/// Values of any kinds, each with its tag.
pub(super) const ANY: u8 = 10;
/// Added where some are null, of which only the others follow.
pub(super) const SOME_NULL: u8 = 0x80;

/// The limit of the bytes of a value.
const RECORD: (&str, usize) = (what::RECORD_BYTES, RECORD_BYTES_MAX);

/// How many texts decide whether a column gets a dictionary.
pub(super) const SAMPLE: usize = 16;

/// What a batch's columns are read into where they can't be used in place.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) ints: Vec<i64>,
    /// Where texts end in the heap, and before the first of a column, where that begins.
    pub(super) texts: Vec<u32>,
    /// The same of bytes and tagged values within their columns; and where the value of
    /// a row is that may be null, counted from 1.
    pub(super) places: Vec<u32>,
    /// How long the heap is.
    pub(super) heap: usize,
}

/// A column of values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column<'a> {
    cells: Cells<'a>,
    /// Where the list of the rows begins that aren't null, if some are.
    rows: Option<usize>,
    /// How many aren't null.
    count: usize,
    /// At most so many bytes takes a value with its tag.
    pub(super) bytes_max: usize,
    /// At most so many values are in one.
    pub(super) values_max: usize,
}

#[derive(Debug, Clone, Copy)]
enum Cells<'a> {
    Nulls,
    Bools(Packed<'a>),
    Ints(Ints),
    Floats(&'a [[u8; 8]]),
    Decimals(Ints, usize),
    Texts(usize),
    /// Where the entries begin, how many there are, and which of them each is.
    Dictionary(usize, usize, Packed<'a>),
    Bytes(&'a [u8], usize),
    Uuids(&'a [[u8; 16]]),
    Timestamps(Ints),
    Any(Reader<'a>, usize),
}

/// An entry of a column: a value, unless the field is removed.
pub(super) type Cell<'a> = Option<ValueRef<'a>>;

impl<'a> Column<'a> {
    /// Reads a column of at least one row; only updates remove fields.
    pub(super) fn read(
        reader: &mut Reader<'a>,
        rows: usize,
        updates: bool,
        lists: &mut Lists,
    ) -> Result<Self, DecodeError> {
        let at = reader.at();
        let tag = reader.byte()?;
        let (mut places, mut count) = (None, rows);
        if tag & SOME_NULL != 0 {
            let told = Packed::read(reader, rows, 1)?;
            places = Some(lists.places.len());
            count = 0;
            for row in 0..rows {
                let is_there = told.get(row) == 1;
                count += usize::from(is_there);
                lists.places.push(if is_there { place(count)? } else { 0 });
            }
            if count == 0 || count == rows {
                return Reader::malformed("which values are null", at);
            }
        }
        let mut column =
            Self { cells: Cells::Nulls, rows: places, count, bytes_max: 11, values_max: 1 };
        let tag = tag & !SOME_NULL;
        if places.is_some() && (tag == NULLS || tag == ANY) {
            return Reader::malformed("kind of column", at);
        }
        column.cells = match tag {
            NULLS => Cells::Nulls,
            BOOLS => Cells::Bools(Packed::read(reader, count, 1)?),
            INTS => Cells::Ints(Ints::read(reader, count, &mut lists.ints)?),
            TIMESTAMPS => Cells::Timestamps(Ints::read(reader, count, &mut lists.ints)?),
            FLOATS => read_floats(reader, count)?,
            DECIMALS => read_decimals(reader, count, &mut lists.ints)?,
            UUIDS => {
                column.bytes_max = 17;
                Cells::Uuids(chunks(reader, count)?)
            }
            TEXTS => {
                let start = lists.texts.len();
                column.bytes_max += read_texts(reader, count, RECORD, lists)?;
                Cells::Texts(start)
            }
            DICTIONARY => {
                let entries = reader.count(1)?;
                if entries == 0 || entries > count {
                    return Reader::malformed("number of texts", at);
                }
                let start = lists.texts.len();
                column.bytes_max += read_texts(reader, entries, RECORD, lists)?;
                let places = Packed::read(reader, count, width_of_places(entries))?;
                let mut uses = FirstUses::new("use of texts", entries);
                for row in 0..count {
                    uses.add(places.get(row), at)?;
                }
                uses.check(at)?;
                Cells::Dictionary(start, entries, places)
            }
            BYTES => {
                let start = lists.places.len();
                let (bytes, max) = read_bytes(reader, count, RECORD, lists)?;
                column.bytes_max += max;
                Cells::Bytes(bytes, start)
            }
            ANY => column.read_any(reader, count, updates, lists)?,
            _ => return Reader::malformed("kind of column", at),
        };
        Ok(column)
    }

    fn read_any(
        &mut self,
        reader: &mut Reader<'a>,
        count: usize,
        updates: bool,
        lists: &mut Lists,
    ) -> Result<Cells<'a>, DecodeError> {
        let (start, all, at) = (lists.places.len(), *reader, reader.at());
        let (mut kind, mut needed) = (None, false);
        for _ in 0..count {
            let before = reader.at();
            lists.places.push(place(before)?);
            reader.values = 0;
            if updates && reader.skip_byte(REMOVED) {
                needed = true;
                continue;
            }
            // One kind of plain values, and null, has a column of its own.
            let found = kind_of_next(reader);
            needed |= found.is_none() || (found != Some("null") && kind.is_some() && kind != found);
            kind = if found == Some("null") { kind } else { found };
            skip_value(reader, 0)?;
            self.bytes_max = self.bytes_max.max(reader.at() - before);
            self.values_max = self.values_max.max(reader.values);
        }
        reader.values = 0;
        if !needed {
            return Reader::malformed("kind of column", at);
        }
        Ok(Cells::Any(all, start))
    }

    /// Checks what needs the texts: that they have a dictionary where they are to have one.
    pub(super) fn check_texts(&self, heap: &str, lists: &Lists) -> Result<(), DecodeError> {
        let text = |start: usize, place: usize| &heap[span(&lists.texts, start + place)];
        match self.cells {
            Cells::Texts(start) => {
                let sample = (0..self.count.min(SAMPLE)).map(|place| text(start, place));
                if pays(sample) {
                    return Reader::malformed("texts without a dictionary", 0);
                }
            }
            Cells::Dictionary(start, entries, places) => {
                let entry = |row: usize| usize::try_from(places.get(row)).unwrap_or(0);
                let sample = (0..self.count.min(SAMPLE)).map(|row| text(start, entry(row)));
                if !pays(sample) {
                    return Reader::malformed("dictionary of texts", 0);
                }
                let mut texts: Vec<&str> = (0..entries).map(|place| text(start, place)).collect();
                texts.sort_unstable();
                if !texts.is_sorted_by(|a, b| a < b) {
                    return Reader::malformed("text used twice", 0);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The texts that the column has once each, in the order of their first use.
    pub(super) fn dictionary(&self) -> Option<(usize, usize)> {
        match self.cells {
            Cells::Dictionary(start, entries, _) => Some((start, entries)),
            _ => None,
        }
    }

    /// Which text of the dictionary a row has, if it has one.
    pub(super) fn entry(&self, row: usize, lists: &Lists) -> Option<usize> {
        let Cells::Dictionary(_, _, places) = self.cells else { return None };
        usize::try_from(places.get(self.place(row, lists)?)).ok()
    }

    fn place(&self, row: usize, lists: &Lists) -> Option<usize> {
        match self.rows {
            None => Some(row),
            Some(start) => (lists.places[start + row] as usize).checked_sub(1),
        }
    }

    /// The value of a row.
    #[inline]
    pub(super) fn get(&self, row: usize, heap: &'a str, lists: &Lists) -> Cell<'a> {
        let Some(place) = self.place(row, lists) else { return Some(ValueRef::Null) };
        Some(match &self.cells {
            Cells::Nulls => ValueRef::Null,
            Cells::Bools(bools) => ValueRef::Bool(bools.get(place) == 1),
            Cells::Ints(ints) => ValueRef::Int(ints.get(place, &lists.ints)),
            Cells::Floats(floats) => ValueRef::Float(f64::from_le_bytes(floats[place])),
            Cells::Decimals(ints, scale) => {
                ValueRef::Float(floats::float(ints.get(place, &lists.ints), *scale))
            }
            Cells::Texts(start) => ValueRef::Text(&heap[span(&lists.texts, start + place)]),
            Cells::Dictionary(start, _, places) => {
                let entry = usize::try_from(places.get(place)).unwrap_or(0);
                ValueRef::Text(&heap[span(&lists.texts, start + entry)])
            }
            Cells::Bytes(bytes, start) => {
                ValueRef::Bytes(&bytes[span(&lists.places, start + place)])
            }
            Cells::Uuids(uuids) => ValueRef::Uuid(Uuid::from_bytes(uuids[place])),
            Cells::Timestamps(ints) => ValueRef::Timestamp(Timestamp(ints.get(place, &lists.ints))),
            Cells::Any(reader, start) => {
                let mut reader = reader.jump(lists.places[start + place] as usize);
                if reader.skip_byte(REMOVED) {
                    return None;
                }
                ValueRef::read(&mut reader)
            }
        })
    }
}

/// The bytes from one place of a list to the next.
pub(super) fn span(places: &[u32], place: usize) -> Range<usize> {
    places[place] as usize..places[place + 1] as usize
}

fn place(at: usize) -> Result<u32, DecodeError> {
    let max = u32::MAX.into();
    u32::try_from(at).map_err(|_| DecodeError::Limit { what: "batch bytes", found: at as u64, max })
}

/// Whether a column with these first texts gets a dictionary: whether that makes them
/// smaller, their places included.
pub(super) fn pays<'t>(sample: impl Iterator<Item = &'t str>) -> bool {
    let (mut found, mut different) = ([""; SAMPLE], 0);
    let (mut count, mut bytes, mut different_bytes) = (0, 0, 0);
    for text in sample.take(SAMPLE) {
        count += 1;
        bytes += text.len();
        if !found[..different].contains(&text) {
            found[different] = text;
            different += 1;
            different_bytes += text.len();
        }
    }
    8 * different_bytes + count * width_of_places(different) < 8 * bytes
}

fn chunks<'a, const N: usize>(
    reader: &mut Reader<'a>,
    count: usize,
) -> Result<&'a [[u8; N]], DecodeError> {
    Ok(reader.take(count.saturating_mul(N))?.as_chunks().0)
}

pub(super) fn read_uuids<'a>(
    reader: &mut Reader<'a>,
    count: usize,
) -> Result<&'a [[u8; 16]], DecodeError> {
    chunks(reader, count)
}

fn read_floats<'a>(reader: &mut Reader<'a>, count: usize) -> Result<Cells<'a>, DecodeError> {
    let at = reader.at();
    let floats: &[[u8; 8]] = chunks(reader, count)?;
    let numbers = floats.iter().map(|bytes| f64::from_le_bytes(*bytes));
    if decimals(&numbers, &mut Vec::new()).is_some() {
        return Reader::malformed("floats that are decimals", at);
    }
    Ok(Cells::Floats(floats))
}

fn read_decimals<'a>(
    reader: &mut Reader<'a>,
    count: usize,
    list: &mut Vec<i64>,
) -> Result<Cells<'a>, DecodeError> {
    let at = reader.at();
    let scale = usize::from(reader.byte()?);
    let ints = Ints::read(reader, count, list)?;
    let whole = |int: i64| int % 10 == 0;
    let (least, greatest) = ints.ends();
    let small = least >= -floats::INT_MAX && greatest <= floats::INT_MAX;
    let needed = scale == 0 || !ints.all(count, list, whole);
    if scale > floats::SCALE_MAX || !needed || !small {
        return Reader::malformed("decimals", at);
    }
    Ok(Cells::Decimals(ints, scale))
}

/// Reads the lengths of texts, which lie in the heap one behind the other; returns the
/// greatest.
pub(super) fn read_texts(
    reader: &mut Reader<'_>,
    count: usize,
    limit: (&'static str, usize),
    lists: &mut Lists,
) -> Result<usize, DecodeError> {
    let mut end = lists.heap;
    let greatest = read_lengths(reader, count, limit, &mut end, &mut lists.ints, &mut lists.texts)?;
    lists.heap = end;
    Ok(greatest)
}

/// Reads the lengths of bytes, and the bytes behind them.
pub(super) fn read_bytes<'a>(
    reader: &mut Reader<'a>,
    count: usize,
    limit: (&'static str, usize),
    lists: &mut Lists,
) -> Result<(&'a [u8], usize), DecodeError> {
    let mut end = 0;
    let greatest =
        read_lengths(reader, count, limit, &mut end, &mut lists.ints, &mut lists.places)?;
    Ok((reader.take(end)?, greatest))
}

fn read_lengths(
    reader: &mut Reader<'_>,
    count: usize,
    (what, max): (&'static str, usize),
    end: &mut usize,
    list: &mut Vec<i64>,
    ends: &mut Vec<u32>,
) -> Result<usize, DecodeError> {
    let (at, length) = (reader.at(), list.len());
    let lengths = Ints::read(reader, count, list)?;
    let (least, found) = lengths.ends();
    let Ok(greatest) = usize::try_from(found) else {
        return Reader::malformed("length", at);
    };
    if least < 0 {
        return Reader::malformed("length", at);
    }
    limits::check(what, greatest, max)?;
    ends.push(place(*end)?);
    for row in 0..count {
        *end += usize::try_from(lengths.get(row, list)).unwrap_or(0);
        ends.push(place(*end)?);
    }
    list.truncate(length);
    Ok(greatest)
}
