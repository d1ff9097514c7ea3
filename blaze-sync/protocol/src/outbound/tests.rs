use blaze_codec::Incarnation;
use blaze_codec::message::{Encoded, FeedEncoder, Range};

use super::*;

fn outbound(after: u64, head: u64) -> Result<Outbound, SessionError> {
    let mut outbound = Outbound::resume(Seq(after), Seq(head), 100, 100, false)?;
    outbound.start(Start { roll: None })?;
    Ok(outbound)
}

fn ack(through: u64, credit: u64) -> Ack {
    Ack { through: Seq(through), credit, head: Seq::ZERO }
}

fn item(after: u64, through: u64, bytes: usize) -> OutgoingItem {
    let frames = vec![Bytes::from(vec![0; bytes]).into()];
    let encoded = Encoded { frames, ..Encoded::default() };
    OutgoingItem { after: Seq(after), through: Seq(through), encoded, roots: Vec::new() }
}

fn outgoing<const N: usize>(items: [OutgoingItem; N]) -> Outgoing {
    Outgoing { items: items.into(), ..Outgoing::default() }
}

/// That of a peer from which nothing came.
fn history() -> Arc<History> {
    Arc::new(Incarnation(9).into())
}

fn queue(out: &mut Outbound, outgoing: Outgoing) {
    out.take(outgoing, 0);
    out.poll_kept(0, &history());
}

fn known(after: u64, through: u64) -> OutgoingItem {
    OutgoingItem { encoded: Encoded::default(), ..item(after, through, 0) }
}

fn told(after: u64, through: u64) -> Bytes {
    encode_changes(Seq(after), Seq(through), &[])[0].clone()
}

#[test]
fn frames_wait_for_credit() {
    let mut out = outbound(0, 0).unwrap();
    out.head(Seq(3));
    assert_eq!(out.poll_read(), Some((Seq(0), 100, false)));
    assert_eq!(out.poll_read(), None, "one read at a time");
    queue(&mut out, outgoing([item(0, 1, 60), item(1, 2, 60)]));
    assert_eq!(out.poll_frame().map(|frame| frame.len()), Some(60));
    assert_eq!(out.poll_frame(), None);
    out.ack(ack(1, 60)).unwrap();
    assert_eq!(out.known(), Some(Seq(1)));
    assert!(out.poll_frame().is_some());
    assert_eq!(out.poll_read(), Some((Seq(2), 40, false)));
}

#[test]
fn what_the_peer_knows_is_told_not_sent() {
    let mut out = outbound(0, 0).unwrap();
    out.head(Seq(3));
    queue(&mut out, outgoing([known(0, 1), known(1, 2)]));
    out.poll_untold(0);
    assert_eq!(out.poll_frame(), None, "not yet");
    assert_eq!(out.known(), Some(Seq(2)));
    queue(&mut out, outgoing([item(2, 3, 9)]));
    assert_eq!(out.poll_frame(), Some(told(0, 2)));
    assert_eq!(out.poll_frame().map(|frame| frame.len()), Some(9));
    assert_eq!(out.known(), Some(Seq(0)), "sent, not acknowledged");
}

#[test]
fn a_peer_that_waits_to_catch_up_is_told_at_once_behind_what_is_queued() {
    let mut out = outbound(0, 2).unwrap();
    queue(&mut out, outgoing([item(0, 1, 9), known(1, 2)]));
    out.poll_untold(0);
    assert_eq!(out.poll_frame().map(|frame| frame.len()), Some(9));
    out.poll_untold(0);
    assert_eq!(out.poll_frame(), Some(told(1, 2)));
}

#[test]
fn what_is_untold_is_told_when_it_is_much_or_old() {
    let mut out = outbound(0, 0).unwrap();
    queue(&mut out, outgoing([known(0, 1)]));
    out.poll_untold(5);
    assert_eq!((out.poll_frame(), out.due_ms()), (None, Some(5 + UNTOLD_MS)));
    out.poll_untold(5 + UNTOLD_MS);
    assert_eq!(out.poll_frame(), Some(told(0, 1)));
    queue(&mut out, outgoing([known(1, 1 + UNTOLD_MAX)]));
    out.poll_untold(9_000);
    assert_eq!(out.poll_frame(), Some(told(1, 1 + UNTOLD_MAX)));
    assert_eq!(out.due_ms(), None);
}

#[test]
fn a_feed_of_which_a_peer_told_is_not_taken_for_its_own() {
    let mut out = outbound(0, 0).unwrap();
    let place = |incarnation| Checkpoint { incarnation: Incarnation(incarnation), seq: Seq(5) };
    out.learn(&[place(1)]);
    let known = out.known_to(&history());
    assert!(known.covers(place(1)) && known.covers(place(9)));
    assert!(known.is_of(place(9)) && !known.is_of(place(1)));
}

#[test]
fn what_was_left_out_is_read_back_before_single_commits_will_do() {
    let mut out = outbound(0, 3).unwrap();
    assert_eq!(out.poll_read(), Some((Seq(0), 100, true)), "what it lacks may be forgotten");
    queue(&mut out, Outgoing { behind: true, ..outgoing([item(0, 2, 9)]) });
    assert!(out.poll_frame().is_some());
    assert_eq!(out.poll_read(), Some((Seq(2), 91, true)));
    queue(&mut out, outgoing([item(2, 3, 9)]));
    out.head(Seq(4));
    assert!(out.poll_frame().is_some());
    assert_eq!(out.poll_read(), Some((Seq(3), 82, false)));
    out.ack(ack(2, 0)).unwrap();
    assert_eq!(out.known(), None, "what was left out came with seq 3");
    out.ack(ack(3, 0)).unwrap();
    assert_eq!(out.known(), Some(Seq(3)));

    let mut resumed = outbound(2, 3).unwrap();
    assert_eq!(resumed.poll_read(), Some((Seq(2), 100, true)), "nobody knows how it got there");
    assert_eq!(resumed.known(), None);
    let mut at_the_end = outbound(3, 3).unwrap();
    at_the_end.head(Seq(4));
    assert_eq!(at_the_end.poll_read(), Some((Seq(3), 100, false)));
}

#[test]
fn credit_has_a_limit_whatever_the_peer_grants() {
    let mut out = Outbound::resume(Seq(0), Seq(1), u64::MAX, 100, false).unwrap();
    out.start(Start { roll: None }).unwrap();
    assert_eq!(out.poll_read(), Some((Seq(0), CREDIT_BYTES_MAX, true)));
    out.ack(ack(0, u64::MAX)).unwrap();
    queue(&mut out, Outgoing::default());
    assert_eq!(out.poll_read(), Some((Seq(0), CREDIT_BYTES_MAX, false)));
}

#[test]
fn an_ack_of_what_was_never_sent_is_refused() {
    let mut out = outbound(0, 3).unwrap();
    assert!(out.ack(ack(1, 0)).is_err());
}

#[test]
fn a_roll_comes_first_and_what_changed_meanwhile_is_read_back() {
    let mut out = Outbound::resume(Seq(4), Seq(4), 100, 100, false).unwrap();
    assert_eq!(out.poll_roll(), None);
    assert!(out.start(Start { roll: Some(Seq(5)) }).is_err(), "seq 5 was never merged");
    out.start(Start { roll: Some(Seq(4)) }).unwrap();
    assert!(out.start(Start { roll: None }).is_err(), "it has started");
    out.head(Seq(5));
    assert_eq!(out.poll_read(), None, "the roll comes first");
    assert_eq!(out.poll_roll(), Some((Seq(0), Seq(4))));
    assert_eq!(out.poll_roll(), None, "one read at a time");
    out.queue_roll(outgoing([item(0, 2, 9)]));
    assert_eq!(out.poll_roll(), None, "it is not sent yet");
    assert!(out.poll_frame().is_some());
    assert_eq!(out.poll_roll(), Some((Seq(2), Seq(4))));
    out.queue_roll(outgoing([item(2, 4, 9)]));
    assert!(out.poll_frame().is_some());
    assert_eq!(out.poll_roll(), None);
    assert_eq!(out.poll_read(), Some((Seq(4), 82, true)));
}

#[test]
fn what_was_forgotten_before_the_peer_was_registered_is_not_told_by_single_commits() {
    for (purged, behind) in [(2, true), (0, false)] {
        let mut out = outbound(0, 0).unwrap();
        out.head(Seq(2));
        out.registered(Seq(purged));
        assert_eq!(out.poll_read(), Some((Seq(0), 100, behind)));
    }
}

#[test]
fn nothing_is_sent_before_the_peer_lets_it() {
    let mut out = Outbound::resume(Seq(0), Seq(4), 100, 100, false).unwrap();
    assert_eq!(out.poll_read(), None);
    out.start(Start { roll: None }).unwrap();
    assert_eq!(out.poll_read(), Some((Seq(0), 100, true)));
}

fn root(incarnation: u64, seq: u64) -> Checkpoint {
    Checkpoint { incarnation: Incarnation(incarnation), seq: Seq(seq) }
}

/// An item of 9 bytes that was written elsewhere.
fn forwarded(seq: u64, root: Checkpoint) -> OutgoingItem {
    OutgoingItem { roots: vec![root], ..item(seq - 1, seq, 9) }
}

/// The frames that are sent now, as their lengths.
fn sent(out: &mut Outbound, now_ms: u64) -> Vec<usize> {
    out.poll_kept(now_ms, &history());
    std::iter::from_fn(|| out.poll_frame()).map(|frame| frame.len()).collect()
}

#[test]
fn what_the_peer_told_that_it_has_is_not_sent_but_told() {
    let mut out = outbound(0, 0).unwrap();
    out.learn(&[root(1, 5)]);
    let both = OutgoingItem { roots: vec![root(1, 4), root(2, 4)], ..item(2, 3, 9) };
    queue(&mut out, outgoing([forwarded(1, root(1, 5)), item(1, 2, 7), both]));
    let frames: Vec<_> = std::iter::from_fn(|| out.poll_frame()).collect();
    assert_eq!(frames[0], told(0, 1));
    assert_eq!(frames[1..].iter().map(Bytes::len).collect::<Vec<_>>(), [7, 9]);
}

#[test]
fn nothing_is_kept_back_that_reaches_the_peer_by_this_link_only() {
    let mut out = outbound(0, 0).unwrap();
    out.learn(&[root(2, 5)]);
    out.take(outgoing([forwarded(1, root(1, 1)), item(1, 2, 7)]), 0);
    assert_eq!(sent(&mut out, 0), [9, 7]);
    assert_eq!(out.due_ms(), None);
}

#[test]
fn one_side_keeps_back_what_both_have_from_a_third_until_the_peer_has_it() {
    let items = || outgoing([forwarded(1, root(1, 6)), item(1, 2, 7)]);
    let mut out = outbound(0, 0).unwrap();
    (out.first, out.head) = (true, Seq(9));
    out.learn(&[root(1, 5)]);
    out.take(items(), 0);
    assert_eq!(sent(&mut out, 0), [9, 7], "of the two it is this side that sends");

    let mut out = outbound(0, 0).unwrap();
    out.head(Seq(9));
    out.learn(&[root(1, 5)]);
    out.take(items(), 8);
    assert_eq!(sent(&mut out, 8), [0; 0]);
    assert_eq!(out.due_ms(), Some(8 + DEFER_MS));
    assert_eq!(out.poll_read(), None, "what follows keeps its place");
    assert_eq!(out.known(), Some(Seq(0)));
    out.learn(&[root(1, 6)]);
    let passed = told(0, 1).len();
    assert_eq!(sent(&mut out, 9), [passed, 7], "it came by another way");
    assert_eq!((out.due_ms(), out.poll_read().map(|read| read.0)), (None, Some(Seq(2))));
}

#[test]
fn what_does_not_come_by_another_way_is_sent_and_delays_no_more() {
    let mut out = outbound(0, 0).unwrap();
    out.learn(&[root(1, 5)]);
    out.take(outgoing([forwarded(1, root(1, 6)), forwarded(2, root(1, 7))]), 8);
    assert_eq!(sent(&mut out, 7 + DEFER_MS), [0; 0]);
    assert_eq!(sent(&mut out, 8 + DEFER_MS), [9, 9]);
    out.take(outgoing([forwarded(3, root(1, 8))]), 100);
    assert_eq!(sent(&mut out, 100), [9]);
    out.learn(&[root(1, 8)]);
    out.take(outgoing([forwarded(4, root(1, 9))]), 200);
    assert_eq!(sent(&mut out, 200), [0; 0], "the other way is there again");
}

#[test]
fn definitions_are_told_once_before_what_needs_them_and_cost_no_credit() {
    let operation = blaze_codec::Operation {
        collection: "notes".parse().unwrap(),
        key: 7.into(),
        version: blaze_codec::Version::ZERO,
        base: blaze_codec::Version::ZERO,
        change: blaze_codec::Change::Delete,
    };
    let mut feed = FeedEncoder::default();
    let mut out = outbound(0, 0).unwrap();
    out.head(Seq(2));
    let items = [1, 2].map(|seq| {
        let encoded =
            feed.encode(&Range::new(Seq(seq - 1), Seq(seq)), std::slice::from_ref(&operation));
        OutgoingItem { after: Seq(seq - 1), through: Seq(seq), encoded, roots: Vec::new() }
    });
    let [first, second] = items.clone().map(|item| item.encoded);
    assert_eq!(first.needs, second.needs);
    queue(&mut out, outgoing(items));
    out.credit = first.frames[0].bytes().len() as u64;
    let sent: Vec<_> = std::iter::from_fn(|| out.poll_frame()).collect();
    let definitions = first.needs.iter().map(|definition| definition.frame.clone());
    let expected: Vec<_> = definitions.chain([first.frames[0].bytes().clone()]).collect();
    assert_eq!(expected.len(), 3, "a node, a shape, and changes");
    assert_eq!(sent, expected);
    out.ack(ack(1, 100)).unwrap();
    assert_eq!(out.poll_frame().as_ref(), Some(second.frames[0].bytes()));
    assert_eq!(out.poll_frame(), None);
}

#[test]
fn who_goes_on_in_the_middle_may_lack_something_until_it_has_all() {
    let resumed = |after, head| Outbound::resume(Seq(after), Seq(head), 100, 100, false).unwrap();
    assert!(!resumed(0, 9).left_out(), "nothing was sent before");
    assert!(!resumed(9, 9).left_out(), "it has all");
    let mut out = resumed(3, 9);
    assert!(out.left_out(), "an earlier session may have left something out");
    out.take(Outgoing { left_out: true, ..outgoing([item(3, 5, 9)]) }, 0);
    assert!(out.left_out());
    out.take(outgoing([item(5, 9, 9)]), 0);
    assert!(!out.left_out());
}

#[test]
fn what_was_left_out_counts_as_untold_until_the_rest_was_read_and_acknowledged() {
    let left_out = |through| {
        let items = outgoing([item(through - 1, through, 9)]);
        Outgoing { left_out: true, behind: true, ..items }
    };
    let mut out = outbound(2, 9).unwrap();
    // The peer goes on in the middle of what was left out of an earlier session.
    out.had_all(Seq(1));
    assert_eq!((out.since(), out.complete()), (Seq(1), Seq(1)));
    out.poll_read().unwrap();
    assert_eq!(out.since(), Seq(1), "nothing tells that nothing is left out");
    queue(&mut out, left_out(3));
    out.poll_frame().unwrap();
    out.poll_read().unwrap();
    out.ack(ack(3, 50)).unwrap();
    assert_eq!((out.since(), out.complete()), (Seq(1), Seq(1)), "it lacks what was left out");
    queue(&mut out, outgoing([item(3, 9, 9)]));
    out.poll_frame().unwrap();
    out.head(Seq(10));
    out.poll_read().unwrap();
    assert_eq!((out.since(), out.complete()), (Seq(9), Seq(1)), "it is on its way");
    out.ack(ack(9, 0)).unwrap();
    assert_eq!(out.complete(), Seq(9));
}
