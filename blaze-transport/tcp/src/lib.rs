//! TCP transport for Blaze.
//!
//! There is no encryption yet, so nothing leaves the device: it listens at and connects to
//! loopback addresses only, and its constructor says so.
//!
//! ```
//! use blaze_transport::Transport;
//! use blaze_transport_tcp::TcpTransport;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let transport = TcpTransport::plaintext_loopback();
//! let mut listener = transport.listen(&"tcp://127.0.0.1:0".parse()?).await?;
//!
//! let endpoint = listener.endpoint().clone();
//! let (client, server) = tokio::join!(transport.connect(&endpoint), listener.accept());
//! let (mut client, mut server) = (client?, server?);
//! client.sender.feed("hello".into())?;
//! client.sender.flush().await?;
//! assert_eq!(server.receiver.recv().await?.unwrap(), "hello");
//! # Ok(())
//! # }
//! ```

mod loopback;

use std::{io, time::Duration};

use async_trait::async_trait;
use blaze_transport::{
    Compression, Connection, Endpoint, FrameLimits, Listener, PeerInfo, Transport, TransportError,
    framed,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

const SCHEME: &str = "tcp";
/// How long the system may take to connect; on loopback only a full backlog takes any time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The transport for peers at `tcp://HOST:PORT`, unencrypted and therefore limited to loopback.
#[derive(Clone, Debug)]
pub struct TcpTransport {
    limits: FrameLimits,
    compression: Compression,
}

impl TcpTransport {
    /// TCP without encryption, which is refused for any address beyond this device.
    ///
    /// The host of an endpoint must be a loopback address or `localhost`, which means
    /// `127.0.0.1`, else `[::1]`, without asking a resolver. Any program of any user on the
    /// device can connect: between apps of one user, prefer a Unix socket.
    pub fn plaintext_loopback() -> Self {
        Self { limits: FrameLimits::default(), compression: Compression::Lz4 }
    }

    /// Sets what changes are compressed by, as far as both sides can. Default:
    /// [`Compression::Lz4`], which costs a fraction of what merging the changes does; on a
    /// link of less than about 100 Mbit/s, or one that is paid by the byte,
    /// [`Compression::Zstd`] gets more through.
    pub fn with_compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    fn connection(&self, stream: TcpStream, description: String) -> io::Result<Connection> {
        // Frames are gathered before they are written; waiting for more only adds latency.
        stream.set_nodelay(true)?;
        let (read_half, write_half) = stream.into_split();
        let (sender, receiver) = framed(read_half, write_half, self.limits);
        Ok(Connection::new(sender, receiver, PeerInfo::new(description)))
    }
}

#[async_trait]
impl Transport for TcpTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn compression(&self) -> Compression {
        self.compression
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError> {
        let failed = |error| TransportError::io(format!("connect to {endpoint}"), error);
        for address in loopback::addresses(endpoint)? {
            let waited_ms = u64::try_from(CONNECT_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
            let Ok(connected) = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await else {
                return Err(TransportError::ServerBusy { endpoint: endpoint.clone(), waited_ms });
            };
            match connected {
                Ok(stream) if is_own_echo(&stream) => {}
                Ok(stream) => return self.connection(stream, address.to_string()).map_err(failed),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(TransportError::NothingListens { endpoint: endpoint.clone() })
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
        for address in loopback::addresses(endpoint)? {
            result = TcpListener::bind(address).await;
            if result.is_ok() || !result.as_ref().is_err_and(is_absent) {
                break;
            }
        }
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                TransportError::AddressInUse { endpoint: endpoint.clone(), pid: None }
            }
            _ => TransportError::io(format!("listen at {endpoint}"), error),
        };
        let listener = result.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let endpoint = Endpoint::tcp(&address.ip().to_string(), address.port())?;
        Ok(Box::new(PlaintextListener { listener, endpoint, transport: self.clone() }))
    }
}

/// Whether the address has no listener, or this device has no such address, such as no IPv6.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::AddrNotAvailable)
}

/// Whether the stream is connected to itself.
///
/// When nothing listens at a port that the system hands out to clients, it may hand out that
/// very port, and TCP then connects the socket to itself.
fn is_own_echo(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}

#[derive(Debug)]
struct PlaintextListener {
    listener: TcpListener,
    endpoint: Endpoint,
    transport: TcpTransport,
}

#[async_trait]
impl Listener for PlaintextListener {
    async fn accept(&mut self) -> Result<Connection, TransportError> {
        let accepted = self.listener.accept().await;
        let (stream, address) = accepted.map_err(|error| {
            TransportError::io(format!("accept a connection at {}", self.endpoint), error)
        })?;
        let connection = self.transport.connection(stream, address.to_string());
        connection.map_err(|error| TransportError::Broken {
            reason: "the client hung up while it was accepted",
            source: Some(error),
        })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn close(self: Box<Self>) -> Result<(), TransportError> {
        Ok(())
    }
}
