//! Bytes as the body of a message: what decodes comes back.

use blaze_codec::limits::CONTROL_BYTES_MAX;
use blaze_codec::message::{
    BODY_BYTES_MAX, Body, Changes, Compression, CompressionSet, Message, expand,
};
use blaze_codec::{History, Seq};
use bytes::Bytes;

use super::batch;
use super::known::Known;
use crate::bound::Bound;

/// What decoding a control message may take: 16 for each element of the list that is open,
/// of which at most as many are believed as bytes are left, and what was read before, which
/// takes about as much as it did encoded.
pub(super) const DECODE: Bound =
    Bound { what: "decoding a control message", per_byte: 18, fixed: 256 };

/// What putting a compressed body back may take: the length that it says is believed, up to
/// the limit of bodies, however few bytes say so.
const EXPAND: Bound = Bound { what: "expanding a frame", per_byte: 0, fixed: BODY_BYTES_MAX + 256 };

/// What the bytes of the range take before the batch, and those of each root.
const RANGE_BYTES: usize = 18;
const ROOT_BYTES: usize = 16;

/// How compressed bodies may be told, by flags of their second byte.
const COMPRESSION: u8 = 0b110;

pub(super) fn run(input: &[u8]) {
    let Some(message) = message(&Bytes::copy_from_slice(input)) else { return };
    let mut known = Known::default();
    match &message {
        Message::Changes(frame) => payload(&frame.payload, &mut known),
        Message::Definitions(definitions) => drop(known.add(definitions)),
        _ => {}
    }
}

/// Expands and decodes a body.
pub(super) fn message(body: &Bytes) -> Option<Message> {
    let expanded = EXPAND.hold(body.len(), || expand(body.clone(), CompressionSet::BUILT)).ok()?;
    expands(body, &expanded);
    let decoded = DECODE.hold(expanded.len(), || Message::decode(expanded));
    let message = decoded.ok()?;
    match &message {
        Message::Roll(roll) => payload(roll, &mut Known::default()),
        Message::Hello(hello) => history(&hello.history, hello.head),
        _ => {}
    }
    let encoded = message.encode();
    if !matches!(message, Message::Changes(_) | Message::Roll(_) | Message::Definitions(_)) {
        assert!(encoded.len() <= CONTROL_BYTES_MAX + 2, "{} bytes", encoded.len());
    }
    assert_eq!(Message::decode(encoded).as_ref(), Ok(&message));
    Some(message)
}

/// A body is what it says that it stands for, and can be compressed again.
fn expands(body: &Bytes, expanded: &Bytes) {
    let again = expand(expanded.clone(), CompressionSet::EMPTY);
    assert_eq!(again.as_ref(), Ok(expanded), "a compressed body within another one");
    if body == expanded {
        return;
    }
    let told = body[2..6].try_into().map_or(0, u32::from_le_bytes);
    assert!(body.len() < expanded.len() && expanded.len() <= BODY_BYTES_MAX);
    assert_eq!(expanded.len(), told as usize + 2);
    assert_eq!(expanded[..2], [body[0], body[1] & !COMPRESSION]);
    for method in [Compression::Lz4, Compression::Zstd] {
        let compressed = Body::from(expanded.clone()).compressed(method);
        assert!(compressed.len() <= expanded.len());
        assert_eq!(expand(compressed, CompressionSet::BUILT).as_ref(), Ok(expanded), "{method}");
    }
}

/// Changes have one encoding.
pub(super) fn payload(payload: &[u8], known: &mut Known) {
    let definitions = known.definitions();
    let decoded =
        batch::DECODE.hold(payload.len(), || Changes::decode_defined(payload, definitions));
    let Ok(Changes { range, operations, .. }) = decoded else { return };
    assert!(range.after <= range.through, "{range:?}");
    let (head, encoded) = payload.split_at(RANGE_BYTES + ROOT_BYTES * range.roots.len());
    let pieces = range.encode(&[]).into_iter().map(|body| match Message::decode(body) {
        Ok(Message::Changes(frame)) => frame.payload,
        other => panic!("changes are {other:?}"),
    });
    assert!(pieces.collect::<Vec<_>>().concat().starts_with(head), "equal ranges are other bytes");
    assert!(known.encode_as(encoded, &operations) == encoded, "equal changes are other bytes");
}

/// What a history says of its own places.
fn history(history: &History, head: Seq) {
    assert_eq!(History::new(history.spans().to_vec()).as_ref(), Ok(history));
    for span in history.spans() {
        let place = history.place(span.first);
        assert_eq!(place.incarnation, span.incarnation);
        assert!(history.common(place, head) <= place.seq);
    }
    let fork = history.fork(head, history, head);
    assert!(fork.is_some() || head == Seq::ZERO, "a feed of {head} isn't the same as itself");
}
