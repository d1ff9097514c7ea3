//! Changes: batches with the range of seqs that they cover, cut to fit into frames.

use bytes::Bytes;

use super::{CHANGES, FLAG_MORE, HEADER_BYTES, ROLL};
use crate::batch::{self, Definitions, Encoder};
use crate::limits::{self, BODY_BYTES_MAX, ROOTS_MAX};
use crate::reader::Reader;
use crate::{Checkpoint, DecodeError, Incarnation, Operation, Seq};

/// From so many bytes, a body isn't copied out of its buffer: another buffer costs less.
const HANDED_OVER_BYTES_MIN: usize = 64 * 1024;

/// A frame of changes: a whole or a piece of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesFrame {
    /// Whether the payload goes on in the next frame.
    pub more: bool,
    /// The payload, or the next piece of it; see [`Changes::decode`].
    pub payload: Bytes,
}

/// Whole transactions: everything that a feed has in a range of seqs.
///
/// ```
/// use blaze_codec::Seq;
/// use blaze_codec::message::{Changes, Message, encode_changes};
///
/// let mut payload = Vec::new();
/// for body in encode_changes(Seq(4), Seq(5), &[]) {
///     let Message::Changes(frame) = Message::decode(body)? else { continue };
///     payload.extend_from_slice(&frame.payload);
/// }
/// assert_eq!(Changes::decode(&payload)?.range.through, Seq(5));
/// # Ok::<(), blaze_codec::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// What they are of the feed.
    pub range: Range,
    /// What changed, to be merged in one commit.
    pub operations: Vec<Operation>,
    /// How many values that has: fields, removed ones too, and what lies within arrays and
    /// maps.
    pub values: usize,
}

/// What changes are of their sender's feed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Range {
    /// The range begins after this seq.
    pub after: Seq,
    /// The range ends with this seq.
    pub through: Seq,
    /// Whether records that changed again after the range are left out.
    pub left_out: bool,
    /// Where the operations were written first: places in feeds, one an incarnation,
    /// ascending, at most [`ROOTS_MAX`]. Up to them lies every operation of the range,
    /// and the sender has all that lies there. None if that isn't known, or if the place
    /// is the range's own end.
    pub roots: Vec<Checkpoint>,
}

impl Range {
    /// A range of which nothing else is known.
    pub const fn new(after: Seq, through: Seq) -> Self {
        Self { after, through, left_out: false, roots: Vec::new() }
    }

    /// The bodies of the frames that carry the range; more than one if they exceed
    /// [`BODY_BYTES_MAX`].
    pub fn encode(&self, operations: &[Operation]) -> Vec<Bytes> {
        self.encode_by(&mut Encoder::new(), operations)
    }

    /// The same by an encoder that may have a dictionary: tell what
    /// [`needs`](Encoder::needs) to be defined before.
    pub fn encode_by(&self, encoder: &mut Encoder, operations: &[Operation]) -> Vec<Bytes> {
        let body = self.body(CHANGES, encoder, operations);
        if body.len() <= BODY_BYTES_MAX { vec![body.into()] } else { in_frames(&body) }
    }

    /// The same, by way of a buffer that is used again.
    pub(super) fn encode_through(
        &self,
        encoder: &mut Encoder,
        operations: &[Operation],
        buffer: &mut Vec<u8>,
    ) -> Vec<Bytes> {
        buffer.clear();
        self.write(CHANGES, encoder, operations, buffer);
        if (HANDED_OVER_BYTES_MIN..=BODY_BYTES_MAX).contains(&buffer.len()) {
            // The next is likely to be about as large.
            let next = Vec::with_capacity(buffer.len() + buffer.len() / 8);
            let mut body = std::mem::replace(buffer, next);
            // Whoever has the body has all of its buffer.
            if body.capacity() - body.len() > body.len() / 4 {
                body.shrink_to_fit();
            }
            return vec![body.into()];
        }
        in_frames(buffer)
    }

    fn body(&self, kind: u8, encoder: &mut Encoder, operations: &[Operation]) -> Vec<u8> {
        let mut body = Vec::new();
        self.write(kind, encoder, operations, &mut body);
        body
    }

    fn write(&self, kind: u8, encoder: &mut Encoder, operations: &[Operation], body: &mut Vec<u8>) {
        debug_assert!(self.roots.len() <= ROOTS_MAX, "more roots than a decoder takes");
        body.extend_from_slice(&[kind, 0]);
        body.extend_from_slice(&self.after.0.to_le_bytes());
        body.extend_from_slice(&self.through.0.to_le_bytes());
        let roots = u8::try_from(self.roots.len()).unwrap_or(u8::MAX);
        body.extend_from_slice(&[u8::from(self.left_out), roots]);
        for root in &self.roots {
            body.extend_from_slice(&root.incarnation.0.to_le_bytes());
            body.extend_from_slice(&root.seq.0.to_le_bytes());
        }
        encoder.encode(operations, body);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let after = Seq(u64::from_le_bytes(reader.array()?));
        let through = Seq(u64::from_le_bytes(reader.array()?));
        if through < after {
            return Err(DecodeError::Malformed { what: "range of seqs", at: 0 });
        }
        let at = reader.at();
        let (left_out, count) = (reader.byte()?, usize::from(reader.byte()?));
        // Who left something out doesn't have all that lies up to any place.
        if left_out > 1 || (left_out == 1 && count > 0) {
            return Err(DecodeError::Malformed { what: "whether something is left out", at });
        }
        limits::check(limits::what::ROOTS, count, ROOTS_MAX)?;
        let mut roots: Vec<Checkpoint> = Vec::with_capacity(count);
        for _ in 0..count {
            let at = reader.at();
            let incarnation = Incarnation(u64::from_le_bytes(reader.array()?));
            if roots.last().is_some_and(|last| last.incarnation >= incarnation) {
                return Err(DecodeError::Malformed { what: "order of roots", at });
            }
            roots.push(Checkpoint { incarnation, seq: Seq(u64::from_le_bytes(reader.array()?)) });
        }
        Ok(Self { after, through, left_out: left_out == 1, roots })
    }
}

impl Changes {
    /// Decodes a payload whose pieces were put together: the range, then a batch.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the range is empty, or it or the batch is malformed.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_defined(payload, Definitions::none())
    }

    /// The same of a payload whose batch may have numbers of a dictionary.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the range is empty, it or the batch is malformed, or a number
    /// isn't defined.
    pub fn decode_defined(payload: &[u8], definitions: &Definitions) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let range = Range::decode(&mut reader)?;
        let (operations, values) = batch::read(reader, definitions)?;
        Ok(Self { range, operations, values })
    }
}

/// The bodies of the frames that carry the changes after one seq and through
/// another, of which nothing else is known; see [`Range::encode`].
pub fn encode_changes(after: Seq, through: Seq, operations: &[Operation]) -> Vec<Bytes> {
    Range::new(after, through).encode(operations)
}

/// Cuts a body to fit into frames.
fn in_frames(body: &[u8]) -> Vec<Bytes> {
    if body.len() <= BODY_BYTES_MAX {
        return vec![Bytes::copy_from_slice(body)];
    }
    let pieces: Vec<&[u8]> = body[HEADER_BYTES..].chunks(BODY_BYTES_MAX - HEADER_BYTES).collect();
    let last = pieces.len() - 1;
    let bodies = pieces.iter().enumerate();
    bodies.map(|(at, piece)| frame_body(at < last, piece).into()).collect()
}

/// The body of a frame that carries a piece of a roll; `None` if it exceeds
/// [`BODY_BYTES_MAX`] and must be made of fewer operations.
pub fn encode_roll(after: Seq, through: Seq, operations: &[Operation]) -> Option<Bytes> {
    let body = Range::new(after, through).body(ROLL, &mut Encoder::new(), operations);
    (body.len() <= BODY_BYTES_MAX).then(|| body.into())
}

pub(super) fn frame_body(more: bool, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(HEADER_BYTES + payload.len());
    body.extend_from_slice(&[CHANGES, if more { FLAG_MORE } else { 0 }]);
    body.extend_from_slice(payload);
    body
}
