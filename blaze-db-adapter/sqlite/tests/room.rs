//! A database that is full refuses, loses nothing, and goes on when there is room.

mod common;

use blaze_codec::Value;
use blaze_db_adapter::{DatabaseAdapter, DatabaseError, Durability};
use blaze_db_adapter_sqlite::SqliteOptions;
use common::{Place, put, value, whole_feed};

const QUOTA: u64 = 256 * 1024;

#[tokio::test]
async fn a_full_database_loses_nothing_and_goes_on() {
    let place = Place::new();
    let options = SqliteOptions::new(place.file()).durability(Durability::Process);
    let database = options.clone().size_bytes_max(QUOTA).open().await.unwrap();
    let text = |key: i64| format!("{key}-{}", "x".repeat(3000));
    let mut stored = 0;
    let error = loop {
        match database.commit(vec![put(stored, text(stored))]).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 200, "the quota holds");
    };
    assert!(matches!(error, DatabaseError::Full), "{error}");
    assert!(stored > 20, "{stored} commits fit in {QUOTA} bytes");
    assert_eq!(database.feed().head().0, stored.cast_unsigned());

    // Concurrent with one that fits nowhere, those that need no page succeed.
    let (large, small) = tokio::join!(
        database.commit(vec![put(999, "x".repeat(1_000_000))]),
        database.commit(vec![put(0, 1)])
    );
    assert!(matches!(large, Err(DatabaseError::Full)));
    assert_eq!(small.expect("the neighbour is committed").seq().0, stored.cast_unsigned() + 1);
    database.close().await.unwrap();
    assert!(std::fs::metadata(place.file()).unwrap().len() <= QUOTA);

    let database = options.size_bytes_max(2 * QUOTA).open().await.unwrap();
    database.commit(vec![put(stored, text(stored))]).await.expect("there is room again");
    for key in 1..=stored {
        assert_eq!(value(&database, key).await, Some(Value::from(text(key))), "{key}");
    }
    assert_eq!(value(&database, 0).await, Some(Value::Int(1)));
    assert_eq!(value(&database, 999).await, None);
    assert_eq!(whole_feed(&database).await.through.0, stored.cast_unsigned() + 2);
}
