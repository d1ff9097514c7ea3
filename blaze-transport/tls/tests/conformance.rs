//! The TLS transport keeps every rule of a transport.

mod common;

use blaze_transport::{Endpoint, Transport};
use blaze_transport_conformance::{
    Harness, stream_conformance,
    streams::{Front, StreamHarness},
    transport_conformance,
};
use blaze_transport_tls::{KeyPair, TlsTransport, TrustStore, TrustedPeer};

use common::loopback;

/// One node that trusts itself, so that all its transports reach each other.
struct Loopback {
    transport: TlsTransport,
    endpoint: Endpoint,
}

impl Harness for Loopback {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(self.transport.clone())
    }

    fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }
}

#[async_trait::async_trait]
impl StreamHarness for Loopback {
    async fn front(&self) -> Front {
        let (host, _) = self.endpoint.address().rsplit_once(':').unwrap();
        Front::tcp("tls", host).await.unwrap()
    }
}

impl Loopback {
    fn new() -> Self {
        let key_pair = KeyPair::generate().unwrap();
        let trust = TrustStore::in_memory();
        trust.trust(key_pair.public(), TrustedPeer::new("itself")).unwrap();
        Self { transport: TlsTransport::new(&key_pair, trust), endpoint: loopback() }
    }
}

transport_conformance!(Loopback::new());

mod through_a_proxy {
    use super::*;

    stream_conformance!(Loopback::new());
}
