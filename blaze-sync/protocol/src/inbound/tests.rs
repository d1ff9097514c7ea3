use blaze_codec::message::{Message, encode_changes};
use blaze_codec::{Hlc, Incarnation, RecordKey, Version};
use bytes::Bytes;

use super::group::{CATCH_UP_BYTES_MAX, CATCH_UP_LOAD_MAX};
use super::*;

fn history() -> Arc<History> {
    Arc::new(Incarnation(1).into())
}

fn inbound() -> Inbound {
    started(100)
}

fn started(window: u64) -> Inbound {
    let peer = NodeId::from_bytes([2; 16]);
    let mut inbound = Inbound::new(peer, history(), Seq::ZERO, window);
    assert_eq!(inbound.start(true), Start { roll: None }, "nothing was merged before");
    inbound
}

fn frame(body: Bytes) -> ChangesFrame {
    match Message::decode(body) {
        Ok(Message::Changes(frame)) => frame,
        other => panic!("not changes: {other:?}"),
    }
}

fn changes(after: u64, through: u64) -> ChangesFrame {
    frame(encode_changes(Seq(after), Seq(through), &[])[0].clone())
}

#[test]
fn a_gap_is_refused_and_overlap_is_not() {
    let mut inbound = inbound();
    assert!(inbound.frame(changes(1, 2), 10, 0).is_err());
    let mut inbound = self::inbound();
    inbound.frame(changes(0, 2), 10, 0).unwrap();
    inbound.frame(changes(1, 3), 10, 0).unwrap();
    assert_eq!(inbound.poll_batch(Seq::ZERO, false).unwrap().checkpoint.unwrap().seq, Seq(3));
}

#[test]
fn what_was_merged_over_another_link_is_passed_and_not_merged_again() {
    let version = Version { hlc: Hlc::from_bits(1), ..Version::ZERO };
    let operation = Operation {
        collection: "notes".parse().unwrap(),
        key: RecordKey::Int(1),
        version,
        base: Version::ZERO,
        change: Change::Delete,
    };
    for (held, count) in [(0, 1), (1, 1), (2, 0), (9, 0)] {
        let mut inbound = inbound().holding(Seq(held));
        let body = encode_changes(Seq::ZERO, Seq(2), std::slice::from_ref(&operation));
        inbound.frame(frame(body[0].clone()), 10, u64::MAX).unwrap();
        let batch = inbound.poll_batch(Seq::ZERO, false).unwrap();
        assert_eq!((batch.checkpoint.unwrap().seq, batch.operations.len()), (Seq(2), count));
    }
}

#[test]
fn more_than_the_credit_is_refused() {
    let mut inbound = inbound();
    inbound.frame(changes(0, 1), 100, 0).unwrap();
    assert_eq!(
        inbound.frame(changes(1, 2), 1, 0),
        Err(SessionError::Violation { rule: "changes stay within their credit" })
    );
}

#[test]
fn what_arrives_while_merging_is_merged_together_and_acked_when_durable() {
    let (mut inbound, mut acked) = (inbound(), Seq::ZERO);
    inbound.frame(changes(0, 1), 10, 0).unwrap();
    assert_eq!(inbound.poll_batch(Seq::ZERO, false).unwrap().checkpoint.unwrap().seq, Seq(1));
    inbound.frame(changes(1, 2), 20, 0).unwrap();
    inbound.frame(changes(2, 3), 20, 0).unwrap();
    assert_eq!(inbound.poll_batch(Seq::ZERO, false), None);
    assert_eq!(inbound.poll_ack(&mut acked, Seq::ZERO), None, "nothing is durable yet");
    inbound.merged_batch();
    assert_eq!(
        inbound.poll_ack(&mut acked, Seq::ZERO),
        Some(Ack { through: Seq(1), credit: 10, head: Seq::ZERO })
    );
    assert_eq!(inbound.poll_batch(Seq::ZERO, false).unwrap().checkpoint.unwrap().seq, Seq(3));
    inbound.merged_batch();
    assert_eq!(
        inbound.poll_ack(&mut acked, Seq::ZERO),
        Some(Ack { through: Seq(3), credit: 40, head: Seq::ZERO })
    );
}

#[test]
fn a_part_of_what_a_seq_changed_reaches_no_place() {
    let operation = blaze_codec::Operation {
        collection: blaze_codec::Name::new("notes").unwrap(),
        key: 1.into(),
        version: blaze_codec::Version { hlc: blaze_codec::Hlc::from_bits(1), ..Default::default() },
        base: blaze_codec::Version::ZERO,
        change: blaze_codec::Change::Delete,
    };
    let part = |after, through| {
        frame(encode_changes(Seq(after), Seq(through), std::slice::from_ref(&operation))[0].clone())
    };
    let mut inbound = inbound();
    inbound.frame(part(0, 5), 10, 0).unwrap();
    inbound.frame(part(5, 5), 10, 0).unwrap();
    let places = |inbound: &mut Inbound| {
        let place = inbound
            .poll_batch(Seq::ZERO, false)
            .map(|batch| batch.checkpoint.map(|place| place.seq));
        inbound.merged_batch();
        place
    };
    // What is whole goes first, by itself.
    assert_eq!(places(&mut inbound), Some(Some(Seq(5))));
    assert_eq!(places(&mut inbound), Some(None));
    assert_eq!(inbound.merged(), Seq(5));
    inbound.frame(part(5, 5), 10, 0).unwrap();
    inbound.frame(part(5, 6), 10, 0).unwrap();
    assert_eq!(places(&mut inbound), Some(Some(Seq(6))), "its last part came meanwhile");
}

fn place(incarnation: u64, seq: u64) -> Checkpoint {
    Checkpoint { incarnation: Incarnation(incarnation), seq: Seq(seq) }
}

/// One operation, as the change of a seq.
fn written(seq: u64, left_out: bool, roots: &[Checkpoint]) -> ChangesFrame {
    let version = blaze_codec::Version { hlc: Hlc::from_bits(seq), ..Default::default() };
    let operation = Operation {
        collection: "notes".parse().unwrap(),
        key: 1.into(),
        version,
        base: blaze_codec::Version::ZERO,
        change: blaze_codec::Change::Delete,
    };
    let range = Range::new(Seq(seq - 1), Seq(seq));
    let range = Range { left_out, roots: roots.to_vec(), ..range };
    frame(range.encode(&[operation])[0].clone())
}

#[test]
fn what_is_merged_has_the_roots_of_its_frames_or_their_own_places() {
    let mut inbound = inbound();
    inbound.frame(changes(0, 1), 9, 0).unwrap();
    assert_eq!(inbound.poll_batch(Seq::ZERO, false).unwrap().roots, [], "there is nothing of it");
    let told = inbound.frame(written(2, false, &[place(5, 8), place(7, 3)]), 9, 0);
    assert_eq!(told, Ok(vec![place(5, 8), place(7, 3)]));
    assert_eq!(inbound.frame(written(3, false, &[]), 9, 0), Ok(vec![]));
    inbound.frame(changes(3, 4), 9, 0).unwrap();
    inbound.merged_batch();
    let roots = inbound.poll_batch(Seq::ZERO, false).unwrap().roots;
    assert_eq!(roots, [place(1, 3), place(5, 8), place(7, 3)]);
}

#[test]
fn what_leaves_something_out_has_no_roots_until_nothing_is_left_out() {
    let mut inbound = inbound();
    inbound.granted = u64::MAX;
    inbound.frame(written(1, true, &[]), CATCH_UP_BYTES_MAX, 0).unwrap();
    let batch = inbound.poll_batch(Seq::ZERO, false).expect("it is too much to keep");
    assert_eq!((batch.checkpoint, batch.step), (None, Some(place(1, 1))));
    assert_eq!(batch.roots, []);
    inbound.frame(written(2, true, &[]), 9, 0).unwrap();
    inbound.frame(written(3, false, &[]), 9, 0).unwrap();
    inbound.merged_batch();
    assert_eq!(inbound.poll_batch(Seq::ZERO, false).unwrap().roots, [place(1, 3)]);
}

#[test]
fn what_leaves_something_out_is_merged_with_the_first_that_does_not() {
    let (mut inbound, mut acked) = (inbound(), Seq::ZERO);
    // It doesn't matter that one comes twice.
    for seq in [1, 2, 3, 4, 4, 5, 6, 7, 8] {
        inbound.frame(written(seq, true, &[]), 60, 0).unwrap();
        assert_eq!(inbound.poll_batch(Seq::ZERO, false), None, "seq {seq}");
        let ack = inbound.poll_ack(&mut acked, Seq::ZERO);
        assert_eq!(
            ack,
            Some(Ack { through: Seq(0), credit: 60, head: Seq::ZERO }),
            "the sender goes on"
        );
    }
    inbound.frame(written(9, false, &[]), 60, 0).unwrap();
    let batch = inbound.poll_batch(Seq::ZERO, false).unwrap();
    assert_eq!((batch.checkpoint, batch.operations.len()), (Some(place(1, 9)), 10));
    inbound.merged_batch();
    let ack = inbound.poll_ack(&mut acked, Seq::ZERO);
    assert_eq!(ack, Some(Ack { through: Seq(9), credit: 60, head: Seq::ZERO }), "once each");
}

#[test]
fn what_was_whole_before_is_not_kept_back_and_what_is_too_much_goes_in_steps() {
    let mut inbound = inbound();
    inbound.granted = u64::MAX;
    let half = CATCH_UP_BYTES_MAX / 2;
    for (seq, left_out) in [(1, false), (2, false), (3, true), (4, true), (5, true)] {
        inbound.frame(written(seq, left_out, &[]), half, 0).unwrap();
    }
    let mut step = || {
        let batch = inbound.poll_batch(Seq::ZERO, false);
        inbound.merged_batch();
        batch.map(|batch| (batch.checkpoint, batch.step))
    };
    let steps = [Some((Some(place(1, 2)), None)), Some((None, Some(place(1, 4)))), None];
    assert_eq!([step(), step(), step()], steps);
}

#[test]
fn pieces_give_their_credit_back_before_the_end() {
    let whole = BODY_BYTES_MAX as u64;
    let (mut inbound, mut acked) = (started(2 * whole), Seq::ZERO);
    let payload = Bytes::from(vec![0; BODY_BYTES_MAX - 2]);
    let piece = ChangesFrame { more: true, payload };
    inbound.frame(piece, whole, 0).unwrap();
    assert_eq!(inbound.poll_batch(Seq::ZERO, false), None);
    assert_eq!(
        inbound.poll_ack(&mut acked, Seq::ZERO),
        Some(Ack { through: Seq(0), credit: whole, head: Seq::ZERO })
    );

    let piece = ChangesFrame { more: true, payload: Bytes::from_static(b"too short") };
    assert!(inbound.frame(piece, 11, 0).is_err());
}

/// Changes of one seq that hold so many nulls, in few bytes.
fn nulls(seq: u64, left_out: bool, count: usize) -> ChangesFrame {
    const FIELDS: usize = 1_000;
    let names = (0..FIELDS).map(|number| format!("{number:04}").parse().unwrap());
    let record: blaze_codec::Record = names.map(|name| (name, blaze_codec::Value::Null)).collect();
    let operation = |key: usize| Operation {
        collection: "notes".parse().unwrap(),
        key: RecordKey::Int(i64::try_from(key).unwrap()),
        version: Version { hlc: Hlc::from_bits(1), ..Version::ZERO },
        base: Version::ZERO,
        change: Change::Insert(record.clone()),
    };
    let operations: Vec<_> = (0..count / FIELDS).map(operation).collect();
    let range = Range { left_out, ..Range::new(Seq(seq - 1), Seq(seq)) };
    let [body] = &range.encode(&operations)[..] else { panic!("one frame") };
    frame(body.clone())
}

#[test]
fn few_bytes_that_stand_for_much_are_decoded_one_after_the_other() {
    let mut inbound = inbound();
    let root = place(7, 3);
    for seq in 1..=3 {
        assert!(inbound.frame(nulls(seq, false, LOAD_MAX), 10, 0).unwrap().is_empty());
    }
    assert_eq!(inbound.frame(written(4, false, &[root]), 10, 0), Ok(vec![]), "it isn't decoded");
    for seq in 1..=3 {
        let batch = inbound.poll_batch(Seq::ZERO, false).unwrap();
        let values: usize = batch.operations.iter().map(Operation::value_count).sum();
        assert_eq!((batch.checkpoint, values / 1_000), (Some(place(1, seq)), LOAD_MAX / 1_000));
        assert!(inbound.load < 2 * LOAD_MAX, "{}", inbound.load);
        assert_eq!(inbound.merged_batch(), Some(Seq(seq)));
        let roots = if seq == 3 { vec![root] } else { vec![] };
        assert_eq!(inbound.decode_arrived(), Ok(roots), "seq {seq}");
    }
    let batch = inbound.poll_batch(Seq::ZERO, false).unwrap();
    assert_eq!((batch.checkpoint, batch.roots), (Some(place(1, 4)), vec![root]));
    inbound.merged_batch();
    let mut acked = Seq::ZERO;
    let ack = inbound.poll_ack(&mut acked, Seq::ZERO);
    assert_eq!(ack, Some(Ack { through: Seq(4), credit: 40, head: Seq::ZERO }), "once each");
    assert_eq!(inbound.load, 0);
}

#[test]
fn what_is_wrong_behind_much_is_refused_when_it_is_decoded() {
    let mut inbound = inbound();
    inbound.frame(nulls(1, false, LOAD_MAX), 10, 0).unwrap();
    inbound.frame(changes(7, 8), 10, 0).unwrap();
    inbound.poll_batch(Seq::ZERO, false).unwrap();
    assert_eq!(inbound.merged_batch(), Some(Seq(1)));
    let rule = "changes follow what was sent before";
    assert_eq!(inbound.decode_arrived(), Err(SessionError::Violation { rule }));
}

#[test]
fn what_leaves_something_out_goes_in_steps_when_it_is_much_in_memory() {
    let mut inbound = inbound();
    let half = CATCH_UP_LOAD_MAX / 2 - 1_000 * 1_000;
    for seq in 1..=2 {
        inbound.frame(nulls(seq, true, half), 10, 0).unwrap();
        assert_eq!(inbound.poll_batch(Seq::ZERO, false), None, "there is room for more");
    }
    inbound.frame(nulls(3, true, half), 10, 0).unwrap();
    let batch = inbound.poll_batch(Seq::ZERO, false).unwrap();
    assert_eq!((batch.checkpoint, batch.step), (None, Some(place(1, 2))));
    inbound.merged_batch();
    assert_eq!(inbound.poll_batch(Seq::ZERO, false), None, "the rest is kept back");
}

#[test]
fn what_is_kept_does_not_keep_all_that_was_read_with_it() {
    let mut inbound = inbound();
    inbound.frame(nulls(1, false, LOAD_MAX), 10, 0).unwrap();
    let small = changes(1, 2);
    let read = Bytes::from([&small.payload[..], &vec![0; 64 * 1024]].concat());
    let payload = read.slice(..small.payload.len());
    inbound.frame(ChangesFrame { more: false, payload }, 10, 0).unwrap();
    assert_eq!(inbound.arrived.len(), 1, "it waits");
    assert!(read.is_unique(), "64 KiB are kept for {} bytes", small.payload.len());
    inbound.poll_batch(Seq::ZERO, false).unwrap();
    inbound.merged_batch();
    inbound.decode_arrived().unwrap();
    assert_eq!(inbound.received(), Seq(2));
}

#[test]
fn nothing_more_is_decoded_beside_a_merge_for_what_is_kept_back() {
    let mut inbound = inbound();
    inbound.frame(nulls(1, false, LOAD_MAX), 10, 0).unwrap();
    inbound.poll_batch(Seq::ZERO, false).unwrap();
    for seq in 2..=3 {
        inbound.frame(nulls(seq, true, LOAD_MAX), 10, 0).unwrap();
        assert_eq!((inbound.received(), inbound.pending.len()), (Seq(1), 0));
    }
    inbound.merged_batch();
    inbound.decode_arrived().unwrap();
    assert_eq!((inbound.received(), inbound.pending.len()), (Seq(3), 1), "there is room now");
    assert_eq!(inbound.poll_batch(Seq::ZERO, false), None, "they are kept back");
}

#[test]
fn what_was_merged_before_takes_no_room() {
    let mut inbound = inbound().holding(Seq(9));
    for seq in 1..=9 {
        inbound.frame(nulls(seq, false, LOAD_MAX), 10, 0).unwrap();
    }
    assert_eq!((inbound.load, inbound.received()), (0, Seq(9)));
}
