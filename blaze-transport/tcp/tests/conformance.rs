//! The TCP transport keeps every rule of a transport.

use blaze_transport::{Endpoint, Transport};
use blaze_transport_conformance::{Harness, transport_conformance};
use blaze_transport_tcp::TcpTransport;

struct Loopback;

impl Harness for Loopback {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(TcpTransport::plaintext_loopback())
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::tcp("127.0.0.1", 0).unwrap()
    }
}

transport_conformance!(Loopback);
