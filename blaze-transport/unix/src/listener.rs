//! Accepts connections, and cleans up after itself.

use std::{future::poll_fn, io, task::Poll};

use async_trait::async_trait;
use blaze_transport::{Connection, Endpoint, Listener, TransportError};
use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};

use crate::{
    Space, UnixTransport,
    bind::{self, Identity},
    credentials,
    inherited::Lease,
    lock::ListenLock,
    path::{self, SocketPath},
    safety::Owners,
    watch::Watch,
};

/// A socket that listens. Fields are dropped in this order, so that the place goes last.
#[derive(Debug)]
pub(crate) struct UnixSocketListener {
    listener: UnixListener,
    watch: Watch,
    endpoint: Endpoint,
    transport: UnixTransport,
    place: Place,
}

/// What a listener holds besides its socket.
#[derive(Debug)]
enum Place {
    /// A file of our own, `None` once it is removed, and the lock that lets us remove it.
    File { path: SocketPath, bound: Option<Identity>, _lock: ListenLock },
    /// A name that goes with the socket.
    #[cfg(target_os = "linux")]
    Name,
    /// What a service manager made, and will remove.
    Inherited { _lease: Lease },
}

impl UnixSocketListener {
    /// Listens at an endpoint: with the socket that was inherited for it, or a new one.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        transport: &UnixTransport,
    ) -> Result<Self, TransportError> {
        endpoint.expect_scheme(transport.space.scheme())?;
        let (listener, watch, place) = match transport.inherited.lend(endpoint)? {
            Some(lent) => (lent.listener, lent.watch, Place::Inherited { _lease: lent.lease }),
            None => match transport.space {
                Space::Paths => bind_file(endpoint, transport).await?,
                #[cfg(target_os = "linux")]
                Space::Names => {
                    let listener = crate::abstract_name::listen(endpoint)?;
                    (listener, Watch::new(Vec::new()), Place::Name)
                }
            },
        };
        let (endpoint, transport) = (endpoint.clone(), transport.clone());
        Ok(Self { listener, watch, endpoint, transport, place })
    }

    /// Removes our file while the socket is open and the lock is held: until then nobody else's
    /// file can have its inode number.
    fn remove_socket(&mut self) -> Result<(), TransportError> {
        let Place::File { path, bound, .. } = &mut self.place else { return Ok(()) };
        bound.take().map_or(Ok(()), |identity| bind::remove_own(path, identity))
    }

    /// The next client, whoever it is, unless none can come any more.
    async fn next(&mut self) -> Result<UnixStream, TransportError> {
        let accepted = poll_fn(|context| match self.listener.poll_accept(context) {
            Poll::Ready(accepted) => Poll::Ready(Ok(accepted)),
            Poll::Pending => self.watch.poll_lost(context).map(Err),
        });
        let (stream, _) = accepted.await?.map_err(|error: io::Error| {
            TransportError::io(format!("accept a connection at {}", self.endpoint), error)
        })?;
        Ok(stream)
    }
}

/// Takes the lock, removes what a killed server left, and listens.
async fn bind_file(
    endpoint: &Endpoint,
    transport: &UnixTransport,
) -> Result<(UnixListener, Watch, Place), TransportError> {
    let path = SocketPath::resolve(&path::of(endpoint), &Owners::own())?;
    // Looked at before the lock file is made, so that a mistaken path leaves no trace.
    path.socket_metadata()?;
    let lock = ListenLock::acquire(&path.lock(), endpoint)?;
    for left in [&path.temporary(), &path] {
        bind::remove_stale(left, endpoint, geteuid().as_raw()).await?;
    }
    let (listener, identity) = bind::bind(&path, transport.clients.socket_mode())?;
    // Without the lock's file the next server would lock another one.
    let watch = Watch::new(vec![(path.full(), identity), (path.lock(), lock.identity())]);
    Ok((listener, watch, Place::File { path, bound: Some(identity), _lock: lock }))
}

#[async_trait]
impl Listener for UnixSocketListener {
    async fn accept(&mut self) -> Result<Connection, TransportError> {
        let stream = self.next().await?;
        let peer = credentials::of(&stream)?;
        let clients = &self.transport.clients;
        match clients.admit(peer.uid, peer.gid, peer.info) {
            Ok(peer) => Ok(self.transport.connection(stream, peer)),
            Err(refused) => Err(TransportError::ClientRefused {
                endpoint: self.endpoint.clone(),
                client: Box::new(refused),
                allowed: clients.to_string(),
            }),
        }
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
