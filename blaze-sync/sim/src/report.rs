//! What a run found out: counts if it passed, a story if it failed.

use std::collections::BTreeMap;
use std::fmt;

use crate::fault::Fault;
use crate::{Scenario, Shape};

/// What happened in runs that passed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many runs.
    pub seeds: u64,
    /// The hash of all that happened; of several runs, all hashes together.
    pub hash: u64,
    /// How often each fault really happened.
    pub faults: BTreeMap<Fault, u64>,
    /// How often each scenario came to its end.
    pub scenarios: BTreeMap<Scenario, u64>,
    /// How often each message, phase, error and path was seen.
    pub coverage: BTreeMap<String, u64>,
    /// Runs a shape.
    pub shapes: BTreeMap<Shape, u64>,
    /// Commits that were made.
    pub commits: u64,
    /// Operations that were committed.
    pub operations: u64,
    /// Operations that arrived over a link.
    pub crossings: u64,
    /// The same a shape, in runs without faults in which every link goes both ways.
    pub quiet: BTreeMap<Shape, Crossings>,
    /// Milliseconds of virtual time.
    pub virtual_ms: u64,
}

/// How often operations crossed links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Crossings {
    /// Operations that arrived over a link.
    pub arrived: u64,
    /// Operations times links that they had to cross once at least.
    pub wanted: u64,
}

impl Report {
    /// Adds what happened in other runs; the order makes no difference.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.hash ^= other.hash;
        self.commits += other.commits;
        self.operations += other.operations;
        self.crossings += other.crossings;
        self.virtual_ms += other.virtual_ms;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (scenario, count) in &other.scenarios {
            *self.scenarios.entry(*scenario).or_default() += count;
        }
        for (seen, count) in &other.coverage {
            *self.coverage.entry(seen.clone()).or_default() += count;
        }
        for (shape, count) in &other.shapes {
            *self.shapes.entry(*shape).or_default() += count;
        }
        for (shape, crossings) in &other.quiet {
            let sum = self.quiet.entry(*shape).or_default();
            sum.arrived += crossings.arrived;
            sum.wanted += crossings.wanted;
        }
    }

    pub(crate) fn saw(&mut self, what: &str) {
        self.saw_times(what, 1);
    }

    pub(crate) fn saw_times(&mut self, what: &str, times: u64) {
        if let Some(count) = self.coverage.get_mut(what) {
            *count += times;
        } else if times > 0 {
            self.coverage.insert(what.to_owned(), times);
        }
    }
}

/// A run in which something was not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What must hold and didn't.
    pub check: &'static str,
    /// What was found instead.
    pub message: String,
    /// The last lines of the story, if it was asked for.
    pub story: Vec<String>,
    /// The hash of all that happened.
    pub hash: u64,
    /// How many steps had been done.
    pub steps: usize,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} after {} steps: {}: {}", self.seed, self.steps, self.check, self.message)
    }
}
