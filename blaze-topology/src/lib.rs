//! Who syncs with whom: nodes, links, modes, and questions about them.
//!
//! A [`Topology`] is a plan on paper: it opens no socket and starts no task. It
//! answers, before anything runs, who receives what a node writes, over how many
//! hops, and what stops working when one node or link is gone; and it draws
//! itself for a terminal, for Graphviz and for Mermaid.
//!
//! ```
//! use blaze_topology::{Mode, Role, Topology};
//!
//! # fn main() -> Result<(), blaze_topology::TopologyError> {
//! let mut shop = Topology::new();
//! let office = shop.add_node("office", Role::Server)?;
//! let till = shop.add_node("till", Role::Client)?;
//! let screen = shop.add_node("screen", Role::Client)?;
//! shop.add_link(till, office, Mode::Bidirectional)?; // the till connects
//! shop.add_link(screen, office, Mode::ReadOnly)?; // the screen only receives
//!
//! // What the till writes reaches the office directly, and the screen through it.
//! assert_eq!(shop.receivers(till), [(office, 1), (screen, 2)]);
//! assert_eq!(shop.reaches(screen, till), None);
//! assert_eq!(shop.to_text(), "\
//! office (server)
//! ├─↔ till (client)
//! └─→ screen (client)
//! ");
//! # Ok(())
//! # }
//! ```
//!
//! # How data flows
//!
//! A link joins two nodes. The side that connects is its *from*, the side that
//! accepts its *to*, and its [`Mode`] is seen from the connecting side:
//!
//! | mode | data flows |
//! |---|---|
//! | [`Mode::Bidirectional`] | both ways |
//! | [`Mode::ReadOnly`] | from the accepting to the connecting side |
//! | [`Mode::WriteOnly`] | from the connecting to the accepting side |
//!
//! Every node forwards what it receives over each of its links that may carry
//! it, so a write travels along any chain of flows.
//!
//! # Patterns
//!
//! | constructor | shape | links |
//! |---|---|---|
//! | [`Topology::hub_and_spoke`] | all sync through one hub | bidirectional |
//! | [`Topology::mesh`] | everybody with everybody | bidirectional |
//! | [`Topology::chain`] | each with the next | bidirectional |
//! | [`Topology::tree`] | each with its parent | bidirectional |
//! | [`Topology::broadcast`] | one source, many readers | read-only |
//! | [`Topology::aggregation`] | many sources, one collector | write-only |
//!
//! # What is absent
//!
//! Addresses, transports, databases and clocks: this crate knows names only.

mod error;
mod flows;
mod graph;
mod patterns;
mod picture;
mod questions;
mod warnings;

pub use blaze_codec::{Mode, Role};
pub use error::TopologyError;
pub use graph::{Link, Node, NodeKey, Topology};
pub use warnings::Warning;
