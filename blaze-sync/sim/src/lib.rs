//! A seeded, deterministic simulator of whole topologies.
//!
//! A run draws a topology, its roles, modes and rates of faults from a seed, and lets
//! the real sessions and the real merge code work on a virtual network, virtual disks
//! and virtual clocks, on one thread. It checks what must always hold while it runs,
//! then heals everything, waits until all is quiet, and compares the replicas with each
//! other and with an oracle that knows the merge rule independently.
//!
//! ```
//! use blaze_sync_sim::{Config, run};
//!
//! let report = run(7, &Config::default()).map_err(|failure| failure.to_string())?;
//! assert_eq!(run(7, &Config::default()).unwrap().hash, report.hash);
//! # Ok::<(), String>(())
//! ```

mod canary;
mod check;
mod clock;
mod config;
mod driver;
mod fault;
mod inject;
mod network;
mod node;
mod oracle;
mod plan;
mod policy;
mod purge;
mod ready;
mod report;
mod rng;
mod scenario;
mod scopes;
mod script;
mod settle;
mod shrink;
mod storage;
mod trace;
mod wire;
mod workload;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use canary::{Canary, Driver, Engine, Merge, Session};
pub use config::Config;
pub use fault::{Fault, Faults};
pub use plan::Shape;
pub use report::{Crossings, Failure, Report};
pub use scenario::Scenario;
pub use shrink::shrink;

use crate::canary::Armed;
use crate::world::World;

/// Runs a seed.
///
/// # Errors
///
/// [`Failure`] if something wasn't as it must be; a panic is one, too.
pub fn run(seed: u64, config: &Config) -> Result<Report, Failure> {
    let _armed = Armed::new(config.canary);
    let mut world = World::new(seed, config);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        world.fail("nothing panics", text.unwrap_or_default());
    }
    world.finish()
}
