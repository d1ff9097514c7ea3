//! What the demo and its two apps say to each other: one JSON object a line.

use std::path::PathBuf;
use std::time::Duration;

use blaze_sync::{Mode, Record, RecordKey};
use serde::{Deserialize, Serialize};

/// What the demo asks of an app. Each is answered by one [`Reply`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Command {
    /// Open the database and take part under this name.
    Open { path: PathBuf, password: String, durability: String, name: String },
    /// Accept the other app at this endpoint.
    Listen { endpoint: String },
    /// Connect to the other app at this endpoint.
    Connect { endpoint: String, mode: Mode },
    /// Join whoever else joins this endpoint.
    Join { endpoint: String },
    /// Wait until there is a hub again, and tell whether this app is it.
    AwaitSeat,
    /// Wait until the other app is connected and both have caught up.
    AwaitLink,
    /// Import the file, or the data set that ships with the program.
    Import { collection: String, input: Option<PathBuf> },
    /// Commit so many small edits, one a transaction.
    Edit { collection: String, author: String, count: u64 },
    /// Make these records equal to what is given, or delete them, in one transaction.
    Write { collection: String, records: Vec<(RecordKey, Option<Record>)> },
    /// Set these fields of a record, and leave the others.
    Update { collection: String, key: RecordKey, fields: Record },
    /// Tell what a record is.
    Read { collection: String, key: RecordKey },
    /// Tell how many records a collection has.
    Count { collection: String },
    /// Wait until a collection has so many records.
    AwaitCount { collection: String, count: u64 },
    /// Commit so many probes, each when the other app has acknowledged the last.
    Probe { count: u64 },
    /// Say when so many probes have become visible, and how long each took.
    MeasureProbes { count: u64 },
    /// Say when so many changes of a collection have become visible.
    AwaitChanges { collection: String, count: u64 },
    /// Wait until the other app has everything.
    Settle,
    /// Tell what happened so far.
    Report,
    /// Close the link and the database.
    Close,
}

/// What an app says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Message {
    /// It listens, or watches, and is ready for what comes.
    Ready,
    /// So many rows are committed so far.
    Progress { rows: u64 },
    /// The command is done.
    Done(Reply),
    /// The command failed.
    Failed { error: String },
}

/// The answer to a [`Command`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Reply {
    /// Nothing to tell.
    Nothing,
    /// So many records or operations were committed, and acknowledged to the
    /// writer, in so much time.
    Committed { count: u64, took: Duration },
    /// A record, if there is one.
    Record(Option<Record>),
    /// Whether it is the hub.
    IsHub(bool),
    /// So many records.
    Count(u64),
    /// How long each probe took from before its commit until it was visible here.
    Latencies(Vec<Duration>),
    /// What happened so far.
    Report { conflicts: Vec<ConflictLine>, commits: u64 },
}

/// The loser of a true conflict, for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct ConflictLine {
    pub(super) record: String,
    pub(super) field: String,
    pub(super) won: String,
    pub(super) lost: String,
    /// Tells one conflict from another, the same in both apps.
    pub(super) version: String,
}
