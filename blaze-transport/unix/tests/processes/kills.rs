//! What a server leaves that is killed, and what it shows while it starts.

#[cfg(target_os = "linux")]
use std::{
    os::unix::fs::MetadataExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use blaze_transport::{Endpoint, Transport, TransportError};
use blaze_transport_unix::UnixTransport;

use crate::child::Child;

#[tokio::test]
async fn killed_server_is_succeeded_by_one_of_many() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let endpoint = Endpoint::unix(&path).unwrap();
    let transport = UnixTransport::new();
    for _ in 0..5 {
        let mut server = Child::start("serve", path.to_str().unwrap(), None);
        assert_eq!(server.says(), "listening");
        let held = transport.listen(&endpoint).await.unwrap_err();
        let TransportError::AddressInUse { pid, .. } = held else { panic!("{held}") };
        assert_eq!(pid, Some(server.pid()));

        let mut client = transport.connect(&endpoint).await.unwrap();
        assert_eq!(client.peer.pid(), cfg!(target_os = "linux").then(|| server.pid()));
        client.sender.feed("hello".into()).unwrap();
        client.sender.flush().await.unwrap();
        assert_eq!(client.receiver.recv().await.unwrap().unwrap(), "hello");

        server.kill();
        assert!(path.exists(), "a killed server removes nothing");
        let gone = transport.connect(&endpoint).await.unwrap_err();
        assert!(matches!(gone, TransportError::NothingListens { .. }), "{gone}");
    }
    transport.listen(&endpoint).await.expect("the last one is gone, too");
}

/// The mode of the unbound socket is Linux's; elsewhere the socket doesn't listen yet.
#[test]
#[cfg(target_os = "linux")]
fn socket_is_never_wider_than_it_ends_up_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let (path, temporary) = (directory.path().join("s"), directory.path().join(".s.new"));
    let done = Arc::new(AtomicBool::new(false));
    let watching = [path.clone(), temporary, directory.path().join("s.lock")].map(|file| {
        let done = Arc::clone(&done);
        std::thread::spawn(move || {
            let mut seen = 0;
            while !done.load(Ordering::Acquire) {
                let Ok(metadata) = std::fs::symlink_metadata(&file) else { continue };
                assert_eq!(metadata.mode() & 0o7777, 0o600, "{}", file.display());
                seen += 1;
            }
            seen
        })
    });
    let mut server = Child::start("bind-often", path.to_str().unwrap(), None);
    assert_eq!(server.says(), "done");
    done.store(true, Ordering::Release);
    for watcher in watching {
        assert!(watcher.join().unwrap() > 0, "nothing was seen");
    }
}
