//! Replication sessions without I/O: no clock, no socket, no disk, no runtime.
//!
//! A [`Session`] is one side of one link. Its driver feeds it [`Input`]s (a frame
//! arrived, a merge is done, the head moved) and carries out its [`Output`]s
//! (send a frame, read changes, merge a batch). Time comes in with each input, so
//! two sessions and a queue between them are a network that a test controls.
//!
//! ```text
//! connector                                acceptor
//!     | hello ------------------------------> |   versions, node, database, mode
//!     | <------------------------------ hello |
//!     | resume (checkpoint, credit) --------> |   by each side that receives
//!     | <-------- resume (checkpoint, credit) |
//!     | start ------------------------------> |   by each that receives: send now
//!     | <------------------------------ start |
//!     | <==== changes, acks, both ways =====> |   as far as the mode and credits allow
//!     | goodbye ----------------------------> |
//! ```

#[cfg(feature = "canary")]
pub mod canary;
mod config;
mod error;
mod inbound;
mod io;
mod outbound;
mod roots;
mod session;
mod settling;

pub use config::{CREDIT_BYTES_MAX, Limits, LocalNode, SessionConfig, Side};
pub use error::SessionError;
pub use io::{Batch, Event, Input, Known, Moment, Outgoing, OutgoingItem, Output, Peer};
pub use session::Session;
