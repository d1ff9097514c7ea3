//! A power cut, and a backup that is put back, as the file shows them: what is
//! committed afterwards is never taken for what was lost.

mod common;

use blaze_codec::{Checkpoint, Seq};
use blaze_db_adapter::{DatabaseAdapter, Durability};
use blaze_db_adapter_sqlite::{SqliteDatabase, SqliteOptions};
use common::{Place, put};
use rusqlite::Connection;

async fn open(place: &Place, durability: Durability) -> SqliteDatabase {
    SqliteOptions::new(place.file()).durability(durability).open().await.unwrap()
}

async fn reached(database: &SqliteDatabase) -> Checkpoint {
    database.announce().await.unwrap().place(database.feed().head())
}

/// Commits once, and three times more what is lost with the log; gives the place in
/// the feed that a peer was told.
async fn cut(place: &Place) -> Checkpoint {
    let database = open(place, Durability::Process).await;
    database.commit(vec![put(1, 1)]).await.unwrap();
    let conn = Connection::open(place.file()).unwrap();
    conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    for key in 2..5 {
        database.commit(vec![put(key, key)]).await.unwrap();
    }
    let told = reached(&database).await;
    drop(conn);
    drop(database);
    std::fs::write(format!("{}-wal", place.file().display()), []).unwrap();
    told
}

#[tokio::test]
async fn seqs_that_a_power_cut_took_back_are_not_taken_for_those_that_come_anew() {
    for durability in [Durability::Process, Durability::Disk] {
        let place = Place::new();
        let told = cut(&place).await;
        let database = open(&place, durability).await;
        assert_eq!((told.seq, database.feed().head()), (Seq(4), Seq(1)), "commits were lost");
        for key in 6..16 {
            database.commit(vec![put(key, key)]).await.unwrap();
        }
        let history = database.announce().await.unwrap();
        let head = database.feed().head();
        assert!(head > told.seq && history.common(told, head) <= Seq(1), "at {durability}");
        // And again, by an opening that commits nothing.
        drop(database);
        let history = open(&place, durability).await.announce().await.unwrap();
        assert!(history.common(told, head) <= Seq(1), "at {durability}");
    }
}

/// The same file with other bytes, so that nothing beside it shows the difference.
#[tokio::test]
async fn a_backup_written_over_the_file_goes_on_under_another_incarnation() {
    let place = Place::new();
    let database = open(&place, Durability::Disk).await;
    database.commit(vec![put(1, 1)]).await.unwrap();
    let before = reached(&database).await;
    database.close().await.unwrap();
    let backup = std::fs::read(place.file()).unwrap();
    let database = open(&place, Durability::Disk).await;
    database.commit(vec![put(2, 2)]).await.unwrap();
    let told = reached(&database).await;
    let identity = database.identity();
    database.close().await.unwrap();
    std::fs::write(place.file(), backup).unwrap();

    let database = open(&place, Durability::Disk).await;
    assert_eq!(database.identity(), identity, "it is the same file");
    database.commit(vec![put(3, 3)]).await.unwrap();
    let history = database.announce().await.unwrap();
    assert!(history.common(told, Seq(2)) <= Seq(1), "seq 2 is another commit now");
    assert!(history.covers(before, Seq(2)), "what the backup holds is as it was");
}
