//! The versions of an operation, told against those of the operation before.

use crate::binary::{encode_signed, encode_varint};
use crate::reader::Reader;
use crate::{DecodeError, Hlc, NodeId, Version};

/// The clock is told as a difference; else it is that of the operation before.
const HLC: u8 = 0b0000_0001;
const EPOCH: u8 = 0b0000_0110;
/// The epoch is the version's own clock, as a server's is.
const EPOCH_IS_HLC: u8 = 0b0000_0010;
/// The epoch is told as a difference; else it is that of the operation before.
const EPOCH_TOLD: u8 = 0b0000_0100;
/// The node is told; else it is that of the operation before.
const NODE: u8 = 0b0000_1000;
const BASE: u8 = 0b0111_0000;
/// The base is that of the operation before; else it is [`Version::ZERO`].
const BASE_REPEATS: u8 = 0b0001_0000;
/// The base is told, with the version's epoch.
const BASE_EPOCH_AS_VERSION: u8 = 0b0010_0000;
/// The base is told, with its own clock as its epoch.
const BASE_EPOCH_IS_HLC: u8 = 0b0011_0000;
/// The base is told, with its epoch.
const BASE_TOLD: u8 = 0b0100_0000;
/// The base's node is told; else it is the version's.
const BASE_NODE: u8 = 0b1000_0000;

/// An operation's version and base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stamp {
    pub(crate) version: Version,
    pub(crate) base: Version,
}

impl Stamp {
    /// The flags of this stamp after `previous`: of all that could tell it, the
    /// ones that need the fewest bytes. The first operation must tell its node.
    fn flags(&self, previous: Option<&Self>) -> u8 {
        let Self { version, base } = self;
        let first = Self::default();
        let before = previous.unwrap_or(&first);
        let mut flags = 0;
        if version.hlc != before.version.hlc {
            flags |= HLC;
        }
        if version.epoch != before.version.epoch {
            flags |= if version.epoch == version.hlc { EPOCH_IS_HLC } else { EPOCH_TOLD };
        }
        if previous.is_none_or(|previous| version.node != previous.version.node) {
            flags |= NODE;
        }
        if *base == Version::ZERO {
            return flags;
        }
        if *base == before.base {
            return flags | BASE_REPEATS;
        }
        if base.node != version.node {
            flags |= BASE_NODE;
        }
        if base.epoch == version.epoch {
            flags | BASE_EPOCH_AS_VERSION
        } else if base.epoch == base.hlc {
            flags | BASE_EPOCH_IS_HLC
        } else {
            flags | BASE_TOLD
        }
    }

    /// Appends the stamp, given the numbers of its two nodes.
    pub(super) fn write(
        &self,
        previous: Option<&Self>,
        [node, base_node]: [u32; 2],
        out: &mut Vec<u8>,
    ) {
        let Self { version, base } = self;
        let before = previous.map_or(Version::ZERO, |previous| previous.version);
        let flags = self.flags(previous);
        out.push(flags);
        if flags & HLC != 0 {
            encode_difference(version.hlc, before.hlc, out);
        }
        if flags & EPOCH == EPOCH_TOLD {
            encode_difference(version.epoch, before.epoch, out);
        }
        if flags & NODE != 0 {
            encode_varint(node.into(), out);
        }
        if !tells_base(flags) {
            return;
        }
        encode_difference(base.hlc, version.hlc, out);
        if flags & BASE == BASE_TOLD {
            encode_difference(base.epoch, version.epoch, out);
        }
        if flags & BASE_NODE != 0 {
            encode_varint(base_node.into(), out);
        }
    }

    /// Reads a stamp; `node` reads which node is meant.
    #[expect(
        clippy::inline_always,
        reason = "measured: walking single operations took a quarter longer"
    )]
    #[inline(always)]
    pub(super) fn read<'a>(
        reader: &mut Reader<'a>,
        previous: Option<&Self>,
        mut node: impl FnMut(&mut Reader<'a>) -> Result<NodeId, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let first = Self::default();
        let before = previous.unwrap_or(&first);
        let at = reader.at();
        let flags = reader.byte()?;
        let mut version = before.version;
        if flags & HLC != 0 {
            version.hlc = read_difference(reader, before.version.hlc)?;
        }
        match flags & EPOCH {
            0 => {}
            EPOCH_IS_HLC => version.epoch = version.hlc,
            EPOCH_TOLD => version.epoch = read_difference(reader, before.version.epoch)?,
            _ => return Reader::malformed("flags", at),
        }
        if flags & NODE != 0 {
            version.node = node(reader)?;
        }
        let mut base = if flags & BASE == BASE_REPEATS { before.base } else { Version::ZERO };
        if tells_base(flags) {
            base.hlc = read_difference(reader, version.hlc)?;
            base.epoch = match flags & BASE {
                BASE_EPOCH_AS_VERSION => version.epoch,
                BASE_EPOCH_IS_HLC => base.hlc,
                BASE_TOLD => read_difference(reader, version.epoch)?,
                _ => return Reader::malformed("flags", at),
            };
            base.node = version.node;
            if flags & BASE_NODE != 0 {
                base.node = node(reader)?;
            }
        }
        let stamp = Self { version, base };
        // There is one way to tell a stamp, so that a batch has one encoding.
        if stamp.flags(previous) != flags {
            return Reader::malformed("flags", at);
        }
        Ok(stamp)
    }
}

const fn tells_base(flags: u8) -> bool {
    flags & BASE > BASE_REPEATS
}

/// Appends a clock as its difference, modulo 2^64, from another.
fn encode_difference(clock: Hlc, from: Hlc, out: &mut Vec<u8>) {
    encode_signed(clock.to_bits().wrapping_sub(from.to_bits()).cast_signed(), out);
}

fn read_difference(reader: &mut Reader<'_>, from: Hlc) -> Result<Hlc, DecodeError> {
    let difference = reader.signed()?.cast_unsigned();
    Ok(Hlc::from_bits(from.to_bits().wrapping_add(difference)))
}
