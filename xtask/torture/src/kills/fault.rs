//! The troubles that a case draws from, each with what it does.
//!
//! A new one is a variant, its line in [`FAULTS`], and an arm of [`Fault::strike`].

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};
use rustix::process::Signal;

use super::case::Case;
use super::node::{Node, Started};
use super::{Command, Said, copies};
use crate::shim::Trouble;

/// Commits that are looked at to see whether a database goes on.
const COMMITS_SEEN: usize = 8;

/// What can befall a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL in the middle of whatever it does.
    Kill,
    /// SIGSTOP and, later, SIGCONT: its peers see a connection that says nothing.
    Stop,
    /// Closed and started anew.
    Restart,
    /// A listening node killed and at once started anew, at the same path.
    RestartListener,
    /// The socket's file deleted under a running listener.
    Unlink,
    /// Killed, and started where its files can't be written.
    ReadOnly,
    /// No room on its disk for a while, over a kill or not.
    Full,
    /// The power cut under the one node of the case whose power may be.
    PowerCut,
    /// A backup of that node's file made, to be put back later.
    Backup,
    /// The backup put back while its peers go on.
    Restore,
    /// A copy of a file opened beside the original, as one more node.
    Copy,
}

/// Each fault, how often it is drawn, and its name in the figures.
pub(super) const FAULTS: &[(Fault, u32, &str)] = &[
    (Fault::Kill, 70, "kill"),
    (Fault::Stop, 6, "stop"),
    (Fault::Restart, 4, "restart"),
    (Fault::RestartListener, 6, "restart listener"),
    (Fault::Unlink, 3, "unlink socket"),
    (Fault::ReadOnly, 3, "read-only"),
    (Fault::Full, 4, "disk full"),
    (Fault::PowerCut, 10, "power cut"),
    (Fault::Backup, 4, "backup"),
    (Fault::Restore, 8, "backup put back"),
    (Fault::Copy, 4, "copy"),
];

impl Fault {
    /// Draws one.
    pub(super) fn draw(rng: &mut fastrand::Rng) -> Self {
        let all = FAULTS.iter().map(|(_, weight, _)| weight).sum();
        let mut left = rng.u32(0..all);
        for (fault, weight, _) in FAULTS {
            match left.checked_sub(*weight) {
                None => return *fault,
                Some(rest) => left = rest,
            }
        }
        Self::Kill
    }

    /// Its name in the figures.
    pub(super) fn name(self) -> &'static str {
        FAULTS.iter().find(|(fault, ..)| *fault == self).map_or("", |(_, _, name)| name)
    }

    /// Does it to a node that runs. Gives whether there was something to do.
    pub(super) fn strike(self, case: &mut Case<'_>, at: usize) -> Result<bool> {
        let pause = |case: &mut Case<'_>, ms: std::ops::Range<u64>| {
            sleep(Duration::from_millis(case.rng.u64(ms)));
        };
        match self {
            Self::Kill => {
                case.kill(at)?;
                // Now and then it stays away while the others go on.
                if case.rng.u8(0..4) > 0 {
                    case.nodes[at].start_well()?;
                }
            }
            Self::Stop => {
                case.nodes[at].signal(Signal::STOP)?;
                // Longer or shorter than a peer's patience of 0.9 s.
                pause(case, 50..1_600);
                case.nodes[at].signal(Signal::CONT)?;
            }
            Self::Restart => {
                case.nodes[at].close()?;
                case.nodes[at].start_well()?;
            }
            Self::RestartListener => {
                if case.nodes[at].socket().is_none() {
                    return Ok(false);
                }
                case.kill(at)?;
                case.nodes[at].start_well()?;
            }
            Self::Unlink => {
                let Some(socket) = case.nodes[at].socket() else { return Ok(false) };
                return Ok(std::fs::remove_file(socket).is_ok());
            }
            Self::ReadOnly => {
                case.kill(at)?;
                set_read_only(case, at, true)?;
                match case.nodes[at].start(None)? {
                    // Whoever may write everything doesn't mind a file's mode.
                    Started::Open => case.kill(at)?,
                    _ => case.tally.unopened += 1,
                }
                set_read_only(case, at, false)?;
                case.nodes[at].start_well()?;
            }
            Self::Full => return full(case, at),
            Self::PowerCut => return power_cut(case),
            Self::Backup => return copies::back_up(case),
            Self::Restore => return copies::restore(case),
            Self::Copy => return copies::copy(case, at),
        }
        Ok(true)
    }
}

fn set_read_only(case: &Case<'_>, at: usize, read_only: bool) -> Result<()> {
    let node = &case.nodes[at];
    if let Some(room) = &node.room {
        return room.set_read_only(read_only);
    }
    let mode = if read_only { 0o400 } else { 0o600 };
    for file in std::fs::read_dir(node.folder())? {
        std::fs::set_permissions(file?.path(), Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn full(case: &mut Case<'_>, at: usize) -> Result<bool> {
    if case.nodes[at].room.is_none() {
        return Ok(false);
    }
    let done = |said: &Said| matches!(said, Said::Done);
    case.nodes[at].filled = true;
    case.nodes[at].ask(Command::Fill, done)?;
    sleep(Duration::from_millis(case.rng.u64(20..300)));
    if case.rng.bool() {
        case.nodes[at].ask(Command::Free, done)?;
    } else {
        case.kill(at)?;
        match case.nodes[at].start(None)? {
            Started::Open => sleep(Duration::from_millis(case.rng.u64(20..200))),
            _ => case.tally.unopened += 1,
        }
        let filler = case.nodes[at].task.path.with_extension("filler");
        if let Some(room) = &case.nodes[at].room {
            room.remove(&filler)?;
        }
    }
    let node = &mut case.nodes[at];
    if node.is_running() && is_halted(node)? {
        // Whoever is told that the outcome is unknown opens the database again.
        case.kill(at)?;
    }
    let node = &mut case.nodes[at];
    if !node.is_running() {
        node.start_well()?;
    }
    node.filled = false;
    Ok(true)
}

/// Whether the database stopped while there was no room, and not only refused: seen by
/// the commits that come now.
fn is_halted(node: &mut Node) -> Result<bool> {
    for _ in 0..COMMITS_SEEN {
        if node.halted {
            break;
        }
        let told =
            |said: &Said| matches!(said, Said::Acked { .. } | Said::Refused { halted: true, .. });
        node.wait_for(told)?;
    }
    Ok(node.halted)
}

/// The power of one node of a case may be cut, so that its peers keep what it loses.
fn power_cut(case: &mut Case<'_>) -> Result<bool> {
    let at = case.victim;
    let Some(shim) = case.shim.filter(|_| case.nodes[at].room.is_none()) else {
        return Ok(false);
    };
    case.kill(at)?;
    let (seed, cut_at) = (case.rng.u64(..), 1 << case.rng.u32(0..12));
    let trouble = Trouble { seed, cut_at, failure: None };
    let started = case.nodes[at].start(Some((shim, trouble)))?;
    let mut cut = started == Started::Cut;
    for _ in 0..200 {
        if cut || case.nodes[at].was_cut()? {
            cut = true;
            break;
        }
        sleep(Duration::from_millis(5));
    }
    if let Started::Unopened(why) = started {
        bail!("{} can't be opened before the power goes: {why}", case.nodes[at].task.name);
    }
    if !cut {
        // It wrote too little. What it acknowledged stays, as after any kill.
        case.kill(at)?;
        cut = case.nodes[at].cut;
    }
    case.nodes[at].start_well()?;
    case.lossy |= cut && !case.nodes[at].task.disk;
    Ok(cut)
}
