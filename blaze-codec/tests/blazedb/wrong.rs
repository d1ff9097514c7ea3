//! What is refused, and the place that it is told with.

use blaze_codec::blazedb::{BlazeDbErrorKind as Kind, decode_record};
use blaze_codec::{Name, NameError, Record};
use proptest::prelude::*;

use crate::written::{checked, decode, plain, sequence};

/// A record with every tag.
const FIELDS: u16 = 12;
const BODY: &[u8] = b"\x01\x050123456789abcdef\x02\x06\x41\xd0\0\0\0\0\0\0\x03\x01\0\0\0\x02hi\
    \x04\x02\0\0\0\0\0\0\0\x09\x05\x03\x3f\xf0\0\0\0\0\0\0\x06\x22hi\x07\x04\x01\
    \x08\x07\0\0\0\x01x\x09\x08\0\x02\x0b\x12\x01\xff\0\x01m\x09\0\x01\0\x01k\x11\
    \x0b\x0a\0\0\0\x01\x3f\x80\0\0\x2e\x19";

fn error(bytes: &[u8]) -> (u64, Kind) {
    let error = decode_record(bytes).unwrap_err();
    (error.at(), error.kind().clone())
}

fn sequence_error(bytes: &[u8]) -> (u64, Kind) {
    let error = decode(bytes, usize::MAX).unwrap_err();
    (error.at(), error.kind().clone())
}

/// The error of a record with one field, `value`, which has this tag and body.
fn value_error(body: &[u8]) -> (u64, Kind) {
    error(&plain(1, &[b"\x2e", body].concat()))
}

#[test]
fn what_is_cut_off_anywhere_is_refused() {
    let (plain, checked) = (plain(FIELDS, BODY), checked(FIELDS, BODY));
    assert_eq!(decode_record(&plain).unwrap().len(), FIELDS.into());
    for end in 0..plain.len() {
        let (at, kind) = error(&plain[..end]);
        assert_eq!(at, end as u64, "of {end} bytes");
        assert!(matches!(kind, Kind::Truncated { needed } if needed > 0), "{end}: {kind:?}");
    }
    for end in 0..checked.len() {
        let kind = error(&checked[..end]).1;
        assert!(matches!(kind, Kind::Truncated { .. } | Kind::Checksum { .. }), "{end}: {kind:?}");
    }
    let sequence = sequence(&[plain, checked]);
    for end in 0..sequence.len() {
        for piece in [1, 7, usize::MAX] {
            let error = decode(&sequence[..end], piece).unwrap_err();
            assert_eq!(error.at(), end as u64, "of {end} bytes");
            assert!(matches!(error.kind(), Kind::Truncated { .. }), "{end}: {error}");
        }
    }
}

#[test]
fn every_flipped_bit_is_found_by_the_checksum() {
    let good = checked(FIELDS, BODY);
    assert!(decode_record(&good).is_ok());
    let checksum_at = good.len() - 4;
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let (at, kind) = error(&bad);
        match bit / 8 {
            0..5 => assert_eq!((at, kind), (0, Kind::Magic)),
            5 => assert_eq!((at, kind), (5, Kind::UnknownVersion { found: bad[5] })),
            _ => {
                assert_eq!(at, checksum_at as u64);
                assert!(matches!(kind, Kind::Checksum { found, computed } if found != computed));
            }
        }
    }
    // The place counts from the beginning of a sequence.
    let mut bytes = sequence(&[plain(0, b""), checked(1, b"\x10\x21a")]);
    bytes[30] ^= 1;
    assert_eq!(sequence_error(&bytes).0, 20 + 8 + 3);
}

#[test]
fn what_the_layout_does_not_have_is_refused_where_it_stands() {
    assert_eq!(error(b"BLAZE\0\0\0"), (5, Kind::UnknownVersion { found: 0 }));
    assert_eq!(error(b"BLAZE\x03\0\0"), (5, Kind::UnknownVersion { found: 3 }));
    assert_eq!(error(b"BLAZF\x01\0\0"), (0, Kind::Magic));
    for found in [0x00, 0x3b, 0x7f, 0x80, 0xfe] {
        assert_eq!(error(&plain(1, &[found, 0x0b])), (8, Kind::UnknownKey { found }));
    }
    let tags = [0x00, 0x0c, 0x10, 0x13, 0x17, 0x1a, 0x1f, 0x30, 0xff];
    for found in tags {
        assert_eq!(value_error(&[found]), (9, Kind::UnknownTag { found }));
        assert_eq!(value_error(&[8, 0, 1, found]), (12, Kind::UnknownTag { found }));
    }
    assert_eq!(value_error(b"\x04\x02"), (9, Kind::Bool { found: 2 }));
    assert_eq!(value_error(b"\x23ab\xff"), (12, Kind::Utf8));
    assert_eq!(value_error(b"\x01\0\0\0\x01\xc3"), (14, Kind::Utf8));
    assert_eq!(error(&plain(1, b"\xff\0\x01\xff\x0b")), (11, Kind::Utf8));
    assert_eq!(error(&plain(1, b"\x2e\x0b\0")), (10, Kind::Trailing));
    assert_eq!(error(&checked(1, b"\x2e\x0b\0")), (10, Kind::Trailing));
}

#[test]
fn names_that_cannot_be_kept_are_refused() {
    let empty = Kind::Name(NameError::Empty);
    assert_eq!(error(&plain(1, b"\xff\0\0\x0b")), (9, empty.clone()));
    assert_eq!(value_error(b"\x09\0\x01\0\0\x0b"), (12, empty));
    let long = "x".repeat(256);
    let body = [b"\xff\x01\0", long.as_bytes(), b"\x0b"].concat();
    let too_long = Kind::Name(NameError::TooLong { found: 256, max: 255 });
    assert_eq!(error(&plain(1, &body)), (9, too_long));

    let twice = |name: &str| Kind::Twice { name: Name::new(name).unwrap() };
    assert_eq!(error(&plain(2, b"\x01\x0b\x01\x0b")), (10, twice("id")));
    // Spelt and by the table, and not beside each other.
    assert_eq!(error(&plain(3, b"\x01\x0b\x02\x0b\xff\0\x02id\x0b")), (12, twice("id")));
    assert_eq!(value_error(b"\x09\0\x02\0\x01k\x0b\0\x01k\x0b"), (16, twice("k")));
}

#[test]
fn a_date_that_is_no_moment_is_refused() {
    for seconds in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 9.3e15, -9.3e15] {
        let (at, kind) = value_error(&[&b"\x06"[..], &seconds.to_be_bytes()].concat());
        let Kind::Date { seconds: found } = kind else { panic!("{kind:?}") };
        assert_eq!((at, found.to_bits()), (9, seconds.to_bits()));
    }
}

#[test]
fn what_is_no_sequence_is_refused() {
    for bytes in [&b"{\"records\": []}"[..], b"SQLite format 3\0", b"BLAZF\x01\0\0\0\0\0\0\0\0"] {
        assert_eq!(sequence_error(bytes), (0, Kind::Unknown));
    }
    let one = sequence(&[plain(0, b"")]);
    assert_eq!(sequence_error(&[&one[..], b"\0"].concat()), (one.len() as u64, Kind::Trailing));
    assert_eq!(sequence_error(&[0; 13]), (4, Kind::Trailing));
    // A count that is too large, and a second record that is none.
    assert_eq!(
        sequence_error(b"\0\0\0\x02\0\0\0\x08BLAZE\x01\0\0"),
        (16, Kind::Truncated { needed: 4 })
    );
    let two = sequence(&[plain(0, b""), b"none of them".to_vec()]);
    assert_eq!(sequence_error(&two), (20, Kind::Magic));
    // A record that is shorter than its length, and one that is longer.
    assert_eq!(sequence_error(&sequence(&[b"BLAZE\x01\0\0\0".to_vec()])), (16, Kind::Trailing));
    let short = sequence(&[b"BLAZE\x01\0\x01".to_vec(), plain(0, b"")]);
    assert_eq!(sequence_error(&short), (16, Kind::Truncated { needed: 2 }));
}

#[test]
fn records_before_a_bad_one_are_given_and_the_error_stays() {
    let bytes = sequence(&[plain(0, b""), plain(1, b"\x01\x0c"), plain(0, b"")]);
    let mut decoder = blaze_codec::blazedb::Decoder::new();
    decoder.feed(&bytes);
    assert_eq!(decoder.next_record(), Ok(Some((8, Record::new()))));
    let error = decoder.next_record().unwrap_err();
    assert_eq!(error.to_string(), "byte 29: value tag 0c is not known; export the records as JSON");
    assert_eq!(decoder.next_record(), Err(error));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_record(&bytes);
        let _ = decode(&bytes, 7);
    }

    #[test]
    fn any_fields_are_read_or_refused(
        fields in 0_u16..4,
        // Mostly what has a meaning, so that more than the first tag is read.
        body in prop::collection::vec(prop_oneof![0_u8..0x30, any::<u8>()], 0..200),
    ) {
        let bytes = plain(fields, &body);
        let whole = decode_record(&bytes);
        if let Err(error) = &whole {
            prop_assert!(error.at() <= bytes.len() as u64, "{}", error);
        }
        prop_assert_eq!(whole.map(|record| vec![(0, record)]), decode(&bytes, 9));
    }

    #[test]
    fn a_changed_record_is_read_or_refused(at in 0..BODY.len(), byte in any::<u8>()) {
        let mut body = BODY.to_vec();
        body[at] = byte;
        let _ = decode_record(&plain(FIELDS, &body));
        let _ = decode(&sequence(&[plain(FIELDS, &body), checked(FIELDS, &body)]), 5);
    }
}
