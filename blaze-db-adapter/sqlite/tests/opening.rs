//! What can be wrong with a file, its path or its password: each a clear error,
//! and the file as it was.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use blaze_codec::{NodeId, Role, Seq, Value};
use blaze_db_adapter::{Audience, DatabaseAdapter, DatabaseError, Durability};
use blaze_db_adapter_sqlite::SqliteOptions;
use common::{Place, put, value};
use rusqlite::Connection;

async fn fill(options: SqliteOptions) {
    let database = options.open().await.expect("the database opens");
    database.commit((0..100).map(|key| put(key, "x".repeat(100))).collect()).await.unwrap();
    database.close().await.expect("the database closes");
}

/// Opens, expects an error, and that no byte of any file changed.
async fn refused(place: &Place, options: SqliteOptions) -> DatabaseError {
    let before = place.files();
    let error = options.open().await.expect_err("the database is refused");
    let empty_log = |files: Vec<(_, Vec<u8>)>| -> Vec<_> {
        files.into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect()
    };
    assert!(empty_log(place.files()) == empty_log(before), "the files changed at {error}");
    error
}

fn corrupt_reason(error: &DatabaseError) -> &str {
    match error {
        DatabaseError::Corrupt { reason, .. } => reason,
        other => panic!("not corrupt, but {other}"),
    }
}

fn setting_reason(error: &DatabaseError) -> &str {
    match error {
        DatabaseError::Setting { reason, .. } => reason,
        other => panic!("no setting, but {other}"),
    }
}

/// What a change of the journal mode leaves that meets with an error.
#[tokio::test]
async fn a_change_that_was_left_half_done_is_undone() {
    let (place, left) = (Place::new(), Place::new());
    fill(SqliteOptions::new(place.file())).await;
    let conn = Connection::open(place.file()).unwrap();
    let mode = conn.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0));
    assert_eq!(mode, Ok("delete".to_owned()));
    conn.execute_batch("BEGIN IMMEDIATE; CREATE TABLE theirs(x)").unwrap();
    conn.cache_flush().unwrap();
    let journal = |file: &Path| format!("{}-journal", file.display());
    std::fs::copy(place.file(), left.file()).unwrap();
    std::fs::copy(journal(&place.file()), journal(&left.file())).unwrap();

    let database = SqliteOptions::new(left.file()).open().await.expect("it opens");
    assert_eq!(value(&database, 99).await, Some("x".repeat(100).into()));
    database.close().await.unwrap();
    let conn = Connection::open(left.file()).unwrap();
    let theirs = conn.prepare("SELECT x FROM theirs").map(|_| ());
    assert!(theirs.is_err(), "half of a change is there");
}

#[tokio::test]
async fn identity_is_kept_and_a_new_file_is_private() {
    let place = Place::new();
    let options = SqliteOptions::new(place.file()).database("notes").role(Role::Server);
    let database = options.clone().open().await.unwrap();
    let identity = database.identity();
    assert_eq!((identity.database.as_str(), identity.role), ("notes", Role::Server));
    assert_eq!(identity.durability, Durability::Disk);
    database.commit(vec![put(1, 1)]).await.unwrap();
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let file = format!("{}{suffix}", place.file().display());
        let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    database.close().await.unwrap();
    let database = options.role(Role::Client).open().await.unwrap();
    assert_eq!(database.identity(), identity);
}

#[tokio::test]
async fn a_wrong_password_is_told_soon_and_changes_nothing() {
    let place = Place::new();
    let options = SqliteOptions::new(place.file()).password("correct horse");
    fill(options.clone()).await;
    let began = std::time::Instant::now();
    let error = refused(&place, SqliteOptions::new(place.file()).password("wrong horse")).await;
    assert!(matches!(error, DatabaseError::WrongPassword { .. }), "{error}");
    assert!(began.elapsed().as_secs_f64() < 1.0, "{:?}", began.elapsed());
    let database = options.open().await.expect("the right password still opens it");
    assert_eq!(value(&database, 7).await, Some(Value::from("x".repeat(100))));
}

#[tokio::test]
async fn a_wrong_password_spares_the_log_of_a_crash() {
    let place = Place::new();
    let options = SqliteOptions::new(place.file()).password("correct horse");
    let database = options.clone().open().await.unwrap();
    database.commit(vec![put(1, "in the log")]).await.unwrap();
    // As after a crash: dropped, not closed.
    drop(database);
    assert!(
        place
            .files()
            .iter()
            .any(|(path, bytes)| { path.to_string_lossy().ends_with("-wal") && !bytes.is_empty() })
    );
    let error = refused(&place, SqliteOptions::new(place.file()).password("wrong horse")).await;
    assert!(matches!(error, DatabaseError::WrongPassword { .. }), "{error}");
    let database = options.open().await.unwrap();
    assert_eq!(value(&database, 1).await, Some(Value::from("in the log")));
}

#[tokio::test]
async fn file_and_password_must_agree() {
    let (plain, encrypted) = (Place::new(), Place::new());
    fill(SqliteOptions::new(plain.file())).await;
    fill(SqliteOptions::new(encrypted.file()).password("p")).await;
    let error = refused(&encrypted, SqliteOptions::new(encrypted.file())).await;
    assert!(matches!(error, DatabaseError::PasswordRequired { .. }), "{error}");
    let error = refused(&plain, SqliteOptions::new(plain.file()).password("p")).await;
    assert!(matches!(error, DatabaseError::NotEncrypted { .. }), "{error}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let place = Place::new();
    let file = || SqliteOptions::new(place.file());
    let missing = place.folder().join("missing").join("test.db");
    for (options, expected) in [
        (file().password(""), "empty"),
        (file().database(""), "it has 0 bytes, 1 to 256"),
        (file().database("x".repeat(257)), "it has 257 bytes, 1 to 256"),
        (file().durability(Durability::Memory), "outlives"),
        (file().read_only(true), "no database"),
        (SqliteOptions::new(place.folder()), "is a folder"),
        (SqliteOptions::new(missing), "doesn't exist; make it first"),
        (SqliteOptions::new(""), "names no file"),
    ] {
        let error = refused(&place, options).await;
        assert!(setting_reason(&error).contains(expected), "{error}");
    }
    assert!(place.files().is_empty());
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_is_named() {
    let place = Place::new();
    let folder = place.folder().join("locked");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o500)).unwrap();
    let opened = SqliteOptions::new(folder.join("test.db")).open().await;
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
    match opened {
        Err(error) => assert!(setting_reason(&error).contains("this user may not"), "{error}"),
        // No mode keeps the superuser out.
        Ok(_) => assert!(folder.join("test.db").exists()),
    }
}

#[tokio::test]
async fn another_database_is_refused_by_name() {
    let place = Place::new();
    fill(SqliteOptions::new(place.file()).database("notes")).await;
    let error = refused(&place, SqliteOptions::new(place.file())).await;
    let DatabaseError::OtherDatabase { found, asked, .. } = error else { panic!("{error}") };
    assert_eq!((found.as_str(), asked.as_str()), ("notes", "main"));
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let place = Place::new();
    let conn = Connection::open(place.file()).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE theirs(x)").unwrap();
    conn.close().unwrap();
    let error = refused(&place, SqliteOptions::new(place.file())).await;
    assert!(corrupt_reason(&error).contains("another program's"), "{error}");
}

#[tokio::test]
async fn another_format_names_both_versions() {
    for (version, expected) in [(7, "version 7 is newer than 3"), (1, "version 1 is older than 2")]
    {
        let (_, error) = changed(&format!("PRAGMA user_version = {version}")).await;
        assert!(corrupt_reason(&error).contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_file_of_the_format_before_is_read_as_it_is_and_brought_to_this_one_to_be_written() {
    let place = Place::new();
    fill(SqliteOptions::new(place.file())).await;
    let conn = Connection::open(place.file()).unwrap();
    let before = "DROP TABLE shares; DROP TABLE audiences; PRAGMA user_version = 2";
    conn.execute_batch(before).unwrap();
    conn.close().unwrap();
    let reader = SqliteOptions::new(place.file()).read_only(true).open().await.unwrap();
    assert_eq!(reader.collections().await.unwrap()[0].records, 100);
    drop(reader);
    let audience = Audience { node: NodeId::ZERO, principal: "uid:7".into() };
    let shared = [(put(7, "").collection, put(7, "").key)];
    for opening in 0..2 {
        let database = SqliteOptions::new(place.file()).open().await.unwrap();
        let found = database.shared(&audience, &shared).await.unwrap();
        assert_eq!(found, [(opening == 1).then_some(Seq::ZERO)]);
        database.share(&audience, shared.to_vec(), None).await.unwrap();
        assert_eq!(database.collections().await.unwrap()[0].records, 100);
        database.close().await.unwrap();
    }
}

fn damage(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).unwrap();
    change(&mut bytes);
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn damaged_files_are_refused() {
    type Case = (fn(&mut Vec<u8>), &'static str);
    let cases: [Case; 5] = [
        (|bytes| bytes.truncate(bytes.len() - 100), "cut off"),
        (|bytes| bytes.truncate(8192), "damaged"),
        (|bytes| bytes.truncate(50), "cut off"),
        (|bytes| bytes.truncate(7), "cut off"),
        (|bytes| bytes[100..200].fill(0x5a), "damaged"),
    ];
    for (change, expected) in cases {
        let place = Place::new();
        fill(SqliteOptions::new(place.file())).await;
        damage(&place.file(), change);
        let error = refused(&place, SqliteOptions::new(place.file())).await;
        assert!(corrupt_reason(&error).contains(expected), "{error}");
    }
    let place = Place::new();
    fill(SqliteOptions::new(place.file()).password("p")).await;
    damage(&place.file(), |bytes| bytes.truncate(bytes.len() - 100));
    let error = refused(&place, SqliteOptions::new(place.file()).password("p")).await;
    assert!(corrupt_reason(&error).contains("cut off"), "{error}");
}

#[tokio::test]
async fn damage_in_an_encrypted_file_is_found_when_it_is_read() {
    let place = Place::new();
    let options = SqliteOptions::new(place.file()).password("p");
    fill(options.clone()).await;
    // Every page but the first, each of which has a checksum of its own.
    damage(&place.file(), |bytes| bytes[4096..].iter_mut().step_by(64).for_each(|b| *b ^= 1));
    let error = refused(&place, options).await;
    assert!(corrupt_reason(&error).contains("damaged"), "{error}");
}

#[tokio::test]
async fn a_file_of_noise_is_not_mistaken_for_a_new_one() {
    let place = Place::new();
    std::fs::write(place.file(), [0xa5; 8192]).unwrap();
    let error = refused(&place, SqliteOptions::new(place.file())).await;
    assert!(matches!(error, DatabaseError::PasswordRequired { .. }), "{error}");
    let error = refused(&place, SqliteOptions::new(place.file()).password("p")).await;
    assert!(matches!(error, DatabaseError::WrongPassword { .. }), "{error}");
}

#[tokio::test]
async fn an_empty_file_is_filled_but_not_beside_an_old_log() {
    let place = Place::new();
    std::fs::write(place.file(), []).unwrap();
    fill(SqliteOptions::new(place.file())).await;
    std::fs::remove_file(place.file()).unwrap();
    std::fs::write(format!("{}-wal", place.file().display()), b"commits").unwrap();
    let error = refused(&place, SqliteOptions::new(place.file())).await;
    assert!(corrupt_reason(&error).contains("holds commits"), "{error}");
}

#[tokio::test]
async fn a_half_made_file_of_a_crash_is_made_anew() {
    let place = Place::new();
    std::fs::write(format!("{}.new", place.file().display()), b"half").unwrap();
    fill(SqliteOptions::new(place.file())).await;
    let names = place.files().into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(names, [place.file()]);
}

#[tokio::test]
async fn one_opener_writes_and_the_second_learns_who() {
    let place = Place::new();
    let database = SqliteOptions::new(place.file()).open().await.unwrap();
    let link = place.folder().join("link.db");
    std::os::unix::fs::symlink(place.file(), &link).unwrap();
    for path in [place.file(), link] {
        let error = SqliteOptions::new(path).open().await.expect_err("it is in use");
        let DatabaseError::InUse { holder, .. } = error else { panic!("{error}") };
        assert!(holder.contains(&format!("pid {}", std::process::id())), "{holder}");
    }
    database.commit(vec![put(1, 1)]).await.expect("the first goes on");
    database.close().await.unwrap();
    SqliteOptions::new(place.file()).open().await.expect("it is free again");
}

#[tokio::test]
async fn options_do_not_show_the_password() {
    let options = SqliteOptions::new("x").password("correct horse");
    assert!(!format!("{options:?}").contains("horse"));
}

/// Changes the tables of a file that was closed, then opens it.
async fn changed(sql: &str) -> (Place, DatabaseError) {
    let place = Place::new();
    fill(SqliteOptions::new(place.file())).await;
    let conn = Connection::open(place.file()).unwrap();
    conn.execute_batch(sql).unwrap();
    conn.close().unwrap();
    let error = refused(&place, SqliteOptions::new(place.file())).await;
    (place, error)
}

#[tokio::test]
async fn a_schema_other_than_ours_is_refused() {
    for (sql, expected) in [
        ("CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM names; END", "trigger \"t\""),
        ("CREATE VIEW v AS SELECT 1", "view \"v\""),
        ("CREATE TABLE theirs(x)", "table \"theirs\""),
        ("CREATE INDEX i ON records(state)", "index \"i\""),
        ("DROP INDEX records_by_key", "index \"records_by_key\" is missing"),
        ("DROP TABLE checkpoints", "table \"checkpoints\" is missing"),
        ("ALTER TABLE records ADD COLUMN more", "table \"records\" is none"),
    ] {
        let (_, error) = changed(sql).await;
        assert!(corrupt_reason(&error).contains(expected), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_head_or_a_clock_that_cannot_be_is_refused() {
    for (sql, expected) in [
        ("UPDATE records SET ending = x'ffffffffffffffff' WHERE ending NOT NULL", "clock"),
        ("UPDATE records SET ending = x'00' WHERE ending NOT NULL", "damaged record"),
        ("UPDATE records SET ending = x'000000000000000001' WHERE ending NOT NULL", "damaged"),
        ("UPDATE records SET ending = 'now' WHERE ending NOT NULL", "damaged record"),
        ("UPDATE records SET position = 0x7fffffffffffffff WHERE ending NOT NULL", "head"),
        ("UPDATE records SET position = -1 - position", "record at -"),
        ("INSERT INTO meta VALUES ('floor', x'00000800000000000000000000000000')", "head"),
        ("INSERT INTO meta VALUES ('floor', x'0000000000000001ffffffffffffffff')", "clock"),
    ] {
        let (place, error) = changed(sql).await;
        assert!(corrupt_reason(&error).contains(expected), "{sql}: {error}");
        let reading = SqliteOptions::new(place.file()).read_only(true).open().await;
        reading.expect_err("nor can it be read");
    }
}

/// Runs with the folder's mode as on a read-only mount; the superuser may write all
/// the same, and reads as anybody does in a folder of their own.
async fn read_sealed(place: &Place) -> Result<Option<Value>, DatabaseError> {
    let mode = |mode| std::fs::set_permissions(place.folder(), PermissionsExt::from_mode(mode));
    mode(0o500).unwrap();
    let opened = SqliteOptions::new(place.file()).read_only(true).open().await;
    let read = match opened {
        Ok(database) => Ok(value(&database, 1).await),
        Err(error) => Err(error),
    };
    mode(0o700).unwrap();
    read
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_can_be_read() {
    let place = Place::new();
    fill(SqliteOptions::new(place.file())).await;
    let before = place.files();
    assert_eq!(read_sealed(&place).await.unwrap(), Some(Value::from("x".repeat(100))));
    assert!(place.files().iter().filter(|(_, bytes)| !bytes.is_empty()).eq(&before));

    // Not without what is in the log, which takes a file more to be read.
    let database = SqliteOptions::new(place.file()).open().await.unwrap();
    database.commit(vec![put(1, 2)]).await.unwrap();
    drop(database);
    std::fs::remove_file(format!("{}-shm", place.file().display())).unwrap();
    match read_sealed(&place).await {
        Ok(read) => assert_eq!(read, Some(Value::Int(2))),
        Err(error) => assert!(setting_reason(&error).contains("close the database"), "{error}"),
    }
}
