//! The nodes of this process, and their links.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blaze_codec::{Mode, Role, Seq, Uuid};
use blaze_db_adapter::Conflict;
use blaze_sync_engine::{
    Acknowledged, Admission, Direction, ExportPolicy, Link, LinkId, LinkStatus, Node, NodeOptions,
    Withdrawal,
};
use blaze_topology::{NodeKey, Topology as Graph};
use blaze_transport::{Endpoint, Transport};
use blaze_transport_memory::MemoryTransport;
use blaze_transport_tcp::TcpTransport;
use blaze_transport_unix::UnixTransport;
use tokio::sync::{broadcast, watch};

use crate::{Database, Error};

/// The databases of this process that take part, and their links to each other,
/// to other apps and to other devices. Cheap to clone; clones are one topology.
///
/// Its tasks run on the tokio runtime in which its methods are called. When the
/// last clone is dropped, its links end without waiting; [`close`](Self::close)
/// waits.
#[derive(Debug, Clone)]
pub struct Topology {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Tells endpoints of one topology from those of another in this process.
    id: Uuid,
    transports: Vec<Arc<dyn Transport>>,
    options: NodeOptions,
    nodes: Mutex<Nodes>,
}

#[derive(Debug, Default)]
struct Nodes {
    graph: Graph,
    engines: BTreeMap<NodeKey, Node>,
    /// Where nodes listen for other nodes of this process.
    listening: BTreeSet<(NodeKey, String)>,
}

impl Default for Topology {
    fn default() -> Self {
        Self::new()
    }
}

impl Topology {
    /// A topology without nodes, with the transports for `mem:`, `unix:` and
    /// `tcp:` (on loopback) endpoints.
    pub fn new() -> Self {
        Self::with_transports(
            vec![
                Arc::new(MemoryTransport::global()),
                Arc::new(UnixTransport::new()),
                Arc::new(TcpTransport::plaintext_loopback()),
            ],
            NodeOptions::default(),
        )
    }

    /// A topology with these transports, one a scheme, and these options for its nodes.
    pub fn with_transports(transports: Vec<Arc<dyn Transport>>, options: NodeOptions) -> Self {
        let (id, nodes) = (Uuid::now_v7(), Mutex::default());
        Self { inner: Arc::new(Inner { id, transports, options, nodes }) }
    }

    /// Adds a database under a name for people, and sets its role.
    ///
    /// # Errors
    ///
    /// [`Error::Topology`] if the name is taken or can't be one,
    /// [`Error::Database`] if the role can't be stored.
    pub async fn register(
        &self,
        database: Database,
        name: &str,
        role: Role,
    ) -> Result<NodeKey, Error> {
        let key = self.nodes().graph.add_node(name, role)?;
        if let Err(error) = database.adapter().set_role(role).await {
            self.nodes().graph.remove_node(key)?;
            return Err(error.into());
        }
        let adapter = Arc::clone(database.adapter());
        let node = Node::new(adapter, name, self.inner.options.clone());
        self.nodes().engines.insert(key, node);
        Ok(key)
    }

    /// Accepts peers at an endpoint, in any mode that they ask for, and returns
    /// where they reach it.
    ///
    /// # Errors
    ///
    /// [`Error`] if the endpoint isn't one, has no transport, or can't be listened at.
    pub async fn listen(&self, node: NodeKey, endpoint: &str) -> Result<Endpoint, Error> {
        self.listen_for(node, endpoint, Mode::ALL).await
    }

    /// Accepts peers at an endpoint that ask for one of these modes, and lets them see and
    /// write what an [`Admission`] says:
    ///
    /// ```
    /// use blaze_sync::{Admission, Condition, Database, Mode, Role, Rule, Scope, Topology};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let endpoint = format!("unix:{}", directory.path().join("notes.sock").display());
    /// let topology = Topology::new();
    /// let node = topology.register(Database::in_memory(), "office", Role::Server).await?;
    /// let hers = Condition::is("owner".parse()?, "anna");
    /// let scope = Scope::new().with("notes".parse()?, Rule::all().when(hers));
    /// topology.listen_for(node, &endpoint, Admission::new(Mode::ALL).with_scope(scope)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What was agreed with a peer goes before that, if its transport knows of it: see
    /// [`NodeOptions::policies`].
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen), and if the scope breaks a limit.
    pub async fn listen_for(
        &self,
        node: NodeKey,
        endpoint: &str,
        admission: impl Into<Admission> + Send,
    ) -> Result<Endpoint, Error> {
        let endpoint: Endpoint = endpoint.parse()?;
        let transport = self.transport(&endpoint)?;
        Ok(self.engine(node)?.listen(transport, &endpoint, admission).await?)
    }

    /// Links a node to whoever listens at an endpoint, and keeps the link up: if
    /// nothing listens there yet or the connection is lost, it is tried again. A [`Mode`] is a
    /// policy of all that there is.
    ///
    /// # Errors
    ///
    /// [`Error`] if the endpoint isn't one or has no transport, or if the first
    /// attempt shows that somebody has to change something first.
    pub async fn connect(
        &self,
        node: NodeKey,
        endpoint: &str,
        policy: impl Into<ExportPolicy> + Send,
    ) -> Result<Link, Error> {
        let endpoint: Endpoint = endpoint.parse()?;
        let transport = self.transport(&endpoint)?;
        Ok(self.engine(node)?.connect(transport, endpoint, policy).await?)
    }

    /// Joins a node to an endpoint at which there needn't be a server: the first that joins
    /// listens, the others connect to it, and when it is gone one of them takes its place.
    /// All apps do the same, in any order:
    ///
    /// ```
    /// use blaze_sync::{Database, LinkState, Mode, Role, Topology};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), blaze_sync::Error> {
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let endpoint = format!("unix:{}", directory.path().join("notes.sock").display());
    /// let topology = Topology::new();
    /// let node = topology.register(Database::in_memory(), "editor", Role::Client).await?;
    /// let mut link = topology.join(node, &endpoint, Mode::Bidirectional).await?;
    /// // Nobody else is there yet.
    /// link.wait_for(|link| link.state == LinkState::Hub).await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// There are never two that listen. Writes made while there is none are exchanged as
    /// soon as there is one again. Only a node that joins with [`Mode::Bidirectional`]
    /// listens, as it passes on what the others write.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn join(&self, node: NodeKey, endpoint: &str, mode: Mode) -> Result<Link, Error> {
        let endpoint: Endpoint = endpoint.parse()?;
        let transport = self.transport(&endpoint)?;
        Ok(self.engine(node)?.join(transport, endpoint, mode).await?)
    }

    /// Links two databases of this app through a queue in memory: `from` connects.
    ///
    /// # Errors
    ///
    /// [`Error::Topology`] if a node is unknown, linked to itself or linked already.
    pub async fn connect_local(
        &self,
        from: NodeKey,
        to: NodeKey,
        mode: Mode,
    ) -> Result<Link, Error> {
        let endpoint = format!("mem:{}-{to:?}", self.inner.id);
        self.connect_here(from, to, &endpoint, mode).await
    }

    /// Links two databases through a Unix domain socket at a path: `to` listens
    /// and `from` connects. For apps in processes of their own, call
    /// [`listen`](Self::listen) in one and [`connect`](Self::connect) in the other.
    ///
    /// # Errors
    ///
    /// As [`connect_local`](Self::connect_local), and if the path can't be
    /// listened at.
    pub async fn connect_cross_app(
        &self,
        from: NodeKey,
        to: NodeKey,
        path: impl AsRef<Path>,
        mode: Mode,
    ) -> Result<Link, Error> {
        let endpoint = Endpoint::unix(path)?.to_string();
        self.connect_here(from, to, &endpoint, mode).await
    }

    /// Links a node to another device. The transports of [`Topology::new`] reach
    /// this device only; hand one that reaches further to
    /// [`with_transports`](Self::with_transports).
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_remote(
        &self,
        node: NodeKey,
        endpoint: &str,
        policy: impl Into<ExportPolicy> + Send,
    ) -> Result<Link, Error> {
        self.connect(node, endpoint, policy).await
    }

    /// Waits until each connected peer of a node has everything that is committed
    /// there now, durably, and tells who that is. Links that are being connected
    /// are waited for; without peers it returns at once with nobody: look at the
    /// result.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownNode`].
    pub async fn synced(&self, node: NodeKey) -> Result<Vec<Acknowledged>, Error> {
        let engine = self.engine(node)?;
        let head = engine.database().feed().head();
        Ok(engine.acknowledged(head).await)
    }

    /// Waits until each connected peer of a node has a commit, durably.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownNode`].
    pub async fn acknowledged(&self, node: NodeKey, seq: Seq) -> Result<Vec<Acknowledged>, Error> {
        Ok(self.engine(node)?.acknowledged(seq).await)
    }

    /// A node's links and what each does, as a watch.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownNode`].
    pub fn links(
        &self,
        node: NodeKey,
    ) -> Result<watch::Receiver<BTreeMap<LinkId, LinkStatus>>, Error> {
        Ok(self.engine(node)?.links())
    }

    /// A node's links that end, each with its last status and why, and whoever was refused
    /// before it was a link.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownNode`].
    pub fn ended(&self, node: NodeKey) -> Result<broadcast::Receiver<LinkStatus>, Error> {
        Ok(self.engine(node)?.ended())
    }

    /// The losers of true conflicts at a node, as they are merged.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownNode`].
    pub fn conflicts(&self, node: NodeKey) -> Result<broadcast::Receiver<Conflict>, Error> {
        Ok(self.engine(node)?.conflicts())
    }

    /// The records that peers withdrew from a node, and those that it withdrew from peers.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownNode`].
    pub fn withdrawals(&self, node: NodeKey) -> Result<broadcast::Receiver<Withdrawal>, Error> {
        Ok(self.engine(node)?.withdrawals())
    }

    /// The graph of this process's nodes and the peers that they are linked to, by
    /// the names that those call themselves.
    pub fn graph(&self) -> Graph {
        let nodes = self.nodes();
        let mut graph = nodes.graph.clone();
        for (key, engine) in &nodes.engines {
            for status in engine.links().borrow().values() {
                let Some(peer) = &status.peer else { continue };
                let found = graph.find(&peer.name);
                let Ok(other) = found.map_or_else(|| graph.add_node(&peer.name, peer.role), Ok)
                else {
                    continue;
                };
                let (from, to) = match status.direction {
                    Direction::Outgoing => (*key, other),
                    Direction::Incoming => (other, *key),
                };
                // A link that both of its ends report is one link.
                let _ = graph.add_link(from, to, peer.mode);
            }
        }
        graph
    }

    /// Ends all links with a goodbye and stops listening, for all clones. The
    /// databases stay open; the nodes can't be linked again.
    pub async fn close(&self) {
        let engines: Vec<Node> = self.nodes().engines.values().cloned().collect();
        for engine in engines {
            engine.close().await;
        }
    }

    /// Links two nodes of this process at an endpoint where `to` listens, or will.
    async fn connect_here(
        &self,
        from: NodeKey,
        to: NodeKey,
        endpoint: &str,
        mode: Mode,
    ) -> Result<Link, Error> {
        // What can't be added to the picture of what is there can't be linked.
        self.graph().add_link(from, to, mode)?;
        let place = (to, endpoint.to_owned());
        if !self.nodes().listening.contains(&place) {
            self.listen(to, endpoint).await?;
            self.nodes().listening.insert(place);
        }
        self.connect(from, endpoint, mode).await
    }

    fn engine(&self, node: NodeKey) -> Result<Node, Error> {
        self.nodes().engines.get(&node).cloned().ok_or(Error::UnknownNode)
    }

    fn transport(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, Error> {
        let scheme = endpoint.scheme();
        let transports = &self.inner.transports;
        let found = transports.iter().find(|transport| transport.scheme() == scheme);
        found.cloned().ok_or_else(|| {
            let known: Vec<_> = transports.iter().map(|transport| transport.scheme()).collect();
            Error::NoTransport { scheme: scheme.to_owned(), known: known.join(", ") }
        })
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        // No code panics while it holds the lock halfway through a change.
        self.inner.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
