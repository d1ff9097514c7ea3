//! The TCP transport keeps every rule of a transport.

use std::{
    process,
    sync::atomic::{AtomicU8, Ordering},
};

use blaze_transport::{Endpoint, Transport};
use blaze_transport_conformance::{
    Harness, stream_conformance,
    streams::{Front, StreamHarness},
    transport_conformance,
};
use blaze_transport_tcp::TcpTransport;

struct Loopback(String);

impl Harness for Loopback {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(TcpTransport::plaintext_loopback())
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::tcp(&self.0, 0).unwrap()
    }
}

#[async_trait::async_trait]
impl StreamHarness for Loopback {
    async fn front(&self) -> Front {
        Front::tcp("tcp", &self.0).await.unwrap()
    }
}

impl Loopback {
    /// An address that no other test uses: a port that one test has just closed must not be the
    /// one that the system picks for another. Only Linux has the whole of 127.0.0.0/8.
    fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        if !cfg!(target_os = "linux") {
            return Self("127.0.0.1".into());
        }
        let [.., high, low] = process::id().to_be_bytes();
        Self(format!("127.{high}.{low}.{}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }
}

transport_conformance!(Loopback::new());

mod through_a_proxy {
    use super::*;

    stream_conformance!(Loopback::new());
}
