//! Where a proxy listens, and how it reaches the listener behind it.

use std::{io, net::SocketAddr, path::Path};

use blaze_transport::Endpoint;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

/// Bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A socket at which the suite's proxy takes connections, to pass them on to a listener at
/// another socket of that kind.
#[derive(Debug)]
pub struct Front {
    socket: Socket,
    endpoint: Endpoint,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Front {
    /// A TCP port of the host, which the system picks. Transports that go over TCP connect to it
    /// by endpoints of their own scheme, such as `tls`.
    ///
    /// # Errors
    ///
    /// If the system has no such port.
    pub async fn tcp(scheme: &str, host: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((host, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let endpoint = Endpoint::new(scheme, &address).map_err(io::Error::other)?;
        Ok(Self { socket: Socket::Tcp(listener), endpoint })
    }

    /// A Unix socket at a path, which nothing may be at.
    ///
    /// # Errors
    ///
    /// If the system doesn't let a socket be there.
    pub fn unix(path: impl AsRef<Path>) -> io::Result<Self> {
        let listener = UnixListener::bind(&path)?;
        let endpoint = Endpoint::unix(path).map_err(io::Error::other)?;
        Ok(Self { socket: Socket::Unix(listener), endpoint })
    }

    /// Where the transport reaches the proxy.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Takes a connection, and makes one to the listener at `back`.
    pub(super) async fn accept(
        &self,
        back: &Endpoint,
    ) -> io::Result<(Box<dyn Stream>, Box<dyn Stream>)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (front, _) = listener.accept().await?;
                let address: SocketAddr = back.address().parse().map_err(io::Error::other)?;
                let back = TcpStream::connect(address).await?;
                // What is sent byte by byte is to arrive so.
                front.set_nodelay(true)?;
                back.set_nodelay(true)?;
                Ok((Box::new(front), Box::new(back)))
            }
            Socket::Unix(listener) => {
                let (front, _) = listener.accept().await?;
                let back = UnixStream::connect(back.address()).await?;
                Ok((Box::new(front), Box::new(back)))
            }
        }
    }
}
