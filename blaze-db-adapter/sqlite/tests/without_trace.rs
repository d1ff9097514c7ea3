//! Looking at a database leaves its folder as it was, to the byte.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use blaze_codec::Value;
use blaze_db_adapter::{DatabaseAdapter, DatabaseError};
use blaze_db_adapter_sqlite::SqliteOptions;
use common::{Place, put, value};
use rusqlite::Connection;

/// Every file, with its bytes and when it was written.
fn all(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let modified = path.metadata().unwrap().modified().unwrap();
        (path.clone(), (std::fs::read(&path).unwrap(), modified))
    };
    paths.map(read).collect()
}

/// Looks at the database, and sees that nothing else is there afterwards.
async fn look(options: &SqliteOptions, folder: &Path) -> Result<Option<Value>, DatabaseError> {
    let before = all(folder);
    let seen = match options.clone().without_trace(true).open().await {
        Ok(database) => {
            let refused = database.commit(vec![put(1, 0)]).await.expect_err("it only reads");
            assert!(matches!(refused, DatabaseError::ReadOnly { .. }), "{refused}");
            let seen = value(&database, 1).await;
            assert!(all(folder) == before, "something changed while it was open");
            database.close().await.unwrap();
            Ok(seen)
        }
        Err(error) => Err(error),
    };
    assert!(all(folder) == before, "something changed");
    seen
}

#[tokio::test]
async fn a_database_is_read_whether_it_is_closed_open_or_was_killed() {
    for password in [None, Some("p")] {
        let (place, elsewhere) = (Place::new(), Place::new());
        let with_password = |options: SqliteOptions| match password {
            Some(password) => options.password(password),
            None => options,
        };
        let options = with_password(SqliteOptions::new(place.file()));
        let database = options.clone().open().await.unwrap();
        database.commit(vec![put(1, 1)]).await.unwrap();
        // The index is this process's to change, as it is the one that writes.
        let before = place.files();
        let beside = options.clone().without_trace(true).open().await.unwrap();
        assert_eq!(value(&beside, 1).await, Some(Value::Int(1)));
        beside.close().await.unwrap();
        assert!(place.files() == before);

        // What a kill leaves: the files as they are, under no process's locks.
        for (path, (bytes, _)) in all(place.folder()) {
            std::fs::write(elsewhere.folder().join(path.file_name().unwrap()), bytes).unwrap();
        }
        let killed = with_password(SqliteOptions::new(elsewhere.file()));
        assert_eq!(look(&killed, elsewhere.folder()).await.unwrap(), Some(Value::Int(1)));

        // Its commits are in the log alone.
        std::fs::remove_file(format!("{}-shm", elsewhere.file().display())).unwrap();
        let DatabaseError::Setting { setting, reason } =
            look(&killed, elsewhere.folder()).await.expect_err("the index would have to be made")
        else {
            panic!("another error")
        };
        assert_eq!(setting, "the log");
        assert!(reason.contains("test.db-wal has ") && reason.contains("-shm"), "{reason}");

        database.close().await.unwrap();
        assert!(!place.folder().join("test.db-wal").exists());
        assert_eq!(look(&options, place.folder()).await.unwrap(), Some(Value::Int(1)));
    }
}

#[tokio::test]
async fn half_of_a_transaction_is_not_read() {
    let (place, left) = (Place::new(), Place::new());
    let database = SqliteOptions::new(place.file()).open().await.unwrap();
    database.commit(vec![put(1, 1)]).await.unwrap();
    database.close().await.unwrap();
    let conn = Connection::open(place.file()).unwrap();
    let mode = conn.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0));
    assert_eq!(mode, Ok("delete".to_owned()));
    conn.execute_batch("BEGIN IMMEDIATE; DROP TABLE records").unwrap();
    conn.cache_flush().unwrap();
    for (path, (bytes, _)) in all(place.folder()) {
        std::fs::write(left.folder().join(path.file_name().unwrap()), bytes).unwrap();
    }

    let options = SqliteOptions::new(left.file());
    let error = look(&options, left.folder()).await.expect_err("it can't be undone");
    let DatabaseError::Setting { setting, reason } = error else { panic!("another: {error}") };
    assert_eq!(setting, "the journal");
    assert!(reason.contains("test.db-journal has "), "{reason}");
    assert!(reason.ends_with("; open the database once to write it"), "{reason}");

    options.clone().open().await.unwrap().close().await.unwrap();
    let seen = look(&options, left.folder()).await.unwrap();
    assert_eq!(seen, Some(Value::Int(1)));
}

#[tokio::test]
async fn nothing_is_made_where_there_is_no_database() {
    let place = Place::new();
    look(&SqliteOptions::new(place.file()), place.folder()).await.expect_err("there is none");
    assert!(all(place.folder()).is_empty());
}
