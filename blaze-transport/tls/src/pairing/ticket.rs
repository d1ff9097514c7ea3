//! What one person gives to the other, as text that can be pasted.

use std::{fmt, str::FromStr};

use blaze_codec::{Mode, Role};
use blaze_transport::{Endpoint, EndpointError};
use zeroize::Zeroizing;

use super::proof::{SECRET_BYTES, Secret};
use crate::{
    Fingerprint, PublicKey,
    base32::{self, Base32Error},
    transport::SCHEME,
};

/// What the text begins with: what it is, and the version of its form.
const PREFIX: &str = "blaze-ticket-1:";
/// No ticket's text is longer; the longest host has 253 characters.
const TEXT_BYTES_MAX: usize = 2048;

pub(crate) const ID_BYTES: usize = 4;
pub(crate) type TicketId = [u8; ID_BYTES];

const ISSUER_IS_SERVER: u8 = 1;
const JOINER_IS_SERVER: u8 = 2;

/// A single-use ticket: who shows it may pair with the node that issued it.
///
/// As text it's about 120 characters of Crockford's Base32 with a checksum, in which case, spaces
/// and line breaks don't matter. Whoever reads it may use it: send it where only the other person
/// sees it, and take it from standard input or a prompt, as other users can see a program's
/// arguments.
#[derive(Clone)]
pub struct Ticket {
    pub(crate) id: TicketId,
    pub(crate) secret: Secret,
    pub(crate) issuer: PublicKey,
    pub(crate) endpoint: Endpoint,
    pub(crate) terms: Terms,
}

/// What the two nodes will be to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) issuer_role: Role,
    pub(crate) joiner_role: Role,
    pub(crate) mode: Mode,
}

/// Why a text is no ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// It's something else, or of another version.
    #[error("this is no ticket: it does not begin with {PREFIX}; paste all of it")]
    NotATicket,

    /// A part is missing or was changed.
    #[error("this is no ticket: {problem}; paste all of it again")]
    Damaged {
        /// What is wrong with it.
        problem: String,
    },

    /// It's whole, but of a later version that has more to say.
    #[error("this ticket says what this version does not know; update this node")]
    Unknown,

    /// The address in it is none.
    #[error("the ticket's address is none")]
    Endpoint(#[from] EndpointError),
}

impl Ticket {
    /// The ticket as text, which is zeroed when it's dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        let address = self.endpoint.address().as_bytes();
        let bytes = 1 + ID_BYTES + SECRET_BYTES + self.issuer.as_bytes().len() + address.len();
        let mut payload = Zeroizing::new(Vec::with_capacity(bytes));
        payload.push(self.terms.to_byte());
        payload.extend_from_slice(&self.id);
        payload.extend_from_slice(&*self.secret);
        payload.extend_from_slice(self.issuer.as_bytes());
        payload.extend_from_slice(address);
        let encoded = base32::encode(PREFIX, &payload);
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + encoded.len()));
        text.push_str(PREFIX);
        text.push_str(&encoded);
        text
    }

    /// The key of the node that issued it.
    pub fn issuer(&self) -> PublicKey {
        self.issuer
    }

    /// What the node that issued it is.
    pub fn issuer_role(&self) -> Role {
        self.terms.issuer_role
    }

    /// What people compare of the key of the node that issued it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.issuer.fingerprint()
    }

    /// Where the node that issued it is reached.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What a link between the two will carry.
    pub fn mode(&self) -> Mode {
        self.terms.mode
    }

    /// What the node that redeems it will be.
    pub fn role(&self) -> Role {
        self.terms.joiner_role
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text = text.trim();
        let prefix = text.get(..PREFIX.len()).filter(|begin| begin.eq_ignore_ascii_case(PREFIX));
        if prefix.is_none() || text.len() > TEXT_BYTES_MAX {
            return Err(TicketError::NotATicket);
        }
        let damaged = |error: Base32Error| TicketError::Damaged { problem: error.to_string() };
        let payload = base32::decode(PREFIX, &text[PREFIX.len()..]).map_err(damaged)?;
        let short = || TicketError::Damaged { problem: "a part is missing".into() };
        let (terms, rest) = payload.split_first().ok_or_else(short)?;
        let (id, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let (secret, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let (issuer, address) = rest.split_first_chunk().ok_or_else(short)?;
        let address = str::from_utf8(address).map_err(|_| short())?;
        Ok(Self {
            id: *id,
            secret: Secret::new(*secret),
            issuer: PublicKey::from_bytes(*issuer),
            endpoint: Endpoint::new(SCHEME, address)?,
            terms: Terms::from_byte(*terms).ok_or(TicketError::Unknown)?,
        })
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("endpoint", &self.endpoint)
            .field("issuer", &self.fingerprint())
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

impl Terms {
    fn to_byte(self) -> u8 {
        let issuer = if self.issuer_role == Role::Server { ISSUER_IS_SERVER } else { 0 };
        let joiner = if self.joiner_role == Role::Server { JOINER_IS_SERVER } else { 0 };
        let mode = match self.mode {
            Mode::Bidirectional => 0,
            Mode::ReadOnly => 1,
            Mode::WriteOnly => 2,
        };
        issuer | joiner | mode << 2
    }

    fn from_byte(byte: u8) -> Option<Self> {
        let role = |bit| if byte & bit == 0 { Role::Client } else { Role::Server };
        let mode = match byte >> 2 {
            0 => Mode::Bidirectional,
            1 => Mode::ReadOnly,
            2 => Mode::WriteOnly,
            _ => return None,
        };
        let (issuer_role, joiner_role) = (role(ISSUER_IS_SERVER), role(JOINER_IS_SERVER));
        Some(Self { issuer_role, joiner_role, mode })
    }
}
