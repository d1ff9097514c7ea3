//! What each stage of a commit's way costs by itself, on one thread: nanoseconds and
//! allocations an operation, or instructions under callgrind.

mod baseline;
mod issues;
mod measure;
mod work;

use std::alloc::System;

use anyhow::{Result, bail, ensure};
use clap::Parser;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use work::{STAGES, Stage};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Measure what each stage of a commit's way costs by itself.
///
/// A round is 1,000 operations on the issues of a bug tracker, by one thread, in one
/// transaction or in 1,000. Databases begin empty each round.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option by itself")]
#[command(after_help = "Examples:
  cargo xtask bench stages                   all of them
  cargo xtask bench stages merge             those whose name has `merge`
  cargo xtask bench stages --instructions    by callgrind: repeatable, whatever else runs
  cargo xtask bench stages --check           whether any got dearer; --store accepts that")]
struct Options {
    /// Only stages whose name has this.
    only: Option<String>,
    /// How many rounds a stage runs; the median counts.
    #[arg(long, default_value_t = 30)]
    rounds: u64,
    /// Count instructions under callgrind, which has to be installed.
    #[arg(long)]
    instructions: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Compare allocations, and instructions if callgrind is there, with what is stored.
    #[arg(long, conflicts_with_all = ["instructions", "json", "only"])]
    check: bool,
    /// Store what is found, to be compared with later.
    #[arg(long, conflicts_with_all = ["instructions", "json", "only", "check"])]
    store: bool,
    /// Run this stage once, for callgrind.
    #[arg(long, hide = true)]
    once: Option<String>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(name) = &options.once {
        let Some(stage) = STAGES.iter().find(|stage| stage.name == name) else {
            bail!("there is no stage {name}");
        };
        return measure::once(stage);
    }
    if options.check || options.store {
        return baseline::run(options.store);
    }
    let wanted =
        |stage: &&Stage| options.only.as_ref().is_none_or(|part| stage.name.contains(part));
    let wanted: Vec<&Stage> = STAGES.iter().filter(wanted).collect();
    let names = || STAGES.iter().map(|stage| stage.name).collect::<Vec<_>>().join(", ");
    ensure!(!wanted.is_empty(), "no stage's name has that; they are: {}", names());
    let mut lines = Vec::new();
    for stage in wanted {
        let line = if options.instructions {
            measure::instructions(stage)?.map(|count| vec![("instructions", count)])
        } else {
            Some(measure::time(stage, options.rounds)?)
        };
        let Some(line) = line else { continue };
        if !options.json {
            let figures: Vec<_> =
                line.iter().map(|(name, figure)| format!("{figure:>9.1} {name}")).collect();
            println!("{:<22}{}", stage.name, figures.join("  "));
        }
        let mut object = serde_json::Map::from_iter([("stage".to_owned(), stage.name.into())]);
        object.extend(line.into_iter().map(|(name, figure)| (name.to_owned(), figure.into())));
        lines.push(object);
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
    }
    Ok(())
}
