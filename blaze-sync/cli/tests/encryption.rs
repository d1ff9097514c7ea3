//! An encrypted database: nothing of what is in it can be read from its files,
//! neither while it is open nor later.

mod common;

use std::fs;
use std::process::Command;

use blaze_sync::{Database, DatabaseError, Error};
use common::{App, Bench, contents};
use serde_json::json;

/// What an app writes, and what must not be found.
const COLLECTION: &str = "notes";
const WORDS: [&str; 3] = ["Zitronenfalter", "kaisergranat", "windsbraut"];

fn has(content: &[u8], word: &str) -> bool {
    content.windows(word.len()).any(|window| window == word.as_bytes())
}

/// Sees that no file of the database has a word in it, and returns their names.
fn scan(bench: &Bench) -> Vec<String> {
    let mut names = Vec::new();
    for file in fs::read_dir(bench.path("")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if !name.starts_with("app") {
            continue;
        }
        let content = fs::read(file.path()).unwrap();
        for word in WORDS.into_iter().chain([COLLECTION, "SQLite format 3", "CREATE TABLE"]) {
            assert!(!has(&content, word), "{word:?} is in {name}");
        }
        names.push(name);
    }
    names.sort();
    names
}

#[test]
fn nothing_can_be_read_without_the_password() {
    let bench = Bench::new();
    let [key, field, text] = WORDS;
    let mut app = App::open(&bench, "app", "disk");
    for number in 0..200 {
        app.put(&format!("{key} {number}"), json!({ field: text.repeat(20) }));
    }
    app.delete(&format!("{key} 7"));
    let open = scan(&bench);
    assert!(open.contains(&"app-wal".to_owned()), "{open:?}");
    let log = bench.path("app-wal").metadata().unwrap().len();
    assert!(log > 200 * 4_096, "the log has every commit: {log} bytes");
    app.close();
    scan(&bench);
    // The same in a plain one can be found.
    bench.ok(&["put", "plain", COLLECTION, key, &format!("{field}={text}")]);
    let plain = fs::read(bench.path("plain")).unwrap();
    assert!(WORDS.into_iter().all(|word| has(&plain, word)));
    let all = contents(&bench.path("app"), Some("app"));
    assert_eq!(all[COLLECTION].len(), 199, "what was looked for was written");

    // Killed, so that the log stays.
    let mut app = App::open(&bench, "app", "process");
    app.put(&format!("{key} last"), json!({ field: text }));
    app.kill();
    assert!(scan(&bench).contains(&"app-wal".to_owned()));
    assert_eq!(contents(&bench.path("app"), Some("app"))[COLLECTION].len(), 200);
}

#[tokio::test]
async fn it_opens_with_its_password_alone() {
    let bench = Bench::new();
    bench.ok_with_password("secret", &["put", "db", "c", "k", "a=1"]);
    let open = |password: Option<&str>| {
        let options = Database::open(bench.path("db")).read_only(true);
        match password {
            Some(password) => options.password(password),
            None => options,
        }
    };
    let error = open(None).await.unwrap_err();
    assert!(matches!(error, Error::Database(DatabaseError::PasswordRequired { .. })), "{error}");
    let error = open(Some("Secret")).await.unwrap_err();
    assert!(matches!(error, Error::Database(DatabaseError::WrongPassword { .. })), "{error}");
    open(Some("secret")).await.expect("it is this one");

    let schema = "SELECT * FROM sqlite_schema";
    match Command::new("sqlite3").arg(bench.path("db")).arg(schema).output() {
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && error.contains("not a database"), "{error}");
        }
        Err(error) => println!("skipped: there is no sqlite3 program here: {error}"),
    }
}
