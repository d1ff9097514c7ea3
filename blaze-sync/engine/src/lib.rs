//! Drives replication sessions over transports and databases.
//!
//! The only tokio loop of Blaze. A [`Node`] is a database that takes part; its
//! links are sessions of `blaze-sync-protocol`, one task each, that read the
//! node's feed, merge what arrives, and reconnect for as long as the link stands.

mod backoff;
mod brake;
#[cfg(feature = "canary")]
pub mod canary;
mod connect;
mod driver;
pub mod export;
mod join;
mod listen;
mod node;
pub mod outgoing;
mod policy;
mod probe;
mod status;
mod upkeep;

pub use backoff::Backoff;
pub use blaze_sync_protocol::{CREDIT_BYTES_MAX, Limits, Peer, SessionError};
pub use node::{Node, NodeOptions, RENEWAL_WAIT};
pub use policy::{Admission, ExportPolicy, Withdrawal};
pub use probe::{CLOCK_AHEAD_MS_MAX, Greeting, Probed, probe};
pub use status::{Acknowledged, Direction, Link, LinkId, LinkState, LinkStatus, WentBack};
