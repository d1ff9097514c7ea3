//! An observer that has to read back sees each record whole.

use std::sync::Arc;

use blaze_codec::{Change, Incarnation, Name, RecordKey, Seq, record};
use blaze_db_adapter::{DatabaseAdapter, Observer, WallClock, Write, WriteKind};
use blaze_db_adapter_memory::MemoryDatabase;

#[tokio::test]
async fn a_record_that_changed_again_meanwhile_is_seen_whole() {
    let name = |text| Name::new(text).unwrap();
    let write = |key, kind| Write { collection: name("notes"), key: RecordKey::Int(key), kind };
    let before = MemoryDatabase::new();
    let first = WriteKind::Insert(record! { "title" => "a", "kept" => true });
    before.commit(vec![write(1, first)]).await.unwrap();
    // More than an observer reads at once.
    let much = WriteKind::Insert(record! { "text" => "x".repeat(2 * 1024 * 1024) });
    before.commit(vec![write(2, much)]).await.unwrap();
    let database = Arc::new(before.snapshot().open(Incarnation(2), WallClock::system()));
    let again = WriteKind::Update([(name("title"), Some("b".into()))].into());
    database.commit(vec![write(1, again)]).await.unwrap();

    let mut observer = Observer::after(database, None, Seq::ZERO);
    let seen = [observer.next().await.unwrap(), observer.next().await.unwrap()];
    assert_eq!(seen[0].key, RecordKey::Int(2));
    assert_eq!(seen[1].key, RecordKey::Int(1));
    assert_eq!(seen[1].change, Change::Insert(record! { "kept" => true }));
}
