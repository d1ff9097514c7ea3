//! Links of which a side limits the other one to a part of its database.

mod common;

use std::sync::Arc;

use blaze_codec::message::{
    Ack, Goodbye, Message, Reason, Resume, Start, encode_changes, encode_roll,
};
use blaze_codec::{
    Change, Checkpoint, Condition, Incarnation, Mode, Name, Operation, Rule, Scope, Seq, record,
};
use blaze_sync_protocol::{Event, Input, Moment, SessionError, Side};
use bytes::Bytes;
use common::{End, Replica, acceptor, at, connector, exchange, hello};

const BOTH: Mode = Mode::Bidirectional;
const DIGEST: u64 = 0x1234_5678_9abc_def1;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The notes, of which all replicas here have some, by their one field.
fn notes() -> Scope {
    let condition = Condition::Not(Box::new(Condition::is(name("secret"), true)));
    Scope::new().with(name("notes"), Rule::all().only([name("n")]).when(condition))
}

fn tags() -> Scope {
    Scope::new().with(name("tags"), Rule::all())
}

fn told(scope: &Scope) -> Bytes {
    Message::Scope(scope.told().encode().into()).encode()
}

/// One side, which may limit the other.
fn end(replica: Replica, side: Side, scope: Option<Scope>) -> End {
    End::with(replica, side, |config| config.scope = scope.map(Arc::new))
}

/// A connector, and an acceptor that limits it, which have told each other everything.
fn limited(now: Moment, a: Replica, b: Replica, scope: Scope) -> (End, End) {
    let (mut a, mut b) = (connector(a, BOTH), end(b, Side::acceptor(), Some(scope)));
    exchange(now, &mut a, &mut b).unwrap();
    (a, b)
}

/// An acceptor that was told that it is limited, and is about to be told to what.
fn untold() -> End {
    let mut end = acceptor(Replica::filled(2, 1));
    end.input(at(0), Input::Frame(hello(|hello| hello.scope = DIGEST))).unwrap();
    end
}

fn went_back(end: &End) -> bool {
    let is = |event: &Event| matches!(event, Event::WentBack { .. } | Event::PeerWentBack { .. });
    end.events.iter().any(is)
}

#[test]
fn nothing_comes_between_a_hello_and_the_scope_that_it_names() {
    let resume = Resume { after: Seq::ZERO, last: None, credit: 1 << 22 };
    let ack = Ack { through: Seq::ZERO, credit: 0, head: Seq::ZERO };
    for message in [
        Message::Resume(resume).encode(),
        Message::Ack(ack).encode(),
        Message::Start(Start { roll: None }).encode(),
        Message::Ping(1).encode(),
        Message::Pong(1).encode(),
        encode_changes(Seq(0), Seq(1), &[]).remove(0),
        encode_roll(Seq(0), Seq(1), &[]).unwrap(),
    ] {
        let error = untold().input(at(0), Input::Frame(message.clone())).unwrap_err();
        let rule = "the scope that a hello names follows it";
        assert_eq!(error, SessionError::Violation { rule }, "{message:?}");
        let mut end = untold();
        assert!(end.session.accepted().is_none() && end.session.peer().unwrap().limits);
        end.input(at(0), Input::Frame(told(&notes()))).unwrap();
        assert_eq!(end.session.accepted(), Some(&Arc::new(notes().told())));
    }
    let goodbye = Goodbye { reason: Reason::Busy, message: String::new() };
    let error = untold().input(at(0), Input::Frame(Message::Goodbye(goodbye).encode()));
    assert!(matches!(error, Err(SessionError::PeerLeft { reason: Reason::Busy, .. })), "{error:?}");
}

#[test]
fn a_scope_that_is_none_or_not_named_is_refused() {
    let scope = |payload: Vec<u8>| Message::Scope(payload.into()).encode();
    let error = untold().input(at(0), Input::Frame(scope(vec![9]))).unwrap_err();
    assert!(matches!(error, SessionError::Decode(_)), "{error}");
    let long = vec![0; Scope::BYTES_MAX + 1];
    let error = untold().input(at(0), Input::Frame(scope(long))).unwrap_err();
    let SessionError::Decode(error) = error else { panic!("{error}") };
    assert!(error.to_string().contains("bytes of a scope"), "{error}");
    // Conditions may name what this side may not see.
    let error = untold().input(at(0), Input::Frame(scope(notes().encode()))).unwrap_err();
    let rule = "a scope is told without its conditions";
    assert_eq!(error, SessionError::Violation { rule });

    let rule = "a scope follows a hello that names one";
    let mut twice = untold();
    twice.input(at(0), Input::Frame(told(&notes()))).unwrap();
    let error = twice.input(at(0), Input::Frame(told(&notes()))).unwrap_err();
    assert_eq!(error, SessionError::Violation { rule });
    let mut unnamed = acceptor(Replica::new(2));
    unnamed.input(at(0), Input::Frame(hello(|_| ()))).unwrap();
    let error = unnamed.input(at(0), Input::Frame(told(&notes()))).unwrap_err();
    assert_eq!(error, SessionError::Violation { rule });
    let error = acceptor(Replica::new(2)).input(at(0), Input::Frame(told(&notes()))).unwrap_err();
    assert_eq!(error, SessionError::Violation { rule: "the first message is a hello" });
}

#[test]
fn both_sides_tell_their_scopes_at_once_and_without_conditions() {
    for connects in [true, false] {
        let side = if connects { Side::Connector { mode: BOTH } } else { Side::acceptor() };
        let mut limiting = end(Replica::new(1), side, Some(notes()));
        let input = if connects { Input::Head(Seq::ZERO) } else { Input::Frame(hello(|_| ())) };
        limiting.input(at(0), input).unwrap();
        let mut sent = limiting.sent.into_iter().map(|frame| Message::decode(frame).unwrap());
        let Some(Message::Hello(hello)) = sent.next() else { panic!("a hello comes first") };
        assert_eq!(hello.scope, notes().digest());
        assert_eq!(sent.next(), Some(Message::Scope(notes().told().encode().into())));
        assert!(!sent.any(|message| matches!(message, Message::Scope(_))));
    }
}

#[test]
fn what_a_peer_may_not_write_ends_the_session_before_anything_is_merged() {
    let fields = Scope::new().with(name("notes"), Rule::all().only([name("text")]));
    for (scope, what) in
        [(tags(), "the collection \"notes\""), (fields, "the field \"n\" of \"notes\"")]
    {
        let mut a = connector(Replica::filled(1, 2), BOTH);
        let mut b = end(Replica::new(2), Side::acceptor(), Some(scope));
        let error = exchange(at(1), &mut a, &mut b).unwrap_err();
        assert_eq!(error, SessionError::Scope { what: what.into() });
        assert!(!error.is_retryable() && b.finished);
        assert!(b.replica.seen.is_empty() && b.replica.trail.is_empty(), "nothing is merged");
        let goodbye = b.sent.pop_back().unwrap();
        let error = a.input(at(1), Input::Frame(goodbye)).unwrap_err();
        let SessionError::PeerLeft { reason, message } = &error else { panic!("{error}") };
        assert_eq!(*reason, Reason::Scope);
        assert!(message.contains(what) && !error.is_retryable(), "{error}");
    }
}

#[test]
fn a_roll_names_only_what_its_peer_may_write() {
    let of_tags = (name("tags"), vec![], "the collection \"tags\"");
    let of_rating = (name("notes"), vec!["n", "rating"], "the field \"rating\" of \"notes\"");
    for (collection, fields, what) in [of_tags, of_rating, (name("notes"), vec!["n"], "")] {
        // The two were the same, and one has removed tombstones that the other lacks.
        let (a, b) = limited(at(1), Replica::filled(1, 2), Replica::filled(2, 3), notes());
        let (a, mut b) = (a.replica, b.replica);
        (0..2).for_each(|_| b.commit(record! { "n" => 2 }));
        b.purged = b.head();
        let (mut a, mut b) = (connector(a, BOTH), end(b, Side::acceptor(), Some(notes())));
        a.input(at(2), Input::Head(a.replica.head())).unwrap();
        while !b.events.contains(&Event::MissedTombstones) {
            if let Some(frame) = a.sent.pop_front() {
                b.input(at(2), Input::Frame(frame)).unwrap();
            }
            if let Some(frame) = b.sent.pop_front() {
                a.input(at(2), Input::Frame(frame)).unwrap();
            }
        }
        let operation = a.replica.commits[0].1[0].clone();
        let change = Change::Update(fields.iter().map(|field| (name(field), None)).collect());
        let named = Operation { collection, change, ..operation };
        let roll = encode_roll(Seq(0), Seq(1), &[named]).unwrap();
        let result = b.input(at(2), Input::Frame(roll));
        if what.is_empty() {
            assert_eq!((result, b.replica.rolled.len()), (Ok(()), 1));
        } else {
            assert_eq!(result, Err(SessionError::Scope { what: what.into() }));
            assert!(b.replica.rolled.is_empty(), "nothing is merged");
        }
    }
}

#[test]
fn over_a_limited_link_no_roots_count_and_places_are_of_the_feed_that_is_seen() {
    for limits in [(true, false), (false, true), (true, true)] {
        let scope = |is: bool| is.then(notes);
        let mut a = end(Replica::new(1), Side::Connector { mode: BOTH }, scope(limits.0));
        let mut b = end(Replica::new(2), Side::acceptor(), scope(limits.1));
        exchange(at(1), &mut a, &mut b).unwrap();
        // A third's commits, that only one of them has.
        a.take_from(at(2), &Replica::filled(3, 2));
        exchange(at(2), &mut a, &mut b).unwrap();
        a.input(at(2_000), Input::Timeout).unwrap();
        exchange(at(2_000), &mut a, &mut b).unwrap();
        let (_, operations, roots) = b.replica.commits.last().unwrap();
        assert_eq!(operations.len(), 2);
        let digest = |is: bool| if is { notes().digest() } else { 0 };
        let through = digest(limits.0).rotate_left(1) ^ digest(limits.1);
        let seen = Incarnation(1).through(through);
        assert_ne!(seen, Incarnation(1));
        let place = Checkpoint { incarnation: seen, seq: a.replica.head() };
        assert_eq!((&roots[..], b.replica.trail[0]), (&[place][..], place));
        assert_eq!(b.session.peer().unwrap().feed.latest(), seen);
        assert_eq!(b.session.peer().unwrap().history.latest(), Incarnation(1));
    }
}

/// Lets both sides say everything, also what they put off.
fn exchange_all(now: Moment, a: &mut End, b: &mut End) {
    exchange(now, a, b).unwrap();
    let later = Moment { mono_ms: now.mono_ms + 2_000, ..now };
    a.input(later, Input::Timeout).unwrap();
    b.input(later, Input::Timeout).unwrap();
    exchange(later, a, b).unwrap();
}

#[test]
fn what_was_merged_through_another_scope_counts_for_nothing() {
    let views = [None, Some(notes()), Some(notes().with(name("tags"), Rule::all())), None];
    let (mut a, mut b) = (Replica::filled(1, 5), Replica::filled(2, 3));
    for (step, scope) in views.into_iter().enumerate() {
        let view = step as u64 * 10_000;
        let begins = |a: Replica, b: Replica, now| {
            let mut a = connector(a, BOTH);
            let mut b = end(b, Side::acceptor(), scope.clone());
            exchange_all(now, &mut a, &mut b);
            assert!(!went_back(&a) && !went_back(&b), "step {step}: {:?} {:?}", a.events, b.events);
            assert!(a.replica.rolled.is_empty() && b.replica.rolled.is_empty());
            assert!(!b.events.contains(&Event::MissedTombstones));
            (a, b)
        };
        let (first_a, first_b) = begins(a, b, at(view + 1));
        // All of it comes once more, though both have it.
        assert_eq!(first_a.registered, [Seq::ZERO], "step {step}");
        assert_eq!(first_b.registered, [Seq::ZERO], "step {step}");
        assert_eq!(first_a.replica.seen, first_b.replica.seen);
        let (again_a, again_b) = begins(first_a.replica, first_b.replica, at(view + 5_000));
        assert_eq!((again_a.changes_sent, again_b.changes_sent), (0, 0), "step {step}");
        assert_eq!(again_a.registered, [again_a.replica.head()], "step {step}");
        (a, b) = (again_a.replica, again_b.replica);
    }
}

#[test]
fn who_connects_tells_two_limited_feeds_apart_and_both_sides_agree() {
    let scopes = (notes(), Scope::new().with(name("notes"), Rule::all()));
    let session = |a: Replica, b: Replica, a_connects: bool, now: Moment| {
        let connects = Side::Connector { mode: BOTH };
        let sides =
            if a_connects { (connects, Side::acceptor()) } else { (Side::acceptor(), connects) };
        let mut a = end(a, sides.0, Some(scopes.0.clone()));
        let mut b = end(b, sides.1, Some(scopes.1.clone()));
        // Who connects says hello as soon as it is told anything.
        b.input(now, Input::Head(b.replica.head())).unwrap();
        exchange_all(now, &mut a, &mut b);
        assert!(!went_back(&a) && !went_back(&b), "{:?} {:?}", a.events, b.events);
        // What one takes for the other's feed is what that would take it for.
        let view = a.session.peer().unwrap().feed.latest().view();
        assert_eq!(b.session.peer().unwrap().feed.latest().view(), view);
        assert_ne!(view, 0);
        (a, b, view)
    };
    let mut views = Vec::new();
    let (mut a, mut b) = (Replica::filled(1, 4), Replica::filled(2, 4));
    for (a_connects, now) in [(true, 1), (false, 10_000)] {
        let (first_a, first_b, view) = session(a, b, a_connects, at(now));
        assert_eq!(first_a.replica.seen, first_b.replica.seen);
        let (again_a, again_b, again) =
            session(first_a.replica, first_b.replica, a_connects, at(now + 5_000));
        assert_eq!((again_a.changes_sent, again_b.changes_sent, again), (0, 0, view));
        views.push(view);
        (a, b) = (again_a.replica, again_b.replica);
    }
    assert_ne!(views[0], views[1]);
}

#[test]
fn a_peer_that_was_restored_is_found_on_a_limited_link_too() {
    for later in [0, 1, 20] {
        let backup = Replica::filled(1, 4);
        let mut original = backup.clone();
        (0..6).for_each(|_| original.commit(record! { "n" => 1 }));
        let (original, peer) = limited(at(1), original, Replica::new(2), notes());
        let mut restored = backup;
        restored.reopen(11);
        restored.clock_ms += 1_000;
        for n in 0..later {
            restored.commit(record! { "n" => n });
        }
        let (a, b) = limited(at(2), restored, peer.replica, notes());
        let (held, common) = (Seq(10), Seq(4));
        assert!(a.events.contains(&Event::WentBack { held, common }), "{:?}", a.events);
        assert!(b.events.contains(&Event::PeerWentBack { held, common }), "{:?}", b.events);
        assert!(a.replica.seen.is_superset(&original.replica.seen), "after {later} more");
        assert_eq!(a.replica.seen, b.replica.seen, "after {later} more");
    }
}

#[test]
fn who_is_limited_begins_anew_with_an_owner_that_was_restored_and_names_what_it_had() {
    let backup = Replica::filled(2, 4);
    let mut original = backup.clone();
    (0..6).for_each(|_| original.commit(record! { "n" => 1 }));
    let (a, _) = limited(at(1), Replica::filled(1, 3), original, notes());
    let mut restored = backup;
    restored.reopen(11);
    restored.clock_ms += 1_000;
    restored.commit(record! { "n" => 5 });
    // What it withdrew since the backup is seen again, and lies before that.
    let (a, b) = limited(at(2), a.replica, restored, notes());
    let (held, common) = (Seq(10), Seq(4));
    assert!(b.events.contains(&Event::WentBack { held, common }), "{:?}", b.events);
    assert!(a.events.contains(&Event::PeerWentBack { held, common }), "{:?}", a.events);
    assert_eq!(b.registered, [Seq::ZERO]);
    assert_eq!(a.replica.rolled.len(), 4, "what may be deleted and forgotten here");
    assert!(b.replica.seen.is_superset(&a.replica.seen), "it gets back what it lost");
    assert_eq!(a.replica.seen, b.replica.seen);
    // Should that end early, it goes on with that.
    let mut early = a.replica.clone();
    let reached = Checkpoint { seq: Seq(2), ..early.trail[0] };
    early.trail[0] = reached;
    let replica = b.replica.clone();
    let (c, d) = limited(at(2), early, replica, notes());
    assert_eq!(d.registered, [Seq(2)], "{:?}", c.replica.trail);
    let (_, b) = limited(at(3), a.replica, b.replica, notes());
    assert!(!went_back(&b), "{:?}", b.events);

    // A roll is of no more than that.
    let mut b = end(Replica::filled(2, 5), Side::acceptor(), Some(notes()));
    b.input(at(0), Input::Frame(hello(|_| ()))).unwrap();
    let resume = Resume { after: Seq(2), last: None, credit: 1 << 22 };
    b.input(at(0), Input::Frame(Message::Resume(resume).encode())).unwrap();
    let start = Message::Start(Start { roll: Some(Seq(3)) }).encode();
    let error = b.input(at(0), Input::Frame(start)).unwrap_err();
    let rule = "a roll is of what was merged before";
    assert_eq!(error, SessionError::Violation { rule });
}
