//! The tickets of a node that can be redeemed, at whichever process of its listens.

mod file;
mod store;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use blaze_codec::Role;
use blaze_transport::Endpoint;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use self::store::{Outcome, State, Stored};
use super::{
    Paired, PairingError, Ticket,
    exchange::trust_at_once,
    proof::{Binding, Proof, Secret, Verifier},
    ticket::{Terms, TicketId},
};
use crate::{HandshakeError, PublicKey, TrustStore, TrustedPeer, own_file::Stamp};

pub(crate) use store::Tickets;

/// How long a ticket can be redeemed.
const LASTS: Duration = Duration::from_secs(10 * 60);
/// How many wrong proofs burn a ticket.
const WRONG_MAX: u8 = 5;
/// The most tickets that can be redeemed at a time.
const OPEN_MAX: usize = 16;
/// How often it's looked at whether another process has served a ticket.
const LOOK: Duration = Duration::from_millis(200);
/// Why it failed if nobody said why.
const LOST: &str = "who served it did not say how it ended, and may have let the other side in; \
                    look through the peers (`blaze peers`), and revoke whom you don't expect";

/// A ticket that was issued and can be redeemed until this is dropped. Where it's kept in a file
/// and its process is killed, it can be until it expires.
#[derive(Debug)]
pub struct IssuedTicket {
    pub(super) ticket: Ticket,
    tickets: Tickets,
    expires: Instant,
    /// Whether somebody was seen redeeming it.
    was_taken: bool,
}

impl IssuedTicket {
    /// What the other node needs.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// For how long it can still be redeemed.
    pub fn remaining(&self) -> Duration {
        self.expires.saturating_duration_since(Instant::now())
    }

    /// Waits until it's redeemed; meanwhile, somebody must accept at the listener: this process,
    /// or another one that has the same trust store in a file.
    ///
    /// Cancel-safe: the ticket stays as it is until this is dropped.
    ///
    /// # Errors
    ///
    /// [`PairingError`] if nobody did in time, somebody tried without knowing it, or whoever
    /// did, or the process that served it, was lost halfway.
    pub async fn redeemed(&mut self) -> Result<Paired, PairingError> {
        let mut changes = self.tickets.changes();
        loop {
            // Before it's looked at: what is changed in between is looked at once more.
            let stamp = self.tickets.stamp();
            if let Some(outcome) = self.outcome()? {
                return outcome.into_result();
            }
            tokio::select! {
                () = self.changed(stamp, &mut changes) => {}
                () = sleep_until(self.expires) => {
                    // It may have been redeemed at the last moment.
                    let outcome = self.outcome()?;
                    return outcome.unwrap_or_else(|| self.over()).into_result();
                }
            }
        }
    }

    /// Takes the ticket back: whoever hasn't redeemed it by now won't, not even who has begun to.
    /// Returns whom it has paired already, if it has; then there's nothing to take back.
    ///
    /// Dropping the ticket does the same, and tells nobody.
    ///
    /// # Errors
    ///
    /// [`PairingError::Failed`] or [`Burned`](PairingError::Burned) if it's taken back, but
    /// somebody had tried: who has begun to redeem it isn't trusted, unless the process that
    /// served it was lost at the wrong moment. Another one if where it's kept can't be changed;
    /// it may then be redeemed until it expires.
    pub fn withdraw(self) -> Result<Option<Paired>, PairingError> {
        let outcome = match self.tickets.withdraw(self.ticket.id)? {
            Some(State::Open { .. }) => return Ok(None),
            Some(State::Ended(outcome)) => outcome,
            Some(State::Taken) => Outcome::Failed(LOST.to_owned()),
            None => self.over(),
        };
        match outcome {
            Outcome::Expired => Ok(None),
            outcome => outcome.into_result().map(Some),
        }
    }

    /// How the ticket ended, if it did.
    fn outcome(&mut self) -> Result<Option<Outcome>, PairingError> {
        Ok(match self.tickets.state(self.ticket.id)? {
            Some(State::Open { .. }) => None,
            Some(State::Taken) => {
                self.was_taken = true;
                None
            }
            Some(State::Ended(outcome)) => Some(outcome),
            None => Some(self.over()),
        })
    }

    /// How it ends with its time.
    fn over(&self) -> Outcome {
        if self.was_taken { Outcome::Failed(LOST.to_owned()) } else { Outcome::Expired }
    }

    /// Waits until the ticket may have changed.
    async fn changed(&self, before: Stamp, changes: &mut watch::Receiver<()>) {
        // Another process can't tell this one of it.
        let elsewhere = async {
            while before == self.tickets.stamp() {
                sleep(if self.tickets.is_shared() { LOOK } else { LASTS }).await;
            }
        };
        tokio::select! {
            // The sender lives as long as the tickets do.
            _ = changes.changed() => {}
            () = elsewhere => {}
        }
    }
}

impl Drop for IssuedTicket {
    fn drop(&mut self) {
        // If it can't be taken back now it expires.
        let _ = self.tickets.withdraw(self.ticket.id);
    }
}

/// A ticket that somebody has proved to know, and that nobody else can use any more.
pub(crate) struct Claim {
    tickets: Tickets,
    id: TicketId,
    pub(crate) verifier: Verifier,
    /// What its redeemer will be.
    pub(crate) peer: TrustedPeer,
    is_ended: bool,
}

impl Claim {
    /// Trusts who redeemed it, and tells whoever waits for it. Both are done under the tickets'
    /// lock, so that whoever takes the ticket back learns which of the two came first.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`] if the ticket was withdrawn or expired meanwhile, or the peer can't be
    /// trusted. Once it's trusted this doesn't fail.
    pub(crate) fn redeem(self, paired: Paired, trust: &TrustStore) -> Result<(), HandshakeError> {
        let mut is_trusted = false;
        let ended = self.tickets.update(|tickets, _| {
            let ticket = tickets.iter_mut().find(|ticket| ticket.id == self.id);
            let ticket = ticket.filter(|ticket| matches!(ticket.state, State::Taken));
            let ticket = ticket.ok_or(HandshakeError::TicketUnknown)?;
            let trusted = trust_at_once(trust, paired.key, &paired.peer);
            is_trusted = trusted.is_ok();
            ticket.state = State::Ended(match &trusted {
                Ok(()) => Outcome::Paired(paired.clone()),
                Err(error) => Outcome::Failed(report(error)),
            });
            trusted.map_err(|_| HandshakeError::PairingBroke)
        });
        if is_trusted {
            // If that can't be kept, whoever waits for it hears of it as of a process that was lost.
            self.tickets.tell(paired);
            self.end();
            return Ok(());
        }
        match ended {
            Ok(ended) => {
                self.end();
                ended
            }
            Err(error) => {
                let reason = report(&error);
                self.fail(&error);
                Err(HandshakeError::Tickets { reason })
            }
        }
    }

    /// Tells whoever waits for it that it failed.
    pub(crate) fn fail(self, error: &PairingError) {
        self.tell(Outcome::Failed(report(error)));
        self.end();
    }

    fn end(mut self) {
        self.is_ended = true;
    }

    fn tell(&self, outcome: Outcome) {
        // Nobody may wait any more, and who waits in vain learns that when the ticket expires.
        let _ = self.tickets.end(self.id, outcome);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Given up in the middle, with the listener or at the handshake's deadline.
        if !self.is_ended {
            self.tell(Outcome::Failed("the other side did not finish it in time".into()));
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
        let (mut id, mut secret) = (TicketId::default(), Secret::default());
        let random = SystemRandom::new();
        let filled = random.fill(&mut id).and_then(|()| random.fill(&mut *secret));
        filled.map_err(|_| PairingError::NoRandomness)?;
        let terms = Terms {
            issuer_role: own_role,
            joiner_role: peer.role,
            mode: peer.mode,
            policy: peer.policy.clone(),
        };
        let verifier = Verifier::new(&secret);
        self.update(|tickets, now_ms| {
            if tickets.iter().filter(|ticket| ticket.is_open()).count() >= OPEN_MAX {
                return Err(PairingError::TooManyTickets { open_max: OPEN_MAX });
            }
            let state = State::Open { wrong: 0, verifier, peer };
            let lasts_ms = u64::try_from(LASTS.as_millis()).unwrap_or(u64::MAX);
            tickets.push(Stored { id, expires_ms: now_ms.saturating_add(lasts_ms), state });
            Ok(())
        })??;
        let ticket = Ticket { id, secret, issuer, endpoint, terms };
        let (tickets, expires) = (self.clone(), Instant::now() + LASTS);
        Ok(IssuedTicket { ticket, tickets, expires, was_taken: false })
    }

    /// Takes the ticket if the proof is right, so that it's used once, whichever process is asked.
    pub(crate) fn take(
        &self,
        id: TicketId,
        proof: &Proof,
        binding: &Binding,
    ) -> Result<Claim, HandshakeError> {
        let taken = self.update(|tickets, _| {
            let ticket = tickets.iter_mut().find(|ticket| ticket.id == id);
            let ticket = ticket.ok_or(HandshakeError::TicketUnknown)?;
            let State::Open { wrong, verifier, .. } = &mut ticket.state else {
                return Err(HandshakeError::TicketUnknown);
            };
            if !verifier.accepts(proof, binding) {
                *wrong += 1;
                let wrong = *wrong;
                if wrong >= WRONG_MAX {
                    ticket.state = State::Ended(Outcome::Burned);
                }
                return Err(HandshakeError::WrongProof { wrong, wrong_max: WRONG_MAX });
            }
            match std::mem::replace(&mut ticket.state, State::Taken) {
                State::Open { verifier, peer, .. } => Ok((verifier, peer)),
                _ => unreachable!("it was open"),
            }
        });
        let taken = taken.map_err(|error| HandshakeError::Tickets { reason: report(&error) })?;
        let (verifier, peer) = taken?;
        Ok(Claim { tickets: self.clone(), id, verifier, peer, is_ended: false })
    }

    /// What became of the ticket. One that is gone has expired.
    fn state(&self, id: TicketId) -> Result<Option<State>, PairingError> {
        let ticket = self.read()?.into_iter().find(|ticket| ticket.id == id);
        Ok(ticket.map(|ticket| ticket.state))
    }

    fn end(&self, id: TicketId, outcome: Outcome) -> Result<(), PairingError> {
        self.update(|tickets, _| {
            if let Some(ticket) = tickets.iter_mut().find(|ticket| ticket.id == id) {
                ticket.state = State::Ended(outcome);
            }
        })
    }

    /// Forgets the ticket; returns what had become of it.
    fn withdraw(&self, id: TicketId) -> Result<Option<State>, PairingError> {
        self.update(|tickets, _| {
            let index = tickets.iter().position(|ticket| ticket.id == id)?;
            Some(tickets.remove(index).state)
        })
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.read().map(|tickets| tickets.iter().filter(|it| it.is_open()).count());
        f.debug_struct("Tickets").field("open", &open.ok()).finish()
    }
}

/// An error and its causes, in one line.
fn report(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
