//! Hostile bytes for the codec and for sessions: what `cargo xtask fuzz` runs.
//!
//! `guided` builds and starts libFuzzer, `smoke` runs the stored inputs and changes of
//! them without it, `keep` chooses what is stored, `corpus` knows where.

mod args;
mod corpus;
mod guided;
mod keep;
mod smoke;
mod stats;
mod workers;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;

use crate::args::Args;

/// Exits with 0 if nothing was found, and with 1 if something was.
fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let targets = args.targets();
    if let Some(path) = &args.replay {
        let [target] = targets[..] else {
            bail!("--replay takes one target: cargo xtask fuzz TARGET --replay FILE");
        };
        let input = fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
        target.run(&input);
        println!("{target}: {} bytes broke no promise", input.len());
        return Ok(());
    }
    if args.smoke {
        return smoke::run(args);
    }
    if args.keep {
        return keep::run(&targets);
    }
    guided::run(args)
}
