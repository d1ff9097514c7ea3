//! Iroh's documents: replicas of entries, whose contents are blobs, over QUIC.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{Stream, StreamExt as _};
use iroh::endpoint::presets;
use iroh::protocol::Router;
use iroh::{Endpoint, EndpointAddr, RelayMode};
use iroh_blobs::store::fs::FsStore;
use iroh_blobs::{BlobsProtocol, Hash};
use iroh_docs::api::Doc;
use iroh_docs::api::protocol::{AddrInfoOptions, ShareMode};
use iroh_docs::engine::LiveEvent;
use iroh_docs::protocol::Docs;
use iroh_docs::store::Query;
use iroh_docs::{AuthorId, ContentStatus, DocTicket};
use iroh_gossip::net::Gossip;
use tokio::runtime::Runtime;

use super::harness::{Read, Write};
use super::rows::{Received, Row, stamp_of};
use crate::floor::pipe::Pipe;
use crate::spec::{Spec, Workload};

/// In the directory that both sides know.
const TICKET: &str = "iroh.ticket";
/// Events go by gossip, and one that is lost isn't told again.
const PATIENCE: Duration = Duration::from_secs(30);

type Events = Pin<Box<dyn Stream<Item = Result<LiveEvent>> + Send>>;

/// What each side runs.
struct Node {
    router: Router,
    blobs: FsStore,
    docs: Docs,
    runtime: Runtime,
}

/// Sets entries of the document.
pub(super) struct Writer {
    doc: Doc,
    author: AuthorId,
    /// Until the reader is a neighbour, which hears of new entries.
    events: Option<Events>,
    node: Node,
}

/// Has a replica of the document.
pub(super) struct Reader {
    doc: Option<(Doc, Events)>,
    ticket: DocTicket,
    /// What was readable already: an entry may be told of twice, by a neighbour and
    /// when its content has come.
    seen: HashSet<Hash>,
    node: Node,
}

impl Node {
    fn open(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (router, blobs, docs) = runtime.block_on(async {
            // Nothing but loopback: no relay, and nobody is asked for addresses.
            let endpoint = Endpoint::builder(presets::Minimal)
                .relay_mode(RelayMode::Disabled)
                .clear_ip_transports()
                .bind_addr(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
            let endpoint = endpoint.bind().await?;
            let blobs = FsStore::load(directory.join("blobs")).await?;
            let gossip = Gossip::builder().spawn(endpoint.clone());
            let docs = Docs::persistent(directory.to_owned());
            let docs = docs.spawn(endpoint.clone(), (*blobs).clone(), gossip.clone()).await?;
            let router = Router::builder(endpoint)
                .accept(iroh_blobs::ALPN, BlobsProtocol::new(&blobs, None))
                .accept(iroh_gossip::ALPN, gossip)
                .accept(iroh_docs::ALPN, docs.clone())
                .spawn();
            anyhow::Ok((router, blobs, docs))
        })?;
        Ok(Self { router, blobs, docs, runtime })
    }

    fn address(&self) -> EndpointAddr {
        let endpoint = self.router.endpoint();
        let sockets = endpoint.bound_sockets().into_iter();
        sockets.fold(EndpointAddr::new(endpoint.id()), EndpointAddr::with_ip_addr)
    }
}

impl Writer {
    pub(super) fn open(spec: &Spec) -> Result<Self> {
        let node = Node::open(&spec.directory.join("source"))?;
        let (doc, author, ticket) = node.runtime.block_on(async {
            let doc = node.docs.create().await?;
            let author = node.docs.author_default().await?;
            let ticket = doc.share(ShareMode::Write, AddrInfoOptions::Id).await?;
            anyhow::Ok((doc, author, ticket))
        })?;
        let ticket = DocTicket { nodes: vec![node.address()], ..ticket };
        std::fs::write(spec.directory.join(TICKET), ticket.to_string())?;
        let mut events = None;
        if !matches!(spec.case.workload, Workload::Sync { .. }) {
            let found: Events = Box::pin(node.runtime.block_on(doc.subscribe())?);
            events = Some(found);
        }
        Ok(Self { doc, author, events, node })
    }

    fn set(&self, rows: &[Row]) -> Result<()> {
        self.node.runtime.block_on(async {
            for row in rows {
                self.doc.set_bytes(self.author, row.key.to_vec(), row.value.clone()).await?;
            }
            Ok(())
        })
    }

    fn wait_for_reader(&mut self) -> Result<()> {
        let Some(mut events) = self.events.take() else { return Ok(()) };
        self.node.runtime.block_on(neighbour(&mut events))
    }
}

impl Write for Writer {
    fn commit(&mut self, rows: &[Row], _pipe: &mut Pipe) -> Result<()> {
        self.wait_for_reader()?;
        self.set(rows)
    }

    fn load(&mut self, rows: &[Row]) -> Result<()> {
        self.set(rows)
    }
}

impl Reader {
    pub(super) fn open(spec: &Spec) -> Result<Self> {
        let node = Node::open(&spec.directory.join("replica"))?;
        let ticket = std::fs::read_to_string(spec.directory.join(TICKET))?;
        let (ticket, seen) = (ticket.parse()?, HashSet::new());
        let mut reader = Self { doc: None, ticket, seen, node };
        if !matches!(spec.case.workload, Workload::Sync { .. }) {
            reader.join()?;
            let (_, events) = reader.doc.as_mut().context("it has just joined")?;
            reader.node.runtime.block_on(neighbour(events))?;
        }
        Ok(reader)
    }

    fn join(&mut self) -> Result<()> {
        let joining = self.node.docs.import_and_subscribe(self.ticket.clone());
        let (doc, events) = self.node.runtime.block_on(joining)?;
        self.doc = Some((doc, Box::pin(events)));
        Ok(())
    }
}

impl Read for Reader {
    fn receive(&mut self, _pipe: &mut Pipe) -> Result<Received> {
        let (_, events) = self.doc.as_mut().context("no document was joined yet")?;
        let blobs = &self.node.blobs;
        self.node.runtime.block_on(async {
            let content = loop {
                if let Some(content) = content_of(&next(events).await?)
                    && self.seen.insert(content)
                {
                    break blobs.get_bytes(content).await?;
                }
            };
            Ok(Received { rows: 1, stamp: stamp_of(&content)? })
        })
    }

    fn sync(&mut self, rows: usize, pipe: &mut Pipe) -> Result<()> {
        self.join()?;
        (0..rows).try_for_each(|_| self.receive(pipe).map(drop))
    }

    fn len(&mut self) -> Result<usize> {
        let (doc, _) = self.doc.as_ref().context("no document was joined yet")?;
        self.node.runtime.block_on(async {
            let entries = doc.get_many(Query::single_latest_per_key()).await?;
            Ok(entries.count().await)
        })
    }
}

/// What an event says is readable here now.
fn content_of(event: &LiveEvent) -> Option<Hash> {
    match event {
        LiveEvent::ContentReady { hash } => Some(*hash),
        LiveEvent::InsertRemote { entry, content_status: ContentStatus::Complete, .. } => {
            Some(entry.content_hash())
        }
        _ => None,
    }
}

/// Waits for the other side.
async fn neighbour(events: &mut Events) -> Result<()> {
    while !matches!(next(events).await?, LiveEvent::NeighborUp(_)) {}
    Ok(())
}

async fn next(events: &mut Events) -> Result<LiveEvent> {
    match tokio::time::timeout(PATIENCE, events.next()).await {
        Ok(event) => event.context("the document was closed")?,
        Err(_) => bail!("no event for {PATIENCE:?}"),
    }
}
