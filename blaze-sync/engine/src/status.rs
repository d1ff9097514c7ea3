//! What is known of a node's links, as a watch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blaze_codec::{NodeId, Seq};
use blaze_sync_protocol::{Event, Peer};
use blaze_transport::Endpoint;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Names a link of a node, for as long as the node lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(u64);

/// Which side made the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// This node connects, or has joined.
    Outgoing,
    /// The peer connected to this node.
    Incoming,
}

/// What a link does right now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkState {
    /// A connection is being made, or both sides say hello.
    Connecting,
    /// The session is up and catches up with what the peer had when it began.
    Syncing,
    /// Everything that the peer had when the session began is merged; changes
    /// follow as they happen.
    Live,
    /// The endpoint was joined, and nobody else listened there: this node does, and the
    /// others connect to it, each over a link of its own.
    Hub,
    /// The connection failed or was lost; the next attempt comes after a wait.
    Waiting {
        /// How long, from when this state was entered.
        wait: Duration,
        /// Why.
        reason: Arc<str>,
        /// Whether somebody has to change something before it can work.
        refused: bool,
    },
    /// The link has ended.
    Closed {
        /// Why.
        reason: Arc<str>,
    },
}

/// A link, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// Its id.
    pub id: LinkId,
    /// Where it connects to, or what it was accepted at.
    pub endpoint: Endpoint,
    /// Which side made the connection.
    pub direction: Direction,
    /// What it does right now.
    pub state: LinkState,
    /// The peer of the latest session.
    pub peer: Option<Peer>,
    /// The local seq up to which the peer has everything, durably; `None` as long
    /// as no session sends to it.
    pub acked: Option<Seq>,
    /// The peer's seq up to which everything is merged here.
    pub received: Option<Seq>,
    /// The local seq up to which the peer has everything for good, so that tombstones
    /// needn't be kept for it; `None` if nothing has settled in this session.
    pub settled: Option<Seq>,
    /// What the session found of a file that went back, on either side.
    pub went_back: Option<WentBack>,
    /// Whether the peer was away for so long, or went back so far, that it missed
    /// tombstones which are gone here. It is told which of its records were deleted.
    pub missed_tombstones: bool,
}

/// A database that isn't what it was when it was last exchanged with: it was restored
/// from an older backup, or its last commits were lost in a power cut. What it lost
/// is merged again from the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WentBack {
    /// Whether it is this node's database, not the peer's.
    pub here: bool,
    /// The seq that it had reached.
    pub held: Seq,
    /// The last seq up to which it is still the same.
    pub common: Seq,
}

impl LinkStatus {
    /// The peer, and the last seq of its feed that it is known to have reached.
    fn reached(&self) -> Option<(&Peer, Seq)> {
        let peer = self.peer.as_ref()?;
        Some((peer, peer.head.max(self.received.unwrap_or(Seq::ZERO))))
    }

    /// Whether a session is up.
    pub const fn is_connected(&self) -> bool {
        matches!(self.state, LinkState::Syncing | LinkState::Live)
    }
}

/// A peer that has a commit, durably.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The replica.
    pub node: NodeId,
    /// Its name, for people.
    pub name: String,
    /// The local seq up to which it has everything.
    pub through: Seq,
}

/// Ended links that are kept for a subscriber that doesn't keep up.
const ENDED_KEPT: usize = 256;

/// The links of a node.
#[derive(Debug)]
pub(crate) struct Links {
    next: AtomicU64,
    ended: broadcast::Sender<LinkStatus>,
    statuses: watch::Sender<BTreeMap<LinkId, LinkStatus>>,
}

impl Links {
    pub(crate) fn new() -> Self {
        Self {
            next: AtomicU64::new(0),
            ended: broadcast::Sender::new(ENDED_KEPT),
            statuses: watch::Sender::new(BTreeMap::new()),
        }
    }

    pub(crate) fn ended(&self) -> broadcast::Receiver<LinkStatus> {
        self.ended.subscribe()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<BTreeMap<LinkId, LinkStatus>> {
        self.statuses.subscribe()
    }

    /// What has settled, with each peer that is there. Of several sessions with one, each
    /// may bring what is older than what another settled.
    pub(crate) fn settled(&self) -> Vec<(NodeId, Seq)> {
        let mut settled: BTreeMap<NodeId, Seq> = BTreeMap::new();
        for status in self.statuses.borrow().values().filter(|status| status.is_connected()) {
            let Some(peer) = &status.peer else { continue };
            let seq = status.settled.unwrap_or(Seq::ZERO);
            settled.entry(peer.node).and_modify(|least| *least = seq.min(*least)).or_insert(seq);
        }
        settled.into_iter().collect()
    }

    /// Adds a link that is being connected.
    pub(crate) fn add(self: &Arc<Self>, endpoint: Endpoint, direction: Direction) -> LinkEntry {
        let status = self.status(endpoint, direction, LinkState::Connecting);
        let id = status.id;
        self.statuses.send_modify(|statuses| {
            statuses.insert(id, status);
        });
        LinkEntry { id, links: Arc::clone(self) }
    }

    /// Tells of a peer that the transport let in no further than to say why not.
    pub(crate) fn refused(&self, endpoint: Endpoint, reason: String) {
        let state = LinkState::Closed { reason: reason.into() };
        // Nobody may be listening.
        let _ = self.ended.send(self.status(endpoint, Direction::Incoming, state));
    }

    /// The status of a new link.
    fn status(&self, endpoint: Endpoint, direction: Direction, state: LinkState) -> LinkStatus {
        LinkStatus {
            id: LinkId(self.next.fetch_add(1, Ordering::Relaxed)),
            endpoint,
            direction,
            state,
            peer: None,
            acked: None,
            received: None,
            settled: None,
            went_back: None,
            missed_tombstones: false,
        }
    }
}

/// One link's line in [`Links`]; gone when this is dropped.
#[derive(Debug)]
pub(crate) struct LinkEntry {
    id: LinkId,
    links: Arc<Links>,
}

impl LinkEntry {
    pub(crate) const fn id(&self) -> LinkId {
        self.id
    }

    /// The peer of the session that is up.
    pub(crate) fn peer(&self) -> Option<NodeId> {
        let statuses = self.links.statuses.borrow();
        let status = statuses.get(&self.id).filter(|status| status.is_connected())?;
        Some(status.peer.as_ref()?.node)
    }

    /// Whether its session has caught up.
    pub(crate) fn is_live(&self) -> bool {
        let statuses = self.links.statuses.borrow();
        statuses.get(&self.id).is_some_and(|status| status.state == LinkState::Live)
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut LinkStatus)) {
        self.links
            .statuses
            .send_if_modified(|statuses| statuses.get_mut(&self.id).map(change).is_some());
    }

    pub(crate) fn state(&self, state: LinkState) {
        self.update(|status| {
            if !matches!(state, LinkState::Syncing | LinkState::Live) {
                (status.acked, status.received, status.settled) = (None, None, None);
            }
            status.state = state;
        });
    }

    pub(crate) fn event(&self, event: Event) {
        self.update(|status| match event {
            Event::Established(peer) => {
                status.peer = Some(peer);
                (status.went_back, status.missed_tombstones) = (None, false);
                status.state = LinkState::Syncing;
            }
            Event::CaughtUp => status.state = LinkState::Live,
            Event::PeerAcked(seq) => status.acked = Some(seq),
            Event::Received(seq) => status.received = Some(seq),
            Event::Settled(seq) => status.settled = Some(seq),
            Event::MissedTombstones => status.missed_tombstones = true,
            Event::WentBack { held, common } => {
                status.went_back = Some(WentBack { here: true, held, common });
            }
            Event::PeerWentBack { held, common } => {
                status.went_back = Some(WentBack { here: false, held, common });
            }
            _ => {}
        });
    }
}

impl LinkEntry {
    /// Whether the peer's node id is that of another replica, which an older link is
    /// connected to.
    pub(crate) fn is_copy(&self) -> bool {
        let statuses = self.links.statuses.borrow();
        let Some((peer, reached)) = statuses.get(&self.id).and_then(LinkStatus::reached) else {
            return false;
        };
        let older = statuses.range(..self.id).map(|(_, status)| status);
        let mut older =
            older.filter(|status| status.is_connected()).filter_map(LinkStatus::reached);
        older.any(|older| peer.contradicts(reached, older))
    }

    /// Takes the link out, and tells why it ended.
    pub(crate) fn end(self, reason: String) {
        self.state(LinkState::Closed { reason: reason.into() });
        let status = self.links.statuses.borrow().get(&self.id).cloned();
        if let Some(status) = status {
            // Nobody may be listening.
            let _ = self.links.ended.send(status);
        }
    }
}

impl Drop for LinkEntry {
    fn drop(&mut self) {
        self.links.statuses.send_modify(|statuses| {
            statuses.remove(&self.id);
        });
    }
}

/// A handle on a link. Dropping it leaves the link as it is.
#[derive(Debug, Clone)]
pub struct Link {
    pub(crate) id: LinkId,
    pub(crate) statuses: watch::Receiver<BTreeMap<LinkId, LinkStatus>>,
    pub(crate) cancel: CancellationToken,
}

impl Link {
    /// Its id.
    pub const fn id(&self) -> LinkId {
        self.id
    }

    /// What it does right now; `None` once it is closed.
    pub fn status(&self) -> Option<LinkStatus> {
        self.statuses.borrow().get(&self.id).cloned()
    }

    /// Waits until its state fulfils a condition, and returns its status then;
    /// `None` once it is closed.
    pub async fn wait_for(
        &mut self,
        mut condition: impl FnMut(&LinkStatus) -> bool,
    ) -> Option<LinkStatus> {
        let id = self.id;
        let fulfilled =
            |statuses: &BTreeMap<LinkId, LinkStatus>| statuses.get(&id).is_none_or(&mut condition);
        let statuses = self.statuses.wait_for(fulfilled).await.ok()?;
        statuses.get(&id).cloned()
    }

    /// Ends it with a goodbye, and waits until it has ended.
    pub async fn close(mut self) {
        self.cancel.cancel();
        self.wait_for(|_| false).await;
    }
}
