//! A server that is started with its socket, as a service manager does it.

use std::{
    fs::File,
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixListener as StdListener},
};

use blaze_transport::{Endpoint, Transport};
use blaze_transport_unix::UnixTransport;

use crate::child::Child;

#[tokio::test]
async fn server_is_started_with_its_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let (endpoint, about) = (Endpoint::unix(&path).unwrap(), path.to_str().unwrap());
    let manager = StdListener::bind(&path).unwrap();
    let transport = UnixTransport::new();
    // The client that makes the manager start the server.
    let mut first = transport.connect(&endpoint).await.unwrap();
    first.sender.feed("first".into()).unwrap();
    first.sender.flush().await.unwrap();

    let variables = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=sync";
    let passed = OwnedFd::from(manager.try_clone().unwrap());
    let mut server = Child::activated("inherit", about, passed, variables);
    assert_eq!(server.says(), format!("sync {endpoint}"));
    assert_eq!(server.says(), "listening");
    assert_eq!(first.receiver.recv().await.unwrap().unwrap(), "first");

    // A server that is killed costs nobody the socket: the next one goes on with it.
    server.kill();
    let mut second = transport.connect(&endpoint).await.expect("the manager still has it");
    second.sender.feed("second".into()).unwrap();
    second.sender.flush().await.unwrap();
    let variables = "LISTEN_PID=$$ LISTEN_FDS=1";
    let mut server = Child::activated("inherit", about, manager.into(), variables);
    assert_eq!(server.says(), format!("unknown {endpoint}"));
    assert_eq!(server.says(), "listening");
    assert_eq!(second.receiver.recv().await.unwrap().unwrap(), "second");
}

#[test]
fn what_was_passed_to_another_process_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    for variables in ["LISTEN_PID=1 LISTEN_FDS=1", "LISTEN_FDS=1"] {
        let manager = StdListener::bind(&path).unwrap();
        let about = path.to_str().unwrap();
        let mut server = Child::activated("inherit", about, manager.into(), variables);
        assert_eq!(server.says(), "nothing", "{variables}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_is_no_socket_to_listen_at_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = File::create(directory.path().join("file")).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let about = directory.path().to_str().unwrap();
    for passed in [OwnedFd::from(file), tcp.into()] {
        let variables = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=sync";
        let said = Child::activated("inherit", about, passed, variables).says();
        assert!(said.starts_with("inherited socket `sync` is unusable: fd 3 is not a "), "{said}");
    }
    let more = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=a:b";
    let socket = StdListener::bind(directory.path().join("s")).unwrap();
    let said = Child::activated("inherit", about, socket.into(), more).says();
    assert!(said.starts_with("inherited socket `b` is unusable: "), "{said}");
    let many = "LISTEN_PID=$$ LISTEN_FDS=1000000000000";
    let socket = StdListener::bind(directory.path().join("t")).unwrap();
    let said = Child::activated("inherit", about, socket.into(), many).says();
    assert!(said.contains("it must be a number up to 64"), "{said}");
}
