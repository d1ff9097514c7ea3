//! Why two nodes weren't paired.

use std::{io, path::PathBuf};

use blaze_transport::{Endpoint, TransportError};

use crate::TrustError;

/// Why a pairing failed. Neither side trusts the other by it, but where a variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// The ticket was used, withdrawn, burned, or has expired; its issuer doesn't say which.
    #[error(
        "the other side refused the ticket: it was used, withdrawn or tried too often, or is older \
         than 10 minutes; ask for another"
    )]
    Refused,

    /// The other side owns the key in the ticket, but doesn't know its secret.
    #[error("the other side did not prove that it issued the ticket; ask for another")]
    IssuerUnproved,

    /// Nobody redeemed the ticket in time.
    #[error("nobody redeemed the ticket within {lasted_s} s; issue another")]
    Expired {
        /// How long it could be redeemed.
        lasted_s: u64,
    },

    /// Somebody tried to redeem the ticket without knowing it.
    #[error(
        "the ticket was burned by {wrong_max} wrong proofs: somebody knows of it, but not what it \
         says; issue another where nobody sees it"
    )]
    Burned {
        /// How many wrong proofs burn a ticket.
        wrong_max: u8,
    },

    /// The connection broke before both sides knew that all is well. The side that issued the
    /// ticket may trust this one already, and shows its words; then this one may pair again, or
    /// is to be revoked there.
    #[error("the connection broke before the pairing was confirmed; issue another ticket")]
    Unconfirmed(#[source] io::Error),

    /// Somebody redeemed the ticket, but the process that served it didn't bring it to its end.
    /// The other side isn't trusted, unless the reason says that it may be.
    #[error("the ticket was redeemed, but the pairing failed: {reason}; issue another ticket")]
    Failed {
        /// What that process said.
        reason: String,
    },

    /// The file of tickets can't be used. It was left as it is.
    #[error("{} can not be used for tickets: {problem}", .path.display())]
    TicketFile {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it, and what helps.
        problem: String,
    },

    /// Something else than this node listens where the ticket is to be redeemed.
    #[error("something else than this node listens at {endpoint}; choose another port")]
    OtherListener {
        /// Where.
        endpoint: Endpoint,
    },

    /// As many tickets can be redeemed already as may be.
    #[error("{open_max} tickets wait to be redeemed already; wait until some were or expire")]
    TooManyTickets {
        /// The most that may be.
        open_max: usize,
    },

    /// The ticket is this node's own.
    #[error("the ticket is this node's own; redeem it at the other one")]
    OwnTicket,

    /// The peer can't be put into the store, such as when its name is another's.
    #[error("the peer can not be trusted")]
    Trust(#[from] TrustError),

    /// The other side couldn't be connected to, or isn't the one that issued the ticket.
    #[error("the other side can not be reached")]
    Transport(#[from] TransportError),

    /// The system has no randomness to make a secret of.
    #[error("the system has no randomness for a ticket")]
    NoRandomness,
}
