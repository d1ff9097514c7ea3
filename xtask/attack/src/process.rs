//! What the kernel knows of another process.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use anyhow::{Context as _, Result};

/// How much of a process is in memory, in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now_kib: u64,
    pub(crate) peak_kib: u64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let file = format!("/proc/{pid}/status");
        let status =
            std::fs::read_to_string(&file).with_context(|| format!("can't read {file}"))?;
        let field = |name: &str| {
            let rest = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = rest.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
            kib.with_context(|| format!("process {pid} has no {name}"))
        };
        Ok(Self { now_kib: field("VmRSS:")?, peak_kib: field("VmHWM:")? })
    }

    /// From now on the peak is that of what follows.
    pub(crate) fn forget_peak(pid: u32) -> Result<()> {
        let file = format!("/proc/{pid}/clear_refs");
        std::fs::write(&file, "5").with_context(|| format!("can't write {file}"))
    }
}

/// What a process has open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptors {
    pub(crate) sockets: usize,
    pub(crate) others: usize,
}

impl Descriptors {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let folder = format!("/proc/{pid}/fd");
        let entries = std::fs::read_dir(&folder).with_context(|| format!("can't read {folder}"))?;
        let mut found = Self { sockets: 0, others: 0 };
        for entry in entries {
            // One that was closed since it was listed is gone.
            let Ok(target) = std::fs::read_link(entry?.path()) else { continue };
            let socket = target.to_string_lossy().starts_with("socket:");
            *(if socket { &mut found.sockets } else { &mut found.others }) += 1;
        }
        Ok(found)
    }

    pub(crate) const fn all(self) -> usize {
        self.sockets + self.others
    }
}

/// The lines that a process writes, read by a thread so that it never waits.
pub(crate) fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
