//! Both sides of each limit.

use blaze_codec::blazedb::{BlazeDbErrorKind as Kind, Decoder, INPUT_BYTES_MAX, decode_record};
use blaze_codec::limits::{DEPTH_MAX, VALUES_MAX};

use crate::written::{decode, plain};

fn value(body: &[u8]) -> Vec<u8> {
    plain(1, &[b"\x2e", body].concat())
}

fn error(bytes: &[u8]) -> (u64, Kind) {
    let error = decode_record(bytes).unwrap_err();
    (error.at(), error.kind().clone())
}

#[test]
fn depth_is_limited_as_it_is_for_any_record() {
    for (inner, found) in [(&b"\x18"[..], 1), (b"\x19", 1), (b"\x0a\0\0\0\0", 1), (b"\x0b", 0)] {
        let nested = |depth: usize| {
            let around: [&[u8]; 2] = [b"\x08\0\x01", b"\x09\0\x01\0\x01k"];
            let mut body: Vec<u8> =
                (0..depth).flat_map(|level| around[level % 2]).copied().collect();
            body.extend(inner);
            value(&body)
        };
        let within = decode_record(&nested(DEPTH_MAX - found)).unwrap();
        assert_eq!(within.check(), Ok(()), "it can be stored");
        let (_, kind) = error(&nested(DEPTH_MAX - found + 1));
        assert_eq!(kind, Kind::Limit { what: "nesting depth", found: 65, max: 64 });
    }
}

#[test]
fn values_are_limited() {
    let vector = |count: usize| {
        let length = u32::try_from(count).unwrap().to_be_bytes();
        value(&[&b"\x0a"[..], &length, &vec![0; 4 * count]].concat())
    };
    let within = decode_record(&vector(VALUES_MAX - 1)).unwrap();
    assert_eq!(within.check(), Ok(()), "it can be stored");
    let what = "number of values in a record";
    let (found, max) = (VALUES_MAX as u64 + 1, VALUES_MAX as u64);
    assert_eq!(error(&vector(VALUES_MAX)), (14, Kind::Limit { what, found, max }));

    // Of 17 arrays, each of as many as an array can have.
    let nulls = [&b"\x08\xff\xff"[..], &vec![0x0b; 0xffff]].concat();
    let body = [&b"\x08\0\x11"[..], &nulls.repeat(17)].concat();
    assert!(matches!(error(&value(&body)).1, Kind::Limit { found, .. } if found == max + 1));
}

#[test]
fn what_is_claimed_is_not_believed() {
    let truncated = |bytes: &[u8]| matches!(error(bytes).1, Kind::Truncated { .. });
    for tag in [0x01, 0x07] {
        assert!(truncated(&value(&[tag, 0xff, 0xff, 0xff, 0xff])));
    }
    assert!(matches!(error(&value(b"\x0a\xff\xff\xff\xff")).1, Kind::Limit { .. }));
    assert!(truncated(&value(b"\x0a\0\x0f\0\0")));
    assert!(truncated(&value(b"\x08\xff\xff\x0b")));
    assert!(truncated(&value(b"\x09\xff\xff\0\x01k\x0b")));
    assert_eq!(error(&plain(u16::MAX, b"\x01\x0b")), (10, Kind::Truncated { needed: 131_068 }));
    // Each claims what the bytes that follow could just hold.
    let mut claims = b"\x08\xff\xff".repeat(DEPTH_MAX);
    claims.resize(claims.len() + 0xffff, 0xff);
    assert!(matches!(error(&value(&claims)).1, Kind::UnknownTag { found: 0xff }));
}

#[test]
fn a_record_is_limited_in_bytes() {
    let what = "record bytes";
    let (found, max) = (INPUT_BYTES_MAX as u64 + 1, INPUT_BYTES_MAX as u64);
    let mut bytes = vec![0; INPUT_BYTES_MAX];
    bytes[..8].copy_from_slice(&plain(1, b""));
    assert_eq!(error(&bytes), (8, Kind::UnknownKey { found: 0 }));
    bytes.push(0);
    assert_eq!(error(&bytes), (0, Kind::Limit { what, found, max }));

    // Refused before the end comes, and by its length before any byte of it.
    let mut decoder = Decoder::new();
    decoder.feed(&bytes[..INPUT_BYTES_MAX]);
    assert_eq!(decoder.next_record(), Ok(None));
    decoder.feed(b"\0");
    assert_eq!(decoder.next_record().unwrap_err().kind(), &Kind::Limit { what, found, max });
    let second = b"\0\0\0\x02\0\0\0\x08BLAZE\x01\0\0\x02\0\0\x01";
    let error = decode(second, 1).unwrap_err();
    assert_eq!((error.at(), error.kind()), (16, &Kind::Limit { what, found, max }));
}
