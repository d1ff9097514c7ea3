//! The in-process transport keeps every rule of a transport.

use blaze_transport::{Endpoint, Transport};
use blaze_transport_conformance::{Harness, transport_conformance};
use blaze_transport_memory::{IN_FLIGHT_BYTES_MAX, MemoryTransport};

struct InMemory(MemoryTransport);

impl Harness for InMemory {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(self.0.clone())
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::memory("conformance").unwrap()
    }

    fn in_flight_bytes_max(&self) -> usize {
        // Nobody receives, so that one queue is all there is, and one frame waits to enter it.
        IN_FLIGHT_BYTES_MAX + self.frame_bytes_max()
    }
}

transport_conformance!(InMemory(MemoryTransport::new()));
