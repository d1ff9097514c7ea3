//! Connects to a socket, and says why that fails.

use std::{io, path::Path, time::Duration};

use blaze_transport::{Endpoint, TransportError};
use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

use crate::{
    path::{self, SocketPath},
    path_error,
    safety::Owners,
};

/// How long a full backlog is waited for.
const BUSY_MS_MAX: u64 = 2000;
/// The longest pause between two attempts; it is random, so that waiting clients spread out.
const PAUSE_MS_MAX: u64 = 50;

/// Connects to the socket at the endpoint's path.
///
/// # Errors
///
/// [`TransportError::NothingListens`] if there is no socket, or one that refuses, as a killed
/// server leaves it; others if the path is not where a server would listen.
pub(crate) async fn to_path(
    endpoint: &Endpoint,
    owners: &Owners,
) -> Result<UnixStream, TransportError> {
    let nothing_listens = || TransportError::NothingListens { endpoint: endpoint.clone() };
    let path = match SocketPath::resolve(&path::of(endpoint), owners) {
        // The server that will listen there makes the directory, too.
        Err(TransportError::DirectoryMissing { .. }) => return Err(nothing_listens()),
        resolved => resolved?,
    };
    // The system says "refused" of a regular file, too, and would follow a symbolic link.
    if path.socket_metadata()?.is_none() {
        return Err(nothing_listens());
    }

    let address = path.address()?;
    to_address(endpoint, address.path(), &path.full()).await
}

/// Connects to an address, and waits while its backlog is full. Messages say `shown`.
///
/// # Errors
///
/// [`TransportError::NothingListens`] if nothing does, or
/// [`TransportError::ServerBusy`] if there is no place in the backlog in time.
pub(crate) async fn to_address(
    endpoint: &Endpoint,
    address: &Path,
    shown: &Path,
) -> Result<UnixStream, TransportError> {
    let deadline = Instant::now() + Duration::from_millis(BUSY_MS_MAX);
    loop {
        let error = match UnixStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                return Err(TransportError::NothingListens { endpoint: endpoint.clone() });
            }
            // The backlog is full: the system would only let a blocking socket wait.
            io::ErrorKind::WouldBlock if Instant::now() < deadline => {
                sleep(Duration::from_millis(fastrand::u64(1..=PAUSE_MS_MAX))).await;
            }
            io::ErrorKind::WouldBlock => {
                let (endpoint, waited_ms) = (endpoint.clone(), BUSY_MS_MAX);
                return Err(TransportError::ServerBusy { endpoint, waited_ms });
            }
            _ => return Err(path_error("connect to", shown)(error)),
        }
    }
}
