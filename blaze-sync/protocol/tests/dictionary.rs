//! The dictionary of a feed: what changes need is told before them, once a session.

mod common;

use blaze_codec::batch::ROWS_DEFINED;
use blaze_codec::message::{FeedEncoder, Message, Range, Resume, Start};
use blaze_codec::{DecodeError, Mode, Seq};
use blaze_sync_protocol::{Input, Session, SessionError, Side};
use bytes::Bytes;
use common::{End, Replica, acceptor, at, config, connector, exchange, hello};

fn is_definitions(frame: &Bytes) -> bool {
    matches!(Message::decode(frame.clone()), Ok(Message::Definitions(_)))
}

/// A commit of one operation, as its frames, with what it needs before it.
fn commit() -> Vec<Bytes> {
    let replica = Replica::filled(9, 1);
    let mut feed = FeedEncoder::default();
    let encoded = feed.encode(&Range::new(Seq(0), Seq(1)), &replica.commits[0].1);
    let needs = encoded.needs.iter().map(|definition| definition.frame.clone());
    let frames = encoded.frames.iter().map(|body| body.bytes().clone());
    needs.chain(frames).collect()
}

/// One to which a stranger has said hello, and what more it is to say.
fn listening() -> End {
    let mut b = acceptor(Replica::new(2));
    b.input(at(0), Input::Frame(hello(|_| ()))).unwrap();
    let resume = Resume { after: Seq::ZERO, last: None, credit: 1 << 20 };
    for message in [Message::Resume(resume), Message::Start(Start { roll: None })] {
        b.input(at(0), Input::Frame(message.encode())).unwrap();
    }
    b
}

#[test]
fn each_session_is_told_once_what_its_changes_need() {
    let (mut replica, mut other) = (Replica::filled(1, 5), Replica::new(2));
    for session in 0..2 {
        let mut a = connector(replica, Mode::WriteOnly);
        let mut b = acceptor(other);
        exchange(at(1), &mut a, &mut b).unwrap();
        a.replica.commit(blaze_codec::record! { "n" => 1 });
        let head = a.replica.head();
        a.input(at(2), Input::Head(head)).unwrap();
        let sent: Vec<Bytes> = a.sent.iter().cloned().collect();
        let definitions = sent.iter().filter(|frame| is_definitions(frame)).count();
        assert_eq!(definitions, if session == 0 { 0 } else { 2 }, "of what was new");
        exchange(at(2), &mut a, &mut b).unwrap();
        assert_eq!(b.replica.seen, a.replica.seen);
        (replica, other) = (a.replica, b.replica);
    }
}

#[test]
fn what_was_not_told_is_refused() {
    let frames = commit();
    let (changes, definitions) = frames.split_last().unwrap();
    assert!(changes.windows(1).any(|byte| byte == [ROWS_DEFINED]));
    assert_eq!(definitions.len(), 2);
    for left_out in 0..definitions.len() {
        let mut b = listening();
        for (_, frame) in definitions.iter().enumerate().filter(|(at, _)| *at != left_out) {
            b.input(at(1), Input::Frame(frame.clone())).unwrap();
        }
        match b.input(at(1), Input::Frame(changes.clone())) {
            Err(SessionError::Decode(DecodeError::Malformed { what, .. })) => {
                assert!(what.ends_with("that isn't defined"), "{what}");
            }
            other => panic!("{other:?}"),
        }
    }
    let mut b = listening();
    for frame in &frames {
        b.input(at(1), Input::Frame(frame.clone())).unwrap();
    }
    assert_eq!(b.replica.seen.len(), 1);
    let error = b.input(at(1), Input::Frame(definitions[0].clone())).unwrap_err();
    assert!(matches!(error, SessionError::Decode(DecodeError::Malformed { .. })), "{error}");
}

#[test]
fn who_does_not_send_changes_defines_nothing() {
    let mut b = Session::new(config(&Replica::new(2), Side::acceptor()), at(0));
    let hello = hello(|hello| hello.mode = Mode::ReadOnly);
    b.handle_input(at(0), Input::Frame(hello)).unwrap();
    let error = b.handle_input(at(0), Input::Frame(commit().remove(0))).unwrap_err();
    let rule = "definitions come only with changes";
    assert_eq!(error, SessionError::Violation { rule });
}
