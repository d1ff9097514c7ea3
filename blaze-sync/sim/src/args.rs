//! What the program is called with.

use std::num::NonZeroUsize;
use std::ops::Range;

use blaze_sync_sim::{Canary, Config, Fault, Faults};
use clap::Parser;

/// Run the simulator: whole topologies with faults, each drawn from a seed.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim", max_term_width = 90)]
#[command(after_help = "Examples:
  cargo xtask sim --seeds 10000          ten thousand seeds
  cargo xtask sim --seed 42              one seed, with its story if it fails
  cargo xtask sim --canaries             how soon each deliberate bug is found
  cargo xtask sim --with restore,clone   faults that are off by default")]
pub(crate) struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// Run this seed only.
    #[arg(long, conflicts_with_all = ["base", "seeds"])]
    seed: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    base: u64,
    /// Switch a deliberate bug on.
    #[arg(long)]
    canary: Option<Canary>,
    /// Switch each deliberate bug on in turn, and tell after how many seeds it is found.
    #[arg(long, conflicts_with_all = ["seed", "json"])]
    pub(crate) canaries: bool,
    /// Faults to switch on beside the usual ones, with commas between.
    #[arg(long, value_delimiter = ',')]
    with: Vec<Fault>,
    /// Faults to switch off.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Fault>,
    /// The only faults to leave on; an empty text for none.
    #[arg(long)]
    only: Option<String>,
    /// The most steps of each seed that are done.
    #[arg(long)]
    steps: Option<usize>,
    /// How many of a hundred seeds are large and without faults.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=100))]
    large: u64,
    /// In how many of a hundred seeds some nodes compress what they send.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(0..=100))]
    compressed: u64,
    /// How many of a hundred seeds run each of the scenarios.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(0..=33))]
    scenarios: u64,
    /// In how many of a hundred seeds some links are limited to a part of the database.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(0..=100))]
    scopes: u64,
    /// In how many of a hundred of those the limited ones have other peers, too.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100))]
    passes: u64,
    /// How many lines of a failure's story are told: the last ones.
    #[arg(long, default_value_t = 80)]
    pub(crate) lines: usize,
    /// Threads. Default: one a core.
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Print the counts as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    /// The seeds to run.
    pub(crate) fn range(&self) -> Range<u64> {
        let first = self.seed.unwrap_or(self.base);
        first..first.saturating_add(self.seeds())
    }

    pub(crate) fn seeds(&self) -> u64 {
        if self.seed.is_some() { 1 } else { self.seeds }
    }

    pub(crate) fn jobs(&self) -> usize {
        let cores = std::thread::available_parallelism();
        self.jobs.or(cores.ok()).map_or(1, NonZeroUsize::get)
    }

    pub(crate) fn config(&self) -> Config {
        let mut faults = Faults::default();
        if let Some(only) = &self.only {
            let named = |fault: &Fault| only.split(',').any(|name| name == fault.to_string());
            let named = Fault::ALL.into_iter().filter(named);
            faults = named.fold(Faults::NONE, |faults, fault| faults.with(fault, 1));
        }
        let on = self.with.iter().map(|fault| (*fault, 1));
        let off = self.without.iter().map(|fault| (*fault, 0));
        let faults = on.chain(off).fold(faults, |all, (fault, weight)| all.with(fault, weight));
        Config {
            faults,
            canary: self.canary,
            steps_max: self.steps.unwrap_or(usize::MAX),
            large_percent: self.large,
            compressed_percent: self.compressed,
            scenario_percent: self.scenarios,
            scope_percent: self.scopes,
            pass_percent: self.passes,
            shape: None,
            story: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn arguments_are_consistent() {
        super::Args::command().debug_assert();
    }
}
