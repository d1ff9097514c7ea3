//! What each stage of a commit's way costs by itself, on one thread: nanoseconds and
//! allocations an operation, or instructions under callgrind.

mod work;

use std::alloc::System;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use blaze_bench::issues::SEED;
use clap::Parser;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use work::{STAGES, Stage};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Measure what each stage of a commit's way costs by itself.
///
/// A round is 1,000 operations on the issues of a bug tracker, in one transaction or in
/// 1,000. Memory adapters begin empty each round, files each run.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  stages                          all of them
  stages merge --rounds 100       those whose name has `merge`
  stages --instructions           by callgrind, which has to be installed: repeatable")]
struct Options {
    /// Only stages whose name has this.
    only: Option<String>,
    /// How many rounds a stage runs; the median counts.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Count instructions under callgrind instead.
    #[arg(long)]
    instructions: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
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
        // What is made once, such as names and tables, is there in the second round.
        for round in 0..2 {
            let mut work = stage.prepare(SEED + round)?;
            if round == 0 { work.run() } else { counted(&mut work) }
        }
        return Ok(());
    }
    let wanted = |stage: &&Stage| options.only.as_ref().is_none_or(|part| stage.name.contains(part));
    let wanted: Vec<&Stage> = STAGES.iter().filter(wanted).collect();
    ensure!(!wanted.is_empty(), "no stage's name has that; they are: {}", names());
    let mut lines = Vec::new();
    for stage in wanted {
        let line = if options.instructions {
            let instructions = instructions(stage)?;
            serde_json::json!({ "stage": stage.name, "instructions": instructions })
        } else {
            let (ns, allocations, bytes) = measure(stage, options.rounds)?;
            serde_json::json!({
                "stage": stage.name, "ns": ns, "allocations": allocations, "bytes": bytes,
            })
        };
        if !options.json {
            let figures = line.as_object().into_iter().flatten();
            let figures = figures.filter(|(name, _)| *name != "stage");
            let figures: Vec<_> =
                figures.map(|(name, value)| format!("{:>9.1} {name}", value.as_f64().unwrap_or_default())).collect();
            println!("{:<28}{}", stage.name, figures.join("  "));
        }
        lines.push(line);
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
    }
    Ok(())
}

fn names() -> String {
    STAGES.iter().map(|stage| stage.name).collect::<Vec<_>>().join(", ")
}

/// Nanoseconds, allocations and allocated bytes an operation: medians.
fn measure(stage: &Stage, rounds: usize) -> Result<(f64, f64, f64)> {
    let (mut ns, mut allocations, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds.max(1) {
        let mut work = stage.prepare(SEED + round as u64)?;
        let (before, began) = (HEAP.stats(), Instant::now());
        work.run();
        let (took, after) = (began.elapsed(), HEAP.stats());
        // The first warms up.
        if round > 0 {
            ns.push(took.as_nanos());
            let made = after - before;
            allocations.push((made.allocations + made.reallocations) as u128);
            bytes.push(made.bytes_allocated as u128);
        }
    }
    let median = |mut samples: Vec<u128>| {
        samples.sort_unstable();
        samples[samples.len() / 2] as f64 / work::OPERATIONS as f64
    };
    Ok((median(ns), median(allocations), median(bytes)))
}

/// What callgrind looks at.
#[inline(never)]
fn counted(work: &mut work::Work) {
    work.run();
}

/// Instructions an operation, by callgrind.
fn instructions(stage: &Stage) -> Result<f64> {
    let mut command = std::process::Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg("--toggle-collect=*stages::counted*").arg(std::env::current_exe()?);
    let output = match command.args(["--once", stage.name]).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("valgrind is not installed; with apt: apt-get install valgrind")
        }
        output => output?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", stage.name);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let Some((_, count)) = collected else { bail!("callgrind doesn't say what it counted: {said}") };
    Ok(count.trim().parse::<f64>()? / work::OPERATIONS as f64)
}
