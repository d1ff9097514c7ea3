//! How a stage is measured.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use crate::HEAP;
use crate::issues::SEED;
use crate::work::{OPERATIONS, Stage, Work};

/// Nanoseconds, allocations and allocated bytes an operation: medians.
pub(crate) fn time(stage: &Stage, rounds: u64) -> Result<Vec<(&'static str, f64)>> {
    let (mut ns, mut allocations, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    // The first warms up.
    for round in 0..=rounds.max(1) {
        let mut work = stage.prepare(SEED + round)?;
        let (before, began) = (HEAP.stats(), Instant::now());
        work.run();
        let (took, made) = (began.elapsed(), HEAP.stats() - before);
        if round > 0 {
            ns.push(took.as_nanos());
            allocations.push((made.allocations + made.reallocations) as u128);
            bytes.push(made.bytes_allocated as u128);
        }
    }
    let figures = [("ns", ns), ("allocations", allocations), ("bytes", bytes)];
    Ok(figures.map(|(name, samples)| (name, median(samples))).to_vec())
}

/// Allocations an operation.
pub(crate) fn allocations(stage: &Stage) -> Result<f64> {
    let found = time(stage, 3)?;
    let found = found.into_iter().find(|(name, _)| *name == "allocations");
    Ok(found.map_or(0.0, |(_, count)| count))
}

#[expect(clippy::cast_precision_loss, reason = "a figure to be printed")]
fn median(mut samples: Vec<u128>) -> f64 {
    samples.sort_unstable();
    samples[samples.len() / 2] as f64 / f64::from(OPERATIONS)
}

/// What callgrind looks at: the second round, as what is made once, such as lists of names
/// that records share, is there by then.
pub(crate) fn once(stage: &Stage) -> Result<()> {
    stage.prepare(SEED)?.run();
    counted(&mut stage.prepare(SEED + 1)?);
    Ok(())
}

#[inline(never)]
fn counted(work: &mut Work) {
    work.run();
}

/// Instructions an operation, by callgrind; `None` if other threads work, too, of which
/// that can't tell which are this stage's.
pub(crate) fn instructions(stage: &Stage) -> Result<Option<f64>> {
    if stage.threads {
        return Ok(None);
    }
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg("--toggle-collect=*measure::counted*").arg(std::env::current_exe()?);
    let output = match command.args(["--once", stage.name]).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("valgrind is not installed; on Debian: apt-get install valgrind")
        }
        output => output?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", stage.name);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let Some((_, count)) = collected else {
        bail!("callgrind doesn't say what it counted: {said}")
    };
    let count: u32 = count.trim().parse()?;
    Ok(Some(f64::from(count) / f64::from(OPERATIONS)))
}
