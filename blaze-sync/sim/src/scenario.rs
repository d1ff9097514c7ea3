//! Schedules of writes and faults that chance draws too seldom: which there are, and with
//! what a seed runs them.

use std::fmt;

use crate::fault::{Fault, Faults};
use crate::plan::LinkPlan;
use crate::rng::Rng;

/// A schedule of writes and faults at two linked nodes, the near and the far one, while all
/// else goes on at random. Each step waits until what the one before did shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// A delete of the near node's settles, and then the far one goes back to a backup that
    /// has the record. It comes again and reads slowly, while the near one removes
    /// tombstones.
    PeerRestored,
    /// The far node is away for longer than the lease, and a record that it has is deleted
    /// and forgotten. It comes again, and the near one's disk is full when its roll arrives.
    RollBrokenOff,
    /// Of two links one stands still. What the far node wrote comes over the other, is
    /// deleted, and the near node removes tombstones.
    LinkBehind,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PeerRestored, Self::RollBrokenOff, Self::LinkBehind];

    /// Whether all faults that are part of it are switched on.
    pub const fn is_on(self, faults: &Faults) -> bool {
        match self {
            Self::PeerRestored => faults.has(Fault::Restore) && faults.has(Fault::SlowReader),
            Self::RollBrokenOff => faults.has(Fault::Restart) && faults.has(Fault::DiskFull),
            Self::LinkBehind => faults.has(Fault::Partition),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PeerRestored => "peer-restored",
            Self::RollBrokenOff => "roll-broken-off",
            Self::LinkBehind => "link-behind",
        })
    }
}

/// With what a seed runs a scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScenarioPlan {
    pub(crate) scenario: Scenario,
    /// A link of the two nodes.
    pub(crate) link: usize,
    pub(crate) near: usize,
    pub(crate) far: usize,
    pub(crate) begins_ms: u64,
    /// How long the far node is down, or a step waits.
    pub(crate) wait_ms: u64,
    /// How long what is wrong lasts.
    pub(crate) lasts_ms: u64,
}

impl ScenarioPlan {
    pub(crate) fn draw(rng: &mut Rng, scenario: Scenario, links: &[LinkPlan]) -> Option<Self> {
        let neighbours = |node: usize| {
            links.iter().filter(|link| link.connector == node || link.acceptor == node).count()
        };
        let ends = links.iter().enumerate().flat_map(|(index, link)| {
            [(index, link.connector, link.acceptor), (index, link.acceptor, link.connector)]
        });
        let ends = ends.collect::<Vec<_>>();
        // What goes wrong between the two others would mend, had they links to the far one.
        let alone = ends.iter().copied().filter(|(_, _, far)| neighbours(*far) == 1);
        let alone = alone.collect::<Vec<_>>();
        let (link, near, far) = rng.pick(if alone.is_empty() { &ends } else { &alone })?;
        Some(Self {
            scenario,
            link,
            near,
            far,
            begins_ms: rng.between(0, 2_000),
            wait_ms: rng.between(5, 200),
            lasts_ms: rng.between(200, 1_000),
        })
    }
}
