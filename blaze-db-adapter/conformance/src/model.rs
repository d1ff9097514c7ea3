//! A state machine: random calls to the database under test and to the reference
//! model, whose answers must be the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blaze_codec::{
    Change, Condition, Incarnation, Name, NodeId, Operation, RecordKey, Role, Rule, Scope, Seq,
    Value,
};
use blaze_db_adapter::{
    Audience, ChangesLimit, Checkpoint, Conflict, DatabaseAdapter, DatabaseError, Incoming, Limit,
    Write,
};
use blaze_db_adapter_memory::{MemoryDatabase, MemoryOptions};
use fastrand::Rng;
use proptest::collection::vec;
use proptest::option::of as option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::subject::{Subject, UNLIMITED, insert, name, peer, set};
use crate::{Harness, TestClock, random, run};

/// Steps of one case at most.
const STEPS_MAX: usize = 40;

/// A collection, the left one or the right one, and a key.
type Record = (bool, i64);

/// What a peer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Changes,
    Roll,
    /// Changes and withdrawals, by a peer that may withdraw.
    Withdrawals,
    /// The same, by one that may not.
    Unallowed,
}

/// One call.
#[derive(Debug, Clone)]
enum Step {
    /// Writes that are allowed whatever is there.
    Commit {
        seed: u64,
        count: usize,
    },
    /// A transaction of which some writes may not be allowed.
    CommitStrictly {
        seed: u64,
        count: usize,
    },
    Merge {
        seed: u64,
        count: usize,
        peer: u8,
        incarnation: u64,
        seq: u64,
        holds: u64,
        kind: Kind,
        /// Whether who it comes as is known, if it is limited.
        limited: Option<bool>,
    },
    /// Notes what somebody is given, and when that is withdrawn.
    Share {
        peer: u8,
        principal: bool,
        records: Vec<Record>,
        withdrawn: Option<u64>,
    },
    Register {
        peer: u8,
        name: char,
        holds: u64,
    },
    Settle(Vec<(u8, u64)>),
    Unregister(u8),
    /// Removes tombstones, but for peers silent since a time.
    Purge(u64),
    /// Reads what exists of a piece of the feed.
    Roll {
        after: u64,
        through: u64,
        count: usize,
    },
    /// Reads a piece of the feed.
    Changes {
        after: u64,
        records: usize,
    },
    SetRole(bool),
    Clock(u64),
    Announce,
    Renew(u8),
    Reopen,
    /// The process ends without a word.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let seed = || any::<u64>();
    prop_oneof![
        6 => (seed(), 0..4_usize).prop_map(|(seed, count)| Step::Commit { seed, count }),
        4 => (seed(), 1..4_usize).prop_map(|(seed, count)| Step::CommitStrictly { seed, count }),
        8 => (seed(), 0..6_usize, 1..3_u8, 1..4_u64, 0..20_u64, 0..30_u64, (kind(), option(any::<bool>())))
            .prop_map(|(seed, count, peer, incarnation, seq, holds, (kind, limited))| {
                Step::Merge { seed, count, peer, incarnation, seq, holds, kind, limited }
            }),
        3 => (1..4_u8, any::<bool>(), vec((any::<bool>(), 0..4_i64), 0..4), option(0..30_u64))
            .prop_map(|(peer, principal, records, withdrawn)| {
                Step::Share { peer, principal, records, withdrawn }
            }),
        2 => (1..4_u8, any::<char>(), 0..20_u64)
            .prop_map(|(peer, name, holds)| Step::Register { peer, name, holds }),
        // Often no more than before: then only that the peer is there is new.
        3 => vec((1..5_u8, prop_oneof![0..2_u64, 0..20_u64]), 0..3).prop_map(Step::Settle),
        1 => (1..4_u8).prop_map(Step::Unregister),
        2 => (0..200_u64).prop_map(Step::Purge),
        2 => (0..20_u64, 0..20_u64, 0..4_usize)
            .prop_map(|(after, through, count)| Step::Roll { after, through, count }),
        3 => (0..30_u64, 0..6_usize).prop_map(|(after, records)| Step::Changes { after, records }),
        1 => any::<bool>().prop_map(Step::SetRole),
        2 => (0..200_u64).prop_map(Step::Clock),
        1 => (0..1_u8).prop_map(|_| Step::Announce),
        1 => (100..104_u8).prop_map(Step::Renew),
        1 => (0..1_u8).prop_map(|_| Step::Reopen),
        1 => (0..1_u8).prop_map(|_| Step::Crash),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Changes),
        2 => Just(Kind::Roll),
        2 => Just(Kind::Withdrawals),
        1 => Just(Kind::Unallowed),
    ]
}

/// Lets proptest look for calls after which the database and the model differ.
///
/// # Panics
///
/// If they differ: with the shortest sequence of calls that was found.
pub fn agrees_with_the_model<H: Harness>(harness: &H, cases: u32) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&vec(step(), 1..STEPS_MAX), |steps| {
        let compared = std::panic::AssertUnwindSafe(|| run(compare(harness, &steps)));
        std::panic::catch_unwind(compared).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            TestCaseError::fail(text.unwrap_or_else(|| "see above".to_owned()))
        })
    });
    if let Err(error) = result {
        panic!("the database and the model differ: {error}");
    }
}

async fn compare<H: Harness>(harness: &H, steps: &[Step]) {
    static OPENINGS: AtomicU64 = AtomicU64::new(1);
    let drawn = || Incarnation(OPENINGS.fetch_add(1, Ordering::Relaxed));
    let clock = TestClock::new(1_000);
    let settings = || clock.settings(Role::Client);
    let mut database = Subject::with(harness, settings()).await;
    let model = MemoryOptions::new().node(database.identity().node).incarnation(drawn());
    let mut model = model.clock(settings().clock).build();
    for step in steps {
        match step {
            Step::Commit { seed, count } => {
                let writes = random::writes(&mut Rng::with_seed(*seed), *count);
                commit(&database, &model, writes).await;
            }
            Step::CommitStrictly { seed, count } => {
                let mut rng = Rng::with_seed(*seed);
                let write = || strict(&mut rng);
                commit(&database, &model, std::iter::repeat_with(write).take(*count).collect())
                    .await;
            }
            Step::Merge { seed, count, peer: from, incarnation, seq, holds, kind, limited } => {
                let operations = came(&mut Rng::with_seed(*seed), *count, *kind);
                let incarnation = Incarnation(*incarnation);
                let checkpoint = (*seq > 0).then_some(Checkpoint { incarnation, seq: Seq(*seq) });
                let incoming = Incoming {
                    peer: peer(*from),
                    checkpoint,
                    roots: checkpoint.into_iter().collect(),
                    operations,
                    holds: Seq(*holds),
                    roll: *kind == Kind::Roll,
                    limit: limited.map(|principal| limit(*from, principal)),
                    withdraws: *kind == Kind::Withdrawals,
                };
                merge(&database, &model, incoming).await;
            }
            Step::Share { peer: node, principal, records, withdrawn } => {
                let (audience, records) = (audience(*node, *principal), names(records));
                let withdrawn = withdrawn.map(Seq);
                let noted = database.share(&audience, records.clone(), withdrawn).await;
                noted.expect("it can be noted");
                model.share(&audience, records, withdrawn).await.expect("it can be noted");
            }
            Step::Register { peer: node, name, holds } => {
                let (node, name) = (peer(*node), name.to_string());
                let found = database.register(node, &name, Seq(*holds)).await;
                let expected = model.register(node, &name, Seq(*holds)).await;
                assert_eq!(found.expect("it registers"), expected.expect("it registers"));
            }
            Step::Settle(settled) => {
                let all = settled.iter().map(|(node, seq)| (peer(*node), Seq(*seq)));
                let settled: Vec<_> = all.collect();
                database.settle(&settled).await.expect("it can be stored");
                model.settle(&settled).await.expect("it can be stored");
            }
            Step::Unregister(node) => {
                let found = database.unregister(peer(*node)).await;
                let expected = model.unregister(peer(*node)).await;
                assert_eq!(found.expect("it can be stored"), expected.expect("it can be stored"));
            }
            Step::Purge(ms) => {
                let found = database.purge(1_000 + ms).await;
                let expected = model.purge(1_000 + ms).await;
                assert_eq!(found.expect("it can be stored"), expected.expect("it can be stored"));
            }
            Step::Roll { after, through, count } => {
                let found = database.roll(Seq(*after), Seq(*through), *count).await;
                let expected = model.roll(Seq(*after), Seq(*through), *count).await;
                assert_eq!(found.expect("it can be read"), expected.expect("it can be read"));
            }
            Step::Changes { after, records } => {
                let limit = ChangesLimit { records: *records, bytes: usize::MAX };
                let found = database.changes(Seq(*after), limit).await;
                let expected = model.changes(Seq(*after), limit).await;
                assert_eq!(found.expect("it can be read"), expected.expect("it can be read"));
            }
            Step::SetRole(server) => {
                let role = if *server { Role::Server } else { Role::Client };
                database.set_role(role).await.expect("a role can be set");
                model.set_role(role).await.expect("a role can be set");
            }
            Step::Clock(ms) => clock.set(1_000 + ms),
            Step::Announce => {
                let found = database.announce().await.expect("a feed can be announced");
                let expected = model.announce().await.expect("a feed can be announced");
                let firsts = |spans: &[blaze_codec::Span]| -> Vec<_> {
                    spans.iter().map(|span| span.first).collect()
                };
                assert_eq!(firsts(found.spans()), firsts(expected.spans()));
            }
            Step::Renew(byte) => {
                let node = NodeId::from_bytes([*byte; 16]);
                database.renew(node).await.expect("a replica can take another id");
                model.renew(node).await.expect("a replica can take another id");
            }
            Step::Reopen | Step::Crash if !H::REOPENS => {}
            Step::Reopen | Step::Crash => {
                database = match step {
                    Step::Crash => database.crash(settings()).await,
                    _ => database.reopen(settings()).await.expect("it reopens"),
                };
                model = model.snapshot().open(drawn(), settings().clock);
            }
        }
        assert_same(&database, &model).await;
    }
}

/// What a peer sends.
fn came(rng: &mut Rng, count: usize, kind: Kind) -> Vec<Operation> {
    let operations = random::operations(rng, count).into_iter();
    let came = |operation: Operation| match kind {
        Kind::Roll => Operation { change: Change::Update(vec![]), ..operation },
        Kind::Withdrawals | Kind::Unallowed if rng.bool() => {
            Operation::withdrawal(operation.collection, operation.key)
        }
        _ => operation,
    };
    operations.map(came).collect()
}

/// All that is on the right, and of what is on the left what has a certain field.
fn scope() -> Scope {
    let field = || name("a");
    let small = (0..4).map(Value::Int).collect();
    let some = [Condition::In(field(), small), Condition::is(field(), true)];
    let left = Rule::all().when(Condition::Any(some.into()));
    Scope::new().with(name("left"), left).with(name("right"), Rule::all())
}

fn limit(node: u8, principal: bool) -> Arc<Limit> {
    Arc::new(Limit { scope: Arc::new(scope()), audience: audience(node, principal) })
}

fn audience(node: u8, principal: bool) -> Audience {
    let principal = if principal { "uid:1000" } else { "" };
    Audience { node: peer(node), principal: principal.to_owned() }
}

fn names(records: &[Record]) -> Vec<(Name, RecordKey)> {
    let collection = |left: bool| name(if left { "left" } else { "right" });
    records.iter().map(|(left, key)| (collection(*left), RecordKey::Int(*key))).collect()
}

/// A write that needs a record, or needs there to be none.
fn strict(rng: &mut Rng) -> Write {
    let (collection, key, value) =
        (if rng.bool() { "left" } else { "right" }, rng.i64(0..4), rng.i64(0..8));
    if rng.bool() {
        insert(collection, key, blaze_codec::record! { "a" => value })
    } else {
        set(collection, key, "a", value)
    }
}

async fn commit<H: Harness>(database: &Subject<'_, H>, model: &MemoryDatabase, writes: Vec<Write>) {
    let found = database.commit(writes.clone()).await;
    match (found, model.commit(writes).await) {
        (Ok(found), Ok(expected)) => {
            assert_eq!(found.seq(), expected.seq());
            assert_eq!(found.operations(), expected.operations());
        }
        (Err(DatabaseError::Write(found)), Err(DatabaseError::Write(expected))) => {
            assert_eq!(found, expected);
        }
        (found, expected) => panic!("{found:?} instead of {expected:?}"),
    }
}

async fn merge<H: Harness>(database: &Subject<'_, H>, model: &MemoryDatabase, incoming: Incoming) {
    let found = database.merge(incoming.clone()).await.expect("a merge succeeds");
    let expected = model.merge(incoming).await.expect("a merge succeeds");
    let conflicts = |conflicts: Vec<Conflict>| -> Vec<_> {
        conflicts.into_iter().map(|conflict| format!("{conflict:?}")).collect()
    };
    assert_eq!(conflicts(found.conflicts), conflicts(expected.conflicts));
    let commit = |commit: Option<Arc<blaze_db_adapter::Committed>>| {
        commit.map(|commit| {
            (commit.seq(), commit.origin(), commit.roots().to_vec(), commit.operations().to_vec())
        })
    };
    assert_eq!(commit(found.committed), commit(expected.committed));
    assert_eq!(found.refused, expected.refused);
    assert_eq!(found.withdrawn, expected.withdrawn);
}

/// Everything that can be read is the same.
async fn assert_same<H: Harness>(database: &Subject<'_, H>, model: &MemoryDatabase) {
    let (found, expected) = (database.identity(), model.identity());
    assert_eq!((found.node, found.former), (expected.node, expected.former));
    assert_eq!(found.role, expected.role);
    assert_eq!(database.feed().head(), model.feed().head());
    let feed = model.changes(Seq::ZERO, UNLIMITED).await.expect("it can be read");
    assert_eq!(database.whole_feed().await, feed.operations);
    for from in [1, 2] {
        assert_eq!(
            database.checkpoints(peer(from)).await.expect("checkpoints can be read"),
            model.checkpoints(peer(from)).await.expect("checkpoints can be read"),
        );
    }
    let expected = model.peers().await.expect("peers can be read");
    assert_eq!(database.peers().await.expect("peers can be read"), expected);
    let all: Vec<_> = [true, false].map(|left| [0, 1, 2, 3].map(|key| (left, key))).concat();
    let all = names(&all);
    for (node, principal) in [(1, false), (1, true), (2, true), (3, false)] {
        let audience = audience(node, principal);
        let expected = model.shared(&audience, &all).await.expect("it can be read");
        let found = database.shared(&audience, &all).await.expect("it can be read");
        assert_eq!(found, expected, "{audience:?}");
    }
    for collection in ["left", "right"].map(name) {
        let expected = model.scan(&collection, None, usize::MAX).await.expect("it can be read");
        let found = database.scan(&collection, None, usize::MAX).await.expect("it can be read");
        assert_eq!(found, expected);
    }
    let expected = model.collections().await.expect("collections can be listed");
    assert_eq!(database.collections().await.expect("collections can be listed"), expected);
}
