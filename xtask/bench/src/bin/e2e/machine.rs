//! What the figures were measured on.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// The machine, and what was built on it.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// Of the databases' directory.
    pub(crate) file_system: String,
    /// How many processes would have liked to run on average in the last minute.
    pub(crate) load: String,
    pub(crate) rustc: &'static str,
    pub(crate) commit: String,
}

impl Machine {
    /// Looks at this machine, with databases in this directory.
    pub(crate) fn look(directory: &Path) -> Result<Self> {
        let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
        let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name"));
        let cpu = cpu.map_or("unknown", |cpu| cpu.trim_start_matches([' ', '\t', ':']));
        let load = std::fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            cpu: cpu.to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            file_system: file_system(directory)?,
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            rustc: env!("BENCH_RUSTC"),
            commit: commit(),
        })
    }
}

/// The type of the file system that the directory is on, by the mount that is
/// nearest above it.
fn file_system(directory: &Path) -> Result<String> {
    let directory = directory.canonicalize().with_context(|| directory.display().to_string())?;
    let mounts = std::fs::read_to_string("/proc/mounts")?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut parts = line.split(' ').skip(1);
        Some((parts.next()?, parts.next()?))
    });
    let above = mounts.filter(|(point, _)| directory.starts_with(point));
    let nearest = above.max_by_key(|(point, _)| point.len());
    Ok(nearest.map_or("unknown", |(_, kind)| kind).to_owned())
}

/// The commit that was checked out when this ran, if git can tell.
fn commit() -> String {
    let git = |args: &[&str]| {
        // Without the locks, or asking for the status would write the index.
        let mut git = Command::new("git");
        git.args(["--no-optional-locks", "-C", env!("CARGO_MANIFEST_DIR")]).args(args);
        let output = git.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let status = git(&["status", "--porcelain"]);
    if status.is_none_or(|changes| !changes.is_empty()) {
        format!("{commit} with changes")
    } else {
        commit
    }
}
