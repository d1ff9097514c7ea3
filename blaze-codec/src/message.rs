//! What two peers say to each other: the bodies of frames.
//!
//! A body is one kind byte, one flags byte and a payload. Control messages are
//! postcard; bytes after their last known field are skipped, so that a later
//! version can add fields. Changes are BlazeBinary, encoded once for all peers.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{DecodeError, Incarnation, Mode, NodeId, Operation, Role, Seq, batch};

/// The oldest protocol version that this build speaks.
pub const PROTOCOL_VERSION_MIN: u16 = 1;
/// The newest protocol version that this build speaks.
pub const PROTOCOL_VERSION_MAX: u16 = 1;
/// The largest body of a control message, in bytes: 4 KiB.
pub const CONTROL_BYTES_MAX: usize = 4 * 1024;
/// The largest body of a frame, in bytes: 1 MiB.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The largest encoded transaction, over all of its frames, in bytes: 64 MiB.
pub const TRANSACTION_BYTES_MAX: usize = 64 * 1024 * 1024;

const FLAG_MORE: u8 = 1;
const HEADER_BYTES: usize = 2;
const RANGE_BYTES: usize = 16;

/// Declares the kinds once, for both directions.
macro_rules! kinds {
    ($($name:ident = $kind:literal;)*) => { $(const $name: u8 = $kind;)* };
}

kinds! {
    HELLO = 1;
    RESUME = 2;
    CHANGES = 3;
    ACK = 4;
    PING = 5;
    PONG = 6;
    GOODBYE = 7;
}

/// One message.
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
}

/// Who speaks, and what it wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest protocol version that the speaker knows.
    pub protocol_min: u16,
    /// The newest protocol version that the speaker knows.
    pub protocol_max: u16,
    /// The speaker's node.
    pub node: NodeId,
    /// The life of the speaker's feed.
    pub incarnation: Incarnation,
    /// The database: only replicas of one database sync.
    pub database: String,
    /// The speaker's name, for people.
    pub name: String,
    /// The speaker's role.
    pub role: Role,
    /// What the link carries, seen from the side that connects.
    pub mode: Mode,
    /// The speaker's latest seq.
    pub head: Seq,
    /// The speaker's clock, in milliseconds since 1970.
    pub wall_ms: u64,
}

/// Asks for changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The incarnation that `after` belongs to; `None` if nothing is held.
    pub incarnation: Option<Incarnation>,
    /// The latest seq of the other side that is held.
    pub after: Seq,
    /// How many bytes of changes the other side may send before an ack.
    pub credit: u64,
}

/// What was merged and is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The latest seq of the other side that is merged and durable here.
    pub through: Seq,
    /// How many more bytes of changes the other side may send.
    pub credit: u64,
}

/// Why a side ends the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// The reason, for programs.
    pub reason: Reason,
    /// The reason, for people.
    pub message: String,
}

/// Why a session ends, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reason {
    /// The node shuts down or leaves; it may be back.
    Shutdown,
    /// No protocol version is known to both.
    ProtocolVersion,
    /// The databases differ.
    Database,
    /// The mode is not allowed.
    Mode,
    /// Both sides are one node: a copied database file, or a link to oneself.
    SameNode,
    /// A clock is too far ahead.
    ClockDrift,
    /// The other side broke the protocol.
    Violation,
    /// Nothing was heard for too long.
    Timeout,
    /// The database failed.
    Storage,
    /// Too many sessions.
    Busy,
}

/// A frame of changes: a whole or a piece of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesFrame {
    /// Whether the payload goes on in the next frame.
    pub more: bool,
    /// The payload, or the next piece of it; see [`Changes::decode`].
    pub payload: Bytes,
}

/// Whole transactions: everything that a feed has in a range of seqs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The range begins after this seq.
    pub after: Seq,
    /// The range ends with this seq.
    pub through: Seq,
    /// What changed, to be merged in one commit.
    pub operations: Vec<Operation>,
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
            Self::Hello(hello) => (HELLO, postcard::to_stdvec(hello)),
            Self::Resume(resume) => (RESUME, postcard::to_stdvec(resume)),
            Self::Ack(ack) => (ACK, postcard::to_stdvec(ack)),
            Self::Ping(nonce) => (PING, postcard::to_stdvec(nonce)),
            Self::Pong(nonce) => (PONG, postcard::to_stdvec(nonce)),
            Self::Goodbye(goodbye) => (GOODBYE, postcard::to_stdvec(goodbye)),
            Self::Changes(frame) => return changes_body(frame.more, &frame.payload).into(),
        };
        let payload = payload.expect("control messages have known lengths");
        let mut body = Vec::with_capacity(HEADER_BYTES + payload.len());
        body.extend_from_slice(&[kind, 0]);
        body.extend_from_slice(&payload);
        body.into()
    }

    /// Decodes a frame's body.
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
        if payload.len() > CONTROL_BYTES_MAX {
            return Err(DecodeError::Limit {
                what: "control message bytes",
                found: payload.len() as u64,
                max: CONTROL_BYTES_MAX as u64,
            });
        }
        match kind {
            HELLO => control(&payload, "hello").map(Self::Hello),
            RESUME => control(&payload, "resume").map(Self::Resume),
            ACK => control(&payload, "ack").map(Self::Ack),
            PING => control(&payload, "ping").map(Self::Ping),
            PONG => control(&payload, "pong").map(Self::Pong),
            GOODBYE => control(&payload, "goodbye").map(Self::Goodbye),
            _ => Err(DecodeError::Malformed { what: "frame kind", at: 0 }),
        }
    }
}

impl Changes {
    /// Decodes a payload whose pieces were put together: the range's ends as two
    /// little-endian u64, then a batch.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the range is empty or the batch is malformed.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let (range, operations) = payload
            .split_at_checked(RANGE_BYTES)
            .ok_or_else(|| DecodeError::Truncated { at: 0, needed: RANGE_BYTES - payload.len() })?;
        let seq = |at: usize| {
            let bytes: [u8; 8] = range[at..at + 8].try_into().expect("8 of 16 bytes");
            Seq(u64::from_le_bytes(bytes))
        };
        let (after, through) = (seq(0), seq(8));
        if through < after {
            return Err(DecodeError::Malformed { what: "range of seqs", at: 0 });
        }
        Ok(Self { after, through, operations: batch::decode(operations)? })
    }
}

/// The bodies of the frames that carry the changes after one seq and through
/// another; more than one if they exceed [`BODY_BYTES_MAX`].
pub fn encode_changes(after: Seq, through: Seq, operations: &[Operation]) -> Vec<Bytes> {
    let mut body = vec![CHANGES, 0];
    body.extend_from_slice(&after.0.to_le_bytes());
    body.extend_from_slice(&through.0.to_le_bytes());
    batch::encode(operations, &mut body);
    if body.len() <= BODY_BYTES_MAX {
        return vec![body.into()];
    }
    let pieces: Vec<&[u8]> = body[HEADER_BYTES..].chunks(BODY_BYTES_MAX - HEADER_BYTES).collect();
    let last = pieces.len() - 1;
    let bodies = pieces.iter().enumerate();
    bodies.map(|(at, piece)| changes_body(at < last, piece).into()).collect()
}

fn changes_body(more: bool, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(HEADER_BYTES + payload.len());
    body.extend_from_slice(&[CHANGES, if more { FLAG_MORE } else { 0 }]);
    body.extend_from_slice(payload);
    body
}

fn control<'a, T: Deserialize<'a>>(
    payload: &'a [u8],
    what: &'static str,
) -> Result<T, DecodeError> {
    postcard::take_from_bytes(payload)
        .map(|(message, _later_fields)| message)
        .map_err(|_| DecodeError::Malformed { what, at: HEADER_BYTES })
}
