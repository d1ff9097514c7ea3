//! Columns of versions and bases.
#![expect(clippy::inline_always, reason = "measured: reading heads took 1.7 times as long")]

use super::bits::{Packed, pack, width_of};
use super::cells::Lists;
use super::ints::{self, Ints};
use super::run::Run;
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
    versions: Versions,
    bases: Bases<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Bases<'a> {
    None,
    All(Versions),
    /// Those with a bit; there are as many versions as bits that are set.
    Some(Packed<'a>, Versions),
}

/// Where clocks and epochs are in the list of integers, and nodes in that of numbers.
#[derive(Debug, Clone, Copy)]
struct Versions {
    clocks: Run,
    epochs: Run,
    nodes: Run,
}

/// Clocks that are about to be written.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    millis: Vec<i64>,
    counters: Vec<i64>,
    based: Vec<bool>,
}

/// Appends the columns. `nodes` gives the numbers of the versions' nodes, and then those
/// of the bases', which there are `node_count` of.
pub(super) fn write(
    operations: &[Operation],
    nodes: (&[u32], &[u32]),
    node_count: usize,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    let bases = match nodes.1.len() {
        0 => BASES_NONE,
        some if some == operations.len() => BASES_ALL,
        _ => BASES_SOME,
    };
    let flags = out.len();
    out.push(bases << 2);
    let versions = operations.iter().map(|operation| &operation.version);
    out[flags] |= scratch.write_versions(versions, nodes.0, node_count, out);
    if bases == BASES_NONE {
        return;
    }
    let all = operations.iter().map(|operation| &operation.base);
    if bases == BASES_SOME {
        scratch.based.clear();
        scratch.based.extend(all.clone().map(|base| *base != Version::ZERO));
        pack(&scratch.based, 1, u64::from, out);
    }
    let told = all.filter(|base| **base != Version::ZERO);
    out[flags] |= scratch.write_versions(told, nodes.1, node_count, out) << 4;
}

impl Scratch {
    /// Appends versions; returns how their epochs are told.
    fn write_versions<'v>(
        &mut self,
        versions: impl Iterator<Item = &'v Version> + Clone,
        nodes: &[u32],
        node_count: usize,
        out: &mut Vec<u8>,
    ) -> u8 {
        let (mut all_zero, mut all_own) = (true, true);
        self.write_clocks(
            versions.clone().map(|version| {
                all_zero &= version.epoch == Hlc::ZERO;
                all_own &= version.epoch == version.hlc;
                version.hlc
            }),
            nodes.len(),
            out,
        );
        let epochs = match (all_zero, all_own) {
            (true, _) => EPOCHS_ZERO,
            (false, true) => EPOCHS_OWN,
            (false, false) => EPOCHS_TOLD,
        };
        if epochs == EPOCHS_TOLD {
            self.write_clocks(versions.map(|version| version.epoch), nodes.len(), out);
        }
        pack(nodes, width_of_places(node_count), u64::from, out);
        epochs
    }

    fn write_clocks(&mut self, clocks: impl Iterator<Item = Hlc>, count: usize, out: &mut Vec<u8>) {
        self.millis.resize(count, 0);
        self.counters.resize(count, 0);
        for ((clock, millis), counter) in clocks.zip(&mut self.millis).zip(&mut self.counters) {
            *millis = (clock.to_bits() >> COUNTER_BITS).cast_signed();
            *counter = (clock.to_bits() & COUNTER_MAX).cast_signed();
        }
        ints::write(&self.millis, out);
        ints::write(&self.counters, out);
    }
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
        lists: &mut Lists<'_>,
    ) -> Result<Self, DecodeError> {
        let at = reader.at();
        let flags = reader.byte()?;
        let (epochs, bases, base_epochs) = (flags & 3, flags >> 2 & 3, flags >> 4 & 3);
        let none = bases == BASES_NONE && base_epochs != EPOCHS_ZERO;
        if flags >> 6 != 0 || bases > BASES_SOME || none {
            return Reader::malformed("flags of versions", at);
        }
        let versions = Versions::read(reader, count, epochs, nodes.len(), lists)?;
        let bases = match bases {
            BASES_NONE => Bases::None,
            BASES_ALL => {
                Bases::All(Versions::read(reader, count, base_epochs, nodes.len(), lists)?)
            }
            _ => {
                let at = reader.at();
                let told = Packed::read(reader, count, 1)?;
                let some = (0..count).filter(|place| told.get(*place) == 1).count();
                if some == 0 || some == count {
                    return Reader::malformed("which operations have a base", at);
                }
                let bases = Versions::read(reader, some, base_epochs, nodes.len(), lists)?;
                Bases::Some(told, bases)
            }
        };
        let stamps = Self { versions, bases };
        stamps.check(count, nodes, lists, at)?;
        Ok(stamps)
    }

    /// Checks that nodes are used in their order, and that no base that is told is zero.
    fn check(
        &self,
        count: usize,
        nodes: &[NodeId],
        lists: &Lists<'_>,
        at: usize,
    ) -> Result<(), DecodeError> {
        let mut uses = FirstUses::new("use of nodes", nodes.len());
        if matches!(self.bases, Bases::None) {
            uses.add_all(self.versions.nodes.of(count, &lists.numbers), at)?;
            return uses.check(at);
        }
        let mut based = 0;
        for place in 0..count {
            uses.add(self.versions.node(place, lists).into(), at)?;
            let Some(of_bases) = self.base_of(place) else { continue };
            uses.add(of_bases.node(based, lists).into(), at)?;
            if of_bases.get(based, nodes, lists) == Version::ZERO {
                return Reader::malformed("base that is zero", at);
            }
            based += 1;
        }
        uses.check(at)
    }

    #[inline(always)]
    fn base_of(&self, place: usize) -> Option<&Versions> {
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
    pub(super) fn version(&self, place: usize, nodes: &[NodeId], lists: &Lists<'_>) -> Version {
        self.versions.get(place, nodes, lists)
    }

    /// The base of an operation before which so many have one.
    #[inline(always)]
    pub(super) fn base(
        &self,
        (place, based): (usize, usize),
        nodes: &[NodeId],
        lists: &Lists<'_>,
    ) -> Version {
        self.base_of(place).map_or(Version::ZERO, |bases| bases.get(based, nodes, lists))
    }
}

impl Versions {
    fn read(
        reader: &mut Reader<'_>,
        count: usize,
        epochs: u8,
        node_count: usize,
        lists: &mut Lists<'_>,
    ) -> Result<Self, DecodeError> {
        let at = reader.at();
        let list = &mut lists.ints;
        let clocks = read_clocks(reader, count, list)?;
        // They are told by the least that tells them.
        let (epochs, is_told_so) = match epochs {
            EPOCHS_ZERO => {
                list.push(0);
                (Run::of_one(list.len() - 1), true)
            }
            EPOCHS_OWN => (clocks, clocks.of(count, list).iter().any(|clock| *clock != 0)),
            EPOCHS_TOLD => {
                let told = read_clocks(reader, count, list)?;
                let differ = |row: usize| told.get(row, list) != clocks.get(row, list);
                let is_any = told.of(count, list).iter().any(|epoch| *epoch != 0);
                (told, is_any && (0..count).any(differ))
            }
            _ => return Reader::malformed("flags of versions", at),
        };
        let width = width_of_places(node_count);
        let (packed, start) = (Packed::read(reader, count, width)?, lists.numbers.len());
        let nodes = if width > 0 {
            packed.unpack_numbers(count, &mut lists.numbers);
            Run::of_all(start)
        } else {
            lists.numbers.push(0);
            Run::of_one(start)
        };
        if !is_told_so {
            return Reader::malformed("epochs", at);
        }
        Ok(Self { clocks, epochs, nodes })
    }

    #[inline(always)]
    fn node(&self, place: usize, lists: &Lists<'_>) -> u32 {
        self.nodes.get(place, &lists.numbers)
    }

    #[inline(always)]
    fn get(&self, place: usize, nodes: &[NodeId], lists: &Lists<'_>) -> Version {
        let clock = |run: Run| Hlc::from_bits(run.get(place, &lists.ints).cast_unsigned());
        let node = nodes.get(self.node(place, lists) as usize);
        let (epoch, hlc) = (clock(self.epochs), clock(self.clocks));
        Version { epoch, hlc, node: node.copied().unwrap_or_default() }
    }
}

/// Reads clocks by their bits: milliseconds, and counters below them.
fn read_clocks(
    reader: &mut Reader<'_>,
    count: usize,
    list: &mut Vec<i64>,
) -> Result<Run, DecodeError> {
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
    Ok(millis.join(counters, COUNTER_BITS, count, list).run())
}
