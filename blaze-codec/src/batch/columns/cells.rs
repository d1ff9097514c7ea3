//! Columns of values: what the operations of one shape have in one field.

use super::bits::Packed;
use super::floats::{self, decimals};
use super::ints::Ints;
use super::stamps::width_of_places;
use crate::batch::shape::{FirstUses, all_differ};
use crate::binary::{REMOVED, Token};
use crate::limits::{self, RECORD_BYTES_MAX, what};
use crate::nodes::Node;
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
const SAMPLE: usize = 16;

/// What a batch's columns are read into where they can't be used in place.
#[derive(Debug, Default)]
pub(super) struct Lists<'a> {
    pub(super) ints: Vec<i64>,
    /// Numbers of entries: which node wrote a version, which text of a dictionary a row has.
    pub(super) numbers: Vec<u32>,
    pub(super) texts: Vec<&'a str>,
    pub(super) blobs: Vec<&'a [u8]>,
    /// The values of columns of any kinds, and where that of each row begins.
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) starts: Vec<u32>,
    /// Where the value of a row is that may be null, counted from 1.
    pub(super) places: Vec<u32>,
    /// How many values lie within arrays and maps.
    pub(super) nested: usize,
    /// The texts of the columns that are still to be read.
    pub(super) heap: &'a str,
}

/// A column of values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column<'a> {
    cells: Cells<'a>,
    /// Where the list of the rows begins that aren't null, if some are.
    rows: Option<usize>,
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
    /// Where the entries begin, how many there are, and where it begins which of them each is.
    Dictionary(usize, usize, usize),
    Bytes(usize),
    Uuids(&'a [[u8; 16]]),
    Timestamps(Ints),
    Any(usize),
}

impl<'a> Column<'a> {
    /// Reads a column of at least one row; only updates remove fields.
    pub(super) fn read(
        reader: &mut Reader<'a>,
        rows: usize,
        updates: bool,
        lists: &mut Lists<'a>,
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
        let mut column = Self { cells: Cells::Nulls, rows: places, bytes_max: 11, values_max: 1 };
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
                if pays(lists.texts[start..].iter().copied()) {
                    return Reader::malformed("texts without a dictionary", at);
                }
                Cells::Texts(start)
            }
            DICTIONARY => {
                let entries = reader.count(1)?;
                if entries == 0 || entries > count {
                    return Reader::malformed("number of texts", at);
                }
                let start = lists.texts.len();
                column.bytes_max += read_texts(reader, entries, RECORD, lists)?;
                let numbers = lists.numbers.len();
                Packed::read(reader, count, width_of_places(entries))?
                    .unpack_numbers(count, &mut lists.numbers);
                check_dictionary(&lists.texts[start..], &lists.numbers[numbers..], at)?;
                Cells::Dictionary(start, entries, numbers)
            }
            BYTES => {
                let start = lists.blobs.len();
                column.bytes_max += read_bytes(reader, count, RECORD, lists)?;
                Cells::Bytes(start)
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
        lists: &mut Lists<'a>,
    ) -> Result<Cells<'a>, DecodeError> {
        let (start, at) = (lists.starts.len(), reader.at());
        let (mut kind, mut needed) = (None, false);
        lists.starts.reserve(count);
        for _ in 0..count {
            let (before, node) = (reader.at(), lists.nodes.len());
            lists.starts.push(place(node)?);
            reader.values = 0;
            if updates && reader.skip_byte(REMOVED) {
                needed = true;
                lists.nodes.push(Node::Removed);
            } else {
                Node::read(reader, 0, &mut lists.nodes)?;
                // One kind of plain values, and null, has a column of its own.
                match lists.nodes[node].token() {
                    Some(Token::Null) => {}
                    Some(Token::Array(_) | Token::Map(_)) | None => needed = true,
                    Some(token) => {
                        needed |= kind.is_some_and(|kind| kind != token.kind());
                        kind = Some(token.kind());
                    }
                }
            }
            self.bytes_max = self.bytes_max.max(reader.at() - before);
            self.values_max = self.values_max.max(reader.values);
            lists.nested += reader.values.saturating_sub(1);
        }
        reader.values = 0;
        if !needed {
            return Reader::malformed("kind of column", at);
        }
        Ok(Cells::Any(start))
    }

    /// The texts that the column has once each, in the order of their first use.
    pub(super) fn dictionary(&self) -> Option<(usize, usize)> {
        match self.cells {
            Cells::Dictionary(start, entries, _) => Some((start, entries)),
            _ => None,
        }
    }

    /// Which text of the dictionary a row has, if it has one.
    #[inline]
    pub(super) fn entry(&self, row: usize, lists: &Lists<'_>) -> Option<usize> {
        let Cells::Dictionary(_, _, numbers) = self.cells else { return None };
        Some(lists.numbers[numbers + self.place(row, lists)?] as usize)
    }

    #[inline]
    fn place(&self, row: usize, lists: &Lists<'_>) -> Option<usize> {
        match self.rows {
            None => Some(row),
            Some(start) => (lists.places[start + row] as usize).checked_sub(1),
        }
    }

    /// Whether the field of a row is removed.
    #[inline]
    pub(super) fn is_removed(&self, row: usize, lists: &Lists<'_>) -> bool {
        matches!(self.cells, Cells::Any(start)
            if matches!(lists.nodes[lists.starts[start + row] as usize], Node::Removed))
    }

    /// The value of a row whose field isn't removed.
    #[expect(clippy::inline_always, reason = "measured: else values go through memory in pieces")]
    #[inline(always)]
    pub(super) fn get(&self, row: usize, lists: &'a Lists<'a>) -> ValueRef<'a> {
        self.visit(row, lists, |value| value)
    }

    /// Hands on the value of a row whose field isn't removed, where its kind is known: who
    /// looks at the kind needn't tell the kinds apart once more.
    #[expect(clippy::inline_always, reason = "measured: that is what it is for")]
    #[inline(always)]
    pub(super) fn visit<T>(
        &self,
        row: usize,
        lists: &'a Lists<'a>,
        visit: impl FnOnce(ValueRef<'a>) -> T,
    ) -> T {
        let Some(place) = self.place(row, lists) else { return visit(ValueRef::Null) };
        match &self.cells {
            Cells::Nulls => visit(ValueRef::Null),
            Cells::Bools(bools) => visit(ValueRef::Bool(bools.get(place) == 1)),
            Cells::Ints(ints) => visit(ValueRef::Int(ints.get(place, &lists.ints))),
            Cells::Floats(floats) => visit(ValueRef::Float(f64::from_le_bytes(floats[place]))),
            Cells::Decimals(ints, scale) => {
                visit(ValueRef::Float(floats::float(ints.get(place, &lists.ints), *scale)))
            }
            Cells::Texts(start) => visit(ValueRef::Text(lists.texts[start + place])),
            Cells::Dictionary(start, _, numbers) => {
                let number = lists.numbers[numbers + place] as usize;
                visit(ValueRef::Text(lists.texts[start + number]))
            }
            Cells::Bytes(start) => visit(ValueRef::Bytes(lists.blobs[start + place])),
            Cells::Uuids(uuids) => visit(ValueRef::Uuid(Uuid::from_bytes_ref(&uuids[place]))),
            Cells::Timestamps(ints) => {
                visit(ValueRef::Timestamp(Timestamp(ints.get(place, &lists.ints))))
            }
            Cells::Any(start) => {
                visit(ValueRef::first(&lists.nodes[lists.starts[start + place] as usize..]))
            }
        }
    }
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

/// Checks that a column has a dictionary because it is to have one, that its texts differ
/// and stand in the order of their first use, and that all of them are used.
fn check_dictionary(texts: &[&str], numbers: &[u32], at: usize) -> Result<(), DecodeError> {
    let mut uses = FirstUses::new("use of texts", texts.len());
    uses.add_all(numbers, at)?;
    uses.check(at)?;
    if !pays(numbers.iter().map(|number| texts[*number as usize])) {
        return Reader::malformed("dictionary of texts", at);
    }
    if !all_differ(texts, |text| *text) {
        return Reader::malformed("text used twice", at);
    }
    Ok(())
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
    lists: &mut Lists<'_>,
) -> Result<usize, DecodeError> {
    let (at, before) = (reader.at(), lists.ints.len());
    let (lengths, greatest) = read_lengths(reader, count, limit, &mut lists.ints)?;
    lists.texts.reserve(count);
    for row in 0..count {
        let parts = lists.heap.split_at_checked(length(lengths, row, &lists.ints));
        let Some((text, rest)) = parts else {
            return Reader::malformed("lengths of texts", at);
        };
        lists.heap = rest;
        lists.texts.push(text);
    }
    lists.ints.truncate(before);
    Ok(greatest)
}

/// Reads the lengths of bytes, and the bytes behind them; returns the greatest length.
pub(super) fn read_bytes<'a>(
    reader: &mut Reader<'a>,
    count: usize,
    limit: (&'static str, usize),
    lists: &mut Lists<'a>,
) -> Result<usize, DecodeError> {
    let before = lists.ints.len();
    let (lengths, greatest) = read_lengths(reader, count, limit, &mut lists.ints)?;
    lists.blobs.reserve(count);
    for row in 0..count {
        lists.blobs.push(reader.take(length(lengths, row, &lists.ints))?);
    }
    lists.ints.truncate(before);
    Ok(greatest)
}

fn length(lengths: Ints, row: usize, list: &[i64]) -> usize {
    usize::try_from(lengths.get(row, list)).unwrap_or(usize::MAX)
}

/// Reads lengths, none of which is negative, and the greatest of them.
fn read_lengths(
    reader: &mut Reader<'_>,
    count: usize,
    (what, max): (&'static str, usize),
    list: &mut Vec<i64>,
) -> Result<(Ints, usize), DecodeError> {
    let at = reader.at();
    let lengths = Ints::read(reader, count, list)?;
    let (least, greatest) = lengths.ends();
    let (Ok(_), Ok(greatest)) = (usize::try_from(least), usize::try_from(greatest)) else {
        return Reader::malformed("length", at);
    };
    limits::check(what, greatest, max)?;
    Ok((lengths, greatest))
}
