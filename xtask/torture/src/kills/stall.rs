//! A receiver that stands still while the sender commits as fast as it can: what waits
//! for it is bounded, and nobody else waits.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use serde::Serialize;

use super::case::{LANES, endpoint};
use super::flood::Flooded;
use super::node::Node;
use super::verify::converge;
use super::{Command, Said, Task};
use crate::plan::mix;

/// With a receiver that reads, so that caches, ring and allocator are as full as they
/// get; then with one that doesn't.
const LIVE: Duration = Duration::from_secs(2);
const STALLED: Duration = Duration::from_secs(4);

/// What the sender's memory may grow by while the receiver stands still: 16 MiB of
/// frames that the most credit allows (`CREDIT_BYTES_MAX`), 8 MiB of the ring, whose
/// commits get frames beside their operations when sessions ask for them, 4 MiB for the
/// cache of a reader (`READER_CACHE_KIB`) that the session goes back to, and 4 MiB for
/// the pieces that it reads and for what the allocator keeps. The writer's cache, the
/// ring's operations and the log's index were as large before. Half of what is written
/// meanwhile at the least: a queue without a bound is found.
pub(crate) const GREW_KIB_MAX: u64 = (16 + 8 + 4 + 4) * 1024;

/// A commit that waited for the receiver would take as long as that stands still.
const COMMIT_MAX: Duration = Duration::from_secs(2);

/// Whoever takes longer to write what is wanted waits for somebody.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was counted.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Tally {
    pub(crate) stalls: u64,
    /// Commits while the receiver stood still, and their bytes.
    pub(crate) commits: u64,
    pub(crate) bytes: u64,
    /// The sender's memory before, and by how much it grew at most, until the receiver
    /// went on and until that had everything.
    pub(crate) before_kib: u64,
    pub(crate) grew_kib: u64,
    pub(crate) grew_after_kib: u64,
    /// How long commits took while the receiver read, and while it didn't: all but one
    /// of a hundred, and the slowest.
    pub(crate) live_p99_us: u64,
    pub(crate) live_slowest_us: u64,
    pub(crate) stalled_p99_us: u64,
    pub(crate) stalled_slowest_us: u64,
}

impl Tally {
    /// Adds another's figures.
    pub(crate) fn add(&mut self, other: &Self) {
        self.stalls += other.stalls;
        self.commits += other.commits;
        self.bytes += other.bytes;
        self.before_kib = self.before_kib.max(other.before_kib);
        self.grew_kib = self.grew_kib.max(other.grew_kib);
        self.grew_after_kib = self.grew_after_kib.max(other.grew_after_kib);
        self.live_p99_us = self.live_p99_us.max(other.live_p99_us);
        self.live_slowest_us = self.live_slowest_us.max(other.live_slowest_us);
        self.stalled_p99_us = self.stalled_p99_us.max(other.stalled_p99_us);
        self.stalled_slowest_us = self.stalled_slowest_us.max(other.stalled_slowest_us);
    }
}

/// Runs one case.
///
/// # Errors
///
/// What is wrong.
pub(crate) fn run(folder: &Path, seed: u64, tally: &mut Tally) -> Result<()> {
    // The one that is stopped connects, so that it doesn't come back while it is.
    let mut sender = make(folder, seed, 0)?;
    sender.start_well()?;
    let mut receiver = make(folder, seed, 1)?;
    receiver.start_well()?;
    receiver.wait_for(|said| matches!(said, Said::Synced { .. })).context("they don't meet")?;

    let (live, _) = flood(&mut sender, LIVE)?;
    sender.ask(Command::Sync, |said| matches!(said, Said::Done))?;
    let before_kib = Memory::of(&sender)?.now_kib;
    Memory::forget_peak(&sender)?;
    receiver.signal(Signal::STOP)?;
    let flooded = flood(&mut sender, STALLED);
    let peak = Memory::of(&sender);
    receiver.signal(Signal::CONT)?;
    let ((stalled, sampled_kib), peak) = (flooded?, peak?);
    sender.ask(Command::Sync, |said| matches!(said, Said::Done))?;
    let after_kib = Memory::of(&sender)?.peak_kib;

    let grew_kib = peak.peak_kib.max(sampled_kib).saturating_sub(before_kib);
    tally.add(&Tally {
        stalls: 1,
        commits: stalled.commits,
        bytes: stalled.bytes,
        before_kib,
        grew_kib,
        grew_after_kib: after_kib.saturating_sub(before_kib),
        live_p99_us: live.p99_us,
        live_slowest_us: live.slowest_us,
        stalled_p99_us: stalled.p99_us,
        stalled_slowest_us: stalled.slowest_us,
    });
    ensure!(stalled.connected, "the receiver was given up, and so nothing waited for it");
    ensure!(
        grew_kib <= GREW_KIB_MAX,
        "the sender's memory grew by {grew_kib} KiB beside {before_kib} KiB; {GREW_KIB_MAX} are allowed"
    );
    let slowest = Duration::from_micros(stalled.slowest_us);
    ensure!(slowest <= COMMIT_MAX, "a commit took {slowest:?} while the receiver stood still");
    let mut nodes = [sender, receiver];
    converge(&mut nodes)?;
    nodes.iter_mut().try_for_each(Node::close)
}

fn make(folder: &Path, seed: u64, at: u64) -> Result<Node> {
    let home = folder.join(format!("n{at}"));
    std::fs::create_dir(&home)?;
    let task = Task {
        path: home.join("app.blaze"),
        password: None,
        disk: false,
        name: format!("node{at}"),
        seed: mix(seed, at),
        lanes: Vec::new(),
        listen: Some(endpoint(folder, at)),
        connect: (at > 0).then(|| endpoint(folder, 0)).into_iter().collect(),
        writes: false,
        patient: true,
    };
    Ok(Node::new(task, at * LANES, None))
}

/// Lets a node write, and looks at its memory meanwhile.
fn flood(node: &mut Node, time: Duration) -> Result<(Flooded, u64)> {
    node.tell(Command::Flood { ms: u64::try_from(time.as_millis())? })?;
    let (started, mut most_kib) = (Instant::now(), 0);
    while started.elapsed() < PATIENCE {
        most_kib = most_kib.max(Memory::of(node)?.now_kib);
        if let Some(Said::Flooded(flooded)) = node.poll()? {
            return Ok((flooded, most_kib));
        }
        sleep(Duration::from_millis(10));
    }
    bail!("{} hangs: it has not written in {} s", node.task.name, PATIENCE.as_secs())
}

/// How much of a process is in memory.
#[derive(Debug, Clone, Copy)]
struct Memory {
    now_kib: u64,
    peak_kib: u64,
}

impl Memory {
    fn of(node: &Node) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid()?))?;
        let field = |name: &str| {
            let rest = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = rest.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
            kib.with_context(|| format!("a process has no {name}"))
        };
        Ok(Self { now_kib: field("VmRSS:")?, peak_kib: field("VmHWM:")? })
    }

    /// From now on the peak is that of what follows.
    fn forget_peak(node: &Node) -> Result<()> {
        let file = format!("/proc/{}/clear_refs", node.pid()?);
        std::fs::write(&file, "5").with_context(|| format!("can't write {file}"))
    }
}
