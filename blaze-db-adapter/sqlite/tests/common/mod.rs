//! What the tests share: writes, folders, and what is in a database.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::path::{Path, PathBuf};

use blaze_codec::{Name, RecordKey, Value, record};
use blaze_db_adapter::{ChangeSet, ChangesLimit, DatabaseAdapter, Write, WriteKind};
use blaze_db_adapter_sqlite::SqliteDatabase;
use tempfile::TempDir;

/// A place for one database.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }

    /// Every file of the folder with its bytes, but for lock files and SQLite's
    /// index of the log, which are empty of data.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder can be read");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let kept = paths.filter(|path| {
            let name = path.to_string_lossy();
            !name.ends_with(".lock") && !name.ends_with("-shm")
        });
        let mut files: Vec<_> = kept
            .map(|path| (path.clone(), std::fs::read(path).expect("the file can be read")))
            .collect();
        files.sort();
        files
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a short name")
}

pub(crate) fn put(key: i64, value: impl Into<Value>) -> Write {
    write(key, WriteKind::Put(record! { "value" => value }))
}

pub(crate) fn write(key: i64, kind: WriteKind) -> Write {
    Write { collection: name("notes"), key: RecordKey::Int(key), kind }
}

/// The field `value` of a record.
pub(crate) async fn value(database: &SqliteDatabase, key: i64) -> Option<Value> {
    let record = database.read(&name("notes"), &RecordKey::Int(key)).await;
    record.expect("the record can be read").and_then(|record| record.get("value").cloned())
}

/// Waits until no commit can come any more.
pub(crate) async fn ended(watch: &mut tokio::sync::watch::Receiver<blaze_codec::Seq>) {
    let changed = tokio::time::timeout(std::time::Duration::from_secs(20), watch.changed()).await;
    changed.expect("the watch ends").expect_err("no commit came");
}

pub(crate) async fn whole_feed(database: &SqliteDatabase) -> ChangeSet {
    let limit = ChangesLimit { records: usize::MAX, bytes: usize::MAX };
    database.changes(blaze_codec::Seq::ZERO, limit).await.expect("the feed can be read")
}
