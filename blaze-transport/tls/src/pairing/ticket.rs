//! What one person gives to the other, as text that can be pasted.

use std::{fmt, str::FromStr};

use blaze_codec::{Mode, Role};
use blaze_transport::{Endpoint, EndpointError, PolicyNameError, check_policy_name};
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
const MODE_SHIFT: u8 = 2;
/// A policy's name follows the key. Versions that know of no policies take it for a mode that they
/// don't know, and refuse the ticket.
const HAS_POLICY: u8 = 16;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) issuer_role: Role,
    pub(crate) joiner_role: Role,
    pub(crate) mode: Mode,
    /// By which policy of the issuer the joiner sees and writes.
    pub(crate) policy: Option<String>,
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

    /// The policy in it can't be called so.
    #[error("the ticket's policy has no name that one can have")]
    PolicyName(#[from] PolicyNameError),

    /// The address in it is none.
    #[error("the ticket's address is none")]
    Endpoint(#[from] EndpointError),
}

impl Ticket {
    /// The ticket as text, which is zeroed when it's dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        let address = self.endpoint.address().as_bytes();
        let policy = self.terms.policy.as_deref();
        let policy_bytes = policy.map_or(0, |policy| 1 + policy.len());
        let key_bytes = self.issuer.as_bytes().len();
        let bytes = 1 + ID_BYTES + SECRET_BYTES + key_bytes + policy_bytes + address.len();
        let mut payload = Zeroizing::new(Vec::with_capacity(bytes));
        payload.push(self.terms.to_byte());
        payload.extend_from_slice(&self.id);
        payload.extend_from_slice(&*self.secret);
        payload.extend_from_slice(self.issuer.as_bytes());
        if let Some(policy) = policy {
            // It was checked to be a name, which is short.
            payload.push(u8::try_from(policy.len()).unwrap_or(u8::MAX));
            payload.extend_from_slice(policy.as_bytes());
        }
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

    /// By which policy of the node that issued it the one that redeems it will see and write, if
    /// by one.
    pub fn policy(&self) -> Option<&str> {
        self.terms.policy.as_deref()
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
        let (issuer, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let mut terms = Terms::from_byte(*terms).ok_or(TicketError::Unknown)?;
        let mut address = rest;
        if let Some(policy) = &mut terms.policy {
            let (bytes, rest) = rest.split_first().ok_or_else(short)?;
            let (name, rest) = rest.split_at_checked((*bytes).into()).ok_or_else(short)?;
            *policy = String::from_utf8_lossy(name).into_owned();
            check_policy_name(policy)?;
            address = rest;
        }
        let address = str::from_utf8(address).map_err(|_| short())?;
        Ok(Self {
            id: *id,
            secret: Secret::new(*secret),
            issuer: PublicKey::from_bytes(*issuer),
            endpoint: Endpoint::new(SCHEME, address)?,
            terms,
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
    fn to_byte(&self) -> u8 {
        let issuer = if self.issuer_role == Role::Server { ISSUER_IS_SERVER } else { 0 };
        let joiner = if self.joiner_role == Role::Server { JOINER_IS_SERVER } else { 0 };
        let mode = match self.mode {
            Mode::Bidirectional => 0,
            Mode::ReadOnly => 1,
            Mode::WriteOnly => 2,
        };
        let policy = if self.policy.is_some() { HAS_POLICY } else { 0 };
        issuer | joiner | mode << MODE_SHIFT | policy
    }

    /// Of the policy it's known only whether there is one.
    fn from_byte(byte: u8) -> Option<Self> {
        let role = |bit| if byte & bit == 0 { Role::Client } else { Role::Server };
        let policy = (byte & HAS_POLICY != 0).then(String::new);
        let mode = match (byte & !HAS_POLICY) >> MODE_SHIFT {
            0 => Mode::Bidirectional,
            1 => Mode::ReadOnly,
            2 => Mode::WriteOnly,
            _ => return None,
        };
        let (issuer_role, joiner_role) = (role(ISSUER_IS_SERVER), role(JOINER_IS_SERVER));
        Some(Self { issuer_role, joiner_role, mode, policy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of a ticket with these terms, and this behind the issuer's key.
    fn text(terms: u8, end: &[u8]) -> String {
        let fixed = [7; ID_BYTES + SECRET_BYTES + 32];
        format!("{PREFIX}{}", *base32::encode(PREFIX, &[&[terms], &fixed[..], end].concat()))
    }

    #[test]
    fn a_ticket_without_a_policy_is_what_it_was_before_there_were_any() {
        let ticket: Ticket = text(7, b"localhost:7117").parse().unwrap();
        let terms = (ticket.issuer_role(), ticket.role(), ticket.mode(), ticket.policy());
        assert_eq!(terms, (Role::Server, Role::Server, Mode::ReadOnly, None));
        assert_eq!(ticket.endpoint().address(), "localhost:7117");
        assert_eq!(*ticket.to_text(), text(7, b"localhost:7117"));
    }

    #[test]
    fn a_policy_stands_before_the_address() {
        let ticket: Ticket = text(16, b"\x04annalocalhost:7117").parse().unwrap();
        assert_eq!((ticket.policy(), ticket.mode()), (Some("anna"), Mode::Bidirectional));
        assert_eq!(ticket.endpoint().address(), "localhost:7117");
        assert_eq!(*ticket.to_text(), text(16, b"\x04annalocalhost:7117"));
    }

    #[test]
    fn a_ticket_that_somebody_made_up_is_refused() {
        let parse = |terms, end: &[u8]| text(terms, end).parse::<Ticket>().unwrap_err();
        for end in [&b""[..], b"\x05anna", b"\xff", b"\xffanna", b"\x04anna\xff"] {
            let error = parse(16, end);
            assert!(matches!(error, TicketError::Damaged { .. }), "{end:?}: {error:?}");
        }
        for end in [&b"\x00localhost:1"[..], b"\x02a localhost:1", b"\x02\xff\x1blocalhost:1"] {
            let error = parse(16, end);
            assert!(matches!(error, TicketError::PolicyName(_)), "{end:?}: {error:?}");
        }
        for terms in [12, 28, 32, 64, 128] {
            assert_eq!(parse(terms, b"\x01alocalhost:1"), TicketError::Unknown, "{terms}");
        }
    }
}
