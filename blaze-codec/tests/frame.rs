//! Frames: whole, in pieces, damaged, cut off.

use blaze_codec::DecodeError;
use blaze_codec::frame::{FrameCodec, FrameError, HEADER_BYTES, header};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder};

fn stream_of(bodies: &[Vec<u8>]) -> BytesMut {
    let mut stream = BytesMut::new();
    for body in bodies {
        FrameCodec::new().encode(Bytes::from(body.clone()), &mut stream).unwrap();
    }
    stream
}

fn decode_error(error: FrameError) -> DecodeError {
    match error {
        FrameError::Decode(error) => error,
        other => panic!("{other}"),
    }
}

proptest! {
    #[test]
    fn bodies_come_back_however_the_stream_is_cut(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 2..200), 0..8),
        chunks in prop::collection::vec(1_usize..70, 1..8),
    ) {
        let mut stream = stream_of(&bodies);
        let mut codec = FrameCodec::new();
        let mut arrived = BytesMut::new();
        let mut decoded = Vec::new();
        for chunk in chunks.iter().cycle() {
            if stream.is_empty() {
                break;
            }
            arrived.extend_from_slice(&stream.split_to((*chunk).min(stream.len())));
            while let Some(body) = codec.decode(&mut arrived).unwrap() {
                decoded.push(body.to_vec());
            }
        }
        prop_assert_eq!(decoded, bodies);
        prop_assert!(codec.decode_eof(&mut arrived).unwrap().is_none());
    }

    #[test]
    fn a_flipped_bit_is_noticed(body in prop::collection::vec(any::<u8>(), 2..40)) {
        let whole = stream_of(&[body]);
        for bit in 0..whole.len() * 8 {
            let mut stream = whole.clone();
            stream[bit / 8] ^= 1 << (bit % 8);
            // A longer length waits for more; at the end of the stream it is noticed.
            prop_assert!(FrameCodec::new().decode_eof(&mut stream).is_err(), "bit {}", bit);
        }
    }

    #[test]
    fn a_stream_that_ends_within_a_frame_is_truncated(
        body in prop::collection::vec(any::<u8>(), 2..40),
    ) {
        let whole = stream_of(&[body]);
        for end in 1..whole.len() {
            let mut stream = BytesMut::from(&whole[..end]);
            prop_assert!(FrameCodec::new().decode(&mut stream).unwrap().is_none());
            let error = decode_error(FrameCodec::new().decode_eof(&mut stream).unwrap_err());
            prop_assert!(matches!(error, DecodeError::Truncated { .. }), "{}", error);
        }
    }
}

#[test]
fn the_header_alone_makes_the_same_frame() {
    let body = b"\x05\x00body";
    let stream = stream_of(&[body.to_vec()]);
    assert_eq!(stream[..], [&header(body)[..], body].concat());
}

#[test]
fn a_length_out_of_bounds_is_refused_by_the_header_alone() {
    let mut codec = FrameCodec::new().body_bytes_max(100);
    for length in [0_u32, 1, 101, u32::MAX] {
        let mut stream = BytesMut::from(&length.to_le_bytes()[..]);
        stream.extend_from_slice(&[0; 4]);
        let capacity = stream.capacity();
        let error = decode_error(codec.decode(&mut stream).unwrap_err());
        let expected = match length {
            0 | 1 => DecodeError::Malformed { what: "frame length", at: 0 },
            _ => DecodeError::Limit { what: "frame body bytes", found: length.into(), max: 100 },
        };
        assert_eq!(error, expected);
        assert_eq!(stream.capacity(), capacity);
    }
}

#[test]
fn a_body_out_of_bounds_is_not_written() {
    let mut codec = FrameCodec::new().body_bytes_max(100);
    for bytes in [0, 1, 101] {
        let mut stream = BytesMut::new();
        assert!(codec.encode(Bytes::from(vec![0; bytes]), &mut stream).is_err());
        assert!(stream.is_empty());
    }
    for bytes in [2, 100] {
        codec.encode(Bytes::from(vec![0; bytes]), &mut BytesMut::new()).unwrap();
    }
}

#[test]
fn a_large_frame_reserves_little_ahead() {
    let mut stream = BytesMut::new();
    stream.extend_from_slice(&header(&vec![0; 1024 * 1024]));
    assert!(FrameCodec::new().decode(&mut stream).unwrap().is_none());
    assert!(stream.capacity() <= 128 * 1024, "{} bytes reserved", stream.capacity());
}

#[test]
fn a_body_is_a_slice_of_the_stream() {
    let mut stream = stream_of(&[vec![7; 100]]);
    let expected = stream[HEADER_BYTES..].as_ptr();
    let body = FrameCodec::new().decode(&mut stream).unwrap().unwrap();
    assert_eq!(body.as_ptr(), expected);
}
