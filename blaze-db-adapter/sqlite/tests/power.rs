//! A power cut, as the file shows it afterwards: a feed that lost seqs which it had
//! handed out gets a new incarnation, any other keeps its own.

mod common;

use blaze_codec::Incarnation;
use blaze_db_adapter::{DatabaseAdapter, Durability};
use blaze_db_adapter_sqlite::{SqliteDatabase, SqliteOptions};
use common::{Place, put};
use rusqlite::{Connection, OptionalExtension};

async fn open(place: &Place, durability: Durability) -> SqliteDatabase {
    SqliteOptions::new(place.file()).durability(durability).open().await.unwrap()
}

fn incarnation(database: &SqliteDatabase) -> Incarnation {
    database.identity().incarnation
}

fn mark(place: &Place) -> Option<String> {
    let conn = Connection::open(place.file()).unwrap();
    let select = "SELECT value FROM meta WHERE name = 'boot'";
    conn.query_row(select, [], |row| row.get(0)).optional().unwrap()
}

/// Ends a life at durability `Process` as a power cut would, after a checkpoint and
/// three commits of which the log is lost. Gives the incarnation.
async fn cut(place: &Place) -> Incarnation {
    let database = open(place, Durability::Process).await;
    let before = incarnation(&database);
    database.commit(vec![put(1, 1)]).await.unwrap();
    let conn = Connection::open(place.file()).unwrap();
    conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    for key in 2..5 {
        database.commit(vec![put(key, key)]).await.unwrap();
    }
    drop(conn);
    drop(database);
    let log = format!("{}-wal", place.file().display());
    std::fs::write(log, []).unwrap();
    let conn = Connection::open(place.file()).unwrap();
    let update = "UPDATE meta SET value = 'another run of the machine' WHERE name = 'boot'";
    assert_eq!(conn.execute(update, []).unwrap(), 1, "the file is marked while it is open");
    before
}

#[tokio::test]
async fn a_power_cut_starts_a_new_incarnation() {
    for durability in [Durability::Process, Durability::Disk] {
        let place = Place::new();
        let before = cut(&place).await;
        let database = open(&place, durability).await;
        assert_eq!(database.feed().head().0, 1, "commits were lost");
        let drawn = incarnation(&database);
        assert_ne!(drawn, before, "at {durability}");
        database.commit(vec![put(9, 9)]).await.unwrap();
        database.close().await.unwrap();
        assert_eq!(mark(&place), None, "at {durability}");
        assert_eq!(incarnation(&open(&place, durability).await), drawn, "it is kept");
    }
}

#[tokio::test]
async fn only_process_durability_marks_the_file() {
    let place = Place::new();
    let database = open(&place, Durability::Disk).await;
    assert_eq!(mark(&place), None);
    database.close().await.unwrap();
    let database = open(&place, Durability::Process).await;
    let boot = mark(&place).expect("it is marked");
    drop(database);
    assert_eq!(mark(&place), Some(boot), "it was not closed");
    // What is opened for reading only changes nothing.
    let reading = SqliteOptions::new(place.file()).read_only(true).open().await.unwrap();
    reading.close().await.unwrap();
    assert!(mark(&place).is_some());
    open(&place, Durability::Disk).await;
    assert_eq!(mark(&place), None, "what was unsynced is synced");
}

#[tokio::test]
async fn the_end_of_the_process_alone_keeps_the_incarnation() {
    let place = Place::new();
    let database = open(&place, Durability::Process).await;
    let before = incarnation(&database);
    database.commit(vec![put(1, 1)]).await.unwrap();
    drop(database);
    if mark(&place).is_some_and(|boot| boot.is_empty()) {
        return; // This system can't tell its runs apart.
    }
    for durability in [Durability::Process, Durability::Disk] {
        assert_eq!(incarnation(&open(&place, durability).await), before);
    }
}

#[tokio::test]
async fn a_mark_that_tells_nothing_counts_as_another_run() {
    for damaged in ["''", "17", "x'00'"] {
        let place = Place::new();
        let database = open(&place, Durability::Process).await;
        let before = incarnation(&database);
        drop(database);
        let conn = Connection::open(place.file()).unwrap();
        let update = format!("UPDATE meta SET value = {damaged} WHERE name = 'boot'");
        assert_eq!(conn.execute(&update, []).unwrap(), 1);
        drop(conn);
        assert_ne!(incarnation(&open(&place, Durability::Process).await), before, "{damaged}");
    }
}
