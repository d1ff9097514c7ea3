//! Makes a failure's story short.

use crate::{Config, Failure, Fault, run};

/// Switches off the faults and cuts the steps that a failure doesn't need, and runs it
/// once more with its story. Returns the configuration that is left, too.
pub fn shrink(failure: &Failure, config: &Config) -> (Config, Failure) {
    let mut best = *config;
    let fails = |config: &Config| {
        // Another failure is another story.
        run(failure.seed, config).err().filter(|found| found.check == failure.check)
    };
    best.steps_max = failure.steps;
    if fails(&best).is_none() {
        best.steps_max = config.steps_max;
    }
    for fault in Fault::ALL.into_iter().filter(|fault| config.faults.has(*fault)) {
        let without = Config { faults: best.faults.with(fault, 0), ..best };
        if fails(&without).is_some() {
            best = without;
        }
    }
    let (mut passes, mut known) = (0, best.steps_max.min(failure.steps));
    while passes + 1 < known {
        let middle = usize::midpoint(passes, known);
        if fails(&Config { steps_max: middle, ..best }).is_some() {
            known = middle;
        } else {
            passes = middle;
        }
    }
    let shorter = Config { steps_max: known, ..best };
    if fails(&shorter).is_some() {
        best = shorter;
    }
    let told = run(failure.seed, &Config { story: true, ..best }).err();
    (best, told.unwrap_or_else(|| failure.clone()))
}
