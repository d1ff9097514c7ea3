//! The floor of a hub: one thread writes to all peers in turn, and each of them has
//! a thread.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::{rows, sent, stamp};
use crate::floor::pipe::{Listener, Pipe};
use crate::floor::store::RowStore;
use crate::floor::{ACK, ROW_BYTES, VALUE_BYTES};
use crate::scale::{self, Hub, Spec};
use crate::spec::{Message, Outcome, monotonic_ns};
use crate::worker::{Finish, say};

const STACK_BYTES: usize = 256 * 1024;

/// The hub's part.
pub(super) fn serve(spec: &Spec, hub: Hub, finish: Finish) -> Result<Outcome> {
    let mut store = RowStore::at(spec.point.store, &spec.directory, "hub", ROW_BYTES)?;
    let listener = Listener::bind(&spec.endpoint())?;
    say(&Message::Ready { endpoint: listener.endpoint()? })?;
    let pipes: Result<Vec<Pipe>> = (0..hub.peers).map(|_| listener.accept()).collect();
    let mut pipes = pipes?;
    finish.blocking_recv()?;
    let (mut outcome, mut ack) = (Outcome::default(), Vec::new());
    for _ in 0..hub.warm_up + hub.singles {
        let mut frame = rows(1, VALUE_BYTES);
        let sent = stamp(&mut frame);
        store.insert(&frame)?;
        outcome.commits_ns.push(monotonic_ns() - sent);
        pipes.iter_mut().try_for_each(|pipe| pipe.send(&frame))?;
        pipes.iter_mut().try_for_each(|pipe| pipe.recv(&mut ack))?;
        outcome.scale.acked_ns.push(monotonic_ns() - sent);
    }
    drop((outcome.commits_ns.drain(..hub.warm_up), outcome.scale.acked_ns.drain(..hub.warm_up)));
    outcome.with_rss()
}

/// All peers' part.
pub(super) fn follow(hub: Hub, endpoint: &str, finish: Finish) -> Result<Outcome> {
    let mut peers = Vec::with_capacity(hub.peers);
    for _ in 0..hub.peers {
        let pipe = Pipe::connect(endpoint)?;
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        peers.push(thread.spawn(move || peer(hub, pipe))?);
    }
    say(&Message::Ready { endpoint: endpoint.to_owned() })?;
    let mut samples_ns = vec![0; hub.singles];
    for peer in peers {
        let latencies_ns = peer.join().ok().context("a peer's thread panicked")??;
        scale::keep_longer(&mut samples_ns, &latencies_ns);
    }
    finish.blocking_recv()?;
    Outcome { samples_ns, ..Outcome::default() }.with_rss()
}

fn peer(hub: Hub, mut pipe: Pipe) -> Result<Vec<u64>> {
    let mut store = RowStore::Memory(BTreeMap::new());
    let (mut frame, mut latencies_ns) = (Vec::new(), Vec::new());
    for _ in 0..hub.warm_up + hub.singles {
        pipe.recv(&mut frame)?;
        store.insert(&frame)?;
        latencies_ns.push(monotonic_ns() - sent(&frame)?);
        pipe.send(ACK)?;
    }
    Ok(latencies_ns.split_off(hub.warm_up))
}
