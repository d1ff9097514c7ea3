//! What two peers say to each other: the bodies of frames.
//!
//! A body is one kind byte, one flags byte and a payload. Control messages are
//! postcard; bytes after their last known field are skipped, so that a later
//! version can add fields. Changes are BlazeBinary, encoded once for all peers.

mod changes;
mod compression;
mod control;
mod feed;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde::Deserialize;

pub use self::changes::{Changes, ChangesFrame, Range, encode_changes, encode_roll};
pub use self::compression::{Body, COMPRESSED_BYTES_MIN, Compression, CompressionSet, expand};
pub use self::control::{Ack, Goodbye, Hello, Reason, Resume, Start};
pub use self::feed::{Definition, Encoded, FeedEncoder};
pub use crate::limits::{BODY_BYTES_MAX, CONTROL_BYTES_MAX, ROOTS_MAX, TRANSACTION_BYTES_MAX};
use crate::{DecodeError, Scope, limits};

/// The oldest protocol version that this build speaks.
pub const PROTOCOL_VERSION_MIN: u16 = 1;
/// The newest protocol version that this build speaks.
pub const PROTOCOL_VERSION_MAX: u16 = 1;

const FLAG_MORE: u8 = 1;
/// The method by which the payload is compressed.
const FLAGS_COMPRESSION: u8 = 0b110;
const HEADER_BYTES: usize = 2;

const HELLO: u8 = 1;
const RESUME: u8 = 2;
const CHANGES: u8 = 3;
const ACK: u8 = 4;
const PING: u8 = 5;
const PONG: u8 = 6;
const GOODBYE: u8 = 7;
const START: u8 = 8;
const ROLL: u8 = 9;
const DEFINITIONS: u8 = 10;
const SCOPE: u8 = 11;

/// One message.
///
/// ```
/// use blaze_codec::message::Message;
///
/// let body = Message::Ping(1).encode();
/// assert_eq!(body[..], [5, 0, 1]);
/// assert_eq!(Message::decode(body)?, Message::Ping(1));
/// # Ok::<(), blaze_codec::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Who speaks; the first message of each side.
    Hello(Hello),
    /// Asks for the other side's changes; sent by a side that receives.
    Resume(Resume),
    /// Changes, or a piece of them.
    Changes(ChangesFrame),
    /// What was merged and is durable.
    Ack(Ack),
    /// Asks for a [`Message::Pong`] with the same number.
    Ping(u64),
    /// Answers a [`Message::Ping`].
    Pong(u64),
    /// The last message of a side.
    Goodbye(Goodbye),
    /// Lets the other side send its changes.
    Start(Start),
    /// A piece of the roll that was asked for: a payload as that of changes, in one frame,
    /// whose operations are updates without values.
    Roll(Bytes),
    /// What numbers in the batches that follow mean; for
    /// [`Definitions::add`](crate::batch::Definitions::add).
    Definitions(Bytes),
    /// What the other side may write, and of what it sees changes: a
    /// [`Scope`] without conditions, encoded. It follows a hello that names one.
    Scope(Bytes),
}

impl Message {
    /// The body of a control message.
    ///
    /// [`Message::Changes`] gives one frame's body; use [`encode_changes`] to
    /// make its pieces.
    ///
    /// # Panics
    ///
    /// Never in practice: postcard fails only for types without a known length.
    pub fn encode(&self) -> Bytes {
        let (kind, payload) = match self {
            Self::Hello(hello) if hello.scope != 0 => {
                (HELLO, postcard::to_stdvec(&(hello, hello.reads, hello.scope)))
            }
            Self::Hello(hello) if hello.reads == CompressionSet::EMPTY => {
                (HELLO, postcard::to_stdvec(hello))
            }
            Self::Hello(hello) => (HELLO, postcard::to_stdvec(&(hello, hello.reads))),
            Self::Resume(resume) => (RESUME, postcard::to_stdvec(resume)),
            Self::Ack(ack) => (ACK, postcard::to_stdvec(ack)),
            Self::Ping(nonce) => (PING, postcard::to_stdvec(nonce)),
            Self::Pong(nonce) => (PONG, postcard::to_stdvec(nonce)),
            Self::Goodbye(goodbye) => (GOODBYE, postcard::to_stdvec(goodbye)),
            Self::Start(start) => (START, postcard::to_stdvec(start)),
            Self::Roll(payload) => return [&[ROLL, 0], &payload[..]].concat().into(),
            Self::Definitions(payload) => return [&[DEFINITIONS, 0], &payload[..]].concat().into(),
            Self::Scope(payload) => return [&[SCOPE, 0], &payload[..]].concat().into(),
            Self::Changes(frame) => return changes::frame_body(frame.more, &frame.payload).into(),
        };
        let payload = payload.expect("control messages have known lengths");
        let mut body = Vec::with_capacity(HEADER_BYTES + payload.len());
        body.extend_from_slice(&[kind, 0]);
        body.extend_from_slice(&payload);
        body.into()
    }

    /// Decodes a frame's body, which [`expand`] has put back if it was compressed.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the kind is unknown, a flag is unknown, the payload is
    /// malformed, or a control message exceeds [`CONTROL_BYTES_MAX`].
    pub fn decode(mut body: Bytes) -> Result<Self, DecodeError> {
        let &[kind, flags, ..] = &body[..] else {
            return Err(DecodeError::Truncated { at: 0, needed: HEADER_BYTES - body.len() });
        };
        let allowed = if kind == CHANGES { FLAG_MORE } else { 0 };
        if flags & !allowed != 0 {
            return Err(DecodeError::Malformed { what: "frame flags", at: 1 });
        }
        let payload = body.split_off(HEADER_BYTES);
        if kind == CHANGES {
            let more = flags & FLAG_MORE != 0;
            return Ok(Self::Changes(ChangesFrame { more, payload }));
        }
        if kind == ROLL {
            return Ok(Self::Roll(payload));
        }
        if kind == DEFINITIONS {
            return Ok(Self::Definitions(payload));
        }
        if kind == SCOPE {
            limits::check(limits::what::SCOPE_BYTES, payload.len(), Scope::BYTES_MAX)?;
            return Ok(Self::Scope(payload));
        }
        limits::check(limits::what::CONTROL_BYTES, payload.len(), CONTROL_BYTES_MAX)?;
        match kind {
            HELLO => decode_hello(&payload).map(Self::Hello),
            RESUME => decode_control(&payload, "resume").map(Self::Resume),
            ACK => decode_control(&payload, "ack").map(Self::Ack),
            PING => decode_control(&payload, "ping").map(Self::Ping),
            PONG => decode_control(&payload, "pong").map(Self::Pong),
            GOODBYE => decode_control(&payload, "goodbye").map(Self::Goodbye),
            START => decode_control(&payload, "start").map(Self::Start),
            _ => Err(DecodeError::Malformed { what: "frame kind", at: 0 }),
        }
    }
}

/// Whoever reads no compression, and limits the other side to no scope, needn't say so:
/// versions that know of none don't.
fn decode_hello(payload: &[u8]) -> Result<Hello, DecodeError> {
    let malformed = |_| DecodeError::Malformed { what: "hello", at: HEADER_BYTES };
    let (mut hello, rest): (Hello, _) = postcard::take_from_bytes(payload).map_err(malformed)?;
    if !rest.is_empty() {
        let later;
        (hello.reads, later) = postcard::take_from_bytes(rest).map_err(malformed)?;
        if !later.is_empty() {
            (hello.scope, _) = postcard::take_from_bytes(later).map_err(malformed)?;
        }
    }
    Ok(hello)
}

fn decode_control<'a, T: Deserialize<'a>>(
    payload: &'a [u8],
    what: &'static str,
) -> Result<T, DecodeError> {
    postcard::take_from_bytes(payload)
        .map(|(message, _later_fields)| message)
        .map_err(|_| DecodeError::Malformed { what, at: HEADER_BYTES })
}
