//! Figures that Blaze has to reach, and figures that it would like to.

use serde::Serialize;

use crate::plan::BATCH;
use crate::rounds::Measured;
use crate::spec::{Store, Transport, Workload};

/// A figure with its limit.
#[derive(Debug, Serialize)]
pub(crate) struct Mark {
    pub(crate) what: &'static str,
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
    let Measured { case, floor: Some(floor), blaze: Some(blaze) } = measured else {
        return Vec::new();
    };
    let latency = |what, limit_us, what_ratio, limit_ratio| {
        let found = std::time::Duration::from_nanos(blaze.p50_ns).as_secs_f64() * 1e6;
        let ratio = blaze.ratio(floor, case.workload);
        vec![
            Mark { what, entry: true, limit: limit_us, found, unit: " µs", at_least: false },
            Mark {
                what: what_ratio,
                entry: false,
                limit: limit_ratio,
                found: ratio,
                unit: "×",
                at_least: false,
            },
        ]
    };
    let rate = |what, limit| {
        let found = blaze.per_second(case.workload);
        vec![Mark { what, entry: false, limit, found, unit: "/s", at_least: true }]
    };
    match (case.transport, case.workload, case.store) {
        (Transport::Unix, Workload::Latency { .. }, Store::Memory) => {
            latency("latency in memory, p50", 60.0, "latency in memory, of the floor", 1.5)
        }
        (Transport::Unix, Workload::Latency { .. }, Store::Process) => {
            latency("latency with process, p50", 250.0, "latency with process, of the floor", 1.4)
        }
        (Transport::Unix, Workload::Stream { per_transaction: BATCH, .. }, Store::Memory) => {
            rate("streaming in memory", 1e6)
        }
        (Transport::Unix, Workload::Stream { per_transaction: BATCH, .. }, Store::Process) => {
            rate("streaming with process", 2e5)
        }
        _ => Vec::new(),
    }
}
