//! In-process transport for Blaze.
//!
//! Frames pass from one task to another as they are: no copy, no checksum, no system call.
//!
//! ```
//! use blaze_transport::{Endpoint, Transport};
//! use blaze_transport_memory::MemoryTransport;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let transport = MemoryTransport::new();
//! let endpoint = Endpoint::memory("notes")?;
//! let mut listener = transport.listen(&endpoint).await?;
//!
//! let mut client = transport.connect(&endpoint).await?;
//! let mut server = listener.accept().await?;
//! client.sender.feed("hello".into())?;
//! client.sender.flush().await?;
//! assert_eq!(server.receiver.recv().await?.unwrap(), "hello");
//! # Ok(())
//! # }
//! ```

mod pipe;

use std::{
    collections::{HashMap, hash_map::Entry},
    process,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use blaze_transport::{Connection, Endpoint, Listener, PeerInfo, Transport, TransportError};
use tokio::sync::mpsc;

pub use pipe::IN_FLIGHT_BYTES_MAX;

const SCHEME: &str = "mem";
/// Connections that may wait to be accepted, per listener; then connecting waits.
const BACKLOG: usize = 128;

/// The transport for peers in the same process: `mem:NAME`.
///
/// Each value made by [`new`](Self::new) has names of its own, which its clones share. Two tests
/// therefore never meet, and two parts of an app that have no value in common can use
/// [`global`](Self::global).
#[derive(Clone, Debug, Default)]
pub struct MemoryTransport {
    names: Arc<Names>,
}

/// The queue of each listener, by name.
#[derive(Debug, Default)]
struct Names(Mutex<HashMap<String, mpsc::Sender<Connection>>>);

impl Names {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Connection>>> {
        // No code panics while it holds the lock, and every step leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryTransport {
    /// A transport whose names nobody else knows.
    pub fn new() -> Self {
        Self::default()
    }

    /// The transport whose names the whole process shares.
    pub fn global() -> Self {
        static GLOBAL: LazyLock<MemoryTransport> = LazyLock::new(MemoryTransport::new);
        GLOBAL.clone()
    }
}

#[async_trait]
impl Transport for MemoryTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError> {
        endpoint.expect_scheme(SCHEME)?;
        let nothing_listens = || TransportError::NothingListens { endpoint: endpoint.clone() };
        let queue = self.names.lock().get(endpoint.address()).cloned();
        let queue = queue.ok_or_else(nothing_listens)?;

        let peer = PeerInfo::new(endpoint.to_string()).with_pid(process::id());
        let (to_server, from_client) = pipe::pipe();
        let (to_client, from_server) = pipe::pipe();
        let server_side = Connection::new(to_client, from_client, peer.clone());
        queue.send(server_side).await.map_err(|_| nothing_listens())?;
        Ok(Connection::new(to_server, from_server, peer))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        endpoint.expect_scheme(SCHEME)?;
        let (queue, incoming) = mpsc::channel(BACKLOG);
        match self.names.lock().entry(endpoint.address().to_owned()) {
            Entry::Occupied(_) => {
                return Err(TransportError::AddressInUse { endpoint: endpoint.clone(), pid: None });
            }
            Entry::Vacant(entry) => entry.insert(queue),
        };
        let names = Arc::clone(&self.names);
        Ok(Box::new(MemoryListener { endpoint: endpoint.clone(), incoming, names }))
    }
}

#[derive(Debug)]
struct MemoryListener {
    endpoint: Endpoint,
    incoming: mpsc::Receiver<Connection>,
    names: Arc<Names>,
}

#[async_trait]
impl Listener for MemoryListener {
    async fn accept(&mut self) -> Result<Connection, TransportError> {
        let connection = self.incoming.recv().await;
        Ok(connection.expect("the map holds a sender for as long as the listener lives"))
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn close(self: Box<Self>) -> Result<(), TransportError> {
        Ok(())
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.names.lock().remove(self.endpoint.address());
    }
}
