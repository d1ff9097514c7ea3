//! The tasks, one a file.

mod attack;
mod bench;
mod ci;
mod fuzz;
mod lint;
mod sim;
mod torture;

use anyhow::Result;
use clap::Parser;

use crate::cargo::Workspace;

/// Development tasks of the Blaze workspace.
///
/// Before a change is sent: `cargo xtask ci`. While working on it:
/// `cargo test -p CRATE` and `cargo xtask lint fmt clippy`.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 90)]
pub(crate) enum Task {
    Ci(ci::Ci),
    Lint(lint::Lint),
    Bench(bench::Bench),
    Sim(sim::Sim),
    Fuzz(fuzz::Fuzz),
    Torture(torture::Torture),
    Attack(attack::Attack),
}

impl Task {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        match self {
            Self::Ci(ci) => ci.run(workspace),
            Self::Lint(lint) => lint.run(workspace),
            Self::Bench(bench) => bench.run(workspace),
            Self::Sim(sim) => sim.run(workspace),
            Self::Fuzz(fuzz) => fuzz.run(workspace),
            Self::Torture(torture) => torture.run(workspace),
            Self::Attack(attack) => attack.run(workspace),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn arguments_are_consistent() {
        super::Task::command().debug_assert();
    }
}
