//! Connects to peers and listens for them.

#[cfg(test)]
mod tests;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use blaze_codec::Role;
use blaze_transport::{
    Compression, Connection, Endpoint, FrameLimits, Listener, PeerInfo, Transport, TransportError,
    framed,
};
use rustls::{ClientConfig, ServerConfig};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream, lookup_host},
    sync::broadcast,
    time::timeout,
};

use crate::{
    HandshakeError, IssuedTicket, KeyPair, Paired, PairingError, Ticket, TrustStore, TrustedPeer,
    config::{self, Accepts, SESSION_PROTOCOL},
    guarded::Guarded,
    handshake::{self, Hello, Secured},
    listener::TlsListener,
    pairing::{self, PAIRING_PROTOCOL, Tickets},
};

pub(crate) const SCHEME: &str = "tls";
/// How long the system may take to connect to one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The transport for peers at `tls://HOST:PORT`, encrypted, and with trusted peers only.
///
/// When it connects, any peer that is trusted may answer: what a peer may do goes by its key, not
/// by where it was found.
#[derive(Clone)]
pub struct TlsTransport {
    key_pair: KeyPair,
    trust: TrustStore,
    tickets: Tickets,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    pairing_server: Arc<ServerConfig>,
    limits: FrameLimits,
    compression: Compression,
    handshake_timeout: Duration,
}

impl TlsTransport {
    /// TLS as the node that owns `key_pair`, with the peers that `trust` has at the time.
    pub fn new(key_pair: &KeyPair, trust: TrustStore) -> Self {
        let accepts = Accepts::Trusted(trust.clone());
        Self {
            key_pair: key_pair.clone(),
            client: config::client(key_pair, accepts.clone(), SESSION_PROTOCOL),
            server: config::server(key_pair, accepts, SESSION_PROTOCOL),
            pairing_server: config::server(key_pair, Accepts::Anybodys, PAIRING_PROTOCOL),
            tickets: Tickets::of(&trust),
            trust,
            limits: FrameLimits::default(),
            compression: Compression::Lz4,
            handshake_timeout: HANDSHAKE_TIMEOUT,
        }
    }

    /// Sets what changes are compressed by, as far as both sides can. Default:
    /// [`Compression::Lz4`]; on a link of less than about 100 Mbit/s, or one that is paid by the
    /// byte, [`Compression::Zstd`] gets more through.
    pub fn with_compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// Sets how long a peer may take for the handshake, once it's connected. Default: 5 s.
    pub fn with_handshake_timeout(self, handshake_timeout: Duration) -> Self {
        Self { handshake_timeout, ..self }
    }

    /// Issues a ticket, by which the node that redeems it becomes `peer` here: its name, its
    /// role, what a link with it carries and by which policy. Whoever redeems it connects to `endpoint`, where this
    /// transport, or a clone of it, must listen and accept, or one of another process that has
    /// the same key and the same trust store in a file. It lasts 10 minutes, until it's redeemed,
    /// or until five proofs were wrong; 16 at most at a time.
    ///
    /// # Errors
    ///
    /// [`PairingError`] if the endpoint is another transport's, the name can't be a peer's, or
    /// the policy's a policy's, there are too many tickets, or they can't be kept.
    pub fn issue_ticket(
        &self,
        endpoint: Endpoint,
        own_role: Role,
        peer: TrustedPeer,
    ) -> Result<IssuedTicket, PairingError> {
        endpoint.expect_scheme(SCHEME)?;
        if peer.is_unnamed() {
            peer.check_policy()?;
        } else {
            self.trust.check(None, &peer)?;
        }
        self.tickets.issue(self.key_pair.public(), endpoint, own_role, peer)
    }

    /// Tells of whom the listeners of this transport and its clones pair from now on, whichever
    /// process issued the ticket: their words are to be shown to people. The latest 16 wait for a
    /// receiver that is slow.
    pub fn paired(&self) -> broadcast::Receiver<Paired> {
        self.tickets.paired()
    }

    /// Whether another process of this node listens at an endpoint, so that it's there that a
    /// ticket for it can be redeemed; false if nobody does.
    ///
    /// # Errors
    ///
    /// [`PairingError::OtherListener`] if somebody else does, and [`PairingError::Transport`] if
    /// it can't be told, as whoever listens is busy or hangs up.
    pub async fn is_own_listener(&self, endpoint: &Endpoint) -> Result<bool, PairingError> {
        let (stream, address) = match connect_tcp(endpoint).await {
            Err(TransportError::NothingListens { .. }) => return Ok(false),
            connected => connected?,
        };
        let own = Accepts::Only(self.key_pair.public());
        let config = config::client(&self.key_pair, own, PAIRING_PROTOCOL);
        let session = Box::pin(self.in_time(handshake::connect(&config, stream))).await;
        let mut session = session.map_err(|error| match error {
            HandshakeError::PeerUntrusted { .. }
            | HandshakeError::RefusedByPeer { .. }
            | HandshakeError::OtherProtocol
            | HandshakeError::NotTls => PairingError::OtherListener { endpoint: endpoint.clone() },
            error => error.connecting(format!("{endpoint} ({address})")).into(),
        })?;
        // A clean end: it asked for nothing, and nobody needs to hear of it.
        let _ = session.stream.shutdown().await;
        Ok(true)
    }

    /// Redeems another node's ticket: from then on, the two trust each other, and this node calls
    /// the other one `name`, and knows where it listens. The [policy](Ticket::policy) in it is the
    /// other node's, for this one; a policy that this node has for the other one stays.
    ///
    /// Nothing is sent before the other side has proved to own the key in the ticket. Then both
    /// prove that they know its secret, bound to this one connection.
    ///
    /// # Errors
    ///
    /// [`PairingError`] if the other side can't be reached, isn't the one that issued the ticket,
    /// or refuses it, or if the name can't be the peer's.
    pub async fn redeem(&self, ticket: &Ticket, name: &str) -> Result<Paired, PairingError> {
        let own = self.key_pair.public();
        if ticket.issuer == own {
            return Err(PairingError::OwnTicket);
        }
        let peer = TrustedPeer::new(name)
            .with_role(ticket.terms.issuer_role)
            // What this side sends, the issuer receives.
            .with_mode(ticket.terms.mode.reversed())
            .with_endpoint(ticket.endpoint.clone());
        // What the other side may see here isn't for its ticket to say.
        let known = self.trust.peer(&ticket.issuer);
        let peer = TrustedPeer { policy: known.and_then(|known| known.policy), ..peer };
        self.trust.check(Some(&ticket.issuer), &peer)?;
        let config = config::client(&self.key_pair, Accepts::Only(ticket.issuer), PAIRING_PROTOCOL);
        let (stream, address) = connect_tcp(&ticket.endpoint).await?;
        let named =
            |error: HandshakeError| error.connecting(format!("{} ({address})", ticket.endpoint));
        // A TLS session is large; whoever waits for this shouldn't have to carry it.
        let session = Box::pin(self.in_time(handshake::connect(&config, stream)));
        let session = session.await.map_err(named)?;
        let redeemed = Box::pin(pairing::redeem(session, &own, ticket, &self.trust, peer));
        let unconfirmed = |elapsed| PairingError::Unconfirmed(io::Error::from(elapsed));
        timeout(self.handshake_timeout, redeemed).await.map_err(unconfirmed)?
    }

    /// Runs a handshake until the deadline.
    async fn in_time<T>(
        &self,
        handshake: impl Future<Output = io::Result<T>>,
    ) -> Result<T, HandshakeError> {
        let waited_ms = self.handshake_timeout.as_millis().try_into().unwrap_or(u64::MAX);
        let finished = timeout(self.handshake_timeout, handshake).await;
        let finished = finished.map_err(|_| HandshakeError::Deadline { waited_ms })?;
        finished.map_err(|error| HandshakeError::from_io(error, self.key_pair.fingerprint()))
    }

    /// The listening side of a new TCP connection; `None` if it came to be paired, and was.
    pub(crate) async fn accept(
        self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> Result<Option<Connection>, TransportError> {
        let accepted = async {
            prepare(&stream)?;
            self.trust.look();
            let hello = Hello::receive(stream).await?;
            if !hello.asks_for(PAIRING_PROTOCOL) {
                return hello.accept(&self.server).await.map(Some);
            }
            let session = hello.accept(&self.pairing_server).await?;
            let own = self.key_pair.public();
            pairing::serve(session, &own, &self.tickets, &self.trust).await.map(|()| None)
        };
        let accepted = self.in_time(accepted).await;
        let connection = accepted.and_then(|session| {
            session.map(|session| self.connection(session, address)).transpose()
        });
        connection.map_err(|error| error.accepting(address.to_string()))
    }

    /// Carries frames, as long as the peer is trusted.
    fn connection(
        &self,
        session: Secured,
        address: SocketAddr,
    ) -> Result<Connection, HandshakeError> {
        let key = session.key;
        // It may have been revoked since its key was looked at, or by another process since it
        // connected: a handshake takes as long as the peer likes, up to its deadline.
        self.trust.look();
        let Some(agreed) = self.trust.peer(&key) else {
            return Err(HandshakeError::PeerUntrusted { fingerprint: key.fingerprint() });
        };
        let peer = PeerInfo::new(format!("{} at {address}", agreed.name))
            .with_key(key.to_string())
            .with_mode(agreed.mode)
            .with_role(agreed.role);
        let peer = match &agreed.policy {
            Some(policy) => peer.with_policy(policy),
            None => peer,
        };
        let (read_half, write_half) = tokio::io::split(session.into_stream());
        let read_half = Guarded::new(read_half, &self.trust, key, &agreed);
        let write_half = Guarded::new(write_half, &self.trust, key, &agreed);
        let (sender, receiver) = framed(read_half, write_half, self.limits);
        Ok(Connection::new(sender, receiver, peer))
    }
}

#[async_trait]
impl Transport for TlsTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn compression(&self) -> Compression {
        self.compression
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError> {
        let (stream, address) = connect_tcp(endpoint).await?;
        self.trust.look();
        let secured = self.in_time(handshake::connect(&self.client, stream)).await;
        let connection = secured.and_then(|secured| self.connection(secured, address));
        connection.map_err(|error| error.connecting(format!("{endpoint} ({address})")))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        endpoint.expect_scheme(SCHEME)?;
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                TransportError::AddressInUse { endpoint: endpoint.clone(), pid: None }
            }
            _ => TransportError::io(format!("listen at {endpoint}"), error),
        };
        // Not all at once: who finds a name's first address taken would listen at the next.
        let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
        for address in lookup_host(endpoint.address()).await.map_err(failed)? {
            result = TcpListener::bind(address).await;
            if result.is_ok() || !result.as_ref().is_err_and(is_absent) {
                break;
            }
        }
        let listener = result.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let endpoint = Endpoint::tls(&address.ip().to_string(), address.port())?;
        Ok(Box::new(TlsListener::new(listener, endpoint, self.clone())))
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport")
            .field("key_pair", &self.key_pair)
            .field("trust", &self.trust)
            .field("tickets", &self.tickets)
            .field("compression", &self.compression)
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}

/// Connects to the first address of the endpoint's host at which something listens.
pub(crate) async fn connect_tcp(
    endpoint: &Endpoint,
) -> Result<(TcpStream, SocketAddr), TransportError> {
    endpoint.expect_scheme(SCHEME)?;
    let failed = |error| TransportError::io(format!("connect to {endpoint}"), error);
    let mut last = TransportError::NothingListens { endpoint: endpoint.clone() };
    // A device that is offline asks in vain; that has no kind of its own, and passes.
    let unknown = |error| failed(io::Error::new(io::ErrorKind::HostUnreachable, error));
    for address in lookup_host(endpoint.address()).await.map_err(unknown)? {
        let waited_ms = CONNECT_TIMEOUT.as_millis().try_into().unwrap_or(u64::MAX);
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Err(_) => {
                last = TransportError::ServerBusy { endpoint: endpoint.clone(), waited_ms };
            }
            Ok(Ok(stream)) if is_own_echo(&stream) => {}
            Ok(Ok(stream)) => {
                prepare(&stream).map_err(failed)?;
                return Ok((stream, address));
            }
            Ok(Err(error)) if is_absent(&error) => {}
            Ok(Err(error)) => last = failed(error),
        }
    }
    Err(last)
}

/// Frames are gathered before they are written; waiting for more only adds latency.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}

/// Whether the address has no listener, or this device has no such address, such as no IPv6.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::AddrNotAvailable)
}

/// Whether the stream is connected to itself, as TCP does when the system hands out the very port
/// that is connected to, and nothing listens there.
fn is_own_echo(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}
