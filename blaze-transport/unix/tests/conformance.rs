//! The Unix socket transport keeps every rule of a transport.

use blaze_transport::{Endpoint, Transport};
use blaze_transport_conformance::{Harness, transport_conformance};
use blaze_transport_unix::UnixTransport;
use tempfile::TempDir;

struct InDirectory(TempDir);

impl Harness for InDirectory {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(UnixTransport::new())
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::unix(self.0.path().join("conformance.sock")).unwrap()
    }
}

transport_conformance!(InDirectory(tempfile::tempdir().unwrap()));
