//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::alternatives::Alternative;
use crate::scale::Part;
use crate::spec::{RuntimeKind, Store, Transport};

const ROUNDS: usize = 3;

/// Measure how fast a commit reaches another replica, and how many a second do.
///
/// Each case runs in processes of its own, after its floor: the same commits over
/// a bare blocking socket, without Blaze. Rounds of all cases are repeated, and
/// medians over the rounds are printed as Markdown.
#[derive(Debug, Parser)]
#[command(name = "e2e")]
pub(crate) struct Args {
    /// Smaller counts, one round, fewer cases: under a minute.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure only these.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Kind>,
    /// Measure only over these transports.
    #[arg(long, value_delimiter = ',')]
    pub(crate) transport: Vec<Transport>,
    /// Measure only with these stores.
    #[arg(long, value_delimiter = ',')]
    pub(crate) store: Vec<Store>,
    /// Measure also what a user could pick instead of Blaze, as far as it is built in
    /// and its program is installed; all of it, or only these.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        num_args = 0..,
        require_equals = true,
    )]
    alternatives: Option<Vec<Alternative>>,
    /// Measure only how cost grows: with all of these, or with some. A run that isn't
    /// narrowed down otherwise, or quick, measures that after all else. 1,000 peers
    /// are left out where a process may not open as many files.
    #[arg(long, value_delimiter = ',', num_args = 0.., value_name = "WITH")]
    pub(crate) scale: Option<Vec<Part>>,
    /// How many records a first sync brings [default: 100000, with --quick 20000].
    #[arg(long)]
    pub(crate) records: Option<usize>,
    /// How often each case is measured [default: 3, with --quick 1].
    #[arg(long)]
    rounds: Option<usize>,
    /// Blaze's tokio runtime. The marks are to be judged on both.
    #[arg(long, default_value = "multi")]
    pub(crate) runtime: RuntimeKind,
    /// Where the databases lie while it runs [default: the system's temporary directory].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Print JSON instead of Markdown.
    #[arg(long)]
    pub(crate) json: bool,
    /// Save what is printed, such as in docs/bench/e2e.md, and beside Markdown its
    /// pictures.
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    /// Fail if an entry mark is missed.
    #[arg(long)]
    pub(crate) check: bool,
    #[arg(long, hide = true)]
    pub(crate) worker: Option<String>,
    /// What this process becomes.
    #[arg(long, hide = true)]
    pub(crate) program: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) scale_worker: Option<String>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// From an insert until the replica's observer has it, one in flight.
    Latency,
    /// Operations a second, acknowledged.
    Stream,
    /// The first sync of an empty replica.
    Sync,
    /// From connecting until the first change is visible.
    Connect,
}

impl Args {
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { ROUNDS }).max(1)
    }

    pub(crate) fn alternatives(&self) -> Vec<Alternative> {
        match self.alternatives.as_deref() {
            None => Vec::new(),
            Some([]) => Alternative::value_variants().to_vec(),
            Some(named) => named.to_vec(),
        }
    }

    /// What is to grow.
    pub(crate) fn parts(&self) -> Vec<Part> {
        match self.scale.as_deref() {
            Some([]) => Part::value_variants().to_vec(),
            Some(parts) => parts.to_vec(),
            None if self.quick || self.narrowed() => Vec::new(),
            None => Part::value_variants().to_vec(),
        }
    }

    /// Whether only some of the cases are asked for.
    pub(crate) const fn narrowed(&self) -> bool {
        !(self.only.is_empty() && self.transport.is_empty() && self.store.is_empty())
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(std::env::temp_dir)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::Args;
    use crate::scale::Part;

    #[test]
    fn what_grows_is_asked_for_by_nothing_or_by_name() {
        let parts = |args: &[&str]| {
            Args::try_parse_from([&["e2e"], args].concat()).expect("these are arguments").parts()
        };
        let all = [Part::Records, Part::Transaction, Part::Bytes, Part::Peers];
        assert_eq!(parts(&[]), all);
        assert_eq!(parts(&["--quick"]), []);
        assert_eq!(parts(&["--only", "latency"]), []);
        assert_eq!(parts(&["--quick", "--scale"]), all);
        assert_eq!(parts(&["--scale", "peers,bytes", "--quick"]), [Part::Peers, Part::Bytes]);
    }
}
