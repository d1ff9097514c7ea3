//! Kills, power cuts and failing disks against real processes and files: `cargo xtask
//! torture --help` tells what it takes.

mod args;
mod campaign;
mod control;
mod cuts;
mod kills;
mod plan;
mod report;
mod shim;
mod worker;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;

use crate::args::{Args, Part};
use crate::campaign::Until;
use crate::cuts::{Tally, Trial};
use crate::kills::stall;
use crate::plan::mix;
use crate::report::Report;
use crate::shim::Shim;

/// Cuts of each level of the control.
const CONTROL_CUTS: u64 = 60;

/// Exits with 0 if nothing went wrong, 1 if something did, and 2 for wrong arguments.
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let result = match (arguments.next().as_deref(), arguments.next()) {
        (Some("bare-worker"), Some(task)) => control::work(&task),
        (Some("adapter-worker"), Some(task)) => cuts::work(&task),
        (Some("app-worker"), Some(task)) => kills::work(&task),
        (Some("integrity-worker"), Some(task)) => kills::check(&task),
        _ => torture(&Args::parse()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn torture(args: &Args) -> Result<()> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..) >> 32);
    eprintln!("==> seed {seed}");
    // Kept if something goes wrong; else nothing stays.
    let folder = tempfile::Builder::new().prefix("blaze-torture-").tempdir()?;
    let at = folder.path().canonicalize()?;
    let mut report = Report::new(seed);
    let shim = Shim::build(&at).context("can't build the library that cuts the power")?;
    for part in args.parts() {
        let until = Until::new(args, part, mix(seed, part as u64));
        match (part, &shim) {
            (Part::Cuts | Part::Errors, None) => {
                report.skip(part, "there is no C compiler `cc`, or this is not Linux");
            }
            (Part::Cuts, Some(shim)) => {
                if args.case.is_none() {
                    let cuts = args.count.map_or(CONTROL_CUTS, |count| count.min(CONTROL_CUTS));
                    report.control(control::run(shim, &at, seed, cuts)?);
                }
                report.cuts(database(part, shim, &at, until, Trial::Cuts, |tally| tally.cuts));
            }
            (Part::Errors, Some(shim)) => {
                let errors =
                    |tally: &Tally| tally.sync_errors + tally.write_errors + tally.read_errors;
                report.errors(database(part, shim, &at, until, Trial::Errors, errors));
            }
            (Part::Kills, shim) => {
                let run = |folder: &_, case, tally: &mut _| {
                    kills::run(shim.as_ref(), folder, case, &args.without, tally)
                };
                let count = |tally: &kills::Tally| tally.kills;
                let results = campaign::run(part, &at, until, run, count, kills::Tally::add);
                report.kills(results, shim.is_some(), &args.without);
            }
            (Part::Stalled, _) if !cfg!(target_os = "linux") => {
                report.skip(part, "/proc tells the memory of processes only on Linux");
            }
            (Part::Stalled, _) => {
                let count = |tally: &stall::Tally| tally.stalls;
                let add = stall::Tally::add;
                report.stalled(campaign::run(part, &at, until, stall::run, count, add));
            }
        }
    }
    report.totals(args.minutes);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    let violations = report.violations();
    if violations > 0 {
        let kept = folder.keep();
        bail!("{violations} violations (seed {seed}); files are kept in {}", kept.display());
    }
    eprintln!("==> nothing went wrong");
    Ok(())
}

fn database(
    part: Part,
    shim: &Shim,
    at: &std::path::Path,
    until: Until,
    trial: Trial,
    count: impl Fn(&Tally) -> u64 + Sync,
) -> campaign::Results<Tally> {
    let run = |folder: &_, case, tally: &mut _| cuts::run(shim, folder, case, trial, tally);
    campaign::run(part, at, until, run, count, Tally::add)
}
