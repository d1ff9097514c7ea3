//! The sending direction: feed in, frames out, as far as credit goes.

use std::collections::VecDeque;

use blaze_codec::message::{Ack, Resume, encode_changes};
use blaze_codec::{Incarnation, NodeId, Seq};
use bytes::Bytes;

use crate::{OutgoingItem, SessionError};

/// What this side sends of its feed.
///
/// Three places in the feed, in this order: `acked` (the peer has it, durably),
/// `told` (the last range that was queued ends here), `read` (everything up to
/// here was sent or is known to the peer).
#[derive(Debug)]
pub(crate) struct Outbound {
    peer: NodeId,
    acked: Seq,
    told: Seq,
    read: Seq,
    head: Seq,
    /// The head when the session began: the peer waits to reach it.
    announced: Seq,
    credit: u64,
    queue: VecDeque<Bytes>,
    reading: bool,
}

impl Outbound {
    /// Starts where the peer asks.
    pub(crate) fn resume(
        peer: NodeId,
        resume: Resume,
        own: Incarnation,
        head: Seq,
        frame_bytes_max: usize,
    ) -> Result<Self, SessionError> {
        if resume.credit < frame_bytes_max as u64 {
            return Err(SessionError::Violation { rule: "the first credit covers a frame" });
        }
        // A checkpoint of another life of this feed says nothing of this one.
        let after = if resume.incarnation == Some(own) { resume.after } else { Seq::ZERO };
        if after > head {
            return Err(SessionError::FeedWentBack { held: after.0, head: head.0 });
        }
        Ok(Self {
            peer,
            acked: after,
            told: after,
            read: after,
            head,
            announced: head,
            credit: resume.credit,
            queue: VecDeque::new(),
            reading: false,
        })
    }

    pub(crate) fn head(&mut self, head: Seq) {
        self.head = self.head.max(head);
    }

    /// Where and how much to read next, if it is time to.
    pub(crate) fn poll_read(&mut self) -> Option<(Seq, u64)> {
        if self.reading || !self.queue.is_empty() || self.credit == 0 || self.read >= self.head {
            return None;
        }
        self.reading = true;
        Some((self.read, self.credit))
    }

    /// Queues what was read, but for what came from the peer itself.
    pub(crate) fn queue(&mut self, items: Vec<OutgoingItem>) {
        self.reading = false;
        for item in items {
            debug_assert!(item.after <= self.read, "a gap in what was read of the feed");
            self.read = self.read.max(item.through);
            if item.origin == Some(self.peer) {
                continue;
            }
            if self.told < item.after {
                self.bridge(item.after);
            }
            self.told = item.through;
            self.queue.extend(item.frames);
        }
        if self.told < self.announced && self.read >= self.announced {
            self.bridge_idle();
        }
    }

    /// Lets the peer's checkpoint pass what it needn't be sent.
    pub(crate) fn bridge_idle(&mut self) {
        if self.queue.is_empty() && self.told < self.read {
            self.bridge(self.read);
        }
    }

    fn bridge(&mut self, through: Seq) {
        self.queue.extend(encode_changes(self.told, through, &[]));
        self.told = through;
    }

    /// The next frame, if credit allows it.
    pub(crate) fn poll_frame(&mut self) -> Option<Bytes> {
        let bytes = self.queue.front()?.len() as u64;
        self.credit = self.credit.checked_sub(bytes)?;
        self.queue.pop_front()
    }

    /// Takes an ack; returns the seq up to which the peer now has everything.
    pub(crate) fn ack(&mut self, ack: Ack) -> Result<Seq, SessionError> {
        if ack.through > self.told {
            return Err(SessionError::Violation { rule: "an ack covers only what was sent" });
        }
        self.acked = self.acked.max(ack.through);
        self.credit = self.credit.saturating_add(ack.credit);
        Ok(self.known())
    }

    /// The seq up to which the peer has everything: what it acknowledged, and
    /// what came from it anyway.
    pub(crate) fn known(&self) -> Seq {
        if self.acked == self.told { self.read } else { self.acked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId::from_bytes([1; 16]);
    const OWN: Incarnation = Incarnation(7);

    fn outbound(after: u64, head: u64) -> Result<Outbound, SessionError> {
        let resume = Resume { incarnation: Some(OWN), after: Seq(after), credit: 100 };
        Outbound::resume(PEER, resume, OWN, Seq(head), 100)
    }

    fn item(after: u64, through: u64, origin: Option<NodeId>, bytes: usize) -> OutgoingItem {
        let frames = vec![Bytes::from(vec![0; bytes])];
        OutgoingItem { after: Seq(after), through: Seq(through), origin, frames }
    }

    #[test]
    fn frames_wait_for_credit() {
        let mut out = outbound(0, 3).unwrap();
        assert_eq!(out.poll_read(), Some((Seq(0), 100)));
        assert_eq!(out.poll_read(), None, "one read at a time");
        out.queue(vec![item(0, 1, None, 60), item(1, 2, None, 60)]);
        assert_eq!(out.poll_frame().map(|frame| frame.len()), Some(60));
        assert_eq!(out.poll_frame(), None);
        assert_eq!(out.ack(Ack { through: Seq(1), credit: 60 }), Ok(Seq(1)));
        assert!(out.poll_frame().is_some());
        assert_eq!(out.poll_read(), Some((Seq(2), 40)));
    }

    #[test]
    fn what_came_from_the_peer_is_bridged_not_sent() {
        let mut out = outbound(0, 0).unwrap();
        out.head(Seq(3));
        out.queue(vec![item(0, 1, Some(PEER), 9), item(1, 2, Some(PEER), 9)]);
        assert_eq!(out.poll_frame(), None);
        assert_eq!(out.known(), Seq(2));
        out.queue(vec![item(2, 3, None, 9)]);
        assert_eq!(out.poll_frame(), Some(encode_changes(Seq(0), Seq(2), &[])[0].clone()));
        assert_eq!(out.poll_frame().map(|frame| frame.len()), Some(9));
        assert_eq!(out.known(), Seq(0), "sent, not acknowledged");
    }

    #[test]
    fn a_peer_that_waits_to_catch_up_is_told_of_what_it_need_not_be_sent() {
        let mut out = outbound(0, 1).unwrap();
        out.queue(vec![item(0, 1, Some(PEER), 9)]);
        assert_eq!(out.poll_frame(), Some(encode_changes(Seq(0), Seq(1), &[])[0].clone()));
    }

    #[test]
    fn a_feed_that_went_back_is_refused_and_another_life_starts_over() {
        assert_eq!(outbound(9, 5).unwrap_err(), SessionError::FeedWentBack { held: 9, head: 5 });
        let other = Resume { incarnation: Some(Incarnation(8)), after: Seq(9), credit: 100 };
        let mut out = Outbound::resume(PEER, other, OWN, Seq(5), 100).unwrap();
        assert_eq!(out.poll_read(), Some((Seq(0), 100)));
    }

    #[test]
    fn an_ack_of_what_was_never_sent_is_refused() {
        let mut out = outbound(0, 3).unwrap();
        assert!(out.ack(Ack { through: Seq(1), credit: 0 }).is_err());
    }
}
