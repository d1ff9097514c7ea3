//! What a seed draws before the run begins: topology, roles, rates.

use std::collections::BTreeSet;
use std::fmt;

use blaze_codec::message::{Compression, CompressionSet};
use blaze_codec::{Mode, NodeId, Role};
use blaze_db_adapter::Durability;
use blaze_sync_protocol::Limits;

use crate::Config;
use crate::fault::Fault;
use crate::rng::Rng;
use crate::scenario::{Scenario, ScenarioPlan};
use crate::scopes::ScopePlan;

/// The first stream of random numbers of what nodes compress by; steps have earlier ones.
const COMPRESSION_STREAM: u64 = 1 << 32;

/// How the nodes are linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// One after the other.
    Chain,
    /// Each with each.
    Mesh,
    /// All with one.
    Star,
    /// Each with an earlier one.
    Tree,
    /// A chain that is closed.
    Ring,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Chain => "chain",
            Self::Mesh => "mesh",
            Self::Star => "star",
            Self::Tree => "tree",
            Self::Ring => "ring",
        })
    }
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) links: Vec<LinkPlan>,
    pub(crate) limits: Limits,
    /// Whether it is large and nothing goes wrong.
    pub(crate) large: bool,
    pub(crate) steps: usize,
    /// The longest time between two steps.
    pub(crate) gap_ms: u64,
    /// Of a thousand steps, how many are faults.
    pub(crate) faults_permille: u64,
    pub(crate) weights: [u64; Fault::COUNT],
    pub(crate) keys: u64,
    pub(crate) fields: u64,
    /// The most writes in a transaction.
    pub(crate) writes_max: u64,
    /// The most bytes of a large value, and how many of a hundred values are.
    pub(crate) value_bytes_max: u64,
    pub(crate) large_values_percent: u64,
    /// The most bytes that are read back from a database at once.
    pub(crate) read_bytes_max: u64,
    /// The longest time between two purges of a node, if there are any.
    pub(crate) purge_ms: Option<u64>,
    /// After what silence of a peer tombstones don't wait for it.
    pub(crate) lease_ms: Option<u64>,
    /// How many of a hundred writes are deletes, beside the usual ones.
    pub(crate) deletes_percent: u64,
    /// Whether some nodes compress what they send, and some can't read that.
    pub(crate) compressed: bool,
    /// Links over which no connection can be made at first, and for how long.
    pub(crate) late_links: Vec<(usize, u64)>,
    pub(crate) scenario: Option<ScenarioPlan>,
    /// Which links are limited to a part of the database.
    pub(crate) scopes: ScopePlan,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct NodePlan {
    pub(crate) id: NodeId,
    pub(crate) role: Role,
    pub(crate) durability: Durability,
    /// The longest time that a transaction takes.
    pub(crate) write_ms: u64,
    pub(crate) clock_offset_ms: i64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkPlan {
    pub(crate) connector: usize,
    pub(crate) acceptor: usize,
    pub(crate) mode: Mode,
    /// The shortest time that a frame takes.
    pub(crate) latency_ms: u64,
}

impl Plan {
    pub(crate) fn draw(seed: u64, config: &Config) -> Self {
        let rng = &mut Rng::new(seed, 0);
        let large = rng.percent(config.large_percent);
        let shape = match rng.below(8) {
            0..4 => Shape::Chain,
            4 => Shape::Mesh,
            5 => Shape::Star,
            6 => Shape::Tree,
            _ => Shape::Ring,
        };
        let count = rng.between(2, if shape == Shape::Mesh || large { 6 } else { 9 });
        let with_servers = rng.percent(40);
        let with_modes = rng.percent(30) && config.shape.is_none();
        let (shape, count) = config.shape.unwrap_or((shape, count));
        let nodes = (0..count).map(|_| NodePlan::draw(rng, with_servers)).collect::<Vec<_>>();
        let pairs = pairs(rng, shape, nodes.len()).into_iter();
        let links = pairs.map(|pair| LinkPlan::draw(rng, pair, with_modes)).collect();
        let steps = rng.between(15, 90);
        let (steps, writes_max) = if large { (steps * 10, 40) } else { (steps, 4) };
        let with_large_values = rng.percent(if large { 20 } else { 2 });
        // Those of policies came later, and have their own random numbers.
        let weights = Fault::ALL.map(|fault| {
            if fault.is_of_policies() || rng.percent(50) { 0 } else { rng.between(1, 8) }
        });
        Self {
            shape,
            nodes,
            links,
            limits: limits(rng),
            large,
            steps: usize::try_from(steps).unwrap_or(0),
            gap_ms: rng.between(1, 120),
            faults_permille: if large { 0 } else { rng.between(0, 300) },
            weights,
            keys: if large { rng.between(10, 1_000) } else { rng.between(1, 8) },
            fields: rng.between(1, 4),
            writes_max,
            value_bytes_max: if large { 3_000 } else { 300_000 },
            large_values_percent: if with_large_values { 40 } else { 0 },
            read_bytes_max: 100 << rng.below(14),
            purge_ms: None,
            lease_ms: None,
            deletes_percent: 0,
            compressed: false,
            late_links: Vec::new(),
            scenario: None,
            scopes: ScopePlan::default(),
        }
        .double(&mut Rng::new(seed, 2), config)
        .bury(&mut Rng::new(seed, 3), config)
        .compress(&mut Rng::new(seed, 4), config)
        .stage(&mut Rng::new(seed, 5), config)
        .limit(&mut Rng::new(seed, 6), config)
    }

    /// Many values are large enough for it to pay.
    fn compress(mut self, rng: &mut Rng, config: &Config) -> Self {
        self.compressed = rng.percent(config.compressed_percent);
        if self.compressed && self.large_values_percent == 0 {
            (self.large_values_percent, self.value_bytes_max) = (30, 3_000);
        }
        self
    }

    /// A scenario is run, and what it needs is there.
    fn stage(mut self, rng: &mut Rng, config: &Config) -> Self {
        let drawn = rng.below(100).checked_div(config.scenario_percent);
        let drawn = drawn.and_then(|at| Scenario::ALL.get(usize::try_from(at).ok()?).copied());
        let scenario = drawn.filter(|drawn| drawn.is_on(&config.faults) && !self.large);
        self.scenario = scenario.and_then(|drawn| ScenarioPlan::draw(rng, drawn, &self.links));
        let Some(ScenarioPlan { scenario, link, near, far, .. }) = self.scenario else {
            return self;
        };
        self.links[link].mode = Mode::Bidirectional;
        let longest_ms = rng.between(50, 3_000);
        self.purge_ms.get_or_insert(longest_ms);
        let lease_ms = rng.between(200, 2_000);
        if scenario == Scenario::RollBrokenOff {
            self.lease_ms = Some(lease_ms);
        }
        if scenario == Scenario::LinkBehind {
            self.links.push(LinkPlan::draw(rng, (near, far), false));
        }
        self
    }

    /// What a node compresses by and what it reads, as long as it is there: those of older
    /// versions know nothing of it.
    pub(crate) fn compression(&self, seed: u64, node: usize) -> (Compression, CompressionSet) {
        let rng = &mut Rng::new(seed, COMPRESSION_STREAM + node as u64);
        if !self.compressed || rng.percent(25) {
            return (Compression::None, CompressionSet::EMPTY);
        }
        let compression = if rng.percent(75) { Compression::Lz4 } else { Compression::None };
        (compression, CompressionSet::BUILT)
    }

    /// Tombstones are removed; often soon, so that whoever is late misses some.
    fn bury(mut self, rng: &mut Rng, config: &Config) -> Self {
        let longest_ms = rng.between(50, 3_000);
        self.purge_ms = rng.percent(75).then_some(longest_ms);
        let lease_ms = rng.between(200, 5_000);
        self.lease_ms = rng.percent(12).then_some(lease_ms).filter(|_| !self.large);
        self.deletes_percent = if rng.percent(50) { rng.between(5, 40) } else { 0 };
        let late = rng.percent(15) && !self.large && config.faults.has(Fault::Partition);
        let links = (0..self.links.len()).map(|link| (link, rng.between(200, 6_000)));
        let links = links.collect::<Vec<_>>().into_iter();
        self.late_links = links.filter(|_| late && rng.percent(40)).collect();
        self
    }

    /// Some nodes are linked twice, say from both sides.
    fn double(mut self, rng: &mut Rng, config: &Config) -> Self {
        let doubled = rng.pick(&self.links).filter(|_| rng.percent(8) && config.shape.is_none());
        if let Some(link) = doubled {
            let pair = (link.connector, link.acceptor);
            self.links.push(LinkPlan::draw(rng, pair, false));
        }
        self
    }
}

impl NodePlan {
    pub(crate) fn draw(rng: &mut Rng, with_servers: bool) -> Self {
        let is_server = with_servers && rng.percent(30);
        let durability = if rng.percent(50) { Durability::Disk } else { Durability::Process };
        Self {
            id: NodeId::from_bytes(rng.bytes()),
            role: if is_server { Role::Server } else { Role::Client },
            durability,
            write_ms: rng.between(0, 12),
            clock_offset_ms: rng.below(1_000).cast_signed() - 500,
        }
    }
}

impl LinkPlan {
    pub(crate) fn draw(rng: &mut Rng, (one, other): (usize, usize), with_modes: bool) -> Self {
        let turned = rng.percent(50);
        let (connector, acceptor) = if turned { (other, one) } else { (one, other) };
        let mode = if with_modes { draw_mode(rng) } else { Mode::Bidirectional };
        Self { connector, acceptor, mode, latency_ms: rng.between(0, 30) }
    }
}

pub(crate) fn draw_mode(rng: &mut Rng) -> Mode {
    let modes = [Mode::Bidirectional, Mode::Bidirectional, Mode::ReadOnly, Mode::WriteOnly];
    rng.pick(&modes).unwrap_or_default()
}

fn pairs(rng: &mut Rng, shape: Shape, count: usize) -> BTreeSet<(usize, usize)> {
    let mut pairs: BTreeSet<_> = (1..count)
        .map(|node| match shape {
            Shape::Chain | Shape::Ring => (node - 1, node),
            Shape::Star | Shape::Mesh => (0, node),
            Shape::Tree => (rng.index(node), node),
        })
        .collect();
    if shape == Shape::Mesh {
        pairs.extend((0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other))));
    }
    if shape == Shape::Ring && count > 2 {
        pairs.insert((0, count - 1));
    }
    pairs
}

/// Often short ones, so that what they are for happens.
fn limits(rng: &mut Rng) -> Limits {
    let limits = Limits::default();
    if rng.percent(30) {
        return limits;
    }
    let heartbeat_ms = rng.between(200, 2_000);
    Limits {
        window_bytes: rng.between(2, 4) << 20,
        handshake_ms: rng.between(500, 3_000),
        heartbeat_ms,
        silence_ms: heartbeat_ms * 3,
    }
}
