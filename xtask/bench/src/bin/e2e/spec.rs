//! What one run measures: the spec that a worker is started with, and what it says back.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use blaze_sync::Durability;
use clap::ValueEnum;
use rustix::time::ClockId;
use serde::{Deserialize, Serialize};

use crate::alternatives::Alternative;
use crate::scale;

/// Everything that a worker has to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) system: System,
    pub(crate) case: Case,
    pub(crate) runtime: RuntimeKind,
    pub(crate) side: Side,
    /// The run's own, empty before it.
    pub(crate) directory: PathBuf,
}

/// What is measured, over what, into what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) workload: Workload,
    pub(crate) transport: Transport,
    pub(crate) store: Store,
}

/// Blaze, the least that any other way could cost, or another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum System {
    Floor,
    Blaze,
    Alternative(Alternative),
}

/// The side that has the data and listens, the one that gets it and connects, or
/// both in one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Side {
    Source,
    Replica { endpoint: String },
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// Two processes over a Unix domain socket.
    Unix,
    /// Two processes over TCP on loopback.
    Tcp,
    /// One process, over a queue.
    Mem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Store {
    /// Nothing is stored: what the wire alone costs. Has a floor only.
    Nothing,
    /// In memory.
    Memory,
    /// `SQLite`: survives the end of the process.
    Process,
    /// `SQLite`: survives a power cut.
    Disk,
    /// As process, encrypted.
    ProcessEncrypted,
    /// As disk, encrypted.
    DiskEncrypted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// One operation in flight: from before the insert until the replica's
    /// observer has it.
    Latency { warm_up: usize, count: usize },
    /// Transactions one after the other, until the replica has acknowledged all.
    Stream { operations: usize, per_transaction: usize },
    /// From connecting an empty replica until it has everything.
    Sync { records: usize },
    /// From connecting until the first change is visible.
    Connect { count: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RuntimeKind {
    /// Tokio's multi-thread runtime with two workers.
    Multi,
    /// Tokio's runtime of one thread.
    Current,
}

/// What a worker says, one a line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    /// The source can be connected to.
    Ready { endpoint: String },
    /// The worker's part is done.
    Done(Outcome),
    /// It can't go on.
    Failed { error: String },
}

/// What a worker measured; empty where the other side does.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// How long each operation or connection took.
    pub(crate) samples_ns: Vec<u64>,
    /// How long each local commit took.
    pub(crate) commits_ns: Vec<u64>,
    /// How long all of it took.
    pub(crate) elapsed_ns: u64,
    /// The worker's peak of resident memory.
    pub(crate) rss_kib: u64,
    /// What only the workloads measure that show how cost grows.
    #[serde(default)]
    pub(crate) scale: scale::Outcome,
}

/// Which worker tells when the other may stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lead {
    Source,
    Replica,
}

impl Spec {
    /// Where the source listens.
    pub(crate) fn endpoint(&self) -> String {
        match self.case.transport {
            Transport::Unix => format!("unix:{}", self.directory.join("bench.sock").display()),
            Transport::Tcp => "tcp://127.0.0.1:0".to_owned(),
            Transport::Mem => "mem:bench".to_owned(),
        }
    }
}

impl Workload {
    pub(crate) const fn lead(self) -> Lead {
        match self {
            Self::Latency { .. } | Self::Stream { .. } => Lead::Source,
            Self::Sync { .. } | Self::Connect { .. } => Lead::Replica,
        }
    }

    /// What is counted: operations, records or connections.
    pub(crate) const fn count(self) -> usize {
        match self {
            Self::Latency { count, .. } | Self::Connect { count } => count,
            Self::Stream { operations, .. } => operations,
            Self::Sync { records } => records,
        }
    }
}

impl Store {
    pub(crate) const fn encrypted(self) -> bool {
        matches!(self, Self::ProcessEncrypted | Self::DiskEncrypted)
    }

    /// Whether there is anything to store in.
    pub(crate) const fn stores(self) -> bool {
        !matches!(self, Self::Nothing)
    }

    pub(crate) const fn durability(self) -> Durability {
        match self {
            Self::Nothing | Self::Memory => Durability::Memory,
            Self::Process | Self::ProcessEncrypted => Durability::Process,
            Self::Disk | Self::DiskEncrypted => Durability::Disk,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
            Self::Mem => "mem",
        })
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "nothing",
            Self::Memory => "memory",
            Self::Process => "process",
            Self::Disk => "disk",
            Self::ProcessEncrypted => "process, encrypted",
            Self::DiskEncrypted => "disk, encrypted",
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, transport, store } = self;
        match workload {
            Workload::Latency { .. } => write!(f, "latency")?,
            Workload::Stream { per_transaction, .. } => write!(f, "stream by {per_transaction}")?,
            Workload::Sync { .. } => write!(f, "sync")?,
            Workload::Connect { .. } => write!(f, "connect")?,
        }
        write!(f, " · {transport} · {store}")
    }
}

/// The monotonic clock, which all processes of a machine share.
pub(crate) fn monotonic_ns() -> u64 {
    clock_ns(ClockId::Monotonic)
}

/// The CPU time that this process has taken.
pub(crate) fn cpu_ns() -> u64 {
    clock_ns(ClockId::ProcessCPUTime)
}

fn clock_ns(clock: ClockId) -> u64 {
    let now = rustix::time::clock_gettime(clock);
    (now.tv_sec.cast_unsigned() * 1_000_000_000) + now.tv_nsec.cast_unsigned()
}

/// The peak of this process's resident memory.
pub(crate) fn peak_rss_kib() -> Result<u64> {
    status_kib("VmHWM:")
}

/// This process's resident memory but for what lies in files, as its program does.
pub(crate) fn anonymous_rss_bytes() -> Result<u64> {
    Ok(status_kib("RssAnon:")? * 1024)
}

fn status_kib(what: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let found = status.lines().find_map(|line| line.strip_prefix(what));
    let found = found.and_then(|found| found.split_whitespace().next());
    Ok(found.with_context(|| format!("the system tells no {what}"))?.parse()?)
}
