//! `BlazeBinary` against JSON: encoding, decoding, and reading in place.
//!
//! The operations are those of `blaze_bench::issues`: inserts of six fields and
//! updates of one. JSON is measured twice, both times without a loss of what
//! Blaze carries: with a struct of the fields, as an app would write by hand, and
//! with Blaze's own record. Sizes are printed before the measurements.

use std::hint::black_box;
use std::time::Duration;

use blaze_bench::issues::{Generator, SEED};
use blaze_codec::view::{BatchRef, ChangeRef};
use blaze_codec::{Change, Operation, Record, RecordKey, Uuid, Value, Version, batch};
use criterion::{Criterion, Throughput};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const BATCHES: [usize; 3] = [1, 10, 1_000];

/// An operation in JSON, with its fields in a type of any kind.
#[derive(Debug, Serialize, Deserialize)]
struct JsonOperation<F> {
    collection: String,
    key: Uuid,
    version: JsonVersion,
    base: JsonVersion,
    change: JsonChange<F>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum JsonChange<F> {
    Insert(F),
    Update(F),
}

#[derive(Debug, Serialize, Deserialize)]
struct JsonVersion {
    epoch: u64,
    hlc: u64,
    node: Uuid,
}

/// An issue's fields as a struct.
#[derive(Debug, Serialize, Deserialize)]
struct Issue {
    title: String,
    body: String,
    state: String,
    priority: i64,
    assignee: Uuid,
    created_ms: i64,
}

/// The field that an update sets.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    state: String,
}

impl From<&Record> for Issue {
    fn from(record: &Record) -> Self {
        let text = |field| record.get(field).and_then(Value::as_str).expect("a text").to_owned();
        let (Some(&Value::Int(priority)), Some(&Value::Uuid(assignee))) =
            (record.get("priority"), record.get("assignee"))
        else {
            panic!("an issue has a priority and an assignee")
        };
        let Some(&Value::Timestamp(created)) = record.get("created") else {
            panic!("an issue was created at some time")
        };
        let (title, body, state) = (text("title"), text("body"), text("state"));
        Self { title, body, state, priority, assignee, created_ms: created.0 }
    }
}

impl From<&Record> for State {
    fn from(record: &Record) -> Self {
        let state = record.get("state").and_then(Value::as_str).expect("a text").to_owned();
        Self { state }
    }
}

impl From<Version> for JsonVersion {
    fn from(version: Version) -> Self {
        Self {
            epoch: version.epoch.to_bits(),
            hlc: version.hlc.to_bits(),
            node: Uuid::from_bytes(*version.node.as_bytes()),
        }
    }
}

impl<F> JsonOperation<F> {
    fn new(operation: &Operation, fields: impl FnOnce(Record) -> F) -> Self {
        let RecordKey::Uuid(key) = operation.key else { panic!("issues have UUIDs") };
        let change = match &operation.change {
            Change::Insert(record) => JsonChange::Insert(fields(record.clone())),
            Change::Update(updated) => {
                let updated = updated.iter().cloned();
                let updated = updated.filter_map(|(name, value)| Some((name, value?)));
                JsonChange::Update(fields(updated.collect()))
            }
            Change::Delete => panic!("issues aren't deleted"),
        };
        let collection = operation.collection.to_string();
        let (version, base) = (operation.version.into(), operation.base.into());
        Self { collection, key, version, base, change }
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    for count in BATCHES {
        let mut generator = Generator::new(SEED);
        let inserts = generator.inserts(count);
        let updates = generator.updates(&inserts);
        measure(&mut criterion, "insert", &inserts, |record| Issue::from(&record));
        measure(&mut criterion, "update", &updates, |record| State::from(&record));
    }
    criterion.final_summary();
}

fn measure<F: Serialize + DeserializeOwned>(
    criterion: &mut Criterion,
    what: &str,
    operations: &[Operation],
    fields: impl Fn(Record) -> F + Copy,
) {
    let count = operations.len();
    let mut blaze = Vec::new();
    batch::encode(operations, &mut blaze);
    let json = |operation| JsonOperation::new(operation, fields);
    let structs: Vec<_> = operations.iter().map(json).collect();
    let struct_json = serde_json::to_vec(&structs).expect("issues fit JSON");
    let json = |operation| JsonOperation::new(operation, |record| record);
    let records: Vec<JsonOperation<Record>> = operations.iter().map(json).collect();
    let record_json = serde_json::to_vec(&records).expect("records fit JSON");
    for (format, bytes) in
        [("blaze", &blaze), ("json struct", &struct_json), ("json record", &record_json)]
    {
        let each = bytes.len().div_ceil(count);
        println!("{what}/{count}: {format:<11} {each:>4} bytes an operation");
    }

    let mut group = criterion.benchmark_group(format!("{what}/{count}"));
    group.throughput(Throughput::Elements(count as u64));
    let mut out = Vec::with_capacity(2 * record_json.len());
    group.bench_function("encode/blaze", |bencher| {
        bencher.iter(|| {
            out.clear();
            batch::encode(black_box(operations), &mut out);
            black_box(out.len())
        });
    });
    group.bench_function("encode/json struct", |bencher| {
        bencher.iter(|| {
            out.clear();
            serde_json::to_writer(&mut out, black_box(&structs)).expect("issues fit JSON");
            black_box(out.len())
        });
    });
    group.bench_function("encode/json record", |bencher| {
        bencher.iter(|| {
            out.clear();
            serde_json::to_writer(&mut out, black_box(&records)).expect("records fit JSON");
            black_box(out.len())
        });
    });
    group.bench_function("decode/blaze", |bencher| {
        bencher.iter(|| batch::decode(black_box(&blaze)).expect("just encoded"));
    });
    group.bench_function("decode/json struct", |bencher| {
        bencher.iter(|| {
            let bytes = black_box(&struct_json);
            serde_json::from_slice::<Vec<JsonOperation<F>>>(bytes).expect("just encoded")
        });
    });
    group.bench_function("decode/json record", |bencher| {
        bencher.iter(|| {
            let bytes = black_box(&record_json);
            serde_json::from_slice::<Vec<JsonOperation<Record>>>(bytes).expect("just encoded")
        });
    });
    group.bench_function("view/blaze", |bencher| bencher.iter(|| walk(black_box(&blaze))));
    group.finish();
}

/// Looks at every value of a batch in place.
fn walk(bytes: &[u8]) {
    let batch = BatchRef::new(bytes).expect("just encoded");
    for operation in &batch {
        black_box((operation.key(), operation.version()));
        match operation.change() {
            ChangeRef::Insert(record) => record.iter().for_each(|field| {
                black_box(field);
            }),
            ChangeRef::Update(update) => update.iter().for_each(|field| {
                black_box(field);
            }),
            ChangeRef::Delete => {}
        }
    }
}
