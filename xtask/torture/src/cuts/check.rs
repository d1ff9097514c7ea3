//! Opens a file without the library that cut it off, and reads all of it.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use argon2::{Algorithm, Argon2, Params, Version};
use blaze_codec::{Name, RecordKey, Value};
use blaze_db_adapter::DatabaseAdapter as _;
use blaze_db_adapter_sqlite::SqliteOptions;
use rusqlite::{Connection, OpenFlags};

use super::{MERGING, checkpoint, peer};
use crate::plan::{self, COUNTER, State};

/// Each lane's last commit and what its collection holds.
pub(super) async fn read(
    path: &Path,
    password: Option<&str>,
    lanes: u64,
) -> Result<Vec<(u64, State)>> {
    let mut options = SqliteOptions::new(path);
    if let Some(password) = password {
        options = options.password(password);
    }
    let db = options.open().await.context("can't be opened")?;
    let mut found = Vec::new();
    for lane in 0..lanes {
        let collection = Name::new(&plan::collection(lane))?;
        let (mut number, mut state) = (0, State::new());
        for (key, record) in db.scan(&collection, None, usize::MAX).await? {
            let RecordKey::Int(key) = key else { bail!("lane {lane} has a record at {key:?}") };
            if key == COUNTER {
                let counter = record.get("number").and_then(Value::as_int);
                number = counter.context("a counter is damaged")?.cast_unsigned();
            } else {
                let content = plan::of_record(&record);
                let content = content.with_context(|| format!("lane {lane} key {key} is torn"))?;
                state.insert(key, content);
            }
        }
        if lane == MERGING {
            let merged = db.checkpoints(peer()).await?;
            let expected: Vec<_> = (number > 0).then(|| checkpoint(number)).into_iter().collect();
            ensure!(merged == expected, "the checkpoint is {merged:?}, not {expected:?}");
        }
        found.push((number, state));
    }
    db.close().await.context("can't be closed")?;
    Ok(found)
}

/// SQLite's own check of the whole file.
pub(crate) fn integrity(path: &Path, password: Option<&str>) -> Result<()> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if let Some(password) = password {
        conn.execute_batch(&pragma(path, password)?)?;
    }
    let check: String = conn.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    ensure!(check == "ok", "the integrity check says: {check}");
    Ok(())
}

/// The statement that unlocks a file, by the adapter's documented derivation.
fn pragma(path: &Path, password: &str) -> Result<String> {
    let (mut salt, mut key) = ([0; 16], [0; 32]);
    std::fs::File::open(path)?.read_exact(&mut salt)?;
    let params = Params::new(19 * 1024, 2, 1, Some(32)).expect("the parameters are right");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), &salt, &mut key)
        .map_err(|error| anyhow::anyhow!("can't derive the key: {error}"))?;
    let mut pragma = "PRAGMA key = \"x'".to_owned();
    for byte in key.iter().chain(&salt) {
        write!(pragma, "{byte:02x}")?;
    }
    Ok(pragma + "'\"")
}
