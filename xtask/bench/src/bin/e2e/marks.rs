//! Figures that Blaze has to reach, and figures that it would like to.

use serde::Serialize;

use crate::plan::BATCH;
use crate::rounds::Measured;
use crate::spec::{Store, Transport, Workload};

/// A figure with its limit.
#[derive(Debug, Serialize)]
pub(crate) struct Mark {
    pub(crate) what: String,
    /// Whether missing it is a failure.
    pub(crate) entry: bool,
    pub(crate) limit: f64,
    pub(crate) found: f64,
    pub(crate) unit: &'static str,
    /// Whether the limit is to be exceeded.
    pub(crate) at_least: bool,
}

impl Mark {
    /// The marks of what was measured, all over the Unix socket.
    pub(crate) fn judge(measured: &[Measured]) -> Vec<Self> {
        measured.iter().flat_map(marks).collect()
    }

    pub(crate) fn reached(&self) -> bool {
        if self.at_least { self.found >= self.limit } else { self.found <= self.limit }
    }

    pub(crate) fn fails(&self) -> bool {
        self.entry && !self.reached()
    }
}

fn marks(measured: &Measured) -> Vec<Mark> {
    let Measured { case, floor: Some(floor), blaze: Some(blaze), .. } = measured else {
        return Vec::new();
    };
    let goal = |what: &str, found, limit, unit| Mark {
        what: what.to_owned(),
        entry: false,
        limit,
        found,
        unit,
        at_least: unit == PER_SECOND,
    };
    let ratio = blaze.ratio(floor, case.workload);
    let entry = |what, limit| {
        let found = std::time::Duration::from_nanos(blaze.p50_ns).as_secs_f64() * 1e6;
        Mark { entry: true, ..goal(what, found, limit, " µs") }
    };
    let rate = |what, limit| goal(what, blaze.per_second(case.workload), limit, PER_SECOND);
    if case.transport != Transport::Unix {
        return Vec::new();
    }
    match (case.workload, case.store) {
        (Workload::Latency { .. }, Store::Memory) => vec![
            entry("latency in memory, p50", 60.0),
            goal("latency in memory, of the floor", ratio, 1.5, "×"),
        ],
        (Workload::Latency { .. }, Store::Process) => vec![
            entry("latency with process, p50", 250.0),
            goal("latency with process, of the floor", ratio, 1.4, "×"),
        ],
        (Workload::Latency { .. }, Store::Disk) => {
            vec![goal("latency with disk, of the floor", ratio, 1.15, "×")]
        }
        (Workload::Stream { per_transaction: BATCH, .. }, Store::Memory) => {
            vec![rate("streaming in memory", 1e6)]
        }
        (Workload::Stream { per_transaction: BATCH, .. }, Store::Process) => {
            vec![rate("streaming with process", 2e5)]
        }
        (Workload::Stream { per_transaction: BATCH, .. }, Store::Disk) => {
            vec![rate("streaming with disk", 1.3e5)]
        }
        (Workload::Sync { .. }, Store::Process) => {
            let most = blaze.peak_rss_kib.iter().max().copied().unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "a figure to be printed")]
            let most = most as f64 / 1024.0;
            vec![
                goal("first sync with process, of the floor", ratio, 1.5, "×"),
                goal("first sync with process, memory", most, 64.0, " MiB"),
            ]
        }
        _ => Vec::new(),
    }
}

const PER_SECOND: &str = "/s";
