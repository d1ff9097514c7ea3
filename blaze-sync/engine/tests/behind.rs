//! Reading back: what a session left out for it had changed again comes whole later.

mod common;

use blaze_codec::{Incarnation, Mode, Name, RecordKey, Seq, record};
use blaze_db_adapter::{ChangesLimit, DatabaseAdapter, Incoming, WallClock, Write, WriteKind};
use blaze_db_adapter_memory::MemoryDatabase;
use blaze_transport_memory::MemoryTransport;
use common::{connect, listen, node, reach, records, with_database};

/// A database in which a record changed again after much else, as it is when the process
/// has just started: only the record's last change is at hand without reading back.
async fn changed_again_after_much_else() -> MemoryDatabase {
    let name = |text| Name::new(text).unwrap();
    let write = |key, kind| Write { collection: name("numbers"), key: RecordKey::Int(key), kind };
    let before = MemoryDatabase::new();
    let first = WriteKind::Insert(record! { "value" => 1, "kept" => true });
    before.commit(vec![write(1, first)]).await.unwrap();
    let much = WriteKind::Insert(record! { "text" => "x".repeat(600 * 1024) });
    before.commit(vec![write(2, much)]).await.unwrap();
    let database = before.snapshot().open(Incarnation(2), WallClock::system());
    let again = WriteKind::Update([(name("value"), Some(2.into()))].into());
    database.commit(vec![write(1, again)]).await.unwrap();
    database
}

#[tokio::test]
async fn what_is_left_out_when_reading_back_comes_whole_later() {
    let (a, transport) =
        (with_database("a", changed_again_after_much_else().await), MemoryTransport::new());
    listen(&a, &transport, "a").await;
    let b = node("b");
    connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    reach(&b, 2).await;
    assert_eq!(records(&a).await, records(&b).await);
}

#[tokio::test]
async fn what_was_left_out_in_an_earlier_session_comes_whole_in_the_next() {
    let (database, transport) = (changed_again_after_much_else().await, MemoryTransport::new());
    let identity = database.identity();
    let b = node("b");
    let checkpoint = Some(database.announce().await.unwrap().place(Seq(2)));
    let limit = ChangesLimit { records: 1, bytes: 1 };
    let operations = database.changes(Seq::ZERO, limit).await.unwrap().operations;
    b.database()
        .merge(Incoming { peer: identity.node, checkpoint, roots: vec![], operations })
        .await
        .unwrap();

    let a = with_database("a", database);
    listen(&a, &transport, "a").await;
    connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    reach(&b, 2).await;
    assert_eq!(records(&a).await, records(&b).await);
}
