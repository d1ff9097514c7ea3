//! Why two sides did not come to trust each other, and which of them refused.

use std::{error::Error, io};

use blaze_transport::TransportError;
use rustls::{AlertDescription, CertificateError};

use crate::Fingerprint;

/// Why a handshake failed: the source of a [`TransportError::Handshake`].
///
/// These words stay on this side. The other one is told by a TLS alert that it was refused, and
/// nothing else.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// This side refused: the peer has a key that isn't trusted here.
    #[error(
        "this side refused: the peer's key ({fingerprint}) is not trusted here; pair the two \
         nodes if you expected it"
    )]
    PeerUntrusted {
        /// What people compare of the peer's key.
        fingerprint: Fingerprint,
    },

    /// The peer refused: it doesn't trust this node's key.
    #[error(
        "the peer refused: it does not trust this node's key ({fingerprint}); pair the two nodes, \
         or ask at the peer whether this node was revoked"
    )]
    RefusedByPeer {
        /// What people compare of this node's key.
        fingerprint: Fingerprint,
    },

    /// The peer speaks TLS, but another protocol within it, or another version of this one.
    #[error("the peer speaks TLS, but not this version of Blaze within it; update both sides")]
    OtherProtocol,

    /// The peer speaks no TLS.
    #[error("the peer speaks no TLS; use a tls:// endpoint on both sides")]
    NotTls,

    /// The peer hung up in the middle, without a word.
    #[error("the peer hung up during the handshake; it may be busy or speak no TLS")]
    HungUp,

    /// The peer didn't do its part in time.
    #[error(
        "the peer did not finish the handshake within {waited_ms} ms; it may be busy or speak no TLS"
    )]
    Deadline {
        /// How long it was waited for.
        waited_ms: u64,
    },

    /// The peer sent more than any handshake takes.
    #[error("the handshake took more than {bytes_max} bytes")]
    TooLong {
        /// The most that is read.
        bytes_max: usize,
    },

    /// This side refused: too many handshakes from that address are unfinished.
    #[error(
        "this side refused: {pending_max} handshakes from the same address are unfinished already"
    )]
    TooManyPending {
        /// The most that one address may have.
        pending_max: usize,
    },

    /// This side refused: the ticket was used, withdrawn, burned or has expired, or never was.
    #[error("this side refused: the ticket was used, withdrawn, burned or has expired")]
    TicketUnknown,

    /// This side refused: the client doesn't know the ticket's secret, or not in this session.
    #[error(
        "this side refused: the proof of a ticket is wrong, the {wrong}. time of {wrong_max} that \
         burn it"
    )]
    WrongProof {
        /// How many wrong proofs there were of this ticket.
        wrong: u8,
        /// How many burn it.
        wrong_max: u8,
    },

    /// This side refused: it can't tell which tickets there are.
    #[error("this side refused: {reason}")]
    Tickets {
        /// What is wrong with where they are kept.
        reason: String,
    },

    /// The client knew the ticket, but the pairing wasn't brought to its end.
    #[error("the pairing broke off; issue another ticket")]
    PairingBroke,

    /// Whatever else TLS finds wrong, such as a forged signature.
    #[error("TLS: {0}")]
    Tls(#[source] rustls::Error),

    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[source] io::Error),
}

/// The verifier's reason, on its way through the TLS library.
#[derive(Debug, thiserror::Error)]
#[error("the key ({0}) is not trusted")]
pub(crate) struct Untrusted(pub(crate) Fingerprint);

impl HandshakeError {
    /// What the TLS library's error says, told by the node that has the fingerprint `own`.
    pub(crate) fn from_io(error: io::Error, own: Fingerprint) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => error,
            Err(error) => match error.downcast::<rustls::Error>() {
                Ok(error) => Self::from_tls(error, own),
                Err(error) if is_hanging_up(&error) => Self::HungUp,
                Err(error) => Self::Io(error),
            },
        }
    }

    fn from_tls(error: rustls::Error, own: Fingerprint) -> Self {
        match &error {
            rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
                match other.0.downcast_ref() {
                    Some(Untrusted(fingerprint)) => {
                        Self::PeerUntrusted { fingerprint: *fingerprint }
                    }
                    None => Self::Tls(error),
                }
            }
            rustls::Error::AlertReceived(AlertDescription::CertificateUnknown) => {
                Self::RefusedByPeer { fingerprint: own }
            }
            rustls::Error::NoApplicationProtocol
            | rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                Self::OtherProtocol
            }
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            _ => Self::Tls(error),
        }
    }

    /// Whether connecting again can help without anybody changing anything.
    fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::HungUp | Self::Deadline { .. } | Self::TooManyPending { .. } | Self::Io(_)
        )
    }

    /// The error of connecting to `peer`.
    pub(crate) fn connecting(self, peer: String) -> TransportError {
        let is_retryable = self.is_retryable();
        TransportError::Handshake { peer, is_retryable, source: Box::new(self) }
    }

    /// The error of accepting `peer`, after which a listener goes on.
    pub(crate) fn accepting(self, peer: String) -> TransportError {
        TransportError::Handshake { peer, is_retryable: true, source: Box::new(self) }
    }

    /// The reason within a transport's error, if it's one of these.
    pub fn of(error: &TransportError) -> Option<&Self> {
        error.source().and_then(|source| source.downcast_ref())
    }
}

fn is_hanging_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof
    )
}
