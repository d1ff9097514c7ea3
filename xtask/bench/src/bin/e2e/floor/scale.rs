//! The floor of the workloads that show how cost grows.

mod hub;

use std::collections::VecDeque;

use anyhow::{Result, ensure};
use blaze_sync::Uuid;

use super::pipe::{Listener, Pipe};
use super::store::RowStore;
use super::{ACK, KEY_BYTES};
use crate::scale::{self, Load, Spec, Work};
use crate::spec::{Message, Outcome, Side, monotonic_ns};
use crate::worker::{Finish, say};

/// Rows that a transaction inserts before the measurement.
const HELD_AT_ONCE: usize = 10_000;

/// A store with rows of one size.
struct Rows {
    store: RowStore,
    row_bytes: usize,
}

/// Does one side's part.
pub(crate) fn run(spec: &Spec, finish: Finish) -> Result<Outcome> {
    match (spec.point.work, &spec.side) {
        (Work::Hub(hub), Side::Replica { endpoint }) => hub::follow(hub, endpoint, finish),
        (Work::Hub(hub), _) => hub::serve(spec, hub, finish),
        (Work::Load(load), Side::Replica { endpoint }) => follow(spec, load, endpoint, finish),
        (Work::Load(load), _) => serve(spec, load, finish),
    }
}

impl Rows {
    fn open(spec: &Spec, value_bytes: usize, name: &str) -> Result<Self> {
        let row_bytes = KEY_BYTES + value_bytes;
        let store = RowStore::at(spec.point.store, &spec.directory, name, row_bytes)?;
        Ok(Self { store, row_bytes })
    }

    fn insert(&mut self, frame: &[u8]) -> Result<()> {
        self.store.insert_sized(frame, self.row_bytes)
    }

    fn update(&mut self, frame: &[u8]) -> Result<()> {
        self.store.update_sized(frame, self.row_bytes)
    }
}

/// The source's part.
fn serve(spec: &Spec, load: Load, finish: Finish) -> Result<Outcome> {
    let mut store = Rows::open(spec, load.record_bytes, "source")?;
    let listener = Listener::bind(&spec.endpoint())?;
    say(&Message::Ready { endpoint: listener.endpoint()? })?;
    let (mut pipe, mut ack) = (listener.accept()?, Vec::new());
    let mut keys = Vec::with_capacity(load.held);
    while keys.len() < load.held {
        let frame = rows(HELD_AT_ONCE.min(load.held - keys.len()), load.record_bytes);
        let new =
            frame.chunks_exact(store.row_bytes).map(|row| Uuid::from_slice(&row[..KEY_BYTES]));
        for key in new {
            keys.push(key?);
        }
        store.insert(&frame)?;
        pipe.send(&frame)?;
    }
    finish.blocking_recv()?;
    let mut outcome = Outcome::default();
    for _ in 0..load.warm_up + load.singles {
        let mut frame = rows(1, load.record_bytes);
        let sent = stamp(&mut frame);
        store.insert(&frame)?;
        outcome.commits_ns.push(monotonic_ns() - sent);
        pipe.send(&frame)?;
        pipe.recv(&mut ack)?;
    }
    outcome.commits_ns.drain(..load.warm_up);
    let inserts = frames(load.operations, load, |_| {});
    let stream_ns = stream(&mut pipe, inserts, |frame| store.insert(frame))?;
    let updates = frames(load.updates, load, |row| {
        row[..KEY_BYTES].copy_from_slice(keys[fastrand::usize(..keys.len())].as_bytes());
        // SQLite doesn't write a value that is there already.
        row[KEY_BYTES..][..size_of::<u64>()].copy_from_slice(&fastrand::u64(..).to_ne_bytes());
    });
    let updates_ns = stream(&mut pipe, updates, |frame| store.update(frame))?;
    outcome.scale = scale::Outcome { stream_ns, updates_ns, ..outcome.scale };
    outcome.with_rss()
}

/// The replica's part.
fn follow(spec: &Spec, load: Load, endpoint: &str, finish: Finish) -> Result<Outcome> {
    let mut store = Rows::open(spec, load.record_bytes, "replica")?;
    let row_bytes = store.row_bytes;
    let mut pipe = Pipe::connect(endpoint)?;
    let (mut frame, mut outcome) = (Vec::new(), Outcome::default());
    receive(&mut pipe, load.held * row_bytes, |frame| store.insert(frame))?;
    say(&Message::Ready { endpoint: endpoint.to_owned() })?;
    for _ in 0..load.warm_up + load.singles {
        pipe.recv(&mut frame)?;
        store.insert(&frame)?;
        outcome.samples_ns.push(monotonic_ns() - sent(&frame)?);
        pipe.send(ACK)?;
    }
    outcome.samples_ns.drain(..load.warm_up);
    if load.operations > 0 {
        receive(&mut pipe, load.operations * row_bytes, |frame| store.insert(frame))?;
        pipe.send(ACK)?;
    }
    if load.updates > 0 {
        receive(&mut pipe, load.updates * row_bytes, |frame| store.update(frame))?;
        pipe.send(ACK)?;
    }
    finish.blocking_recv()?;
    let (found, expected) =
        (store.store.len()?, load.held + load.warm_up + load.singles + load.operations);
    ensure!(found == expected, "the replica has {found} of {expected} rows");
    outcome.with_rss()
}

/// Commits and sends all frames, and returns how long it took until the replica had
/// acknowledged the last; 0 if there are none.
fn stream(
    pipe: &mut Pipe,
    mut frames: VecDeque<Vec<u8>>,
    mut commit: impl FnMut(&[u8]) -> Result<()>,
) -> Result<u64> {
    if frames.is_empty() {
        return Ok(0);
    }
    let began = monotonic_ns();
    while let Some(frame) = frames.pop_front() {
        commit(&frame)?;
        pipe.send(&frame)?;
    }
    pipe.recv(&mut Vec::new())?;
    Ok(monotonic_ns() - began)
}

/// Commits what comes, until it is so many bytes.
fn receive(
    pipe: &mut Pipe,
    bytes: usize,
    mut commit: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (mut frame, mut found) = (Vec::new(), 0);
    while found < bytes {
        pipe.recv(&mut frame)?;
        commit(&frame)?;
        found += frame.len();
    }
    Ok(())
}

/// So many rows in frames, each of them changed.
fn frames(count: usize, load: Load, change: impl Fn(&mut [u8])) -> VecDeque<Vec<u8>> {
    let starts = (0..count).step_by(load.per_transaction);
    let frames = starts.map(|start| {
        let mut frame = rows(load.per_transaction.min(count - start), load.record_bytes);
        frame.chunks_exact_mut(KEY_BYTES + load.record_bytes).for_each(&change);
        frame
    });
    frames.collect()
}

/// New rows with time-ordered keys.
fn rows(count: usize, value_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count * (KEY_BYTES + value_bytes));
    for _ in 0..count {
        bytes.extend_from_slice(Uuid::now_v7().as_bytes());
        bytes.resize(bytes.len() + value_bytes, b'x');
    }
    bytes
}

/// Writes the time into a frame's first value, and returns it.
fn stamp(frame: &mut [u8]) -> u64 {
    let sent = monotonic_ns();
    frame[KEY_BYTES..][..size_of::<u64>()].copy_from_slice(&sent.to_ne_bytes());
    sent
}

/// The time that was written into a frame's first value.
fn sent(frame: &[u8]) -> Result<u64> {
    Ok(u64::from_ne_bytes(frame[KEY_BYTES..][..size_of::<u64>()].try_into()?))
}
