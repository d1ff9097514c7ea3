//! Attackers who own a valid session of their own, and messages that were made for another one.

use std::{sync::Arc, time::Duration};

use blaze_codec::Role;
use blaze_transport::{Endpoint, Listener, Transport};
use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{
    PAIRING_PROTOCOL, PairingError, Ticket,
    proof::{self, Binding, Proof},
};
use crate::{
    HandshakeError, KeyPair, PublicKey, TlsTransport, TrustStore, TrustedPeer,
    config::{self, Accepts},
    handshake::{self, Hello, Secured},
    transport::connect_tcp,
};

const DEADLINE: Duration = Duration::from_secs(30);

/// A node that issues tickets, and accepts.
struct Issuer {
    key: PublicKey,
    transport: TlsTransport,
    trust: TrustStore,
    listener: Box<dyn Listener>,
}

impl Issuer {
    async fn new() -> Self {
        let key_pair = KeyPair::generate().unwrap();
        let trust = TrustStore::in_memory();
        let transport = TlsTransport::new(&key_pair, trust.clone());
        let listener = transport.listen(&"tls://127.0.0.1:0".parse().unwrap()).await.unwrap();
        Self { key: key_pair.public(), transport, trust, listener }
    }

    fn issue(&self) -> super::IssuedTicket {
        let endpoint = self.listener.endpoint().clone();
        self.transport.issue_ticket(endpoint, Role::Server, TrustedPeer::new("phone")).unwrap()
    }

    /// Runs an attack while this node accepts; returns the attack's answer, and why this node
    /// refused.
    async fn under<T>(&mut self, attack: impl Future<Output = T>) -> (T, HandshakeError) {
        let both = async { tokio::join!(Box::pin(attack), self.listener.accept()) };
        let (answer, accepted) = timeout(DEADLINE, both).await.unwrap();
        let Err(blaze_transport::TransportError::Handshake { source, .. }) = accepted else {
            panic!("the attack must be refused, found: {accepted:?}");
        };
        (answer, *source.downcast().unwrap())
    }
}

/// A session for pairing, with a key that nobody knows.
struct Attacker {
    key_pair: KeyPair,
    config: Arc<ClientConfig>,
    endpoint: Endpoint,
}

impl Attacker {
    fn new(laptop: &Issuer) -> Self {
        let key_pair = KeyPair::generate().unwrap();
        let config = config::client(&key_pair, Accepts::Only(laptop.key), PAIRING_PROTOCOL);
        Self { key_pair, config, endpoint: laptop.listener.endpoint().clone() }
    }

    async fn connect(&self) -> Secured {
        let (stream, _) = connect_tcp(&self.endpoint).await.unwrap();
        handshake::connect(&self.config, stream).await.unwrap()
    }

    /// The right proof for a session.
    fn prove(&self, ticket: &Ticket, session: &Secured) -> Proof {
        proof::prove(&ticket.secret, &Binding::of(session, &self.key_pair.public()).unwrap())
    }

    /// Sends a proof and returns all that comes back.
    async fn try_proof(&self, session: &mut Secured, ticket: &Ticket, proof: &Proof) -> Vec<u8> {
        let message = [&ticket.id[..], proof].concat();
        session.stream.write_all(&message).await.unwrap();
        session.stream.flush().await.unwrap();
        let mut answer = Vec::new();
        session.stream.read_to_end(&mut answer).await.unwrap();
        answer
    }
}

/// What a refused joiner is told, whatever the reason.
const NO: [u8; 1] = [0];

#[tokio::test]
async fn a_proof_of_another_session_is_refused() {
    let mut laptop = Issuer::new().await;
    let issued = laptop.issue();
    let attacker = Attacker::new(&laptop);
    let attack = async {
        // Both sessions are with the issuer itself, and of one key.
        let first = attacker.connect().await;
        let proof = attacker.prove(issued.ticket(), &first);
        let mut second = attacker.connect().await;
        attacker.try_proof(&mut second, issued.ticket(), &proof).await
    };
    let (answer, error) = laptop.under(attack).await;
    assert_eq!(answer, NO);
    assert!(matches!(error, HandshakeError::WrongProof { wrong: 1, .. }), "{error}");
    assert!(laptop.trust.peers().is_empty());
}

#[tokio::test]
async fn five_wrong_proofs_burn_a_ticket() {
    let mut laptop = Issuer::new().await;
    let mut issued = laptop.issue();
    let mut other = laptop.issue();
    let attacker = Attacker::new(&laptop);
    for attempt in 1..=6_u8 {
        let attack = async {
            let mut session = attacker.connect().await;
            attacker.try_proof(&mut session, issued.ticket(), &[attempt; 32]).await
        };
        let (answer, error) = laptop.under(attack).await;
        assert_eq!(answer, NO, "whatever the reason");
        match error {
            HandshakeError::WrongProof { wrong, wrong_max: 5 } => assert_eq!(wrong, attempt),
            HandshakeError::TicketUnknown => assert_eq!(attempt, 6),
            error => panic!("{error}"),
        }
    }
    // Now the right proof comes too late.
    let attack = async {
        let mut session = attacker.connect().await;
        let proof = attacker.prove(issued.ticket(), &session);
        attacker.try_proof(&mut session, issued.ticket(), &proof).await
    };
    assert!(matches!(laptop.under(attack).await.1, HandshakeError::TicketUnknown));
    let error = issued.redeemed().await.unwrap_err();
    assert!(matches!(error, PairingError::Burned { wrong_max: 5 }), "{error}");
    assert!(laptop.trust.peers().is_empty());

    // The other ticket is as good as before.
    let phone = TlsTransport::new(&KeyPair::generate().unwrap(), TrustStore::in_memory());
    let ticket: Ticket = other.ticket().to_text().parse().unwrap();
    let issuing = async {
        tokio::select! {
            accepted = laptop.listener.accept() => panic!("nobody asked for it: {accepted:?}"),
            paired = other.redeemed() => paired,
        }
    };
    let redeemed = async { tokio::join!(phone.redeem(&ticket, "laptop"), issuing) };
    let (ours, theirs) = timeout(DEADLINE, redeemed).await.unwrap();
    assert_eq!(ours.unwrap().words, theirs.unwrap().words);
}

#[tokio::test]
async fn what_a_man_in_the_middle_passes_on_is_refused() {
    let mut laptop = Issuer::new().await;
    let issued = laptop.issue();
    let attacker = Attacker::new(&laptop);
    let gate = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tls://{}", gate.local_addr().unwrap()).parse().unwrap();
    let server = config::server(&attacker.key_pair, Accepts::Anybodys, PAIRING_PROTOCOL);

    // The victim was given the attacker's key and address, with the issuer's secret.
    let (secret, terms) = (issued.ticket.secret.clone(), issued.ticket.terms.clone());
    let (id, key) = (issued.ticket.id, attacker.key_pair.public());
    let forged = Ticket { id, secret, issuer: key, endpoint, terms };
    let victim_trust = TrustStore::in_memory();
    let victim = TlsTransport::new(&KeyPair::generate().unwrap(), victim_trust.clone());
    let attack = async {
        let relaying = async {
            let hello = Hello::receive(gate.accept().await.unwrap().0).await.unwrap();
            let mut near = hello.accept(&server).await.unwrap();
            let mut message = [0; 36];
            near.stream.read_exact(&mut message).await.unwrap();
            let mut far = attacker.connect().await;
            far.stream.write_all(&message).await.unwrap();
            far.stream.flush().await.unwrap();
            let mut answer = Vec::new();
            far.stream.read_to_end(&mut answer).await.unwrap();
            // Any answer that the attacker can make up instead is no proof.
            near.stream.write_all(&[1; 33]).await.unwrap();
            near.stream.shutdown().await.unwrap();
            answer
        };
        tokio::join!(relaying, victim.redeem(&forged, "laptop"))
    };
    let ((answer, redeemed), error) = laptop.under(attack).await;
    assert_eq!(answer, NO);
    assert!(matches!(error, HandshakeError::WrongProof { .. }), "{error}");
    let error = redeemed.unwrap_err();
    assert!(matches!(error, PairingError::IssuerUnproved), "{error}");
    assert!(laptop.trust.peers().is_empty() && victim_trust.peers().is_empty());
}

#[tokio::test]
async fn nothing_is_sent_to_a_listener_with_another_key() {
    let laptop = Issuer::new().await;
    let issued = laptop.issue();
    let attacker = Attacker::new(&laptop);
    let gate = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = config::server(&attacker.key_pair, Accepts::Anybodys, PAIRING_PROTOCOL);
    // The ticket is the true one, but whoever is on the way answers at its address.
    let ticket = Ticket {
        endpoint: format!("tls://{}", gate.local_addr().unwrap()).parse().unwrap(),
        secret: issued.ticket.secret.clone(),
        ..issued.ticket.clone()
    };
    let victim = TlsTransport::new(&KeyPair::generate().unwrap(), TrustStore::in_memory());
    let answering = async {
        let hello = Hello::receive(gate.accept().await.unwrap().0).await.unwrap();
        hello.accept(&server).await.expect_err("the victim hangs up before it shows its key")
    };
    let both = async { tokio::join!(answering, victim.redeem(&ticket, "laptop")) };
    let (seen, redeemed) = timeout(DEADLINE, both).await.unwrap();
    let seen = HandshakeError::from_io(seen, attacker.key_pair.fingerprint());
    assert!(matches!(seen, HandshakeError::RefusedByPeer { .. }), "{seen}");
    let Err(PairingError::Transport(error)) = redeemed else { panic!("{redeemed:?}") };
    let found = HandshakeError::of(&error);
    let expected = attacker.key_pair.fingerprint();
    assert!(
        matches!(found, Some(HandshakeError::PeerUntrusted { fingerprint }) if *fingerprint == expected),
        "{found:?}"
    );
}

/// What a thief says who has stolen a ticket, up to the word on which it's trusted.
async fn steal(attacker: &Attacker, ticket: &Ticket, stream: TcpStream) -> Secured {
    let mut session = handshake::connect(&attacker.config, stream).await.unwrap();
    let proof = attacker.prove(ticket, &session);
    session.stream.write_all(&[&ticket.id[..], &proof].concat()).await.unwrap();
    session.stream.flush().await.unwrap();
    session.stream.read_exact(&mut [0; 33]).await.unwrap();
    session
}

/// Elsewhere, what came before a reset may be lost with it, and then nobody is trusted.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_thief_who_breaks_off_once_it_is_trusted_is_shown() {
    let laptop = Issuer::new().await;
    let mut issued = laptop.issue();
    let mut told = laptop.transport.paired();
    let attacker = Attacker::new(&laptop);
    let gate = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let thief = TcpStream::connect(gate.local_addr().unwrap()).await.unwrap();
    // Whoever lets go of it resets the connection.
    thief.set_zero_linger().unwrap();
    let (stream, address) = gate.accept().await.unwrap();
    let thieving = async {
        let mut session = steal(&attacker, issued.ticket(), thief).await;
        session.stream.write_u8(1).await.unwrap();
        session.stream.flush().await.unwrap();
    };
    let serving = Box::pin(laptop.transport.clone().accept(stream, address));
    let both = async { tokio::join!(Box::pin(thieving), serving).1 };
    let served = timeout(DEADLINE, both).await.unwrap();
    assert!(matches!(served, Ok(None)), "{served:?}");
    let paired = timeout(DEADLINE, issued.redeemed()).await.unwrap().expect("it's trusted");
    assert_eq!(paired.key, attacker.key_pair.public());
    assert_eq!(paired.words.split(' ').count(), 8);
    assert_eq!(told.try_recv().unwrap(), paired);
    assert_eq!(laptop.trust.peer(&paired.key).as_ref(), Some(&paired.peer));
    assert_eq!(issued.withdraw().unwrap(), Some(paired), "it's too late to take it back");
}

#[tokio::test]
async fn a_ticket_that_is_taken_back_trusts_nobody_who_waits_with_the_last_word() {
    let mut laptop = Issuer::new().await;
    let issued = laptop.issue();
    let mut told = laptop.transport.paired();
    let attacker = Attacker::new(&laptop);
    let attack = async {
        let (stream, _) = connect_tcp(&attacker.endpoint).await.unwrap();
        let mut session = steal(&attacker, issued.ticket(), stream).await;
        let withdrawn = issued.withdraw();
        assert!(matches!(withdrawn, Err(PairingError::Failed { .. })), "{withdrawn:?}");
        session.stream.write_u8(1).await.unwrap();
        session.stream.flush().await.unwrap();
        let mut answer = Vec::new();
        // It's hung up on.
        let _ = session.stream.read_to_end(&mut answer).await;
        answer
    };
    let (answer, error) = laptop.under(attack).await;
    assert_eq!(answer, []);
    assert!(matches!(error, HandshakeError::TicketUnknown), "{error}");
    assert!(laptop.trust.peers().is_empty());
    assert!(told.try_recv().is_err());
    assert_eq!(laptop.issue().withdraw().unwrap(), None, "nobody has come");
}
