//! A hub with many peers, which are all in the other process.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blaze_sync::{Database, LinkState, Mode, NodeOptions, Role, Topology, UnixTransport};
use tokio::task::JoinSet;

use super::record_of;
use crate::blaze::{COLLECTION, Peer, SENT, observe};
use crate::scale::{self, Hub, Spec};
use crate::spec::{Message, Outcome, anonymous_rss_bytes, cpu_ns, monotonic_ns};
use crate::worker::{Finish, say};

const RECORD_BYTES: usize = 200;
/// For how long nothing is measured after the last peer has come.
const SETTLE: Duration = Duration::from_secs(1);

/// The hub's part.
pub(super) async fn serve(spec: &Spec, hub: Hub, finish: Finish) -> Result<Outcome> {
    let connections_max = NodeOptions::default().connections_max.max(hub.peers);
    let options = NodeOptions { connections_max, ..NodeOptions::default() };
    let topology = Topology::with_transports(vec![Arc::new(UnixTransport::new())], options);
    let peer = Peer::at(spec.point.store, &spec.directory, &topology, "hub").await?;
    let endpoint = topology.listen(peer.node, &spec.endpoint()).await?.to_string();
    let alone_bytes = anonymous_rss_bytes()?;
    say(&Message::Ready { endpoint })?;
    finish.await?;
    let mut links = topology.links(peer.node)?;
    let all = links.wait_for(|links| {
        links.values().filter(|link| link.state == LinkState::Live).count() == hub.peers
    });
    all.await.context("the hub is gone")?;
    drop(links);
    tokio::time::sleep(SETTLE).await;
    let (began, began_cpu) = (monotonic_ns(), cpu_ns());
    tokio::time::sleep(Duration::from_millis(hub.idle_ms)).await;
    let (idle_ns, idle_cpu_ns) = (monotonic_ns() - began, cpu_ns() - began_cpu);
    let peers_bytes = anonymous_rss_bytes()?.saturating_sub(alone_bytes);
    let mut outcome = Outcome::default();
    let mut acked_ns = Vec::with_capacity(hub.warm_up + hub.singles);
    let collection = peer.database.collection(COLLECTION);
    for _ in 0..hub.warm_up + hub.singles {
        let mut record = record_of(RECORD_BYTES);
        let sent = monotonic_ns();
        record.set(SENT, sent.cast_signed())?;
        collection.insert(record).await?;
        outcome.commits_ns.push(monotonic_ns() - sent);
        let have = topology.acknowledged(peer.node, peer.database.head()).await?.len();
        acked_ns.push(monotonic_ns() - sent);
        ensure!(have == hub.peers, "{have} peers acknowledged of {}", hub.peers);
    }
    drop((outcome.commits_ns.drain(..hub.warm_up), acked_ns.drain(..hub.warm_up)));
    outcome.scale = scale::Outcome { acked_ns, idle_cpu_ns, idle_ns, peers_bytes, ..outcome.scale };
    outcome.with_rss()
}

/// All peers' part. A commit has taken as long as until the last of them has it.
pub(super) async fn follow(hub: Hub, endpoint: &str, finish: Finish) -> Result<Outcome> {
    let topology = Topology::new();
    let mut observers = Vec::with_capacity(hub.peers);
    for number in 0..hub.peers {
        let database = Database::in_memory();
        let node =
            topology.register(database.clone(), &format!("peer {number}"), Role::Client).await?;
        let mut link = topology.connect(node, endpoint, Mode::Bidirectional).await?;
        let live = link.wait_for(|link| link.state == LinkState::Live).await;
        live.context("a link is gone")?;
        observers.push(database.observe(COLLECTION)?);
    }
    say(&Message::Ready { endpoint: endpoint.to_owned() })?;
    let mut observing: JoinSet<_> = observers
        .into_iter()
        .map(|mut observer| async move {
            observe(&mut observer, hub.warm_up).await?;
            observe(&mut observer, hub.singles).await
        })
        .collect();
    let mut samples_ns = vec![0; hub.singles];
    while let Some(latencies_ns) = observing.join_next().await {
        scale::keep_longer(&mut samples_ns, &latencies_ns??);
    }
    finish.await?;
    Outcome { samples_ns, ..Outcome::default() }.with_rss()
}
