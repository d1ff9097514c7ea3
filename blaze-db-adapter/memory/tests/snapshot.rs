//! A snapshot holds what was committed before it, and nothing else.

use blaze_codec::{Incarnation, Name, RecordKey, Seq, record};
use blaze_db_adapter::{ChangesLimit, DatabaseAdapter, WallClock, Write, WriteKind};
use blaze_db_adapter_memory::MemoryDatabase;

async fn insert(database: &MemoryDatabase, key: i64) {
    let kind = WriteKind::Insert(record! { "n" => key });
    let write = Write { collection: Name::new("notes").unwrap(), key: RecordKey::Int(key), kind };
    database.commit(vec![write]).await.unwrap();
}

#[tokio::test]
async fn what_came_later_is_not_in_it() {
    let database = MemoryDatabase::new();
    insert(&database, 1).await;
    database.announce().await.unwrap();
    let snapshot = database.snapshot();
    insert(&database, 2).await;
    database.close().await.unwrap();

    let restored = snapshot.open(Incarnation(2), WallClock::system());
    assert_eq!(restored.identity(), database.identity());
    let history = restored.announce().await.unwrap();
    assert_eq!((history.latest(), history.spans().len()), (Incarnation(2), 2));
    assert_eq!((snapshot.head(), restored.feed().head()), (Seq(1), Seq(1)));
    let limit = ChangesLimit { records: 10, bytes: 1_000 };
    assert_eq!(restored.changes(Seq::ZERO, limit).await.unwrap().operations.len(), 1);
    // It goes on from there, and the snapshot stays as it was.
    insert(&restored, 3).await;
    assert_eq!(restored.feed().head(), Seq(2));
    assert_eq!(snapshot.open(Incarnation(3), WallClock::system()).feed().head(), Seq(1));
}
