//! Who is let in, who is refused, and what both sides are told.

#[path = "../common/mod.rs"]
mod common;
mod hostile;
mod node;
mod revoked;

use blaze_transport::{Endpoint, Transport, TransportError};
use blaze_transport_tls::HandshakeError;

use common::loopback;
use node::{Node, reason};

#[tokio::test]
async fn two_that_trust_each_other_are_named_to_each_other() {
    let (laptop, phone) = (Node::new(), Node::new());
    laptop.trusts(&phone, "phone");
    phone.trusts(&laptop, "laptop");
    let mut listener = laptop.listen().await;
    let (connected, accepted) = phone.connect(&mut *listener).await;
    let (connected, accepted) = (connected.unwrap(), accepted.unwrap());
    assert!(connected.peer.description().starts_with("laptop at 127."), "{}", connected.peer);
    assert!(accepted.peer.description().starts_with("phone at 127."), "{}", accepted.peer);
}

#[tokio::test]
async fn a_client_that_is_not_trusted_is_refused_and_told_so() {
    let (laptop, stranger) = (Node::new(), Node::new());
    stranger.trusts(&laptop, "laptop");
    let mut listener = laptop.listen().await;
    let (connected, accepted) = stranger.connect(&mut *listener).await;
    let own = stranger.key_pair.fingerprint();
    match (reason(&connected), reason(&accepted)) {
        (
            HandshakeError::RefusedByPeer { fingerprint: told },
            HandshakeError::PeerUntrusted { fingerprint: seen },
        ) => assert_eq!((*told, *seen), (own, own)),
        other => panic!("{other:?}"),
    }
    assert!(!connected.unwrap_err().is_retryable(), "somebody has to change something");
    assert!(accepted.unwrap_err().is_retryable(), "the listener goes on");
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_refused_and_told_so() {
    let (laptop, phone) = (Node::new(), Node::new());
    laptop.trusts(&phone, "phone");
    let mut listener = laptop.listen().await;
    let (connected, accepted) = phone.connect(&mut *listener).await;
    let key = laptop.key_pair.fingerprint();
    match (reason(&connected), reason(&accepted)) {
        (
            HandshakeError::PeerUntrusted { fingerprint: seen },
            HandshakeError::RefusedByPeer { fingerprint: told },
        ) => assert_eq!((*told, *seen), (key, key)),
        other => panic!("{other:?}"),
    }
    let error = connected.unwrap_err();
    assert!(!error.is_retryable());
    let message = std::error::Error::source(&error).unwrap().to_string();
    assert!(message.starts_with("this side refused"), "{message}");
    assert!(message.contains(&key.words()), "{message}");
}

#[tokio::test]
async fn a_listener_goes_on_after_strangers() {
    let (laptop, phone, stranger) = (Node::new(), Node::new(), Node::new());
    laptop.trusts(&phone, "phone");
    phone.trusts(&laptop, "laptop");
    stranger.trusts(&laptop, "laptop");
    let mut listener = laptop.listen().await;
    for _ in 0..10 {
        reason(&stranger.connect(&mut *listener).await.0);
        let (connected, accepted) = phone.connect(&mut *listener).await;
        connected.and(accepted).unwrap();
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let laptop = Node::new();
    let listener = laptop.listen().await;
    let error = laptop.transport.listen(listener.endpoint()).await.unwrap_err();
    assert!(matches!(error, TransportError::AddressInUse { .. }), "{error}");
}

#[tokio::test]
async fn any_address_may_be_listened_at() {
    let endpoint: Endpoint = "tls://0.0.0.0:0".parse().unwrap();
    let listener = Node::new().transport.listen(&endpoint).await.unwrap();
    assert!(listener.endpoint().address().starts_with("0.0.0.0:"), "{}", listener.endpoint());
    assert_eq!(loopback().scheme(), "tls");
}
