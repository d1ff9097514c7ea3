//! What Blaze needs of a database, and the one rule by which replicas merge.
//!
//! [`DatabaseAdapter`] is the trait; [`merge`] is the rule, written once: every
//! adapter keeps a [`RecordState`] a record and calls it. [`LiveFeed`] hands
//! what was just committed to every session without reading it back.

mod adapter;
#[cfg(feature = "canary")]
pub mod canary;
mod clock;
mod error;
mod feed;
mod heard;
mod incoming;
mod lineage;
pub mod merge;
mod observe;
mod peers;
mod size;
mod staged;
mod state;
mod write;

pub use adapter::{
    Audience, ChangeSet, ChangesLimit, CollectionInfo, DatabaseAdapter, Durability, Identity,
    Merged, Withdrawn,
};
pub use blaze_codec::Checkpoint;
pub use clock::WallClock;
pub use error::DatabaseError;
pub use feed::{Committed, LiveFeed, Origin};
pub use heard::Heard;
pub use incoming::{Incoming, Joined, Limit};
pub use lineage::{Lineage, LineageChange, reach};
pub use merge::{Conflict, Written};
pub use observe::{Observed, Observer};
pub use peers::{Purged, RegisteredPeer, settled};
pub use size::{bytes_max as operation_bytes_max, write_bytes_max};
pub use staged::{Merging, Parts, Staged, Stored, Touched};
pub use state::{Life, RecordState, Register, Stamp};
pub use write::{Stamper, TRANSACTION_WRITES_MAX, Write, WriteError, WriteKind, check_count};
