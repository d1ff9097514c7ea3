//! The bounds of a session in bytes and in time, and its end.

mod common;

use blaze_codec::Mode;
use blaze_codec::message::Reason;
use blaze_sync_protocol::{Input, Limits, Session, SessionConfig, SessionError, Side};
use common::{End, Replica, acceptor, at, config, connected, connector, exchange, hello};

#[test]
fn a_receiver_that_does_not_merge_stops_the_sender_at_its_window() {
    let mut a = connector(Replica::new(1), Mode::Bidirectional);
    a.replica.commit_large(100, 100_000);
    let mut b = acceptor(Replica::new(2));
    b.merges_wait = true;
    exchange(at(1), &mut a, &mut b).unwrap();
    let window = usize::try_from(Limits::default().window_bytes).unwrap();
    assert!((1..=window / 100_000).contains(&a.changes_sent), "{} sent", a.changes_sent);
    assert_eq!(b.waiting_merges, 1, "one merge at a time");

    // Merging again lets everything through.
    b.merges_wait = false;
    let head = b.replica.head();
    b.input(at(2), Input::Merged { head }).unwrap();
    exchange(at(2), &mut a, &mut b).unwrap();
    assert_eq!(b.replica.seen.len(), 100);
}

#[test]
fn the_smallest_window_does_not_stall() {
    let mut a = connector(Replica::new(1), Mode::WriteOnly);
    a.replica.commit_large(20, 900_000);
    let smallest = |config: &mut SessionConfig| config.limits.window_bytes = 1;
    let mut b = End::with(Replica::new(2), Side::acceptor(), smallest);
    exchange(at(1), &mut a, &mut b).unwrap();
    assert_eq!(b.replica.seen.len(), 20);
}

#[test]
fn a_handshake_has_a_deadline() {
    let mut b = acceptor(Replica::new(2));
    assert_eq!(b.session.poll_timeout(), Some(5_000));
    assert!(b.input(at(4_999), Input::Timeout).is_ok());
    assert!(b.input(at(5_000), Input::Timeout).is_err());
}

#[test]
fn heartbeats_keep_a_quiet_session_alive_and_silence_ends_it() {
    let (mut a, mut b) = connected(at(1), Mode::Bidirectional, Replica::new(1), Replica::new(2));
    for round in 1..10 {
        let now = at(round * 15_001);
        a.input(now, Input::Timeout).unwrap();
        assert_eq!(a.sent.len(), 1, "a ping is due");
        exchange(now, &mut a, &mut b).unwrap();
    }
    let due = b.session.poll_timeout().unwrap();
    assert!(due <= 10 * 15_001, "b pings by itself");
    let error = b.input(at(9 * 15_001 + 45_000), Input::Timeout).unwrap_err();
    assert_eq!(error, SessionError::Timeout { silence_ms: 45_000 });
}

#[test]
fn limits_that_mean_never_are_possible() {
    let never = Limits { heartbeat_ms: u64::MAX, silence_ms: u64::MAX, ..Limits::default() };
    let config = SessionConfig { limits: never, ..config(&Replica::new(3), Side::acceptor()) };
    let mut session = Session::new(config, at(1));
    session.handle_input(at(1), Input::Frame(hello(|_| ()))).unwrap();
    assert_eq!(session.poll_timeout(), Some(u64::MAX));
}

#[test]
fn closing_says_goodbye() {
    let (mut a, mut b) = connected(at(1), Mode::Bidirectional, Replica::new(1), Replica::new(2));
    assert_eq!(a.input(at(2), Input::Close), Err(SessionError::Closed));
    assert!(a.finished);
    let goodbye = a.sent.pop_front().unwrap();
    let error = b.input(at(2), Input::Frame(goodbye)).unwrap_err();
    assert!(matches!(&error, SessionError::PeerLeft { reason: Reason::Shutdown, .. }));
    assert!(error.is_retryable());
}
