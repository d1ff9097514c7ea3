//! How cost grows with what there is: records, transactions, bytes and peers.
//!
//! All of it over the Unix socket, in two processes, beside the same on a bare
//! stream. What a worker is told and what it says back is here.

mod found;
mod marks;
mod measure;
mod plan;
mod report;

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub(crate) use self::found::{Figure, float};
pub(crate) use self::marks::judge;
pub(crate) use self::measure::{Row, measure};
pub(crate) use self::report::write;
use crate::spec::{RuntimeKind, Side, Store, System};

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// Records that both sides hold before.
    Records,
    /// Operations of a transaction.
    Transaction,
    /// Bytes of a record.
    Bytes,
    /// Peers of one hub.
    Peers,
}

/// One size of what grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) part: Part,
    /// The source's; the replica's too, but peers of a hub are in memory.
    pub(crate) store: Store,
    pub(crate) work: Work,
}

/// What the two workers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Work {
    Load(Load),
    Hub(Hub),
}

/// A source and a replica; what has no count isn't measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Records that both have when it begins.
    pub(crate) held: usize,
    /// About what a record takes.
    pub(crate) record_bytes: usize,
    /// Inserts with one in flight, and those before that don't count.
    pub(crate) singles: usize,
    pub(crate) warm_up: usize,
    /// Inserts that stream.
    pub(crate) operations: usize,
    /// Updates of held records in random order, that stream.
    pub(crate) updates: usize,
    /// Operations of a transaction that streams.
    pub(crate) per_transaction: usize,
}

/// A source with many replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hub {
    pub(crate) peers: usize,
    /// For how long nothing is done, to see what that costs.
    pub(crate) idle_ms: u64,
    /// Inserts with one in flight, and those before that don't count.
    pub(crate) singles: usize,
    pub(crate) warm_up: usize,
}

/// Everything that a worker has to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) system: System,
    pub(crate) point: Point,
    pub(crate) runtime: RuntimeKind,
    pub(crate) side: Side,
    /// The run's own, empty before it.
    pub(crate) directory: PathBuf,
}

/// What a worker measured beside what every worker may; 0 and empty where the
/// other side does, or it isn't asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// How long the inserts took that streamed.
    pub(crate) stream_ns: u64,
    /// How long the updates took.
    pub(crate) updates_ns: u64,
    /// How long each commit took until all peers had acknowledged it.
    pub(crate) acked_ns: Vec<u64>,
    /// CPU time that the hub took while nothing was done, and for how long that was.
    pub(crate) idle_cpu_ns: u64,
    pub(crate) idle_ns: u64,
    /// By how much more memory the hub had with its peers than before.
    pub(crate) peers_bytes: u64,
}

/// Keeps the longer of both times, for each commit.
pub(crate) fn keep_longer(longest_ns: &mut [u64], others_ns: &[u64]) {
    for (longest, other) in longest_ns.iter_mut().zip(others_ns) {
        *longest = (*longest).max(*other);
    }
}

impl Spec {
    /// Where the source listens.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix:{}", self.directory.join("bench.sock").display())
    }
}

impl Point {
    /// The size itself.
    pub(crate) const fn size(&self) -> usize {
        match (self.part, self.work) {
            (_, Work::Hub(hub)) => hub.peers,
            (Part::Transaction, Work::Load(load)) => load.per_transaction,
            (Part::Bytes, Work::Load(load)) => load.record_bytes,
            (_, Work::Load(load)) => load.held,
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, store) = (self.size(), self.store);
        match self.part {
            Part::Records => write!(f, "with {size} records · {store}"),
            Part::Transaction => write!(f, "{size} operations a transaction · {store}"),
            Part::Bytes => write!(f, "records of {size} bytes · {store}"),
            Part::Peers => write!(f, "{size} peers · {store}"),
        }
    }
}
