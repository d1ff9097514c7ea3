//! What a run is told beside its seed.

use crate::{Canary, Driver, Faults, Shape};

/// What a run is told beside its seed. The default is what CI runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// What goes wrong. Default: all that the protocol is said to stand.
    pub faults: Faults,
    /// A deliberate bug. Default: none.
    pub canary: Option<Canary>,
    /// The most steps that are done, of those that the seed draws. Default: all.
    pub steps_max: usize,
    /// How many of a hundred seeds are large and without faults. Default: 10.
    pub large_percent: u64,
    /// In how many of a hundred seeds some nodes compress what they send, and some can't
    /// read that. Default: 25.
    pub compressed_percent: u64,
    /// How many of a hundred seeds run each of the scenarios. Default: 4.
    pub scenario_percent: u64,
    /// In how many of a hundred seeds some links are limited to a part of the database.
    /// Default: 40.
    pub scope_percent: u64,
    /// In how many of a hundred of those the limited ones have other peers, too:
    /// where their policies contradict each other in a cycle, few may never rest. Default: 0.
    pub pass_percent: u64,
    /// A shape and its number of nodes, all linked both ways, instead of those that the
    /// seed draws. Default: none.
    pub shape: Option<(Shape, u64)>,
    /// Whether the lines of the story are kept; a run is slower with them.
    /// Default: no.
    pub story: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            faults: Faults::default(),
            canary: None,
            steps_max: usize::MAX,
            large_percent: 10,
            compressed_percent: 25,
            scenario_percent: 4,
            scope_percent: 40,
            pass_percent: 0,
            shape: None,
            story: false,
        }
    }
}

impl Config {
    /// Whether this bug of the simulator's own driver is on.
    pub(crate) fn has(&self, canary: Driver) -> bool {
        self.canary == Some(Canary::Driver(canary))
    }
}
