//! What this crate decodes, in the JSON that the decoder in Python prints.

use blaze_codec::batch::{Definitions, Encoder};
use blaze_codec::frame::FrameCodec;
use blaze_codec::message::{Changes, CompressionSet, Hello, Message, Reason, expand};
use blaze_codec::view::BatchRef;
use blaze_codec::{
    Change, Checkpoint, DecodeError, Mode, Name, NodeId, Operation, Role, Value, Version, batch,
    binary,
};
use bytes::BytesMut;
use serde_json::{Value as Json, json};
use tokio_util::codec::Decoder;

use super::hex;

/// How a part of the format is decoded.
pub(crate) type Decode = fn(&[u8]) -> Result<Json, DecodeError>;

/// The parts, as the decoder calls them.
pub(crate) const PARTS: [(&str, Decode); 5] = [
    ("values", value),
    ("batches", operations),
    ("dictionaries", defined),
    ("messages", message),
    ("frames", frames),
];

/// What the decoder in Python expands.
pub(crate) const LZ4: CompressionSet = CompressionSet(1);

pub(crate) fn value(bytes: &[u8]) -> Result<Json, DecodeError> {
    let (value, end) = binary::decode_value(bytes)?;
    if end < bytes.len() {
        return Err(DecodeError::Malformed { what: "end of a value", at: end });
    }
    Ok(serde_json::to_value(&value).unwrap())
}

pub(crate) fn operations(bytes: &[u8]) -> Result<Json, DecodeError> {
    let operations = batch::decode(bytes);
    assert_eq!(BatchRef::new(bytes).err(), operations.as_ref().err().cloned());
    Ok(operations?.iter().map(operation).collect())
}

/// A batch behind the definitions that it needs, which are behind their length, an u32.
pub(crate) fn defined(bytes: &[u8]) -> Result<Json, DecodeError> {
    let (definitions, batch) = split(bytes)?;
    let mut known = Definitions::default();
    known.add(definitions)?;
    let operations = batch::decode_defined(batch, &known);
    assert_eq!(BatchRef::defined(batch, &known).err(), operations.as_ref().err().cloned());
    Ok(operations?.iter().map(operation).collect())
}

/// The definitions and the batch of an entry, which begins with the length of the former.
pub(crate) fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let cut_off = || DecodeError::Truncated { at: 0, needed: 1 };
    let (length, rest) = bytes.split_first_chunk().ok_or_else(cut_off)?;
    let length = u32::from_le_bytes(*length).try_into().expect("a usize has 32 bits or more");
    rest.split_at_checked(length).ok_or_else(cut_off)
}

/// The entry of a batch: the definitions that it needs, and itself.
pub(crate) fn entry(encoder: &mut Encoder, operations: &[Operation]) -> Vec<u8> {
    let (mut definitions, mut batch) = (Vec::new(), Vec::new());
    encoder.encode(operations, &mut batch);
    encoder.define(encoder.needs(), &mut definitions);
    let length = u32::try_from(definitions.len()).expect("definitions are limited");
    [&length.to_le_bytes()[..], &definitions, &batch].concat()
}

fn operation(operation: &Operation) -> Json {
    let version = |version: Version| {
        let Version { epoch, hlc, node } = version;
        json!({ "epoch": epoch.to_bits(), "hlc": hlc.to_bits(), "node": hex(node.as_bytes()) })
    };
    let change = match &operation.change {
        Change::Insert(record) => {
            let fields = record.iter().map(|(name, value)| (name, Some(value)));
            json!({ "kind": "insert", "fields": fields_of(fields) })
        }
        Change::Update(fields) => {
            let fields = fields.iter().map(|(name, value)| (name, value.as_ref()));
            json!({ "kind": "update", "fields": fields_of(fields) })
        }
        Change::Delete => json!({ "kind": "delete" }),
    };
    json!({
        "collection": operation.collection.as_str(),
        "key": operation.key,
        "version": version(operation.version),
        "base": version(operation.base),
        "change": change,
    })
}

fn fields_of<'a>(fields: impl Iterator<Item = (&'a Name, Option<&'a Value>)>) -> Json {
    let removed = || json!({ "$removed": true });
    let json = |value: Option<&Value>| value.map_or_else(removed, |value| json!(value));
    Json::Object(fields.map(|(name, value)| (name.to_string(), json(value))).collect())
}

pub(crate) fn message(body: &[u8]) -> Result<Json, DecodeError> {
    message_by(body, &mut Definitions::default())
}

/// A message of a connection in which something was defined before.
fn message_by(body: &[u8], known: &mut Definitions) -> Result<Json, DecodeError> {
    let node = |node: &NodeId| hex(node.as_bytes());
    Ok(match Message::decode(expand(body.to_vec().into(), LZ4)?)? {
        Message::Hello(hello) if hello.scope != 0 => {
            let (scope, all) = (hello.scope, Message::Hello(Hello { scope: 0, ..hello }));
            let mut all = message_by(&all.encode(), known)?;
            all["scope"] = scope.into();
            all
        }
        Message::Hello(hello) => json!({
            "kind": "hello",
            "protocol_min": hello.protocol_min,
            "protocol_max": hello.protocol_max,
            "node": node(&hello.node),
            "former": hello.former.iter().map(node).collect::<Vec<_>>(),
            "history": hello.history.spans().iter().map(|span| {
                json!({ "incarnation": span.incarnation.0, "first": span.first.0 })
            }).collect::<Vec<_>>(),
            "database": hello.database,
            "name": hello.name,
            "role": match hello.role { Role::Server => "server", Role::Client => "client" },
            "mode": match hello.mode {
                Mode::Bidirectional => "bidirectional",
                Mode::ReadOnly => "read-only",
                Mode::WriteOnly => "write-only",
            },
            "head": hello.head.0,
            "wall_ms": hello.wall_ms,
            "reads": hello.reads.0,
        }),
        Message::Resume(resume) => json!({
            "kind": "resume",
            "after": resume.after.0,
            "last": resume.last.map(place),
            "credit": resume.credit,
        }),
        Message::Changes(frame) if frame.more => {
            json!({ "kind": "changes", "more": true, "payload": hex(&frame.payload) })
        }
        Message::Changes(frame) => changes("changes", &frame.payload, known)?,
        Message::Ack(ack) => json!({
            "kind": "ack",
            "through": ack.through.0,
            "credit": ack.credit,
            "head": ack.head.0,
        }),
        Message::Ping(number) => json!({ "kind": "ping", "number": number }),
        Message::Pong(number) => json!({ "kind": "pong", "number": number }),
        Message::Goodbye(goodbye) => json!({
            "kind": "goodbye",
            "reason": reason(goodbye.reason),
            "message": goodbye.message,
        }),
        Message::Start(start) => json!({ "kind": "start", "roll": start.roll.map(|seq| seq.0) }),
        Message::Roll(payload) => changes("roll", &payload, &Definitions::default())?,
        Message::Definitions(payload) => {
            known.add(&payload)?;
            json!({ "kind": "definitions", "payload": hex(&payload) })
        }
        Message::Scope(payload) => json!({ "kind": "scope", "payload": hex(&payload) }),
    })
}

fn place(place: Checkpoint) -> Json {
    json!({ "incarnation": place.incarnation.0, "seq": place.seq.0 })
}

fn changes(kind: &str, payload: &[u8], known: &Definitions) -> Result<Json, DecodeError> {
    let Changes { range, operations, .. } = Changes::decode_defined(payload, known)?;
    Ok(json!({
        "kind": kind,
        "after": range.after.0,
        "through": range.through.0,
        "left_out": range.left_out,
        "roots": range.roots.into_iter().map(place).collect::<Vec<_>>(),
        "operations": operations.iter().map(operation).collect::<Vec<_>>(),
    }))
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Shutdown => "shutdown",
        Reason::ProtocolVersion => "protocol version",
        Reason::Database => "database",
        Reason::Mode => "mode",
        Reason::SameNode => "same node",
        Reason::ClockDrift => "clock drift",
        Reason::Violation => "violation",
        Reason::Timeout => "timeout",
        Reason::Storage => "storage",
        Reason::Busy => "busy",
        Reason::SelfLink => "self link",
        Reason::Role => "role",
        Reason::Scope => "scope",
        _ => "unknown to this test",
    }
}

pub(crate) fn frames(bytes: &[u8]) -> Result<Json, DecodeError> {
    let malformed = |_| DecodeError::Malformed { what: "stream of frames", at: 0 };
    let (mut codec, mut stream, mut messages) = (FrameCodec::new(), BytesMut::from(bytes), vec![]);
    let mut known = Definitions::default();
    while let Some(body) = codec.decode(&mut stream).map_err(malformed)? {
        messages.push(message_by(&body, &mut known)?);
    }
    if !stream.is_empty() {
        return Err(DecodeError::Truncated { at: bytes.len() - stream.len(), needed: 1 });
    }
    Ok(json!({ "messages": messages, "ended": false }))
}
