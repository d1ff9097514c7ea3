//! The merge rule, the stamping of local writes, and the memory adapter.
//!
//! A round is 1,000 operations of `blaze_bench::issues` on 1,000 records, each on
//! a copy of the state that it meets, made outside of what is measured.

use std::hint::black_box;
use std::time::Duration;

use blaze_bench::issues::{Generator, SEED};
use blaze_codec::{Change, Hlc, HlcClock, Incarnation, NodeId, Operation, Role, Seq};
use blaze_db_adapter::{
    Checkpoint, DatabaseAdapter, Incoming, RecordState, Stamper, Write, WriteKind,
};
use blaze_db_adapter_memory::MemoryDatabase;
use criterion::{BatchSize, Criterion, Throughput};
use tokio::runtime::Runtime;

const RECORDS: usize = 1_000;

/// Operations on the same records, and the states that they make.
struct Work {
    inserts: Vec<Operation>,
    updates: Vec<Operation>,
    blank: Vec<RecordState>,
    living: Vec<RecordState>,
    edited: Vec<RecordState>,
}

impl Work {
    fn new() -> Self {
        let mut generator = Generator::new(SEED);
        let inserts = generator.inserts(RECORDS);
        let updates = generator.updates(&inserts);
        let blank = vec![RecordState::default(); RECORDS];
        let mut living = blank.clone();
        merge(&mut living, &inserts);
        let mut edited = living.clone();
        merge(&mut edited, &updates);
        Self { inserts, updates, blank, living, edited }
    }

    fn writes(operations: &[Operation]) -> Vec<Write> {
        let write = |operation: &Operation| {
            let kind = match &operation.change {
                Change::Insert(record) => WriteKind::Insert(record.clone()),
                Change::Update(fields) => WriteKind::Update(fields.iter().cloned().collect()),
                Change::Delete => WriteKind::Delete,
            };
            let Operation { collection, key, .. } = operation;
            Write { collection: collection.clone(), key: key.clone(), kind }
        };
        operations.iter().map(write).collect()
    }
}

fn merge(states: &mut [RecordState], operations: &[Operation]) {
    let mut conflicts = Vec::new();
    for (state, operation) in states.iter_mut().zip(operations) {
        black_box(state.merge(operation, &mut conflicts));
    }
    assert!(conflicts.is_empty(), "the operations know each other");
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let work = Work::new();
    rule(&mut criterion, &work);
    stamper(&mut criterion, &work);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    memory(&mut criterion, &work, &runtime);
    criterion.final_summary();
}

fn rule(criterion: &mut Criterion, work: &Work) {
    let mut group = criterion.benchmark_group("merge rule");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (name, states, operations) in [
        ("insert", &work.blank, &work.inserts),
        ("update", &work.living, &work.updates),
        ("stale insert", &work.edited, &work.inserts),
        ("known update", &work.edited, &work.updates),
    ] {
        group.bench_function(name, |bencher| {
            let merge = |states: &mut Vec<RecordState>| merge(states, black_box(operations));
            bencher.iter_batched_ref(|| states.clone(), merge, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn stamper(criterion: &mut Criterion, work: &Work) {
    let mut group = criterion.benchmark_group("stamper");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (name, states, operations) in
        [("insert", &work.blank, &work.inserts), ("update", &work.living, &work.updates)]
    {
        let writes = Work::writes(operations);
        group.bench_function(name, |bencher| {
            let stamp = |states: &mut Vec<RecordState>| stamp(states, black_box(&writes));
            bencher.iter_batched_ref(|| states.clone(), stamp, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn stamp(states: &mut [RecordState], writes: &[Write]) {
    let mut clock = HlcClock::default();
    let node = NodeId::from_bytes([7; 16]);
    let mut stamper = Stamper { clock: &mut clock, wall_ms: 0, node, role: Role::Client, forgotten: Hlc::ZERO, bytes: 0 };
    for (state, write) in states.iter_mut().zip(writes) {
        black_box(stamper.stamp(write, state).expect("the write fits the state"));
    }
}

fn memory(criterion: &mut Criterion, work: &Work, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("memory adapter");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let writes = Work::writes(&work.inserts);
    for per_transaction in [1, RECORDS] {
        group.bench_function(format!("commit by {per_transaction}"), |bencher| {
            let transactions = || {
                let transactions = writes.chunks(per_transaction).map(<[Write]>::to_vec);
                (MemoryDatabase::new(), transactions.collect::<Vec<_>>())
            };
            bencher.iter_batched_ref(
                transactions,
                |(database, transactions)| {
                    for writes in transactions.drain(..) {
                        runtime.block_on(database.commit(writes)).expect("keys are new");
                    }
                },
                BatchSize::LargeInput,
            );
        });
        group.bench_function(format!("merge by {per_transaction}"), |bencher| {
            let batches = || {
                let batches = work.inserts.chunks(per_transaction).zip(1..);
                let batches = batches.map(|(operations, seq)| incoming(operations, Seq(seq)));
                (MemoryDatabase::new(), batches.collect::<Vec<_>>())
            };
            bencher.iter_batched_ref(
                batches,
                |(database, batches)| {
                    for batch in batches.drain(..) {
                        runtime.block_on(database.merge(batch)).expect("memory doesn't fail");
                    }
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn incoming(operations: &[Operation], seq: Seq) -> Incoming {
    let checkpoint = Checkpoint { incarnation: Incarnation(1), seq };
    let peer = NodeId::from_bytes([9; 16]);
    Incoming { peer, checkpoint, operations: operations.to_vec(), ..Incoming::default() }
}
