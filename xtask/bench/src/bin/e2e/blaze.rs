//! The workloads on Blaze, by the same API that an app uses.

pub(crate) mod scale;

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use blaze_sync::{
    Change, Database, LinkState, Mode, NodeKey, Observer, Record, RecordKey, Role, Seq, Topology,
    Transaction, Value, record,
};
use tokio::sync::oneshot;

use crate::spec::{
    Lead, Message, Outcome, Side, Spec, Store, Workload, monotonic_ns, peak_rss_kib,
};
use crate::worker::{Finish, say};

const COLLECTION: &str = "bench";
/// When the record was handed to `insert`: nanoseconds of the monotonic clock.
const SENT: &str = "sent";
/// With 9 bytes of stamp and the lengths, a record of about 200 bytes.
const TEXT_BYTES: usize = 188;
/// Records that a transaction inserts before the measurement.
const LOADED_AT_ONCE: usize = 1_000;

/// A database that takes part.
#[derive(Debug, Clone)]
struct Peer {
    topology: Topology,
    node: NodeKey,
    database: Database,
}

/// Does one side's part, or both.
pub(crate) async fn run(spec: Spec, finish: Finish) -> Result<Outcome> {
    let topology = Topology::new();
    match spec.side.clone() {
        Side::Source => {
            let source = Peer::open(&spec, &topology, "source").await?;
            let endpoint = source.listen(&spec).await?;
            say(&Message::Ready { endpoint })?;
            source.serve(spec.case.workload, finish).await
        }
        Side::Replica { endpoint } => follow(&spec, &topology, &endpoint, finish).await,
        Side::Both => both(spec, &topology).await,
    }
}

async fn both(spec: Spec, topology: &Topology) -> Result<Outcome> {
    let source = Peer::open(&spec, topology, "source").await?;
    let endpoint = source.listen(&spec).await?;
    let workload = spec.case.workload;
    let (source_done, replica_finish) = oneshot::channel();
    let (replica_done, source_finish) = oneshot::channel();
    let topology = topology.clone();
    let replica = tokio::spawn(async move {
        let outcome = follow(&spec, &topology, &endpoint, replica_finish).await?;
        // A source that leads doesn't wait for it.
        let _ = replica_done.send(());
        anyhow::Ok(outcome)
    });
    let source = source.serve(workload, source_finish).await?;
    if workload.lead() == Lead::Source {
        // A replica that knows the count by itself has ended.
        let _ = source_done.send(());
    }
    Ok(source.and(replica.await??))
}

impl Peer {
    async fn open(spec: &Spec, topology: &Topology, name: &str) -> Result<Self> {
        Self::at(spec.case.store, &spec.directory, topology, name).await
    }

    async fn at(store: Store, directory: &Path, topology: &Topology, name: &str) -> Result<Self> {
        let database = match store {
            Store::Nothing | Store::Memory => Database::in_memory(),
            _ => {
                let path = directory.join(format!("{name}.blaze"));
                let opening = Database::open(path).durability(store.durability());
                let encrypted = store.encrypted();
                if encrypted { opening.password("bench").await? } else { opening.await? }
            }
        };
        let node = topology.register(database.clone(), name, Role::Client).await?;
        Ok(Self { topology: topology.clone(), node, database })
    }

    /// Fills the database as the workload wants it, and listens.
    async fn listen(&self, spec: &Spec) -> Result<String> {
        let records = match spec.case.workload {
            Workload::Sync { records } => records,
            Workload::Connect { .. } => 1,
            Workload::Latency { .. } | Workload::Stream { .. } => 0,
        };
        for transaction in self.transactions(records, LOADED_AT_ONCE) {
            transaction?.commit().await?;
        }
        Ok(self.topology.listen(self.node, &spec.endpoint()).await?.to_string())
    }

    /// The source's part.
    async fn serve(&self, workload: Workload, finish: Finish) -> Result<Outcome> {
        match workload {
            Workload::Latency { warm_up, count } => {
                self.wait_for_peer().await?;
                self.insert_singly(warm_up).await?;
                let commits_ns = self.insert_singly(count).await?;
                Outcome { commits_ns, ..Outcome::default() }.with_rss()
            }
            Workload::Stream { operations, per_transaction } => {
                let transactions = self.transactions(operations, per_transaction);
                let transactions: Vec<_> = transactions.collect::<Result<_>>()?;
                self.wait_for_peer().await?;
                let began = monotonic_ns();
                for transaction in transactions {
                    transaction.commit().await?;
                }
                self.wait_for_acknowledgement().await?;
                let elapsed_ns = monotonic_ns() - began;
                Outcome { elapsed_ns, ..Outcome::default() }.with_rss()
            }
            Workload::Sync { .. } | Workload::Connect { .. } => {
                finish.await?;
                Outcome::default().with_rss()
            }
        }
    }

    /// Inserts records one after the other, each when the one before was
    /// acknowledged, and returns how long each commit took.
    async fn insert_singly(&self, count: usize) -> Result<Vec<u64>> {
        let collection = self.database.collection(COLLECTION);
        let mut commits_ns = Vec::with_capacity(count);
        for _ in 0..count {
            let mut record = record();
            let sent = monotonic_ns();
            record.set(SENT, sent.cast_signed())?;
            collection.insert(record).await?;
            commits_ns.push(monotonic_ns() - sent);
            self.wait_for_acknowledgement().await?;
        }
        Ok(commits_ns)
    }

    async fn wait_for_acknowledgement(&self) -> Result<()> {
        let peers = self.topology.acknowledged(self.node, self.database.head()).await?;
        ensure!(peers.len() == 1, "{} peers acknowledged instead of one", peers.len());
        Ok(())
    }

    async fn wait_for_peer(&self) -> Result<()> {
        let mut links = self.topology.links(self.node)?;
        let live = links.wait_for(|links| links.values().any(|link| link.state == LinkState::Live));
        live.await.context("the node is gone")?;
        Ok(())
    }

    /// Transactions that insert so many records altogether, with time-ordered keys.
    fn transactions(
        &self,
        records: usize,
        per_transaction: usize,
    ) -> impl Iterator<Item = Result<Transaction>> {
        (0..records).step_by(per_transaction).map(move |start| {
            let mut transaction = self.database.transaction();
            for _ in start..records.min(start + per_transaction) {
                transaction = transaction.insert(COLLECTION, RecordKey::unique(), record())?;
            }
            Ok(transaction)
        })
    }

    async fn records(&self) -> Result<u64> {
        let collections = self.database.collections().await?;
        Ok(collections.iter().map(|collection| collection.records).sum())
    }
}

/// The replica's part.
async fn follow(
    spec: &Spec,
    topology: &Topology,
    endpoint: &str,
    finish: Finish,
) -> Result<Outcome> {
    let workload = spec.case.workload;
    if let Workload::Connect { count } = workload {
        return connect(spec, topology, endpoint, count).await;
    }
    let replica = Peer::open(spec, topology, "replica").await?;
    let mut observer = replica.database.observe(COLLECTION)?;
    let began = monotonic_ns();
    let mut link = topology.connect(replica.node, endpoint, Mode::Bidirectional).await?;
    let mut outcome = Outcome::default();
    match workload {
        Workload::Latency { warm_up, count } => {
            observe(&mut observer, warm_up).await?;
            outcome.samples_ns = observe(&mut observer, count).await?;
            // The source still waits for the last acknowledgement.
            finish.await?;
        }
        Workload::Stream { .. } => finish.await?,
        Workload::Sync { .. } | Workload::Connect { .. } => {
            let live = link.wait_for(|link| link.state == LinkState::Live).await;
            outcome.elapsed_ns = monotonic_ns() - began;
            live.context("the link is gone")?;
        }
    }
    if let Workload::Stream { operations: expected, .. } | Workload::Sync { records: expected } =
        workload
    {
        let found = replica.records().await?;
        ensure!(found == expected as u64, "the replica has {found} of {expected} records");
    }
    outcome.with_rss()
}

/// Sees so many inserts, and returns how long after the stamp in each.
async fn observe(observer: &mut Observer, count: usize) -> Result<Vec<u64>> {
    let mut latencies_ns = Vec::with_capacity(count);
    for _ in 0..count {
        let change = observer.next().await?.change;
        let now = monotonic_ns();
        let Change::Insert(record) = change else {
            bail!("an insert was expected, not {change:?}")
        };
        let Some(&Value::Int(sent)) = record.get(SENT) else { bail!("a record without its stamp") };
        latencies_ns.push(now - sent.cast_unsigned());
    }
    Ok(latencies_ns)
}

/// Connects a new replica so many times, and returns how long each waited for the
/// first change.
async fn connect(
    spec: &Spec,
    topology: &Topology,
    endpoint: &str,
    count: usize,
) -> Result<Outcome> {
    let mut samples_ns = Vec::with_capacity(count);
    for number in 0..count {
        let replica = Peer::open(spec, topology, &format!("replica {number}")).await?;
        let mut observer = replica.database.observe_all(Seq::ZERO);
        let began = monotonic_ns();
        let link = topology.connect(replica.node, endpoint, Mode::Bidirectional).await?;
        observer.next().await?;
        samples_ns.push(monotonic_ns() - began);
        link.close().await;
        replica.database.close().await?;
    }
    Outcome { samples_ns, ..Outcome::default() }.with_rss()
}

impl Outcome {
    /// With this process's peak of memory so far.
    pub(crate) fn with_rss(self) -> Result<Self> {
        Ok(Self { rss_kib: peak_rss_kib()?, ..self })
    }

    /// This side's and the other's.
    pub(crate) fn and(self, other: Self) -> Self {
        let longer = |ours: Vec<u64>, theirs: Vec<u64>| if ours.is_empty() { theirs } else { ours };
        Self {
            samples_ns: longer(self.samples_ns, other.samples_ns),
            commits_ns: longer(self.commits_ns, other.commits_ns),
            elapsed_ns: self.elapsed_ns.max(other.elapsed_ns),
            rss_kib: self.rss_kib.max(other.rss_kib),
            scale: self.scale,
        }
    }
}

fn record() -> Record {
    let text: String = std::iter::repeat_with(fastrand::alphanumeric).take(TEXT_BYTES).collect();
    record! { SENT => i64::MAX, "text" => text }
}
