//! `cargo xtask bench`: the benchmarks, which are workspaces of their own.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::cargo::{self, Workspace};

/// Measure how fast Blaze is; without a target, everything.
///
/// Benchmarks are workspaces of their own in xtask/bench and xtask/codec-bench, so
/// that neither a user's build nor CI compiles what only they depend on. Close other
/// programs first: figures of a busy machine mean nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask bench                          everything
  cargo xtask bench codec --quick            BlazeBinary beside other formats, in seconds
  cargo xtask bench codec --help             what that takes
  cargo xtask bench merge --save-baseline x  merging, kept for a later comparison
  cargo xtask bench e2e --help               what the end-to-end benchmark takes")]
pub(crate) struct Bench {
    #[command(subcommand)]
    target: Option<Target>,
}

/// What to measure.
#[derive(Debug, Subcommand)]
enum Target {
    /// BlazeBinary beside other formats.
    #[command(disable_help_flag = true)]
    Codec(Rest),
    /// Merging operations into records (criterion).
    #[command(disable_help_flag = true)]
    Merge(Rest),
    /// Replicas in sync over real transports.
    #[command(disable_help_flag = true)]
    E2e(Rest),
}

#[derive(Debug, Default, Args)]
struct Rest {
    /// Arguments for the benchmark itself.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Bench {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let targets = self.target.map_or_else(Target::all, |target| vec![target]);
        for target in targets {
            target.run(workspace)?;
        }
        Ok(())
    }
}

impl Target {
    fn all() -> Vec<Self> {
        vec![Self::Codec(Rest::default()), Self::Merge(Rest::default()), Self::E2e(Rest::default())]
    }

    fn run(self, workspace: &Workspace) -> Result<()> {
        const BENCH: &str = "xtask/bench/Cargo.toml";
        const CODEC: &str = "xtask/codec-bench/Cargo.toml";
        let (manifest, subcommand, what, Rest { args }) = match self {
            Self::Codec(rest) => (CODEC, &["run", "--release"][..], ["--bin", "codec"], rest),
            Self::Merge(rest) => (BENCH, &["bench"][..], ["--bench", "merge"], rest),
            Self::E2e(rest) => (BENCH, &["run", "--release"][..], ["--bin", "e2e"], rest),
        };
        if !workspace.path(manifest).exists() {
            bail!("there is no such benchmark: {manifest} doesn't exist");
        }
        let mut command = workspace.cargo(subcommand);
        command.args(["--manifest-path", manifest, "--target-dir", "target"]);
        cargo::run(command.args(what).arg("--").args(args))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{Bench, Rest, Target};

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        bench: Bench,
    }

    #[test]
    fn all_that_follows_the_target_is_the_benchmarks_own() {
        for own in [&["--help"][..], &["--nodes", "3", "--help"], &[]] {
            let line = Line::parse_from([&["bench", "e2e"], own].concat());
            let Some(Target::E2e(Rest { args })) = line.bench.target else {
                panic!("{line:?}");
            };
            assert_eq!(args, own);
        }
        assert!(Line::try_parse_from(["bench", "unknown"]).is_err());
    }
}
