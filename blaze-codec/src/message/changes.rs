//! Changes: batches with the range of seqs that they cover, cut to fit into frames.

use bytes::Bytes;

use super::{CHANGES, FLAG_MORE, HEADER_BYTES, ROLL};
use crate::limits::BODY_BYTES_MAX;
use crate::reader::Reader;
use crate::{DecodeError, Operation, Seq, batch};

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
/// assert_eq!(Changes::decode(&payload)?.through, Seq(5));
/// # Ok::<(), blaze_codec::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The range begins after this seq.
    pub after: Seq,
    /// The range ends with this seq.
    pub through: Seq,
    /// What changed, to be merged in one commit.
    pub operations: Vec<Operation>,
}

impl Changes {
    /// Decodes a payload whose pieces were put together: the range's ends as two
    /// little-endian u64, then a batch.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the range is empty or the batch is malformed.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let after = Seq(u64::from_le_bytes(reader.array()?));
        let through = Seq(u64::from_le_bytes(reader.array()?));
        if through < after {
            return Err(DecodeError::Malformed { what: "range of seqs", at: 0 });
        }
        Ok(Self { after, through, operations: batch::read(reader)? })
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
    bodies.map(|(at, piece)| frame_body(at < last, piece).into()).collect()
}

/// The body of a frame that carries a piece of a roll; `None` if it exceeds
/// [`BODY_BYTES_MAX`] and must be made of fewer operations.
pub fn encode_roll(after: Seq, through: Seq, operations: &[Operation]) -> Option<Bytes> {
    let mut body = vec![ROLL, 0];
    body.extend_from_slice(&after.0.to_le_bytes());
    body.extend_from_slice(&through.0.to_le_bytes());
    batch::encode(operations, &mut body);
    (body.len() <= BODY_BYTES_MAX).then(|| body.into())
}

pub(super) fn frame_body(more: bool, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(HEADER_BYTES + payload.len());
    body.extend_from_slice(&[CHANGES, if more { FLAG_MORE } else { 0 }]);
    body.extend_from_slice(payload);
    body
}
