//! Kills and other troubles of processes that sync their databases over Unix sockets,
//! and a receiver that stands still.

pub(crate) mod stall;

mod app;
mod case;
mod copies;
mod fault;
mod flood;
mod ledger;
mod node;
mod room;
mod verify;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use app::{check, work};
pub(crate) use case::{Tally, run};

/// The collection that all nodes write, so that conflicts arise.
const SHARED: &str = "shared";

/// The node whose power is cut and whose file goes back, and copies that leave again:
/// what only they hold may be lost. All others keep what they have acknowledged.
const VICTIM: &str = "victim";
const GUEST: &str = "guest";

/// What an app is told when it starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    path: PathBuf,
    password: Option<String>,
    disk: bool,
    name: String,
    /// Decides what the lanes write.
    seed: u64,
    /// The lanes that this node writes.
    lanes: Vec<u64>,
    /// Where it listens, and whom it connects to.
    listen: Option<String>,
    connect: Vec<String>,
    /// Whether it writes from the start.
    writes: bool,
    /// Whether it waits for a silent peer as long as is usual, and grants its peers
    /// more credit than they may use.
    patient: bool,
}

/// What an app is told while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Command {
    /// Write no more; answered by [`Said::Quiet`].
    Quiet,
    /// Tell a digest of all that there is; answered by [`Said::Digest`].
    Digest,
    /// Tell all lanes; answered by [`Said::Lane`]s and [`Said::Done`].
    Dump,
    /// Write as fast as it goes for so long; answered by [`Said::Flooded`].
    Flood {
        ms: u64,
    },
    /// Wait until each connected peer has everything; answered by [`Said::Done`].
    Sync,
    /// Take all room beside the database, or give it back; answered by [`Said::Done`].
    Fill,
    Free,
    /// Close the links and the database, and end; answered by [`Said::Done`].
    Close,
}

/// What an app says.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Said {
    /// The database is open, and each lane is at this commit.
    Opened {
        lanes: Vec<(u64, u64)>,
        incarnation: u64,
        head: u64,
        node: String,
        /// Whether the user is told that the file is a copy.
        copied: bool,
    },
    /// A commit returned.
    Acked {
        lane: u64,
        number: u64,
        seq: u64,
        incarnation: u64,
    },
    /// Each connected peer has what the lanes had written up to these commits.
    Synced {
        lanes: Vec<(u64, u64)>,
        peers: Vec<String>,
    },
    /// A database went back, this node's or a peer's, and its user is told.
    WentBack {
        here: bool,
    },
    /// A commit was refused, and is tried again.
    Refused {
        full: bool,
        /// Whether the database takes no more until it is opened again.
        halted: bool,
        why: String,
    },
    Flooded(flood::Flooded),
    /// The database can't be opened.
    Unopened {
        why: String,
    },
    Quiet,
    /// How many records there are, and a digest of them.
    Digest {
        records: usize,
        digest: u64,
    },
    /// A lane's last commit and its records: key, mark and bytes.
    Lane {
        lane: u64,
        number: u64,
        records: Vec<(i64, i64, usize)>,
    },
    Done,
}
