//! The change feed.

use blaze_codec::{Change, Operation, RecordKey, Seq, record};
use blaze_db_adapter::{ChangeSet, ChangesLimit};

use crate::subject::{Subject, UNLIMITED, delete, fold, insert, peer, put, set};
use crate::{Harness, Settings};

/// A record is in the feed once, where it last changed, however often it did.
pub async fn a_record_is_in_the_feed_where_it_last_changed<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, record! { "n" => 0 })]).await;
    database.write([insert("notes", 2, record! {})]).await;
    for number in 1..=10 {
        database.write([set("notes", 1, "n", number)]).await;
    }
    database.write([insert("notes", 3, record! {})]).await;
    assert_eq!(keys(&database.whole_feed().await), [2, 1, 3].map(RecordKey::Int));
    let rest = database.changes(Seq(2), UNLIMITED).await.expect("changes can be read");
    assert_eq!(keys(&rest.operations), [1, 3].map(RecordKey::Int));
    let rest = database.changes(Seq(12), UNLIMITED).await.expect("changes can be read");
    assert_eq!(keys(&rest.operations), [RecordKey::Int(3)]);
    assert_eq!(database.states().await.len(), 3);
}

/// Only what changes a record moves it.
pub async fn an_unchanged_record_is_not_moved<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, record! { "n" => 1 })]).await;
    let known = database.whole_feed().await;
    database.write([insert("notes", 2, record! {})]).await;
    // Beside changes of another record: a write and a merge that change nothing here.
    database.write([put("notes", 1, record! { "n" => 1 }), insert("notes", 3, record! {})]).await;
    let mut operations = known.clone();
    operations
        .extend(known.iter().map(|operation| Operation { key: 4.into(), ..operation.clone() }));
    database.take(peer(1), 1, &operations).await;
    assert_eq!(keys(&database.whole_feed().await), [1, 2, 3, 4].map(RecordKey::Int));
    let after = database.changes(Seq(1), UNLIMITED).await.expect("changes can be read");
    assert_eq!(keys(&after.operations), [2, 3, 4].map(RecordKey::Int));
}

/// Read in steps of any size, the feed gives each record once, and never a part
/// of a seq.
pub async fn small_steps_cover_the_feed_once<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    for number in 0..12 {
        let keys = (0..=number % 4).map(|at| 10 * number + at);
        let inserts = keys.map(|key| insert("notes", key, record! { "text" => "x".repeat(100) }));
        database.write(inserts.collect::<Vec<_>>()).await;
    }
    database.write([set("notes", 20, "text", "moved"), delete("notes", 31)]).await;
    let whole = database.whole_feed().await;
    let sizes =
        [(0, usize::MAX), (1, usize::MAX), (3, usize::MAX), (usize::MAX, 0), (usize::MAX, 700)];
    for (records, bytes) in sizes {
        let steps = steps(&database, ChangesLimit { records, bytes }).await;
        assert!(steps.len() > 3, "{} steps of {records} records, {bytes} bytes", steps.len());
        let mut operations = Vec::new();
        for step in &steps {
            assert!(!step.operations.is_empty(), "each step gives something");
            operations.extend(step.operations.clone());
        }
        assert_eq!(operations, whole, "steps of {records} records, {bytes} bytes");
        assert!(records > 1 || steps.len() == 13, "each of 13 seqs is a step of its own");
    }
}

/// `through` is the last seq given, or the head if there is no more.
pub async fn a_step_says_how_far_it_went<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let step = |after, records| {
        let limit = ChangesLimit { records, bytes: usize::MAX };
        let changes = database.changes(Seq(after), limit);
        async { changes.await.map(|step| (step.operations.len(), step.through, step.more)).ok() }
    };
    assert_eq!(step(0, 1).await, Some((0, Seq(0), false)));
    database.write([insert("notes", 1, record! {}), insert("notes", 2, record! {})]).await;
    database.write([insert("notes", 3, record! {})]).await;
    assert_eq!(step(0, 1).await, Some((2, Seq(1), true)));
    assert_eq!(step(0, 2).await, Some((2, Seq(1), true)));
    assert_eq!(step(0, 3).await, Some((3, Seq(2), false)));
    assert_eq!(step(1, 1).await, Some((1, Seq(2), false)));
    assert_eq!(step(2, 1).await, Some((0, Seq(2), false)));
    // Seqs 1 and 2 are empty once their records have moved on.
    let everything = [1, 2, 3].map(|key| delete("notes", key));
    database.write(everything).await;
    assert_eq!(step(0, 1).await, Some((3, Seq(3), false)));
}

/// A step that leaves nothing out, behind others that didn't either, tells all that the
/// commits up to its end did.
pub async fn a_step_that_leaves_nothing_out_is_all_that_happened<H: Harness>(harness: &H) {
    // Of a commit of three, what changes again: nothing, the first, the one in the middle,
    // the last, two, or all of it.
    for moved in [&[][..], &[0], &[1], &[2], &[1, 2], &[0, 1, 2]] {
        let database = Subject::new(harness).await;
        let mut history = vec![database.states().await];
        for number in 0..8_i64 {
            let keys = (0..3).map(|at| 10 * number + at);
            let mut writes: Vec<_> =
                keys.map(|key| insert("notes", key, record! { "n" => 0 })).collect();
            if number == 6 {
                writes.extend(moved.iter().map(|at| set("notes", 30 + at, "n", 1)));
            }
            database.write(writes).await;
            history.push(database.states().await);
        }
        for records in 1..=13 {
            let steps = steps(&database, ChangesLimit { records, bytes: usize::MAX }).await;
            let (mut told, mut whole) = (Vec::new(), true);
            for step in &steps {
                told.extend(step.operations.clone());
                whole &= !step.left_out;
                if whole || !step.more {
                    let head = usize::try_from(step.through.0).expect("a small seq");
                    let told = fold(&told);
                    assert_eq!(told, history[head], "{records} records a step, {moved:?}");
                }
                assert!(step.more || !step.left_out, "at the end nothing is left out: {step:?}");
            }
        }
    }
}

/// Where no record changed twice nothing is left out, however small the steps are: so a
/// first sync needn't be kept back until its end.
pub async fn a_feed_of_new_records_leaves_nothing_out<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    for number in 0..9_i64 {
        let keys = (0..=number % 3).map(|at| 10 * number + at);
        database.write(keys.map(|key| insert("notes", key, record! {})).collect::<Vec<_>>()).await;
    }
    for records in 1..=7 {
        let steps = steps(&database, ChangesLimit { records, bytes: usize::MAX }).await;
        assert!(steps.len() > 1, "{records} records a step");
        assert!(steps.iter().all(|step| !step.left_out), "{records} records a step: {steps:?}");
    }
}

/// A delete stays in the feed, so that replicas hear of it.
pub async fn deletes_are_in_the_feed<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let replica = Subject::new(harness).await;
    database.write([insert("notes", 1, record! { "title" => "x" })]).await;
    replica.pull(&database).await;
    assert!(replica.record("notes", 1).await.is_some());
    database.write([delete("notes", 1)]).await;
    let feed = database.whole_feed().await;
    assert!(feed.iter().any(|operation| operation.change == Change::Delete), "{feed:?}");
    replica.pull(&database).await;
    assert_eq!(replica.record("notes", 1).await, None);
    assert_eq!(replica.states().await, database.states().await);
}

/// A feed goes on where it stood when the database is opened again, in the same
/// order.
pub async fn the_feed_survives_reopening<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    for key in 0..5 {
        database.write([insert("notes", key, record! {}), insert("other", key, record! {})]).await;
    }
    database.write([delete("notes", 1), set("notes", 0, "n", 1)]).await;
    let limit = ChangesLimit { records: 1, bytes: usize::MAX };
    let before = steps(&database, limit).await;
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_eq!(steps(&database, limit).await, before);
}

async fn steps<H: Harness>(database: &Subject<'_, H>, limit: ChangesLimit) -> Vec<ChangeSet> {
    let mut steps: Vec<ChangeSet> = Vec::new();
    loop {
        let after = steps.last().map_or(Seq::ZERO, |step| step.through);
        let step = database.changes(after, limit).await.expect("changes can be read");
        assert!(step.through > after, "a step goes on from {after}: {step:?}");
        let more = step.more;
        steps.push(step);
        if !more {
            return steps;
        }
    }
}

/// The records that operations are of, in their order, each once.
fn keys(operations: &[Operation]) -> Vec<RecordKey> {
    let mut keys: Vec<_> = operations.iter().map(|operation| operation.key.clone()).collect();
    keys.dedup();
    keys
}
