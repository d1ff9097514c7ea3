//! The handshake of either side, up to the word that the other one agrees.

use std::{io, net::IpAddr, sync::Arc};

use rustls::{ClientConfig, CommonState, ServerConfig, server::Acceptor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, TlsStream};

use crate::{HandshakeError, PublicKey, metered::Metered};

/// What the side that listens says first. Only then does the other one know that it was accepted,
/// for in TLS 1.3 it has finished before its key is looked at.
const WELCOME: u8 = 1;

/// A peer that has proved to own its key.
#[derive(Debug)]
pub(crate) struct Secured {
    pub(crate) stream: TlsStream<Metered>,
    pub(crate) key: PublicKey,
}

impl Secured {
    fn new(stream: TlsStream<Metered>, protocol: &[u8]) -> io::Result<Self> {
        let (_, state) = stream.get_ref();
        if state.alpn_protocol() != Some(protocol) {
            return Err(io::Error::other(HandshakeError::OtherProtocol));
        }
        let key = key_of(state).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { stream, key })
    }

    /// Reads without a limit from now on.
    fn lift(mut self) -> Self {
        match &mut self.stream {
            TlsStream::Client(stream) => stream.get_mut().0.lift(),
            TlsStream::Server(stream) => stream.get_mut().0.lift(),
        }
        self
    }
}

/// The key that the verifier accepted.
fn key_of(state: &CommonState) -> Option<PublicKey> {
    PublicKey::from_spki(state.peer_certificates()?.first()?)
}

/// Makes sure that the server is one that is accepted, and that it accepts this side.
pub(crate) async fn connect(config: &Arc<ClientConfig>, stream: TcpStream) -> io::Result<Secured> {
    let address: IpAddr = stream.peer_addr()?.ip();
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(address.into(), Metered::new(stream)).await?;
    let protocol = config.alpn_protocols.concat();
    let mut secured = Secured::new(stream.into(), &protocol)?;
    match secured.stream.read_u8().await? {
        WELCOME => Ok(secured.lift()),
        _ => Err(io::Error::other(HandshakeError::OtherProtocol)),
    }
}

/// Makes sure that the client is one that is accepted, and tells it so.
pub(crate) async fn accept(config: &Arc<ServerConfig>, stream: TcpStream) -> io::Result<Secured> {
    let accepting = LazyConfigAcceptor::new(Acceptor::default(), Metered::new(stream));
    let start = accepting.await?;
    let stream = start.into_stream(Arc::clone(config)).await?;
    let protocol = config.alpn_protocols.concat();
    let mut secured = Secured::new(stream.into(), &protocol)?;
    secured.stream.write_u8(WELCOME).await?;
    secured.stream.flush().await?;
    Ok(secured.lift())
}
