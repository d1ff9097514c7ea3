//! Whom a listener lets in whose trust changes in the middle, and who listens elsewhere.

use std::{
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use blaze_transport::TransportError;
use tokio::{io::AsyncWriteExt, net::TcpListener, time::timeout};

use super::TlsTransport;
use crate::{
    HandshakeError, KeyPair, PairingError, TrustStore, TrustedPeer,
    config::{self, Accepts, SESSION_PROTOCOL},
    handshake,
    transport::connect_tcp,
};

const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn who_is_revoked_elsewhere_while_it_waits_is_not_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peers");
    let (here, there) = (TrustStore::open(&path).unwrap(), TrustStore::open(&path).unwrap());
    let (laptop, phone) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    here.trust(phone.public(), TrustedPeer::new("phone")).unwrap();
    let transport = TlsTransport::new(&laptop, here.clone());
    let gate = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tls://{}", gate.local_addr().unwrap()).parse().unwrap();

    let (client, _) = connect_tcp(&endpoint).await.unwrap();
    let (server, address) = gate.accept().await.unwrap();
    let mut accepted = pin!(transport.accept(server, address));
    // It waits for the client's hello.
    assert!(accepted.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    there.revoke(&phone.public()).unwrap();
    assert!(here.peer(&phone.public()).is_some(), "it doesn't know yet");

    let config = config::client(&phone, Accepts::Only(laptop.public()), SESSION_PROTOCOL);
    let both = async { tokio::join!(handshake::connect(&config, client), accepted) };
    let (_, accepted) = timeout(DEADLINE, both).await.unwrap();
    let error = accepted.expect_err("it's not let in");
    let reason = HandshakeError::of(&error);
    assert!(matches!(reason, Some(HandshakeError::PeerUntrusted { .. })), "{error:?}");
}

#[tokio::test]
async fn only_who_is_known_to_be_another_is_another_listener() {
    let own = TlsTransport::new(&KeyPair::generate().unwrap(), TrustStore::in_memory());
    let gate = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tls://{}", gate.local_addr().unwrap()).parse().unwrap();
    for (said, is_other) in [(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], true), (b"", false)] {
        let answering = async {
            let (mut client, _) = gate.accept().await.unwrap();
            client.write_all(said).await.unwrap();
            client.shutdown().await.unwrap();
            client
        };
        let both = async { tokio::join!(own.is_own_listener(&endpoint), answering).0 };
        let asked = timeout(DEADLINE, both).await.unwrap();
        let (other, broken) = match &asked {
            Err(PairingError::OtherListener { .. }) => (true, false),
            Err(PairingError::Transport(error @ TransportError::Handshake { .. })) => {
                (false, matches!(HandshakeError::of(error), Some(HandshakeError::HungUp)))
            }
            _ => (false, false),
        };
        assert_eq!((other, broken), (is_other, !is_other), "{asked:?}");
    }
}
