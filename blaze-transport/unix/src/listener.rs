//! Accepts connections at a path, and cleans up after itself.

use async_trait::async_trait;
use blaze_transport::{Connection, Endpoint, Listener, TransportError};
use rustix::process::geteuid;
use tokio::net::UnixListener;

use crate::{
    UnixTransport,
    bind::{self, Identity},
    credentials,
    lock::ListenLock,
    path::{self, SocketPath},
    safety::Owners,
};

/// A socket that listens. Fields are dropped in this order, so that the lock goes last.
#[derive(Debug)]
pub(crate) struct UnixSocketListener {
    listener: UnixListener,
    path: SocketPath,
    /// The file that was bound; `None` once it is removed.
    identity: Option<Identity>,
    endpoint: Endpoint,
    transport: UnixTransport,
    _lock: ListenLock,
}

impl UnixSocketListener {
    /// Takes the lock, removes what a killed server left, and listens.
    pub(crate) async fn bind(
        endpoint: &Endpoint,
        transport: UnixTransport,
    ) -> Result<Self, TransportError> {
        let path = SocketPath::resolve(&path::of(endpoint)?, &Owners::own())?;
        // Looked at before the lock file is made, so that a mistaken path leaves no trace.
        path.socket_metadata()?;
        let lock = ListenLock::acquire(&path.lock(), endpoint)?;
        for left in [&path.temporary(), &path] {
            bind::remove_stale(left, endpoint, geteuid().as_raw()).await?;
        }
        let (listener, identity) = bind::bind(&path, transport.clients.socket_mode())?;
        let endpoint = endpoint.clone();
        Ok(Self { listener, path, identity: Some(identity), endpoint, transport, _lock: lock })
    }

    /// Removes our file while the socket is open and the lock is held: until then nobody else's
    /// file can have its inode number.
    fn remove_socket(&mut self) -> Result<(), TransportError> {
        self.identity.take().map_or(Ok(()), |identity| bind::remove_own(&self.path, identity))
    }
}

#[async_trait]
impl Listener for UnixSocketListener {
    async fn accept(&mut self) -> Result<Connection, TransportError> {
        let accepted = self.listener.accept().await;
        let (stream, _) = accepted.map_err(|error| {
            TransportError::io(format!("accept a connection at {}", self.endpoint), error)
        })?;
        let peer = credentials::of(&stream)?;
        if !self.transport.clients.admit(peer.uid, peer.gid) {
            return Err(TransportError::ClientRefused {
                endpoint: self.endpoint.clone(),
                client: Box::new(peer.info),
                allowed: self.transport.clients.to_string(),
            });
        }
        Ok(self.transport.connection(stream, peer.info))
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn close(mut self: Box<Self>) -> Result<(), TransportError> {
        self.remove_socket()
    }
}

impl Drop for UnixSocketListener {
    fn drop(&mut self) {
        // Only `close` can report it; the next listener replaces what is left.
        let _ = self.remove_socket();
    }
}
