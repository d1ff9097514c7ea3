//! Sockets that are passed to a transport instead of made by it.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{MetadataExt, PermissionsExt},
            net::{UnixDatagram, UnixListener as StdListener, UnixStream as StdStream},
        },
    },
};

use blaze_transport::{Endpoint, Listener, Transport, TransportError};
use blaze_transport_unix::{InheritedListeners, UnixTransport};

async fn expect_works(transport: &UnixTransport, listener: &mut dyn Listener) {
    let endpoint = listener.endpoint().clone();
    let (near, far) = tokio::join!(transport.connect(&endpoint), listener.accept());
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    near.sender.feed("hello".into()).unwrap();
    near.sender.flush().await.unwrap();
    assert_eq!(far.receiver.recv().await.unwrap().unwrap(), "hello");
}

#[tokio::test]
async fn inherited_socket_is_used_as_it_is_and_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let endpoint = Endpoint::unix(&path).unwrap();
    let passed = StdListener::bind(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let before = fs::symlink_metadata(&path).unwrap();

    let inherited = InheritedListeners::default().with_listener("sync", passed).unwrap();
    assert_eq!(inherited.endpoints().collect::<Vec<_>>(), [("sync", &endpoint)]);
    assert_eq!(inherited.endpoint("sync"), Some(&endpoint));
    assert_eq!(inherited.endpoint("other"), None);

    let transport = UnixTransport::new().with_inherited(inherited);
    for _ in 0..2 {
        let mut listener = transport.listen(&endpoint).await.unwrap();
        let second = transport.listen(&endpoint).await.map(drop).unwrap_err();
        assert!(matches!(second, TransportError::AddressInUse { .. }), "{second}");
        expect_works(&transport, &mut *listener).await;
        listener.close().await.unwrap();
    }
    // A client that comes while nobody listens is served by whoever listens next.
    let waiting = transport.connect(&endpoint).await.expect("the manager's socket is there");
    let mut listener = transport.listen(&endpoint).await.unwrap();
    listener.accept().await.expect("it waited");
    drop((waiting, listener, transport));

    let after = fs::symlink_metadata(&path).unwrap();
    assert_eq!(
        (after.ino(), after.mode()),
        (before.ino(), before.mode()),
        "it isn't ours to remove"
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nor is there a lock");
}

#[tokio::test]
async fn other_endpoints_are_listened_at_as_ever() {
    let directory = tempfile::tempdir().unwrap();
    let passed = StdListener::bind(directory.path().join("s")).unwrap();
    let inherited = InheritedListeners::default().with_listener("sync", passed).unwrap();
    let transport = UnixTransport::new().with_inherited(inherited);
    let endpoint = Endpoint::unix(directory.path().join("t")).unwrap();
    let mut listener = transport.listen(&endpoint).await.unwrap();
    assert!(directory.path().join("t.lock").exists());
    expect_works(&transport, &mut *listener).await;
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn abstract_names_are_inherited_as_well() {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};

    let name = format!("blaze-inherited-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let passed = StdListener::bind_addr(&address).unwrap();
    let inherited = InheritedListeners::default().with_listener("sync", passed).unwrap();
    let endpoint = Endpoint::unix_abstract(&name).unwrap();
    assert_eq!(inherited.endpoint("sync"), Some(&endpoint));
    let transport = UnixTransport::for_abstract_names().with_inherited(inherited);
    let mut listener = transport.listen(&endpoint).await.unwrap();
    expect_works(&transport, &mut *listener).await;
}

#[tokio::test]
async fn what_is_no_listening_unix_stream_socket_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = fs::File::create(directory.path().join("file")).unwrap();
    let datagram = UnixDatagram::bind(directory.path().join("datagram")).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let (connected, _other) = StdStream::pair().unwrap();
    let wrong = [OwnedFd::from(file), datagram.into(), tcp.into(), connected.into()];
    for wrong in wrong {
        let added = InheritedListeners::default().with_listener("sync", wrong.into());
        let error = added.map(drop).unwrap_err();
        assert!(matches!(error, TransportError::InheritedUnusable { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("inherited socket `sync` is unusable: "), "{text}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn socket_that_does_not_listen_is_refused() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, socket};

    let directory = tempfile::tempdir().unwrap();
    let bound = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&bound, &SocketAddrUnix::new(directory.path().join("s")).unwrap()).unwrap();
    let error = InheritedListeners::default().with_listener("sync", bound.into()).unwrap_err();
    assert!(error.to_string().contains("it doesn't listen"), "{error}");
}

#[tokio::test]
async fn inherited_socket_in_an_open_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let passed = StdListener::bind(&path).unwrap();
    let inherited = InheritedListeners::default().with_listener("sync", passed).unwrap();
    let transport = UnixTransport::new().with_inherited(inherited);
    let endpoint = Endpoint::unix(&path).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
    let error = transport.listen(&endpoint).await.map(drop).unwrap_err();
    assert!(matches!(error, TransportError::DirectoryInsecure { .. }), "{error}");
    // It is free again for whoever mends that.
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let mut listener = transport.listen(&endpoint).await.unwrap();
    expect_works(&transport, &mut *listener).await;
}
