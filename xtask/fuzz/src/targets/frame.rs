//! Bytes as a stream of frames: the same frames, however it is cut.

use blaze_codec::frame::{FrameCodec, FrameError};
use blaze_codec::message::{BODY_BYTES_MAX, Body, Compression, Message};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::hello;
use super::known::Known;
use crate::bound::Bound;
use crate::source::Source;

/// What cutting a stream into frames may take. 64 KiB are reserved ahead of what a header
/// announces, in a buffer that grows to twice its room while the old one is still there;
/// the frames that were cut, each with its place in a list, keep the buffers that they came
/// in.
pub(super) const STREAM: Bound =
    Bound { what: "cutting a stream into frames", per_byte: 12, fixed: 200 * 1024 };

/// Frames, and how the stream ended.
type Cut = (Vec<Bytes>, Option<String>);

/// A byte of flags, how the stream is cut, and the stream: raw, or the bodies of frames,
/// which get their headers here, so that it is not the checksum alone that is tried.
pub(super) fn run(input: &[u8]) {
    let mut source = Source::new(input);
    let flags = source.byte();
    let sizes: Vec<usize> = (0..4).map(|_| 1 + source.below(2048)).collect();
    let mut stream = source.rest().to_vec();
    if flags & 1 != 0 {
        let damage = (flags & 4 != 0).then(|| (source.below(0x1_0000), source.below(8)));
        let mut sent = bodies(&mut source);
        if flags & 8 != 0 {
            let method = if flags & 16 == 0 { Compression::Lz4 } else { Compression::Zstd };
            sent = sent.iter().map(|body| compressed(body, method)).collect();
        }
        stream = frames(&sent);
        let damage = damage.filter(|_| !stream.is_empty());
        if let Some((at, bit)) = damage {
            let at = at % stream.len();
            stream[at] ^= 1 << bit;
        }
        let (arrived, end) = cut(&stream, &[stream.len()]);
        assert!(sent.starts_with(&arrived), "{sent:?} was sent, {arrived:?} arrived");
        assert_eq!(end.is_some(), damage.is_some(), "{sent:?} with {damage:?}");
    }
    let whole = cut(&stream, &[stream.len()]);
    let pieces = cut(&stream, &sizes);
    assert!(whole == pieces, "{whole:?} as a whole, {pieces:?} in pieces of {sizes:?}");
    if flags & 2 != 0 {
        assert_eq!(cut(&stream, &[1]), whole, "byte by byte");
    }
    let (bodies, end) = whole;
    let encoded = frames(&bodies);
    assert!(stream.starts_with(&encoded) && (end.is_some() || encoded == stream));
    messages(&bodies);
}

/// The bodies that can be written.
fn bodies(source: &mut Source<'_>) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    while !source.is_empty() {
        let body = Bytes::copy_from_slice(source.part().rest());
        let mut stream = BytesMut::new();
        let written = FrameCodec::new().encode(body.clone(), &mut stream);
        assert_eq!(written.is_ok(), (2..=BODY_BYTES_MAX).contains(&body.len()));
        assert_eq!(written.is_ok(), !stream.is_empty(), "half a frame was written");
        bodies.extend(written.is_ok().then_some(body));
    }
    bodies
}

/// Only a body that isn't compressed can be.
fn compressed(body: &Bytes, method: Compression) -> Bytes {
    match Message::decode(body.clone()) {
        Ok(Message::Changes(_) | Message::Roll(_)) => Body::from(body.clone()).compressed(method),
        _ => body.clone(),
    }
}

fn frames(bodies: &[Bytes]) -> Vec<u8> {
    bodies.iter().flat_map(again).collect()
}

/// Feeds a stream in pieces of these sizes, one after the other and again.
fn cut(stream: &[u8], sizes: &[usize]) -> Cut {
    STREAM.hold(stream.len(), || {
        let (mut codec, mut arrived, mut bodies) = (FrameCodec::new(), BytesMut::new(), Vec::new());
        let mut left = stream;
        for size in sizes.iter().cycle() {
            if left.is_empty() {
                break;
            }
            let (piece, rest) = left.split_at(left.len().min(*size));
            left = rest;
            arrived.extend_from_slice(piece);
            loop {
                match codec.decode(&mut arrived) {
                    Ok(Some(body)) => bodies.push(body),
                    Ok(None) => break,
                    Err(error) => return (bodies, Some(told(error))),
                }
            }
        }
        match codec.decode_eof(&mut arrived) {
            Ok(None) => (bodies, None),
            Ok(Some(body)) => panic!("a frame of {} bytes only at the end", body.len()),
            Err(error) => (bodies, Some(told(error))),
        }
    })
}

fn told(error: FrameError) -> String {
    match error {
        FrameError::Decode(error) => format!("{error:?}"),
        other => panic!("no stream, and {other}"),
    }
}

fn again(body: &Bytes) -> BytesMut {
    let mut stream = BytesMut::new();
    FrameCodec::new().encode(body.clone(), &mut stream).expect("it can be written");
    stream
}

/// Takes messages as a session does: expands them, keeps what they define, and puts the
/// pieces of changes together.
fn messages(bodies: &[Bytes]) {
    let (mut staged, mut known) = (Vec::new(), Known::default());
    for body in bodies {
        match hello::message(body) {
            Some(Message::Changes(frame)) => {
                staged.extend_from_slice(&frame.payload);
                if !frame.more {
                    hello::payload(&std::mem::take(&mut staged), &mut known);
                }
            }
            Some(Message::Definitions(definitions)) if known.add(&definitions).is_err() => return,
            _ => {}
        }
    }
}
