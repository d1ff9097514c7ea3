//! Unix domain socket transport for Blaze.
//!
//! Both sides belong to the same user, unless they name others, and both make sure of it: the
//! kernel names the other's user before a byte is sent or read. The socket lives where only its
//! user and root can write, is born with mode 0600, and a lock file beside it decides who may
//! listen.
//!
//! ```
//! use blaze_transport::{Endpoint, Transport};
//! use blaze_transport_unix::UnixTransport;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! // In an app: `let endpoint = blaze_transport_unix::default_endpoint("notes")?;`
//! let endpoint = Endpoint::unix(directory.path().join("notes.sock"))?;
//! let transport = UnixTransport::new();
//! let mut listener = transport.listen(&endpoint).await?;
//!
//! let (client, server) = tokio::join!(transport.connect(&endpoint), listener.accept());
//! let (mut client, mut server) = (client?, server?);
//! client.sender.feed("hello".into())?;
//! client.sender.flush().await?;
//! assert_eq!(server.receiver.recv().await?.unwrap(), "hello");
//! # Ok(())
//! # }
//! ```
#![cfg(unix)]

#[cfg(target_os = "linux")]
mod abstract_name;
mod address;
mod bind;
mod clients;
mod connect;
mod credentials;
mod directory;
mod inherited;
mod inspect;
mod listener;
mod lock;
mod path;
mod safety;
mod watch;

#[cfg(test)]
mod tests;

use std::io;

use async_trait::async_trait;
use blaze_codec::Mode;
use blaze_transport::{
    Connection, Endpoint, FrameLimits, Listener, PeerInfo, Transport, TransportError, framed,
};
use rustix::process::geteuid;
use tokio::net::UnixStream;

use clients::{Agreed, Clients};
use safety::Owners;

pub use directory::default_endpoint;
pub use inherited::InheritedListeners;
pub use inspect::{
    SocketPlace, default_socket_directory, inspect_socket, inspect_socket_directory,
};

/// The scheme of sockets that have a path.
const SCHEME: &str = "unix";

/// What the system may hold of what was sent and not read: 1 MiB instead of 208 KiB, the
/// default of Linux, so that both sides work while a stream is under way.
const SEND_BUFFER_BYTES: usize = 1024 * 1024;

/// The transport for peers on the same device, by default of the same user: `unix:/PATH`.
///
/// It needs a tokio runtime with I/O and time.
///
/// # What it leaves on disk
///
/// While a listener lives there are `PATH`, a socket of mode 0600 (0666 if it lets others in),
/// and `PATH.lock`, which holds its pid. The lock file stays when the listener is gone: removing
/// it would let two servers each lock a file of their own. For a moment at the start the socket
/// is `.NAME.new` beside `PATH`. What a killed server left behind of either is replaced by the
/// next one.
///
/// A listener that finds its socket or its lock file removed or replaced, for which it looks
/// every 5 s while no client comes, ends as [`TransportError::SocketLost`]: nobody would find it
/// any more, and to make it anew is to be decided with all checks, by listening again.
///
/// # How long a path may be
///
/// With that name it has to fit a socket address: `PATH` has at most 102 bytes on Linux and 98
/// elsewhere. On Linux it may be longer where `/proc` is mounted and `NAME` has at most 77 bytes:
/// its directory is then opened, and the address goes through `/proc/self/fd`.
#[derive(Clone, Debug)]
pub struct UnixTransport {
    /// Whose clients a listener lets in.
    clients: Clients,
    /// The only user whom a server may run as.
    server_uid: u32,
    /// The name of the policy by which servers see and write.
    server_policy: Option<String>,
    inherited: InheritedListeners,
    limits: FrameLimits,
    space: Space,
}

/// Where the names of sockets are.
#[derive(Clone, Copy, Debug)]
enum Space {
    /// In the file system.
    Paths,
    /// In the network namespace.
    #[cfg(target_os = "linux")]
    Names,
}

impl Space {
    fn scheme(self) -> &'static str {
        match self {
            Self::Paths => SCHEME,
            #[cfg(target_os = "linux")]
            Self::Names => "unix-abstract",
        }
    }
}

impl UnixTransport {
    /// A transport for peers that run as this process's effective user.
    pub fn new() -> Self {
        let uid = geteuid().as_raw();
        Self {
            clients: Clients::of_user(uid),
            server_uid: uid,
            server_policy: None,
            inherited: InheritedListeners::default(),
            limits: FrameLimits::default(),
            space: Space::Paths,
        }
    }

    /// The same for Linux' abstract names: `unix-abstract:NAME`.
    ///
    /// They leave nothing on disk and need no directory. But no directory protects them either:
    /// every user of the network namespace, containers with the host's network included, can
    /// connect, to be hung up on, and can take a name first, so that its server can't start.
    /// Prefer a path where one can be had.
    #[cfg(target_os = "linux")]
    pub fn for_abstract_names() -> Self {
        Self { space: Space::Names, ..Self::new() }
    }

    /// Lets clients of another user in. Default: only those of this process's effective user.
    ///
    /// The socket's mode is then 0666, as no mode can list users: it is the kernel's word on each
    /// client that decides, and whoever isn't listed is hung up on, without a byte. Which
    /// users reach the socket at all is up to the modes of the directories that lead to it,
    /// such as 0711; none of them may be writable by others.
    pub fn with_allowed_user(mut self, uid: u32) -> Self {
        self.clients.allow_user(uid, Agreed::default());
        self
    }

    /// The same with what their links carry at most, seen from them: clients of a user with
    /// [`Mode::ReadOnly`] only receive. It may be given of this process's own user, too.
    pub fn with_allowed_user_in(mut self, uid: u32, mode: Mode) -> Self {
        self.clients.allow_user(uid, Agreed::in_mode(mode));
        self
    }

    /// The same with the name of the policy by which they see and write this node's database: a
    /// node that doesn't know it refuses their links. It may be given of this process's own user,
    /// too.
    pub fn with_allowed_user_under(
        mut self,
        uid: u32,
        mode: Mode,
        policy: impl Into<String>,
    ) -> Self {
        self.clients.allow_user(uid, Agreed::under(mode, policy));
        self
    }

    /// Lets clients of a group in, as [`with_allowed_user`](Self::with_allowed_user) does those
    /// of a user. It counts the group that a process runs as (its effective gid), not those that
    /// its user is in besides. Default: none.
    pub fn with_allowed_group(mut self, gid: u32) -> Self {
        self.clients.allow_group(gid, Agreed::default());
        self
    }

    /// The same with what their links carry at most, seen from them. What was said of a user
    /// goes before what was said of its group.
    pub fn with_allowed_group_in(mut self, gid: u32, mode: Mode) -> Self {
        self.clients.allow_group(gid, Agreed::in_mode(mode));
        self
    }

    /// The same with the name of the policy by which they see and write. A user that is listed
    /// without a policy has none, whatever its group has.
    pub fn with_allowed_group_under(
        mut self,
        gid: u32,
        mode: Mode,
        policy: impl Into<String>,
    ) -> Self {
        self.clients.allow_group(gid, Agreed::under(mode, policy));
        self
    }

    /// Connects to servers of this user only, whose directories are then trusted as well.
    /// Default: this process's effective user.
    ///
    /// For a socket that a service manager made the kernel names the manager's user: 0 for the
    /// system's.
    pub fn with_server_user(mut self, uid: u32) -> Self {
        self.server_uid = uid;
        self
    }

    /// Names the policy by which servers that this side connects to see and write. Default: none
    /// was agreed.
    pub fn with_server_policy(mut self, policy: impl Into<String>) -> Self {
        self.server_policy = Some(policy.into());
        self
    }

    /// Listens with a socket that this process was started with, where one is of the endpoint.
    /// Default: none.
    pub fn with_inherited(mut self, inherited: InheritedListeners) -> Self {
        self.inherited = inherited;
        self
    }

    fn connection(&self, stream: UnixStream, peer: PeerInfo) -> Connection {
        // A wish: the system has a limit of its own, and any size will do.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES);
        let (read_half, write_half) = stream.into_split();
        let (sender, receiver) = framed(read_half, write_half, self.limits);
        Connection::new(sender, receiver, peer)
    }
}

impl Default for UnixTransport {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Transport for UnixTransport {
    fn scheme(&self) -> &'static str {
        self.space.scheme()
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError> {
        endpoint.expect_scheme(self.scheme())?;
        let stream = match self.space {
            Space::Paths => connect::to_path(endpoint, &Owners::with(self.server_uid)).await?,
            #[cfg(target_os = "linux")]
            Space::Names => {
                let (address, shown) = (abstract_name::address(endpoint), endpoint.to_string());
                connect::to_address(endpoint, &address, shown.as_ref()).await?
            }
        };
        let (peer, expected) = (credentials::of(&stream)?, self.server_uid);
        if peer.uid != expected {
            let (endpoint, uid) = (endpoint.clone(), peer.uid);
            return Err(TransportError::ServerRefused { endpoint, uid, expected });
        }
        let info = match &self.server_policy {
            Some(policy) => peer.info.with_policy(policy),
            None => peer.info,
        };
        Ok(self.connection(stream, info))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        Ok(Box::new(listener::UnixSocketListener::open(endpoint, self).await?))
    }
}

/// Says what was tried at a path, and gives a denied permission a variant of its own.
fn path_error(
    action: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(io::Error) -> TransportError {
    move |error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            TransportError::PermissionDenied { action, path: path.to_owned() }
        }
        _ => TransportError::io(format!("{action} {}", path.display()), error),
    }
}
