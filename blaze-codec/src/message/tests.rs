use super::*;
use crate::{
    Change, Checkpoint, Incarnation, Mode, Name, NodeId, Operation, RecordKey, Role, Seq, Version,
    record,
};

fn controls() -> Vec<Message> {
    let hello = Hello {
        protocol_min: 1,
        protocol_max: 3,
        node: NodeId::from_bytes([7; 16]),
        former: vec![NodeId::from_bytes([6; 16])],
        history: Incarnation(u64::MAX).into(),
        database: "notes".into(),
        name: "laptop".into(),
        role: Role::Server,
        mode: Mode::ReadOnly,
        head: Seq(300),
        wall_ms: 1_700_000_000_000,
        reads: CompressionSet(5),
        scope: 300,
    };
    let last = Some(Checkpoint { incarnation: Incarnation(9), seq: Seq(5) });
    let resume = Resume { after: Seq(4), last, credit: 1 << 20 };
    let goodbye = Goodbye { reason: Reason::Busy, message: "full".into() };
    vec![
        Message::Hello(hello),
        Message::Resume(resume),
        Message::Resume(Resume { after: Seq::ZERO, last: None, credit: 0 }),
        Message::Ack(Ack { through: Seq(6), credit: 200, head: Seq(9) }),
        Message::Start(Start { roll: Some(Seq(300)) }),
        Message::Start(Start { roll: None }),
        Message::Ping(0),
        Message::Pong(u64::MAX),
        Message::Goodbye(goodbye),
    ]
}

fn operations(count: i64, text_bytes: usize) -> Vec<Operation> {
    let operation = |key| Operation {
        collection: Name::new("notes").unwrap(),
        key: RecordKey::Int(key),
        version: Version::ZERO,
        base: Version::ZERO,
        change: Change::Insert(record! { "text" => key.to_string() + &"x".repeat(text_bytes) }),
    };
    (0..count).map(operation).collect()
}

#[test]
fn every_message_comes_back() {
    let piece = ChangesFrame { more: true, payload: Bytes::from_static(b"anything") };
    let roll = Message::Roll(Bytes::from_static(b"anything"));
    let scope = Message::Scope(Bytes::from_static(b"anything"));
    let messages = controls().into_iter().chain([Message::Changes(piece), roll, scope]);
    for message in messages {
        assert_eq!(Message::decode(message.encode()), Ok(message));
    }
}

#[test]
fn every_reason_comes_back() {
    for number in 0_u8.. {
        let body = [GOODBYE, 0, number, 0];
        let Ok(message) = Message::decode(body.to_vec().into()) else {
            assert_eq!(number, Reason::Scope as u8 + 1, "reasons are numbered without a gap");
            return;
        };
        assert_eq!(message.encode()[..], body);
    }
}

#[test]
fn every_kind_of_control_message_is_tested() {
    let mut kinds: Vec<_> = controls().iter().map(|message| message.encode()[0]).collect();
    kinds.dedup();
    assert_eq!(kinds.len(), 7);
    kinds.extend([CHANGES, ROLL, DEFINITIONS, SCOPE]);
    kinds.sort_unstable();
    assert!(kinds.into_iter().eq(HELLO..=SCOPE));
}

#[test]
fn fields_of_later_versions_are_skipped() {
    for message in controls() {
        let mut body = message.encode().to_vec();
        body.extend_from_slice(&[1, 2, 3, 255]);
        assert_eq!(Message::decode(body.into()), Ok(message));
    }
}

#[test]
fn a_cut_control_message_is_refused() {
    for message in controls() {
        let body = message.encode();
        // A hello without its last fields is one of a version that doesn't know them.
        let older =
            |end| matches!(message, Message::Hello(_)) && [3, 2].contains(&(body.len() - end));
        for end in (0..body.len()).filter(|end| !older(*end)) {
            assert!(Message::decode(body.slice(..end)).is_err(), "{message:?} cut to {end} bytes");
        }
    }
}

#[test]
fn who_says_nothing_of_compression_reads_none_and_of_a_scope_limits_to_none() {
    let Message::Hello(hello) = controls().remove(0) else { panic!("no hello") };
    let body = Message::Hello(hello.clone()).encode();
    let unlimited = Message::Hello(Hello { scope: 0, ..hello.clone() });
    assert_eq!(unlimited.encode(), body[..body.len() - 2]);
    assert_eq!(Message::decode(unlimited.encode()), Ok(unlimited));
    let none = Message::Hello(Hello { reads: CompressionSet::EMPTY, scope: 0, ..hello });
    assert_eq!(none.encode(), body[..body.len() - 3]);
    assert_eq!(Message::decode(none.encode()), Ok(none));
}

#[test]
fn unknown_kinds_are_refused() {
    for kind in (0..=255).filter(|kind| !(HELLO..=SCOPE).contains(kind)) {
        let decoded = Message::decode(vec![kind, 0, 0].into());
        assert_eq!(decoded, Err(DecodeError::Malformed { what: "frame kind", at: 0 }));
    }
}

#[test]
fn unknown_flags_are_refused() {
    for kind in HELLO..=SCOPE {
        for flags in 1..=255 {
            let decoded = Message::decode(vec![kind, flags, 0].into());
            let refused = decoded == Err(DecodeError::Malformed { what: "frame flags", at: 1 });
            assert_eq!(refused, !(kind == CHANGES && flags == FLAG_MORE), "{kind} {flags}");
        }
    }
}

#[test]
fn a_control_message_is_at_most_4_kib() {
    let message = |bytes| {
        let goodbye = Goodbye { reason: Reason::Storage, message: "x".repeat(bytes) };
        Message::decode(Message::Goodbye(goodbye).encode())
    };
    // One byte of reason, two of length.
    assert!(message(CONTROL_BYTES_MAX - 3).is_ok());
    assert!(matches!(message(CONTROL_BYTES_MAX - 2), Err(DecodeError::Limit { .. })));
}

#[test]
fn small_changes_are_one_frame() {
    let operations = operations(3, 10);
    let bodies = encode_changes(Seq(4), Seq(6), &operations);
    let [body] = &bodies[..] else { panic!("{} frames", bodies.len()) };
    let Ok(Message::Changes(frame)) = Message::decode(body.clone()) else { panic!("no changes") };
    assert!(!frame.more);
    let changes = changes(Range::new(Seq(4), Seq(6)), operations);
    assert_eq!(Changes::decode(&frame.payload), Ok(changes));
}

#[test]
fn large_changes_are_cut_and_put_together() {
    let operations = operations(50, 64 * 1024);
    let bodies = encode_changes(Seq(4), Seq(5), &operations);
    assert!(bodies.len() > 3);
    let mut payload = Vec::new();
    for (at, body) in bodies.iter().enumerate() {
        assert!(body.len() <= BODY_BYTES_MAX);
        let Ok(Message::Changes(frame)) = Message::decode(body.clone()) else {
            panic!("no changes")
        };
        assert_eq!(frame.more, at + 1 < bodies.len());
        assert!(Changes::decode(&payload).is_err(), "complete before the last frame");
        payload.extend_from_slice(&frame.payload);
    }
    let changes = changes(Range::new(Seq(4), Seq(5)), operations);
    assert_eq!(Changes::decode(&payload), Ok(changes));
}

/// Bodies that are copied, handed over and cut, in turns.
#[test]
fn what_a_feed_encodes_depends_on_nothing_before_it() {
    let mut feed = FeedEncoder::default();
    let range = Range::new(Seq(4), Seq(5));
    for kib in [1, 100, 2, 1_500, 64, 63, 900, 3] {
        let operations = operations(1, kib * 1024);
        let frames = feed.encode(&range, &operations).frames;
        let fresh = FeedEncoder::default().encode(&range, &operations).frames;
        assert!(frames == fresh, "{kib} KiB differ");
    }
}

#[test]
fn a_piece_of_a_roll_is_one_frame_or_none() {
    let named: Vec<_> = operations(3, 0)
        .into_iter()
        .map(|operation| Operation { change: Change::Update(vec![]), ..operation })
        .collect();
    let body = encode_roll(Seq(4), Seq(6), &named).unwrap();
    let Ok(Message::Roll(payload)) = Message::decode(body) else { panic!("no roll") };
    let roll = changes(Range::new(Seq(4), Seq(6)), named);
    assert_eq!(Changes::decode(&payload), Ok(roll));
    assert_eq!(encode_roll(Seq(4), Seq(6), &operations(50, 64 * 1024)), None);
}

fn changes(range: Range, operations: Vec<Operation>) -> Changes {
    let values = operations.iter().map(Operation::value_count).sum();
    Changes { range, operations, values }
}

/// A payload of nothing, with this range.
fn payload(range: &Range) -> Vec<u8> {
    let mut payload = range.encode(&[]).concat();
    payload.split_off(HEADER_BYTES)
}

fn root(incarnation: u64) -> Checkpoint {
    Checkpoint { incarnation: Incarnation(incarnation), seq: Seq(incarnation + 1) }
}

#[test]
fn what_is_known_of_a_range_comes_back() {
    let roots = (1..=ROOTS_MAX as u64).map(root).collect();
    let ranges = [
        Range { left_out: true, ..Range::new(Seq(4), Seq(6)) },
        Range { roots, ..Range::new(Seq(4), Seq(6)) },
    ];
    for range in ranges {
        let payload = payload(&range);
        assert_eq!(Changes::decode(&payload), Ok(changes(range, vec![])));
        for end in 0..payload.len() {
            assert!(Changes::decode(&payload[..end]).is_err(), "cut to {end} bytes");
        }
    }
}

#[test]
fn what_is_wrong_of_a_range_is_refused() {
    let refused = |payload: &[u8]| match Changes::decode(payload) {
        Err(DecodeError::Malformed { what, .. } | DecodeError::Limit { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    let back = payload(&Range::new(Seq(5), Seq(4)));
    assert_eq!(refused(&back), "range of seqs");
    for roots in [vec![root(2), root(1)], vec![root(2), root(2)]] {
        let range = Range { roots, ..Range::new(Seq(4), Seq(5)) };
        assert_eq!(refused(&payload(&range)), "order of roots");
    }
    let with = |left_out: u8, roots: u8| {
        let range = Range { roots: vec![root(1)], ..Range::new(Seq(4), Seq(5)) };
        let mut payload = payload(&range);
        payload[16..18].copy_from_slice(&[left_out, roots]);
        payload
    };
    assert_eq!(refused(&with(2, 0)), "whether something is left out");
    assert_eq!(refused(&with(1, 1)), "whether something is left out");
    assert_eq!(refused(&with(0, 17)), "number of roots");
}
