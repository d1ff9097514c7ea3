//! How the suite opens the databases that it tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use blaze_codec::Role;
use blaze_db_adapter::{DatabaseAdapter, WallClock};

/// Opens databases of one adapter, in one configuration.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Where one database lives. Dropping it may remove the database.
    type Storage: Send + Sync;

    /// Whether opening a storage for the second time finds what was committed
    /// before. If not, the rules over restarts check nothing.
    const REOPENS: bool;

    /// A new place, with no database in it.
    fn storage(&self) -> Self::Storage;

    /// Opens the database in `storage`, and makes an empty one with a node id of
    /// its own if there is none. The database of before was closed.
    async fn open(&self, storage: &Self::Storage, settings: Settings) -> Arc<dyn DatabaseAdapter>;
}

/// What a rule asks of the database that it opens.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The role of a new database; one that was there keeps its own.
    pub role: Role,
    /// The clock that the database has to tell the time by.
    pub clock: WallClock,
}

/// A wall clock that stands where it is put.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// A clock that stands at `ms` milliseconds since 1970.
    pub fn new(ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(ms)))
    }

    /// Puts the clock forward or back.
    pub fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::SeqCst);
    }

    /// The settings of a database with this clock and role.
    pub fn settings(&self, role: Role) -> Settings {
        let now = self.0.clone();
        Settings { role, clock: WallClock::new(move || now.load(Ordering::SeqCst)) }
    }
}

/// How long a rule may take on a slow machine before it counts as hanging.
const RULE_DEADLINE: Duration = Duration::from_secs(120);

/// Runs one rule to its end on a runtime of its own.
///
/// # Panics
///
/// If the rule is broken, or isn't done after two minutes.
pub fn run(rule: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime can be started");
    let done = runtime.block_on(async { tokio::time::timeout(RULE_DEADLINE, rule).await });
    // A database that hangs may hold a thread, which must not hold the test too.
    runtime.shutdown_background();
    assert!(done.is_ok(), "the rule isn't done after {RULE_DEADLINE:?}");
}
