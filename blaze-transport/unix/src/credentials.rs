//! Who the peer is, by the kernel, before a byte is sent to it or read from it.
//!
//! The kernel keeps the effective user and group of the moment in which the peer connected, or
//! began to listen; supplementary groups it would tell only by a call that no safe crate offers.
//! So is it with a descriptor of the peer's process (`SO_PEERPIDFD`), which would keep a pid from
//! being reused: nothing is decided by a pid here, it is for messages.

use std::io;

use blaze_transport::{PeerInfo, TransportError};
use tokio::net::{UnixStream, unix::UCred};

/// A peer as the kernel names it.
pub(crate) struct Peer {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) info: PeerInfo,
}

/// Who is at the other end. Both sides ask: in a directory that others can write, a stranger's
/// server could have been there first.
///
/// # Errors
///
/// [`TransportError::Broken`] if the kernel doesn't say.
pub(crate) fn of(stream: &UnixStream) -> Result<Peer, TransportError> {
    let peer = stream.peer_cred().map_err(unknown)?;
    Ok(Peer { uid: peer.uid(), gid: peer.gid(), info: describe(&peer) })
}

/// A peer that the kernel doesn't name is gone already; it concerns this connection alone.
fn unknown(error: io::Error) -> TransportError {
    TransportError::Broken { reason: "the kernel does not name the peer", source: Some(error) }
}

fn describe(peer: &UCred) -> PeerInfo {
    // A process of another PID namespace has none here: the kernel says 0.
    let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid != 0);
    let process = pid.map(|pid| format!("pid {pid}, ")).unwrap_or_default();
    let info = PeerInfo::new(format!("{process}uid {}, gid {}", peer.uid(), peer.gid()));
    let info = info.with_user(peer.uid(), peer.gid());
    match pid {
        Some(pid) => info.with_pid(pid),
        None => info,
    }
}
