//! What a killed server leaves, and what its successor makes of it.

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
