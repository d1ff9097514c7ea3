//! Columns of versions and bases.
#![expect(clippy::inline_always, reason = "measured: reading heads took 1.7 times as long")]

use super::bits::{Packed, pack, width_of};
use super::ints::{self, Ints};
use crate::batch::shape::FirstUses;
use crate::reader::Reader;
use crate::{DecodeError, Hlc, NodeId, Operation, Version};

/// Bits of a clock's counter, below its milliseconds.
const COUNTER_BITS: u32 = 16;
const COUNTER_MAX: u64 = (1 << COUNTER_BITS) - 1;

/// How the epochs of versions are told.
const EPOCHS_ZERO: u8 = 0;
/// Each is the version's own clock, as a server's is.
const EPOCHS_OWN: u8 = 1;
const EPOCHS_TOLD: u8 = 2;

/// Which operations have a base.
const BASES_NONE: u8 = 0;
const BASES_ALL: u8 = 1;
const BASES_SOME: u8 = 2;

/// The versions and bases of all operations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamps<'a> {
    versions: Versions<'a>,
    bases: Bases<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Bases<'a> {
    None,
    All(Versions<'a>),
    /// Those with a bit; there are as many versions as bits that are set.
    Some(Packed<'a>, Versions<'a>),
}

/// Clocks, epochs and nodes.
#[derive(Debug, Clone, Copy)]
struct Versions<'a> {
    clocks: Clocks,
    epochs: Epochs,
    nodes: Packed<'a>,
}

/// Milliseconds and counters.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    millis: Ints,
    counters: Ints,
}

#[derive(Debug, Clone, Copy)]
enum Epochs {
    Zero,
    Own,
    Told(Clocks),
}

/// Appends the columns. `nodes` gives the numbers of the versions' nodes, and then those
/// of the bases', which there are `node_count` of.
pub(super) fn write(
    operations: &[Operation],
    nodes: (&[u32], &[u32]),
    node_count: usize,
    out: &mut Vec<u8>,
) {
    let has_base = |operation: &Operation| operation.base != Version::ZERO;
    let bases = match nodes.1.len() {
        0 => BASES_NONE,
        some if some == operations.len() => BASES_ALL,
        _ => BASES_SOME,
    };
    let versions: Vec<&Version> = operations.iter().map(|operation| &operation.version).collect();
    let replaced: Vec<&Version> = operations
        .iter()
        .filter(|operation| has_base(operation))
        .map(|operation| &operation.base)
        .collect();
    let epochs = (epochs_of(&versions), epochs_of(&replaced));
    out.push(epochs.0 | bases << 2 | epochs.1 << 4);
    write_versions(&versions, epochs.0, nodes.0, node_count, out);
    if bases == BASES_SOME {
        pack(operations.iter().map(|operation| has_base(operation).into()), 1, out);
    }
    if bases != BASES_NONE {
        write_versions(&replaced, epochs.1, nodes.1, node_count, out);
    }
}

fn epochs_of(versions: &[&Version]) -> u8 {
    if versions.iter().all(|version| version.epoch == Hlc::ZERO) {
        EPOCHS_ZERO
    } else if versions.iter().all(|version| version.epoch == version.hlc) {
        EPOCHS_OWN
    } else {
        EPOCHS_TOLD
    }
}

fn write_versions(
    versions: &[&Version],
    epochs: u8,
    nodes: &[u32],
    node_count: usize,
    out: &mut Vec<u8>,
) {
    write_clocks(versions.iter().map(|version| version.hlc), out);
    if epochs == EPOCHS_TOLD {
        write_clocks(versions.iter().map(|version| version.epoch), out);
    }
    pack(nodes.iter().map(|node| u64::from(*node)), width_of_places(node_count), out);
}

fn write_clocks(clocks: impl Iterator<Item = Hlc> + Clone, out: &mut Vec<u8>) {
    let millis = clocks.clone().map(|clock| (clock.to_bits() >> COUNTER_BITS).cast_signed());
    let counters = clocks.map(|clock| (clock.to_bits() & COUNTER_MAX).cast_signed());
    ints::write(&millis.collect::<Vec<_>>(), out);
    ints::write(&counters.collect::<Vec<_>>(), out);
}

/// The bits that places in a table need.
pub(super) const fn width_of_places(count: usize) -> usize {
    width_of(count.saturating_sub(1) as u64)
}

impl<'a> Stamps<'a> {
    /// Reads the columns of at least one operation.
    pub(super) fn read(
        reader: &mut Reader<'a>,
        count: usize,
        nodes: &[NodeId],
        list: &mut Vec<i64>,
    ) -> Result<Self, DecodeError> {
        let at = reader.at();
        let flags = reader.byte()?;
        let (epochs, bases, base_epochs) = (flags & 3, flags >> 2 & 3, flags >> 4 & 3);
        let none = bases == BASES_NONE && base_epochs != EPOCHS_ZERO;
        if flags >> 6 != 0 || bases > BASES_SOME || none {
            return Reader::malformed("flags of versions", at);
        }
        let versions = Versions::read(reader, count, epochs, nodes.len(), list)?;
        let bases = match bases {
            BASES_NONE => Bases::None,
            BASES_ALL => Bases::All(Versions::read(reader, count, base_epochs, nodes.len(), list)?),
            _ => {
                let at = reader.at();
                let told = Packed::read(reader, count, 1)?;
                let some = (0..count).filter(|place| told.get(*place) == 1).count();
                if some == 0 || some == count {
                    return Reader::malformed("which operations have a base", at);
                }
                let bases = Versions::read(reader, some, base_epochs, nodes.len(), list)?;
                Bases::Some(told, bases)
            }
        };
        let stamps = Self { versions, bases };
        stamps.check(count, nodes, list, at)?;
        Ok(stamps)
    }

    /// Checks that nodes are used in their order, and that no base that is told is zero.
    fn check(
        &self,
        count: usize,
        nodes: &[NodeId],
        list: &[i64],
        at: usize,
    ) -> Result<(), DecodeError> {
        if nodes.len() == 1 && matches!(self.bases, Bases::None) {
            return Ok(());
        }
        let mut uses = FirstUses::new("use of nodes", nodes.len());
        let mut based = 0;
        for place in 0..count {
            uses.add(self.versions.nodes.get(place), at)?;
            let Some(of_bases) = self.base_of(place) else { continue };
            uses.add(of_bases.nodes.get(based), at)?;
            if of_bases.get(based, nodes, list) == Version::ZERO {
                return Reader::malformed("base that is zero", at);
            }
            based += 1;
        }
        uses.check(at)
    }

    #[inline(always)]
    fn base_of(&self, place: usize) -> Option<&Versions<'a>> {
        match &self.bases {
            Bases::None => None,
            Bases::All(bases) => Some(bases),
            Bases::Some(told, bases) => (told.get(place) == 1).then_some(bases),
        }
    }

    /// Whether an operation has a base.
    #[inline(always)]
    pub(super) fn has_base(&self, place: usize) -> bool {
        self.base_of(place).is_some()
    }

    #[inline(always)]
    pub(super) fn version(&self, place: usize, nodes: &[NodeId], list: &[i64]) -> Version {
        self.versions.get(place, nodes, list)
    }

    /// The base of an operation before which so many have one.
    #[inline(always)]
    pub(super) fn base(
        &self,
        (place, based): (usize, usize),
        nodes: &[NodeId],
        list: &[i64],
    ) -> Version {
        self.base_of(place).map_or(Version::ZERO, |bases| bases.get(based, nodes, list))
    }
}

impl<'a> Versions<'a> {
    fn read(
        reader: &mut Reader<'a>,
        count: usize,
        epochs: u8,
        node_count: usize,
        list: &mut Vec<i64>,
    ) -> Result<Self, DecodeError> {
        let at = reader.at();
        let clocks = Clocks::read(reader, count, list)?;
        let epochs = match epochs {
            EPOCHS_ZERO => Epochs::Zero,
            EPOCHS_OWN => Epochs::Own,
            EPOCHS_TOLD => Epochs::Told(Clocks::read(reader, count, list)?),
            _ => return Reader::malformed("flags of versions", at),
        };
        let nodes = Packed::read(reader, count, width_of_places(node_count))?;
        let versions = Self { clocks, epochs, nodes };
        if !versions.are_told_so(count, list) {
            return Reader::malformed("epochs", at);
        }
        Ok(versions)
    }

    /// Whether the epochs couldn't be told by less.
    fn are_told_so(&self, count: usize, list: &[i64]) -> bool {
        let clock = |place| self.clocks.get(place, list);
        match &self.epochs {
            Epochs::Zero => true,
            Epochs::Own => (0..count).any(|place| clock(place) != Hlc::ZERO),
            Epochs::Told(told) => {
                let differ = |place: usize| told.get(place, list) != clock(place);
                (0..count).any(|place| told.get(place, list) != Hlc::ZERO) && (0..count).any(differ)
            }
        }
    }

    #[inline(always)]
    fn get(&self, place: usize, nodes: &[NodeId], list: &[i64]) -> Version {
        let hlc = self.clocks.get(place, list);
        let epoch = match &self.epochs {
            Epochs::Zero => Hlc::ZERO,
            Epochs::Own => hlc,
            Epochs::Told(epochs) => epochs.get(place, list),
        };
        let node = usize::try_from(self.nodes.get(place)).unwrap_or(usize::MAX);
        Version { epoch, hlc, node: nodes.get(node).copied().unwrap_or_default() }
    }
}

impl Clocks {
    fn read(
        reader: &mut Reader<'_>,
        count: usize,
        list: &mut Vec<i64>,
    ) -> Result<Self, DecodeError> {
        let at = reader.at();
        let millis = Ints::read(reader, count, list)?;
        let counters = Ints::read(reader, count, list)?;
        let within = |column: &Ints, max: u64| {
            let (least, greatest) = column.ends();
            least >= 0 && greatest.cast_unsigned() <= max
        };
        if !within(&millis, u64::MAX >> COUNTER_BITS) || !within(&counters, COUNTER_MAX) {
            return Reader::malformed("clocks", at);
        }
        Ok(Self { millis, counters })
    }

    #[inline(always)]
    fn get(&self, place: usize, list: &[i64]) -> Hlc {
        let millis = self.millis.get(place, list).cast_unsigned();
        let counter = self.counters.get(place, list).cast_unsigned();
        Hlc::from_bits(millis << COUNTER_BITS | counter)
    }
}
