//! Abstract names: sockets of Linux that have no file.
//!
//! Neither a mode nor a directory keeps anybody from connecting to one, or from taking the name
//! first: the credentials that both sides check are all there is. The kernel frees a name with
//! its socket, so that there is nothing to lock, to clean up or to lose.

use std::{
    ffi::OsStr,
    io,
    os::unix::net::{SocketAddr, UnixListener as StdListener},
    os::{linux::net::SocketAddrExt, unix::ffi::OsStrExt},
    path::PathBuf,
};

use blaze_transport::{Endpoint, TransportError};
use tokio::net::UnixListener;

/// The name as the runtime takes it for a path.
pub(crate) fn address(endpoint: &Endpoint) -> PathBuf {
    let mut bytes = vec![0];
    bytes.extend_from_slice(endpoint.address().as_bytes());
    OsStr::from_bytes(&bytes).into()
}

/// Listens at the name.
///
/// # Errors
///
/// [`TransportError::AddressInUse`] if anybody has it. Only by connecting could be told who,
/// and whoever it is would have to serve that.
pub(crate) fn listen(endpoint: &Endpoint) -> Result<UnixListener, TransportError> {
    bind(endpoint.address()).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            TransportError::AddressInUse { endpoint: endpoint.clone(), pid: None }
        }
        _ => TransportError::io(format!("listen at {endpoint}"), error),
    })
}

fn bind(name: &str) -> io::Result<UnixListener> {
    let listener = StdListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}
