//! What is agreed can be taken back, and that holds at once.

use blaze_codec::Mode;
use blaze_transport::{Connection, Principal, TransportError};
use blaze_transport_tls::{HandshakeError, TrustedPeer};

use crate::node::{DEADLINE, Node, reason};

/// A laptop, its phone, and a session between the two, as each of them has it.
async fn session() -> (Node, Node, [Connection; 2]) {
    let (laptop, phone) = (Node::new(), Node::new());
    laptop.trusts(&phone, "phone");
    phone.trusts(&laptop, "laptop");
    let mut listener = laptop.listen().await;
    let (connected, accepted) = phone.connect(&mut *listener).await;
    (laptop, phone, [accepted.unwrap(), connected.unwrap()])
}

async fn expect_broken(connection: &mut Connection) -> TransportError {
    let received = tokio::time::timeout(DEADLINE, connection.receiver.recv()).await;
    let error = received.expect("it ends at once").expect_err("it ends with an error");
    assert!(matches!(error, TransportError::Broken { .. }), "{error:?}");
    error
}

#[tokio::test]
async fn a_session_ends_when_its_peer_is_revoked() {
    let (laptop, phone, [mut at_laptop, mut at_phone]) = session().await;
    at_phone.sender.feed("before".into()).unwrap();
    at_phone.sender.flush().await.unwrap();
    assert_eq!(at_laptop.receiver.recv().await.unwrap().unwrap(), "before");

    let waiting = async { tokio::join!(expect_broken(&mut at_laptop), tokio::task::yield_now()).0 };
    let revoking = async {
        tokio::task::yield_now().await;
        assert_eq!(laptop.trust.revoke(&phone.key_pair.public()).unwrap().unwrap().name, "phone");
    };
    let (error, ()) = tokio::join!(waiting, revoking);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("`phone`"), "{source}");
    at_laptop.sender.feed("after".into()).unwrap();
    at_laptop.sender.flush().await.expect_err("nothing leaves any more");
    drop(at_laptop);
    expect_broken(&mut at_phone).await;

    let mut listener = laptop.listen().await;
    let (connected, accepted) = phone.connect(&mut *listener).await;
    assert!(matches!(reason(&connected), HandshakeError::RefusedByPeer { .. }));
    assert!(matches!(reason(&accepted), HandshakeError::PeerUntrusted { .. }));
}

#[tokio::test]
async fn a_session_ends_when_something_else_is_agreed() {
    let (laptop, phone, [mut at_laptop, _at_phone]) = session().await;
    let key = phone.key_pair.public();
    laptop.trust.trust(key, TrustedPeer::new("phone")).unwrap();
    laptop.trusts(&laptop, "another");
    laptop.trust.rename(&key, "mobile").unwrap();
    at_laptop.sender.feed("the same was agreed".into()).unwrap();
    at_laptop.sender.flush().await.unwrap();
    laptop.trust.trust(key, TrustedPeer::new("phone").with_mode(Mode::ReadOnly)).unwrap();
    expect_broken(&mut at_laptop).await;

    let mut listener = laptop.listen().await;
    let (connected, accepted) = phone.connect(&mut *listener).await;
    let (_at_phone, mut at_laptop) = (connected.unwrap(), accepted.unwrap());
    let peer = TrustedPeer::new("phone").with_mode(Mode::ReadOnly).with_policy("anna");
    laptop.trust.trust(key, peer).unwrap();
    expect_broken(&mut at_laptop).await;
}

#[tokio::test]
async fn both_sides_name_the_others_key_and_their_own_policy_for_it() {
    let (laptop, phone) = (Node::new(), Node::new());
    let (laptops, phones) = (laptop.key_pair.public(), phone.key_pair.public());
    laptop.trust.trust(phones, TrustedPeer::new("phone").with_policy("anna")).unwrap();
    phone.trust.trust(laptops, TrustedPeer::new("laptop").with_policy("office")).unwrap();
    let mut listener = laptop.listen().await;
    let (connected, accepted) = phone.connect(&mut *listener).await;
    let expected = [(connected, laptops, "office"), (accepted, phones, "anna")];
    for (connection, key, policy) in expected {
        let peer = connection.unwrap().peer;
        assert_eq!(peer.principal(), Some(&Principal::Key(key.to_string())));
        assert_eq!(peer.policy(), Some(policy));
    }
}

#[tokio::test]
async fn a_session_goes_on_when_another_peer_is_revoked() {
    let (laptop, phone, [mut at_laptop, mut at_phone]) = session().await;
    let other = Node::new();
    laptop.trusts(&other, "other");
    laptop.trust.revoke(&other.key_pair.public()).unwrap();
    drop((laptop, phone));
    at_laptop.sender.feed("still here".into()).unwrap();
    at_laptop.sender.flush().await.unwrap();
    assert_eq!(at_phone.receiver.recv().await.unwrap().unwrap(), "still here");
}
