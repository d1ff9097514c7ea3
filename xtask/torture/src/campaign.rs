//! Cases of one part, several at a time, until there were enough of them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::args::{Args, Part};
use crate::plan::mix;

/// How long a part goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until {
    seed: u64,
    time: Duration,
    count: u64,
    case: Option<u64>,
    jobs: usize,
}

/// What a part came to.
#[derive(Debug, Serialize)]
pub(crate) struct Results<T> {
    pub(crate) seconds: f64,
    pub(crate) figures: T,
    pub(crate) violations: Vec<String>,
}

impl Until {
    /// As the arguments say.
    pub(crate) fn new(args: &Args, part: Part, seed: u64) -> Self {
        let (case, count) = (args.case, args.count.unwrap_or(u64::MAX));
        Self { seed, time: args.time(part), count, case, jobs: args.jobs(part) }
    }
}

/// Runs `trial` with a case's own folder and seed, again and again. It adds to its
/// figures; `count` tells how far they are, `add` joins those of the cases.
///
/// The part ends at the first case that goes wrong; its folder is kept then.
pub(crate) fn run<T: Default + Clone + Send>(
    part: Part,
    folder: &Path,
    until: Until,
    trial: impl Fn(&Path, u64, &mut T) -> Result<()> + Sync,
    count: impl Fn(&T) -> u64 + Sync,
    add: impl Fn(&mut T, &T) + Sync,
) -> Results<T> {
    let started = Instant::now();
    let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let results = Mutex::new((T::default(), Vec::new()));
    let work = || {
        while !over.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let case = until.case.unwrap_or_else(|| mix(until.seed, number) >> 32);
            let mut figures = T::default();
            let tried = in_folder(folder, |folder| trial(folder, case, &mut figures));
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            add(&mut results.0, &figures);
            if let Err(error) = tried {
                let again = format!("cargo xtask torture --{} --case {case}", part.name());
                results.1.push(format!("{error:#}; again: {again}"));
                over.store(true, Ordering::Relaxed);
            }
            let enough = count(&results.0) >= until.count || started.elapsed() >= until.time;
            if enough || until.case.is_some() {
                over.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        let jobs = if until.case.is_some() { 1 } else { until.jobs };
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    let (figures, violations) = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    Results { seconds: started.elapsed().as_secs_f64(), figures, violations }
}

/// A folder that stays only if something goes wrong in it.
fn in_folder(parent: &Path, trial: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("case-").tempdir_in(parent)?;
    let path = folder.path().canonicalize()?;
    trial(&path).map_err(|error| {
        let kept = folder.keep();
        error.context(format!("files are kept in {}", kept.display()))
    })
}
