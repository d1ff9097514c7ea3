//! Two nodes that are strangers come to trust each other, once for each ticket.

mod common;

use std::time::Duration;

use blaze_codec::{Mode, Role};
use blaze_transport::{Endpoint, Listener, Transport};
use blaze_transport_tls::{
    HandshakeError, IssuedTicket, KeyPair, Paired, PairingError, Ticket, TicketError, TlsTransport,
    TrustError, TrustStore, TrustedPeer,
};
use proptest::prelude::*;
use tokio::time::timeout;

use common::loopback;

const DEADLINE: Duration = Duration::from_secs(30);

struct Node {
    key_pair: KeyPair,
    trust: TrustStore,
    transport: TlsTransport,
}

impl Node {
    fn new() -> Self {
        let key_pair = KeyPair::generate().unwrap();
        let trust = TrustStore::in_memory();
        let transport = TlsTransport::new(&key_pair, trust.clone());
        Self { key_pair, trust, transport }
    }

    fn issue(&self, listener: &dyn Listener, name: &str) -> IssuedTicket {
        let peer = TrustedPeer::new(name).with_mode(Mode::ReadOnly);
        self.transport.issue_ticket(listener.endpoint().clone(), Role::Server, peer).unwrap()
    }

    /// Redeems a ticket while the issuer accepts.
    async fn redeem(
        &self,
        ticket: &Ticket,
        listener: &mut dyn Listener,
    ) -> Result<Paired, PairingError> {
        let accepting = async {
            loop {
                let error = listener.accept().await.expect_err("no session was asked for");
                assert!(error.is_retryable(), "the listener goes on: {error}");
            }
        };
        let redeemed = async {
            tokio::select! {
                redeemed = self.transport.redeem(ticket, "laptop") => redeemed,
                () = accepting => unreachable!("it accepts for ever"),
            }
        };
        timeout(DEADLINE, redeemed).await.expect("it comes to an end")
    }
}

#[tokio::test]
async fn after_pairing_each_has_the_other_and_both_show_the_same_words() {
    let (laptop, phone) = (Node::new(), Node::new());
    let mut listener = laptop.transport.listen(&loopback()).await.unwrap();
    let mut issued = laptop.issue(&*listener, "phone");
    // As a person pastes it.
    let text = issued.ticket().to_text().to_lowercase();
    let ticket: Ticket = format!("  {text}\n").parse().unwrap();
    assert_eq!(ticket.fingerprint(), laptop.key_pair.fingerprint());
    assert_eq!((ticket.mode(), ticket.role()), (Mode::ReadOnly, Role::Client));

    let at_phone = phone.redeem(&ticket, &mut *listener).await.unwrap();
    // The phone has heard the last word when the laptop has said it, which it may not know yet.
    let at_laptop = timeout(DEADLINE, async {
        tokio::select! {
            accepted = listener.accept() => panic!("no session was asked for: {accepted:?}"),
            paired = issued.redeemed() => paired.unwrap(),
        }
    });
    let at_laptop = at_laptop.await.unwrap();
    assert_eq!(at_laptop.words, at_phone.words);
    assert_eq!(at_phone.words.split(' ').count(), 8);
    let expected = TrustedPeer::new("phone").with_mode(Mode::ReadOnly);
    assert_eq!(laptop.trust.peer(&phone.key_pair.public()), Some(expected));
    // The phone only receives, so the laptop only sends.
    let expected = TrustedPeer::new("laptop")
        .with_role(Role::Server)
        .with_mode(Mode::WriteOnly)
        .with_endpoint(listener.endpoint().clone());
    assert_eq!(phone.trust.peer(&laptop.key_pair.public()), Some(expected));
    assert_eq!(at_phone.key, laptop.key_pair.public());

    let endpoint = listener.endpoint().clone();
    let both = async { tokio::join!(phone.transport.connect(&endpoint), listener.accept()) };
    let (connected, accepted) = timeout(DEADLINE, both).await.unwrap();
    connected.and(accepted).expect("a session needs no ticket any more");

    let other = Node::new();
    let error = other.redeem(&ticket, &mut *listener).await.unwrap_err();
    assert!(matches!(error, PairingError::Refused), "used twice: {error}");
    assert_eq!(laptop.trust.peers().len(), 1);
    assert!(other.trust.peers().is_empty());
}

#[tokio::test]
async fn the_issuer_binds_the_policy_to_who_joins_and_the_joiner_is_told_its_name() {
    let (laptop, phone) = (Node::new(), Node::new());
    let mut listener = laptop.transport.listen(&loopback()).await.unwrap();
    let endpoint = listener.endpoint().clone();
    let issue = |policy: &str| {
        let peer = TrustedPeer::new("phone").with_policy(policy);
        laptop.transport.issue_ticket(endpoint.clone(), Role::Server, peer)
    };
    // What the phone agreed with the laptop before stays, whatever the ticket says.
    let key = laptop.key_pair.public();
    phone.trust.trust(key, TrustedPeer::new("laptop").with_policy("own")).unwrap();
    let issued = issue("anna").unwrap();
    let ticket: Ticket = issued.ticket().to_text().parse().unwrap();
    assert_eq!(ticket.policy(), Some("anna"));
    let at_phone = phone.redeem(&ticket, &mut *listener).await.unwrap();
    assert_eq!(at_phone.peer.policy.as_deref(), Some("own"));
    assert_eq!(phone.trust.peer(&key).unwrap().policy.as_deref(), Some("own"));
    let bound = laptop.trust.peer(&phone.key_pair.public()).unwrap();
    assert_eq!(bound.policy.as_deref(), Some("anna"));
    drop(issued);

    let unnamed = TrustedPeer::unnamed().with_policy("an na");
    let unnamed = laptop.transport.issue_ticket(endpoint.clone(), Role::Server, unnamed);
    for error in [issue("").unwrap_err(), unnamed.unwrap_err()] {
        let error = error.to_string() + &std::error::Error::source(&error).unwrap().to_string();
        assert!(error.contains("is no name for a policy"), "{error}");
    }
}

#[tokio::test]
async fn a_ticket_of_another_secret_is_refused() {
    let (laptop, phone) = (Node::new(), Node::new());
    let mut listener = laptop.transport.listen(&loopback()).await.unwrap();
    let withdrawn = laptop.issue(&*listener, "phone");
    let ticket: Ticket = withdrawn.ticket().to_text().parse().unwrap();
    drop(withdrawn);
    let error = phone.redeem(&ticket, &mut *listener).await.unwrap_err();
    assert!(matches!(error, PairingError::Refused), "{error}");
    assert!(laptop.trust.peers().is_empty() && phone.trust.peers().is_empty());
}

#[tokio::test]
async fn a_ticket_expires_after_ten_minutes() {
    let (laptop, phone) = (Node::new(), Node::new());
    let mut listener = laptop.transport.listen(&loopback()).await.unwrap();
    let (early, mut late) = (laptop.issue(&*listener, "phone"), laptop.issue(&*listener, "tablet"));
    let (first, second) = (early.ticket().to_text(), late.ticket().to_text());
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(599)).await;
    tokio::time::resume();
    phone.redeem(&first.parse().unwrap(), &mut *listener).await.expect("it's just in time");

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    let tablet = Node::new();
    let error = tablet.redeem(&second.parse().unwrap(), &mut *listener).await.unwrap_err();
    assert!(matches!(error, PairingError::Refused), "{error}");
    let error = late.redeemed().await.unwrap_err();
    assert!(matches!(error, PairingError::Expired { lasted_s: 600 }), "{error}");
}

#[tokio::test]
async fn what_can_not_work_is_refused_before_anything_is_sent() {
    let laptop = Node::new();
    let endpoint = loopback();
    laptop.trust.trust(Node::new().key_pair.public(), TrustedPeer::new("phone")).unwrap();
    let issue = |name: &str| {
        laptop.transport.issue_ticket(endpoint.clone(), Role::Server, TrustedPeer::new(name))
    };
    let taken = issue("phone").unwrap_err();
    assert!(matches!(taken, PairingError::Trust(TrustError::NameTaken { .. })), "{taken}");
    for name in [" ", "a\nb", &"x".repeat(65)] {
        let error = issue(name).unwrap_err();
        assert!(matches!(error, PairingError::Trust(TrustError::NameInvalid { .. })), "{error}");
    }
    let tcp = Endpoint::tcp("localhost", 1).unwrap();
    let other = laptop.transport.issue_ticket(tcp, Role::Server, TrustedPeer::new("tablet"));
    assert!(matches!(other.unwrap_err(), PairingError::Transport(_)));

    let own = issue("tablet").unwrap();
    let error = laptop.transport.redeem(own.ticket(), "itself").await.unwrap_err();
    assert!(matches!(error, PairingError::OwnTicket), "{error}");
    let many: Vec<_> = (0..15).map(|number| issue(&format!("tablet {number}")).unwrap()).collect();
    let error = issue("one more").unwrap_err();
    assert!(matches!(error, PairingError::TooManyTickets { open_max: 16 }), "{error}");
    drop(many);
    issue("one more").expect("tickets that were withdrawn leave room");
}

#[tokio::test]
async fn a_stranger_learns_nothing_from_an_open_ticket() {
    let (laptop, stranger) = (Node::new(), Node::new());
    stranger.trust.trust(laptop.key_pair.public(), TrustedPeer::new("laptop")).unwrap();
    let mut listener = laptop.transport.listen(&loopback()).await.unwrap();
    let _issued = laptop.issue(&*listener, "phone");
    let endpoint = listener.endpoint().clone();
    let both = async { tokio::join!(stranger.transport.connect(&endpoint), listener.accept()) };
    let (connected, _) = timeout(DEADLINE, both).await.unwrap();
    let error = connected.unwrap_err();
    let found = HandshakeError::of(&error);
    assert!(matches!(found, Some(HandshakeError::RefusedByPeer { .. })), "{found:?}");
}

#[test]
fn a_ticket_shows_no_secret_by_mistake() {
    let laptop = Node::new();
    let peer = TrustedPeer::new("phone");
    let issued = laptop.transport.issue_ticket(loopback(), Role::Server, peer).unwrap();
    let shown = format!("{issued:?} {:?} {:?}", issued.ticket(), laptop.transport);
    let text = issued.ticket().to_text();
    // The secret is in here.
    let secret = &text["blaze-ticket-1:".len() + 8..][..24];
    assert!(!shown.contains(secret) && !shown.contains("secret"), "{shown}");
    assert!(shown.contains(&laptop.key_pair.fingerprint().words()));
}

#[test]
fn what_is_no_ticket_says_why() {
    let laptop = Node::new();
    let peer = TrustedPeer::new("phone");
    let issued = laptop.transport.issue_ticket(loopback(), Role::Server, peer).unwrap();
    let text = issued.ticket().to_text();
    let wrong = [
        ("", "it does not begin with"),
        ("blaze-ticket-2:0000", "it does not begin with"),
        ("blaze-ticket-1:", "checksum"),
        (&text[..text.len() - 1], "checksum"),
        (&format!("{}U", *text), "`U` is none of its characters"),
    ];
    for (text, reason) in wrong {
        let error = text.parse::<Ticket>().unwrap_err();
        assert!(error.to_string().contains(reason), "{text}: {error}");
    }
    let long = format!("{}{}", *text, " -".repeat(2000));
    assert!(matches!(long.parse::<Ticket>(), Err(TicketError::NotATicket)));
}

fn terms() -> impl Strategy<Value = (Role, Role, Mode, Option<String>)> {
    let role = || prop::sample::select(vec![Role::Server, Role::Client]);
    let modes = vec![Mode::Bidirectional, Mode::ReadOnly, Mode::WriteOnly];
    (role(), role(), prop::sample::select(modes), prop::option::of("[a-zA-Z0-9._-]{1,64}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_ticket_is_read_as_it_was_written(
        (own, role, mode, policy) in terms(),
        host in "[a-z0-9.-]{1,200}",
        port: u16,
    ) {
        // Tickets last for a time, which a runtime tells.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _guard = runtime.enter();
        let laptop = Node::new();
        let endpoint = Endpoint::tls(&host, port).unwrap();
        let peer = TrustedPeer::new("phone").with_role(role).with_mode(mode);
        let peer = match &policy {
            Some(policy) => peer.with_policy(policy),
            None => peer,
        };
        let issued = laptop.transport.issue_ticket(endpoint.clone(), own, peer).unwrap();
        let read: Ticket = issued.ticket().to_text().parse().unwrap();
        prop_assert_eq!(read.endpoint(), &endpoint);
        prop_assert_eq!((read.role(), read.mode(), read.issuer_role()), (role, mode, own));
        prop_assert_eq!(read.policy(), policy.as_deref());
        prop_assert_eq!(read.fingerprint(), laptop.key_pair.fingerprint());
        prop_assert_eq!(read.to_text(), issued.ticket().to_text());
    }

    #[test]
    fn any_text_is_a_ticket_or_none(text in "\\PC{0,100}", with_prefix: bool) {
        let prefix = if with_prefix { "blaze-ticket-1:" } else { "" };
        let read = format!("{prefix}{text}").parse::<Ticket>();
        prop_assert!(read.is_err());
    }
}
