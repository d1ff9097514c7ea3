//! Bytes as the body of a message: what decodes comes back.

use blaze_codec::limits::CONTROL_BYTES_MAX;
use blaze_codec::message::{
    BODY_BYTES_MAX, Body, Changes, Compression, CompressionSet, Message, expand,
};
use blaze_codec::{Change, History, Rule, Scope, Seq, record};
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

/// What decoding a scope may take: a value, and beside it what is made of that, in sets and
/// maps that aren't full.
const SCOPE: Bound = Bound { what: "decoding a scope", per_byte: 192, fixed: 544 * 1024 };

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
        Message::Scope(payload) => scope(payload),
        _ => {}
    }
    let encoded = message.encode();
    let has_a_limit_of_its_own = matches!(
        message,
        Message::Changes(_) | Message::Roll(_) | Message::Definitions(_) | Message::Scope(_)
    );
    if !has_a_limit_of_its_own {
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

/// A scope comes back, with what it may be told of, and is judged whatever it asks for.
fn scope(payload: &[u8]) {
    let Ok(scope) = SCOPE.hold(payload.len(), || Scope::decode(payload)) else { return };
    let encoded = scope.encode();
    assert_eq!(Scope::decode(&encoded).as_ref(), Ok(&scope));
    assert!(encoded.len() <= payload.len(), "{} bytes are {}", payload.len(), encoded.len());
    assert_eq!((scope.check(), scope.told().check()), (Ok(()), Ok(())));
    assert_eq!(scope.told().told(), scope.told());
    assert!(scope.digest() != 0);
    for (_, rule) in scope.rules() {
        judge(rule);
    }
}

fn judge(rule: &Rule) {
    let record = record! { "owner" => "anna", "size" => 5, "n" => 1.5, "text" => "x" };
    assert_eq!(rule.meets(|field| record.get(field)), rule.meets(|field| record.get(field)));
    let change = Change::Insert(record);
    let hidden = rule.hidden_field(&change).cloned();
    let part = rule.part_of(change.clone()).expect("of an insert something is left");
    assert_eq!(rule.hidden_field(&part), None);
    assert_eq!(part == change, hidden.is_none());
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
