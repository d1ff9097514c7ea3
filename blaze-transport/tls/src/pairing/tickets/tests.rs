//! Tickets that one process of a node issues, and others of it serve.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use blaze_codec::{Mode, Role};
use blaze_transport::{Endpoint, Listener, Transport, TransportError};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{super::proof::Secret, IssuedTicket};
use crate::{
    HandshakeError, KeyPair, Paired, PairingError, Ticket, TlsTransport, TrustStore, TrustedPeer,
};

const DEADLINE: Duration = Duration::from_secs(30);

/// A node that several processes run.
struct Node {
    folder: TempDir,
    key_pair: KeyPair,
}

/// One of them.
struct Process {
    trust: TrustStore,
    transport: TlsTransport,
}

impl Node {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), key_pair: KeyPair::generate().unwrap() }
    }

    fn process(&self) -> Process {
        let trust = TrustStore::open(self.folder.path().join("peers")).unwrap();
        Process { transport: TlsTransport::new(&self.key_pair, trust.clone()), trust }
    }

    fn tickets(&self) -> PathBuf {
        self.folder.path().join("peers.tickets")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.tickets()).unwrap()
    }
}

impl Process {
    async fn listen(&self) -> Box<dyn Listener> {
        self.transport.listen(&"tls://127.0.0.1:0".parse().unwrap()).await.unwrap()
    }

    fn issue(&self, endpoint: &Endpoint) -> IssuedTicket {
        let peer = TrustedPeer::unnamed().with_mode(Mode::ReadOnly);
        self.transport.issue_ticket(endpoint.clone(), Role::Server, peer).unwrap()
    }
}

/// Redeems a ticket as a new node, while the listener accepts; what that said comes second.
async fn redeem(
    ticket: &Ticket,
    listener: &mut dyn Listener,
) -> (Result<Paired, PairingError>, Option<TransportError>) {
    let joiner = TlsTransport::new(&KeyPair::generate().unwrap(), TrustStore::in_memory());
    let mut said = None;
    let accepting = async {
        loop {
            said = Some(listener.accept().await.expect_err("no session was asked for"));
        }
    };
    let redeemed = async {
        tokio::select! {
            redeemed = joiner.redeem(ticket, "laptop") => redeemed,
            () = accepting => unreachable!("it accepts for ever"),
        }
    };
    let redeemed = timeout(DEADLINE, redeemed).await.expect("it comes to an end");
    if said.is_none() && redeemed.is_err() {
        said = timeout(DEADLINE, listener.accept()).await.ok().and_then(Result::err);
    }
    (redeemed, said)
}

#[tokio::test]
async fn a_ticket_of_one_process_is_served_by_another_once() {
    let node = Node::new();
    let (issuing, listening) = (node.process(), node.process());
    let mut listener = listening.listen().await;
    let mut issued = issuing.issue(listener.endpoint());
    assert_eq!(node.tickets().metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    let secret = crate::hex::encode(&*issued.ticket().secret);
    assert!(!node.text().contains(&secret), "only what a proof is checked by is kept");
    assert!(issued.remaining() > Duration::from_secs(9 * 60));

    let ticket: Ticket = issued.ticket().to_text().parse().unwrap();
    let (redeemed, _) = redeem(&ticket, &mut *listener).await;
    let redeemed = redeemed.unwrap();
    // The listener may have a last word to say, on which the issuer waits.
    let paired = timeout(DEADLINE, async {
        tokio::select! {
            accepted = listener.accept() => panic!("nobody asked for it: {accepted:?}"),
            paired = issued.redeemed() => paired.unwrap(),
        }
    });
    let paired = paired.await.unwrap();
    assert_eq!(paired.words, redeemed.words);
    assert_eq!(paired.peer.name, paired.key.fingerprint().short());
    assert_eq!(paired.peer.mode, Mode::ReadOnly);
    assert_eq!(listening.trust.peer(&paired.key), Some(paired.peer));
    let (again, said) = redeem(&ticket, &mut *listener).await;
    assert!(matches!(again, Err(PairingError::Refused)), "{again:?}");
    let said = said.unwrap();
    assert!(matches!(HandshakeError::of(&said), Some(HandshakeError::TicketUnknown)));
    drop(issued);
    assert_eq!(node.text(), "blaze-tickets-1\n", "what nobody waits for any more is gone");
}

#[tokio::test]
async fn of_many_who_redeem_one_ticket_at_several_processes_one_does() {
    let node = Node::new();
    let processes: Vec<_> = (0..4).map(|_| node.process()).collect();
    let issued = processes[0].issue(&"tls://127.0.0.1:1".parse().unwrap());
    let mut attempts = Vec::new();
    for process in processes {
        let mut listener = process.listen().await;
        let ticket = Ticket { endpoint: listener.endpoint().clone(), ..issued.ticket().clone() };
        // In threads of their own, as processes would be.
        attempts.push(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut redeemed = 0;
                for _ in 0..4 {
                    redeemed += u32::from(redeem(&ticket, &mut *listener).await.0.is_ok());
                }
                redeemed
            })
        }));
    }
    let attempts = tokio::task::spawn_blocking(|| {
        attempts.into_iter().map(|attempt| attempt.join().unwrap()).sum::<u32>()
    });
    assert_eq!(timeout(DEADLINE, attempts).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn wrong_proofs_at_several_processes_burn_a_ticket_together() {
    let node = Node::new();
    let (issuing, others) = (node.process(), [node.process(), node.process()]);
    let mut listeners = [others[0].listen().await, others[1].listen().await];
    let mut issued = issuing.issue(listeners[0].endpoint());
    for attempt in 0..6 {
        let listener = &mut listeners[attempt % 2];
        let (secret, endpoint) = (Secret::new([9; 16]), listener.endpoint().clone());
        let wrong = Ticket { secret, endpoint, ..issued.ticket().clone() };
        let (refused, said) = redeem(&wrong, &mut **listener).await;
        assert!(matches!(refused, Err(PairingError::Refused)), "{refused:?}");
        let said = said.unwrap();
        match HandshakeError::of(&said) {
            Some(HandshakeError::WrongProof { wrong, .. }) => {
                assert_eq!(usize::from(*wrong), attempt + 1);
            }
            Some(HandshakeError::TicketUnknown) => assert_eq!(attempt, 5),
            other => panic!("{other:?}"),
        }
    }
    let burned = timeout(DEADLINE, issued.redeemed()).await.unwrap().unwrap_err();
    assert!(matches!(burned, PairingError::Burned { wrong_max: 5 }), "{burned}");
    let right = issued.ticket().clone();
    assert!(matches!(redeem(&right, &mut *listeners[0]).await.0, Err(PairingError::Refused)));
}

#[tokio::test]
async fn a_ticket_is_over_when_its_time_is_or_the_clock_went_back() {
    let node = Node::new();
    let process = node.process();
    let mut listener = process.listen().await;
    for shift_ms in [-600_000_i64, 3_600_000] {
        let mut issued = process.issue(listener.endpoint());
        let text = node.text();
        let expires: i64 = text.split(' ').nth(2).unwrap().parse().unwrap();
        let shifted = text.replace(&expires.to_string(), &(expires + shift_ms).to_string());
        fs::write(node.tickets(), shifted).unwrap();
        let (refused, _) = redeem(&issued.ticket().clone(), &mut *listener).await;
        assert!(matches!(refused, Err(PairingError::Refused)), "{refused:?}");
        let over = timeout(DEADLINE, issued.redeemed()).await.unwrap().unwrap_err();
        assert!(matches!(over, PairingError::Expired { lasted_s: 600 }), "{over}");
    }
}

#[tokio::test]
async fn a_ticket_that_was_taken_and_left_is_told_to_its_issuer() {
    let node = Node::new();
    let (issuing, listening) = (node.process(), node.process());
    let mut listener = listening.listen().await;
    let mut issued = issuing.issue(listener.endpoint());
    // A name that is taken by then.
    let other = KeyPair::generate().unwrap().public();
    let text = node.text();
    fs::write(node.tickets(), text.replacen(" - \n", " - phone\n", 1)).unwrap();
    listening.trust.trust(other, TrustedPeer::new("phone")).unwrap();
    let ticket = issued.ticket().clone();
    let (redeemed, _) = redeem(&ticket, &mut *listener).await;
    assert!(matches!(redeemed, Err(PairingError::Unconfirmed(_))), "{redeemed:?}");
    let failed = timeout(DEADLINE, issued.redeemed()).await.unwrap().unwrap_err();
    assert!(matches!(&failed, PairingError::Failed { reason } if reason.contains("`phone`")));
}

#[tokio::test]
async fn a_ticket_whose_server_was_lost_says_that_it_was_taken() {
    let node = Node::new();
    let mut issued = node.process().issue(&"tls://127.0.0.1:1".parse().unwrap());
    let text = node.text();
    let parts: Vec<_> = text.lines().nth(1).unwrap().split(' ').collect();
    let taken = |expires| format!("blaze-tickets-1\ntaken {} {expires}\n", parts[1]);
    // As another process leaves it that is killed then.
    fs::write(node.tickets(), taken(parts[2])).unwrap();
    {
        let waiting = pin!(issued.redeemed());
        assert!(waiting.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    fs::write(node.tickets(), taken("1")).unwrap();
    let lost = timeout(DEADLINE, issued.redeemed()).await.unwrap().unwrap_err();
    assert!(
        matches!(&lost, PairingError::Failed { reason } if reason.contains("`blaze peers`")),
        "{lost}"
    );
}

#[tokio::test]
async fn a_file_that_can_not_be_used_is_named_and_left() {
    let node = Node::new();
    let process = node.process();
    let mut listener = process.listen().await;
    let issued = process.issue(listener.endpoint());
    let (ticket, text) = (issued.ticket().clone(), node.text());
    let again = |process: &Process| {
        let endpoint = "tls://127.0.0.1:1".parse().unwrap();
        process.transport.issue_ticket(endpoint, Role::Server, TrustedPeer::unnamed()).unwrap_err()
    };
    for (wrong, problem) in [
        (String::new(), "its first line"),
        (text.replace("open", "shut"), "line 2 is no ticket"),
        (text.replace("client", "owner"), "line 2 is no ticket"),
        (text.replace(" 0 ", " 5 "), "line 2 is no ticket"),
        (text.replace(" 0 ", " 255 "), "line 2 is no ticket"),
    ] {
        fs::write(node.tickets(), &wrong).unwrap();
        let error = again(&process).to_string();
        assert!(error.contains("peers.tickets") && error.contains(problem), "{error}");
        assert_eq!(node.text(), wrong);
    }
    fs::write(node.tickets(), &text).unwrap();
    fs::set_permissions(node.tickets(), fs::Permissions::from_mode(0o640)).unwrap();
    let error = again(&process).to_string();
    assert!(error.contains("mode 0640, expected 0600"), "{error}");
    let (refused, said) = redeem(&ticket, &mut *listener).await;
    assert!(matches!(refused, Err(PairingError::Refused)), "{refused:?}");
    let said = said.unwrap();
    assert!(matches!(HandshakeError::of(&said), Some(HandshakeError::Tickets { .. })), "{said}");
}

#[tokio::test]
async fn who_listens_is_asked_without_a_trace() {
    let node = Node::new();
    let (asking, listening) = (node.process(), node.process());
    let mut listener = listening.listen().await;
    let endpoint = listener.endpoint().clone();
    let ask = async {
        tokio::select! {
            answer = asking.transport.is_own_listener(&endpoint) => answer,
            accepted = listener.accept() => panic!("{accepted:?}"),
        }
    };
    assert!(timeout(DEADLINE, ask).await.unwrap().unwrap());
    let stranger = Node::new().process();
    let ask =
        async { tokio::join!(stranger.transport.is_own_listener(&endpoint), listener.accept()).0 };
    let other = timeout(DEADLINE, ask).await.unwrap();
    assert!(matches!(other, Err(PairingError::OtherListener { .. })), "{other:?}");
    drop(listener);
    assert!(!asking.transport.is_own_listener(&endpoint).await.unwrap());
}
