//! Records that a peer withdraws, as this replica may not see them any more.

use blaze_codec::{Change, Operation, Seq, Value, Version, record};
use blaze_db_adapter::{Incoming, Withdrawn};

use super::peers::purge;
use super::scope::{committed, incoming, merge, note, operation};
use crate::subject::{Subject, UNLIMITED, delete, insert, name, peer, set};
use crate::{Harness, Settings};

/// A record that is withdrawn is gone from all that is read, isn't deleted, and is in the feed
/// as a withdrawal. It is told with what was written here. What didn't exist is told by nobody,
/// but is withdrawn, too, also if it never was heard of; what is withdrawn already stays as it is.
pub async fn what_is_withdrawn_is_gone_and_not_deleted<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([1, 2].map(|key| insert("notes", key, note("anna", "hers")))).await;
    database.write([set("notes", 1, "color", "red"), delete("notes", 2)]).await;
    database.write([insert("tags", 3, record! {})]).await;
    let merged = merge(&database, withdrawing([1, 2, 9])).await;
    let known = record! { "owner" => "anna", "text" => "hers", "color" => "red" };
    let (collection, key) = (name("notes"), 1.into());
    assert_eq!(merged.withdrawn, [Withdrawn { collection, key, record: known }]);
    let committed = merged.committed.expect("it changed something");
    assert_eq!(committed.operations(), [1, 2, 9].map(withdrawal));
    assert_eq!(committed.seq(), Seq(4));
    assert_gone(&database).await;
    // Once is enough.
    let again = merge(&database, withdrawing([1, 2, 9])).await;
    assert!(again.committed.is_none() && again.withdrawn.is_empty(), "{again:?}");
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_gone(&database).await;
    let again = merge(&database, withdrawing([1, 2, 9])).await;
    assert!(again.committed.is_none() && again.withdrawn.is_empty(), "{again:?}");
}

async fn assert_gone<H: Harness>(database: &Subject<'_, H>) {
    assert_eq!(database.record("notes", 1).await, None);
    assert_eq!(database.all("notes").await, []);
    let collections = database.collections().await.expect("collections can be listed");
    let names: Vec<_> = collections.into_iter().map(|it| (it.name, it.records)).collect();
    assert_eq!(names, [(name("tags"), 1)]);
    let told = database.changes(Seq(3), UNLIMITED).await.expect("changes can be read");
    assert_eq!((told.operations, told.through), ([1, 2, 9].map(withdrawal).to_vec(), Seq(4)));
    let roll = database.roll(Seq::ZERO, Seq(4), usize::MAX).await.expect("a roll can be read");
    assert_eq!(roll.operations.len(), 1, "it names what exists: {roll:?}");
}

/// Who doesn't limit what is seen of its own can't withdraw anything. Who does and is limited
/// itself may withdraw only what it may see here.
pub async fn not_everybody_may_withdraw<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, note("ben", "his"))]).await;
    database.write([insert("notes", 2, note("anna", "hers"))]).await;
    let feed = database.whole_feed().await;
    let merged = merge(&database, Incoming { withdraws: false, ..withdrawing([1, 9]) }).await;
    assert!(merged.committed.is_none() && merged.withdrawn.is_empty(), "{merged:?}");
    assert_eq!(database.whole_feed().await, feed);
    let withdrawn = Incoming { withdraws: true, ..incoming(vec![withdrawal(1), withdrawal(2)]) };
    let merged = merge(&database, withdrawn).await;
    assert!(merged.refused.is_empty(), "it has nothing that it may not: {merged:?}");
    assert_eq!(committed(&merged).operations(), [withdrawal(2)]);
    let (collection, key, record) = (name("notes"), 2.into(), note("anna", "hers"));
    assert_eq!(merged.withdrawn, [Withdrawn { collection, key, record }]);
    assert_eq!(database.whole_feed().await, [feed[0].clone(), withdrawal(2)]);
}

/// A withdrawn record is never purged, and no roll buries it, whatever fields of it came since:
/// both would tell others that it was deleted.
pub async fn what_is_withdrawn_is_not_taken_for_deleted<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([1, 2, 3].map(|key| insert("notes", key, note("anna", "hers")))).await;
    let named = database.roll(Seq::ZERO, Seq(1), usize::MAX).await.expect("a roll can be read");
    merge(&database, withdrawing([1, 2])).await;
    database.write([delete("notes", 3)]).await;
    assert_eq!(purge(&database, 0).await.0, 1, "the deleted one only");
    assert_eq!(database.whole_feed().await, [1, 2].map(withdrawal));
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_eq!(purge(&database, 0).await.0, 0);
    assert_eq!(database.whole_feed().await, [1, 2].map(withdrawal));
    merge(&database, withdrawing([8])).await;
    let never = Operation { key: 8.into(), ..named.operations[0].clone() };
    let operations = [&named.operations[..2], &[never]].concat();
    let roll = Incoming { peer: peer(1), operations, roll: true, ..Incoming::default() };
    let merged = merge(&database, roll.clone()).await;
    assert!(merged.committed.is_none() && merged.withdrawn.is_empty(), "{merged:?}");
    assert_eq!(database.whole_feed().await, [1, 2, 8].map(withdrawal));
    // As one of the latest fields would say that is named, and isn't known.
    let field = Change::Update(vec![(name("text"), Some(Value::from("waits")))]);
    let waiting = operation(2, 5, field);
    database.take(peer(1), 1, std::slice::from_ref(&waiting)).await;
    let Some(database) = database.reopen(Settings::default()).await else { return };
    let merged = merge(&database, roll).await;
    assert!(merged.committed.is_none(), "{merged:?}");
    assert_eq!(database.whole_feed().await, [withdrawal(1), withdrawal(8), waiting]);
}

/// What comes of a withdrawn record is merged as if nothing had been known of it, and an insert
/// here takes its key; then it can be withdrawn anew.
pub async fn what_was_withdrawn_comes_back<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([1, 2, 3].map(|key| insert("notes", key, note("anna", "hers")))).await;
    merge(&database, withdrawing([1, 2, 3])).await;
    // Older than what was withdrawn, and a part of a record.
    let born = operation(1, 5, Change::Insert(note("anna", "older")));
    let field = Change::Update(vec![(name("text"), Some(Value::from("waits")))]);
    let waiting = operation(2, 5, field);
    let merged = database.take(peer(1), 1, &[born.clone(), waiting.clone()]).await;
    assert!(merged.conflicts.is_empty(), "{merged:?}");
    let committed = merged.committed.expect("it changed something");
    assert_eq!(committed.operations(), [born.clone(), waiting.clone()]);
    assert_eq!(database.record("notes", 1).await, Some(note("anna", "older")));
    database.write([insert("notes", 3, note("anna", "new"))]).await;
    let states = database.states().await;
    assert_eq!(states[&(name("notes"), 1.into())].operations(&name("notes"), &1.into()), [born]);
    assert_eq!(states[&(name("notes"), 2.into())].operations(&name("notes"), &2.into()), [waiting]);
    let merged = merge(&database, withdrawing([1, 2, 3])).await;
    let told: Vec<_> = merged.withdrawn.into_iter().map(|it| (it.key, it.record)).collect();
    assert_eq!(told, [(1.into(), note("anna", "older")), (3.into(), note("anna", "new"))]);
    assert_eq!(database.all("notes").await, []);
}

fn withdrawal(key: i64) -> Operation {
    Operation::withdrawal(name("notes"), key.into())
}

/// What a peer sends that limits this replica to a scope.
fn withdrawing<const N: usize>(keys: [i64; N]) -> Incoming {
    let operations: Vec<_> = keys.map(withdrawal).into();
    assert!(operations.iter().all(|operation| operation.version > Version::ZERO));
    Incoming { peer: peer(1), operations, withdraws: true, ..Incoming::default() }
}
