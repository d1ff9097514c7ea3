//! The tickets of a node that can be redeemed.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use blaze_codec::Role;
use blaze_transport::Endpoint;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    Paired, PairingError, Ticket,
    proof::{Binding, Proof, Secret, Verifier},
    ticket::{Terms, TicketId},
};
use crate::{HandshakeError, PublicKey, TrustedPeer};

/// How long a ticket can be redeemed.
const LASTS: Duration = Duration::from_secs(10 * 60);
/// How many wrong proofs burn a ticket.
const WRONG_MAX: u8 = 5;
/// The most tickets that can be redeemed at a time.
const OPEN_MAX: usize = 16;

/// The tickets of a node that can be redeemed. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Tickets(Arc<Mutex<Vec<OpenTicket>>>);

/// A ticket that can be redeemed, without its secret.
pub(crate) struct OpenTicket {
    id: TicketId,
    pub(crate) verifier: Verifier,
    /// What its redeemer will be.
    pub(crate) peer: TrustedPeer,
    expires: Instant,
    wrong: u8,
    outcome: oneshot::Sender<Result<Paired, PairingError>>,
}

impl OpenTicket {
    /// Tells whoever waits for it how it ended.
    pub(crate) fn end(self, outcome: Result<Paired, PairingError>) {
        // Nobody may wait any more, and then nobody wants to know.
        let _ = self.outcome.send(outcome);
    }

    fn is_open(&self) -> bool {
        self.expires > Instant::now() && !self.outcome.is_closed()
    }
}

/// A ticket that was issued and can be redeemed until this is dropped.
#[derive(Debug)]
pub struct IssuedTicket {
    pub(super) ticket: Ticket,
    expires: Instant,
    outcome: oneshot::Receiver<Result<Paired, PairingError>>,
}

impl IssuedTicket {
    /// What the other node needs.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Waits until it's redeemed; meanwhile, somebody must accept at the listener.
    ///
    /// # Errors
    ///
    /// [`PairingError`] if nobody did in time, or somebody tried without knowing it.
    pub async fn redeemed(self) -> Result<Paired, PairingError> {
        match timeout_at(self.expires, self.outcome).await {
            Ok(Ok(outcome)) => outcome,
            // Given up in the middle, with the listener or at the handshake's deadline.
            Ok(Err(_)) if self.expires > Instant::now() => {
                Err(PairingError::Unconfirmed(io::ErrorKind::TimedOut.into()))
            }
            _ => Err(PairingError::Expired { lasted_s: LASTS.as_secs() }),
        }
    }
}

impl Tickets {
    pub(crate) fn issue(
        &self,
        issuer: PublicKey,
        endpoint: Endpoint,
        own_role: Role,
        peer: TrustedPeer,
    ) -> Result<IssuedTicket, PairingError> {
        let mut open = self.open();
        if open.len() >= OPEN_MAX {
            return Err(PairingError::TooManyTickets { open_max: OPEN_MAX });
        }
        let (mut id, mut secret) = (TicketId::default(), Secret::default());
        let random = SystemRandom::new();
        let filled = random.fill(&mut id).and_then(|()| random.fill(&mut *secret));
        filled.map_err(|_| PairingError::NoRandomness)?;
        let terms = Terms { issuer_role: own_role, joiner_role: peer.role, mode: peer.mode };
        let (sender, outcome) = oneshot::channel();
        let expires = Instant::now() + LASTS;
        let verifier = Verifier::new(&secret);
        open.push(OpenTicket { id, verifier, peer, expires, wrong: 0, outcome: sender });
        let ticket = Ticket { id, secret, issuer, endpoint, terms };
        Ok(IssuedTicket { ticket, expires, outcome })
    }

    /// Takes the ticket away if the proof is right, so that it's used once.
    pub(crate) fn take(
        &self,
        id: TicketId,
        proof: &Proof,
        binding: &Binding,
    ) -> Result<OpenTicket, HandshakeError> {
        let mut open = self.open();
        let Some(place) = open.iter().position(|ticket| ticket.id == id) else {
            return Err(HandshakeError::TicketUnknown);
        };
        if open[place].verifier.accepts(proof, binding) {
            return Ok(open.swap_remove(place));
        }
        open[place].wrong += 1;
        let wrong = open[place].wrong;
        if wrong == WRONG_MAX {
            open.swap_remove(place).end(Err(PairingError::Burned { wrong_max: WRONG_MAX }));
        }
        Err(HandshakeError::WrongProof { wrong, wrong_max: WRONG_MAX })
    }

    /// Those that haven't expired and that somebody still waits for.
    fn open(&self) -> MutexGuard<'_, Vec<OpenTicket>> {
        // Whoever panicked left each ticket whole.
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(OpenTicket::is_open);
        open
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("open", &self.open().len()).finish()
    }
}
