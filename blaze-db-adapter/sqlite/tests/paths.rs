//! Paths that lead elsewhere, to something else, or to a file under two names.

mod common;

use std::os::unix::fs::symlink;
use std::time::Duration;

use blaze_codec::Value;
use blaze_db_adapter::{DatabaseAdapter, DatabaseError};
use blaze_db_adapter_sqlite::SqliteOptions;
use common::{Place, put, value};
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// Opens, without waiting for ever, and gives the reason of the refusal.
async fn refusal(options: SqliteOptions) -> String {
    let opened = tokio::time::timeout(Duration::from_secs(20), options.open()).await;
    match opened.expect("it doesn't wait").expect_err("it is refused") {
        DatabaseError::Setting { setting, reason } => format!("{setting}: {reason}"),
        other => panic!("no setting, but {other}"),
    }
}

fn pipe(path: &std::path::Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe can be made");
}

#[tokio::test]
async fn a_link_to_nothing_is_not_replaced() {
    let place = Place::new();
    let target = place.folder().join("unmounted").join("notes.db");
    symlink(&target, place.file()).unwrap();
    let reason = refusal(SqliteOptions::new(place.file())).await;
    assert!(reason.contains(&target.display().to_string()), "{reason}");
    assert!(place.file().is_symlink());
}

#[tokio::test]
async fn a_pipe_is_no_database_and_stops_nobody() {
    let place = Place::new();
    pipe(&place.file());
    let reason = refusal(SqliteOptions::new(place.file())).await;
    assert!(reason.contains("not a regular file"), "{reason}");
    let other = SqliteOptions::new(place.folder().join("other.db")).open();
    tokio::time::timeout(Duration::from_secs(20), other).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_file_of_two_names_is_refused() {
    let place = Place::new();
    let options = SqliteOptions::new(place.file());
    options.clone().open().await.unwrap().close().await.unwrap();
    let second = place.folder().join("second.db");
    std::fs::hard_link(place.file(), &second).unwrap();
    for path in [place.file(), second.clone()] {
        let reason = refusal(SqliteOptions::new(path)).await;
        assert!(reason.contains("one of 2 names"), "{reason}");
    }
    std::fs::remove_file(second).unwrap();
    options.open().await.unwrap();
}

#[tokio::test]
async fn a_lock_file_that_leads_elsewhere_is_refused_and_nothing_truncated() {
    type Setup = fn(&Place, &std::path::Path);
    let cases: [(Setup, &str); 4] = [
        (|place, lock| symlink(place.folder().join("precious"), lock).unwrap(), "symbolic link"),
        (|place, lock| std::fs::hard_link(place.folder().join("precious"), lock).unwrap(), "names"),
        (|_, lock| pipe(lock), "not a regular file"),
        (|_, lock| std::fs::create_dir(lock).unwrap(), "director"),
    ];
    for (setup, expected) in cases {
        let place = Place::new();
        let precious = place.folder().join("precious");
        std::fs::write(&precious, "precious").unwrap();
        setup(&place, &place.folder().join("test.db.lock"));
        let reason = refusal(SqliteOptions::new(place.file())).await;
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(std::fs::read(precious).unwrap(), b"precious");
        assert!(!place.file().exists());
    }
}

/// A backup of another kind of file, put in place after the database was closed but
/// while its handle is still there.
#[tokio::test]
async fn a_backup_can_be_restored_after_closing() {
    let place = Place::new();
    let backup = Place::new();
    let encrypted = SqliteOptions::new(backup.file()).password("p").open().await.unwrap();
    encrypted.commit(vec![put(1, "restored")]).await.unwrap();
    encrypted.close().await.unwrap();
    let closed = SqliteOptions::new(place.file()).open().await.unwrap();
    closed.close().await.unwrap();
    // In place, so that the inode stays.
    std::fs::write(place.file(), std::fs::read(backup.file()).unwrap()).unwrap();
    let database = SqliteOptions::new(place.file()).password("p").open().await.unwrap();
    assert_eq!(value(&database, 1).await, Some(Value::from("restored")));
    database.close().await.unwrap();
    drop(closed);
}

/// A file that takes another's name while that is still open is looked at anew.
#[tokio::test]
async fn a_file_moved_into_place_is_not_taken_for_the_one_before() {
    let place = Place::new();
    let backup = place.folder().join("backup.db");
    SqliteOptions::new(&backup).password("p").open().await.unwrap().close().await.unwrap();
    let reading = SqliteOptions::new(place.file());
    reading.clone().open().await.unwrap().close().await.unwrap();
    let reading = reading.read_only(true).open().await.unwrap();
    std::fs::rename(backup, place.file()).unwrap();
    let error = SqliteOptions::new(place.file()).read_only(true).open().await.unwrap_err();
    assert!(matches!(error, DatabaseError::PasswordRequired { .. }), "{error}");
    reading.close().await.unwrap();
}
