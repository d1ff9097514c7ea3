//! Two nodes come to trust each other: one shows a single-use ticket, the other redeems it.

mod error;
mod exchange;
mod proof;
#[cfg(test)]
mod tests;
mod ticket;
mod tickets;

use crate::{PublicKey, TrustedPeer};

pub use error::PairingError;
pub use ticket::{Ticket, TicketError};
pub use tickets::IssuedTicket;

pub(crate) use exchange::{redeem, serve};
pub(crate) use tickets::Tickets;

/// The protocol within TLS, for pairing.
pub(crate) const PAIRING_PROTOCOL: &[u8] = b"blaze-pairing/1";

/// A peer that is trusted from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Paired {
    /// Its public key.
    pub key: PublicKey,
    /// What was agreed with it.
    pub peer: TrustedPeer,
    /// Eight words that both sides show. If they are the same, nobody was in between.
    pub words: String,
}
