//! A feed, encoded for any number of peers.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{Body, Message, Range};
use crate::Operation;
use crate::batch::{Encoder, Entry};

/// Encodes the ranges of one feed, once for all peers: by a dictionary, of which each peer
/// is told what it needs.
///
/// ```
/// use blaze_codec::batch::Definitions;
/// use blaze_codec::message::{Changes, FeedEncoder, Message, Range};
/// use blaze_codec::{Change, Operation, RecordKey, Seq, Version, record};
///
/// let operation = Operation {
///     collection: "notes".parse()?,
///     key: RecordKey::from(7),
///     version: Version::ZERO,
///     base: Version::ZERO,
///     change: Change::Insert(record! { "title" => "hello" }),
/// };
/// let mut feed = FeedEncoder::default();
/// let encoded = feed.encode(&Range::new(Seq(4), Seq(5)), &[operation]);
///
/// let mut known = Definitions::default();
/// for definition in encoded.needs.iter() {
///     let Message::Definitions(payload) = Message::decode(definition.frame.clone())? else { continue };
///     known.add(&payload)?;
/// }
/// let Message::Changes(frame) = Message::decode(encoded.frames[0].bytes().clone())? else { return Ok(()) };
/// assert_eq!(Changes::decode_defined(&frame.payload, &known)?.operations.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FeedEncoder {
    encoder: Encoder,
    definitions: HashMap<Entry, Definition>,
    /// What the last range needed, as the next is likely to need it too.
    needs: Arc<[Definition]>,
    /// Where ranges are put together.
    buffer: Vec<u8>,
}

/// A buffer that has grown larger than this isn't kept.
const BUFFER_BYTES_MAX: usize = 1024 * 1024;

/// A range of a feed, encoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoded {
    /// What the peer has to be told before, each once a session.
    pub needs: Arc<[Definition]>,
    /// The bodies of the frames that carry it.
    pub frames: Vec<Body>,
}

/// What a number in batches means, for peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Which entry of the feed's dictionary it is.
    pub entry: Entry,
    /// The body of the frame that tells it.
    pub frame: Bytes,
}

impl Default for FeedEncoder {
    fn default() -> Self {
        let (encoder, definitions) = (Encoder::with_dictionary(), HashMap::new());
        Self { encoder, definitions, needs: Arc::default(), buffer: Vec::new() }
    }
}

impl FeedEncoder {
    /// Encodes a range.
    pub fn encode(&mut self, range: &Range, operations: &[Operation]) -> Encoded {
        let Self { encoder, definitions, needs, buffer } = self;
        let frames = range.encode_through(encoder, operations, buffer);
        if buffer.capacity() > BUFFER_BYTES_MAX {
            *buffer = Vec::new();
        }
        let frames = frames.into_iter().map(Body::from).collect();
        let entries = needs.iter().map(|definition| &definition.entry);
        if entries.eq(encoder.needs()) {
            return Encoded { needs: needs.clone(), frames };
        }
        let define = |entry: &Entry| {
            let definition = definitions.entry(*entry).or_insert_with(|| {
                let mut payload = Vec::new();
                encoder.define(&[*entry], &mut payload);
                let frame = Message::Definitions(payload.into()).encode();
                Definition { entry: *entry, frame }
            });
            definition.clone()
        };
        *needs = encoder.needs().iter().map(define).collect();
        Encoded { needs: needs.clone(), frames }
    }
}
