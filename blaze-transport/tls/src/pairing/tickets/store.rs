//! Where tickets are kept: in memory, or in a file that several processes of one node share.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use super::{LASTS, WRONG_MAX, file};
use crate::{
    TrustStore, TrustedPeer,
    own_file::{self, Stamp},
    pairing::{Paired, PairingError, proof::Verifier, ticket::TicketId},
};

/// How many pairings are kept for who is slow to hear of them.
const PAIRED_KEPT: usize = 16;

/// The tickets of a node that can be redeemed, and how those ended that somebody waits for.
/// Clones share them.
#[derive(Clone)]
pub(crate) struct Tickets(Arc<Inner>);

struct Inner {
    place: Place,
    /// Tells of what this process changed.
    changes: watch::Sender<()>,
    /// Tells of whom this process has paired.
    paired: broadcast::Sender<Paired>,
}

enum Place {
    /// In this process alone, whose clock can't be set.
    Memory { tickets: Mutex<Vec<Stored>>, began: Instant },
    /// In a file, locked for each change, by the system's clock.
    File(PathBuf),
}

/// A ticket without its secret.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) id: TicketId,
    pub(super) expires_ms: u64,
    pub(super) state: State,
}

#[derive(Clone)]
pub(super) enum State {
    /// It can be redeemed.
    Open {
        /// How many proofs were wrong.
        wrong: u8,
        verifier: Verifier,
        /// What its redeemer will be.
        peer: TrustedPeer,
    },
    /// Somebody is redeeming it.
    Taken,
    Ended(Outcome),
}

/// How a ticket ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Paired(Paired),
    Burned,
    Failed(String),
    Expired,
}

impl Outcome {
    pub(super) fn into_result(self) -> Result<Paired, PairingError> {
        match self {
            Self::Paired(paired) => Ok(paired),
            Self::Burned => Err(PairingError::Burned { wrong_max: WRONG_MAX }),
            Self::Failed(reason) => Err(PairingError::Failed { reason }),
            Self::Expired => Err(PairingError::Expired { lasted_s: LASTS.as_secs() }),
        }
    }
}

impl Stored {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether it hasn't expired. One that lasts longer than any ticket can was made before the
    /// clock went back, and when is no longer known.
    fn lasts(&self, now_ms: u64) -> bool {
        let remaining_ms = self.expires_ms.saturating_sub(now_ms);
        remaining_ms > 0 && u128::from(remaining_ms) <= LASTS.as_millis()
    }
}

impl Tickets {
    /// Those of the nodes that have this trust store: kept beside it, if that is in a file.
    pub(crate) fn of(trust: &TrustStore) -> Self {
        let place = match trust.path() {
            Some(path) => Place::File(own_file::beside(path, ".tickets")),
            None => Place::Memory { tickets: Mutex::default(), began: Instant::now() },
        };
        let (changes, paired) = (watch::Sender::new(()), broadcast::Sender::new(PAIRED_KEPT));
        Self(Arc::new(Inner { place, changes, paired }))
    }

    /// Tells of whom this process pairs from now on.
    pub(crate) fn paired(&self) -> broadcast::Receiver<Paired> {
        self.0.paired.subscribe()
    }

    pub(super) fn tell(&self, paired: Paired) {
        // Nobody may want to know.
        let _ = self.0.paired.send(paired);
    }

    /// Tells of what this process changes from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    /// Whether other processes may change them, too.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.0.place, Place::File(_))
    }

    /// What tells whether another process has changed them.
    pub(super) fn stamp(&self) -> Stamp {
        match &self.0.place {
            Place::Memory { .. } => Stamp::default(),
            Place::File(path) => Stamp::of(path),
        }
    }

    /// Those that haven't expired.
    pub(super) fn read(&self) -> Result<Vec<Stored>, PairingError> {
        let now_ms = self.now_ms();
        let mut tickets = match &self.0.place {
            Place::Memory { tickets, .. } => {
                tickets.lock().unwrap_or_else(PoisonError::into_inner).clone()
            }
            Place::File(path) => file::read(path)?,
        };
        tickets.retain(|ticket| ticket.lasts(now_ms));
        Ok(tickets)
    }

    /// Changes them; nobody else does so meanwhile. What was changed is on disk when this returns.
    pub(super) fn update<T>(
        &self,
        change: impl FnOnce(&mut Vec<Stored>, u64) -> T,
    ) -> Result<T, PairingError> {
        let now_ms = self.now_ms();
        let change = |tickets: &mut Vec<Stored>| {
            tickets.retain(|ticket| ticket.lasts(now_ms));
            change(tickets, now_ms)
        };
        let changed = match &self.0.place {
            // Whoever panicked left each ticket whole.
            Place::Memory { tickets, .. } => {
                change(&mut tickets.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Place::File(path) => file::update(path, change)?,
        };
        self.0.changes.send_replace(());
        Ok(changed)
    }

    fn now_ms(&self) -> u64 {
        let now = match &self.0.place {
            Place::Memory { began, .. } => began.elapsed(),
            Place::File(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        };
        now.as_millis().try_into().unwrap_or(u64::MAX)
    }
}
