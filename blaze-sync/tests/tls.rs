//! Two devices over TLS, until one of them doesn't trust the other any more.

use std::sync::Arc;
use std::time::Duration;

use blaze_sync::{
    Database, KeyPair, LinkState, LinkStatus, Mode, NodeOptions, Role, TlsTransport, Topology,
    TrustStore, TrustedPeer, record,
};

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it takes too long")
}

fn topology(key_pair: &KeyPair, trust: &TrustStore) -> Topology {
    let tls = TlsTransport::new(key_pair, trust.clone());
    Topology::with_transports(vec![Arc::new(tls)], NodeOptions::default())
}

#[tokio::test]
async fn changes_cross_until_the_peer_is_revoked() {
    let (laptop_key, phone_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (at_laptop, at_phone) = (TrustStore::in_memory(), TrustStore::in_memory());
    at_laptop.trust(phone_key.public(), TrustedPeer::new("phone")).unwrap();
    let agreed = TrustedPeer::new("laptop").with_role(Role::Server);
    at_phone.trust(laptop_key.public(), agreed).unwrap();
    let (laptop, phone) = (topology(&laptop_key, &at_laptop), topology(&phone_key, &at_phone));
    let (ours, theirs) = (Database::in_memory(), Database::in_memory());
    let serves = laptop.register(ours.clone(), "laptop", Role::Server).await.unwrap();
    let follows = phone.register(theirs.clone(), "phone", Role::Client).await.unwrap();

    let endpoint = laptop.listen(serves, "tls://127.0.0.1:0").await.unwrap();
    let mut link =
        phone.connect(follows, &endpoint.to_string(), Mode::Bidirectional).await.unwrap();
    within(link.wait_for(LinkStatus::is_connected)).await.unwrap();
    let mut changes = theirs.observe("notes").unwrap();
    let id = ours.collection("notes").insert(record! { "title" => "hello" }).await.unwrap();
    assert_eq!(within(changes.next()).await.unwrap().key, id);

    let mut ended = laptop.ended(serves).unwrap();
    at_laptop.revoke(&phone_key.public()).unwrap();
    let refused = |status: &LinkStatus| match &status.state {
        LinkState::Waiting { reason, refused: true, .. } => reason.contains("the peer refused"),
        _ => false,
    };
    within(link.wait_for(refused)).await.unwrap();
    // The session that ended, and the attempt to make another one.
    for expected in ["`phone` was changed or revoked here", "the peer's key ("] {
        let LinkState::Closed { reason } = within(ended.recv()).await.unwrap().state else {
            panic!("a link that ended is closed")
        };
        assert!(reason.contains(expected), "{reason}");
    }
    phone.close().await;
    laptop.close().await;
}

/// A phone that was agreed to only receive, whatever it was told itself.
async fn asks_for_more(at_phone: TrustedPeer) -> String {
    let (laptop_key, phone_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (laptop_trusts, phone_trusts) = (TrustStore::in_memory(), TrustStore::in_memory());
    let reader = TrustedPeer::new("phone").with_mode(Mode::ReadOnly);
    laptop_trusts.trust(phone_key.public(), reader).unwrap();
    phone_trusts.trust(laptop_key.public(), at_phone).unwrap();
    let laptop = topology(&laptop_key, &laptop_trusts);
    let phone = topology(&phone_key, &phone_trusts);
    let (ours, theirs) = (Database::in_memory(), Database::in_memory());
    let serves = laptop.register(ours.clone(), "laptop", Role::Server).await.unwrap();
    let follows = phone.register(theirs.clone(), "phone", Role::Client).await.unwrap();
    theirs.collection("notes").insert(record! { "title" => "smuggled" }).await.unwrap();
    let endpoint = laptop.listen(serves, "tls://127.0.0.1:0").await.unwrap().to_string();
    let mut link = phone.connect(follows, &endpoint, Mode::Bidirectional).await.unwrap();
    let waits = |status: &LinkStatus| matches!(status.state, LinkState::Waiting { .. });
    let status = within(link.wait_for(waits)).await.unwrap();
    let LinkState::Waiting { reason, refused, .. } = status.state else { unreachable!() };
    assert!(refused, "{reason}");
    link.close().await;

    // What was agreed is still there.
    let mut link = phone.connect(follows, &endpoint, Mode::ReadOnly).await.unwrap();
    within(link.wait_for(|status| status.state == LinkState::Live)).await.unwrap();
    let mut changes = theirs.observe("notes").unwrap();
    let id = ours.collection("notes").insert(record! { "title" => "hello" }).await.unwrap();
    assert_eq!(within(changes.next()).await.unwrap().key, id);
    assert_eq!(ours.head().0, 1, "nothing came from the phone");
    phone.close().await;
    laptop.close().await;
    reason.to_string()
}

#[tokio::test]
async fn a_link_carries_what_was_agreed_and_no_more() {
    let laptop = TrustedPeer::new("laptop").with_role(Role::Server);
    let at_once = asks_for_more(laptop.clone().with_mode(Mode::WriteOnly)).await;
    assert_eq!(at_once, "a bidirectional link is not allowed here");
    let by_the_laptop = asks_for_more(laptop).await;
    assert!(by_the_laptop.starts_with("the peer ended the session"), "{by_the_laptop}");
}

#[tokio::test]
async fn a_peer_comes_in_the_role_that_was_agreed_or_not_at_all() {
    let (laptop_key, phone_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (at_laptop, at_phone) = (TrustStore::in_memory(), TrustStore::in_memory());
    at_laptop.trust(phone_key.public(), TrustedPeer::new("phone")).unwrap();
    at_phone.trust(laptop_key.public(), TrustedPeer::new("laptop")).unwrap();
    let (laptop, phone) = (topology(&laptop_key, &at_laptop), topology(&phone_key, &at_phone));
    let ours = Database::in_memory();
    let serves = laptop.register(ours.clone(), "laptop", Role::Client).await.unwrap();
    let mut ended = laptop.ended(serves).unwrap();
    let endpoint = laptop.listen(serves, "tls://127.0.0.1:0").await.unwrap().to_string();
    let theirs = Database::in_memory();
    theirs.collection("notes").insert(record! { "title" => "from above" }).await.unwrap();
    let follows = phone.register(theirs, "phone", Role::Server).await.unwrap();
    let mut link = phone.connect(follows, &endpoint, Mode::Bidirectional).await.unwrap();
    let refused =
        |status: &LinkStatus| matches!(status.state, LinkState::Waiting { refused: true, .. });
    let status = within(link.wait_for(refused)).await.unwrap();
    let LinkState::Waiting { reason, .. } = status.state else { unreachable!() };
    assert!(reason.contains("you come as a server, and were agreed to be a client"), "{reason}");
    let LinkState::Closed { reason } = within(ended.recv()).await.unwrap().state else {
        panic!("a link that ended is closed")
    };
    assert!(reason.starts_with("the peer comes as a server"), "{reason}");
    assert_eq!(ours.head().0, 0, "nothing came from the phone");
    phone.close().await;
    laptop.close().await;
}

/// What was agreed is the peer's, and doesn't turn around with the link.
#[tokio::test]
async fn who_only_receives_sends_nothing_where_it_listens() {
    let (laptop_key, phone_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (laptop_trusts, phone_trusts) = (TrustStore::in_memory(), TrustStore::in_memory());
    let reader = TrustedPeer::new("phone").with_mode(Mode::ReadOnly);
    laptop_trusts.trust(phone_key.public(), reader).unwrap();
    phone_trusts.trust(laptop_key.public(), TrustedPeer::new("laptop")).unwrap();
    let laptop = topology(&laptop_key, &laptop_trusts);
    let phone = topology(&phone_key, &phone_trusts);
    let connects = laptop.register(Database::in_memory(), "laptop", Role::Client).await.unwrap();
    let listens = phone.register(Database::in_memory(), "phone", Role::Client).await.unwrap();
    let endpoint = phone.listen(listens, "tls://127.0.0.1:0").await.unwrap().to_string();
    for mode in [Mode::Bidirectional, Mode::ReadOnly] {
        let mut link = laptop.connect(connects, &endpoint, mode).await.unwrap();
        let refused =
            |status: &LinkStatus| matches!(status.state, LinkState::Waiting { refused: true, .. });
        within(link.wait_for(refused)).await.unwrap();
        link.close().await;
    }
    let mut link = laptop.connect(connects, &endpoint, Mode::WriteOnly).await.unwrap();
    within(link.wait_for(|status| status.state == LinkState::Live)).await.unwrap();
    phone.close().await;
    laptop.close().await;
}
