//! How sessions begin: what is agreed on, and what is refused with which reason.

mod common;

use blaze_codec::message::{Ack, Hello, Message, Reason, Resume};
use blaze_codec::{Mode, NodeId, Role, Seq};
use blaze_sync_protocol::{Input, SessionConfig, SessionError, Side};
use common::{End, Replica, acceptor, at, connector, exchange, hello};

#[test]
fn what_cannot_work_is_refused_with_a_reason_on_both_sides() {
    type Case = (fn(&mut SessionConfig), fn(&SessionError) -> bool, Reason);
    let cases: [Case; 3] = [
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
        (
            |config| config.local = common::config(&Replica::filled(2, 1), Side::acceptor()).local,
            |error| matches!(error, SessionError::SelfLink),
            Reason::SelfLink,
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
        // A copy takes another id, and comes back.
        assert_eq!(error.is_retryable(), reason == Reason::SameNode);
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
fn names_are_cut_by_who_has_them_and_refused_from_who_does_not_cut() {
    let side = Side::Connector { mode: Mode::Bidirectional };
    let mut a = End::with(Replica::new(1), side, |config| config.local.name = "ä".repeat(1_000));
    let mut b = acceptor(Replica::new(2));
    exchange(at(1), &mut a, &mut b).unwrap();
    let known = &b.session.peer().unwrap().name;
    assert!(known.len() <= Hello::NAME_BYTES_MAX && known.starts_with("ää"), "{known}");

    let named = |bytes| hello(|hello| hello.name = "x".repeat(bytes));
    let mut b = acceptor(Replica::new(2));
    b.input(at(0), Input::Frame(named(Hello::NAME_BYTES_MAX))).unwrap();
    let mut b = acceptor(Replica::new(2));
    let error = b.input(at(0), Input::Frame(named(Hello::NAME_BYTES_MAX + 1))).unwrap_err();
    let rule = "a hello's name is at most 256 bytes long";
    assert_eq!(error, SessionError::Violation { rule });
}

#[test]
fn a_mode_that_is_not_allowed_is_refused() {
    let mut a = connector(Replica::new(1), Mode::WriteOnly);
    let mut b = End::new(Replica::new(2), Side::Acceptor { allowed: vec![Mode::ReadOnly] });
    let error = exchange(at(1), &mut a, &mut b).unwrap_err();
    assert_eq!(error, SessionError::Mode { mode: "write-only".into() });
}

#[test]
fn a_peer_in_another_role_than_was_agreed_is_refused_on_either_side() {
    let side = Side::Connector { mode: Mode::Bidirectional };
    for (has, agreed) in [(Role::Server, Role::Client), (Role::Client, Role::Server)] {
        for connects in [true, false] {
            let comes = |config: &mut SessionConfig| config.local.role = has;
            let agrees = |config: &mut SessionConfig| config.agreed_role = Some(agreed);
            let (mut a, mut b) = if connects {
                let a = End::with(Replica::filled(1, 1), side.clone(), comes);
                (a, End::with(Replica::filled(2, 1), Side::acceptor(), agrees))
            } else {
                let a = End::with(Replica::filled(1, 1), side.clone(), agrees);
                (a, End::with(Replica::filled(2, 1), Side::acceptor(), comes))
            };
            let error = exchange(at(1), &mut a, &mut b).unwrap_err();
            assert_eq!(error, SessionError::Role { theirs: has, agreed });
            assert!(!error.is_retryable());
            let (refused, refusing) = if connects { (&mut a, &mut b) } else { (&mut b, &mut a) };
            // An acceptor that refuses hasn't said who it is.
            assert_eq!(refusing.sent.len(), 1);
            let goodbye = refusing.sent.pop_back().unwrap();
            let error = refused.input(at(1), Input::Frame(goodbye)).unwrap_err();
            assert!(matches!(error, SessionError::PeerLeft { reason: Reason::Role, .. }));
            let told = format!("you come as a {has}, and were agreed to be a {agreed}");
            assert!(!error.is_retryable() && error.to_string().contains(&told), "{error}");
            assert_eq!(a.changes_sent + b.changes_sent, 0);
        }
    }
}

#[test]
fn a_peer_in_the_role_that_was_agreed_is_let_in() {
    let side = Side::Connector { mode: Mode::Bidirectional };
    let agreed = |config: &mut SessionConfig| config.agreed_role = Some(Role::Client);
    let mut a = End::with(Replica::filled(1, 1), side, agreed);
    let mut b = End::with(Replica::filled(2, 1), Side::acceptor(), agreed);
    exchange(at(1), &mut a, &mut b).unwrap();
    assert_eq!(a.replica.seen, b.replica.seen);
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

/// A later version and this one, side by side: they speak the older one, until the
/// newer no longer knows it.
#[test]
fn two_versions_side_by_side_speak_the_older_one() {
    for newer in [(1, 2), (2, 2)] {
        for newer_connects in [true, false] {
            let side = Side::Connector { mode: Mode::Bidirectional };
            let (mut a, mut b) = if newer_connects {
                let a = End::with(Replica::filled(1, 2), side, |config| config.versions = newer);
                (a, acceptor(Replica::filled(2, 2)))
            } else {
                let b = Replica::filled(2, 2);
                let b = End::with(b, Side::acceptor(), |config| config.versions = newer);
                (connector(Replica::filled(1, 2), Mode::Bidirectional), b)
            };
            let result = exchange(at(1), &mut a, &mut b);
            if newer.0 == 1 {
                result.unwrap();
                assert_eq!(a.replica.seen, b.replica.seen);
                assert_eq!(a.session.peer().unwrap().protocol, 1);
                assert_eq!(b.session.peer().unwrap().protocol, 1);
            } else {
                let error = result.unwrap_err();
                assert!(matches!(error, SessionError::ProtocolVersion { .. }), "{error}");
                assert!(!error.is_retryable() && error.to_string().contains("update the older"));
            }
        }
    }
}

#[test]
fn the_first_message_must_be_a_hello_and_only_the_first() {
    let mut b = acceptor(Replica::new(2));
    let ack = Message::Ack(Ack { through: Seq(0), credit: 0, head: Seq(0) }).encode();
    let error = b.input(at(0), Input::Frame(ack)).unwrap_err();
    assert_eq!(error, SessionError::Violation { rule: "the first message is a hello" });

    let mut b = acceptor(Replica::new(2));
    b.input(at(0), Input::Frame(hello(|_| ()))).unwrap();
    let error = b.input(at(0), Input::Frame(hello(|_| ()))).unwrap_err();
    assert_eq!(error, SessionError::Violation { rule: "one hello a session" });
}

#[test]
fn a_resume_with_too_little_credit_is_refused() {
    let mut b = acceptor(Replica::filled(2, 1));
    b.input(at(0), Input::Frame(hello(|_| ()))).unwrap();
    let resume = Resume { after: Seq::ZERO, last: None, credit: 10 };
    let error = b.input(at(0), Input::Frame(Message::Resume(resume).encode())).unwrap_err();
    assert!(matches!(error, SessionError::Violation { .. }), "{error}");
}
