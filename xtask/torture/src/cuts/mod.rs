//! Power cuts and failing disks under the SQLite adapter: one file, round after round.

mod check;
mod drive;
mod history;
mod worker;

use std::path::PathBuf;

use blaze_codec::{Checkpoint, Incarnation, NodeId, Seq};
use serde::{Deserialize, Serialize};

pub(crate) use check::integrity;
pub(crate) use drive::{Tally, Trial, run};
pub(crate) use worker::work;

use crate::plan::Size;

/// The lane whose commits are merges of a peer's feed.
const MERGING: u64 = 0;

/// What a worker is told: to open a database and commit, phase after phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    path: PathBuf,
    password: Option<String>,
    seed: u64,
    lanes: u64,
    size: Size,
    phases: Vec<Phase>,
    /// Whether errors are expected, and told instead of ending the worker.
    errors: bool,
}

/// From one opening of the file to its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Phase {
    /// Durability `Disk`, else `Process`.
    disk: bool,
    /// Commits of each lane.
    commits: u64,
    /// Closed at the end, else dropped.
    close: bool,
}

/// What a worker says.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Said {
    /// A phase begins, at durability `Disk` or not.
    Begun { disk: bool },
    /// The database is open.
    Opened,
    /// A lane begins, where the file has this commit as its last.
    At { lane: u64, number: u64 },
    /// A commit or a merge returned.
    Acked(Ack),
    /// It failed.
    Refused { lane: u64, unknown: bool, halted: bool, why: String },
    /// The database couldn't be opened or closed.
    Failed(String),
}

/// What is known of an acknowledged commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Ack {
    lane: u64,
    number: u64,
    seq: u64,
    incarnation: u64,
    disk: bool,
}

/// The peer that the merging lane pretends to be.
fn peer() -> NodeId {
    NodeId::from_bytes([0xee; 16])
}

/// How far its feed is merged after so many merges.
fn checkpoint(number: u64) -> Checkpoint {
    Checkpoint { incarnation: Incarnation(7), seq: Seq(number) }
}
