//! The settings of connections, which no behaviour in the other tests shows.

use blaze_db_adapter::Durability;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::{Access, Opened, connect, open, uri};
use crate::SqliteOptions;

fn opened(durability: Durability, password: Option<&str>) -> (tempfile::TempDir, Opened) {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("test.db")).durability(durability);
    let options = match password {
        Some(password) => options.password(password),
        None => options,
    };
    let opened = open(&options).unwrap();
    (folder, opened)
}

fn number(conn: &Connection, pragma: &str) -> i64 {
    conn.pragma_query_value(None, pragma, |row| row.get(0)).unwrap()
}

#[test]
fn each_durability_syncs_as_it_promises() {
    for (durability, synchronous) in [(Durability::Disk, 2), (Durability::Process, 1)] {
        for password in [None, Some("p")] {
            let (_folder, opened) = opened(durability, password);
            let conn = opened.opener.writer().unwrap();
            assert_eq!(number(&conn, "synchronous"), synchronous, "{durability}");
            let mode: String = conn.pragma_query_value(None, "journal_mode", |r| r.get(0)).unwrap();
            assert_eq!(mode, "wal");
        }
    }
}

#[test]
fn every_connection_is_hardened() {
    let (_folder, made) = opened(Durability::Disk, None);
    let opener = &made.opener;
    for conn in [opener.reader().unwrap(), opener.writer().unwrap()] {
        assert!(conn.db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE).unwrap());
        assert!(!conn.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER).unwrap());
        assert!(!conn.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW).unwrap());
        assert_eq!(number(&conn, "trusted_schema"), 0);
        assert_eq!(number(&conn, "cell_size_check"), 1);
        // 2 is memory.
        assert_eq!(number(&conn, "temp_store"), 2);
    }
    let writer = opener.writer().unwrap();
    assert_eq!(number(&writer, "busy_timeout"), 250);
    assert!(writer.db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE).unwrap());
    let reader = opener.reader().unwrap();
    reader.execute_batch("DELETE FROM meta").expect_err("it only reads");
}

#[test]
fn a_sealed_connection_makes_no_files() {
    let folder = tempfile::tempdir().unwrap();
    // What a URI would take for something else.
    let path = folder.path().join("a ?#%41é.db");
    let made = open(&SqliteOptions::new(&path)).unwrap();
    let writer = made.opener.writer().unwrap();
    writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).unwrap();
    drop((writer, made));
    assert!(uri(&path, "immutable=1").ends_with("/a%20%3f%23%2541%c3%a9.db?immutable=1"));
    let conn = connect(&path, None, Access::ReadSealed).unwrap();
    crate::schema::check(&conn, crate::schema::FORMAT_VERSION).unwrap().unwrap();
    let files = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a ?#%41é.db", "a ?#%41é.db.lock"]);
}

#[test]
fn who_reads_beside_a_writer_goes_on_when_that_closes() {
    for password in [None, Some("p")] {
        let (folder, made) = opened(Durability::Disk, password);
        let path = folder.path().join("test.db");
        let options = SqliteOptions::new(&path).without_trace(true);
        let options = match password {
            Some(password) => options.password(password),
            None => options,
        };
        let writer = made.opener.writer().unwrap();
        writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).unwrap();
        let changed = "BEGIN IMMEDIATE; CREATE TABLE t(x); DROP TABLE t; COMMIT";
        writer.execute_batch(changed).unwrap();
        let seen = open(&options).unwrap();
        assert_eq!(seen.opener.reading, Access::ReadBeside);
        drop((writer, made));
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files(), 2, "the file and its lock");
        let reader = seen.opener.reader().unwrap();
        crate::schema::check(&reader, crate::schema::FORMAT_VERSION).unwrap().unwrap();
        assert_eq!(files(), 2, "nothing was made");
    }
}
