//! Who the peer is, by the kernel, before a byte is sent to it.

use std::io;

use blaze_transport::{PeerInfo, TransportError};
use tokio::net::{UnixStream, unix::UCred};

/// Who is at the other end, if it is the user that is expected. Both sides ask: in
/// a directory that others can write, a stranger's server could have been there first.
///
/// # Errors
///
/// What `refused` makes of another user's uid.
pub(crate) fn check(
    stream: &UnixStream,
    expected: u32,
    refused: impl FnOnce(u32) -> TransportError,
) -> Result<PeerInfo, TransportError> {
    let peer = stream.peer_cred().map_err(unknown)?;
    if peer.uid() == expected { Ok(describe(&peer)) } else { Err(refused(peer.uid())) }
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
