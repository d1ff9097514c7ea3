//! What the figures were measured on, and with what.

use std::process::Command;
use std::time::SystemTime;

use anyhow::Result;
use serde::Serialize;

/// The machine, and what was built on it.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// How many processes would have liked to run on average in the last minute.
    pub(crate) load: String,
    pub(crate) rustc: &'static str,
    pub(crate) commit: String,
    pub(crate) date: String,
}

impl Machine {
    /// Looks at this machine.
    pub(crate) fn look() -> Result<Self> {
        let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
        let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name"));
        let cpu = cpu.map_or("unknown", |cpu| cpu.trim_start_matches([' ', '\t', ':']));
        let load = std::fs::read_to_string("/proc/loadavg")?;
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        Ok(Self {
            cpu: cpu.to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            kernel: kernel.trim().to_owned(),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            rustc: env!("BENCH_RUSTC"),
            commit: commit(),
            date: date(since_1970.as_secs() / (24 * 60 * 60)),
        })
    }
}

/// The version of a package that this program was built with.
pub(crate) fn version_of(package: &str) -> &'static str {
    let name = format!("name = \"{package}\"");
    let mut lines = include_str!("../Cargo.lock").lines().skip_while(|line| *line != name);
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = "));
    version.map_or("unknown", |version| version.trim_matches('"'))
}

/// The day so many days after 1970-01-01, by the rules of the Gregorian calendar.
fn date(days: u64) -> String {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let (mut year, mut left) = (1970, days);
    loop {
        let days = if is_leap(year) { 366 } else { 365 };
        if left < days {
            break;
        }
        left -= days;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", left + 1)
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

#[cfg(test)]
mod tests {
    use super::{date, version_of};
    use crate::formats::ALL;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_818), "2026-12-31");
        assert_eq!(date(20_819), "2027-01-01");
    }

    #[test]
    fn every_format_has_a_version() {
        for entry in ALL {
            let version = version_of(entry.package);
            assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{version}");
        }
        assert_eq!(version_of("nothing"), "unknown");
    }
}
