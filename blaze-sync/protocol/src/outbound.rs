//! The sending direction: feed in, frames out, as far as credit goes.

use std::collections::VecDeque;

use blaze_codec::Seq;
use blaze_codec::message::{Ack, Start, encode_changes};
use bytes::Bytes;

#[cfg(feature = "canary")]
use crate::canary::{self, Canary};
use crate::{CREDIT_BYTES_MAX, Outgoing, SessionError};

/// Seqs that the peer knows anyway are told after so many, so that its checkpoint
/// keeps up.
const UNTOLD_MAX: u64 = 64;
/// They are told at the latest after so long, in milliseconds.
const UNTOLD_MS: u64 = 1_000;

/// What this side sends of its feed.
///
/// Three places in the feed, in this order: `acked` (the peer has it, durably),
/// `told` (the last range that was queued ends here), `read` (everything up to
/// here was sent or is known to the peer).
#[derive(Debug)]
pub(crate) struct Outbound {
    acked: Seq,
    told: Seq,
    read: Seq,
    head: Seq,
    /// The head when the session began: the peer waits to reach it.
    announced: Seq,
    credit: u64,
    queue: VecDeque<Bytes>,
    reading: bool,
    /// Whether records may have been left out because they changed again later: in what
    /// was read last, or in an earlier session, of which nothing is known. At first, too:
    /// the peer may have forgotten deletes that are left out as known to it.
    behind: bool,
    /// Below this, what the peer acknowledged may lack what was left out.
    whole: Seq,
    /// Since when there is something untold.
    untold_ms: Option<u64>,
    /// Whether the peer lets this side send.
    started: bool,
    /// Up to where the roll that the peer asks for was sent, and to where it goes.
    roll: Option<(Seq, Seq)>,
}

impl Outbound {
    /// Starts after what the peer has, with the credit that it grants.
    pub(crate) fn resume(
        after: Seq,
        announced: Seq,
        credit: u64,
        frame_bytes_max: usize,
    ) -> Result<Self, SessionError> {
        if credit < frame_bytes_max as u64 {
            return Err(SessionError::Violation { rule: "the first credit covers a frame" });
        }
        Ok(Self {
            acked: after,
            told: after,
            read: after,
            head: announced,
            announced,
            credit: credit.min(CREDIT_BYTES_MAX),
            queue: VecDeque::new(),
            reading: false,
            behind: after < announced,
            whole: Seq::ZERO,
            untold_ms: None,
            started: false,
            roll: None,
        })
    }

    /// The peer lets this side send, its roll first if it asks for that.
    pub(crate) fn start(&mut self, start: Start) -> Result<(), SessionError> {
        if self.started {
            return Err(SessionError::Violation { rule: "one start a session" });
        }
        if start.roll.is_some_and(|through| through > self.acked) {
            return Err(SessionError::Violation { rule: "a roll is of what was merged before" });
        }
        self.started = true;
        #[cfg(feature = "canary")]
        let start = match start.roll {
            Some(_) if canary::is(Canary::RollOfEverything) => Start { roll: Some(self.head) },
            _ => start,
        };
        self.roll = start.roll.map(|through| (Seq::ZERO, through));
        Ok(())
    }

    /// The peer is registered; tombstones are gone up to `purged`. Single commits up to
    /// there tell of records that were forgotten before it was.
    pub(crate) fn registered(&mut self, purged: Seq) {
        self.behind |= self.read < purged;
    }

    /// What of the roll to read next, if it is time to.
    pub(crate) fn poll_roll(&mut self) -> Option<(Seq, Seq)> {
        if self.reading || !self.queue.is_empty() || self.credit == 0 {
            return None;
        }
        self.reading = self.roll.is_some();
        self.roll
    }

    /// Queues a piece of the roll.
    pub(crate) fn queue_roll(&mut self, outgoing: Outgoing) {
        self.reading = false;
        let Some((reached, through)) = &mut self.roll else { return };
        for item in outgoing.items {
            *reached = item.through;
            self.queue.extend(item.frames);
        }
        if reached < through {
            return;
        }
        self.roll = None;
        // What changed meanwhile isn't in the roll, and the peer may have forgotten what
        // its last change is based on.
        self.behind |= self.read < self.head;
    }

    /// The seq up to which the peer has acknowledged the feed.
    pub(crate) const fn acked(&self) -> Seq {
        self.acked
    }

    pub(crate) fn head(&mut self, head: Seq) {
        self.head = self.head.max(head);
    }

    /// Where and how much to read next, if it is time to.
    ///
    /// The third tells whether single commits won't do; see [`Output::Read`](crate::Output::Read).
    pub(crate) fn poll_read(&mut self) -> Option<(Seq, u64, bool)> {
        let open = self.started && self.roll.is_none();
        let busy = self.reading || !self.queue.is_empty();
        if !open || busy || self.credit == 0 || self.read >= self.head {
            return None;
        }
        self.reading = true;
        Some((self.read, self.credit, self.behind))
    }

    /// Queues what was read, but for what the peer knows anyway.
    pub(crate) fn queue(&mut self, outgoing: Outgoing) {
        self.reading = false;
        let was_behind = std::mem::replace(&mut self.behind, outgoing.behind);
        for item in outgoing.items {
            debug_assert!(item.after <= self.read, "a gap in what was read of the feed");
            self.read = self.read.max(item.through);
            if item.frames.is_empty() {
                continue;
            }
            if self.told < item.after {
                self.tell(item.after);
            }
            self.told = item.through;
            self.queue.extend(item.frames);
        }
        if was_behind {
            self.whole = self.read;
        }
    }

    /// Lets the peer's checkpoint pass what it knows anyway, if it waits for that or
    /// enough of it has come together.
    pub(crate) fn poll_untold(&mut self, now_ms: u64) {
        if self.told == self.read || !self.queue.is_empty() {
            self.untold_ms = None;
            return;
        }
        let since = *self.untold_ms.get_or_insert(now_ms);
        let awaited = self.told < self.announced && self.announced <= self.read;
        let many = self.read.0 - self.told.0 >= UNTOLD_MAX;
        if awaited || many || now_ms >= since.saturating_add(UNTOLD_MS) {
            self.tell(self.read);
            self.untold_ms = None;
        }
    }

    /// When [`Self::poll_untold`] is due.
    pub(crate) fn untold_due_ms(&self) -> Option<u64> {
        Some(self.untold_ms?.saturating_add(UNTOLD_MS))
    }

    fn tell(&mut self, through: Seq) {
        #[cfg(feature = "canary")]
        if canary::is(Canary::UntoldNeverTold) {
            return;
        }
        self.queue.extend(encode_changes(self.told, through, &[]));
        self.told = through;
    }

    /// Whether credit allows the next frame.
    pub(crate) fn can_send(&self) -> bool {
        #[cfg(feature = "canary")]
        if canary::is(Canary::CreditIgnored) {
            return !self.queue.is_empty();
        }
        self.queue.front().is_some_and(|frame| frame.len() as u64 <= self.credit)
    }

    /// The next frame, if credit allows it.
    pub(crate) fn poll_frame(&mut self) -> Option<Bytes> {
        #[cfg(feature = "canary")]
        if canary::is(Canary::CreditIgnored) {
            return self.queue.pop_front();
        }
        let bytes = self.queue.front()?.len() as u64;
        self.credit = self.credit.checked_sub(bytes)?;
        self.queue.pop_front()
    }

    /// Takes an ack.
    pub(crate) fn ack(&mut self, ack: Ack) -> Result<(), SessionError> {
        if ack.through > self.told {
            return Err(SessionError::Violation { rule: "an ack covers only what was sent" });
        }
        self.acked = self.acked.max(ack.through);
        self.credit = self.credit.saturating_add(ack.credit).min(CREDIT_BYTES_MAX);
        Ok(())
    }

    /// The seq up to which the peer has everything: what it acknowledged, and
    /// what came from it anyway; `None` while it may lack what was left out.
    pub(crate) fn known(&self) -> Option<Seq> {
        #[cfg(feature = "canary")]
        if canary::is(Canary::KnownTooMuch) {
            return Some(self.read);
        }
        let known = if self.acked == self.told { self.read } else { self.acked };
        (!self.behind && known >= self.whole).then_some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OutgoingItem;

    fn outbound(after: u64, head: u64) -> Result<Outbound, SessionError> {
        let mut outbound = Outbound::resume(Seq(after), Seq(head), 100, 100)?;
        outbound.start(Start { roll: None })?;
        Ok(outbound)
    }

    fn ack(through: u64, credit: u64) -> Ack {
        Ack { through: Seq(through), credit, head: Seq::ZERO }
    }

    fn item(after: u64, through: u64, bytes: usize) -> OutgoingItem {
        let frames = vec![Bytes::from(vec![0; bytes])];
        OutgoingItem { after: Seq(after), through: Seq(through), frames }
    }

    fn outgoing<const N: usize>(items: [OutgoingItem; N]) -> Outgoing {
        Outgoing { items: items.into(), behind: false }
    }

    fn known(after: u64, through: u64) -> OutgoingItem {
        OutgoingItem { after: Seq(after), through: Seq(through), frames: Vec::new() }
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
        out.queue(outgoing([item(0, 1, 60), item(1, 2, 60)]));
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
        out.queue(outgoing([known(0, 1), known(1, 2)]));
        out.poll_untold(0);
        assert_eq!(out.poll_frame(), None, "not yet");
        assert_eq!(out.known(), Some(Seq(2)));
        out.queue(outgoing([item(2, 3, 9)]));
        assert_eq!(out.poll_frame(), Some(told(0, 2)));
        assert_eq!(out.poll_frame().map(|frame| frame.len()), Some(9));
        assert_eq!(out.known(), Some(Seq(0)), "sent, not acknowledged");
    }

    #[test]
    fn a_peer_that_waits_to_catch_up_is_told_at_once_behind_what_is_queued() {
        let mut out = outbound(0, 2).unwrap();
        out.queue(outgoing([item(0, 1, 9), known(1, 2)]));
        out.poll_untold(0);
        assert_eq!(out.poll_frame().map(|frame| frame.len()), Some(9));
        out.poll_untold(0);
        assert_eq!(out.poll_frame(), Some(told(1, 2)));
    }

    #[test]
    fn what_is_untold_is_told_when_it_is_much_or_old() {
        let mut out = outbound(0, 0).unwrap();
        out.queue(outgoing([known(0, 1)]));
        out.poll_untold(5);
        assert_eq!((out.poll_frame(), out.untold_due_ms()), (None, Some(5 + UNTOLD_MS)));
        out.poll_untold(5 + UNTOLD_MS);
        assert_eq!(out.poll_frame(), Some(told(0, 1)));
        out.queue(outgoing([known(1, 1 + UNTOLD_MAX)]));
        out.poll_untold(9_000);
        assert_eq!(out.poll_frame(), Some(told(1, 1 + UNTOLD_MAX)));
        assert_eq!(out.untold_due_ms(), None);
    }

    #[test]
    fn what_was_left_out_is_read_back_before_single_commits_will_do() {
        let mut out = outbound(0, 3).unwrap();
        assert_eq!(out.poll_read(), Some((Seq(0), 100, true)), "what it lacks may be forgotten");
        out.queue(Outgoing { behind: true, ..outgoing([item(0, 2, 9)]) });
        assert!(out.poll_frame().is_some());
        assert_eq!(out.poll_read(), Some((Seq(2), 91, true)));
        out.queue(outgoing([item(2, 3, 9)]));
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
        let mut out = Outbound::resume(Seq(0), Seq(1), u64::MAX, 100).unwrap();
        out.start(Start { roll: None }).unwrap();
        assert_eq!(out.poll_read(), Some((Seq(0), CREDIT_BYTES_MAX, true)));
        out.ack(ack(0, u64::MAX)).unwrap();
        out.queue(Outgoing::default());
        assert_eq!(out.poll_read(), Some((Seq(0), CREDIT_BYTES_MAX, false)));
    }

    #[test]
    fn an_ack_of_what_was_never_sent_is_refused() {
        let mut out = outbound(0, 3).unwrap();
        assert!(out.ack(ack(1, 0)).is_err());
    }

    #[test]
    fn a_roll_comes_first_and_what_changed_meanwhile_is_read_back() {
        let mut out = Outbound::resume(Seq(4), Seq(4), 100, 100).unwrap();
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
        let mut out = Outbound::resume(Seq(0), Seq(4), 100, 100).unwrap();
        assert_eq!(out.poll_read(), None);
        out.start(Start { roll: None }).unwrap();
        assert_eq!(out.poll_read(), Some((Seq(0), 100, true)));
    }
}
