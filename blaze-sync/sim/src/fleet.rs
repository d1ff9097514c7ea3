//! Runs many seeds on several threads; what comes of them is the same on any number.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use blaze_sync_sim::{Config, Failure, Report, run};

use crate::args::Args;

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(10);

/// What came of all seeds before the first that failed, that failure, and the time.
pub(crate) fn run_all(
    config: &Config,
    seeds: &Range<u64>,
    jobs: usize,
    quiet: bool,
) -> (Report, Option<Failure>) {
    let (next, done) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let failed_at = AtomicU64::new(u64::MAX);
    let outcome = Mutex::new((Report::default(), None::<Failure>));
    let (began, told) = (Instant::now(), Mutex::new(Instant::now()));
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                let mut sum = Report::default();
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    // Seeds below a failing one are finished, so that the first is told.
                    if seed >= seeds.end || seed > failed_at.load(Relaxed) {
                        break;
                    }
                    match run(seed, config) {
                        Ok(report) => sum.add(&report),
                        Err(failure) => {
                            failed_at.fetch_min(seed, Relaxed);
                            let mut outcome =
                                outcome.lock().unwrap_or_else(PoisonError::into_inner);
                            if outcome.1.as_ref().is_none_or(|first| seed < first.seed) {
                                outcome.1 = Some(failure);
                            }
                        }
                    }
                    let count = done.fetch_add(1, Relaxed) + 1;
                    if !quiet
                        && let Ok(mut told) = told.try_lock()
                        && told.elapsed() >= PROGRESS
                    {
                        *told = Instant::now();
                        eprintln!("{count} seeds in {:.0} s", began.elapsed().as_secs_f64());
                    }
                }
                outcome.lock().unwrap_or_else(PoisonError::into_inner).0.add(&sum);
            });
        }
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The same, with the time that it took.
pub(crate) fn timed(
    config: &Config,
    seeds: Range<u64>,
    args: &Args,
) -> (Report, Option<Failure>, Duration) {
    let began = Instant::now();
    let (report, failure) = run_all(config, &seeds, args.jobs(), args.json);
    (report, failure, began.elapsed())
}
