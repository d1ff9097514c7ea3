//! The clock never goes back.

use std::sync::Arc;

use blaze_codec::{Change, Hlc, Operation, Role, Value, Version, record};
use blaze_db_adapter::Committed;

use crate::subject::{Subject, insert, name, peer, set};
use crate::{Harness, TestClock};

/// Versions follow the wall clock, and ascend when it stands or goes back.
pub async fn versions_ascend_when_the_wall_clock_does_not<H: Harness>(harness: &H) {
    let clock = TestClock::new(10_000);
    let database = Subject::with(harness, clock.settings(Role::Client)).await;
    let mut last = stamp(&database.write([insert("notes", 0, record! {})]).await);
    assert_eq!(last.millis(), 10_000, "the database asks the clock it was given");
    for (key, now) in (1..).zip([10_000, 9_000, 0, 10_000]) {
        clock.set(now);
        let next = stamp(&database.write([insert("notes", key, record! {})]).await);
        assert!(next > last, "{next:?} at {now} ms follows {last:?}");
        last = next;
    }
    clock.set(20_000);
    let next = stamp(&database.write([insert("notes", 9, record! {})]).await);
    assert_eq!(next.millis(), 20_000);
}

/// A commit after a merge has a version above everything merged, also above what
/// changed nothing.
pub async fn the_clock_passes_what_was_merged<H: Harness>(harness: &H) {
    let clock = TestClock::new(10_000);
    let database = Subject::with(harness, clock.settings(Role::Client)).await;
    let wins = update(Hlc::from_millis(50_000), Hlc::from_millis(50_000));
    database.take(peer(1), 1, &[wins]).await;
    let next = stamp(&database.write([insert("other", 1, record! {})]).await);
    assert!(next > Hlc::from_millis(50_000), "{next:?} is above what was merged");
    // Without a server's epoch it loses, but its time was seen.
    let loses = update(Hlc::ZERO, Hlc::from_millis(60_000));
    assert!(database.take(peer(1), 2, &[loses]).await.committed.is_none());
    let next = stamp(&database.write([insert("other", 2, record! {})]).await);
    assert!(next > Hlc::from_millis(60_000), "{next:?} is above what was merged");
}

/// Opened again with a wall clock that went back, a database stamps above what it
/// committed and merged before.
pub async fn the_clock_survives_reopening<H: Harness>(harness: &H) {
    let clock = TestClock::new(10_000);
    let database = Subject::with(harness, clock.settings(Role::Client)).await;
    let last = stamp(&database.write([insert("notes", 1, record! {})]).await);
    clock.set(5_000);
    let reopened = database.reopen(clock.settings(Role::Client)).await;
    let Some(database) = reopened else { return };
    let next = stamp(&database.write([set("notes", 1, "n", 1)]).await);
    assert!(next > last, "{next:?} follows {last:?}");

    let merged = update(Hlc::ZERO, Hlc::from_millis(70_000));
    database.take(peer(1), 1, &[merged]).await;
    let database = database.reopen(clock.settings(Role::Client)).await.expect("it did before");
    let next = stamp(&database.write([set("notes", 1, "n", 2)]).await);
    assert!(next > Hlc::from_millis(70_000), "{next:?} is above what was merged");
}

fn update(epoch: Hlc, hlc: Hlc) -> Operation {
    let version = Version { epoch, hlc, node: peer(200) };
    let change = Change::Update(vec![(name("a"), Some(Value::Int(1)))]);
    Operation { collection: name("notes"), key: 7.into(), version, base: Version::ZERO, change }
}

fn stamp(committed: &Arc<Committed>) -> Hlc {
    let [operation] = committed.operations() else { panic!("one operation: {committed:?}") };
    operation.version.hlc
}
