//! Switches each deliberate bug on in turn, and tells how soon it is found.

use std::process::ExitCode;

use blaze_sync_sim::{Canary, Config};

use crate::args::Args;
use crate::fleet;

/// Prints the table; fails if a bug isn't found.
pub(crate) fn run(args: &Args) -> ExitCode {
    std::panic::set_hook(Box::new(|_| ()));
    println!("| canary | found after | by |\n|---|---:|---|");
    let (mut tried, mut missed) = (0, Vec::new());
    for canary in Canary::ALL {
        let config = Config { canary: Some(canary), ..args.config() };
        let seeds = args.range();
        tried += 1;
        if let Some(failure) = fleet::run_all(&config, &seeds, args.jobs(), true).1 {
            let after = failure.seed - seeds.start + 1;
            println!("| {canary} | {after} | {} |", failure.check);
        } else {
            println!("| {canary} | not in {} | |", args.seeds());
            missed.push(canary.to_string());
        }
    }
    println!("\n{} of {tried} found", tried - missed.len());
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: not found: {}", missed.join(", "));
    ExitCode::FAILURE
}
