//! Which changes cross a link, once and whole, and from where a new session goes on.

mod common;

use blaze_codec::message::encode_changes;
use blaze_codec::{Hlc, HlcClock, Mode, Seq, record};
use blaze_sync_protocol::{Event, Input, SessionError};
use common::{Replica, WALL_MS, acceptor, at, connected, connector, exchange};

#[test]
fn both_sides_catch_up_then_follow_live_and_know_it() {
    let (mut a, mut b) =
        connected(at(1), Mode::Bidirectional, Replica::filled(1, 10), Replica::filled(2, 7));
    assert_eq!(a.replica.seen, b.replica.seen);
    assert_eq!(a.replica.seen.len(), 17);
    assert!(a.events.contains(&Event::CaughtUp) && b.events.contains(&Event::CaughtUp));

    a.commit(at(2));
    exchange(at(2), &mut a, &mut b).unwrap();
    assert_eq!(a.replica.seen, b.replica.seen);
    let head = a.replica.head();
    assert_eq!(a.events.last(), Some(&Event::PeerAcked(head)));
}

#[test]
fn modes_carry_one_way_only() {
    for (mode, a_gets, b_gets) in [(Mode::ReadOnly, 5, 2), (Mode::WriteOnly, 3, 5)] {
        let (a, b) = connected(at(1), mode, Replica::filled(1, 3), Replica::filled(2, 2));
        assert_eq!((a.replica.seen.len(), b.replica.seen.len()), (a_gets, b_gets), "{mode}");
    }
}

#[test]
fn changes_against_the_mode_end_the_session_before_anything_is_merged() {
    let (mut a, _b) = connected(at(1), Mode::WriteOnly, Replica::new(1), Replica::new(2));
    let changes = encode_changes(Seq(0), Seq(1), &Replica::filled(2, 1).commits[0].1);
    let error = a.input(at(1), Input::Frame(changes[0].clone())).unwrap_err();
    assert!(matches!(error, SessionError::Violation { .. }), "{error}");
    assert!(a.replica.seen.is_empty() && a.finished);
}

#[test]
fn a_link_that_receives_nothing_is_caught_up_at_once() {
    let (a, b) = connected(at(1), Mode::WriteOnly, Replica::filled(1, 1), Replica::filled(2, 1));
    assert!(a.events.contains(&Event::CaughtUp) && b.events.contains(&Event::CaughtUp));
}

#[test]
fn a_transaction_over_many_frames_arrives_whole() {
    let mut a = connector(Replica::new(1), Mode::Bidirectional);
    a.replica.commit_large(1, 10_000_000);
    let mut b = acceptor(Replica::new(2));
    exchange(at(1), &mut a, &mut b).unwrap();
    assert!(a.changes_sent > 9, "{} frames", a.changes_sent);
    assert_eq!(b.replica.commits.len(), 1);
    assert_eq!(b.replica.commits[0].1, a.replica.commits[0].1);
}

#[test]
fn an_operation_from_the_future_is_refused_with_both_clocks() {
    let mut a = connector(Replica::filled(1, 1), Mode::Bidirectional);
    let hlc = Hlc::from_millis(WALL_MS + HlcClock::DRIFT_MS_MAX + 60_000);
    a.replica.commits[0].1[0].version.hlc = hlc;
    let mut b = acceptor(Replica::new(2));
    let error = exchange(at(1), &mut a, &mut b).unwrap_err();
    let SessionError::ClockDrift(drift) = error else { panic!("{error}") };
    assert_eq!((drift.theirs_ms, drift.ours_ms), (hlc.millis(), WALL_MS + 1));
    assert!(b.replica.seen.is_empty());
}

#[test]
fn nothing_is_sent_back_to_where_it_came_from() {
    let (a, b) = connected(at(1), Mode::Bidirectional, Replica::filled(1, 10), Replica::new(2));
    assert_eq!((a.changes_sent, b.changes_sent), (10, 0));
}

#[test]
fn what_was_not_sent_back_is_passed_after_a_second_and_not_read_again() {
    let (mut a, mut b) =
        connected(at(1), Mode::Bidirectional, Replica::filled(1, 10), Replica::new(2));
    let due = b.session.poll_timeout().unwrap();
    assert!(due <= 1_001, "due at {due}");
    b.input(at(due), Input::Timeout).unwrap();
    exchange(at(due), &mut a, &mut b).unwrap();
    assert_eq!(a.replica.trail[0].seq, b.replica.head());
}

#[test]
fn what_the_peer_knows_behind_what_it_does_not_is_told_as_well() {
    let (a, b) = connected(at(1), Mode::WriteOnly, Replica::filled(1, 1), Replica::filled(2, 1));
    // Now b has a commit of its own and then one of a's, and a has neither.
    let (a, _b) = connected(at(2), Mode::Bidirectional, a.replica, b.replica);
    assert!(a.events.contains(&Event::CaughtUp), "{:?}", a.events);
}

#[test]
fn a_new_session_resumes_at_the_checkpoint() {
    let (mut a, b) = connected(at(1), Mode::Bidirectional, Replica::filled(1, 10), Replica::new(2));
    a.replica.commit(record! { "n" => 2 });

    let (a, b) = connected(at(2), Mode::Bidirectional, a.replica, b.replica);
    assert_eq!(a.changes_sent, 1);
    assert_eq!(a.replica.seen, b.replica.seen);
}

#[test]
fn what_both_sides_have_from_a_third_crosses_their_link_once() {
    let (mut a, mut b) = connected(at(1), Mode::Bidirectional, Replica::new(1), Replica::new(2));
    // A third's commits, which reach both before either hears of the other's.
    for seq in 1..=4 {
        let now = at(10 * seq);
        let third = Replica::filled(3, usize::try_from(seq).unwrap());
        for end in [&mut a, &mut b] {
            end.take_from(now, &third);
        }
        exchange(now, &mut a, &mut b).unwrap();
    }
    assert_eq!((a.changes_sent, b.changes_sent), (4, 1), "only the first came both ways");
    let due = b.session.poll_timeout().unwrap();
    b.input(at(due), Input::Timeout).unwrap();
    exchange(at(due), &mut a, &mut b).unwrap();
    assert_eq!(a.replica.trail[0].seq, b.replica.head(), "but its place is told");
}

#[test]
fn what_reaches_one_side_only_is_sent_on_though_it_was_kept_back() {
    let (mut a, mut b) = connected(at(1), Mode::Bidirectional, Replica::new(1), Replica::new(2));
    for end in [&mut a, &mut b] {
        end.take_from(at(2), &Replica::filled(3, 1));
    }
    exchange(at(2), &mut a, &mut b).unwrap();
    b.take_from(at(3), &Replica::filled(3, 2));
    exchange(at(3), &mut a, &mut b).unwrap();
    assert_eq!(a.replica.seen.len(), 1, "it may be about to come from the third");
    let due = b.session.poll_timeout().unwrap();
    assert_eq!(due, 103);
    b.input(at(due), Input::Timeout).unwrap();
    exchange(at(due), &mut a, &mut b).unwrap();
    assert_eq!(a.replica.seen, b.replica.seen);
}

#[test]
fn what_a_side_has_is_read_before_the_first_of_the_others_is_merged() {
    let (mut a, mut b) =
        (connector(Replica::filled(1, 1), Mode::Bidirectional), acceptor(Replica::filled(2, 1)));
    a.reads_wait = true;
    exchange(at(1), &mut a, &mut b).unwrap();
    assert_eq!((a.replica.seen.len(), a.waiting_reads.len()), (1, 1), "b's has arrived");
    a.reads_wait = false;
    a.read(at(2)).unwrap();
    exchange(at(2), &mut a, &mut b).unwrap();
    assert_eq!(a.replica.seen, b.replica.seen);
}

#[test]
fn a_step_that_another_link_reached_since_the_hello_is_not_gone_on_from() {
    for step in [9, 12] {
        let (a, mut b) = (Replica::filled(1, 9), Replica::new(2));
        b.step = Some(a.history.place(Seq(step)));
        let (_, b) = connected(at(1), Mode::Bidirectional, a, b);
        assert_eq!(b.replica.seen.len(), 9, "a step at {step}, where the hello's head is 9");
    }
}

#[test]
fn catching_up_goes_on_from_its_last_step_as_long_as_the_peer_does() {
    for (reopened, comes) in [(false, 5), (true, 10)] {
        let (mut a, mut b) = (Replica::filled(1, 9), Replica::new(2));
        b.step = Some(a.history.place(Seq(4)));
        if reopened {
            // It may have lost what was left out until then.
            a.reopen(7);
            a.commit(record! { "n" => 1 });
        }
        let (_, b) = connected(at(1), Mode::Bidirectional, a, b);
        assert_eq!(b.replica.seen.len(), comes);
    }
}
