//! `cargo xtask bench`: the benchmarks, which are a workspace of their own.

use std::process::Command;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::cargo::{self, Workspace};

const MANIFEST: &str = "xtask/bench/Cargo.toml";

/// Measure how fast Blaze is; without a target, everything.
///
/// Benchmarks are a workspace of their own in xtask/bench, so that neither a
/// user's build nor CI compiles what only they depend on. Close other programs
/// first: figures of a busy machine mean nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask bench                          everything
  cargo xtask bench codec                    BlazeBinary
  cargo xtask bench merge --save-baseline x  merging, kept for a later comparison
  cargo xtask bench e2e --help               what the end-to-end benchmark takes")]
pub(crate) struct Bench {
    /// What to measure.
    target: Option<Target>,
    /// Arguments for the benchmark itself.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Target {
    /// Encoding and decoding (criterion).
    Codec,
    /// Merging operations into records (criterion).
    Merge,
    /// Replicas in sync over real transports.
    E2e,
}

impl Bench {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        if !workspace.path(MANIFEST).exists() {
            bail!("there are no benchmarks: {MANIFEST} doesn't exist");
        }
        let targets = self.target.as_ref().map_or(Target::value_variants(), std::slice::from_ref);
        for target in targets {
            cargo::run(target.command(workspace).args(&self.args))?;
        }
        Ok(())
    }
}

impl Target {
    fn command(self, workspace: &Workspace) -> Command {
        let (subcommand, what) = match self {
            Self::Codec => (&["bench"][..], ["--bench", "codec"]),
            Self::Merge => (&["bench"][..], ["--bench", "merge"]),
            Self::E2e => (&["run", "--release"][..], ["--bin", "e2e"]),
        };
        let mut command = workspace.cargo(subcommand);
        command.args(["--manifest-path", MANIFEST, "--target-dir", "target"]);
        command.args(what).arg("--");
        command
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::Bench;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        bench: Bench,
    }

    #[test]
    fn all_that_follows_the_target_is_the_benchmarks_own() {
        let line = Line::parse_from(["bench", "e2e", "--nodes", "3", "--help"]);
        assert_eq!(line.bench.args, ["--nodes", "3", "--help"]);
        assert!(Line::try_parse_from(["bench", "unknown"]).is_err());
    }
}
