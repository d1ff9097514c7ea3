//! Cuts the power of workers, or fails one call of theirs, and checks what is left.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use serde::Serialize;

use super::history::{Found, History};
use super::{Phase, Said, Task, check};
use crate::plan::{Size, mix};
use crate::shim::{self, Call, EXIT_CUT, Failure, Shim, Trouble};
use crate::worker::{self, Outcome};

/// Rounds that a file goes through at most.
const ROUNDS: u64 = 10;
/// Linux's numbers.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trial {
    /// The power goes.
    Cuts,
    /// A call fails, and the power may go afterwards.
    Errors,
}

/// What was counted.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Tally {
    pub(crate) files: u64,
    pub(crate) encrypted: u64,
    pub(crate) rounds: u64,
    pub(crate) cuts: u64,
    pub(crate) large_cuts: u64,
    /// Cuts by the durability at the time.
    pub(crate) cuts_disk: u64,
    pub(crate) cuts_process: u64,
    pub(crate) acknowledged_disk: u64,
    pub(crate) acknowledged_process: u64,
    pub(crate) merges: u64,
    pub(crate) lost_process: u64,
    /// Calls that failed, by kind.
    pub(crate) sync_errors: u64,
    pub(crate) write_errors: u64,
    pub(crate) read_errors: u64,
    /// Commits that were refused, and those of them whose outcome was unknown.
    pub(crate) refused: u64,
    pub(crate) unknown: u64,
    /// Openings and closings that failed.
    pub(crate) failed: u64,
}

impl Tally {
    /// Adds another's figures.
    pub(crate) fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.encrypted += other.encrypted;
        self.rounds += other.rounds;
        self.cuts += other.cuts;
        self.large_cuts += other.large_cuts;
        self.cuts_disk += other.cuts_disk;
        self.cuts_process += other.cuts_process;
        self.acknowledged_disk += other.acknowledged_disk;
        self.acknowledged_process += other.acknowledged_process;
        self.merges += other.merges;
        self.lost_process += other.lost_process;
        self.sync_errors += other.sync_errors;
        self.write_errors += other.write_errors;
        self.read_errors += other.read_errors;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.failed += other.failed;
    }

    fn count(&mut self, found: Found) {
        self.acknowledged_disk += found.acked_disk;
        self.acknowledged_process += found.acked_process;
        self.merges += found.merges;
        self.lost_process += found.lost_process;
    }
}

/// Takes one file through its rounds.
///
/// # Errors
///
/// What is wrong with the file, or with this program.
pub(crate) fn run(
    shim: &Shim,
    folder: &Path,
    seed: u64,
    trial: Trial,
    tally: &mut Tally,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let path = folder.join("torture.blaze");
    let password = (rng.u8(0..4) == 0).then(|| "correct horse".to_owned());
    let lanes = rng.u64(1..=5);
    let mut history = History::new(lanes);
    tally.files += 1;
    tally.encrypted += u64::from(password.is_some());
    for round in 0..ROUNDS {
        let seed = mix(seed, round);
        let (task, trouble) = draw(seed, trial, path.clone(), password.clone(), lanes);
        let mut command = worker::command("adapter-worker", &task)?;
        shim.arm(&mut command, folder, trouble);
        let outcome = worker::run::<Said>(command)?;
        tally.rounds += 1;
        judge(&outcome, task.size, trial, trouble, folder, tally)
            .with_context(|| format!("round {round}"))?;
        if !path.exists() {
            // Cut off before the file was made; nothing was acknowledged then.
            if outcome.said.iter().any(|said| matches!(said, Said::Opened)) {
                return Err(anyhow!("round {round}: the file was open, and is gone"));
            }
            continue;
        }
        let checked = runtime.block_on(check::read(&path, task.password.as_deref(), lanes));
        let checked = checked.and_then(|found| {
            check::integrity(&path, task.password.as_deref())?;
            let cut = outcome.status.code() == Some(EXIT_CUT);
            let accepted = history.accept(round, cut, (seed, task.size), &outcome.said, found);
            accepted.map_err(|wrong| anyhow!(wrong))
        });
        let context = || format!("round {round}, {trouble:?}, {task:?}");
        tally.count(checked.with_context(context)?);
    }
    Ok(())
}

/// A round: what the worker does, and what happens to it.
fn draw(
    seed: u64,
    trial: Trial,
    path: std::path::PathBuf,
    password: Option<String>,
    lanes: u64,
) -> (Task, Trouble) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let errors = trial == Trial::Errors;
    let size = if rng.u8(0..60) == 0 { Size::Large } else { Size::Small };
    let commits = match size {
        Size::Small => rng.u64(5..60),
        Size::Large => 60 / lanes,
    };
    let phases =
        (0..rng.u64(1..=4)).map(|_| Phase { disk: rng.bool(), commits, close: rng.bool() });
    let phases = phases.collect();
    let task = Task { path, password, seed, lanes, size, phases, errors };
    let calls = if size == Size::Large { 20_000 } else { 1_200 };
    let soon = |rng: &mut fastrand::Rng, most: u64| {
        // Each order of magnitude alike: the first calls make the file.
        let most = rng.u64(1..=most.ilog2().into());
        rng.u64(1..=1 << most)
    };
    let (cut_at, failure) = if errors {
        let (call, most) = match rng.u8(0..6) {
            0..3 => (Call::Sync, calls / 8),
            3..5 => (Call::Write, calls),
            _ => (Call::Read, calls),
        };
        let errno = if call != Call::Read && rng.u8(0..3) == 0 { ENOSPC } else { EIO };
        let cut_at = if rng.bool() { soon(&mut rng, calls / 2) } else { 0 };
        (cut_at, Some(Failure { call, at: soon(&mut rng, most), errno }))
    } else {
        (soon(&mut rng, calls), None)
    };
    (task, Trouble { seed, cut_at, failure })
}

/// Checks how the worker ended, and what it said when a call failed.
fn judge(
    outcome: &Outcome<Said>,
    size: Size,
    trial: Trial,
    trouble: Trouble,
    folder: &Path,
    tally: &mut Tally,
) -> Result<()> {
    match outcome.status.code() {
        Some(EXIT_CUT) => {
            tally.cuts += 1;
            tally.large_cuts += u64::from(size == Size::Large);
            let begun = outcome.said.iter().rev().find_map(|said| match said {
                Said::Begun { disk } => Some(*disk),
                _ => None,
            });
            tally.cuts_disk += u64::from(begun == Some(true));
            tally.cuts_process += u64::from(begun == Some(false));
        }
        Some(0) => {}
        _ => {
            let complaint = outcome.complaint.trim();
            return Err(anyhow!("the worker ended with {}: {complaint}", outcome.status));
        }
    }
    if trial == Trial::Cuts {
        return Ok(());
    }
    if shim::take_fired(folder) {
        match trouble.failure.map(|failure| failure.call) {
            Some(Call::Sync) => tally.sync_errors += 1,
            Some(Call::Write) => tally.write_errors += 1,
            Some(Call::Read) => tally.read_errors += 1,
            None => {}
        }
    }
    // Lane by lane: what others say of earlier commits may come later.
    let mut stopped = BTreeMap::new();
    for said in &outcome.said {
        match said {
            Said::Opened => stopped.clear(),
            Said::Refused { lane, unknown, halted, why } => {
                tally.refused += 1;
                tally.unknown += u64::from(*unknown);
                if *unknown || *halted {
                    stopped.insert(*lane, why);
                }
            }
            Said::Begun { .. } | Said::At { .. } => {}
            Said::Failed(_) => tally.failed += 1,
            Said::Acked(ack) => {
                if let Some(why) = stopped.get(&ack.lane) {
                    return Err(anyhow!("{ack:?} was acknowledged after an error: {why}"));
                }
            }
        }
    }
    Ok(())
}
