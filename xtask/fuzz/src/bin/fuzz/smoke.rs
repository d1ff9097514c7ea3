//! The stored inputs and random changes of them, without libFuzzer: what CI runs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use anyhow::Result;
use blaze_fuzz::{Seen, Target, mutate, seeds};

use crate::args::Args;
use crate::corpus;
use crate::stats::Stats;
use crate::workers;

pub(crate) fn run(args: &Args) -> Result<()> {
    let seed = args.seed();
    println!("seed {seed}, {} changed inputs a target", args.inputs);
    let finds = format!("the same inputs again: cargo xtask fuzz --smoke --seed {seed}");
    workers::run(args, &finds, |target| one(target, args.inputs, seed))
}

/// Runs a target until it is done, or something was found.
fn one(target: Target, inputs: u64, seed: u64) -> Result<Stats> {
    let started = Instant::now();
    let stored = corpus::files(&corpus::stored(target))?;
    let stored = stored.iter().map(|path| corpus::read(path)).collect::<Result<Vec<_>>>()?;
    let known: Vec<Vec<u8>> = stored.into_iter().chain(seeds::of(target)).collect();
    let mut rng = fastrand::Rng::with_seed(seed ^ target as u64);
    let mut changed = (0..inputs).map(|_| {
        let [input, other] = [(); 2].map(|()| &known[rng.usize(..known.len())]);
        mutate::at_random(input, other, target.input_bytes_max(), &mut rng)
    });
    let (mut executions, mut found) = (0, Vec::new());
    let mut all = known.iter().cloned().chain(&mut changed);
    Seen::take();
    for input in &mut all {
        executions += 1;
        if catch_unwind(AssertUnwindSafe(|| target.run(&input))).is_err() {
            let folder = corpus::artifacts(target);
            corpus::make(&folder)?;
            found.push(corpus::save(&folder, corpus::FOUND, &input)?);
            break;
        }
    }
    let (corpus, coverage, nearest) = (known.len() as u64, None, Seen::take());
    let seconds = started.elapsed().as_secs_f64();
    Ok(Stats { target, executions, seconds, corpus, coverage, nearest, found })
}
