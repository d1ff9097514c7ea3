//! How sessions begin: what is agreed on, and what is refused with which reason.

mod common;

use blaze_codec::message::{Ack, Message, Reason, Resume};
use blaze_codec::{Mode, NodeId, Seq};
use blaze_sync_protocol::{Input, SessionConfig, SessionError, Side};
use common::{End, Replica, acceptor, at, connected, connector, exchange, hello};

#[test]
fn what_cannot_work_is_refused_with_a_reason_on_both_sides() {
    type Case = (fn(&mut SessionConfig), fn(&SessionError) -> bool, Reason);
    let cases: [Case; 2] = [
        (
            |config| config.local.database = "other".into(),
            |error| matches!(error, SessionError::Database { .. }),
            Reason::Database,
        ),
        (
            |config| config.local.node = NodeId::from_bytes([2; 16]),
            |error| matches!(error, SessionError::SameNode { .. }),
            Reason::SameNode,
        ),
    ];
    for (adjust, expected, reason) in cases {
        let side = Side::Connector { mode: Mode::Bidirectional };
        let mut a = End::with(Replica::filled(1, 1), side, adjust);
        let mut b = acceptor(Replica::filled(2, 1));
        let error = exchange(at(1), &mut a, &mut b).unwrap_err();
        assert!(expected(&error), "{error}");
        let goodbye = b.sent.pop_back().unwrap();
        let error = a.input(at(1), Input::Frame(goodbye)).unwrap_err();
        assert!(matches!(&error, SessionError::PeerLeft { reason: told, .. } if *told == reason));
        assert!(!error.is_retryable());
        assert_eq!(a.changes_sent + b.changes_sent, 0);
    }
}

#[test]
fn a_refusal_is_short_enough_to_be_read_whatever_it_speaks_of() {
    let side = Side::Connector { mode: Mode::Bidirectional };
    let mut a =
        End::with(Replica::new(1), side, |config| config.local.database = "\u{1}".repeat(1_000));
    let mut b = acceptor(Replica::new(2));
    assert!(exchange(at(1), &mut a, &mut b).is_err());
    let goodbye = b.sent.pop_back().unwrap();
    let error = a.input(at(1), Input::Frame(goodbye)).unwrap_err();
    assert!(matches!(error, SessionError::PeerLeft { reason: Reason::Database, .. }), "{error}");
}

#[test]
fn a_mode_that_is_not_allowed_is_refused() {
    let mut a = connector(Replica::new(1), Mode::WriteOnly);
    let mut b = End::new(Replica::new(2), Side::Acceptor { allowed: vec![Mode::ReadOnly] });
    let error = exchange(at(1), &mut a, &mut b).unwrap_err();
    assert_eq!(error, SessionError::Mode { mode: "write-only".into() });
}

#[test]
fn the_highest_common_protocol_version_is_taken_and_none_is_refused() {
    let mut b = acceptor(Replica::new(2));
    b.input(at(0), Input::Frame(hello(|hello| hello.protocol_max = 9))).unwrap();
    assert_eq!(b.session.peer().unwrap().protocol, 1);

    let mut b = acceptor(Replica::new(2));
    let future = hello(|hello| (hello.protocol_min, hello.protocol_max) = (7, 9));
    let error = b.input(at(0), Input::Frame(future)).unwrap_err();
    assert!(matches!(error, SessionError::ProtocolVersion { theirs_min: 7, .. }), "{error}");
}

#[test]
fn the_first_message_must_be_a_hello_and_only_the_first() {
    let mut b = acceptor(Replica::new(2));
    let ack = Message::Ack(Ack { through: Seq(0), credit: 0 }).encode();
    assert!(b.input(at(0), Input::Frame(ack)).is_err());

    let mut b = acceptor(Replica::new(2));
    b.input(at(0), Input::Frame(hello(|_| ()))).unwrap();
    assert!(b.input(at(0), Input::Frame(hello(|_| ()))).is_err());
}

#[test]
fn a_resume_with_too_little_credit_is_refused() {
    let mut b = acceptor(Replica::filled(2, 1));
    b.input(at(0), Input::Frame(hello(|_| ()))).unwrap();
    let resume = Resume { incarnation: None, after: Seq::ZERO, credit: 10 };
    let error = b.input(at(0), Input::Frame(Message::Resume(resume).encode())).unwrap_err();
    assert!(matches!(error, SessionError::Violation { .. }), "{error}");
}

#[test]
fn a_peer_whose_feed_went_back_is_told_so_from_its_point_of_view() {
    let (_a, b) = connected(at(1), Mode::WriteOnly, Replica::filled(1, 10), Replica::new(2));

    let mut a = connector(Replica::filled(1, 4), Mode::WriteOnly);
    let mut b = acceptor(b.replica);
    let error = exchange(at(2), &mut a, &mut b).unwrap_err();
    assert_eq!(error, SessionError::PeerFeedWentBack { held: 10, head: 4 });
    let goodbye = b.sent.pop_back().unwrap();
    let error = a.input(at(2), Input::Frame(goodbye)).unwrap_err();
    assert!(error.to_string().contains("your database was restored"), "{error}");
    assert!(!error.is_retryable());
}
