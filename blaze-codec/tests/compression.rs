//! Frames that are compressed: made where that pays, once for all, and expanded within bounds.

use blaze_codec::message::{
    BODY_BYTES_MAX, Body, COMPRESSED_BYTES_MIN, Compression, CompressionSet, Message, Range, expand,
};
use blaze_codec::{Change, DecodeError, Name, Operation, RecordKey, Seq, Version, record};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;

const CHANGES: u8 = 3;
const ROLL: u8 = 9;
const LZ4: u8 = 1 << 1;
const ZSTD: u8 = 2 << 1;

/// What this build compresses by.
fn methods() -> impl Iterator<Item = Compression> {
    let built = |method: &Compression| CompressionSet::BUILT.contains(*method);
    [Compression::Lz4, Compression::Zstd].into_iter().filter(built)
}

fn expand_all(body: impl Into<Bytes>) -> Result<Bytes, DecodeError> {
    expand(body.into(), CompressionSet(u64::MAX))
}

fn changes(count: i64, text: &str) -> Bytes {
    let insert = |key| Operation {
        collection: Name::new("notes").unwrap(),
        key: RecordKey::Int(key),
        version: Version::ZERO,
        base: Version::ZERO,
        change: Change::Insert(record! { "text" => key.to_string() + text }),
    };
    let operations: Vec<_> = (0..count).map(insert).collect();
    Range::new(Seq(4), Seq(5)).encode(&operations).remove(0)
}

/// A compressed body that says that it stands for a payload of so many bytes.
fn compressed(kind: u8, flags: u8, length: usize, packed: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).unwrap().to_le_bytes();
    [&[kind, flags][..], &length, packed].concat()
}

/// A block of one byte, and itself from one byte back so many times, then five literals.
fn run_of(bytes: usize) -> Vec<u8> {
    let mut block = vec![0x1f, b'x', 1, 0];
    let repeated = bytes - 1 - 5;
    let mut more = repeated - 4 - 15;
    while more >= 255 {
        block.push(255);
        more -= 255;
    }
    block.extend([u8::try_from(more).unwrap(), 0x50]);
    block.extend(b"xxxxx");
    block
}

#[test]
fn what_pays_is_compressed_once_and_comes_back() {
    let bytes = changes(100, " is a note about the weather");
    let body = Body::from(bytes.clone());
    for method in methods() {
        let compressed = body.clone().compressed(method);
        assert!(compressed.len() < bytes.len() / 2, "{method}: {} bytes", compressed.len());
        assert_eq!(compressed.as_ptr(), body.compressed(method).as_ptr(), "made once");
        assert_eq!(expand_all(compressed.clone()), Ok(bytes.clone()));
        // Who doesn't know of it takes it for nothing else.
        let refused = Err(DecodeError::Malformed { what: "frame flags", at: 1 });
        assert_eq!(Message::decode(compressed), refused);
    }
    assert_eq!(body.compressed(Compression::None), bytes);
}

#[test]
fn what_does_not_pay_is_sent_as_it_is() {
    let small = vec![CHANGES; COMPRESSED_BYTES_MIN - 1];
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u8::try_from(state >> 56).unwrap()
    };
    let random: Vec<u8> = [CHANGES, 0].into_iter().chain((0..50_000).map(|_| random())).collect();
    // An eleventh of it could go.
    let mut nearly = random.clone();
    nearly[45_600..].fill(0);
    for bytes in [small, random, nearly].map(Bytes::from) {
        for method in methods() {
            assert_eq!(Body::from(bytes.clone()).compressed(method), bytes);
        }
    }
}

#[test]
fn other_bodies_are_left_as_they_are() {
    let ping = Message::Ping(6).encode();
    for body in [ping, changes(3, ""), Bytes::new(), Bytes::from_static(&[CHANGES])] {
        assert_eq!(expand_all(body.clone()), Ok(body));
    }
}

#[test]
fn the_best_is_taken_that_both_have() {
    let (lz4, both) = (CompressionSet(0b01), CompressionSet(0b11));
    assert_eq!(Compression::Lz4.for_peer(both), Compression::Lz4);
    assert_eq!(Compression::Lz4.for_peer(CompressionSet(u64::MAX)), Compression::Lz4);
    assert_eq!(Compression::Zstd.for_peer(lz4), Compression::Lz4);
    assert_eq!(Compression::Lz4.for_peer(CompressionSet(0b10)), Compression::None);
    let best = if cfg!(feature = "zstd") { Compression::Zstd } else { Compression::Lz4 };
    assert_eq!(Compression::Zstd.for_peer(both), best);
    for wanted in [Compression::None, Compression::Lz4, Compression::Zstd] {
        assert_eq!(wanted.for_peer(CompressionSet::EMPTY), Compression::None);
        // Methods of later versions.
        assert_eq!(wanted.for_peer(CompressionSet(!0b11)), Compression::None);
    }
    assert_eq!(Compression::None.for_peer(both), Compression::None);
}

#[test]
fn a_method_that_was_not_told_is_refused() {
    let body = Body::from(changes(100, " is a note"));
    for method in methods() {
        let others = CompressionSet(!(method as u64));
        let error = expand(body.compressed(method), others).unwrap_err();
        assert_eq!(error, DecodeError::Malformed { what: "a frame's compression", at: 1 });
    }
    let third = compressed(CHANGES, LZ4 | ZSTD, 1_000, &run_of(1_000));
    let error = expand_all(third).unwrap_err();
    assert_eq!(error, DecodeError::Malformed { what: "a frame's compression", at: 1 });
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let whole = BODY_BYTES_MAX - 2;
    for kind in [CHANGES, ROLL] {
        let largest = compressed(kind, LZ4, whole, &run_of(whole));
        assert!(largest.len() < 5_000);
        assert_eq!(expand_all(largest).unwrap().len(), BODY_BYTES_MAX);
    }
    let refused = |length: usize, packed: &[u8]| {
        expand_all(compressed(CHANGES, LZ4, length, packed)).unwrap_err()
    };
    let what = "frame body bytes";
    let (found, max) = (BODY_BYTES_MAX as u64 + 1, BODY_BYTES_MAX as u64);
    assert_eq!(refused(whole + 1, &run_of(whole + 1)), DecodeError::Limit { what, found, max });
    let most = refused(u32::MAX as usize, &run_of(1_000));
    assert!(matches!(most, DecodeError::Limit { .. }));
    // It inflates to more or to less than it says.
    let wrong = DecodeError::Malformed { what: "a compressed frame", at: 6 };
    for length in [999, 1_001, whole] {
        assert_eq!(refused(length, &run_of(1_000)), wrong, "{length}");
    }
    let behind = [&run_of(1_000)[..], &[0]].concat();
    assert_eq!(refused(1_000, &behind), wrong);
    // Nothing is gained by it, or it could be as long as anybody likes.
    let no_gain = DecodeError::Malformed { what: "a compressed frame's length", at: 2 };
    assert_eq!(refused(10, &[&[0xa0][..], &[b'x'; 10]].concat()), no_gain);
    assert_eq!(refused(0, &[0]), no_gain);
}

#[test]
fn every_beginning_is_refused() {
    for method in methods() {
        let whole = Body::from(changes(50, " is a note")).compressed(method);
        for end in 2..whole.len() {
            assert!(expand_all(whole.slice(..end)).is_err(), "{method}, cut to {end} bytes");
        }
    }
}

#[cfg(feature = "zstd")]
#[test]
fn zstandard_is_one_frame_that_says_its_length() {
    let body = Body::from(changes(100, " is a note about the weather"));
    let whole = body.compressed(Compression::Zstd).to_vec();
    let payload = &body.bytes()[2..];
    let refused = |length: usize, packed: &[u8]| {
        let body = compressed(CHANGES, ZSTD, length, packed);
        let wrong = DecodeError::Malformed { what: "a compressed frame", at: 6 };
        assert_eq!(expand_all(body), Err(wrong));
    };
    let skipped = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7];
    refused(payload.len(), &[&whole[6..], &skipped].concat());
    refused(payload.len(), &[&skipped, &whole[6..]].concat());
    refused(2 * payload.len(), &[&whole[6..], &whole[6..]].concat());
    refused(payload.len() - 1, &whole[6..]);
    refused(payload.len() + 1, &whole[6..]);
    let mut untold = zstd::bulk::Compressor::new(3).unwrap();
    untold.include_contentsize(false).unwrap();
    refused(payload.len(), &untold.compress(payload).unwrap());
}

proptest! {
    #[test]
    fn whatever_is_compressed_comes_back(
        pieces in prop::collection::vec(("[a-d]{1,9}", 1_usize..200), 1..80),
        more in any::<bool>(),
        roll in any::<bool>(),
    ) {
        let head = if roll { vec![ROLL, 0] } else { vec![CHANGES, u8::from(more)] };
        let payload: String = pieces.iter().map(|(text, times)| text.repeat(*times)).collect();
        let bytes = Bytes::from([&head[..], payload.as_bytes()].concat());
        for method in methods() {
            let compressed = Body::from(bytes.clone()).compressed(method);
            prop_assert!(compressed.len() <= bytes.len());
            prop_assert_eq!(expand_all(compressed), Ok(bytes.clone()));
        }
    }

    #[test]
    fn flipped_bits_never_make_more_than_was_told(
        bits in prop::collection::vec(any::<Index>(), 1..4),
        count in 20_i64..60,
    ) {
        for method in methods() {
            let mut bytes = Body::from(changes(count, " is a note")).compressed(method).to_vec();
            for bit in &bits {
                let bit = bit.index(8 * bytes.len());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            let told = u32::from_le_bytes(bytes[2..6].try_into().unwrap()) as usize;
            if let Ok(expanded) = expand_all(bytes.clone()) {
                prop_assert!(expanded[..] == bytes[..] || expanded.len() == told + 2);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_never_taken_for_more_than_they_say(
        flags in 2_u8..6,
        length in 0_usize..3_000,
        packed in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        if let Ok(expanded) = expand_all(compressed(CHANGES, flags, length, &packed)) {
            prop_assert_eq!(expanded.len(), length + 2);
        }
    }
}
