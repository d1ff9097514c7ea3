//! The handshake of either side, up to the word that the other one agrees.

use std::{io, net::IpAddr, sync::Arc};

use rustls::{ClientConfig, CommonState, ServerConfig, server::Acceptor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, TlsConnector, TlsStream};

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

    /// The stream, which reads without a limit from now on.
    pub(crate) fn into_stream(mut self) -> TlsStream<Metered> {
        match &mut self.stream {
            TlsStream::Client(stream) => stream.get_mut().0.lift(),
            TlsStream::Server(stream) => stream.get_mut().0.lift(),
        }
        self.stream
    }

    /// Whether this side connected.
    pub(crate) fn is_client(&self) -> bool {
        matches!(self.stream, TlsStream::Client(_))
    }

    /// What only the two ends of this session can know (RFC 8446, section 7.5).
    pub(crate) fn export(
        &self,
        output: [u8; 32],
        label: &[u8],
        context: &[u8],
    ) -> Result<[u8; 32], rustls::Error> {
        match &self.stream {
            TlsStream::Client(stream) => {
                stream.get_ref().1.export_keying_material(output, label, Some(context))
            }
            TlsStream::Server(stream) => {
                stream.get_ref().1.export_keying_material(output, label, Some(context))
            }
        }
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
        WELCOME => Ok(secured),
        _ => Err(io::Error::other(HandshakeError::OtherProtocol)),
    }
}

/// A client that has said hello.
pub(crate) struct Hello(StartHandshake<Metered>);

impl Hello {
    /// Waits for a client to say hello.
    pub(crate) async fn receive(stream: TcpStream) -> io::Result<Self> {
        LazyConfigAcceptor::new(Acceptor::default(), Metered::new(stream)).await.map(Self)
    }

    /// Whether the client asks for this protocol.
    pub(crate) fn asks_for(&self, protocol: &[u8]) -> bool {
        let hello = self.0.client_hello();
        let mut protocols = hello.alpn().into_iter().flatten();
        protocols.any(|offered| offered == protocol)
    }

    /// Makes sure that the client is one that is accepted, and tells it so.
    pub(crate) async fn accept(self, config: &Arc<ServerConfig>) -> io::Result<Secured> {
        let stream = self.0.into_stream(Arc::clone(config)).await?;
        let protocol = config.alpn_protocols.concat();
        let mut secured = Secured::new(stream.into(), &protocol)?;
        secured.stream.write_u8(WELCOME).await?;
        secured.stream.flush().await?;
        Ok(secured)
    }
}
