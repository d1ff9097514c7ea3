//! Commits one after the other without a pause, and how long each took.

use std::time::{Duration, Instant};

use anyhow::Result;
use blaze_sync::Database;
use serde::{Deserialize, Serialize};

use crate::plan::{self, Content};

const COLLECTION: &str = "flood";
/// Records at most: together some 70 MiB, more than everything on the way may take.
const KEYS: i64 = 16_000;
/// A record has this many bytes at most, half of it on average.
const RECORD_BYTES_MAX: usize = 9_000;
/// Written at the least, however slow the disk.
const BYTES_MIN: u64 = 64 * 1024 * 1024;

/// What was written.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Flooded {
    pub(super) commits: u64,
    pub(super) bytes: u64,
    /// How long a commit took, in microseconds: half of them, all but one of a
    /// hundred, and the slowest.
    pub(super) median_us: u64,
    pub(super) p99_us: u64,
    pub(super) slowest_us: u64,
    /// Whether a peer was connected at the end.
    pub(super) connected: bool,
}

/// Commits one record after the other, for so long and so much.
pub(super) async fn run(db: &Database, seed: u64, wanted: Duration) -> Result<Flooded> {
    let mut rng = fastrand::Rng::with_seed(seed ^ db.head().0);
    let started = Instant::now();
    let (mut flooded, mut took_us) = (Flooded::default(), Vec::new());
    while started.elapsed() < wanted || flooded.bytes < BYTES_MIN {
        let bytes = rng.usize(0..RECORD_BYTES_MAX);
        let content = Content { mark: rng.i64(..), bytes };
        let record = plan::to_record(content);
        let transaction = db.transaction().put(COLLECTION, rng.i64(1..=KEYS), record)?;
        let before = Instant::now();
        transaction.commit().await?;
        took_us.push(u64::try_from(before.elapsed().as_micros())?);
        (flooded.commits, flooded.bytes) = (flooded.commits + 1, flooded.bytes + bytes as u64);
    }
    took_us.sort_unstable();
    let last = took_us.len() - 1;
    flooded.median_us = took_us[last / 2];
    flooded.p99_us = took_us[last * 99 / 100];
    flooded.slowest_us = took_us[last];
    Ok(flooded)
}
