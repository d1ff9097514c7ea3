//! Bytes as the body of a message: what decodes comes back.

use blaze_codec::limits::CONTROL_BYTES_MAX;
use blaze_codec::message::{Changes, Message};
use blaze_codec::{History, Seq};
use bytes::Bytes;

use super::batch;
use crate::bound::Bound;

/// What decoding a control message may take: 16 for each element of the list that is open,
/// of which at most as many are believed as bytes are left, and what was read before, which
/// takes about as much as it did encoded.
pub(super) const DECODE: Bound =
    Bound { what: "decoding a control message", per_byte: 18, fixed: 256 };

pub(super) fn run(input: &[u8]) {
    let body = Bytes::copy_from_slice(input);
    let decoded = DECODE.hold(input.len(), || Message::decode(body.clone()));
    let Ok(message) = decoded else { return };
    match &message {
        Message::Changes(frame) => payload(&frame.payload),
        Message::Roll(roll) => payload(roll),
        Message::Hello(hello) => history(&hello.history, hello.head),
        _ => {}
    }
    let encoded = message.encode();
    if !matches!(message, Message::Changes(_) | Message::Roll(_)) {
        assert!(encoded.len() <= CONTROL_BYTES_MAX + 2, "{} bytes", encoded.len());
    }
    assert_eq!(Message::decode(encoded), Ok(message));
}

/// Changes have one encoding.
pub(super) fn payload(payload: &[u8]) {
    let decoded = batch::DECODE.hold(payload.len(), || Changes::decode(payload));
    let Ok(Changes { range, operations }) = decoded else { return };
    assert!(range.after <= range.through, "{range:?}");
    let bodies = range.encode(&operations);
    let pieces = bodies.into_iter().map(|body| match Message::decode(body) {
        Ok(Message::Changes(frame)) => frame.payload,
        other => panic!("changes are {other:?}"),
    });
    assert!(pieces.collect::<Vec<_>>().concat() == payload, "equal changes are other bytes");
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
