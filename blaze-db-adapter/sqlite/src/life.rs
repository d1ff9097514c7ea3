//! Whether the machine went down while the file was open.
//!
//! At durability `Process` a commit is acknowledged, and sent to peers, before it
//! is on the disk. A power cut may cost it, and its seq would be handed out again
//! for something else. So the file names the run of the machine for as long as it
//! is open; who opens it in another run, without a clean close between, starts a
//! new incarnation. The end of the process alone loses nothing and changes nothing.

use blaze_codec::Incarnation;
use blaze_db_adapter::Durability;
use rusqlite::Connection;

use crate::create::random;
use crate::fault::Fault;
use crate::schema;

/// Marks the file as open, durably, or unmarks it if `durability` needs no mark.
/// Gives the incarnation that was stored if a new one had to be drawn.
pub(crate) fn begin(
    conn: &Connection,
    durability: Durability,
) -> Result<Option<Incarnation>, Fault> {
    let boot = boot();
    let mark = (durability == Durability::Process).then_some(boot.as_str());
    let found = schema::boot(conn)?;
    let lost = found.as_ref().is_some_and(|found| found.is_empty() || *found != boot);
    if found.as_deref() == mark && !lost {
        return Ok(None);
    }
    let drawn = if lost { Some(Incarnation(u64::from_ne_bytes(random()?))) } else { None };
    // The log is synced as a whole: with this, what an earlier process left unsynced.
    conn.execute_batch("PRAGMA synchronous = FULL; BEGIN IMMEDIATE")?;
    if let Some(incarnation) = drawn {
        schema::store_incarnation(conn, incarnation)?;
    }
    schema::store_boot(conn, mark)?;
    conn.execute_batch("COMMIT")?;
    Ok(drawn)
}

/// Syncs what was committed and unmarks the file.
pub(crate) fn end(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch("PRAGMA synchronous = FULL")?;
    schema::store_boot(conn, None)
}

/// A name for this run of the machine; empty where the system gives none.
fn boot() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    boot.map(|boot| boot.trim().to_owned()).unwrap_or_default()
}
