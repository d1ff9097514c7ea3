//! The attacks, by topic: what is tried, how it is to be refused, and what it may cost.

mod bombs;
mod collisions;
mod connections;
mod frames;
mod handshake;
mod identity;
mod noise;
mod policies;
mod rules;
mod sockets;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::hub::Hub;
use crate::wire::Target;

/// What an attack has before it.
#[derive(Debug)]
pub(crate) struct Field<'a> {
    pub(crate) hub: &'a Hub,
    /// Where it is attacked.
    pub(crate) target: Target,
    /// What is random follows from it.
    pub(crate) seed: u64,
    pub(crate) quick: bool,
    /// A folder of its own for each attack.
    pub(crate) folder: &'a Path,
    /// The program of honest clients.
    pub(crate) blaze: &'a Path,
}

impl Field<'_> {
    /// One number for a quick run, another for a full one.
    pub(crate) const fn scale<T: Copy>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// What came of an attack that was refused as it had to be.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) tried: u64,
    /// What the attacker saw.
    pub(crate) saw: String,
    /// What the hub said of it, where it says something.
    pub(crate) said: String,
}

impl Outcome {
    pub(crate) fn new(tried: u64, saw: impl Into<String>) -> Self {
        Self { tried, saw: saw.into(), said: String::new() }
    }
}

/// What can't be tried here, and why.
#[derive(Debug, thiserror::Error)]
#[error("skipped: {why}")]
pub(crate) struct Skipped {
    pub(crate) why: &'static str,
}

/// Where an attack is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Both,
    Unix,
    Tcp,
}

/// An attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) over: Over,
    /// Where in a quick run.
    pub(crate) quickly_over: Over,
    /// What the hub's memory may grow by, beside [`BESIDE_KIB`].
    pub(crate) grows_kib: u64,
    /// Runs it once; it is run again until enough time has passed to time the honest peers.
    ///
    /// # Errors
    ///
    /// What the hub did instead of refusing it, or [`Skipped`].
    pub(crate) run: fn(&Field<'_>) -> Result<Outcome>,
}

/// An attack over both transports that costs the hub nothing.
fn attack(
    name: &'static str,
    about: &'static str,
    run: fn(&Field<'_>) -> Result<Outcome>,
) -> Attack {
    let over = Over::Both;
    Attack { name, about, over, quickly_over: over, grows_kib: 0, run }
}

/// What the hub's memory may grow by in any attack, while it serves its honest peers: 4 MiB for
/// each of two readers' caches and the writer's, 8 MiB of the ring's operations and 8 MiB of
/// frames beside them, and 4 MiB of the allocator's.
pub(crate) const BESIDE_KIB: u64 = (3 * 4 + 2 * 8 + 4) * 1024;

/// Connections that a listener serves at a time (`NodeOptions::connections_max`).
pub(crate) const PLACES: usize = 256;

/// What a connection may take that has said nothing that counts: 64 KiB are read ahead, and the
/// rest is its task and its line among the links.
pub(crate) const CONNECTION_KIB: u64 = 96;

/// All of them, the mild ones first.
pub(crate) fn all() -> Vec<Attack> {
    let topics = [
        handshake::attacks(),
        frames::attacks(),
        identity::attacks(),
        rules::attacks(),
        policies::attacks(),
        bombs::attacks(),
        collisions::attacks(),
        sockets::attacks(),
        connections::attacks(),
        noise::attacks(),
    ];
    topics.into_iter().flatten().collect()
}
