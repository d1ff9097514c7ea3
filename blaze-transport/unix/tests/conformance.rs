//! The Unix socket transport keeps every rule of a transport, wherever its sockets are.

use blaze_transport::{Endpoint, Transport};
use blaze_transport_conformance::{
    Harness,
    streams::{Front, StreamHarness},
};
use blaze_transport_unix::UnixTransport;
use tempfile::TempDir;

struct InDirectory {
    directory: TempDir,
    below: String,
}

impl InDirectory {
    fn new(below: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join(below)).unwrap();
        Self { directory, below: below.to_owned() }
    }
}

impl Harness for InDirectory {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(UnixTransport::new())
    }

    fn endpoint(&self) -> Endpoint {
        let directory = self.directory.path().join(&self.below);
        Endpoint::unix(directory.join("conformance.sock")).unwrap()
    }
}

#[async_trait::async_trait]
impl StreamHarness for InDirectory {
    async fn front(&self) -> Front {
        Front::unix(self.directory.path().join("proxy.sock")).unwrap()
    }
}

mod path {
    use blaze_transport_conformance::transport_conformance;

    transport_conformance!(super::InDirectory::new(""));
}

mod through_a_proxy {
    use blaze_transport_conformance::stream_conformance;

    stream_conformance!(super::InDirectory::new(""));
}

#[cfg(target_os = "linux")]
mod long_path {
    use blaze_transport_conformance::transport_conformance;

    transport_conformance!(super::InDirectory::new(&"long".repeat(60)));
}

#[cfg(target_os = "linux")]
mod abstract_name {
    use std::{
        process,
        sync::atomic::{AtomicU32, Ordering},
    };

    use blaze_transport::{Endpoint, Transport};
    use blaze_transport_conformance::{Harness, transport_conformance};
    use blaze_transport_unix::UnixTransport;

    struct Named(String);

    impl Named {
        /// A name that no other test has, in this process or another one.
        fn new() -> Self {
            static NAMES: AtomicU32 = AtomicU32::new(0);
            let number = NAMES.fetch_add(1, Ordering::Relaxed);
            Self(format!("blaze-conformance-{}-{number}", process::id()))
        }
    }

    impl Harness for Named {
        fn transport(&self) -> Box<dyn Transport> {
            Box::new(UnixTransport::for_abstract_names())
        }

        fn endpoint(&self) -> Endpoint {
            Endpoint::unix_abstract(&self.0).unwrap()
        }
    }

    transport_conformance!(Named::new());
}
