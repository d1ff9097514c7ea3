//! Keeps embedded databases in sync: inside one app, between apps on one device,
//! and between devices.
//!
//! Every app owns its own database file. A commit in one is merged into the
//! others through one protocol, and nothing is lost across crashes, disconnects
//! and conflicts.
//!
//! ```
//! use blaze_sync::{Database, Mode, Role, Topology, Value, record};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), blaze_sync::Error> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = |name: &str| directory.path().join(name);
//! // Two databases, each with its own file and password.
//! let db1 = Database::open(path("app1.blaze")).password("secret").await?;
//! let db2 = Database::open(path("app2.blaze")).password("other").await?;
//!
//! let topology = Topology::new();
//! let app1 = topology.register(db1.clone(), "App1DB", Role::Server).await?;
//! let app2 = topology.register(db2.clone(), "App2DB", Role::Client).await?;
//!
//! // One app: a queue in memory. Two apps: `listen` in one, `connect` in the other.
//! topology.connect_local(app2, app1, Mode::Bidirectional).await?;
//!
//! let mut changes = db2.observe("notes")?;
//! let id = db1.collection("notes").insert(record! { "title" => "hello", "stars" => 3 }).await?;
//!
//! let change = changes.next().await?;
//! assert_eq!(change.key, id);
//! let note = db2.collection("notes").get::<blaze_sync::Record>(&id).await?.unwrap();
//! assert_eq!(note.get("title"), Some(&Value::from("hello")));
//! # topology.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! This crate is names and builders; the work is done in the crates that it
//! re-exports. To bring a transport or a database of your own, implement
//! [`Transport`] or [`DatabaseAdapter`] and hand it in as a value.

mod collection;
mod database;
mod error;
mod topology;
mod transaction;

pub use blaze_codec::message::Reason;
pub use blaze_codec::{
    Change, Condition, Hlc, Mode, Name, NodeId, Record, RecordKey, Role, Rule, Scope, ScopeError,
    Seq, Text, Timestamp, Uuid, Value, Version, blazedb, record,
};
pub use blaze_db_adapter::{
    ChangeSet, ChangesLimit, CollectionInfo, Conflict, DatabaseAdapter, DatabaseError, Durability,
    Identity, Observed, Observer, Origin, RecordState, RegisteredPeer, Write, WriteError,
    WriteKind, Written,
};
pub use blaze_sync_engine::{
    Acknowledged, Admission, Backoff, CLOCK_AHEAD_MS_MAX, Direction, ExportPolicy, Greeting,
    Limits, Link, LinkId, LinkState, LinkStatus, NodeOptions, Peer, Probed, SessionError, WentBack,
    Withdrawal, probe,
};
pub use blaze_topology::{NodeKey, Topology as TopologyGraph, TopologyError};
pub use blaze_transport::{
    Compression, Endpoint, EndpointError, Listener, POLICY_NAME_BYTES_MAX, PeerInfo,
    PolicyNameError, Transport, TransportError, check_policy_name,
};
pub use blaze_transport_memory::MemoryTransport;
pub use blaze_transport_tcp::TcpTransport;
#[cfg(feature = "tls")]
pub use blaze_transport_tls::{
    Fingerprint, HandshakeError, IssuedTicket, KeyFileError, KeyPair, Paired, PairingError,
    PublicKey, PublicKeyError, Ticket, TicketError, TlsTransport, TrustError, TrustStore,
    TrustedPeer,
};
pub use blaze_transport_unix::{
    InheritedListeners, SocketPlace, UnixTransport, default_endpoint, default_socket_directory,
    inspect_socket, inspect_socket_directory,
};
pub use collection::{Collection, ToRecord};
pub use database::{Database, OpenDatabase};
pub use error::Error;
pub use topology::Topology;
pub use transaction::Transaction;
