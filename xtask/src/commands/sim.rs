//! `cargo xtask sim`: the simulator of whole topologies.

use anyhow::Result;
use clap::Args;

use crate::cargo::{self, Workspace};

/// Run seeds of the simulator: whole topologies with faults, on virtual time.
///
/// It is built in release, for its worth is in the number of seeds. Without arguments it
/// runs a thousand.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
#[command(after_help = "Examples:
  cargo xtask sim --seeds 10000   ten thousand seeds
  cargo xtask sim --seed 42       one seed, with its story if it fails
  cargo xtask sim --canaries      how soon each deliberate bug is found
  cargo xtask sim --help          all that the simulator takes")]
pub(crate) struct Sim {
    /// Arguments for the simulator itself.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Sim {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let program = ["run", "--quiet", "--release", "--package", "blaze-sync-sim", "--"];
        cargo::run(workspace.cargo(&program).args(&self.args))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::Sim;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        sim: Sim,
    }

    #[test]
    fn all_arguments_are_the_simulators_own() {
        let line = Line::parse_from(["sim", "--seeds", "3", "--canary", "half-committed"]);
        assert_eq!(line.sim.args, ["--seeds", "3", "--canary", "half-committed"]);
    }
}
