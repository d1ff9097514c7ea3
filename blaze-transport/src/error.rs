//! What can go wrong between two peers, and whether trying again can help.

use std::{io, path::PathBuf};

use crate::{Endpoint, EndpointError, PeerInfo};

/// Why connecting, listening, sending or receiving failed.
///
/// Each variant says what state it leaves behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The text is no endpoint. Nothing was tried.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),

    /// The endpoint belongs to another transport. Nothing was tried.
    #[error("{endpoint} is no endpoint of the `{scheme}` transport")]
    UnsupportedEndpoint {
        /// The endpoint that was asked for.
        endpoint: Endpoint,
        /// The scheme that the transport serves.
        scheme: &'static str,
    },

    /// Nobody listens at the endpoint now. Nothing was sent.
    #[error("nothing listens at {endpoint}; start its server or try again later")]
    NothingListens {
        /// Where the connection was to go.
        endpoint: Endpoint,
    },

    /// The listener is there, but its queue of waiting connections stayed full. Nothing was sent.
    #[error("the server at {endpoint} accepted no connection within {waited_ms} ms")]
    ServerBusy {
        /// Where the connection was to go.
        endpoint: Endpoint,
        /// How long it was tried.
        waited_ms: u64,
    },

    /// Another listener holds the endpoint, and goes on undisturbed.
    #[error(
        "{endpoint} is in use by another server{}; stop it or choose another endpoint",
        .pid.map(|pid| format!(" (held by pid {pid})")).unwrap_or_default()
    )]
    AddressInUse {
        /// The endpoint that was to be listened at.
        endpoint: Endpoint,
        /// The process that holds it, if it said so.
        pid: Option<u32>,
    },

    /// The system denies access. Nothing was changed and nothing was sent.
    #[error("permission denied: {action} {}", .path.display())]
    PermissionDenied {
        /// What was denied: `connect to`, `listen at`.
        action: &'static str,
        /// Where.
        path: PathBuf,
    },

    /// A client connected that is not allowed to. It was hung up on, nothing was read from it or
    /// sent to it, and the listener goes on.
    #[error("client at {endpoint} is {client}, allowed is {allowed}; refused, nothing was sent")]
    ClientRefused {
        /// The listener's endpoint.
        endpoint: Endpoint,
        /// Who it was, such as `pid 4711, uid 1001, gid 1001`.
        client: Box<PeerInfo>,
        /// Who is let in, such as `uid 1000 or gid 50`.
        allowed: String,
    },

    /// The server at the endpoint runs as another user. It was hung up on and nothing was sent.
    #[error("peer at {endpoint} runs as uid {uid}, expected {expected}; refused, nothing was sent")]
    ServerRefused {
        /// Where the connection went.
        endpoint: Endpoint,
        /// The server's user.
        uid: u32,
        /// The only user that is trusted.
        expected: u32,
    },

    /// The path doesn't fit a socket address. Nothing was created.
    #[error(
        "path {} is {bytes} bytes, {} more than the {bytes_max} that work here; choose a shorter \
         one such as {}",
        .path.display(), bytes.saturating_sub(*bytes_max), .suggestion.display()
    )]
    PathTooLong {
        /// The path that was asked for.
        path: PathBuf,
        /// Its length.
        bytes: usize,
        /// The longest that works.
        bytes_max: usize,
        /// A path that works.
        suggestion: PathBuf,
    },

    /// Something other than a socket is at the path. It was left as it is.
    #[error("{} is {found}, not a socket; not removed", .path.display())]
    NotASocket {
        /// Where it is.
        path: PathBuf,
        /// What it is, such as `a regular file`.
        found: &'static str,
    },

    /// A socket of another user is at the path. It was left as it is.
    #[error("{} is a socket of uid {uid}, expected {expected}; not removed", .path.display())]
    ForeignSocket {
        /// Where it is.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Whose it would have to be.
        expected: u32,
    },

    /// A file of the listener isn't the one that it made any more: clients no longer find it, or
    /// another server could take its place. The listener has ended, and connections that it
    /// accepted live on. What is there now was left as it is.
    #[error("{} was {what} under its listener, which has ended; listen again", .path.display())]
    SocketLost {
        /// The socket or its lock file.
        path: PathBuf,
        /// What happened: `removed` or `replaced`.
        what: &'static str,
    },

    /// What the process was started with is no socket to listen at. Nothing of it was used.
    #[error("{what} is unusable: {problem}; have Unix stream sockets passed that listen")]
    InheritedUnusable {
        /// The socket, or the environment variable.
        what: String,
        /// What is wrong with it.
        problem: String,
    },

    /// The directory that is to hold the socket doesn't exist. Nothing was created.
    #[error("socket directory {} does not exist; create it with mode 0700", .path.display())]
    DirectoryMissing {
        /// The directory.
        path: PathBuf,
    },

    /// Others could replace a socket in this directory. Nothing was created and nothing was sent.
    #[error(
        "socket directory {} is {problem} (mode {mode:04o}); use a 0700 directory such as {}",
        .path.display(), .suggestion.display()
    )]
    DirectoryInsecure {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What is wrong, such as `writable by other users`.
        problem: String,
        /// A directory that would do.
        suggestion: PathBuf,
    },

    /// Others could lead elsewhere on the way to the socket's directory. Nothing was created and
    /// nothing was sent.
    #[error(
        "directory {}, which leads to the socket, is {problem} (mode {mode:04o}); {remedy}, or use \
         a 0700 directory such as {}",
        .path.display(), .suggestion.display()
    )]
    ParentInsecure {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What is wrong, such as `writable by other users`.
        problem: String,
        /// What helps.
        remedy: &'static str,
        /// A directory that would do.
        suggestion: PathBuf,
    },

    /// No private directory for sockets is known. Nothing was created.
    #[error(
        "no private directory for sockets: {missing} is not set to an absolute path; set it or name a socket path"
    )]
    DirectoryUnknown {
        /// The environment variables that were looked at.
        missing: &'static str,
    },

    /// The address leaves this device, and plaintext must not. Nothing was sent.
    #[error(
        "{endpoint} reaches beyond this device ({address} is not a loopback address); plaintext TCP \
         is limited to loopback because anyone on the way could read and change the data; use \
         127.0.0.1, [::1] or localhost, or tls://HOST:PORT"
    )]
    NotLoopback {
        /// The endpoint that was asked for.
        endpoint: Endpoint,
        /// The address it stands for.
        address: String,
    },

    /// The two sides did not come to trust each other. No frame was sent, and a listener goes on.
    #[error("no secure connection with {peer}")]
    Handshake {
        /// Whom the connection was made with, such as `192.168.0.7:52114`.
        peer: String,
        /// Whether a later attempt may succeed without anybody changing anything.
        is_retryable: bool,
        /// What the transport says of it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The frame was not queued. The connection goes on.
    #[error("frame is {bytes} bytes, the limit is {bytes_max}; split it")]
    FrameTooLarge {
        /// The frame's size.
        bytes: usize,
        /// The greatest size allowed.
        bytes_max: usize,
    },

    /// The frame was not queued. The connection goes on.
    #[error("frame is {bytes} bytes, the least is {bytes_min}")]
    FrameTooSmall {
        /// The frame's size.
        bytes: usize,
        /// The smallest size allowed.
        bytes_min: usize,
    },

    /// The frame was not queued because the sender had been finished before.
    #[error("frame fed after the sender was finished")]
    SenderFinished,

    /// The connection is gone without a clean finish. What was received before is whole.
    #[error("connection broke: {reason}")]
    Broken {
        /// How it showed.
        reason: &'static str,
        /// What the system said, if it said anything.
        source: Option<io::Error>,
    },

    /// The peer sends a longer frame than is taken now. What was received before is whole,
    /// nothing more comes.
    #[error("peer sends a frame of {bytes} bytes, at most {bytes_max} are taken now")]
    FrameTooLong {
        /// What the frame's header says.
        bytes: u64,
        /// What is taken.
        bytes_max: u64,
    },

    /// The peer sent what is no frame. What was received before is whole, nothing more comes.
    #[error("peer sent a corrupt frame: {reason}")]
    Corrupt {
        /// What is wrong with it.
        reason: String,
    },

    /// The operating system failed in another way.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// What the system said.
        source: io::Error,
    },
}

impl TransportError {
    /// Says what was tried when `source` came.
    pub fn io(action: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action: action.into(), source }
    }

    /// Whether the same call can succeed later without anybody changing anything.
    ///
    /// From [`Listener::accept`](crate::Listener::accept) it means that the listener goes on;
    /// from a connection, that a new connection is worth trying.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NothingListens { .. }
            | Self::ServerBusy { .. }
            | Self::ClientRefused { .. }
            | Self::Broken { .. }
            | Self::FrameTooLong { .. }
            | Self::Corrupt { .. } => true,
            Self::Handshake { is_retryable, .. } => *is_retryable,
            Self::Io { source, .. } => is_passing(source),
            _ => false,
        }
    }
}

/// Whether the system's error is about one peer or a shortage, not about the request.
fn is_passing(error: &io::Error) -> bool {
    // A full table of open files has no kind of its own; these numbers are the same on every Unix.
    const TOO_MANY_OPEN_FILES: [i32; 2] = [23, 24];
    match error.kind() {
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::Interrupted
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::OutOfMemory
        | io::ErrorKind::TimedOut
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::WouldBlock => true,
        _ => {
            cfg!(unix)
                && error.raw_os_error().is_some_and(|code| TOO_MANY_OPEN_FILES.contains(&code))
        }
    }
}
