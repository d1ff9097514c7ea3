//! `cargo xtask attack`: attacks on a real hub.

use anyhow::Result;
use clap::Args;

use crate::cargo::{self, Workspace};

/// Attack a hub, `blaze serve`, while two honest peers keep committing through it.
///
/// It builds the program in release first. A full run takes about 6 minutes, so it is no part
/// of `cargo xtask ci`; the tests run a little of everything.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
#[command(after_help = "Examples:
  cargo xtask attack                   everything, as a table in Markdown
  cargo xtask attack --quick           a little of everything, within a minute
  cargo xtask attack --attack noise    one attack
  cargo xtask attack --help            all that it takes")]
pub(crate) struct Attack {
    /// Arguments for the program itself.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Attack {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let build = ["build", "--quiet", "--release", "--package", "blaze-sync-cli"];
        cargo::run(&mut workspace.cargo(&build))?;
        let program = ["run", "--quiet", "--release", "--package", "blaze-attack", "--"];
        cargo::run(workspace.cargo(&program).args(&self.args))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::Attack;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        attack: Attack,
    }

    #[test]
    fn all_arguments_are_the_programs_own() {
        let line = Line::parse_from(["attack", "--quick", "--attack", "noise", "--help"]);
        assert_eq!(line.attack.args, ["--quick", "--attack", "noise", "--help"]);
    }
}
