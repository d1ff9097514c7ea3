//! A worker that commits to a bare SQLite database and says so.

use anyhow::Result;
use rusqlite::Connection;
use rusqlite::types::Null;

use super::{Acked, Task};
use crate::plan::{self, COUNTER, Size};
use crate::worker::say;

/// Commits until the power goes or everything is done.
pub(crate) fn work(task: &str) -> Result<()> {
    let task: Task = serde_json::from_str(task)?;
    crate::worker::end_with_driver();
    let mut conn = Connection::open(&task.path)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", &task.synchronous)?;
    // The log is written back now and then within a run.
    conn.pragma_update(None, "wal_autocheckpoint", 60)?;
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS t(key INTEGER PRIMARY KEY, mark INTEGER, padding BLOB)",
    )?;
    let first = super::drive::counter(&conn)? + 1;
    for number in first..first + task.commits {
        let transaction = conn.transaction()?;
        let set = "INSERT OR REPLACE INTO t(key, mark, padding) VALUES (?1, ?2, ?3)";
        for (key, content) in plan::writes(task.seed, 0, number, Size::Small) {
            match content {
                Some(content) => {
                    transaction.execute(set, (key, content.mark, plan::padding(content)))?
                }
                None => transaction.execute("DELETE FROM t WHERE key = ?1", [key])?,
            };
        }
        transaction.execute(set, (COUNTER, number.cast_signed(), Null))?;
        transaction.commit()?;
        say(&Acked(number))?;
    }
    Ok(())
}
