//! The peers that a replica exchanges with, and which tombstones they still need.
//!
//! A deleted record is kept as a tombstone, so that a peer which hasn't heard of the
//! delete hears of it, and doesn't bring the record back. It may go once every
//! registered peer has it *for good*: the peer has acknowledged it, and everything that
//! the peer had committed before it did so is merged here, so that nothing from before
//! the delete can still come from there.

use blaze_codec::{NodeId, Seq};

/// A peer that a replica exchanges with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredPeer {
    /// The replica.
    pub node: NodeId,
    /// Its name, for people.
    pub name: String,
    /// The local seq up to which it has everything for good.
    pub settled: Seq,
    /// When it was last heard of, in milliseconds since 1970, by the local clock.
    pub seen_ms: u64,
}

/// What [`DatabaseAdapter::purge`](crate::DatabaseAdapter::purge) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Tombstones that are gone.
    pub removed: u64,
    /// The seq up to which there are none left.
    pub through: Seq,
}

impl RegisteredPeer {
    /// A peer that was never heard of.
    pub const fn new(node: NodeId) -> Self {
        Self { node, name: String::new(), settled: Seq::ZERO, seen_ms: 0 }
    }

    /// Whether nothing was heard of it since then: tombstones don't wait for it.
    pub const fn is_expired(&self, silent_since_ms: u64) -> bool {
        self.seen_ms < silent_since_ms
    }

    /// Notes that the peer's session begins, and up to where it holds this feed.
    /// That may be less than before: its database was put back to a backup.
    pub fn begin(&mut self, name: &str, holds: Seq, now_ms: u64) {
        name.clone_into(&mut self.name);
        #[cfg(feature = "canary")]
        let before = self.settled;
        self.settled = self.settled.min(holds);
        #[cfg(feature = "canary")]
        if crate::canary::is(crate::canary::Canary::SettledForGood) {
            self.settled = before;
        }
        self.seen_ms = now_ms;
    }

    /// Notes that the peer is there, and up to where it has this feed for good.
    pub fn settle(&mut self, settled: Seq, now_ms: u64) {
        self.settled = self.settled.max(settled);
        self.seen_ms = now_ms;
    }
}

/// The seq up to which tombstones may go: none of the peers needs them, but for those
/// of which nothing was heard since then. Without any peer all stay: the file may be a
/// copy, or be copied, so that somebody who is not known yet has the records.
pub fn settled(peers: &[RegisteredPeer], head: Seq, silent_since_ms: u64) -> Seq {
    #[cfg(feature = "canary")]
    if crate::canary::is(crate::canary::Canary::PurgeWithoutPeers) {
        return head;
    }
    if peers.is_empty() {
        return Seq::ZERO;
    }
    let waited_for = peers.iter().filter(|peer| !peer.is_expired(silent_since_ms));
    waited_for.map(|peer| peer.settled).fold(head, Seq::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(settled: u64, seen_ms: u64) -> RegisteredPeer {
        let node = NodeId::ZERO;
        RegisteredPeer { node, name: String::new(), settled: Seq(settled), seen_ms }
    }

    #[test]
    fn tombstones_wait_for_the_slowest_peer_that_is_still_heard_of() {
        let peers = [peer(9, 100), peer(5, 80), peer(2, 10)];
        assert_eq!(settled(&peers, Seq(20), 10), Seq(2));
        assert_eq!(settled(&peers, Seq(20), 11), Seq(5));
        assert_eq!(settled(&peers, Seq(20), 101), Seq(20), "nobody is waited for");
        assert_eq!(settled(&[], Seq(20), 0), Seq::ZERO, "a copy may have the records");
    }

    #[test]
    fn a_peer_that_went_back_needs_what_it_lost_again() {
        let mut peer = peer(9, 1);
        peer.begin("tablet", Seq(4), 70);
        assert_eq!((peer.settled, peer.seen_ms, &*peer.name), (Seq(4), 70, "tablet"));
        peer.begin("tablet", Seq(6), 80);
        assert_eq!(peer.settled, Seq(4), "that it holds more isn't yet for good");
    }
}
