//! Who is registered, what settles, and what becomes of a peer that missed tombstones.

mod common;

use blaze_codec::message::{Message, encode_changes, encode_roll};
use blaze_codec::{Mode, Seq, record};
use blaze_sync_protocol::{Event, Input, Moment, SessionError};
use common::{End, Replica, acceptor, at, connected, connector, exchange};

fn settled(end: &End) -> Option<Seq> {
    let settled = end.events.iter().rev();
    settled.clone().find_map(|event| match event {
        Event::Settled(seq) => Some(*seq),
        _ => None,
    })
}

/// Lets both tell what the other knows anyway.
fn tell(now: Moment, a: &mut End, b: &mut End) {
    a.input(now, Input::Timeout).unwrap();
    b.input(now, Input::Timeout).unwrap();
    exchange(now, a, b).unwrap();
}

#[test]
fn both_sides_register_each_other_with_what_they_hold_and_all_settles() {
    let (mut a, mut b) =
        connected(at(1), Mode::Bidirectional, Replica::filled(1, 4), Replica::filled(2, 3));
    assert_eq!((&a.registered[..], &b.registered[..]), (&[Seq(0)][..], &[Seq(0)][..]));
    tell(at(2_000), &mut a, &mut b);
    assert_eq!((settled(&a), settled(&b)), (Some(a.replica.head()), Some(b.replica.head())));
    a.commit(at(2_000));
    exchange(at(2_000), &mut a, &mut b).unwrap();
    tell(at(4_000), &mut a, &mut b);
    assert_eq!(settled(&a), Some(a.replica.head()));

    let (mut a, mut b) = (connector(a.replica, Mode::Bidirectional), acceptor(b.replica));
    exchange(at(3), &mut a, &mut b).unwrap();
    assert_eq!(
        (&a.registered[..], &b.registered[..]),
        (&[a.replica.head()][..], &[b.replica.head()][..])
    );
}

#[test]
fn where_changes_go_one_way_a_peer_that_receives_nothing_holds_nothing() {
    let (a, b) = connected(at(1), Mode::WriteOnly, Replica::filled(1, 3), Replica::filled(2, 2));
    assert_eq!((&a.registered[..], &b.registered[..]), (&[Seq(0)][..], &[Seq(0)][..]));
    assert_eq!((settled(&a), settled(&b)), (Some(Seq(3)), None));
}

#[test]
fn an_ack_settles_when_what_the_peer_had_then_is_merged() {
    let (mut a, mut b) = connected(at(1), Mode::Bidirectional, Replica::new(1), Replica::new(2));
    // While a merges something of b's, b acknowledges what a sends, with more of its own
    // on the way.
    a.merges_wait = true;
    b.commit(at(2));
    let first = b.sent.pop_front().unwrap();
    a.input(at(2), Input::Frame(first)).unwrap();
    b.commit(at(2));
    a.commit(at(2));
    exchange(at(2), &mut a, &mut b).unwrap();
    assert!(a.events.contains(&Event::PeerAcked(Seq(2))), "{:?}", a.events);
    assert_eq!(settled(&a), None, "what arrived isn't merged yet");
    a.merges_wait = false;
    let head = a.replica.head();
    a.input(at(3), Input::Merged { head }).unwrap();
    exchange(at(3), &mut a, &mut b).unwrap();
    tell(at(2_000), &mut a, &mut b);
    assert_eq!(settled(&a), Some(a.replica.head()));
}

/// Two that were the same, of which the second has been away while the first removed
/// tombstones, and has written something itself.
fn missed() -> (Replica, Replica) {
    let (mut a, mut b) =
        connected(at(1), Mode::Bidirectional, Replica::filled(1, 5), Replica::filled(2, 3));
    (0..2).for_each(|_| a.replica.commit(record! { "n" => 2 }));
    b.replica.commit(record! { "n" => 3 });
    a.replica.purged = a.replica.head();
    (a.replica, b.replica)
}

#[test]
fn a_peer_that_missed_tombstones_names_all_that_was_merged_before_it_is_sent_anything() {
    let (a, b) = missed();
    let (before, merged) = (b.seen.clone(), usize::try_from(a.trail[0].seq.0).unwrap());
    assert!(merged < b.commits.len());
    let (mut a, mut b) = (connector(a, Mode::Bidirectional), acceptor(b));
    a.merges_wait = true;
    exchange(at(2), &mut a, &mut b).unwrap();
    assert!(a.events.contains(&Event::MissedTombstones));
    assert!(!b.events.contains(&Event::MissedTombstones));
    assert_eq!(a.changes_sent, 0, "its place must not pass what it missed yet");
    assert_eq!(b.replica.seen, before);

    a.merges_wait = false;
    let head = a.replica.head();
    a.input(at(3), Input::Merged { head }).unwrap();
    exchange(at(3), &mut a, &mut b).unwrap();
    let named = a.replica.rolled.iter().map(|operation| operation.version);
    let merged = b.replica.commits[..merged].iter();
    assert!(named.eq(merged.flat_map(|commit| &commit.1).map(|operation| operation.version)));
    assert_eq!(a.replica.seen, b.replica.seen, "what it wrote itself is sent, as ever");
    assert!(b.replica.rolled.is_empty());
}

#[test]
fn both_may_have_missed_tombstones() {
    let (a, mut b) = missed();
    b.purged = b.head();
    let mut a = a;
    // It went back, as after a power cut.
    a.trail[0].seq = Seq(1);
    let (mut a, mut b) = (connector(a, Mode::Bidirectional), acceptor(b));
    exchange(at(2), &mut a, &mut b).unwrap();
    assert!(!a.replica.rolled.is_empty() && !b.replica.rolled.is_empty());
    assert_eq!(a.replica.seen, b.replica.seen);
}

#[test]
fn a_peer_that_went_back_names_what_it_has() {
    // What it deleted and forgot after the backup nobody else may ever have heard of.
    let (a, b) =
        connected(at(1), Mode::Bidirectional, Replica::filled(1, 1), Replica::filled(2, 3));
    let (a, mut b) = (a.replica, b.replica);
    b.commits.truncate(2);
    b.reopen(9);
    let (mut a, mut b) = (connector(a, Mode::Bidirectional), acceptor(b));
    exchange(at(2), &mut a, &mut b).unwrap();
    assert!(a.events.contains(&Event::MissedTombstones), "{:?}", a.events);
    assert_eq!(a.replica.rolled.len(), 2);
}

#[test]
fn what_is_no_roll_or_wasn_t_asked_for_is_refused() {
    let operations = Replica::filled(2, 1).commits[0].1.clone();
    let roll = |after, through| encode_roll(Seq(after), Seq(through), &[]).unwrap();
    let changes = encode_changes(Seq(3), Seq(4), &[]).remove(0);
    let inserts = encode_roll(Seq(0), Seq(1), &operations).unwrap();
    for (wrong, says) in [
        (roll(0, 9), "in order and to its end"),
        (roll(1, 2), "in order and to its end"),
        (roll(0, 0), "in order and to its end"),
        (changes, "after the roll"),
        (inserts, "names records and changes none"),
    ] {
        let (a, b) = missed();
        let (mut a, mut b) = (connector(a, Mode::Bidirectional), acceptor(b));
        a.input(at(2), Input::Head(a.replica.head())).unwrap();
        // Until b has to answer with its roll.
        while !a.events.contains(&Event::MissedTombstones) {
            let frame = a.sent.pop_front();
            if let Some(frame) = frame {
                b.input(at(2), Input::Frame(frame)).unwrap();
            }
            let frame = b.sent.pop_front().expect("it answers");
            a.input(at(2), Input::Frame(frame)).unwrap();
        }
        let error = a.input(at(2), Input::Frame(wrong)).unwrap_err();
        assert!(error.to_string().contains(says), "{error}, not {says}");
    }
    let (mut a, _b) =
        connected(at(1), Mode::Bidirectional, Replica::filled(1, 1), Replica::filled(2, 1));
    let error = a.input(at(2), Input::Frame(roll(0, 1))).unwrap_err();
    assert!(matches!(error, SessionError::Violation { .. }), "{error}");
}

#[test]
fn changes_before_a_start_are_refused() {
    let mut b = acceptor(Replica::new(2));
    b.input(at(1), Input::Frame(common::hello(|_| ()))).unwrap();
    assert!(
        !b.sent.iter().any(|frame| matches!(Message::decode(frame.clone()), Ok(Message::Start(_))))
    );
    let changes = encode_changes(Seq(0), Seq(1), &[]).remove(0);
    let error = b.input(at(1), Input::Frame(changes)).unwrap_err();
    assert!(error.to_string().contains("after a start"), "{error}");
}
