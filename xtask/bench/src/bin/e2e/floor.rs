//! The floor: the same workloads with nothing but a blocking stream and a store.
//!
//! No other way to move a commit from one database to another in the same
//! processes can be much faster, so Blaze's figures are given as multiples of
//! these. A record is a key of 16 bytes and a value of 200, whose first 8 are the
//! stamp; both sides commit it, as they do with Blaze. There is no merging, no
//! index by time, no checkpoint, no checksum and no flow control.

pub(crate) mod pipe;
pub(crate) mod scale;

mod store;

use anyhow::{Context as _, Result, ensure};
use blaze_sync::Uuid;

use self::pipe::{Listener, Pipe};
use self::store::RowStore;
use crate::spec::{Lead, Message, Outcome, Side, Spec, Transport, Workload, monotonic_ns};
use crate::worker::{Finish, say};

const KEY_BYTES: usize = 16;
const VALUE_BYTES: usize = 200;
/// A row on the wire: its key and its value.
const ROW_BYTES: usize = KEY_BYTES + VALUE_BYTES;
/// Rows that go together where the workload doesn't say.
const ROWS_AT_ONCE: usize = 1_000;
/// What says that everything is committed.
const ACK: &[u8] = &[6];

/// Whether there is something to compare with: a queue in memory isn't connected to.
pub(crate) fn exists(transport: Transport, workload: Workload) -> bool {
    !matches!((transport, workload), (Transport::Mem, Workload::Connect { .. }))
}

/// Does one side's part, or both.
pub(crate) fn run(spec: &Spec, finish: Finish) -> Result<Outcome> {
    let workload = spec.case.workload;
    match &spec.side {
        Side::Source => {
            let mut source = RowStore::open(spec, "source")?;
            load(&mut source, workload)?;
            let listener = Listener::bind(&spec.endpoint())?;
            say(&Message::Ready { endpoint: listener.endpoint()? })?;
            let outcome = serve(workload, &mut source, || listener.accept())?;
            if workload.lead() == Lead::Replica {
                finish.blocking_recv()?;
            }
            outcome.with_rss()
        }
        Side::Replica { endpoint } => {
            let mut replica = RowStore::open(spec, "replica")?;
            follow(workload, &mut replica, || Pipe::connect(endpoint))?.with_rss()
        }
        Side::Both => both(spec),
    }
}

fn both(spec: &Spec) -> Result<Outcome> {
    let workload = spec.case.workload;
    let (mut source, mut replica) =
        (RowStore::open(spec, "source")?, RowStore::open(spec, "replica")?);
    load(&mut source, workload)?;
    let (near, far) = Pipe::pair();
    let once = |pipe: Pipe| {
        let mut pipe = Some(pipe);
        move || pipe.take().context("a queue is connected to once")
    };
    let connect = once(far);
    let following = std::thread::spawn(move || follow(workload, &mut replica, connect));
    let served = serve(workload, &mut source, once(near))?;
    let followed = following.join().ok().context("the replica's thread panicked")??;
    served.and(followed).with_rss()
}

fn load(store: &mut RowStore, workload: Workload) -> Result<()> {
    let Workload::Sync { records } = workload else { return Ok(()) };
    frames(records, ROWS_AT_ONCE).try_for_each(|frame| store.insert(&frame))
}

/// The source's part.
fn serve(
    workload: Workload,
    store: &mut RowStore,
    mut accept: impl FnMut() -> Result<Pipe>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    match workload {
        Workload::Latency { warm_up, count } => {
            let mut pipe = accept()?;
            let mut ack = Vec::new();
            for _ in 0..warm_up + count {
                let mut frame = rows(1);
                let sent = monotonic_ns();
                frame[KEY_BYTES..][..size_of::<u64>()].copy_from_slice(&sent.to_ne_bytes());
                store.insert(&frame)?;
                outcome.commits_ns.push(monotonic_ns() - sent);
                pipe.send(&frame)?;
                pipe.recv(&mut ack)?;
            }
            outcome.commits_ns.drain(..warm_up);
        }
        Workload::Stream { operations, per_transaction } => {
            let frames: Vec<_> = frames(operations, per_transaction).collect();
            let mut pipe = accept()?;
            let began = monotonic_ns();
            for frame in &frames {
                store.insert(frame)?;
                pipe.send(frame)?;
            }
            pipe.recv(&mut Vec::new())?;
            outcome.elapsed_ns = monotonic_ns() - began;
        }
        Workload::Sync { .. } => {
            let mut pipe = accept()?;
            store.read(ROWS_AT_ONCE * ROW_BYTES, |frame| pipe.send(frame))?;
        }
        Workload::Connect { count } => {
            for _ in 0..count {
                accept()?.send(&rows(1))?;
            }
        }
    }
    Ok(outcome)
}

/// The replica's part.
fn follow(
    workload: Workload,
    store: &mut RowStore,
    mut connect: impl FnMut() -> Result<Pipe>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut frame = Vec::new();
    match workload {
        Workload::Latency { warm_up, count } => {
            let mut pipe = connect()?;
            for _ in 0..warm_up + count {
                pipe.recv(&mut frame)?;
                store.insert(&frame)?;
                let sent = frame[KEY_BYTES..][..size_of::<u64>()].try_into()?;
                outcome.samples_ns.push(monotonic_ns() - u64::from_ne_bytes(sent));
                pipe.send(ACK)?;
            }
            outcome.samples_ns.drain(..warm_up);
        }
        Workload::Stream { operations: count, .. } | Workload::Sync { records: count } => {
            let began = monotonic_ns();
            let mut pipe = connect()?;
            let mut found = 0;
            while found < count {
                pipe.recv(&mut frame)?;
                store.insert(&frame)?;
                found += frame.len() / ROW_BYTES;
            }
            if matches!(workload, Workload::Stream { .. }) {
                pipe.send(ACK)?;
            } else {
                outcome.elapsed_ns = monotonic_ns() - began;
            }
            ensure!(store.len()? == count, "the replica has {} of {count} rows", store.len()?);
        }
        Workload::Connect { count } => {
            for _ in 0..count {
                let began = monotonic_ns();
                connect()?.recv(&mut frame)?;
                store.insert(&frame)?;
                outcome.samples_ns.push(monotonic_ns() - began);
            }
        }
    }
    Ok(outcome)
}

fn frames(rows_count: usize, per_frame: usize) -> impl Iterator<Item = Vec<u8>> {
    let starts = (0..rows_count).step_by(per_frame);
    starts.map(move |start| rows(per_frame.min(rows_count - start)))
}

/// New rows with time-ordered keys.
fn rows(count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count * ROW_BYTES);
    for _ in 0..count {
        bytes.extend_from_slice(Uuid::now_v7().as_bytes());
        bytes.extend_from_slice(&[b'x'; VALUE_BYTES]);
    }
    bytes
}
