//! A node's wall clock: the virtual time, with an offset and a drift.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use blaze_db_adapter::WallClock;

/// The wall clocks' time when a run begins, in milliseconds since 1970.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

/// The virtual time that all nodes share, in milliseconds since the run began.
pub(crate) type Time = Arc<AtomicU64>;

/// A wall clock that can go wrong.
#[derive(Debug, Clone)]
pub(crate) struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    time: Time,
    offset_ms: AtomicI64,
    /// How much too fast it goes, in millionths, and since when.
    drift_ppm: AtomicI64,
    since_ms: AtomicI64,
    /// The latest time that it has shown before it was set.
    shown_ms: AtomicU64,
}

impl Clock {
    pub(crate) fn new(time: &Time, offset_ms: i64) -> Self {
        Self(Arc::new(Inner {
            time: Arc::clone(time),
            offset_ms: AtomicI64::new(offset_ms),
            drift_ppm: AtomicI64::new(0),
            since_ms: AtomicI64::new(0),
            shown_ms: AtomicU64::new(0),
        }))
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        (START_MS + self.time_ms() + self.offset_ms()).cast_unsigned()
    }

    /// How far it is ahead of the true time.
    pub(crate) fn offset_ms(&self) -> i64 {
        let elapsed = self.time_ms() - self.0.since_ms.load(Relaxed);
        self.0.offset_ms.load(Relaxed) + elapsed * self.0.drift_ppm.load(Relaxed) / 1_000_000
    }

    /// Sets how far it is ahead, and how fast it goes from now on.
    pub(crate) fn set(&self, offset_ms: i64, drift_ppm: i64) {
        self.0.shown_ms.fetch_max(self.now_ms(), Relaxed);
        self.0.offset_ms.store(offset_ms, Relaxed);
        self.0.drift_ppm.store(drift_ppm, Relaxed);
        self.0.since_ms.store(self.time_ms(), Relaxed);
    }

    /// The latest time that it has ever shown.
    pub(crate) fn latest_ms(&self) -> u64 {
        self.now_ms().max(self.0.shown_ms.load(Relaxed))
    }

    /// The clock as a database takes it.
    pub(crate) fn wall(&self) -> WallClock {
        let clock = self.clone();
        WallClock::new(move || clock.now_ms())
    }

    fn time_ms(&self) -> i64 {
        self.0.time.load(Relaxed).cast_signed()
    }
}
