//! `cargo xtask sim`: runs seeds, tells what happened in them, and the story of one that
//! failed.

mod args;
mod canaries;
mod fleet;
mod summary;

use std::process::ExitCode;

use blaze_sync_sim::{Config, Failure, shrink};
use clap::Parser as _;

use crate::args::Args;

/// Exits with 0 if all held, 1 if something didn't, and 2 if it was called wrongly.
fn main() -> ExitCode {
    let args = Args::parse();
    if args.canaries {
        return canaries::run(&args);
    }
    // What panics is told as the failure that it is.
    std::panic::set_hook(Box::new(|_| ()));
    let (report, failure, took) = fleet::timed(&args.config(), args.range(), &args);
    if args.json {
        println!("{}", summary::json(&report, failure.as_ref(), took));
    } else {
        print!("{}", summary::text(&report, took));
    }
    match failure {
        None => {
            let idle = summary::idle(&report, &args.config());
            if args.seeds() >= 1_000 && !idle.is_empty() {
                eprintln!("error: these never happened: {}", idle.join(", "));
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        Some(failure) => {
            tell(&failure, &args);
            ExitCode::FAILURE
        }
    }
}

/// Tells the shortest story of a failure that can be found, and how to see it again.
fn tell(failure: &Failure, args: &Args) {
    eprintln!("error: {failure}");
    let (config, short) = shrink(failure, &args.config());
    let faults = summary::faults_on(&config);
    eprintln!("\nin short, with the faults [{faults}] and {} steps:", short.steps);
    let skipped = short.story.len().saturating_sub(args.lines);
    for line in short.story.iter().skip(skipped) {
        let line: String = line.chars().take(600).collect();
        eprintln!("  {line}");
    }
    eprintln!("error: {short}");
    let canary = config.canary.map(|canary| format!(" --canary {canary}")).unwrap_or_default();
    let seed = failure.seed;
    let steps = short.steps;
    let Config {
        large_percent,
        compressed_percent,
        scenario_percent,
        scope_percent,
        pass_percent,
        ..
    } = config;
    let drawn = format!(
        "--large {large_percent} --compressed {compressed_percent} --scenarios {scenario_percent} --scopes {scope_percent} --passes {pass_percent}"
    );
    eprintln!(
        "again: cargo xtask sim --seed {seed}{canary} {drawn} --steps {steps} --only '{faults}'"
    );
}
