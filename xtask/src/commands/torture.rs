//! `cargo xtask torture`: kills, power cuts and failing disks.

use anyhow::Result;
use clap::Args;

use crate::cargo::{self, Workspace};

/// Kill processes, cut the power and fail the disk under real databases.
///
/// It takes minutes, so it is no part of `cargo xtask ci`; the tests run a few dozen
/// cases of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask torture                      everything, for 3 minutes
  cargo xtask torture --kills --minutes 10 only kills
  cargo xtask torture -- --help            all that it takes")]
pub(crate) struct Torture {
    /// Arguments for the program itself.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Torture {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let mut command =
            workspace.cargo(&["run", "--quiet", "--release", "--package", "blaze-torture", "--"]);
        cargo::run(command.args(&self.args))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::Torture;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        torture: Torture,
    }

    #[test]
    fn all_arguments_are_the_programs_own() {
        let line = Line::parse_from(["torture", "--kills", "--minutes", "10"]);
        assert_eq!(line.torture.args, ["--kills", "--minutes", "10"]);
    }
}
