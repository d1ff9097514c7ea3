//! Copies of a file are replicas of their own, and a file that was only moved isn't.

mod common;

use std::path::Path;

use blaze_codec::Seq;
use blaze_db_adapter::{DatabaseAdapter, Identity};
use blaze_db_adapter_sqlite::{SqliteDatabase, SqliteOptions};
use common::{Place, put, value};

async fn open(path: &Path) -> SqliteDatabase {
    SqliteOptions::new(path).password("p").open().await.unwrap()
}

/// A closed database with a record.
async fn made(path: &Path) -> Identity {
    let database = open(path).await;
    database.commit(vec![put(1, 1)]).await.unwrap();
    database.close().await.unwrap();
    database.identity()
}

fn lock(path: &Path) -> std::path::PathBuf {
    format!("{}.lock", path.display()).into()
}

#[tokio::test]
async fn a_copy_takes_an_id_of_its_own_and_keeps_everything_else() {
    for with_lock in [false, true] {
        let (place, elsewhere) = (Place::new(), Place::new());
        let original = made(&place.file()).await;
        std::fs::copy(place.file(), elsewhere.file()).unwrap();
        if with_lock {
            std::fs::copy(lock(&place.file()), lock(&elsewhere.file())).unwrap();
        }
        let copy = open(&elsewhere.file()).await;
        let identity = copy.identity();
        assert!(identity.copied && identity.node != original.node);
        assert_eq!(identity.former, [original.node]);
        assert_eq!(value(&copy, 1).await, Some(1.into()));
        let made = copy.commit(vec![put(2, 2)]).await.unwrap();
        assert_eq!(made.operations()[0].version.node, identity.node);
        copy.close().await.unwrap();
        drop(copy);
        // It is told once, and the id stays.
        let again = open(&elsewhere.file()).await.identity();
        assert_eq!(again, Identity { copied: false, ..identity });
        assert_eq!(open(&place.file()).await.identity(), original);
    }
}

#[tokio::test]
async fn a_backup_that_takes_the_place_of_the_file_is_a_copy() {
    let place = Place::new();
    let original = made(&place.file()).await;
    let backup = place.folder().join("backup.db");
    std::fs::copy(place.file(), &backup).unwrap();
    let database = open(&place.file()).await;
    database.commit(vec![put(2, 2)]).await.unwrap();
    let told = database.announce().await.unwrap().place(Seq(2));
    database.close().await.unwrap();
    drop(database);
    std::fs::rename(&backup, place.file()).unwrap();

    let database = open(&place.file()).await;
    assert!(database.identity().copied);
    assert_eq!(database.identity().former, [original.node]);
    database.commit(vec![put(3, 3)]).await.unwrap();
    let history = database.announce().await.unwrap();
    assert!(history.common(told, Seq(2)) <= Seq(1), "seq 2 is another commit now");
}

#[tokio::test]
async fn a_file_that_is_moved_with_its_lock_is_the_same_replica() {
    let place = Place::new();
    let original = made(&place.file()).await;
    let moved = place.folder().join("moved.db");
    std::fs::rename(place.file(), &moved).unwrap();
    std::fs::rename(lock(&place.file()), lock(&moved)).unwrap();
    assert_eq!(open(&moved).await.identity(), original);
}

#[tokio::test]
async fn a_damaged_lock_file_costs_no_more_than_the_id() {
    for text in ["", "12", "12 x y", "\u{1}\u{2}", &"9".repeat(1_000)] {
        let place = Place::new();
        let original = made(&place.file()).await;
        std::fs::write(lock(&place.file()), text).unwrap();
        let database = open(&place.file()).await;
        assert_eq!(database.identity().former, [original.node], "{text:?}");
        assert_eq!(value(&database, 1).await, Some(1.into()));
    }
}

/// Reading changes nothing, so a copy that is only read keeps its id.
#[tokio::test]
async fn a_copy_that_is_only_read_is_left_as_it_is() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let original = made(&place.file()).await;
    std::fs::copy(place.file(), elsewhere.file()).unwrap();
    let options = SqliteOptions::new(elsewhere.file()).password("p").read_only(true);
    assert_eq!(options.open().await.unwrap().identity(), original);
    assert!(!lock(&elsewhere.file()).exists());
}
