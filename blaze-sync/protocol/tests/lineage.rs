//! Files that go back and files that are copied: the feeds' histories tell.

mod common;

use blaze_codec::message::Reason;
use blaze_codec::{Checkpoint, Incarnation, Mode, NodeId, Seq, record};
use blaze_sync_protocol::{Event, Input, SessionError};
use common::{Replica, acceptor, at, connected, connector, exchange};

const BOTH: Mode = Mode::Bidirectional;

/// A replica with ten commits that was backed up after four, and its peer, which
/// has all ten.
fn backed_up() -> (Replica, Replica, Replica) {
    let backup = Replica::filled(1, 4);
    let mut original = backup.clone();
    (0..6).for_each(|_| original.commit(record! { "n" => 1 }));
    let (original, peer) = connected(at(1), BOTH, original, Replica::new(2));
    (backup, original.replica, peer.replica)
}

#[test]
fn a_restored_feed_goes_on_from_where_it_was_the_same_and_gets_back_what_it_lost() {
    // It may have gone on by less or more than what it lost.
    for later in [0, 1, 6, 20] {
        let (mut restored, original, peer) = backed_up();
        restored.reopen(11);
        restored.clock_ms += 1_000;
        for n in 0..later {
            restored.commit(record! { "later" => n });
        }
        let (mut a, mut b) = connected(at(2), BOTH, restored, peer);
        assert!(a.replica.seen.is_superset(&original.seen), "after {later} more");
        assert_eq!(a.replica.seen, b.replica.seen, "after {later} more");
        let (held, common) = (Seq(10), Seq(4));
        assert!(a.events.contains(&Event::WentBack { held, common }), "{:?}", a.events);
        assert!(b.events.contains(&Event::PeerWentBack { held, common }), "{:?}", b.events);
        // The peer's checkpoint passes what it knew, and then that is settled.
        a.input(at(2_000), Input::Timeout).unwrap();
        exchange(at(2_000), &mut a, &mut b).unwrap();
        let (a, b) = connected(at(3_000), BOTH, a.replica, b.replica);
        assert!(!a.events.iter().any(|event| matches!(event, Event::WentBack { .. })));
        assert!(!b.events.iter().any(|event| matches!(event, Event::PeerWentBack { .. })));
    }
}

#[test]
fn a_backup_of_some_openings_ago_goes_on_from_the_opening_that_it_is_of() {
    let (backup, mut original, mut peer) = backed_up();
    for incarnation in 21..24 {
        original.reopen(incarnation);
        original.commit(record! { "n" => 1 });
        let (a, b) = connected(at(1), BOTH, original, peer);
        (original, peer) = (a.replica, b.replica);
    }
    let mut restored = backup;
    restored.reopen(31);
    let (a, b) = connected(at(2), BOTH, restored, peer);
    let (held, common) = (Seq(13), Seq(4));
    assert!(b.events.contains(&Event::PeerWentBack { held, common }), "{:?}", b.events);
    assert!(a.events.contains(&Event::WentBack { held, common }), "{:?}", a.events);
    assert_eq!((a.changes_sent, &a.replica.seen), (0, &original.seen));
}

#[test]
fn a_feed_without_a_common_past_is_read_from_the_start() {
    let (_, _, peer) = backed_up();
    let mut other = Replica::filled(1, 12);
    other.history = Incarnation(99).into();
    let (a, b) = connected(at(2), BOTH, other, peer);
    assert!(b.events.contains(&Event::PeerWentBack { held: Seq(10), common: Seq::ZERO }));
    assert_eq!(a.changes_sent, 12);
}

#[test]
fn a_peer_that_is_ahead_on_another_link_is_no_backup() {
    let (_, original, mut peer) = backed_up();
    let mut a = connector(original, BOTH);
    // Said before a commit that another link has carried already.
    peer.trail[0].seq = Seq(11);
    let mut b = acceptor(peer);
    exchange(at(2), &mut a, &mut b).unwrap();
    a.commit(at(3));
    b.replica.seen = a.replica.seen.clone();
    a.commit(at(3));
    exchange(at(3), &mut a, &mut b).unwrap();
    for event in a.events.iter().chain(&b.events) {
        assert!(!matches!(event, Event::WentBack { .. } | Event::PeerWentBack { .. }), "{event:?}");
    }
    assert_eq!(a.replica.seen, b.replica.seen);
}

#[test]
fn a_copy_with_an_id_of_its_own_exchanges_what_came_after_the_copying() {
    let (_, mut original, _) = backed_up();
    let mut copy = original.clone();
    copy.former = vec![copy.node];
    copy.node = NodeId::from_bytes([7; 16]);
    copy.trail.clear();
    original.trail.clear();
    copy.reopen(12);
    copy.clock_ms += 1_000;
    original.reopen(13);
    copy.commit(record! { "by" => "copy" });
    copy.commit(record! { "by" => "copy" });
    original.commit(record! { "by" => "original" });
    let (a, b) = connected(at(2), BOTH, copy, original);
    assert_eq!((a.changes_sent, b.changes_sent), (2, 1));
    assert_eq!(a.replica.seen, b.replica.seen);
}

#[test]
fn a_peer_of_the_original_does_not_take_a_copy_for_a_stranger() {
    let (_, original, peer) = backed_up();
    let mut copy = original;
    copy.former = vec![copy.node];
    copy.node = NodeId::from_bytes([7; 16]);
    copy.reopen(12);
    copy.commit(record! { "by" => "copy" });
    // The harness answers with the one trail that there is, the original's; it has gone
    // on since.
    let mut peer = peer;
    peer.trail_is_former = true;
    peer.trail.insert(0, Checkpoint { incarnation: Incarnation(50), seq: Seq(12) });
    let (a, b) = connected(at(2), BOTH, copy, peer);
    for event in a.events.iter().chain(&b.events) {
        assert!(!matches!(event, Event::WentBack { .. } | Event::PeerWentBack { .. }), "{event:?}");
    }
    assert_eq!(a.changes_sent, 1);
    assert_eq!(a.replica.head(), Seq(11), "nothing came back");
    assert_eq!(a.replica.seen, b.replica.seen);
}

#[test]
fn who_is_found_to_be_a_copy_is_told_so_and_may_come_back() {
    let (_, original, peer) = backed_up();
    let (mut a, mut b) = (connector(original, BOTH), acceptor(peer));
    exchange(at(1), &mut a, &mut b).unwrap();
    b.input(at(2), Input::Copied).unwrap();
    let error = a.input(at(2), Input::Frame(b.sent.pop_back().unwrap())).unwrap_err();
    assert!(error.to_string().contains("is a copy") && error.is_retryable(), "{error}");
    let error = b.input(at(3), Input::Disconnected("gone".into())).unwrap_err();
    assert!(matches!(error, SessionError::Copied { .. }), "{error}");
    assert!(b.sent.is_empty(), "it has said goodbye");
}

#[test]
fn two_copies_that_refuse_each_other_are_both_told() {
    let (_, original, peer) = backed_up();
    let (mut a, mut b) = (connector(original, BOTH), acceptor(peer));
    exchange(at(1), &mut a, &mut b).unwrap();
    a.input(at(2), Input::Copied).unwrap();
    b.input(at(2), Input::Copied).unwrap();
    let (from_a, from_b) = (a.sent.pop_back().unwrap(), b.sent.pop_back().unwrap());
    for error in [
        a.input(at(2), Input::Frame(from_b)).unwrap_err(),
        b.input(at(2), Input::Frame(from_a)).unwrap_err(),
    ] {
        assert!(matches!(error, SessionError::PeerLeft { reason: Reason::SameNode, .. }));
    }
}

#[test]
fn a_copy_that_does_not_go_is_left() {
    let (_, original, peer) = backed_up();
    let (mut a, mut b) = (connector(original, BOTH), acceptor(peer));
    exchange(at(1), &mut a, &mut b).unwrap();
    b.input(at(2), Input::Copied).unwrap();
    a.commit(at(3));
    while let Some(frame) = a.sent.pop_front() {
        b.input(at(3), Input::Frame(frame)).unwrap();
    }
    assert!(!b.replica.seen.is_superset(&a.replica.seen), "nothing more is merged");
    let due = b.session.poll_timeout().unwrap();
    b.input(at(due - 1), Input::Timeout).unwrap();
    let error = b.input(at(due), Input::Timeout).unwrap_err();
    assert!(matches!(error, SessionError::Copied { .. }), "{error}");
}
