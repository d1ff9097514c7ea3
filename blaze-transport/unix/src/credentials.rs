//! Who the peer is, by the kernel, before a byte is sent to it.

use std::io;

use blaze_transport::{Endpoint, PeerInfo, TransportError};
use tokio::net::{UnixStream, unix::UCred};

/// Who serves at the endpoint.
///
/// In a directory that others can write, a stranger could have been there first.
///
/// # Errors
///
/// [`TransportError::ServerRefused`] if it is another user.
pub(crate) fn server(
    stream: &UnixStream,
    endpoint: &Endpoint,
    expected: u32,
) -> Result<PeerInfo, TransportError> {
    let peer = stream.peer_cred().map_err(unknown)?;
    if peer.uid() != expected {
        let endpoint = endpoint.clone();
        return Err(TransportError::ServerRefused { endpoint, uid: peer.uid(), expected });
    }
    Ok(describe(&peer))
}

/// Who connected to the endpoint.
///
/// # Errors
///
/// [`TransportError::ClientRefused`] if it is another user.
pub(crate) fn client(
    stream: &UnixStream,
    endpoint: &Endpoint,
    expected: u32,
) -> Result<PeerInfo, TransportError> {
    let peer = stream.peer_cred().map_err(unknown)?;
    if peer.uid() != expected {
        let endpoint = endpoint.clone();
        return Err(TransportError::ClientRefused { endpoint, uid: peer.uid(), expected });
    }
    Ok(describe(&peer))
}

/// A peer that the kernel doesn't name is gone already; it concerns this connection alone.
fn unknown(error: io::Error) -> TransportError {
    TransportError::Broken { reason: "the kernel does not name the peer", source: Some(error) }
}

fn describe(peer: &UCred) -> PeerInfo {
    let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok());
    let process = pid.map(|pid| format!("pid {pid}, ")).unwrap_or_default();
    let info = PeerInfo::new(format!("{process}uid {}", peer.uid()));
    let info = info.with_user(peer.uid(), peer.gid());
    match pid {
        Some(pid) => info.with_pid(pid),
        None => info,
    }
}
