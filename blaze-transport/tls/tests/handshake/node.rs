//! A node with a key and a store of its own.

use std::time::Duration;

use blaze_transport::{Connection, Listener, Transport, TransportError};
use blaze_transport_tls::{HandshakeError, KeyPair, TlsTransport, TrustStore, TrustedPeer};

use crate::common::loopback;

/// Tells slow from never.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Node {
    pub(crate) key_pair: KeyPair,
    pub(crate) trust: TrustStore,
    pub(crate) transport: TlsTransport,
}

impl Node {
    pub(crate) fn new() -> Self {
        let key_pair = KeyPair::generate().unwrap();
        let trust = TrustStore::in_memory();
        let transport = TlsTransport::new(&key_pair, trust.clone());
        Self { key_pair, trust, transport }
    }

    pub(crate) fn trusts(&self, other: &Self, name: &str) {
        self.trust.trust(other.key_pair.public(), TrustedPeer::new(name)).unwrap();
    }

    pub(crate) async fn listen(&self) -> Box<dyn Listener> {
        self.transport.listen(&loopback()).await.unwrap()
    }

    /// What both sides see when this node connects to the listener.
    pub(crate) async fn connect(
        &self,
        listener: &mut dyn Listener,
    ) -> (Result<Connection, TransportError>, Result<Connection, TransportError>) {
        let endpoint = listener.endpoint().clone();
        let both = async { tokio::join!(self.transport.connect(&endpoint), listener.accept()) };
        tokio::time::timeout(DEADLINE, both).await.expect("both sides come to an end")
    }
}

/// The reason that a handshake failed for.
pub(crate) fn reason(result: &Result<Connection, TransportError>) -> &HandshakeError {
    let error = result.as_ref().expect_err("the handshake must fail");
    HandshakeError::of(error).unwrap_or_else(|| panic!("no handshake's error: {error:?}"))
}
