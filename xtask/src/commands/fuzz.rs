//! `cargo xtask fuzz`: hostile bytes for the codec and for sessions.

use std::env;

use anyhow::Result;
use clap::Args;

use crate::cargo::{self, Workspace};

/// Give the codec and the sessions hostile bytes, guided by coverage (libFuzzer).
///
/// It is a workspace of its own in xtask/fuzz, which nothing else builds. Guided fuzzing
/// compiles libFuzzer, which needs a C++ compiler, and runs on the stable toolchain;
/// --smoke needs neither.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
#[command(after_help = "Examples:
  cargo xtask fuzz                       every target for a minute
  cargo xtask fuzz batch --minutes 30    one target
  cargo xtask fuzz --smoke               what CI runs: 20 s, and no C++
  cargo xtask fuzz --help                all that it takes, and what the targets are")]
pub(crate) struct Fuzz {
    /// Arguments for the program itself.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Fuzz {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let mut command = workspace.cargo(&["run", "--quiet", "--release"]);
        command.args(["--manifest-path", "xtask/fuzz/Cargo.toml", "--bin", "fuzz"]);
        if env::var_os("CARGO_TARGET_DIR").is_none() {
            command.args(["--target-dir", "target"]);
        }
        cargo::run(command.arg("--").args(&self.args))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::Fuzz;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        fuzz: Fuzz,
    }

    #[test]
    fn all_arguments_are_the_programs_own() {
        for own in [&["--help"][..], &["batch", "--minutes", "3"], &["--smoke"]] {
            let line = Line::parse_from([&["fuzz"], own].concat());
            assert_eq!(line.fuzz.args, own);
        }
    }
}
