//! Up to where a peer has this feed for good, so that tombstones may go.

use blaze_codec::Seq;

/// What was acknowledged settles once everything is merged here that the peer had
/// committed until it said so: writes from before it knew of a delete may have been on
/// their way.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    /// The peer's head when it acknowledged last.
    head: Seq,
    /// Whether it did. What it holds when the session begins it acknowledges once more:
    /// it may have written something since its hello, and then merged that.
    acked: bool,
    /// Something that was acknowledged, and what is to be merged before it settles. One
    /// is enough: while it waits, what follows comes together.
    waiting: Option<(Seq, Seq)>,
    settled: Seq,
}

impl Settling {
    /// What the peer says of its head in an ack.
    pub(crate) fn heard(&mut self, head: Seq) {
        self.head = self.head.max(head);
        self.acked = true;
    }

    /// What has settled since, when the peer has everything up to `known`, and everything
    /// of its feed up to `merged` is merged here; `None` if it sends nothing. Up to
    /// `arrived` its feed is here or on its way: what came from there, over another link,
    /// it has without an ack.
    pub(crate) fn poll(&mut self, known: Seq, arrived: Seq, merged: Option<Seq>) -> Option<Seq> {
        let before = self.settled;
        if !self.acked {
            return None;
        }
        loop {
            let (seq, head) = match self.waiting {
                Some(waiting) => waiting,
                None if known > self.settled => (known, self.head.max(arrived)),
                None => break,
            };
            #[cfg(feature = "canary")]
            let merged =
                merged.filter(|_| !crate::canary::is(crate::canary::Canary::SettledOnceAcked));
            if merged.is_some_and(|merged| merged < head) {
                self.waiting = Some((seq, head));
                break;
            }
            (self.waiting, self.settled) = (None, seq);
        }
        (self.settled > before).then_some(self.settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acknowledged_settles_once_what_the_peer_had_is_merged() {
        let mut settling = Settling::default();
        settling.heard(Seq(5));
        assert_eq!(settling.poll(Seq(3), Seq::ZERO, Some(Seq(4))), None);
        // More is acknowledged meanwhile, by one who has committed more.
        settling.heard(Seq(9));
        assert_eq!(settling.poll(Seq(6), Seq::ZERO, Some(Seq(5))), Some(Seq(3)));
        assert_eq!(settling.poll(Seq(6), Seq::ZERO, Some(Seq(8))), None);
        assert_eq!(settling.poll(Seq(7), Seq::ZERO, Some(Seq(9))), Some(Seq(7)));
        assert_eq!(settling.poll(Seq(7), Seq::ZERO, Some(Seq(9))), None, "it is said once");
    }

    #[test]
    fn what_is_held_when_the_session_begins_waits_for_an_ack() {
        let mut settling = Settling::default();
        assert_eq!(settling.poll(Seq(3), Seq::ZERO, Some(Seq(4))), None);
        settling.heard(Seq(5));
        assert_eq!(settling.poll(Seq(3), Seq::ZERO, Some(Seq(4))), None);
        assert_eq!(settling.poll(Seq(3), Seq::ZERO, Some(Seq(5))), Some(Seq(3)));
    }

    #[test]
    fn what_came_from_the_peer_over_another_link_waits_for_what_is_on_its_way() {
        let mut settling = Settling::default();
        settling.heard(Seq(1));
        assert_eq!(settling.poll(Seq(3), Seq(5), Some(Seq(4))), None);
        assert_eq!(settling.poll(Seq(3), Seq(9), Some(Seq(5))), Some(Seq(3)));
    }

    #[test]
    fn a_peer_that_sends_nothing_settles_what_it_acknowledges() {
        let mut settling = Settling::default();
        settling.heard(Seq(5));
        assert_eq!(settling.poll(Seq(3), Seq::ZERO, None), Some(Seq(3)));
    }
}
