//! The workloads that show how Blaze's cost grows.

mod hub;

use anyhow::{Context as _, Result, ensure};
use blaze_sync::{LinkState, Mode, Record, RecordKey, Topology, Transaction, record};

use super::{COLLECTION, Peer, SENT, observe};
use crate::scale::{self, Load, Spec, Work};
use crate::spec::{Message, Outcome, Side, monotonic_ns};
use crate::worker::{Finish, say};

/// Records that a transaction inserts before the measurement.
const HELD_AT_ONCE: usize = 10_000;
/// What a record takes beside its text: 9 bytes of stamp and the lengths.
const BESIDE_TEXT_BYTES: usize = 12;
const TEXT: &str = "text";

/// Does one side's part.
pub(crate) async fn run(spec: Spec, finish: Finish) -> Result<Outcome> {
    match (spec.point.work, spec.side.clone()) {
        (Work::Hub(hub), Side::Replica { endpoint }) => hub::follow(hub, &endpoint, finish).await,
        (Work::Hub(hub), _) => hub::serve(&spec, hub, finish).await,
        (Work::Load(load), Side::Replica { endpoint }) => {
            follow(&spec, load, &endpoint, finish).await
        }
        (Work::Load(load), _) => serve(&spec, load, finish).await,
    }
}

/// The source's part.
async fn serve(spec: &Spec, load: Load, finish: Finish) -> Result<Outcome> {
    let source = Peer::at(spec.point.store, &spec.directory, &Topology::new(), "source").await?;
    let mut keys = Vec::with_capacity(load.held);
    while keys.len() < load.held {
        let mut transaction = source.database.transaction();
        for _ in 0..HELD_AT_ONCE.min(load.held - keys.len()) {
            let key = RecordKey::unique();
            transaction =
                transaction.insert(COLLECTION, key.clone(), record_of(load.record_bytes))?;
            keys.push(key);
        }
        transaction.commit().await?;
    }
    let endpoint = source.topology.listen(source.node, &spec.endpoint()).await?.to_string();
    say(&Message::Ready { endpoint })?;
    finish.await?;
    source.wait_for_peer().await?;
    source.wait_for_acknowledgement().await?;
    let commits_ns = source.insert_stamped(load).await?;
    let inserts = source.transactions_of(load.operations, load, |transaction| {
        let record = record_of(load.record_bytes);
        Ok(transaction.insert(COLLECTION, RecordKey::unique(), record)?)
    })?;
    let stream_ns = source.stream(inserts).await?;
    let updates = source.transactions_of(load.updates, load, |transaction| {
        let key = keys[fastrand::usize(..keys.len())].clone();
        Ok(transaction.update(COLLECTION, key, record! { TEXT => text(load.record_bytes) })?)
    })?;
    let updates_ns = source.stream(updates).await?;
    let scale = scale::Outcome { stream_ns, updates_ns, ..scale::Outcome::default() };
    Outcome { commits_ns, scale, ..Outcome::default() }.with_rss()
}

/// The replica's part.
async fn follow(spec: &Spec, load: Load, endpoint: &str, finish: Finish) -> Result<Outcome> {
    let topology = Topology::new();
    let replica = Peer::at(spec.point.store, &spec.directory, &topology, "replica").await?;
    let mut link = topology.connect(replica.node, endpoint, Mode::Bidirectional).await?;
    let live = link.wait_for(|link| link.state == LinkState::Live).await;
    live.context("the link is gone")?;
    let mut observer = replica.database.observe(COLLECTION)?;
    say(&Message::Ready { endpoint: endpoint.to_owned() })?;
    observe(&mut observer, load.warm_up).await?;
    let samples_ns = observe(&mut observer, load.singles).await?;
    drop(observer);
    finish.await?;
    let (found, expected) =
        (replica.records().await?, load.held + load.warm_up + load.singles + load.operations);
    ensure!(found == expected as u64, "the replica has {found} of {expected} records");
    Outcome { samples_ns, ..Outcome::default() }.with_rss()
}

impl Peer {
    /// Inserts records one after the other, each when the one before was
    /// acknowledged, and returns how long each commit took that counts.
    async fn insert_stamped(&self, load: Load) -> Result<Vec<u64>> {
        let collection = self.database.collection(COLLECTION);
        let mut commits_ns = Vec::with_capacity(load.warm_up + load.singles);
        for _ in 0..load.warm_up + load.singles {
            let mut record = record_of(load.record_bytes);
            let sent = monotonic_ns();
            record.set(SENT, sent.cast_signed())?;
            collection.insert(record).await?;
            commits_ns.push(monotonic_ns() - sent);
            self.wait_for_acknowledgement().await?;
        }
        Ok(commits_ns.split_off(load.warm_up))
    }

    /// So many writes, in transactions.
    fn transactions_of(
        &self,
        writes: usize,
        load: Load,
        write: impl Fn(Transaction) -> Result<Transaction>,
    ) -> Result<Vec<Transaction>> {
        let starts = (0..writes).step_by(load.per_transaction);
        let transactions = starts.map(|start| {
            let mut parts = start..writes.min(start + load.per_transaction);
            parts.try_fold(self.database.transaction(), |transaction, _| write(transaction))
        });
        transactions.collect()
    }

    /// Commits one transaction after the other, and returns how long it took until
    /// the replica had acknowledged the last; 0 if there are none.
    async fn stream(&self, transactions: Vec<Transaction>) -> Result<u64> {
        if transactions.is_empty() {
            return Ok(0);
        }
        let began = monotonic_ns();
        for transaction in transactions {
            transaction.commit().await?;
        }
        self.wait_for_acknowledgement().await?;
        Ok(monotonic_ns() - began)
    }
}

fn record_of(bytes: usize) -> Record {
    record! { SENT => i64::MAX, TEXT => text(bytes) }
}

/// The text of a record of so many bytes.
fn text(record_bytes: usize) -> String {
    let bytes = record_bytes.saturating_sub(BESIDE_TEXT_BYTES);
    std::iter::repeat_with(fastrand::alphanumeric).take(bytes).collect()
}
