//! The control: bare SQLite at three levels of `synchronous`, cut off as the rest is.
//!
//! It shows what the cuts can find: without syncs, acknowledged commits must be lost
//! or the file damaged, or else the cuts prove nothing.

mod drive;
mod worker;

use serde::{Deserialize, Serialize};

pub(crate) use drive::{Level, run};
pub(crate) use worker::work;

/// What a bare worker is told.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    path: std::path::PathBuf,
    synchronous: String,
    seed: u64,
    commits: u64,
}

/// What it says after a commit.
#[derive(Debug, Serialize, Deserialize)]
struct Acked(u64);
