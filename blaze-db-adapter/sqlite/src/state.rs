//! A record's state as bytes; the format is in the crate's documentation.

use std::collections::BTreeMap;

use blaze_codec::{DecodeError, Hlc, Value, Version, binary};
use blaze_db_adapter::{Life, RecordState, Stamp};
use rusqlite::Connection;

use crate::dictionary::Dictionary;
use crate::fault::Fault;

const ALIVE: u8 = 1;
const STAMPED: u8 = 2;

const FIELD_STAMPED: u64 = 1;
const FIELD_REMOVED: u64 = 2;

const EPOCH_ZERO: u64 = 0;
const EPOCH_IS_HLC: u64 = 1;
const EPOCH_FOLLOWS: u64 = 2;
const VERSION_ZERO: u64 = 3;

/// Appends `state`; names and nodes that are new are stored on the way.
pub(crate) fn encode(
    state: &RecordState,
    dictionary: &mut Dictionary,
    conn: &Connection,
    out: &mut Vec<u8>,
) -> rusqlite::Result<()> {
    let Life { stamp: life, alive } = *state.life();
    // A map, as a peer can give every field of a record a stamp of its own.
    let mut stamps: BTreeMap<Stamp, u64> = BTreeMap::new();
    for (_, register) in state.fields() {
        if register.stamp != life {
            stamps.insert(register.stamp, 0);
        }
    }
    let alive = if alive { ALIVE } else { 0 };
    out.push(alive | if stamps.is_empty() { 0 } else { STAMPED });
    encode_stamp(life, dictionary, conn, out)?;
    if !stamps.is_empty() {
        binary::encode_varint(stamps.len() as u64, out);
        for (number, (stamp, place)) in (0..).zip(&mut stamps) {
            *place = number;
            encode_stamp(*stamp, dictionary, conn, out)?;
        }
    }
    binary::encode_varint(state.len() as u64, out);
    let ids = dictionary.names_of(conn, state.names())?;
    for ((_, register), id) in state.fields().zip(ids) {
        let stamp = stamps.get(&register.stamp);
        let mut head = id << 2;
        head |= if stamp.is_some() { FIELD_STAMPED } else { 0 };
        head |= if register.value.is_none() { FIELD_REMOVED } else { 0 };
        binary::encode_varint(head, out);
        if let Some(&number) = stamp {
            binary::encode_varint(number, out);
        }
        if let Some(value) = register.value {
            binary::encode_value(value, out);
        }
    }
    Ok(())
}

/// The state that [`encode`] made these bytes of.
pub(crate) fn decode(
    bytes: &[u8],
    dictionary: &mut Dictionary,
    conn: &Connection,
) -> Result<RecordState, Fault> {
    let mut reader = Reader { bytes, at: 0, dictionary, conn };
    let state = reader.state()?;
    match bytes.len() - reader.at {
        0 => Ok(state),
        count => Err(DecodeError::Trailing { count }.into()),
    }
}

fn encode_stamp(
    Stamp { version, base }: Stamp,
    dictionary: &mut Dictionary,
    conn: &Connection,
    out: &mut Vec<u8>,
) -> rusqlite::Result<()> {
    encode_version(version, dictionary, conn, out)?;
    encode_version(base, dictionary, conn, out)
}

fn encode_version(
    version: Version,
    dictionary: &mut Dictionary,
    conn: &Connection,
    out: &mut Vec<u8>,
) -> rusqlite::Result<()> {
    if version == Version::ZERO {
        binary::encode_varint(VERSION_ZERO, out);
        return Ok(());
    }
    let Version { epoch, hlc, node } = version;
    let kind = match epoch {
        Hlc::ZERO => EPOCH_ZERO,
        epoch if epoch == hlc => EPOCH_IS_HLC,
        _ => EPOCH_FOLLOWS,
    };
    binary::encode_varint((dictionary.nodes.intern(conn, &node)? << 2) | kind, out);
    out.extend_from_slice(&hlc.to_bits().to_le_bytes());
    if kind == EPOCH_FOLLOWS {
        out.extend_from_slice(&epoch.to_bits().to_le_bytes());
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    dictionary: &'a mut Dictionary,
    conn: &'a Connection,
}

impl Reader<'_> {
    fn state(&mut self) -> Result<RecordState, Fault> {
        let [flags] = self.array()?;
        if flags & !(ALIVE | STAMPED) != 0 {
            return Err(self.malformed("state flags"));
        }
        let life = Life { stamp: self.stamp()?, alive: flags & ALIVE != 0 };
        let mut stamps = Vec::new();
        if flags & STAMPED != 0 {
            // Not reserved ahead: the count is not yet proved by the bytes.
            for _ in 0..self.varint()? {
                stamps.push(self.stamp()?);
            }
        }
        let count = self.varint()?;
        // A field has at least a byte.
        let reserved = usize::try_from(count).unwrap_or(usize::MAX).min(self.bytes.len() - self.at);
        let (mut ids, mut values) = (Vec::with_capacity(reserved), Vec::with_capacity(reserved));
        let mut apart = Vec::new();
        for _ in 0..count {
            let head = self.varint()?;
            let stamp = match head & FIELD_STAMPED {
                0 => life.stamp,
                _ => self.named_stamp(&stamps)?,
            };
            let removed = head & FIELD_REMOVED != 0;
            if removed || stamp != life.stamp {
                apart.push((values.len(), stamp, removed));
            }
            let (value, length) = if removed {
                (Value::Null, 0)
            } else {
                binary::decode_value(&self.bytes[self.at..])?
            };
            self.at += length;
            ids.push(head >> 2);
            values.push(value);
        }
        let record = self.dictionary.record_of(self.conn, &ids, values, self.at)?;
        RecordState::of_parts(life, record, apart).ok_or_else(|| self.malformed("fields"))
    }

    fn named_stamp(&mut self, stamps: &[Stamp]) -> Result<Stamp, Fault> {
        let stamp = usize::try_from(self.varint()?).ok().and_then(|at| stamps.get(at));
        stamp.copied().ok_or_else(|| self.malformed("stamp"))
    }

    fn stamp(&mut self) -> Result<Stamp, Fault> {
        Ok(Stamp { version: self.version()?, base: self.version()? })
    }

    fn version(&mut self) -> Result<Version, Fault> {
        let head = self.varint()?;
        if head == VERSION_ZERO {
            return Ok(Version::ZERO);
        }
        let hlc = self.hlc()?;
        let epoch = match head & 3 {
            EPOCH_ZERO => Hlc::ZERO,
            EPOCH_IS_HLC => hlc,
            EPOCH_FOLLOWS => self.hlc()?,
            _ => return Err(self.malformed("version")),
        };
        let node = self.dictionary.nodes.entry(self.conn, head >> 2, self.at)?;
        Ok(Version { epoch, hlc, node })
    }

    fn hlc(&mut self) -> Result<Hlc, Fault> {
        self.array().map(|bytes| Hlc::from_bits(u64::from_le_bytes(bytes)))
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let (number, length) = binary::decode_varint(&self.bytes[self.at..])?;
        self.at += length;
        Ok(number)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let rest = &self.bytes[self.at..];
        let needed = N.saturating_sub(rest.len());
        let taken = rest.first_chunk().ok_or(DecodeError::Truncated { at: self.at, needed })?;
        self.at += N;
        Ok(*taken)
    }

    fn malformed(&self, what: &'static str) -> Fault {
        DecodeError::Malformed { what, at: self.at }.into()
    }
}

#[cfg(test)]
mod tests;
