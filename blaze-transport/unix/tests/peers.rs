//! What misbehaving peers can't do, and what is known of well-behaved ones.

use std::{
    io::Write,
    os::unix::{fs::MetadataExt, net::UnixStream as RawStream},
    process,
};

use blaze_codec::Mode;
use blaze_transport::{Connection, Endpoint, Listener, Principal, Transport, TransportError};
use blaze_transport_unix::UnixTransport;
use tempfile::TempDir;

struct Server {
    directory: TempDir,
    endpoint: Endpoint,
    listener: Box<dyn Listener>,
}

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::unix(directory.path().join("s")).unwrap();
        let listener = UnixTransport::new().listen(&endpoint).await.unwrap();
        Self { directory, endpoint, listener }
    }

    /// Connects a client that speaks no protocol at all.
    async fn accept_raw(&mut self) -> (RawStream, Connection) {
        let raw = RawStream::connect(self.endpoint.address()).unwrap();
        (raw, self.listener.accept().await.unwrap())
    }

    /// What the server receives from a client that writes these bytes and goes.
    async fn receive(&mut self, bytes: &[u8]) -> TransportError {
        let (mut raw, mut accepted) = self.accept_raw().await;
        raw.write_all(bytes).unwrap();
        drop(raw);
        accepted.receiver.recv().await.expect_err("it is no frame")
    }
}

#[tokio::test]
async fn corrupt_bytes_are_an_error() {
    let mut server = Server::start().await;
    for bytes in [&[0xff; 64][..], b"GET / HTTP/1.1\r\n\r\n"] {
        let error = server.receive(bytes).await;
        assert!(matches!(error, TransportError::FrameTooLong { .. }), "{error}");
    }
    let error = server.receive(&[2, 0, 0, 0, 9, 9, 9, 9, 1, 2]).await;
    assert!(matches!(error, TransportError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn half_a_frame_is_a_broken_connection() {
    let mut server = Server::start().await;
    for bytes in [&b""[..], &[0; 7], &[2, 0, 0, 0], &[200, 0, 0, 0, 1, 2, 3, 4, 5]] {
        let error = server.receive(bytes).await;
        assert!(matches!(error, TransportError::Broken { .. }), "{bytes:?}: {error}");
    }
}

#[tokio::test]
async fn bare_end_marker_is_a_clean_end() {
    let mut server = Server::start().await;
    let (mut raw, mut accepted) = server.accept_raw().await;
    raw.write_all(&[0; 8]).unwrap();
    assert_eq!(accepted.receiver.recv().await.unwrap(), None);
}

#[tokio::test]
async fn peers_are_described_by_the_kernel() {
    let mut server = Server::start().await;
    let transport = UnixTransport::new();
    let both = tokio::join!(transport.connect(&server.endpoint), server.listener.accept());
    let owner = server.directory.path().metadata().unwrap();
    for connection in [both.0.unwrap(), both.1.unwrap()] {
        let peer = connection.peer;
        assert_eq!(peer.uid(), Some(owner.uid()));
        assert_eq!(peer.principal(), Some(&Principal::User(owner.uid())));
        assert_eq!(peer.principal().unwrap().to_string(), format!("uid:{}", owner.uid()));
        assert!(peer.gid().is_some());
        if cfg!(target_os = "linux") {
            assert_eq!(peer.pid(), Some(process::id()));
            assert!(peer.description().contains(&process::id().to_string()));
        }
    }
}

#[tokio::test]
async fn each_side_names_its_policy_for_the_others_user() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::unix(directory.path().join("s")).unwrap();
    let uid = directory.path().metadata().unwrap().uid();
    let serving = UnixTransport::new().with_allowed_user_under(uid, Mode::ReadOnly, "anna");
    let mut listener = serving.listen(&endpoint).await.unwrap();
    let client = UnixTransport::new().with_server_policy("office");
    let (connected, accepted) = tokio::join!(client.connect(&endpoint), listener.accept());
    let (server, client) = (connected.unwrap().peer, accepted.unwrap().peer);
    assert_eq!(server.policy(), Some("office"));
    assert_eq!(client.policy(), Some("anna"));
    assert!(client.allows(Mode::ReadOnly) && !client.allows(Mode::Bidirectional));
}

#[tokio::test]
async fn full_backlog_is_waited_for() {
    let mut server = Server::start().await;
    let transport = UnixTransport::new();
    // Nobody accepts, so that the backlog fills up and the next client has to wait.
    let mut waiting = Vec::new();
    let error = loop {
        assert!(waiting.len() < 10_000, "the backlog is bounded");
        match transport.connect(&server.endpoint).await {
            Ok(connection) => waiting.push(connection),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, TransportError::ServerBusy { waited_ms: 2000, .. }), "{error}");
    assert!(error.is_retryable());

    // The client is polled first and finds the backlog full; the accept then makes room.
    let connecting = transport.connect(&server.endpoint);
    let (connected, _accepted) = tokio::join!(connecting, server.listener.accept());
    connected.expect("a place in the backlog became free in time");
}
