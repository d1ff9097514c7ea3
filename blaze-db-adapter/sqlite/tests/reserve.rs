//! Room that is made ahead at the end of the log.

mod common;

use blaze_codec::Value;
use blaze_db_adapter::{DatabaseAdapter, Durability};
use blaze_db_adapter_sqlite::{SqliteDatabase, SqliteOptions};
use common::{Place, put, value};

const COMMITS: i64 = 200;
const ROOM_BYTES: u64 = 4 * 1024 * 1024;

async fn open(place: &Place, durability: Durability) -> SqliteDatabase {
    SqliteOptions::new(place.file()).durability(durability).open().await.unwrap()
}

fn log_bytes(place: &Place) -> u64 {
    let log = std::fs::metadata(format!("{}-wal", place.file().display()));
    log.map_or(0, |log| log.len())
}

async fn commit_singly(database: &SqliteDatabase) {
    for key in 0..COMMITS {
        database.commit(vec![put(key, key)]).await.unwrap();
    }
}

async fn check(database: &SqliteDatabase) {
    for key in 0..COMMITS {
        assert_eq!(value(database, key).await, Some(Value::Int(key)), "record {key}");
    }
}

/// What a disk without room for it would not show.
fn has_room(place: &Place) -> bool {
    let disk = rustix::fs::statvfs(place.file().parent().unwrap()).unwrap();
    disk.f_bavail * disk.f_frsize > 1 << 30
}

#[tokio::test]
async fn a_log_with_room_ahead_is_read_as_it_is() {
    let place = Place::new();
    let database = open(&place, Durability::Disk).await;
    commit_singly(&database).await;
    check(&database).await;
    // The room is made behind the commits' backs, at the latest before the next.
    database.commit(vec![put(0, 0)]).await.unwrap();
    let with_room = log_bytes(&place);
    assert!(with_room > ROOM_BYTES || !has_room(&place), "a log of {with_room} bytes");
    // Not closed, as if it had crashed.
    drop(database);
    let database = open(&place, Durability::Disk).await;
    check(&database).await;
    let head = database.feed().head();
    database.commit(vec![put(COMMITS, 1)]).await.unwrap();
    assert_eq!(database.feed().head(), head.next());
    drop(database);
    let database = open(&place, Durability::Process).await;
    check(&database).await;
    assert_eq!(value(&database, COMMITS).await, Some(Value::Int(1)));
    database.close().await.unwrap();
    assert_eq!(log_bytes(&place), 0, "what is closed is one file");
    check(&open(&place, Durability::Disk).await).await;
}

#[tokio::test]
async fn room_is_not_made_where_nothing_waits_for_the_disk_or_little_is_committed() {
    let (place, quiet) = (Place::new(), Place::new());
    let database = open(&place, Durability::Process).await;
    commit_singly(&database).await;
    let seldom = open(&quiet, Durability::Disk).await;
    for key in 0..3 {
        seldom.commit(vec![put(key, key)]).await.unwrap();
    }
    for (database, place) in [(database, place), (seldom, quiet)] {
        assert!((1..ROOM_BYTES).contains(&log_bytes(&place)), "{} bytes", log_bytes(&place));
        drop(database);
    }
}
