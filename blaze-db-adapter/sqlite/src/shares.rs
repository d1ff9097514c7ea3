//! The records that peers were given which don't see all, so that they can be withdrawn.

use blaze_codec::{Name, NodeId, RecordKey};
use blaze_db_adapter::Audience;
use rusqlite::{Connection, OptionalExtension};

use crate::dictionary::Dictionary;

const AUDIENCE: &str = "SELECT id FROM audiences WHERE node = ?1 AND principal = ?2";
const SHARED: &str = "SELECT 1 FROM shares
    WHERE collection = (SELECT id FROM names WHERE value = ?1) AND key = ?2 AND audience = ?3";

/// Which of these records an audience was given.
pub(crate) fn find(
    conn: &Connection,
    audience: &Audience,
    records: &[(Name, RecordKey)],
) -> rusqlite::Result<Vec<bool>> {
    let Some(audience) = id(conn, audience)? else { return Ok(vec![false; records.len()]) };
    let mut shared = conn.prepare_cached(SHARED)?;
    let shared = records.iter().map(|(collection, key)| {
        shared.exists((collection.as_str(), key.to_bytes().as_slice(), audience))
    });
    shared.collect()
}

/// Notes that an audience is given records.
pub(crate) fn add(
    conn: &Connection,
    dictionary: &mut Dictionary,
    audience: &Audience,
    records: &[(Name, RecordKey)],
) -> rusqlite::Result<()> {
    let audience = if let Some(id) = id(conn, audience)? {
        id
    } else {
        let insert = "INSERT INTO audiences(node, principal) VALUES (?1, ?2)";
        let Audience { node, principal } = audience;
        conn.prepare_cached(insert)?.insert((node.as_bytes(), principal))?
    };
    let insert = "INSERT OR IGNORE INTO shares(collection, key, audience) VALUES (?1, ?2, ?3)";
    let mut insert = conn.prepare_cached(insert)?;
    for (collection, key) in records {
        let collection = dictionary.names.intern(conn, collection)?.cast_signed();
        insert.execute((collection, key.to_bytes().as_slice(), audience))?;
    }
    Ok(())
}

/// Forgets what a peer was given.
pub(crate) fn forget(conn: &Connection, node: NodeId) -> rusqlite::Result<()> {
    let of_node = "DELETE FROM shares
        WHERE audience IN (SELECT id FROM audiences WHERE node = ?1)";
    conn.prepare_cached(of_node)?.execute([node.as_bytes()])?;
    let audiences = "DELETE FROM audiences WHERE node = ?1";
    conn.prepare_cached(audiences)?.execute([node.as_bytes()]).map(drop)
}

/// Forgets who was given the records whose tombstones up to a position are about to go.
pub(crate) fn purge(conn: &Connection, position: i64) -> rusqlite::Result<()> {
    let purge = "DELETE FROM shares WHERE (collection, key) IN (
        SELECT collection, key FROM records INDEXED BY tombstones
        WHERE live = 0 AND position <= ?1)";
    conn.prepare_cached(purge)?.execute([position]).map(drop)
}

fn id(conn: &Connection, audience: &Audience) -> rusqlite::Result<Option<i64>> {
    let Audience { node, principal } = audience;
    let mut select = conn.prepare_cached(AUDIENCE)?;
    select.query_row((node.as_bytes(), principal), |row| row.get(0)).optional()
}
