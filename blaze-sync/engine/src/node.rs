//! A database that takes part in replication.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blaze_codec::Mode;
use blaze_codec::message::Reason;
use blaze_codec::{Checkpoint, NodeId, Scope, Seq};
use blaze_db_adapter::{Conflict, DatabaseAdapter, WallClock};
use blaze_sync_protocol::{Limits, Peer, SessionError};
use blaze_transport::{Endpoint, Transport, TransportError};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::Backoff;
use crate::connect::Connector;
use crate::join::{Member, take_seat};
use crate::listen::Acceptor;
use crate::policy::{Admission, ExportPolicy, Withdrawal, check_scope, checked};
use crate::status::{Acknowledged, Direction, Link, LinkId, LinkState, LinkStatus, Links};
use crate::upkeep;

/// Conflicts that are kept for a subscriber that doesn't keep up.
const CONFLICTS_KEPT: usize = 1024;

/// How soon after it has taken another node id a node takes a further one.
pub const RENEWAL_WAIT: Duration = Duration::from_secs(60);

/// How a node behaves, each setting with a default.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Bounds of each session. Default: [`Limits::default`].
    pub limits: Limits,
    /// Waits between attempts to connect. Default: [`Backoff::default`].
    pub backoff: Backoff,
    /// Peers that may be connected to one listener. Default: 256.
    pub connections_max: usize,
    /// For how long after a peer was last there tombstones are kept for it. One that
    /// comes back later has to say which records it has. Default: 30 days.
    pub lease: Duration,
    /// How often tombstones are looked for that nobody needs; at least a millisecond.
    /// Default: 60 s.
    pub upkeep: Duration,
    /// What peers see and write by the names of the policies that were agreed with them; a node
    /// makes no link if one breaks a limit. Default: none.
    pub policies: BTreeMap<String, Arc<Scope>>,
    /// The clock that peers' timestamps are judged by. Default: the system's.
    pub clock: WallClock,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            backoff: Backoff::default(),
            connections_max: 256,
            lease: Duration::from_secs(30 * 24 * 60 * 60),
            upkeep: Duration::from_secs(60),
            policies: BTreeMap::new(),
            clock: WallClock::system(),
        }
    }
}

/// A database that takes part, and its links. Cheap to clone.
///
/// Its tasks run on the tokio runtime in which its methods are called. When the
/// last clone is dropped, its links end without waiting; [`close`](Self::close)
/// waits.
#[derive(Debug, Clone)]
pub struct Node {
    shared: Arc<Shared>,
    _guard: Arc<DropGuard>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) database: Arc<dyn DatabaseAdapter>,
    pub(crate) name: String,
    pub(crate) options: NodeOptions,
    pub(crate) links: Arc<Links>,
    pub(crate) conflicts: broadcast::Sender<Conflict>,
    pub(crate) withdrawals: broadcast::Sender<Withdrawal>,
    pub(crate) tasks: TaskTracker,
    /// Counts the node ids that were taken, so that sessions under an older one end.
    pub(crate) renewals: watch::Sender<u64>,
    renewed: Mutex<Option<Instant>>,
    /// Where catching up with each peer has come to, unless it is through.
    pub(crate) steps: Mutex<BTreeMap<NodeId, Checkpoint>>,
    /// Whether somebody removes what no peer needs any more.
    kept_up: AtomicBool,
    cancel: CancellationToken,
}

impl Node {
    /// A node of this database, with a name for people and no links.
    pub fn new(database: Arc<dyn DatabaseAdapter>, name: &str, options: NodeOptions) -> Self {
        let cancel = CancellationToken::new();
        let guard = Arc::new(cancel.clone().drop_guard());
        let shared = Arc::new(Shared {
            database,
            name: name.to_owned(),
            options,
            links: Arc::new(Links::new()),
            conflicts: broadcast::Sender::new(CONFLICTS_KEPT),
            withdrawals: broadcast::Sender::new(CONFLICTS_KEPT),
            tasks: TaskTracker::new(),
            renewals: watch::Sender::new(0),
            renewed: Mutex::new(None),
            steps: Mutex::new(BTreeMap::new()),
            kept_up: AtomicBool::new(false),
            cancel,
        });
        Self { shared, _guard: guard }
    }

    /// The database.
    pub fn database(&self) -> &Arc<dyn DatabaseAdapter> {
        &self.shared.database
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Makes a link to an endpoint, and keeps it up: if nothing listens there or
    /// the connection is lost, it is tried again.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if the first attempt shows that it can't work without
    /// somebody changing something, such as a path that is too long, or if the scope breaks a
    /// limit.
    pub async fn connect(
        &self,
        transport: Arc<dyn Transport>,
        endpoint: Endpoint,
        policy: impl Into<ExportPolicy> + Send,
    ) -> Result<Link, TransportError> {
        self.check()?;
        let policy = checked(policy.into())?;
        let first = transport.connect(&endpoint).await;
        let first = match first {
            Err(error) if !error.is_retryable() => return Err(error),
            first => first,
        };
        let (connector, link) = self.outgoing(transport, endpoint, policy);
        self.shared.tasks.spawn(connector.run(first));
        Ok(link)
    }

    /// Accepts peers at an endpoint that ask for one of these modes, and returns
    /// where they reach it.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if the endpoint can't be listened at, or the scope breaks a limit.
    pub async fn listen(
        &self,
        transport: Arc<dyn Transport>,
        endpoint: &Endpoint,
        admission: impl Into<Admission> + Send,
    ) -> Result<Endpoint, TransportError> {
        self.check()?;
        let admission = admission.into();
        admission.scope.as_deref().map_or(Ok(()), |scope| check_scope(scope, "a policy"))?;
        let listener = transport.listen(endpoint).await?;
        self.keep_up();
        let reached = listener.endpoint().clone();
        let (shared, cancel) = (Arc::clone(&self.shared), self.shared.cancel.child_token());
        let acceptor = Acceptor::new(shared, transport, admission, cancel);
        self.shared.tasks.spawn(acceptor.run(listener));
        Ok(reached)
    }

    /// Joins an endpoint at which there needn't be a server: the first node there listens,
    /// the others connect to it, and if it is gone another one takes its place. There are
    /// never two at once, but where the files of a Unix socket are removed under a hub, which
    /// takes it some seconds to see; writes that one of them took are passed on by whoever
    /// has them. Only nodes that join with [`Mode::Bidirectional`] listen.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if the first attempt shows that it can't work without somebody
    /// changing something, such as a directory that others can write.
    pub async fn join(
        &self,
        transport: Arc<dyn Transport>,
        endpoint: Endpoint,
        mode: Mode,
    ) -> Result<Link, TransportError> {
        self.check()?;
        let first = match take_seat(&*transport, &endpoint, mode).await {
            Err(error) if !error.is_retryable() => return Err(error),
            first => first,
        };
        let (connector, link) = self.outgoing(transport, endpoint, mode.into());
        let (shared, transport) = (Arc::clone(&self.shared), Arc::clone(&connector.transport));
        let acceptor = Acceptor::new(shared, transport, &Mode::ALL[..], connector.cancel.clone());
        self.shared.tasks.spawn(Member { connector, acceptor }.run(first));
        Ok(link)
    }

    /// The links and what each does, as a watch.
    pub fn links(&self) -> watch::Receiver<BTreeMap<LinkId, LinkStatus>> {
        self.shared.links.watch()
    }

    /// The links that end, each with its last status and why, and the clients that a listener
    /// of this node didn't let in, or why it can't accept. A link that this node makes ends
    /// only when it is closed. A subscriber that falls behind misses some.
    pub fn ended(&self) -> broadcast::Receiver<LinkStatus> {
        self.shared.links.ended()
    }

    /// The losers of true conflicts, as they are merged. A subscriber that falls
    /// behind by more than 1,024 is told how many it missed. A loser that arrives
    /// again, over another link or after a reconnect, may be told again.
    pub fn conflicts(&self) -> broadcast::Receiver<Conflict> {
        self.shared.conflicts.subscribe()
    }

    /// The records that peers withdrew from this node, as it may not see them any more, and
    /// those that this node withdrew from peers, for they may not write them so. A subscriber
    /// that falls behind by more than 1,024 is told how many it missed.
    pub fn withdrawals(&self) -> broadcast::Receiver<Withdrawal> {
        self.shared.withdrawals.subscribe()
    }

    /// Waits until each peer that is connected and receives from this node has
    /// everything up to a seq, durably, and tells who that is.
    ///
    /// A link of this node's that is being connected is waited for, too; one that
    /// waits for its next attempt is not, nor a peer that disconnects meanwhile.
    /// Without peers it returns at once with nobody: look at the result.
    pub async fn acknowledged(&self, seq: Seq) -> Vec<Acknowledged> {
        let mut links = self.links();
        let all = |links: &BTreeMap<LinkId, LinkStatus>| have_all(links, seq);
        match links.wait_for(all).await {
            Ok(links) => receivers(&links).into_values().collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Ends all links with a goodbye and stops listening, for all clones. The
    /// database stays open; the node can't be linked again.
    pub async fn close(&self) {
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Begins the upkeep with the first link: without peers there is nothing to do.
    fn keep_up(&self) {
        if !self.shared.kept_up.swap(true, Ordering::Relaxed) {
            let cancel = self.shared.cancel.child_token();
            self.shared.tasks.spawn(upkeep::run(Arc::clone(&self.shared), cancel));
        }
    }

    /// Checks that the node is open, and that the policies keep the limits by whose names its
    /// peers may be known.
    fn check(&self) -> Result<(), TransportError> {
        if self.shared.cancel.is_cancelled() {
            let error = std::io::Error::other("the node is closed");
            return Err(TransportError::io("link a node", error));
        }
        let mut policies = self.shared.options.policies.iter();
        policies.try_for_each(|(name, scope)| check_scope(scope, &format!("the policy {name}")))
    }

    /// A link of this node's that is about to be made.
    fn outgoing(
        &self,
        transport: Arc<dyn Transport>,
        endpoint: Endpoint,
        policy: ExportPolicy,
    ) -> (Connector, Link) {
        self.keep_up();
        let (shared, cancel) = (Arc::clone(&self.shared), self.shared.cancel.child_token());
        let entry = shared.links.add(endpoint.clone(), Direction::Outgoing);
        let retry = Arc::new(Notify::new());
        let link = Link {
            id: entry.id(),
            statuses: self.links(),
            cancel: cancel.clone(),
            retry: Arc::clone(&retry),
        };
        (Connector { shared, transport, endpoint, policy, entry, cancel, retry }, link)
    }
}

impl Shared {
    /// Notes where catching up with a peer has come to; `None` if it is through.
    pub(crate) fn step(&self, peer: NodeId, step: Option<Checkpoint>) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Some(step) => drop(steps.insert(peer, step)),
            None => drop(steps.remove(&peer)),
        }
    }

    /// Where catching up with a peer has come to.
    pub(crate) fn last_step(&self, peer: NodeId) -> Option<Checkpoint> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).get(&peer).copied()
    }

    /// Takes another node id if a peer said that this replica's file is a copy, but
    /// not again and again: several peers may say so of one id.
    pub(crate) async fn renew_if_copied(&self, error: &SessionError) {
        let SessionError::PeerLeft { reason: Reason::SameNode, .. } = error else { return };
        let now = Instant::now();
        {
            let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
            if renewed.is_some_and(|last| now.duration_since(last) < RENEWAL_WAIT) {
                return;
            }
            *renewed = Some(now);
        }
        let mut id = [0; 16];
        if getrandom::fill(&mut id).is_ok()
            && self.database.renew(NodeId::from_bytes(id)).await.is_ok()
        {
            self.renewals.send_modify(|count| *count += 1);
        }
    }
}

/// Whether each peer that is connected and receives has everything up to a seq, and no link
/// of this node's is being connected. It is asked at each change of a link, of which there
/// may be a thousand.
fn have_all(links: &BTreeMap<LinkId, LinkStatus>, seq: Seq) -> bool {
    let connecting = |status: &LinkStatus| {
        status.direction == Direction::Outgoing && status.state == LinkState::Connecting
    };
    let has = |(peer, through): (&Peer, Seq)| {
        // One that came back before its old session was found dead has two.
        through >= seq
            || receiving(links).any(|(it, through)| it.node == peer.node && through >= seq)
    };
    !links.values().any(connecting) && receiving(links).all(has)
}

/// The sessions in which a peer receives, and the seq up to which it has everything.
fn receiving(links: &BTreeMap<LinkId, LinkStatus>) -> impl Iterator<Item = (&Peer, Seq)> {
    links.values().filter(|status| status.is_connected()).filter_map(|status| {
        let peer = status.peer.as_ref()?;
        let sends = match status.direction {
            Direction::Outgoing => peer.mode.connector_sends(),
            Direction::Incoming => peer.mode.acceptor_sends(),
        };
        sends.then(|| (peer, status.acked.unwrap_or(Seq::ZERO)))
    })
}

/// The connected peers that receive, each once: one that came back before its old
/// session was found dead has two.
fn receivers(links: &BTreeMap<LinkId, LinkStatus>) -> BTreeMap<NodeId, Acknowledged> {
    let mut receivers: BTreeMap<NodeId, Acknowledged> = BTreeMap::new();
    for (peer, through) in receiving(links) {
        let (node, name) = (peer.node, peer.name.clone());
        let known = receivers.entry(node).or_insert(Acknowledged { node, name, through });
        known.through = known.through.max(through);
    }
    receivers
}
