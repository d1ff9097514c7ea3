//! The workloads, the same for all alternatives: they differ in how rows get from
//! the one process to the other.

use anyhow::{Result, ensure};

use super::rows::{Received, Row, transactions};
use crate::floor::pipe::{Listener, Pipe};
use crate::spec::{Message, Outcome, Spec, Workload, monotonic_ns};
use crate::worker::say;

/// Rows of a transaction before the measurement.
const LOADED_AT_ONCE: usize = 1_000;
/// What says that everything is readable.
const ACK: &[u8] = &[6];

/// The side that has the rows. The pipe goes to the other side, for what has no
/// way of its own.
pub(super) trait Write {
    /// Commits rows as one transaction, and hands them on.
    fn commit(&mut self, rows: &[Row], pipe: &mut Pipe) -> Result<()>;

    /// Lets time pass before a row that is timed, where rows would otherwise come
    /// at always the same point of what the reader does.
    fn pause(&self) {}

    /// Hands on what has been kept back, so that it goes in larger pieces.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Stores rows before the other side exists.
    fn load(&mut self, rows: &[Row]) -> Result<()>;

    /// Does its part of the first sync.
    fn serve(&mut self, _pipe: &mut Pipe) -> Result<()> {
        Ok(())
    }
}

/// The side that gets the rows.
pub(super) trait Read {
    /// Waits until more rows are readable here, as durable as is promised.
    fn receive(&mut self, pipe: &mut Pipe) -> Result<Received>;

    /// Brings so many rows here, where nothing is yet.
    fn sync(&mut self, rows: usize, pipe: &mut Pipe) -> Result<()>;

    /// How many rows are readable here.
    fn len(&mut self) -> Result<usize>;
}

/// The source's part.
pub(super) fn write(spec: &Spec, mut writer: impl Write) -> Result<Outcome> {
    let workload = spec.case.workload;
    if let Workload::Sync { records } = workload {
        let loaded = transactions(records, LOADED_AT_ONCE);
        loaded.iter().try_for_each(|rows| writer.load(rows))?;
    }
    let listener = Listener::bind(&spec.endpoint())?;
    say(&Message::Ready { endpoint: listener.endpoint()? })?;
    let mut outcome = Outcome::default();
    let mut pipe;
    match workload {
        Workload::Latency { warm_up, count } => {
            pipe = listener.accept()?;
            for _ in 0..warm_up + count {
                writer.pause();
                let mut row = Row::random();
                row.stamp(monotonic_ns());
                writer.commit(&[row], &mut pipe)?;
                wait_for_ack(&mut pipe)?;
            }
        }
        Workload::Stream { operations, per_transaction } => {
            let transactions = transactions(operations, per_transaction);
            pipe = listener.accept()?;
            let began = monotonic_ns();
            for rows in &transactions {
                writer.commit(rows, &mut pipe)?;
            }
            writer.flush()?;
            wait_for_ack(&mut pipe)?;
            outcome.elapsed_ns = monotonic_ns() - began;
        }
        Workload::Sync { .. } | Workload::Connect { .. } => {
            pipe = listener.accept()?;
            writer.serve(&mut pipe)?;
        }
    }
    // What the writer has started ends with it, and the other side still looks
    // whether it has everything.
    wait_for_ack(&mut pipe)?;
    outcome.with_rss()
}

fn wait_for_ack(pipe: &mut Pipe) -> Result<()> {
    let mut answer = Vec::new();
    pipe.recv(&mut answer)?;
    ensure!(answer == ACK, "the replica failed: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// The replica's part.
pub(super) fn read(spec: &Spec, endpoint: &str, mut reader: impl Read) -> Result<Outcome> {
    let began = monotonic_ns();
    let mut pipe = Pipe::connect(endpoint)?;
    let outcome = follow(spec.case.workload, &mut reader, &mut pipe, began);
    match &outcome {
        Ok(_) => pipe.send(ACK)?,
        // The other side may be gone, and that be why.
        Err(error) => drop(pipe.send(format!("{error:#}").as_bytes())),
    }
    outcome
}

fn follow(
    workload: Workload,
    reader: &mut impl Read,
    pipe: &mut Pipe,
    began: u64,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let expected = match workload {
        Workload::Latency { warm_up, count } => {
            for _ in 0..warm_up + count {
                let received = reader.receive(pipe)?;
                outcome.samples_ns.push(monotonic_ns() - received.stamp);
                ensure!(received.rows == 1, "{} rows instead of one in flight", received.rows);
                pipe.send(ACK)?;
            }
            outcome.samples_ns.drain(..warm_up);
            warm_up + count
        }
        Workload::Stream { operations, .. } => {
            let mut found = 0;
            while found < operations {
                found += reader.receive(pipe)?.rows;
            }
            pipe.send(ACK)?;
            operations
        }
        Workload::Sync { records: count } | Workload::Connect { count } => {
            reader.sync(count, pipe)?;
            outcome.elapsed_ns = monotonic_ns() - began;
            count
        }
    };
    let found = reader.len()?;
    ensure!(found == expected, "the replica has {found} of {expected} rows");
    outcome.with_rss()
}
