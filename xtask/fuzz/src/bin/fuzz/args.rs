//! The command line.

use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

use blaze_fuzz::Target;
use clap::Parser;
use clap::builder::PossibleValuesParser;

/// Give the codec and the sessions hostile bytes, and keep them within their memory.
///
/// Without --smoke it is guided by coverage: libFuzzer, which needs a C++ compiler, runs
/// each target for a minute from the golden vectors, generated inputs and what earlier runs
/// found, all of which is in target/fuzz/corpus. A find is a panic, a promise that doesn't
/// hold, an input that takes 10 s, or more memory than a target allows for it; it is saved,
/// and the command that runs it again is printed.
///
/// Targets: batch (bytes as a batch), operation (valid operations, and changes of their
/// bytes), dictionary (definitions, and a batch by them), record (values, also as JSON and
/// as types), frame (streams in pieces), hello (messages) and session (what a peer sends,
/// and when). docs/testing.md says what each promises.
#[derive(Debug, Parser)]
#[command(name = "fuzz", bin_name = "cargo xtask fuzz", max_term_width = 90)]
#[command(after_help = "Examples:
  cargo xtask fuzz                            every target for a minute
  cargo xtask fuzz batch frame --minutes 30   two of them for half an hour
  cargo xtask fuzz --smoke                    what CI runs: 20 s, and no C++
  cargo xtask fuzz batch --replay FILE        one input again
  cargo xtask fuzz --keep                     store the most telling inputs in the repository")]
pub(crate) struct Args {
    /// What to fuzz [default: everything].
    #[arg(value_name = "TARGET", value_parser = PossibleValuesParser::new(NAMES))]
    targets: Vec<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) minutes: f64,
    /// How many targets run at once [default: a processor each].
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
    /// Only the stored inputs and random changes of them, without libFuzzer.
    #[arg(long)]
    pub(crate) smoke: bool,
    /// With --smoke: how many changed inputs a target gets.
    #[arg(long, default_value_t = 50_000)]
    pub(crate) inputs: u64,
    /// With --smoke: what the changes follow from [default: another one each time].
    #[arg(long)]
    seed: Option<u64>,
    /// Run a target with this input.
    #[arg(long, value_name = "FILE", conflicts_with = "smoke")]
    pub(crate) replay: Option<PathBuf>,
    /// Choose the inputs that reach most, and store them in xtask/fuzz/corpus.
    #[arg(long, conflicts_with_all = ["smoke", "replay"])]
    pub(crate) keep: bool,
}

const NAMES: [&str; Target::ALL.len()] = {
    let mut names = [""; Target::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Target::ALL[at].name();
        at += 1;
    }
    names
};

impl Args {
    pub(crate) fn targets(&self) -> Vec<Target> {
        let wanted = |target: &Target| {
            self.targets.is_empty() || self.targets.iter().any(|name| name == target.name())
        };
        Target::ALL.into_iter().filter(wanted).collect()
    }

    pub(crate) fn jobs(&self) -> usize {
        self.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get)
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| fastrand::u64(..))
    }
}

#[cfg(test)]
mod tests {
    use blaze_fuzz::Target;
    use clap::{CommandFactory as _, Parser as _};

    use super::Args;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn targets_are_those_asked_for() {
        let targets = |line: &[&str]| Args::parse_from([&["fuzz"], line].concat()).targets();
        assert_eq!(targets(&[]), Target::ALL);
        assert_eq!(targets(&["session", "batch"]), [Target::Batch, Target::Session]);
        assert!(Args::try_parse_from(["fuzz", "unknown"]).is_err());
        assert!(Args::try_parse_from(["fuzz", "--keep", "--smoke"]).is_err());
    }
}
