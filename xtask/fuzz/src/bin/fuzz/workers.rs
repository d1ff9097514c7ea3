//! Targets beside each other, and what came of all.

use std::sync::Mutex;
use std::thread;

use anyhow::{Result, bail};
use blaze_fuzz::Target;

use crate::args::Args;
use crate::stats::{Stats, table};

/// Runs each target that is asked for by `one`, as many at a time as is asked for, and
/// prints a table of them.
///
/// # Errors
///
/// That of the first target that has one; or what to do with finds, if there are some.
pub(crate) fn run(
    args: &Args,
    finds: &str,
    one: impl Fn(Target) -> Result<Stats> + Sync,
) -> Result<()> {
    let targets = args.targets();
    let waiting = Mutex::new(targets.iter().copied());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    let work = || {
        let mut done = Vec::new();
        while let Some(target) = next() {
            done.push((target, one(target)));
        }
        done
    };
    let mut done: Vec<(Target, Result<Stats>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..args.jobs()).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    done.sort_by_key(|(target, _)| targets.iter().position(|other| other == target));
    let stats: Vec<_> = done.into_iter().map(|(_, stats)| stats).collect::<Result<_>>()?;
    print!("{}", table(&stats));
    let found: usize = stats.iter().map(|stats| stats.found.len()).sum();
    if found > 0 || stats.len() < targets.len() {
        bail!("{found} finds; {finds}");
    }
    Ok(())
}
