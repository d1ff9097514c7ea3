//! Sockets of Linux that have no file.
#![cfg(target_os = "linux")]

use std::{
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener as StdListener},
    },
    process,
};

use blaze_transport::{Endpoint, Transport, TransportError};
use blaze_transport_unix::UnixTransport;

/// An endpoint of this test of this process.
fn endpoint(test: &str) -> Endpoint {
    Endpoint::unix_abstract(&format!("blaze-{}-{test}", process::id())).unwrap()
}

#[tokio::test]
async fn other_programs_find_the_same_name() {
    let endpoint = endpoint("other");
    let address = SocketAddr::from_abstract_name(endpoint.address()).unwrap();
    let squatter = StdListener::bind_addr(&address).unwrap();
    let error = UnixTransport::for_abstract_names().listen(&endpoint).await.map(drop).unwrap_err();
    let expected =
        format!("{endpoint} is in use by another server; stop it or choose another endpoint");
    assert_eq!(error.to_string(), expected);

    let client = UnixTransport::for_abstract_names().connect(&endpoint).await.unwrap();
    assert_eq!(client.peer.pid(), Some(process::id()));
    drop(squatter);
    UnixTransport::for_abstract_names().listen(&endpoint).await.expect("the name is free again");
}

#[tokio::test]
async fn longest_name_works() {
    let name = format!("{:n<107}", endpoint("longest").address());
    let endpoint = Endpoint::unix_abstract(&name).unwrap();
    let transport = UnixTransport::for_abstract_names();
    let mut listener = transport.listen(&endpoint).await.unwrap();
    let (near, far) = tokio::join!(transport.connect(&endpoint), listener.accept());
    assert!(near.is_ok() && far.is_ok());
}

#[tokio::test]
async fn name_and_path_are_different_places() {
    let (name, path) = (endpoint("a"), Endpoint::unix("/a").unwrap());
    let pairs = [(UnixTransport::new(), &name), (UnixTransport::for_abstract_names(), &path)];
    for (transport, other) in pairs {
        let connected = transport.connect(other).await.map(drop);
        let listening = transport.listen(other).await.map(drop);
        for error in [connected.unwrap_err(), listening.unwrap_err()] {
            assert!(matches!(error, TransportError::UnsupportedEndpoint { .. }), "{error}");
        }
    }
}
