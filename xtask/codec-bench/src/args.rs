//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::workload::{BATCHES, Workload};

const PASSES: usize = 5;
const MS: u64 = 50;
const QUICK_MS: u64 = 5;

/// Measure BlazeBinary beside other formats: bytes, encoding, decoding, walking.
///
/// Every format gets the same operations in types that are natural to it, and has to
/// give them back unchanged before it is timed. A pass measures one row after the
/// other, and within a row one format after the other, so that what else the machine
/// does meets all alike; figures are medians over the passes, in nanoseconds an
/// operation. Compare within a run: another run's figures may lie 40 % off.
///
/// Workloads are 1,000 operations each: new issues of a bug tracker (bug), rows of
/// eight numbers (sensor), changes of one field (update), nested records with 1 KiB of
/// random bytes (blob), and these in turns (mixed).
#[derive(Debug, Parser)]
#[command(name = "codec", bin_name = "cargo xtask bench codec", max_term_width = 90)]
#[command(after_help = "Examples:
  cargo xtask bench codec                               everything, about 3 minutes
  cargo xtask bench codec --quick                       a first impression, in seconds
  cargo xtask bench codec --workload bug --batch 1000   one row
  cargo xtask bench codec --write docs/bench/codec.md   what is in the repository")]
pub(crate) struct Args {
    /// One pass of 5 ms for each figure.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure only these.
    #[arg(long, value_delimiter = ',')]
    workload: Vec<Workload>,
    /// Measure only batches of so many operations [default: 1,10,1000].
    #[arg(long, value_delimiter = ',', value_parser = batch)]
    batch: Vec<usize>,
    /// How often everything is measured [default: 5, with --quick 1].
    #[arg(long)]
    passes: Option<usize>,
    /// Milliseconds for each figure of a pass [default: 50, with --quick 5].
    #[arg(long)]
    ms: Option<u64>,
    /// Print JSON instead of Markdown.
    #[arg(long)]
    pub(crate) json: bool,
    /// Save the Markdown there, and a plot beside it as SVG.
    #[arg(long, value_name = "FILE.md")]
    pub(crate) write: Option<PathBuf>,
}

impl Args {
    /// What is measured, in the order of the report.
    pub(crate) fn rows(&self) -> Vec<(Workload, usize)> {
        let all =
            [Workload::Bug, Workload::Sensor, Workload::Update, Workload::Blob, Workload::Mixed];
        let workloads =
            all.into_iter().filter(|one| self.workload.is_empty() || self.workload.contains(one));
        let batches = |workload| {
            let wanted = |batch: &usize| self.batch.is_empty() || self.batch.contains(batch);
            BATCHES.into_iter().filter(wanted).map(move |batch| (workload, batch))
        };
        workloads.flat_map(batches).collect()
    }

    pub(crate) fn passes(&self) -> usize {
        self.passes.unwrap_or(if self.quick { 1 } else { PASSES }).max(1)
    }

    pub(crate) fn budget(&self) -> Duration {
        Duration::from_millis(self.ms.unwrap_or(if self.quick { QUICK_MS } else { MS }))
    }
}

fn batch(text: &str) -> Result<usize, String> {
    let batch = text.parse().ok().filter(|batch| BATCHES.contains(batch));
    batch.ok_or_else(|| format!("batches are of 1, 10 or 1000 operations, not {text}"))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::Args;
    use crate::workload::Workload;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn rows_are_those_asked_for() {
        let rows = |line: &[&str]| Args::parse_from([&["codec"], line].concat()).rows();
        assert_eq!(rows(&[]).len(), 15);
        let some = rows(&["--workload", "blob,bug", "--batch", "10"]);
        assert_eq!(some, [(Workload::Bug, 10), (Workload::Blob, 10)]);
        assert!(Args::try_parse_from(["codec", "--batch", "7"]).is_err());
    }
}
