//! One case: a few nodes, troubles one after the other, and what must hold in the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::fault::{FAULTS, Fault};
use super::node::Node;
use super::room::Room;
use super::{Task, verify};
use crate::plan::mix;
use crate::shim::Shim;

/// Troubles of one case.
const STEPS: u32 = 20;
/// Lanes of one node at most, over all its power cuts.
const LANES: u64 = 1_000;

/// What was counted.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Tally {
    pub(crate) pairs: u64,
    pub(crate) stars: u64,
    pub(crate) chains: u64,
    /// SIGKILLs.
    pub(crate) kills: u64,
    /// How often each trouble struck.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// Commits that were acknowledged at durability `Disk`, and at `Process`.
    pub(crate) acknowledged_disk: u64,
    pub(crate) acknowledged_process: u64,
    /// Reports that all peers have everything.
    pub(crate) synced: u64,
    /// Commits that a power cut could cost at `Process`, and those that it did.
    pub(crate) at_risk: u64,
    pub(crate) lost_process: u64,
    /// Commits that found no room.
    pub(crate) refused: u64,
    /// Starts that failed for want of rights or room.
    pub(crate) unopened: u64,
    /// Records that all replicas agreed on in the end.
    pub(crate) records: u64,
    /// Cases without a file system of their own, which can't be full.
    pub(crate) without_room: u64,
}

impl Tally {
    /// Adds another's figures.
    pub(crate) fn add(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.stars += other.stars;
        self.chains += other.chains;
        self.kills += other.kills;
        for (fault, count) in &other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.acknowledged_disk += other.acknowledged_disk;
        self.acknowledged_process += other.acknowledged_process;
        self.synced += other.synced;
        self.at_risk += other.at_risk;
        self.lost_process += other.lost_process;
        self.refused += other.refused;
        self.unopened += other.unopened;
        self.records += other.records;
        self.without_room += other.without_room;
    }
}

/// The nodes, and what decides what happens to them.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) nodes: Vec<Node>,
    pub(super) rng: fastrand::Rng,
    pub(super) shim: Option<&'a Shim>,
    /// The only node whose power is cut.
    pub(super) victim: usize,
    /// Troubles that are left out, by their names.
    pub(super) without: &'a [String],
    pub(super) tally: &'a mut Tally,
}

/// Runs one case.
///
/// # Errors
///
/// What is wrong.
pub(crate) fn run(
    shim: Option<&Shim>,
    folder: &Path,
    seed: u64,
    without: &[String],
    tally: &mut Tally,
) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    for (_, _, name) in FAULTS {
        tally.faults.entry(name).or_default();
    }
    let mut nodes = Vec::new();
    for (at, links) in draw_links(&mut rng, tally).into_iter().enumerate() {
        nodes.push(make(folder, at, &links, mix(seed, at as u64), &mut rng, tally)?);
    }
    // The first may lie where its power can't be cut.
    let victim = rng.usize(0..nodes.len());
    let mut case = Case { nodes, rng, shim, victim, without, tally };
    let mut steps = Vec::new();
    case.live(&mut steps).with_context(|| format!("after {}", steps.join(", ")))
}

/// Whom each node connects to: pairs, stars around the first, and chains.
fn draw_links(rng: &mut fastrand::Rng, tally: &mut Tally) -> Vec<Vec<usize>> {
    match rng.u8(0..3) {
        0 => {
            tally.pairs += 1;
            vec![vec![], vec![0]]
        }
        1 => {
            tally.stars += 1;
            vec![vec![], vec![0], vec![0]]
        }
        _ => {
            tally.chains += 1;
            vec![vec![], vec![0], vec![1]]
        }
    }
}

fn make(
    folder: &Path,
    at: usize,
    links: &[usize],
    seed: u64,
    rng: &mut fastrand::Rng,
    tally: &mut Tally,
) -> Result<Node> {
    let home = folder.join(format!("n{at}"));
    let room = if at == 0 && rng.u8(0..3) == 0 {
        let room = Room::open(&home)?;
        tally.without_room += u64::from(room.is_none());
        room
    } else {
        std::fs::create_dir(&home)?;
        None
    };
    let endpoint = |at: usize| format!("unix:{}", folder.join(format!("s{at}")).display());
    let task = Task {
        path: home.join("app.blaze"),
        password: (rng.u8(0..3) == 0).then(|| format!("password {at}")),
        disk: rng.bool(),
        name: format!("node{at}"),
        seed,
        lanes: Vec::new(),
        listen: Some(endpoint(at)),
        connect: links.iter().map(|to| endpoint(*to)).collect(),
        writes: true,
    };
    Ok(Node::new(task, at as u64 * LANES, room))
}

impl Case<'_> {
    fn live(&mut self, steps: &mut Vec<String>) -> Result<()> {
        for node in &mut self.nodes {
            node.start_well()?;
        }
        for _ in 0..STEPS {
            sleep(Duration::from_millis(self.rng.u64(2..120)));
            for node in &mut self.nodes {
                node.pump()?;
            }
            let at = self.rng.usize(0..self.nodes.len());
            if !self.nodes[at].is_running() {
                self.nodes[at].start_well()?;
                continue;
            }
            let fault = Fault::draw(&mut self.rng);
            if self.without.iter().any(|without| without == fault.name()) {
                continue;
            }
            steps.push(format!("{} of node {at}", fault.name()));
            let struck = fault.strike(self, at)?;
            *self.tally.faults.entry(fault.name()).or_default() += u64::from(struck);
        }
        steps.push("healing".to_owned());
        verify::verify(self)
    }

    /// Kills a node, and counts it.
    pub(super) fn kill(&mut self, at: usize) -> Result<()> {
        self.tally.kills += u64::from(self.nodes[at].is_running());
        self.nodes[at].kill()
    }
}
