//! One case: a few nodes, troubles one after the other, and what must hold in the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::copies::Backup;
use super::fault::{FAULTS, Fault};
use super::node::Node;
use super::room::Room;
use super::{GUEST, Task, VICTIM, verify};
use crate::plan::mix;
use crate::shim::Shim;

/// Troubles of one case.
const STEPS: u32 = 20;
/// Lanes of one node at most, over all its power cuts.
pub(super) const LANES: u64 = 1_000;

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
    /// Those that went with a file that went back, or with a copy that left.
    pub(crate) lost_restored: u64,
    /// How often users were told that their database, or a peer's, went back.
    pub(crate) told_here: u64,
    pub(crate) told_peers: u64,
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
        self.lost_restored += other.lost_restored;
        self.told_here += other.told_here;
        self.told_peers += other.told_peers;
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
    /// Copies that have left.
    pub(super) gone: Vec<Node>,
    /// Where nodes live, and how many there ever were.
    pub(super) folder: PathBuf,
    pub(super) made: u64,
    pub(super) rng: fastrand::Rng,
    pub(super) shim: Option<&'a Shim>,
    /// The only node whose power is cut and whose file goes back.
    pub(super) victim: usize,
    pub(super) backup: Option<Backup>,
    /// Whether commits may be lost that a peer was told of.
    pub(super) lossy: bool,
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
    VICTIM.clone_into(&mut nodes[victim].task.name);
    let made = nodes.len() as u64;
    let mut case = Case {
        nodes,
        gone: Vec::new(),
        folder: folder.to_owned(),
        made,
        rng,
        shim,
        victim,
        backup: None,
        lossy: false,
        without,
        tally,
    };
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
    let endpoint = |at: usize| endpoint(folder, at as u64);
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
        patient: false,
    };
    Ok(Node::new(task, at as u64 * LANES, room))
}

/// Where a node listens.
pub(super) fn endpoint(folder: &Path, number: u64) -> String {
    format!("unix:{}", folder.join(format!("s{number}")).display())
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
            if self.rng.u8(0..4) == 0 && self.see_off()? {
                steps.push("a copy left".to_owned());
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

    /// Lets a copy that doesn't stay go, if there is one.
    fn see_off(&mut self) -> Result<bool> {
        let guest = self.nodes.iter().position(|node| node.task.name == GUEST);
        let Some(guest) = guest else { return Ok(false) };
        if self.nodes[guest].is_running() {
            self.stop(guest)?;
        }
        let mut guest = self.nodes.remove(guest);
        guest.ledger.leave();
        self.gone.push(guest);
        Ok(true)
    }

    /// Lets a node that runs end, in one way or another.
    pub(super) fn stop(&mut self, at: usize) -> Result<()> {
        if self.rng.bool() { self.kill(at) } else { self.nodes[at].close() }
    }

    /// Starts what doesn't run or isn't to be found where its peers look for it.
    pub(super) fn mend(&mut self, but: Option<usize>) -> Result<()> {
        for (at, node) in self.nodes.iter_mut().enumerate().filter(|(at, _)| Some(*at) != but) {
            let lost = node.socket().is_some_and(|socket| !socket.exists());
            if node.is_running() && lost {
                node.kill()?;
            }
            if !node.is_running() {
                node.start_well().with_context(|| format!("node {at}"))?;
            }
        }
        Ok(())
    }

    /// Kills a node, and counts it.
    pub(super) fn kill(&mut self, at: usize) -> Result<()> {
        self.tally.kills += u64::from(self.nodes[at].is_running());
        self.nodes[at].kill()
    }
}
