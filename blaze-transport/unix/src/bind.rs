//! A listening socket that is private from birth and appears at its path all at once.

use std::{
    fs::{self, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{MetadataExt, PermissionsExt},
            net::UnixListener as StdListener,
        },
    },
    path::{Path, PathBuf},
};

use blaze_transport::{Endpoint, TransportError};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind as bind_socket, listen};
use tokio::net::{UnixListener, UnixStream};

use crate::{path::SocketPath, path_error};

/// Connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 128;

/// Which file a socket is, so that another one at the same path is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(crate) fn of(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Binds and listens at the path. The caller holds the path's lock, and has removed what a
/// killed server left at the path and at its temporary one.
///
/// The socket is bound at the temporary path and linked to its own when it listens already, so
/// that no client ever meets a socket that refuses it for a moment. Linking comes last: whatever
/// fails leaves nothing behind.
///
/// # Errors
///
/// If something is at either path, or the directory can't be written.
pub(crate) fn bind(
    path: &SocketPath,
    mode: u32,
) -> Result<(UnixListener, Identity), TransportError> {
    let (full, temporary) = (path.full(), path.temporary());
    let address = temporary.address()?;
    bind_and_link(address.path(), temporary.full(), &full, mode)
        .map_err(path_error("listen at", &full))
}

/// Removes a socket that a killed server left at the path. The caller holds the path's lock.
///
/// # Errors
///
/// If something other than our own socket is at the path, or somebody listens there without
/// holding the lock. It is left as it is.
pub(crate) async fn remove_stale(
    path: &SocketPath,
    endpoint: &Endpoint,
    expected: u32,
) -> Result<(), TransportError> {
    let full = path.full();
    let Some(metadata) = path.socket_metadata()? else { return Ok(()) };
    if metadata.uid() != expected {
        let uid = metadata.uid();
        return Err(TransportError::ForeignSocket { path: full, uid, expected });
    }
    // Only a refusal shows that nobody listens; a full backlog, for one, shows the opposite.
    let address = path.address()?;
    match UnixStream::connect(address.path()).await.map_err(|error| error.kind()) {
        Err(io::ErrorKind::ConnectionRefused) => {
            fs::remove_file(&full).map_err(path_error("remove the stale socket", &full))
        }
        Err(io::ErrorKind::NotFound) => Ok(()),
        _ => Err(TransportError::AddressInUse { endpoint: endpoint.clone(), pid: None }),
    }
}

/// Removes the socket at the path if it is still the one that was bound there.
///
/// # Errors
///
/// If it can't be removed.
pub(crate) fn remove_own(path: &SocketPath, identity: Identity) -> Result<(), TransportError> {
    match path.metadata()? {
        Some(metadata) if Identity::of(&metadata) == identity => {
            let full = path.full();
            fs::remove_file(&full).map_err(path_error("remove the socket", &full))
        }
        _ => Ok(()),
    }
}

fn bind_and_link(
    address: &Path,
    temporary: PathBuf,
    full: &Path,
    mode: u32,
) -> io::Result<(UnixListener, Identity)> {
    let (listener, temporary) = bind_private(address, temporary, mode)?;
    let listener = UnixListener::from_std(listener)?;
    let identity = Identity::of(&fs::symlink_metadata(&temporary.path)?);
    fs::hard_link(&temporary.path, full)?;
    Ok((listener, identity))
}

/// The file of a socket that this call bound. Goes when dropped, whatever happened.
struct Temporary {
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What can't be removed is what a killed server leaves: the next one removes it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Binds a socket of a mode, without a moment in which a client could pass a wider one, and
/// whatever the umask.
fn bind_private(address: &Path, path: PathBuf, mode: u32) -> io::Result<(StdListener, Temporary)> {
    let socket = new_socket()?;
    bind_socket(&socket, &SocketAddrUnix::new(address)?)?;
    let temporary = Temporary { path };
    // Nobody can connect before the socket listens, so whatever it was until now didn't matter.
    fs::set_permissions(&temporary.path, Permissions::from_mode(mode))?;
    listen(&socket, BACKLOG)?;
    Ok((socket.into(), temporary))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn new_socket() -> io::Result<OwnedFd> {
    use rustix::{
        fs::{Mode, fchmod},
        net::{SocketFlags, socket_with},
    };

    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // On Linux the mode of the unbound socket, less the umask, becomes the mode of the file,
    // which so is never wider than this.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    Ok(socket)
}

/// Without flags of the call a child that another thread starts in between inherits the socket;
/// it has it unbound.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn new_socket() -> io::Result<OwnedFd> {
    use rustix::{
        io::{FdFlags, fcntl_setfd, ioctl_fionbio},
        net::socket,
    };

    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&socket, true)?;
    Ok(socket)
}
