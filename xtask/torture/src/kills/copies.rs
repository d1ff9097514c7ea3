//! Backups that are put back under a running peer, and copies that run beside their
//! original, made as users do: of a file whose process has ended, with its log.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::case::{Case, LANES, endpoint};
use super::ledger;
use super::node::Node;
use super::{GUEST, Said, Task};
use crate::plan::mix;

/// Nodes of a case at most, copies included.
const NODES_MAX: usize = 5;

/// A backup of the victim's file.
#[derive(Debug)]
pub(super) struct Backup {
    path: PathBuf,
    id: Option<String>,
    lanes: ledger::Snapshot,
}

/// Makes a backup of the file that may go back. Gives whether there is one.
pub(super) fn back_up(case: &mut Case<'_>) -> Result<bool> {
    let at = case.victim;
    if case.nodes[at].room.is_some() {
        return Ok(false);
    }
    if case.nodes[at].is_running() {
        case.stop(at)?;
    }
    let path = case.folder.join("backup");
    put(&case.nodes[at].task.path, &path)?;
    let node = &mut case.nodes[at];
    case.backup = Some(Backup { path, id: node.id.clone(), lanes: node.ledger.snapshot() });
    node.start_well()?;
    Ok(true)
}

/// Puts the backup back; makes one if there is none.
pub(super) fn restore(case: &mut Case<'_>) -> Result<bool> {
    let at = case.victim;
    let Some(backup) = case.backup.take() else {
        back_up(case)?;
        return Ok(false);
    };
    if case.nodes[at].is_running() {
        case.stop(at)?;
    }
    // Into the same file, or as another one in its place: then it is a copy, whose
    // node takes an id of its own and can't be said to have gone back.
    let replaced = case.rng.bool();
    let node = &mut case.nodes[at];
    if replaced {
        let beside = node.folder().join("restored");
        fs::copy(&backup.path, &beside)?;
        put_log(&backup.path, &node.task.path)?;
        fs::rename(&beside, &node.task.path)?;
    } else {
        put(&backup.path, &node.task.path)?;
    }
    let goes_back = !replaced && node.ledger.is_beyond(&backup.lanes);
    node.ledger.go_back(&backup.lanes);
    (node.copied, node.id) = (replaced, backup.id.clone());
    case.lossy = true;
    if !goes_back || case.rng.bool() {
        case.nodes[at].start_well()?;
    } else {
        case.mend(Some(at))?;
        let node = &mut case.nodes[at];
        node.start_well()?;
        let told = node.wait_for(|said| matches!(said, Said::WentBack { here: true }));
        told.context("it isn't told that its database went back")?;
    }
    // A peer knows an earlier id by what it held of that one.
    case.backup = Some(backup).filter(|_| !replaced);
    Ok(true)
}

/// Opens a copy of a node's file, linked to it or to another node. Some of them leave
/// again.
pub(super) fn copy(case: &mut Case<'_>, at: usize) -> Result<bool> {
    if case.nodes[at].room.is_some() || case.nodes.len() >= NODES_MAX {
        return Ok(false);
    }
    case.stop(at)?;
    let number = case.made;
    case.made += 1;
    let home = case.folder.join(format!("n{number}"));
    fs::create_dir(&home)?;
    let (original, path) = (&case.nodes[at], home.join("app.blaze"));
    put(&original.task.path, &path)?;
    if case.rng.bool() {
        // Of a whole folder.
        let lock = |path: &Path| path.with_extension("blaze.lock");
        fs::copy(lock(&original.task.path), lock(&path))?;
    }
    let stays = case.rng.bool();
    let peers = case.nodes.iter().filter(|node| node.task.name != GUEST);
    let peers: Vec<_> = peers.filter_map(|node| node.task.listen.clone()).collect();
    let task = Task {
        path,
        disk: case.rng.bool(),
        name: if stays { format!("copy{number}") } else { GUEST.to_owned() },
        seed: mix(original.task.seed, number),
        lanes: Vec::new(),
        listen: Some(endpoint(&case.folder, number)),
        connect: case.rng.choice(peers).into_iter().collect(),
        ..original.task.clone()
    };
    let mut copy = Node::new(task, number * LANES, None);
    (copy.copied, copy.id) = (true, original.id.clone());
    case.nodes[at].start_well()?;
    copy.start_well()?;
    case.nodes.push(copy);
    Ok(true)
}

/// Copies a closed database over another, or to where there is none.
fn put(from: &Path, to: &Path) -> Result<()> {
    put_log(from, to)?;
    let copied = fs::copy(from, to).map(|_| ());
    copied.with_context(|| format!("can't copy {} to {}", from.display(), to.display()))
}

/// Copies the log, and removes what there is of another one's.
fn put_log(from: &Path, to: &Path) -> Result<()> {
    remove(&with(to, "-shm"))?;
    match fs::copy(log(from), log(to)) {
        Err(error) if error.kind() == ErrorKind::NotFound => remove(&log(to)),
        copied => copied.map(|_| ()).context("can't copy the log"),
    }
}

fn log(path: &Path) -> PathBuf {
    with(path, "-wal")
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
